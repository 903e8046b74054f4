"""Removing unpacked images that no reference names any more, and never one that somebody stands on.

A root file system is in use while the kernel says so: it is a lower layer of an overlay in some mount namespace, or some
process's root (`vtysh` while it checks a configuration). Between "this is the image of that reference" and the mount a
starting node holds `use` shared; whoever prunes holds it alone, so no node can mount what has just gone. What is not
removed today goes with the next build.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Collection, Iterator

_DIGEST = re.compile(r"[0-9a-f]{64}")


@contextlib.contextmanager
def standing(root: str) -> Iterator[None]:
    """While this is open nothing is pruned from the images in `root`; open it before an image is looked up."""
    fd = _open_lock(root)
    try:
        if fd is not None:
            fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def prune(root: str, named: Collection[str], work: str) -> list[str]:
    """Remove the images of `root` that are neither named by a reference nor in use; their digests.

    By way of `work`, whose leftovers the next build sweeps, so one that is half removed is never found.
    """
    fd = _open_lock(root)
    if fd is None:
        return []
    removed: list[str] = []
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        idle = {name for name in os.listdir(root) if _DIGEST.fullmatch(name)} - set(named)
        for digest in sorted(idle - in_use(idle)):
            os.rename(os.path.join(root, digest), os.path.join(work, f"unpack-old-{digest}"))
            removed.append(digest)
    finally:
        os.close(fd)
    for digest in removed:
        shutil.rmtree(os.path.join(work, f"unpack-old-{digest}"))
    return removed


def in_use(digests: Collection[str]) -> set[str]:
    """Those that any process of this machine has mounted or stands in."""
    found: set[str] = set()
    seen: set[tuple[int, int]] = set()
    for pid in os.listdir("/proc") if digests else ():
        if not pid.isdigit():
            continue
        with contextlib.suppress(OSError):
            found.update(_DIGEST.findall(os.readlink(f"/proc/{pid}/root")))
        with contextlib.suppress(OSError):  # it has ended
            namespace = os.stat(f"/proc/{pid}/ns/mnt")
            if (namespace.st_dev, namespace.st_ino) in seen:
                continue
            with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="replace") as file:
                found.update(_DIGEST.findall(file.read()))
            seen.add((namespace.st_dev, namespace.st_ino))
    return found & set(digests)


def _open_lock(root: str) -> int | None:
    """None where there are no images, or none that could be removed (a read-only file system)."""
    path = os.path.join(root, "use")
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, flags | os.O_CLOEXEC, 0o600)
    return None
