"""Who must be punctual goes before the others.

Not real time: who is punctual for milliseconds must not be able to stop the machine. Without the right to do it
(nobody's fault, and only a matter of milliseconds) everything stays as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Iterator

NICE = -10
#: Who asks for less time at once gets it sooner (kernels since 6.12; others take no notice). The kernel's least.
SLICE_NS = 100_000
_RESET_ON_FORK = 1
#: Number of sched_setattr, which the C library does not have; elsewhere there is only the niceness.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}.get(platform.machine())
_libc = ctypes.CDLL(None, use_errno=True)


def first() -> None:
    """From now on this thread goes before those of usual niceness; what it starts does not inherit that.

    It also waits less when it wakes up, which counts as much where one request makes the kernel sleep twenty times.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        if _SCHED_SETATTR is not None:
            attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, _RESET_ON_FORK, NICE, 0, SLICE_NS, 0, 0)
            _libc.syscall(_SCHED_SETATTR, 0, attributes, 0)


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
