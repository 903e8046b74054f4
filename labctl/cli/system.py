"""What the operating system refused, as an error of labctl.

A path that may not be touched, or a resource that ran out, is the machine's affair, and its words and the path are what
a user can act on. Any other refusal means that labctl asked for something wrong: that stays a bug, with its traceback.
"""

from __future__ import annotations

import errno
import os

from labctl.errors import LabctlError, Span

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM})
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO})


def refused(error: OSError) -> LabctlError | None:
    """None if it is nothing that a user can mend."""
    reason = (error.strerror or "").lower()
    if error.errno in NO_ROOM:
        return LabctlError(
            "cannot-write",
            f"cannot write {_path(error) or 'what was asked for'}: {reason}",
            hint="make room on that file system, then repeat",
        )
    path = _path(error)
    if not reason or not (path or error.errno in _EXHAUSTED | _NOT_ALLOWED):
        return None
    return LabctlError("system-refused", reason, where=Span(path) if path else None, hint=_hint(error.errno))


def _path(error: OSError) -> str:
    """An open file has a number instead of a name, and two names say which way something was to go."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return " -> ".join(names)


def _hint(number: int | None) -> str:
    if number in _NOT_ALLOWED:
        return (
            "run the same command with sudo"
            if os.geteuid()
            else "root may not either: look at its attributes (lsattr), mounts and the limits of this container"
        )
    if number in _EXHAUSTED:
        return "the machine has run out of it, or its disk fails: look at `ulimit -a`, `free` and `dmesg`"
    return "something else may be changing it: look at it, then repeat"
