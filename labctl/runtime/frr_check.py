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

#: $1 directory of the files, $2 root file system or empty. One start for all files; only our mount namespace changes.
_SCRIPT = """
if [ -n "$2" ]; then
    mount --bind "$1" "$2/mnt" || exit 1
    set -- /mnt "$2"
fi
for file in "$1"/*; do [ -n "$2" ] && break; echo "== ${file##*/}"; "$VTYSH" -C -f "$file"; done
[ -z "$2" ] || exec chroot "$2" /bin/sh -c 'for file in /mnt/*; do echo "== ${file##*/}"; vtysh -C -f "$file"; done; :'
:
"""
_REJECTED = re.compile(r"line (?P<line>\d+): % (?P<what>[^:]*?)(?:\[\d+\])?: *(?P<text>.*)")


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
        paths = {f"{number:06d}": path for number, path in enumerate(files)}
        for name, path in paths.items():
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(files[path])
        output = _run(directory, who, image)
    problems = Problems()
    _collect(output, paths, files, who, problems)
    problems.stop()
    return who


def _has_vtysh(image: Image) -> bool:
    return os.path.exists(os.path.join(image.rootfs, "usr/bin/vtysh"))


def _run(directory: str, who: str, image: Image | None) -> str:
    inside = image is not None and who.startswith("image ")
    root = image.rootfs if image is not None and inside else ""
    argv = ["/bin/sh", "-c", _SCRIPT, "sh", directory, root]
    done = subprocess.run(
        ["unshare", "--mount", *argv] if inside else argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "VTYSH": "" if inside else who},
    )
    if done.returncode != 0:
        raise LabctlError(
            "frr-rejected",
            f"{who} could not check the rendered files: {done.stdout.strip()[-500:]}",
            hint="run `labctl doctor`",
        )
    return done.stdout


def _collect(
    output: str, paths: Mapping[str, str], files: Mapping[str, str], who: str, problems: Problems
) -> None:
    checked = set()
    path = ""
    for line in output.splitlines():
        if line.startswith("== "):
            path = paths[line[3:]]
            checked.add(path)
        elif match := _REJECTED.fullmatch(line.strip()):
            number = int(match["line"])
            text = files[path].splitlines()[number - 1].strip()
            problems.add(
                "frr-rejected",
                f"FRR ({who}) does not take `{text}`: {match['what'].lower()}",
                where=Span(path, number),
                hint="labctl rendered a line that this FRR does not know: please report it, or use another image",
            )
        elif "%" in line:
            problems.add("frr-rejected", f"FRR ({who}): {line.strip()}", where=Span(path))
    for missed in sorted(set(files) - checked):
        problems.add("frr-rejected", f"{who} did not check it", where=Span(missed))
