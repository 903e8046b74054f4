"""mount(2) and umount(2) without a subprocess, and what is mounted below a directory.

Clean-up never trusts a list that somebody kept: `below` asks the kernel (`/proc/self/mountinfo`), so a mount that was
made a microsecond before a `kill -9` is found as well.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
NSFS_MAGIC = 0x6E736673

_libc = ctypes.CDLL(None, use_errno=True)
_OCTAL = re.compile(r"\\([0-7]{3})")


class _Statfs(ctypes.Structure):
    _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_char * 256))


def mount(source: str, target: str, fstype: str = "", flags: int = 0, data: str = "") -> None:
    if _libc.mount(
        source.encode(), target.encode(), fstype.encode(), ctypes.c_ulong(flags), data.encode() or None
    ):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), target)


def bind(source: str, target: str) -> None:
    """Make `source` appear at `target`, which must exist."""
    mount(source, target, flags=MS_BIND)


def overlay(target: str, *, lower: str, upper: str, work: str) -> None:
    """Mount `lower` at `target` with what is written kept in `upper`."""
    for path in (lower, upper, work):
        if any(char in path for char in ",:\\"):
            raise ValueError(f"overlayfs cannot take this path: {path}")
    # xino and redirect_dir stay at the kernel's default: a layer is never shared between two mounts.
    mount("overlay", target, "overlay", data=f"lowerdir={lower},upperdir={upper},workdir={work}")


def make_shared(target: str) -> None:
    mount("none", target, flags=MS_SHARED)


def unmount(target: str) -> bool:
    """Detach whatever is mounted at exactly `target`; False if nothing is (or it does not exist)."""
    if _libc.umount2(target.encode(), MNT_DETACH | UMOUNT_NOFOLLOW):
        error = ctypes.get_errno()
        if error in (errno.EINVAL, errno.ENOENT):
            return False
        raise OSError(error, os.strerror(error), target)
    return True


def below(directory: str) -> list[str]:
    """Mount points at or below `directory`, in the order they were mounted (a stacked one appears again)."""
    root = os.path.realpath(directory)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [_unescape(line.split(" ", 5)[4]) for line in file]
    return [p for p in points if p == root or p.startswith(root.rstrip("/") + "/")]


def unmount_below(directory: str) -> int:
    """Unmount everything at or below `directory`, innermost first; how many there were."""
    count = 0
    for _ in range(64):  # mounts can be stacked, and a child can appear while we work
        points = below(directory)
        if not points:
            break
        count += sum(unmount(point) for point in reversed(points))
    return count


def source_of(path: str) -> str:
    """What is mounted where `path` is, in the mount's own words: a device, or the name of a file system."""
    at = os.path.realpath(path)
    best, found = "", ""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.rstrip("\n").partition(" - ")
            point = _unescape(before.split(" ")[4])
            inside = at == point or at.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):  # of those that are stacked the last one
                best, found = point, _unescape(after.split(" ")[1])
    return found


def is_mount(path: str) -> bool:
    return os.path.realpath(path) in below(path)


def is_nsfs(path: str) -> bool:
    """Whether a namespace file is mounted at `path`."""
    buffer = _Statfs()
    if _libc.statfs(path.encode(), ctypes.byref(buffer)):
        return False
    return int(buffer.f_type) == NSFS_MAGIC


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda m: chr(int(m[1], 8)), text)
