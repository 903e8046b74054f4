"""Two processes that keep each other alive, so that a fault never outlives its lease because somebody died.

The guard is the parent: it starts the agent and starts it again whenever it ends in any way but the agreed one. The
agent holds one end of a pipe whose other end only the guard has: when that reads as closed, the guard is gone, and
the agent replaces itself by a new guard (`exec`, same pid, same lock), which starts a new agent. An agent is nothing
but the ledger and what the kernel says, so starting over loses nothing.

One flock makes them one per lab. It belongs to the open file, which guard and agent share: whichever of them lives
holds it, and a second guard that finds it taken ends at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Callable

#: The agent ends with this when it was asked to; any other end is a crash.
STOPPED = 0
#: Or when there is nothing left to guard: the lab's directory or cgroup is gone.
NOTHING_LEFT = 75
#: Or when the lab's files are damaged; `heal` repairs them and starts it again.
CANNOT = 78
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 5.0
_HEALTHY_S = 10.0


def lock(path: str) -> int | None:
    """The lab's agent lock, held as long as any process has the descriptor; None if somebody else holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    os.set_inheritable(fd, True)  # it goes through exec: the agent may become the guard
    return fd


def guard(run: Callable[[int], int]) -> int:
    """Run `run(guard_fd)` in a child until it returns STOPPED; again, with growing pauses, when it dies."""
    pause = _FIRST_PAUSE_S
    while True:
        began = time.monotonic()
        code = _child(run)
        if code in (STOPPED, NOTHING_LEFT, CANNOT):
            return code
        print(f"guard: the agent ended with {code}; starting it again", file=sys.stderr, flush=True)
        if time.monotonic() - began > _HEALTHY_S:
            pause = _FIRST_PAUSE_S
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


def _child(run: Callable[[int], int]) -> int:
    """Exit status of one life of the agent; negative signal number when it was killed."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(writer)
            code = run(reader)
        except BaseException:  # noqa: BLE001  (a forked child must never return into its parent's code)
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stderr.flush()
            os._exit(code)
    os.close(reader)
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(writer)
    return os.waitstatus_to_exitcode(status)
