"""What the agent knows and does: the machine is made to match `settle(lab, active effects)`, level by level.

No sockets of its own and no loop: the server calls in. Everything here can be called again at any time, and calling it
twice is calling it once, because each call looks at the kernel and compares. What a resource should be is a function
of the lab's record and the ledger; what it is comes from the kernel; the agent itself remembers nothing that matters.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.agent import clock, ledger, settlers
from labctl.agent.cables import Cables
from labctl.agent.codec import Lease, Owner
from labctl.agent.guarded import Guarded
from labctl.agent.inside import Inside
from labctl.agent.reading import Reading
from labctl.agent.saved import Saved
from labctl.errors import LabctlError, did_you_mean
from labctl.linux import proc
from labctl.model.effects import (
    BASE,
    Direction,
    Down,
    Effect,
    HalfCable,
    Impaired,
    NodeRef,
    Resource,
    Setting,
    exists,
    resources,
    settle,
)
from labctl.model.lab import NodeKind
from labctl.runtime.base import RUNTIMES, Runtime
from labctl.runtime.store import LabDir, Record

#: How soon a resource that could not be brought to its setting is tried again.
RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A lease that somebody wants from now on."""

    id: str
    effects: tuple[Effect, ...]
    lease_s: float


class Agent:
    """One lab on this host."""

    def __init__(self, place: LabDir) -> None:
        self.place = place
        self.since = clock.now()
        self.ledger = ledger.Ledger(place.ledger_file)
        self.cables = Cables(place)
        self.off_base: dict[Resource, str] = {}  # what could not be brought to its setting, and why
        self.guarded = Guarded(place)
        self.saved = Saved(place.saved_dir)
        self._ticked = self.since.boot  # when `end_expired` last looked
        self._retry_at = self.since.boot  # what is off its setting
        self._runtime: Runtime | None = None
        self._load()

    def close(self) -> None:
        self.cables.close()
        self.guarded.close()
        self.ledger.close()

    def _load(self) -> None:
        self.record: Record = self.place.need()
        lab = self.record.lab
        self._known = resources(lab)
        self.settings: Mapping[Resource, Setting] = settle(lab, self.ledger.effects_at(clock.now().boot))
        self.cables.load(self.record)
        self.guarded.watch(lab)

    def refresh(self, nodes: Iterable[str], *, panel: bool) -> None:
        """Events are waiting in these namespaces: read again what changed and level what depends on it."""
        among, changed = self.cables.light.refresh(nodes, panel=panel)
        self.cables.light.level(among, self.settings)
        shut = [port for port in settlers.shut(self.settings) if port.port.node in changed]
        if shut:
            self._settle(shut)  # somebody may have raised one

    # -- leases ------------------------------------------------------------------------------------------------

    def add(
        self,
        lease_id: str,
        effects: Sequence[Effect],
        lease_s: float,
        owner: Owner | None,
        *,
        windows: Sequence[tuple[float, float]] = (),
        about: str = "",
    ) -> list[Reading]:
        """Apply the effects of one fault under a lease; an active lease of the same id is replaced.

        windows: from when to when each effect is there, in seconds from now; none: all of them, all the time.
        """
        self._check(lease_id, effects, lease_s, owner)
        self._check_impairments([lease_id], effects)
        at = clock.now()
        lease = Lease(
            id=lease_id,
            effects=tuple(effects),
            deadline_boot=at.boot + lease_s,
            deadline_wall=at.wall + lease_s,
            owner=owner,
            windows=tuple((at.boot + start, at.boot + end) for start, end in windows),
            about=about,
        )
        replaced = self.ledger.active.get(lease_id)
        self.ledger.added(lease, at)
        wanted = [effect.on for effect in effects]
        stale = [effect.on for effect in replaced.effects if effect.on not in wanted] if replaced else []
        self._settle(stale)
        readings = self._settle(wanted)
        refused = [reading for reading in readings if not reading.taken]
        if refused:
            said = "; ".join(f"{reading.on}: {reading.note}" for reading in refused)
            self.ledger.failed(lease_id, said, clock.now())
            self._settle(wanted)
            dead = any(isinstance(reading.on, NodeRef) for reading in refused)
            raise LabctlError(
                "effect-not-taken",
                f"fault {lease_id!r} did not take: {said}",
                hint="`labctl inspect` says whether the node runs" if dead else None,
            )
        self.ledger.applied(lease_id, clock.now())
        return readings

    def change(
        self, begin: Sequence[Asked], end: Collection[str], owner: Owner | None
    ) -> tuple[list[Reading], dict[str, str]]:
        """Begin and end leases at one instant; the readings, and of each lease that did not take, why.

        All of it is on disk before the first touch, and the touches follow each other without a pause. A lease that
        did not take is withdrawn; the others stay.
        """
        for each in begin:
            self._check(each.id, each.effects, each.lease_s, owner)
        ids = [*end, *(each.id for each in begin)]
        self._check_impairments(ids, [effect for each in begin for effect in each.effects])
        touched: list[Resource] = []
        at = clock.now()
        with self.ledger.together():
            for lease_id in (*end, *(each.id for each in begin)):
                if lease_id in self.ledger.active:
                    touched += [effect.on for effect in self.ledger.active[lease_id].effects]
            for lease_id in [each for each in dict.fromkeys(end) if each in self.ledger.active]:
                self.ledger.cleared(lease_id, "request", at)
            for each in begin:
                touched += [effect.on for effect in each.effects]
                lease = Lease(
                    id=each.id,
                    effects=each.effects,
                    deadline_boot=at.boot + each.lease_s,
                    deadline_wall=at.wall + each.lease_s,
                    owner=owner,
                )
                self.ledger.added(lease, at)
        readings = self._settle(touched)
        refused = self._refused(begin, {r.on: r.note for r in readings if not r.taken})
        at = clock.now()
        with self.ledger.together():
            for each in begin:
                if each.id in refused:
                    self.ledger.failed(each.id, refused[each.id], at)
                else:
                    self.ledger.applied(each.id, at)
        self._settle([effect.on for each in begin if each.id in refused for effect in each.effects])
        return readings, refused

    @staticmethod
    def _refused(begin: Sequence[Asked], wrong: Mapping[Resource, str]) -> dict[str, str]:
        said = {
            each.id: "; ".join(dict.fromkeys(f"{e.on}: {wrong[e.on]}" for e in each.effects if e.on in wrong))
            for each in begin
        }
        return {lease_id: why for lease_id, why in said.items() if why}

    def clear(self, ids: Collection[str], because: str) -> list[Reading]:
        """End leases; ids that are not active are already ended, which is what was asked."""
        ended = [self.ledger.active[each] for each in ids if each in self.ledger.active]
        for lease in ended:
            self.ledger.cleared(lease.id, because, clock.now())
        return self._settle([effect.on for lease in ended for effect in lease.effects])

    def end_expired(self) -> list[str]:
        """Clear every lease whose time is over or whose owner is gone; try again what is off its setting."""
        ids = ledger.expired(self.ledger.active.values(), clock.now().boot)
        self.clear(ids, "lease")
        orphans = tuple(i for i, each in self.ledger.active.items() if each.owner and not _lives(each.owner))
        self.clear(orphans, "owner")
        again = [*self._turned(), *settlers.held(self.settings)]
        if self.off_base and self._ticked >= self._retry_at:
            self._retry_at = self._ticked + RETRY_S
            again += self.off_base
        if again:
            self._settle(again)
        self.cables.impairs.reap()
        return [*ids, *orphans]

    def _turned(self) -> list[Resource]:
        """What an effect began or ceased to touch since the last look, by the windows of its lease."""
        before, self._ticked = self._ticked, clock.now().boot
        return [
            effect.on
            for lease in self.ledger.active.values()
            for effect, edges in zip(lease.effects, lease.windows, strict=False)
            if any(before < edge <= self._ticked for edge in edges)
        ]

    def next_wake_s(self) -> float | None:
        """Seconds until `end_expired` has something to do."""
        deadline = ledger.next_deadline(self.ledger.active.values())
        wakes = [] if deadline is None else [max(0.0, deadline - clock.now().boot)]
        if self.off_base:
            wakes.append(max(0.0, self._retry_at - clock.now().boot))
        wakes += [RETRY_S] if self.guarded.wrong else []
        edges = [edge for lease in self.ledger.active.values() for edge in lease.edges if edge > self._ticked]
        wakes += [max(0.0, min(edges) - clock.now().boot)] if edges else []
        wakes += [settlers.HOLD_S] if settlers.held(self.settings) else []
        if self.cables.impairs.next_wake_s is not None:
            wakes.append(self.cables.impairs.next_wake_s)
        return min(wakes, default=None)

    def unplug(self, node: str, lease_s: float) -> list[Reading]:
        """Take the light from every cable of a node, as when it loses power."""
        if node not in {each.name for each in self.record.lab.nodes}:
            raise self._no_resource(node)
        halves = [
            HalfCable(cable.id, direction)
            for cable in self.record.lab.cables
            if any(end.port.node == node for end in cable.ends)
            for direction in Direction
        ]
        if not halves:
            return []
        lease_id = _unplugged(node)
        return self.add(lease_id, [Effect(id=lease_id, on=h, change=Down()) for h in halves], lease_s, None)

    def replug(self, node: str) -> list[Reading]:
        """The node is back: look at its namespace and its cables anew and end `unplug`."""
        self.sync()
        broken = [
            on for on, wanted in self.settings.items() if settlers.node_of(on) == node and wanted != BASE
        ]
        return [*self._settle(broken), *self.clear([_unplugged(node)], "request")]

    # -- settling ----------------------------------------------------------------------------------------------

    def sync(self) -> list[str]:
        """Read the record and every namespace again and bring everything to its setting; what was changed."""
        self._load()
        self.cables.look_again()
        return self.settle()

    def prepare(self, effects: Sequence[Effect]) -> None:
        """Do beforehand what takes time and touches nothing, so that these faults begin when their time has come."""
        self.cables.impairs.prepare([e.change.impairment for e in effects if isinstance(e.change, Impaired)])
        for node in {node for e in effects if (node := settlers.node_of(e.on))}:
            with contextlib.suppress(LabctlError, OSError):  # it is said when the fault's time has come
                self.runtime.read(self.record.lab, NodeRef(node))

    def wire_died(self) -> None:
        """The process that serves impairments in user space has ended: start another, and bring its lines back."""
        self._settle(self.cables.impairs.worker_died())

    def settle(self, *, every_node: bool = False) -> list[str]:
        """Bring everything to its setting; what was changed.

        Of nodes and impairments only those that a lease has ever named, unless the ledger cannot be trusted to know.
        """
        changed = [
            f"carrier of {port}" for port in self.cables.light.level(self.cables.light.sides, self.settings)
        ]
        linux = {NodeRef(n.name) for n in self.record.lab.nodes if n.kind is NodeKind.LINUX}
        nodes = sorted(linux if every_node else linux.intersection(self.ledger.touched))
        cables = {HalfCable(cable.id, d) for cable in self.record.lab.cables for d in Direction}
        halves = sorted(cables if every_node else cables.intersection(self.ledger.touched))
        changed += [str(each.on) for each in self._settle(halves) if each.changed]
        changed += [f"node {each.on}" for each in self._settle(nodes) if each.changed]
        inside = {on for on in (*self.ledger.touched, *self.saved.resources()) if settlers.inner(on)}
        return changed + [str(each.on) for each in self._settle(sorted(inside, key=str)) if each.changed]

    def heal(self, *, everything: bool) -> dict[str, Any]:
        """End what is over (or all of it) and put everything at its setting; what was put back."""
        before = set(self.ledger.active)
        if everything:
            self.clear(tuple(before), "heal")
        self.end_expired()
        changed = self.sync()
        if everything:
            changed += self.settle(every_node=True)
        return {
            "cleared": sorted(before - set(self.ledger.active)),
            "put_back": changed,
            "off_base": {str(on): why for on, why in self.off_base.items()}
            | self.guarded.off_base()
            | self.saved.damaged(),
        }

    def _settle(self, touched: Collection[Resource]) -> list[Reading]:
        """Bring these resources to what the active effects make of them, and read each back."""
        self.settings = settle(self.record.lab, self.ledger.effects_at(clock.now().boot))
        readings = []
        for on in touched:
            if not exists(on, self._known):
                self.off_base.pop(on, None)  # went with a node or cable that was removed
        there = sorted((on for on in dict.fromkeys(touched) if exists(on, self._known)), key=settlers.rank)
        halves = [on for on in there if isinstance(on, HalfCable)]
        readings = self.cables.settle(halves, self.settings, self._until)
        waiting: list[Resource] = [on for on in there if not isinstance(on, HalfCable)]
        for on in waiting:
            reading = self._settle_inside(on)
            if isinstance(on, NodeRef) and reading.changed:  # what has just booted knows of no fault
                waiting += [each for each in settlers.within(on, self.settings, BASE) if each not in waiting]
            readings.append(reading)
        for reading in readings:
            if reading.taken:
                self.off_base.pop(reading.on, None)
            else:
                self.off_base[reading.on] = reading.note
        return readings

    def _until(self, half: HalfCable) -> float | None:
        """When the last lease that impairs the half-cable is over: what can end by itself then does."""
        leases = self.ledger.active.values()
        ends = [
            each.deadline_boot
            for each in leases
            if any(effect.on == half and isinstance(effect.change, Impaired) for effect in each.effects)
        ]
        return max(ends, default=None)

    def _settle_inside(self, on: Resource) -> Reading:
        wanted = self.settings.get(on, BASE)
        inside = Inside(place=self.place, lab=self.record.lab, runtime=self.runtime, saved=self.saved)
        asked = clock.now()
        try:
            changed = settlers.ensure(inside, on, wanted)
            applied = clock.now()
            note = settlers.disagrees(inside, on, wanted)
        except (OSError, LabctlError) as error:
            return Reading.failed(on, asked, error)
        return Reading(
            on=on,
            asked=asked,
            applied=applied,
            read=clock.now(),
            changed=changed,
            taken=not note,
            note=note,
        )

    @property
    def runtime(self) -> Runtime:
        """Imported at the first node effect: most agents never need it."""
        if self._runtime is None:
            self._runtime = RUNTIMES[self.record.runtime](self.place.instance)
        return self._runtime

    # -- what is refused ---------------------------------------------------------------------------------------

    def _check(self, lease_id: str, effects: Sequence[Effect], lease_s: float, owner: Owner | None) -> None:
        if not lease_id or len(lease_id) > 200:
            raise LabctlError("bad-request", "a lease needs an id of 1 to 200 characters")
        if not (math.isfinite(lease_s) and lease_s > 0):
            raise LabctlError("bad-request", f"a lease of {lease_s} s is not a time to come")
        if owner is not None and not _lives(owner):
            raise LabctlError("bad-request", f"the owner of the lease, process {owner.pid}, is not running")
        touched = {effect.on for effect in effects}
        for on in touched:
            if not exists(on, self._known):
                raise self._no_resource(str(on.cable) if isinstance(on, HalfCable) else str(on))
        bridges = {node.name for node in self.record.lab.nodes if node.kind is NodeKind.BRIDGE}
        for on in touched:
            if settlers.node_of(on) in bridges:
                raise LabctlError(
                    "effect-not-taken", f"{settlers.node_of(on)} is a bridge: nothing runs inside it"
                )

    def _check_impairments(self, ending: Collection[str], effects: Sequence[Effect]) -> None:
        """What has no meaning together, or what nothing on this machine can do, is refused before it is on disk."""
        halves = [each.on for each in effects if isinstance(each.change, Impaired)]
        if not halves:
            return
        staying = [e for i, lease in self.ledger.active.items() if i not in ending for e in lease.effects]
        settings = settle(self.record.lab, [*staying, *effects])
        for half in halves:
            if isinstance(half, HalfCable):
                self.cables.impairs.check(self.record, half, settings[half].impairment)

    def _no_resource(self, name: str) -> LabctlError:
        lab = self.record.lab
        known = [str(cable.id) for cable in lab.cables] if ":" in name else [node.name for node in lab.nodes]
        return LabctlError(
            "unknown-resource", f"lab {lab.name!r} has no {name!r}", hint=did_you_mean(name, known)
        )


def _unplugged(node: str) -> str:
    return f"unplugged:{node}"


def _lives(owner: Owner) -> bool:
    with contextlib.suppress(OSError):
        return proc.start_ticks(owner.pid) == owner.start_ticks
    return False
