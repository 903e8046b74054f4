"""Finishing what must be finished although Ctrl-C is pressed again, or SIGTERM comes once more."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

#: What `labctl` takes as an interruption.
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Both are ignored in this block, by what it runs as well; other threads than the main one never get them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
