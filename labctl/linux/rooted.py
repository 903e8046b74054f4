"""Open a path inside another root file system without ever leaving it.

`/proc/<pid>/root/var/run` is a trap: in most images it is a symbolic link to `/run`, and an absolute link is followed
from *our* root, so labctl would talk to the machine's own daemons. openat2(RESOLVE_IN_ROOT) resolves every link as
the process inside sees it (Linux 5.6).
"""

from __future__ import annotations

import ctypes
import os

RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 0x02, 0x10
_OPENAT2 = 437  # the same number on every architecture


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def open_in(root: str, path: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of `path` as seen by a process whose root is `root`. Raises OSError like os.open."""
    base = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _OpenHow(flags | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        fd = int(_libc.syscall(_OPENAT2, base, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)))
        if fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
        return fd
    finally:
        os.close(base)


def read_text(root: str, path: str, limit: int = 1 << 20) -> str:
    """The text of a (small) file inside `root`."""
    with os.fdopen(open_in(root, path), "rb") as file:
        return file.read(limit).decode(errors="replace")
