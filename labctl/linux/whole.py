"""A file is written whole or not at all: the one that was there stays until the new one is on disk."""

from __future__ import annotations

import contextlib
import os
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
