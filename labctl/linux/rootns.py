"""Being at the root of one's mount namespace, and getting there from a chroot.

A container runtime replaces the root of the mount namespace and later enters containers by it. In a chroot the process's
root is some directory further down: runc refuses, and where it can be talked into working, a command that enters a node
would come out in the machine's own root. `become_root` gives the process a mount namespace of its own in which the
directory that it sees as / is the root for everybody.
"""

from __future__ import annotations

import ctypes
import os

from labctl.linux import mounts, netns

CLONE_NEWNS = 0x00020000
_OWN = "/proc/self/ns/mnt"

_libc = ctypes.CDLL(None, use_errno=True)


def at_root() -> bool:
    """Whether / is the root of the mount namespace. A child enters the namespace from its front, and compares."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            infos = os.open("/proc/self/fdinfo", os.O_PATH | os.O_DIRECTORY)
            here = _place(infos)
            _enter_own()
            status = 0 if _place(infos) == here else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def become_root() -> None:
    """Move this process to a new mount namespace whose root is what / is now. Nothing outside sees its mounts."""
    working_directory = os.getcwd()
    netns.unshare(CLONE_NEWNS)
    top = os.open("/", os.O_PATH | os.O_DIRECTORY)
    _enter_own()
    mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
    os.fchdir(top)
    os.close(top)
    place = os.getcwd()  # as seen from the namespace's root
    mounts.mount(place, place, flags=mounts.MS_BIND | mounts.MS_REC)
    os.chdir(place)
    if _libc.pivot_root(b".", b"."):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "pivot_root")
    mounts.unmount(".")  # the old root, which now lies on top
    os.chroot(".")
    os.chdir(working_directory)


def _place(infos: int) -> tuple[int, str]:
    """Where / is: its inode, and the line of fdinfo that names its mount."""
    top = os.open("/", os.O_PATH | os.O_DIRECTORY)
    info = os.open(str(top), os.O_RDONLY, dir_fd=infos)
    mount = next(line for line in os.read(info, 4096).decode().splitlines() if line.startswith("mnt_id"))
    return os.fstat(top).st_ino, mount


def _enter_own() -> None:
    fd = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        netns.setns(fd, CLONE_NEWNS)
    finally:
        os.close(fd)
