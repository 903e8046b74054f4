"""Who must be punctual goes before the others.

Not real time: who is punctual for milliseconds must not be able to stop the machine. Without the right to do it
(nobody's fault, and only a matter of milliseconds) everything stays as it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

NICE = -10


def first() -> None:
    """From now on this thread goes before those of usual niceness; what it starts does not inherit that."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """The same for the length of a block, with all threads that are started in it.

    They share an interpreter: one of usual niceness that is put aside while it holds the lock would hold up the others.
    """
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, min(nice, NICE))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
