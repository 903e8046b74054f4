"""Which disk a file is on, as control groups want it named: a whole disk, never a partition of it.

A file system that is on no disk (tmpfs, a network's) has none, and neither has one whose kernel does not say which
(btrfs and the like name no device of their own: the one that is mounted is taken).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.linux import mounts


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device: `major:minor`, and its path below /dev."""

    number: str
    path: str


def of_files(paths: Iterable[str]) -> tuple[Disk, ...]:
    """The disks that these files and directories are on, or would be if they were made; each once."""
    found = (_of(path) for path in paths)
    return tuple(dict.fromkeys(disk for disk in found if disk is not None))


def _of(path: str) -> Disk | None:
    while not os.path.exists(path):
        path = os.path.dirname(os.path.abspath(path))
    device = os.stat(path).st_dev
    if os.major(device) == 0:
        try:
            mounted = os.stat(mounts.source_of(path))
        except OSError:
            return None
        if not stat.S_ISBLK(mounted.st_mode):
            return None
        device = mounted.st_rdev
    at = os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if os.path.exists(os.path.join(at, "partition")):
        at = os.path.dirname(at)
    try:
        with open(os.path.join(at, "dev"), encoding="ascii") as file:
            number = file.read().strip()
        with open(os.path.join(at, "uevent"), encoding="utf-8") as file:
            told = dict(line.strip().partition("=")[::2] for line in file)
    except FileNotFoundError:
        return None
    return Disk(number, f"/dev/{told['DEVNAME']}")
