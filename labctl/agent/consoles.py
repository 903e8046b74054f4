"""Keeping the nodes' logs: when something was printed, and no more of it than fits.

The kernel tells once that a log was written to; then it is looked at, and not again for a second, so a node that prints
without end costs no more than one that prints a line.
"""

from __future__ import annotations

import contextlib
import os
import time

from labctl.linux.inotify import Writes
from labctl.runtime import console, ended
from labctl.runtime.console import Keeper
from labctl.runtime.store import LabDir

_PAUSE_S = 1.0


class Consoles:
    """All logs of one lab."""

    def __init__(self, place: LabDir) -> None:
        self._place = place
        self._writes: Writes | None
        try:
            self._writes = Writes()
        except OSError:  # the machine has none left: logs grow, and nobody knows when what was printed
            self._writes = None
        self._keepers: dict[str, Keeper] = {}
        self._resting: dict[str, float] = {}  # until when nobody listens to it, by the monotonic clock
        self._looked_at = -1
        self.tick()

    def fileno(self) -> int | None:
        return None if self._writes is None else self._writes.fileno()

    def close(self) -> None:
        if self._writes is not None:
            self._writes.close()

    def tick(self) -> None:
        """Listen to logs that are new, and again to those that have rested; costs nothing otherwise."""
        if self._writes is None:
            return
        started = ended.last_start(self._place)
        if started != self._looked_at:
            self._looked_at = started
            for node in set(ended.first_processes(self._place).values()) - self._keepers.keys():
                self._keepers[node] = Keeper(self._place, node)
                self._resting[node] = 0.0
        now = time.monotonic()
        for node in [each for each, until in self._resting.items() if until <= now]:
            self._listen(node)

    def read(self) -> None:
        """Look at what was written to."""
        if self._writes is None:
            return
        for node in self._writes.read():
            self._look(node)
            self._resting[node] = time.monotonic() + _PAUSE_S

    def next_wake_s(self) -> float | None:
        """Seconds until `tick` has something to do."""
        return max(0.0, min(self._resting.values()) - time.monotonic()) if self._resting else None

    def _listen(self, node: str) -> None:
        assert self._writes is not None
        del self._resting[node]
        path = console.log(self._place, node)
        if not os.path.exists(path):
            del self._keepers[node]  # it was removed from the lab
            return
        with contextlib.suppress(OSError):
            self._writes.ask(path, node)
        self._look(node)  # what was written before anybody listened

    def _look(self, node: str) -> None:
        with contextlib.suppress(OSError):  # a full disk, or the lab is being removed
            self._keepers[node].look()
