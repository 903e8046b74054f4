"""Starting nodes again whose command has ended, where their `restart-policy` asks for it.

By level, like everything here: a node with a policy whose first process is dead is due after a pause that doubles from one
short life to the next. It is started in the node's lane, where nothing overlaps with a fault, and only while nobody else
changes the lab (its lock is free); a node that a fault keeps without power is off and has not ended, and one in which a fault
keeps a process dead or still waits for the fault's end. So it fights with nobody, and what cannot be now is tried again.

A node that somebody has stopped past labctl, with what its runtime has for that, stays down: by `unless-stopped` until somebody
starts it, by the others until the runtime knows nothing of it any more. That is Docker's rule (`runtime.docker_stopped`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labctl.agent import clock
from labctl.errors import LabctlError
from labctl.linux import proc, whole
from labctl.model.lab import LabSpec, NodeKind, Restart
from labctl.runtime import ended, eventlog
from labctl.runtime.base import RUNTIMES
from labctl.runtime.store import LabDir, Phase

#: How soon the agent sees that a node is due.
_LOOK_S = 1.0
#: The pause after a first end, and the longest; a node that ran for this long begins with the first again.
_LEAST_S, _MOST_S, _WELL_S = 1.0, 60.0, 10.0
#: How soon a node that was stopped by hand is looked at again.
_REST_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How often a node was started again. row: one after the other, with short lives; boot_s: the last time, by the clock."""

    times: int = 0
    row: int = 0
    boot_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Dead:
    who: proc.Identity
    since: float


class Again:
    """The nodes of one lab that have a policy. The loop asks what is `due`, a lane asks whether it still is."""

    def __init__(self, place: LabDir) -> None:
        self._place = place
        self._lab: LabSpec | None = None
        self._policies: Mapping[str, Restart] = {}
        self._dead: dict[str, _Dead] = {}
        self._rest: dict[str, float] = {}  # stopped by hand: until when it is not looked at
        self._look_at = 0.0

    def watch(self, lab: LabSpec) -> None:
        """These are the policies from now on."""
        self._lab = lab
        self._policies = {
            node.name: node.restart
            for node in lab.nodes
            if node.kind is NodeKind.LINUX and node.restart is not Restart.NO
        }

    def next_wake_s(self) -> float | None:
        """Seconds until `due` has something to do; None in a lab without policies."""
        return max(0.0, self._look_at - clock.now().boot) if self._policies else None

    def due(self) -> list[str]:
        """Nodes that are to be started now. Costs nothing but once a second."""
        now = clock.now().boot
        if not self._policies or now < self._look_at:
            return []
        self._look_at = now + _LOOK_S
        return [node for node in self._policies if self.is_due(node)]

    def is_due(self, node: str) -> bool:
        """Whether its command has ended, its policy is to start it again, and the pause is over."""
        now = clock.now().boot
        who = ended.first_process(self._place, node)
        if who is None or proc.alive(who) or node not in self._policies:
            self._dead.pop(node, None)
            self._rest.pop(node, None)
            return False
        if now < self._rest.get(node, 0.0):
            return False
        dead = self._dead.get(node)
        if dead is None or dead.who != who:
            dead = self._dead[node] = _Dead(who, now)
        end = ended.read(self._place, node)
        if not self._policies[node].after(end.code if end else None):
            return False
        return now >= dead.since + _pause_s(count(self._place, node), dead.since)

    @contextlib.contextmanager
    def turn(self, node: str) -> Iterator[bool]:
        """Whether the node may be started now; while this is open nobody else changes the lab. Counts the attempt."""
        if self._by_hand(node):
            self._rest[node] = clock.now().boot + _REST_S
            yield False
            return
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._place.lock(wait_s=0))
            except LabctlError:  # somebody is at work on the lab, or it is being removed
                yield False
                return
            record = self._place.read()
            free = record is not None and record.phase is Phase.RUNNING and self.is_due(node)
            if free:
                self._note(node)
            yield free

    def _by_hand(self, node: str) -> bool:
        """Whether somebody has stopped it; that is noted. If nobody can say it is as it was noted."""
        noted = stopped(self._place, node)
        if noted and self._policies.get(node) is Restart.UNLESS_STOPPED:
            return True
        record = self._place.read()
        if record is None:
            return False
        runtime = RUNTIMES[record.runtime](self._place.instance)
        try:
            found = runtime.stopped_by_hand(record.lab, node)
        except LabctlError:  # nor could it be started
            return True
        if found is not None and found is not noted:
            who = ended.first_process(self._place, node) if found else None
            said = {"pid": who.pid, "start_ticks": who.start_ticks} if who else {}
            whole.write(_stopped_file(self._place, node), json.dumps(said).encode())
        return noted if found is None else found

    def _note(self, node: str) -> None:
        now = clock.now().boot
        before, dead = count(self._place, node), self._dead[node]
        row = 0 if _lived_well(before, dead.since) else before.row
        after = Count(times=before.times + 1, row=row + 1, boot_s=now)
        whole.write(_file(self._place, node), json.dumps({"version": 1, **_plain(after)}).encode())
        self._dead[node] = _Dead(dead.who, now)  # if it does not start, the pause begins anew
        assert self._lab is not None
        end = ended.read(self._place, node)
        code = {"exitCode": str(end.code)} if end else {}
        happened = eventlog.Happened(
            type="container",
            action="restart",
            actor_id=self._place.container_id(node),
            actor_name=self._lab.container(node),
            attributes={
                "node": node,
                "policy": self._policies[node].value,
                "times": str(after.times),
                **code,
            },
        )
        eventlog.note(self._place, [happened])


def count(place: LabDir, node: str) -> Count:
    """How often the node was started again by its policy."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError),
        open(_file(place, node), "rb") as file,
    ):
        said = json.load(file)
        return Count(times=int(said["times"]), row=int(said["row"]), boot_s=float(said["boot_s"]))
    return Count()


def stopped(place: LabDir, node: str) -> bool:
    """Whether it was found that somebody has stopped the node by hand, and it has not run since."""
    who = ended.first_process(place, node)
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError),
        open(_stopped_file(place, node), "rb") as file,
    ):
        said = json.load(file)
        return (
            who is not None and not proc.alive(who) and who == proc.Identity(said["pid"], said["start_ticks"])
        )
    return False


def _plain(found: Count) -> dict[str, float]:
    return {"times": found.times, "row": found.row, "boot_s": found.boot_s}


def _pause_s(found: Count, died: float) -> float:
    row = 0 if _lived_well(found, died) else found.row
    return min(_MOST_S, _LEAST_S * 2.0 ** min(row, 10))


def _lived_well(found: Count, died: float) -> bool:
    return died - found.boot_s >= _WELL_S


def _stopped_file(place: LabDir, node: str) -> str:
    return os.path.join(place.node_dir(node), "stopped.json")


def _file(place: LabDir, node: str) -> str:
    return os.path.join(place.node_dir(node), "again.json")
