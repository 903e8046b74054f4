"""Being told once that a file was written to.

A watch goes with its first event: who wants the next one asks again. So a file that is written all the time wakes nobody
more often than he asks.
"""

from __future__ import annotations

import ctypes
import os
import struct

_MODIFY, _ONESHOT = 0x2, 0x8000_0000
_NONBLOCK = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = struct.Struct("=iIII")

_libc = ctypes.CDLL(None, use_errno=True)


class Writes:
    """Files of which the next write is told. `fileno` is for a selector. OSError where there is no inotify left."""

    def __init__(self) -> None:
        self._fd = _checked(_libc.inotify_init1(_NONBLOCK))
        self._names: dict[int, str] = {}

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)

    def ask(self, path: str, name: str) -> None:
        """Tell of the next write to the file at `path`, by this name."""
        number = _checked(
            _libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(_MODIFY | _ONESHOT))
        )
        self._names[number] = name

    def read(self) -> list[str]:
        """Names of files that were written to; each has to be asked for again."""
        found: list[str] = []
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return list(dict.fromkeys(found))
            while data:
                number, mask, _, length = _HEADER.unpack_from(data)
                data = data[_HEADER.size + length :]
                if mask & _MODIFY and number in self._names:
                    found.append(self._names.pop(number))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
