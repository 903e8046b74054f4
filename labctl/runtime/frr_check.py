"""The gate before a router starts: FRR itself reads every rendered file and must not reject a line.

`vtysh -C` checks a file without any daemon. The judge is the FRR of the image that will run the file; where that image
is not unpacked here, or we may not chroot into it, it is the machine's own vtysh. Where neither is, the caller is told.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping

from labctl.errors import LabctlError, Problems, Span
from labctl.runtime.images import Image

#: $1 the directory of the file, $2 root file system. Only our own mount namespace changes.
_INSIDE = 'mount --bind "$1" "$2/mnt" && exec chroot "$2" vtysh -C -f /mnt/frr.conf'
_RAN = (0, 2)  # vtysh's exit status: all lines taken, some rejected
_REJECTED = re.compile(r"^line (?P<line>\d+): % (?P<what>[^:\n]*?)(?:\[\d+\])?:", re.MULTILINE)


def judge(image: Image | None) -> str:
    """Who will check: `image REF`, `/usr/bin/vtysh`, or nobody (empty)."""
    if image is not None and os.geteuid() == 0 and _has_vtysh(image) and shutil.which("unshare"):
        return f"image {image.ref}"
    return shutil.which("vtysh", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/sbin") or ""


def check_frr(files: Mapping[str, str], image: Image | None) -> str:
    """Raise `frr-rejected` for every line that FRR does not take; else say who checked (empty: nobody could).

    `files` is keyed by the path that errors shall name.
    """
    who = judge(image)
    if not who or not files:
        return who
    with tempfile.TemporaryDirectory(prefix="labctl-frr-") as directory:
        with open(os.path.join(directory, "frr.conf"), "w", encoding="utf-8") as file:
            file.writelines(_whole_lines(text) for text in files.values())
        output = _run(directory, who, image)
    problems = Problems()
    _collect(output, files, who, problems)
    problems.stop()
    return who


def _whole_lines(text: str) -> str:
    """All files are read as one: vtysh takes longer to start than to read a hundred of them."""
    return text if text.endswith("\n") or not text else f"{text}\n"


def _has_vtysh(image: Image) -> bool:
    return os.path.exists(os.path.join(image.rootfs, "usr/bin/vtysh"))


def _run(directory: str, who: str, image: Image | None) -> str:
    if image is not None and who.startswith("image "):
        argv = ["unshare", "--mount", "/bin/sh", "-c", _INSIDE, "sh", directory, image.rootfs]
    else:
        argv = [who, "-C", "-f", os.path.join(directory, "frr.conf")]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    rejected = (
        _REJECTED.search(done.stdout) is not None
    )  # vtysh may exit with 0 all the same: its last words decide
    if done.returncode not in _RAN or (done.returncode != 0 and not rejected):
        raise LabctlError(
            "frr-rejected",
            f"{who} could not check the rendered files (exit {done.returncode}): {done.stdout.strip()[-500:]}",
            hint="run `labctl doctor`",
        )
    return done.stdout


def _collect(output: str, files: Mapping[str, str], who: str, problems: Problems) -> None:
    places = [
        (path, number, line)
        for path, text in files.items()
        for number, line in enumerate(_whole_lines(text).split("\n")[:-1], start=1)
    ]
    for match in _REJECTED.finditer(output):
        path, number, line = places[int(match["line"]) - 1]
        problems.add(
            "frr-rejected",
            f"FRR ({who}) does not take `{line.strip()}`: {match['what'].lower()}",
            where=Span(path, number),
            hint="labctl rendered a line that this FRR does not know: please report it, or use another image",
        )
