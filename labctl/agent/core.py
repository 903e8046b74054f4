"""What the agent knows and does: the machine is made to match `settle(lab, active effects)`, level by level.

No sockets of its own and no loop: the server calls in. Everything here can be called again at any time, and calling it
twice is calling it once, because each call looks at the kernel and compares. What a resource should be is a function
of the lab's record and the ledger; what it is comes from the kernel; the agent itself remembers nothing that matters.

Cables are settled at once, what is inside nodes in lanes beside the loop. A request that has to wait for a lane is a
generator that yields what it waits for; meanwhile others are served, so after each `yield` the ledger may be another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from labctl.agent import clock, ledger, refusals, settlers
from labctl.agent.cables import Cables
from labctl.agent.checks import Checks
from labctl.agent.codec import Lease, Owner
from labctl.agent.guarded import Guarded
from labctl.agent.lanes import Job
from labctl.agent.nodes import Nodes
from labctl.agent.publishing import Publishing
from labctl.agent.reading import Reading
from labctl.errors import LabctlError
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
    bases,
    exists,
    resources,
    settle,
)
from labctl.model.impairment import compose_all
from labctl.model.lab import NodeKind
from labctl.runtime.store import LabDir, Record

#: How soon a resource that could not be brought to its setting is tried again.
RETRY_S = 1.0

T = TypeVar("T")
#: Something that is done when what it yields is done, and then goes on.
Work: TypeAlias = Generator[Job[Resource, Reading], None, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A lease that somebody wants from now on. windows: from when to when each effect is there, in seconds from now."""

    id: str
    effects: tuple[Effect, ...]
    lease_s: float
    windows: tuple[tuple[float, float], ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """leases: those that began, as they are in the ledger. refused: of each that did not take, why."""

    readings: tuple[Reading, ...]
    leases: tuple[Lease, ...]
    refused: Mapping[str, str]


class Agent:
    """One lab on this host."""

    def __init__(self, place: LabDir) -> None:
        self.place = place
        self.since = clock.now()
        self.ledger = ledger.Ledger(place.ledger_file)
        self.settings: Mapping[Resource, Setting] = {}
        self.base: Mapping[Resource, Setting] = {}  # what is not at `BASE` without any effect
        self.cables = Cables(place)
        self.nodes = Nodes(place, lambda: self.settings)
        self.saved = self.nodes.saved
        self.off_base: dict[Resource, str] = {}  # what could not be brought to its setting, and why
        self.guarded = Guarded(place)
        self.checks = Checks(place)
        self.publishing = Publishing(place)
        self._ticked = self.since.boot  # when `tick` last looked at windows
        self._retry_at = self.since.boot  # what is off its setting
        self._hold_at = self.since.boot  # daemons that are to be dead
        self._waiting: list[tuple[Job[Resource, Reading], Callable[[], None]]] = []
        self._load()

    def close(self) -> None:
        self.checks.close()
        self.publishing.close()
        self.nodes.close()
        self.cables.close()
        self.guarded.close()
        self.ledger.close()

    def _load(self, only: Collection[str] | None = None) -> None:
        """Read the record. only: the nodes in which anything can have changed; None: all."""
        self.record: Record = self.place.need()
        lab = self.record.lab
        # What the lab is being changed to does not have is leaving: no effect touches it any more.
        self._here = resources(lab)
        target = self.record.target
        self._leaving = frozenset() if target is lab else self._here - resources(target)
        self._known = self._here - self._leaving
        self.base = bases(target)
        self._fold()
        self.cables.load(self.record)
        self.nodes.load(self.record)
        self.guarded.watch(lab, only)
        self.publishing.watch(lab)
        if any(node.healthcheck for node in lab.nodes) or self.checks.active:
            self.checks.watch(lab, self.nodes.runtime)

    def _fold(self) -> None:
        effects = list(self.ledger.effects_at(clock.now().boot))
        if self._leaving:
            effects = [each for each in effects if exists(each.on, self._known)]
            effects += [
                Effect(id="leaving", on=on, change=Down())
                for on in self._leaving
                if isinstance(on, HalfCable)
            ]
        self.settings = settle(self.record.lab, effects, self.base)

    # -- work that waits ---------------------------------------------------------------------------------------

    def start(self, work: Work[T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        """Do it as far as it goes now, the rest when `collect` says that it can go on."""

        def go_on() -> None:
            try:
                while (job := next(work)).done:
                    pass
            except StopIteration as end:
                done(end.value)
            except (LabctlError, ValueError, OSError) as error:
                failed(error)
            else:
                self._waiting.append((job, go_on))

        go_on()

    def collect(self) -> None:
        """Things inside nodes have been looked at: note how they are, and go on with what waited for them."""
        for reading in self.nodes.collect():
            self._note(reading)
        ready = [go_on for job, go_on in self._waiting if job.done]
        self._waiting = [each for each in self._waiting if not each[0].done]
        for go_on in ready:
            go_on()

    # -- the loop's part ---------------------------------------------------------------------------------------

    def refresh(self, nodes: Iterable[str], *, panel: bool) -> None:
        """Events are waiting in these namespaces: read again what changed and level what depends on it."""
        among, changed = self.cables.light.refresh(nodes, panel=panel)
        self.cables.light.level(among, self.settings)
        shut = [port for port in settlers.shut(self.settings) if port.port.node in changed]
        if shut:
            self._begin(shut)  # somebody may have raised one

    def tick(self) -> None:
        """End every lease whose time is over or whose owner is gone; try again what is off its setting."""
        self._end(ledger.expired(self.ledger.active.values(), clock.now().boot), "lease")
        self._end(
            [i for i, each in self.ledger.active.items() if each.owner and not refusals.lives(each.owner)],
            "owner",
        )
        again = self._turned()
        if self._ticked >= self._hold_at:
            self._hold_at = self._ticked + settlers.HOLD_S
            again += settlers.held(self.settings)
        if self.off_base and self._ticked >= self._retry_at:
            self._retry_at = self._ticked + RETRY_S
            again += self.off_base
        again += [NodeRef(node) for node in self.nodes.again.due()]
        self._begin(again)
        self.cables.impairs.reap()
        self.publishing.tick()

    def _end(self, ids: Collection[str], because: str) -> None:
        """End leases that nobody asks about."""
        if ids:
            self.start(self.clear(ids, because), lambda _: None, _raise)

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
        """Seconds until `tick` has something to do."""
        now = clock.now().boot
        deadline = ledger.next_deadline(self.ledger.active.values())
        times = [] if deadline is None else [deadline]
        times += [self._retry_at] if self.off_base else []
        times += [
            edge for lease in self.ledger.active.values() for edge in lease.edges if edge > self._ticked
        ]
        times += [self._hold_at] if settlers.held(self.settings) else []
        wakes = [max(0.0, at - now) for at in times]
        wakes += [RETRY_S] if self.guarded.wrong else []
        beside = (
            self.cables.impairs.next_wake_s,
            self.publishing.next_wake_s(),
            self.nodes.again.next_wake_s(),
        )
        wakes += [each for each in beside if each is not None]
        return min(wakes, default=None)

    def wire_died(self) -> None:
        """The process that serves impairments in user space has ended: start another, and bring its lines back."""
        self._begin(self.cables.impairs.worker_died())

    # -- requests ----------------------------------------------------------------------------------------------

    def add(self, asked: Asked, owner: Owner | None) -> Work[Changed]:
        """Apply the effects of one fault under a lease; an active lease of the same id is replaced."""
        changed = yield from self.change([asked], (), owner)
        if asked.id in changed.refused:
            wrong = {reading.on for reading in changed.readings if not reading.taken}
            dead = any(isinstance(effect.on, NodeRef) and effect.on in wrong for effect in asked.effects)
            raise LabctlError(
                "effect-not-taken",
                f"fault {asked.id!r} did not take: {changed.refused[asked.id]}",
                hint="`labctl inspect` says whether the node runs" if dead else None,
            )
        return changed

    def change(
        self,
        begin: Sequence[Asked],
        end: Collection[str],
        owner: Owner | None,
        also: Collection[Resource] = (),
        at: float = 0.0,
    ) -> Work[Changed]:
        """Begin and end leases at one instant, `at` by the monotonic clock or, where that is over, now.

        All of it is on disk before the first touch, and the touches follow each other without a pause. A lease that
        did not take is withdrawn; the others stay. also: what else to bring to its setting, and to wait for.
        """
        for each in begin:
            refusals.check(
                self.record.lab, self._known, each.id, each.effects, lease_s=each.lease_s, owner=owner
            )
        ids = [*end, *(each.id for each in begin)]
        self._check_impairments(ids, [effect for each in begin for effect in each.effects])
        touched = [e.on for i in ids if i in self.ledger.active for e in self.ledger.active[i].effects]
        touched += [effect.on for each in begin for effect in each.effects]
        touched += also
        asked = clock.now()
        leases = {each.id: _lease(each, asked, owner) for each in begin}
        with self.ledger.together():
            for lease_id in [each for each in dict.fromkeys(end) if each in self.ledger.active]:
                self.ledger.cleared(lease_id, "request", asked)
            for lease in leases.values():
                self.ledger.added(lease, asked)
        readings = yield from self._settle(touched, at=at)
        refused = _refused(begin, {r.on: r.note for r in readings if not r.taken})
        mine = [
            i for i, lease in leases.items() if self.ledger.active.get(i) is lease
        ]  # nobody ended it meanwhile
        made = clock.now()
        with self.ledger.together():
            for lease_id in mine:
                if lease_id in refused:
                    self.ledger.failed(lease_id, refused[lease_id], made)
                else:
                    self.ledger.applied(lease_id, made)
        yield from self._settle([effect.on for i in mine if i in refused for effect in leases[i].effects])
        return Changed(readings=tuple(readings), leases=tuple(leases.values()), refused=refused)

    def clear(self, ids: Collection[str], because: str) -> Work[list[Reading]]:
        """End leases; ids that are not active are already ended, which is what was asked."""
        ended = [self.ledger.active[each] for each in ids if each in self.ledger.active]
        for lease in ended:
            self.ledger.cleared(lease.id, because, clock.now())
        return (yield from self._settle([effect.on for lease in ended for effect in lease.effects]))

    def unplug(self, node: str, lease_s: float) -> Work[list[Reading]]:
        """Take the light from every cable of a node, as when it loses power."""
        if node not in {each.name for each in self.record.lab.nodes}:
            raise refusals.no_resource(self.record.lab, node)
        halves = [
            HalfCable(cable.id, direction)
            for cable in self.record.lab.cables
            if any(end.port.node == node for end in cable.ends)
            for direction in Direction
            if HalfCable(cable.id, direction) in self._known  # what leaves is dark already
        ]
        if not halves:
            return []
        lease_id = _unplugged(node)
        effects = tuple(Effect(id=lease_id, on=half, change=Down()) for half in halves)
        changed = yield from self.add(Asked(id=lease_id, effects=effects, lease_s=lease_s), None)
        return list(changed.readings)

    def replug(self, node: str) -> Work[list[Reading]]:
        """The node is back: look at its namespace and its cables anew and end `unplug`."""
        yield from self.sync()
        broken = [
            on for on, wanted in self.settings.items() if settlers.node_of(on) == node and wanted != BASE
        ]
        readings = yield from self._settle(broken)
        return readings + (yield from self.clear([_unplugged(node)], "request"))

    def relimit(self, node: str) -> Work[list[Reading]]:
        """The record has other limits for a node: its CPU's is what they and the active effects make of it."""
        if node not in {each.name for each in self.record.lab.nodes}:
            raise refusals.no_resource(self.record.lab, node)
        self._load()
        return (yield from self._settle([NodeRef(node)]))

    def prepare(self, effects: Sequence[Effect]) -> None:
        """Do beforehand what takes time and touches nothing, so that these faults begin when their time has come."""
        self.cables.impairs.prepare([e.change.impairment for e in effects if isinstance(e.change, Impaired)])
        with contextlib.suppress(LabctlError, OSError):  # it is said when the fault's time has come
            self.nodes.prepare({node for e in effects if (node := settlers.node_of(e.on))})

    def sync(self) -> Work[list[str]]:
        """Read the record and every namespace again and bring everything to its setting; what was changed."""
        self._load()
        self.cables.look_again()
        return (yield from self.settle())

    def adopt(self, nodes: Collection[str], renewed: Collection[str]) -> Work[list[str]]:
        """The lab is being changed: read its record and look again at these nodes; the leases that ended with that.

        A lease ends with the last thing that it is about. Cables that leave are dark and not impaired when this
        returns. renewed: nodes that were made anew, so that nothing of what was saved for the way back is true.
        """
        for on in self.saved.resources():
            if settlers.node_of(on) in renewed:
                self.saved.remove(on)
        touched = [
            on for on in self.ledger.touched if isinstance(on, HalfCable) or settlers.node_of(on) in nodes
        ]
        before = self._impaired()
        self._load(nodes)
        ended = [
            lease.id
            for lease in self.ledger.active.values()
            if not any(exists(effect.on, self._known) for effect in lease.effects)
        ]
        with self.ledger.together():
            for each in ended:
                self.ledger.cleared(each, "gone", clock.now())
        self.cables.look_again(nodes)
        self._fold()
        self.cables.light.level(self.cables.light.sides, self.settings)
        touched += sorted(before | self._impaired(), key=str)
        yield from self._settle([on for on in touched if exists(on, self._here)], leaving=True)
        return ended

    def settle(self, *, every_node: bool = False) -> Work[list[str]]:
        """Bring everything to its setting; what was changed.

        Of nodes and impairments only those that a lease has ever named or that the lab's file impairs (or did, if it is
        being changed), unless the ledger cannot be trusted to know.
        """
        light = self.cables.light
        changed = [f"carrier of {port}" for port in light.level(light.sides, self.settings)]
        linux = {NodeRef(n.name) for n in self.record.lab.nodes if n.kind is NodeKind.LINUX}
        nodes = sorted(linux if every_node else linux.intersection(self.ledger.touched))
        cables = {HalfCable(cable.id, d) for cable in self.record.lab.cables for d in Direction}
        named = self._impaired().union(self.ledger.touched)
        halves = sorted(cables if every_node else cables.intersection(named))
        inside = {on for on in (*self.ledger.touched, *self.saved.resources()) if settlers.inner(on)}
        readings = yield from self._settle([*halves, *nodes, *sorted(inside, key=str)])
        return changed + [
            f"node {each.on}" if isinstance(each.on, NodeRef) else str(each.on)
            for each in readings
            if each.changed
        ]

    def heal(self, *, everything: bool) -> Work[dict[str, Any]]:
        """End what is over (or all of it) and put everything at its setting; what was put back."""
        before = set(self.ledger.active)
        if everything:
            yield from self.clear(tuple(before), "heal")
        self.tick()
        changed = yield from self.sync()
        if everything:
            changed += yield from self.settle(every_node=True)
        return {
            "cleared": sorted(before - set(self.ledger.active)),
            "put_back": changed,
            "off_base": self.wrong(),
        }

    def has(self, on: Resource) -> bool:
        """Whether the lab has it, and keeps it."""
        return exists(on, self._known)

    def wrong(self) -> dict[str, str]:
        """What is not as it should be, and why."""
        off_base = {str(on): why for on, why in self.off_base.items()}
        return off_base | self.guarded.off_base() | self.saved.damaged()

    # -- settling ----------------------------------------------------------------------------------------------

    def _settle(
        self, touched: Collection[Resource], *, leaving: bool = False, at: float = 0.0
    ) -> Work[list[Reading]]:
        """Bring these resources to what the active effects make of them, and read each back."""
        readings, job = self._begin(touched, leaving=leaving, at=at)
        yield job
        return readings + job.results

    def _impaired(self) -> frozenset[Resource]:
        """What the lab's file impairs, or did before it began to be changed."""
        labs = (self.record.lab, *self.record.targets)
        return frozenset(on for lab in labs for on in bases(lab))

    def _begin(
        self, touched: Collection[Resource], *, leaving: bool = False, at: float = 0.0
    ) -> tuple[list[Reading], Job[Resource, Reading]]:
        """The same, without waiting: cables are read back, what is inside nodes will be.

        leaving: also cables that a change of the lab is about to take away. at: touch nothing before this time.
        """
        if not touched:
            return [], Job(set())
        self._fold()
        known = (
            self._known | {on for on in self._leaving if isinstance(on, HalfCable)}
            if leaving
            else self._known
        )
        for on in touched:
            if not exists(on, known):
                self.off_base.pop(on, None)  # went with a node or cable that was removed
        there = [on for on in dict.fromkeys(touched) if exists(on, known)]
        halves = [on for on in there if isinstance(on, HalfCable)]
        readings = self.cables.settle(halves, self.settings, self._until, at)
        for reading in readings:
            self._note(reading)
        return readings, self.nodes.submit(on for on in there if not isinstance(on, HalfCable))

    def _note(self, reading: Reading) -> None:
        if reading.taken:
            self.off_base.pop(reading.on, None)
        else:
            self.off_base[reading.on] = reading.note

    def _until(self, half: HalfCable) -> float | None:
        """When the last lease that impairs the half-cable is over: what can end by itself then does."""
        leases = self.ledger.active.values()
        ends = [
            each.deadline_boot
            for each in leases
            if any(effect.on == half and isinstance(effect.change, Impaired) for effect in each.effects)
        ]
        return max(ends, default=None)

    def _check_impairments(self, ending: Collection[str], effects: Sequence[Effect]) -> None:
        """What has no meaning together, or what nothing on this machine can do, is refused before it is on disk."""
        halves = [each.on for each in effects if isinstance(each.change, Impaired)]
        if not halves:
            return
        staying = [e for i, lease in self.ledger.active.items() if i not in ending for e in lease.effects]
        for half in halves:
            if isinstance(half, HalfCable):
                faults = [
                    e.change.impairment
                    for e in (*staying, *effects)
                    if e.on == half and isinstance(e.change, Impaired)
                ]
                whole = compose_all([self.base.get(half, BASE).impairment, *faults])
                self.cables.impairs.check(self.record, half, whole)


def _lease(asked: Asked, at: clock.Stamp, owner: Owner | None) -> Lease:
    return Lease(
        id=asked.id,
        effects=asked.effects,
        deadline_boot=at.boot + asked.lease_s,
        deadline_wall=at.wall + asked.lease_s,
        owner=owner,
        windows=tuple((at.boot + start, at.boot + end) for start, end in asked.windows),
        about=asked.about,
    )


def _refused(begin: Sequence[Asked], wrong: Mapping[Resource, str]) -> dict[str, str]:
    said = {
        each.id: "; ".join(dict.fromkeys(f"{e.on}: {wrong[e.on]}" for e in each.effects if e.on in wrong))
        for each in begin
    }
    return {lease_id: why for lease_id, why in said.items() if why}


def _raise(error: Exception) -> None:
    raise error


def _unplugged(node: str) -> str:
    return f"unplugged:{node}"
