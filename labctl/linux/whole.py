"""A file is written whole or not at all: the one that was there stays until the new one is on disk.

What `--out` names is checked before the work begins: at most one directory is made on the way to it. More of them are
a typing mistake more often than not, and nobody finds what was written there.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile

from labctl.errors import LabctlError, Span


def write(path: str, data: bytes) -> None:
    """Write `data` to `path`, making its directory; `cannot-write` with the path when that fails."""
    directory = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(directory, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".labctl-", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file.name)
                raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LabctlError("cannot-write", f"cannot write the file: {reason}", where=Span(path)) from None


def check(path: str) -> None:
    """`cannot-write` if more than its last directory would have to be made for the file `path`. Makes nothing."""
    _check(os.path.dirname(os.path.abspath(path)), path)


def check_directory(path: str) -> None:
    """The same for a directory: it may be missing itself, what it is to lie in may not."""
    _check(os.path.abspath(path), path)


def _check(directory: str, asked: str) -> None:
    if not asked:
        raise LabctlError("cannot-write", "the name of what is to be written is empty")
    there = directory
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        raise LabctlError("cannot-write", f"{there} is not a directory", where=Span(asked))
    parent = os.path.dirname(directory)
    if there in (directory, parent):
        return
    raise LabctlError(
        "cannot-write",
        f"there is no directory {parent}",
        where=Span(asked),
        hint=f"make it first: `mkdir -p {shlex.quote(directory)}`",
    )
