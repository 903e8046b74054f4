"""The gate before a node with packet filters starts: filters that are not loaded would be missed by nobody.

Its image must be one that loads the script, and nft of that image must take the script from the kernel of this machine.
So the script is loaded once in a network namespace of its own, which is gone again at once. Without root only the image
is looked at; nothing starts without root either.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

from labctl.errors import LabctlError, Span
from labctl.runtime.images import Image, normal

#: Beside the program, what makes it run when the node starts.
_LOADER = ("usr/sbin/nft", "usr/lib/labctl/start.d/05-packets")
#: Those of labctl's images that have both, if they are not older than this.
_OURS = {normal("labctl/frr"), normal("labctl/prod")}
#: $1 the directory of the script, $2 root file system.
_INSIDE = 'mount --bind "$1" "$2/mnt" && exec chroot "$2" /usr/sbin/nft -f /mnt/packets.nft'


def check_packets(node: str, script: str, image: Image, *, where: Span | None = None) -> None:
    """Raise `filters-not-loaded` if a node of this image would run without the filters and translations of `script`."""
    missing = [path for path in _LOADER if not os.path.exists(os.path.join(image.rootfs, path))]
    if missing:
        raise LabctlError(
            "filters-not-loaded",
            f"node {node!r} would run without its packet filters: image {image.ref!r} has no /{missing[0]}",
            where=where,
            hint="make images"
            if normal(image.ref) in _OURS
            else "use labctl/frr, or an image that starts from it",
        )
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return
    with tempfile.TemporaryDirectory(prefix="labctl-packets-") as directory:
        with open(os.path.join(directory, "packets.nft"), "w", encoding="utf-8") as file:
            file.write(script)
        argv = ["unshare", "--mount", "--net", "/bin/sh", "-c", _INSIDE, "sh", directory, image.rootfs]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        said = (
            done.stdout.strip().partition("\n")[0].replace("/mnt/packets.nft:", "line ")
            or f"exit {done.returncode}"
        )
        raise LabctlError(
            "filters-not-loaded",
            f"node {node!r} would run without its packet filters: nft does not load them: {said}",
            where=where,
            hint="run `labctl doctor`: it says whether this kernel has nftables",
        )
