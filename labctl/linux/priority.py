"""A thread that must be punctual goes before the others; what it starts does not inherit that.

Not real time: who is punctual for milliseconds must not be able to stop the machine. Without the right to do it
(nobody's fault, and only a matter of milliseconds) everything stays as it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

NICE = -10


def first() -> None:
    """From now on this thread goes before those of usual niceness; its children and new threads start at 0 again."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """The same for the length of a block."""
    policy, nice = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    first()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            os.sched_setscheduler(0, policy, os.sched_param(0))
