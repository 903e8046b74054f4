"""Files that somebody gave us, read whole: one place that knows what a name on the command line may turn out to be.

A path may lead to a pipe nobody writes to, a device that never ends, a directory, or a disk image by mistake. So a file
is opened without waiting, looked at, and read only if it is a regular file of a size that labctl's inputs have. What is
wrong is said with the path; nothing is read in part.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from labctl.errors import LabctlError, Span

#: Larger than the snapshot of 30,000 devices (60 MiB) and the walks of any one of them.
LIMIT: Final = 256 << 20
SECRET: Final = 1 << 20  # a key, a password
MEASURED: Final = 4 << 30  # what a long run wrote: journal, samples

_KINDS: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def read(path: str | os.PathLike[str], *, limit: int = LIMIT) -> bytes:
    """The bytes of a regular file of at most `limit`: else `file-not-found`, `not-a-file` or `file-too-large`."""
    name = os.fspath(path)
    try:
        fd = _open(name)
        with os.fdopen(fd, "rb") as file:
            size = os.fstat(fd).st_size
            if size > limit:
                raise too_large(name, limit)
            # Not to the size: a file that grows while it is read, or one of /proc, whose size is 0.
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from None
    if data is None:  # some of /proc have nothing to say yet, and we asked not to wait
        raise unreadable(name, OSError(errno.EAGAIN, "there is nothing in it yet"))
    if len(data) > limit:
        raise too_large(name, limit)
    return data


def head(path: str | os.PathLike[str], size: int) -> bytes:
    """The beginning of a regular file, whatever its length."""
    name = os.fspath(path)
    try:
        with os.fdopen(_open(name), "rb") as file:
            return file.read(size)
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from None


def text(path: str | os.PathLike[str], *, limit: int = LIMIT) -> str:
    """UTF-8 with whatever is not UTF-8 replaced: for configurations, which come from anywhere."""
    return read(path, limit=limit).decode("utf-8-sig", "replace")


def unreadable(name: str, error: OSError | ValueError) -> LabctlError:
    """ValueError: the name holds a NUL character."""
    if not name:
        return LabctlError("file-not-found", "the name of the file is empty")
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return LabctlError("file-not-found", f"cannot read the file: {reason}", where=Span(name))


def too_large(name: str, limit: int) -> LabctlError:
    return LabctlError(
        "file-too-large",
        f"labctl reads files of at most {limit >> 20} MiB, and this one is larger",
        where=Span(name),
        hint="is it the right file?",
    )


def _open(name: str) -> int:
    """A descriptor of a regular file; opening a pipe does not wait for its writer."""
    fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory", name)
    what = next((what for test, what in _KINDS if test(mode)), "no file")
    raise LabctlError(
        "not-a-file",
        f"this is {what}, and labctl reads only files",
        where=Span(name),
        hint="save what it says to a file, and name that",
    )
