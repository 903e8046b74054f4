"""Seeing nodes end: the agent listens for the exit of each node's first process and writes down how it was.

Nothing is done about it here (`labctl.agent.again` looks for itself). A command that ended is a fact about the lab that `inspect` tells, as is one that was killed
by a fault; what a node should be follows from the lab and the active effects alone.
"""

from __future__ import annotations

from labctl.linux import exits
from labctl.runtime import ended
from labctl.runtime.store import LabDir


class Ends:
    """The first processes of one lab's nodes."""

    def __init__(self, place: LabDir) -> None:
        self._place = place
        self._nodes: dict[int, str] = {}
        self._looked_at = -1
        self._exits: exits.Exits | None
        try:
            self._exits = exits.Exits(())
        except (
            OSError
        ):  # this kernel does not tell, or not here: exit statuses stay unknown, and `inspect` says so
            self._exits = None
        self.refresh()

    def fileno(self) -> int | None:
        return None if self._exits is None else self._exits.fileno()

    def refresh(self) -> None:
        """Listen to the processes there are now; costs nothing unless a node was started since."""
        if self._exits is None:
            return
        started = ended.last_start(self._place)
        if started == self._looked_at:
            return
        self.read()  # of those that were listened to
        self._looked_at = started
        self._nodes = ended.first_processes(self._place)
        self._exits.only(self._nodes)

    def read(self) -> None:
        """Write down what has ended."""
        if self._exits is None:
            return
        for each in self._exits.read():
            if each.pid in self._nodes:
                ended.note(self._place, self._nodes[each.pid], each)

    def close(self) -> None:
        if self._exits is not None:
            self._exits.close()
