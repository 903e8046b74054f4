"""What a run writes down and what it says, stamped with one clock.

Lines that must be on disk are synced as soon as there is time for it: a disk takes milliseconds, in which a fault may be
due. What was written survives the death of the process in any case; the sync is for that of the machine.
"""

from __future__ import annotations

from typing import Any

from labctl.model.event import Emit, Event
from labctl.run.journal import Journal
from labctl.run.world import Clock


class Book:
    """The journal of a run, and who listens to it."""

    def __init__(self, journal: Journal, clock: Clock, emit: Emit) -> None:
        self._journal, self._clock, self._emit = journal, clock, emit
        self.owes_sync = False

    def note(self, kind: str, *, sync: bool = False, **what: Any) -> None:
        """Write a line. sync: it must be on disk, now."""
        self._journal.write(kind, t=self._clock.now(), sync=sync, **what)
        self.owes_sync = self.owes_sync and not sync

    def note_soon(self, kind: str, **what: Any) -> None:
        """Write a line that must be on disk when there is time: `sync` has to follow."""
        self.note(kind, **what)
        self.owes_sync = True

    def sync(self) -> None:
        """What is owed."""
        if self.owes_sync:
            self._journal.sync()
            self.owes_sync = False

    def phase(self, name: str) -> None:
        """A stretch of the run begins."""
        self.note("phase", name=name)
        self.tell("phase", f"{name} …")

    def tell(self, kind: str, text: str, *, passing: bool = False) -> None:
        """Say it to whoever listens. passing: it is no longer true in a moment."""
        self._emit(Event(kind=kind, text=text, passing=passing))
