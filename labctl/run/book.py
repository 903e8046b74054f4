"""What a run writes down and what it says, stamped with one clock.

Lines that must be on disk are synced as soon as there is time for it: a disk takes milliseconds, in which a fault may be
due. What was written survives the death of the process in any case; the sync is for that of the machine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from labctl.errors import LabctlError
from labctl.model.event import Emit, Event
from labctl.run.journal import Journal
from labctl.run.world import Clock


class Book:
    """The journal of a run, and who listens to it."""

    def __init__(self, journal: Journal, clock: Clock, emit: Emit) -> None:
        self._journal, self._clock, self._emit = journal, clock, emit
        self.owes_sync = False
        self.unwritten: LabctlError | None = None  # why nothing is written any more
        self.closing = False  # the run ends anyway: what cannot be written ends nothing else

    def note(self, kind: str, *, sync: bool = False, **what: Any) -> None:
        """Write a line. sync: it must be on disk, now. The first that does not fit is an error, and the journal's last: a
        run that can no longer be written down ends, and its effects are ended all the same.
        """
        if self.unwritten is not None:
            return
        with self._last():
            self._journal.write(kind, t=self._clock.now(), sync=sync, **what)
            self.owes_sync = self.owes_sync and not sync

    def note_soon(self, kind: str, **what: Any) -> None:
        """Write a line that must be on disk when there is time: `sync` has to follow."""
        self.note(kind, **what)
        self.owes_sync = True

    def sync(self) -> None:
        """What is owed."""
        if self.owes_sync:
            self.owes_sync = False
            with self._last():
                self._journal.sync()

    @contextlib.contextmanager
    def _last(self) -> Iterator[None]:
        try:
            yield
        except LabctlError as error:
            self.unwritten = error
            if not self.closing:
                raise

    def phase(self, name: str) -> None:
        """A stretch of the run begins."""
        self.note("phase", name=name)
        self.tell("phase", f"{name} …")

    def tell(self, kind: str, text: str, *, passing: bool = False) -> None:
        """Say it to whoever listens. passing: it is no longer true in a moment."""
        self._emit(Event(kind=kind, text=text, passing=passing))
