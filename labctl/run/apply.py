"""Changing a lab while it runs: forward only, by levels, and from wherever an earlier change was stopped.

What the lab is to be is in its record before the first touch. Every step brings its part of the machine to that from
whatever state it finds, so there is nothing to undo and nothing to remember but where it was going: a failure or a
`kill -9` leaves a lab that says `applying`, and the next `apply` (of this file or another one) or `heal` goes on.
`destroy` works at any point, as ever: it does not ask what the lab is.

The order keeps deploy's promise that no node sees its network half-built: what leaves goes dark first and then goes,
namespaces and cables stand before a node starts on them. Nodes that the plan does not name keep their processes, ports
and cables; the agent is told which nodes to look at and brings the active effects of what is new to where they should be.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

from labctl.agent import client, guarded
from labctl.errors import LabctlError, LabctlErrors
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec, Limits, NodeKind
from labctl.names import CableId, PortId
from labctl.render import change
from labctl.render.change import Do, Step
from labctl.run import base_state, execs, limits, outputs, stages
from labctl.runtime import bound, ended, eventlog, mgmt, panel, repatch
from labctl.runtime.base import RUNTIMES, Runtime
from labctl.runtime.repatch import Repatch
from labctl.runtime.store import LabDir, Phase, Record

#: How long the cables of a node that is made anew may stay dark if nobody gives them light again.
DARK_S = 120.0
_LIMITS = frozenset(field.name for field in fields(Limits))
GO_ON = "`labctl apply FILE` or `labctl heal` goes on"


def plan(record: Record, target: LabSpec) -> tuple[Step, ...]:
    """What there is to do to make the lab of this record the target.

    Files that labctl writes itself about the lab change with every apply, and whoever binds them knows.
    """
    ours = outputs.place_of(record.lab) + os.sep
    altered = {
        name: sources
        for name, files in bound.altered(record.bound, target).items()
        if (sources := [each for each in files if not each.startswith(ours)])
    }
    return change.plan(
        record.lab,
        target,
        aimed=record.targets,
        pending=record.pending,
        altered=altered,
    )


def need_whole(place: LabDir) -> Record:
    """The record of a lab that is what it is to be; `half-applied` for one in the middle of a change."""
    record = place.need()
    if record.phase is Phase.APPLYING:
        raise half(record)
    return record


def half(record: Record) -> LabctlError:
    """What to tell whoever needs a lab that is whole."""
    steps = len(plan(record, record.target))
    return LabctlError(
        "half-applied",
        f"lab {record.lab.name!r} was being changed and is not what it was to be (steps that are left: {steps})",
        hint=GO_ON,
    )


def resume(place: LabDir, held: int, emit: Emit = ignore) -> int:
    """Finish a change that was interrupted; how many steps that took. The caller holds the lab's lock."""
    with place.quiet():
        record = place.need()
        steps = plan(record, record.target)
        execute(place, record, record.target, steps, held=held, emit=emit)
        return len(steps)


def execute(
    place: LabDir,
    record: Record,
    target: LabSpec,
    steps: Sequence[Step],
    *,
    held: int,
    emit: Emit = ignore,
) -> tuple[str, ...]:
    """Make the lab the target; the faults that ended because what they were about is gone.

    The caller holds the lab's lock and has planned from this record. `half-applied` when it stops on the way.
    """
    work = _Change(place=place, record=record, target=target, steps=tuple(steps), held=held, emit=emit)
    try:
        return work.run()
    except (LabctlError, OSError, KeyboardInterrupt) as error:
        if place.need().phase is not Phase.APPLYING:
            raise
        why = "it was interrupted" if isinstance(error, KeyboardInterrupt) else "a step failed"
        stopped = LabctlError(
            "half-applied",
            f"lab {target.name!r} is half changed: {why}; what is left is done by the next attempt",
            hint=GO_ON,
        )
        if isinstance(error, LabctlError):
            raise LabctlErrors([stopped, *error.each]) from error
        if isinstance(error, OSError):
            said = LabctlError(
                "system-refused", f"{error.filename or 'the kernel'}: {error.strerror or error}"
            )
            raise LabctlErrors([stopped, said]) from error
        raise stopped from error


@dataclass(slots=True, kw_only=True)
class _Change:
    """One change on its way."""

    place: LabDir
    record: Record
    target: LabSpec
    steps: tuple[Step, ...]
    held: int
    emit: Emit

    def run(self) -> tuple[str, ...]:
        before = (self.record.lab, *self.record.targets)
        runtime = RUNTIMES[self.record.runtime](self.place.instance, keep=(self.held,))
        anew = self._nodes(Do.RECREATE_NODE)
        new = [*anew, *self._nodes(Do.ADD_NODE)]
        gone = self._nodes(Do.REMOVE_NODE)
        self._part(before)
        self._announce(new)
        outputs.refresh(self.place, self.target, self.record.owner)
        guarded.extend(self.place, self.record.lab, self.target, self.held)
        client.start(self.place)
        touched = self._touched(before)
        over = self._adopt(touched)
        dark = [name for name in anew if name in {node.name for node in self.record.lab.nodes}]
        for name in dark:
            client.ask(self.place, "unplug", node=name, lease_s=DARK_S)
        runtime.discard(self.target.name, [*gone, *new])
        with Repatch(self.place, self.target, self.record.devices, before) as patch:
            self._wire(patch, before, gone, new)
        self._tell_others(runtime, before, new)
        self._said(Do.REMOVE_CABLE, Do.REMOVE_NODE, Do.CHANGE_LAB, Do.CHANGE_CABLE, Do.ADD_CABLE)
        changed = self._nodes(Do.CHANGE_NODE)
        last = not new and not changed
        self._advance([step for step in self.steps if step.do is not Do.CHANGE_NODE], whole=last)
        over += self._adopt(touched, renewed=[*gone, *new])
        if not last:
            self._start(runtime, new, dark)
            self._update(runtime, before)
            self._advance(self.steps, whole=True)
            over += self._adopt([name for name in changed if name not in new])
            for step in self._of(Do.CHANGE_NODE):
                if "cpu" in step.fields and step.subject not in new:
                    limits.level(self.place, step.subject)
        base_state.need(self.place, self.target)
        eventlog.note(self.place, [eventlog.about_lab(self.place, "apply", steps=str(len(self.steps)))])
        self.emit(Event(kind="applied", text=f"lab {self.target.name} is changed", subject=self.target.name))
        return tuple(dict.fromkeys(over))

    # -- the record --------------------------------------------------------------------------------------------

    def _announce(self, new: Sequence[str]) -> None:
        """On disk before the first touch: where it goes, what is being made, and the name of every device."""
        known = self.record.devices
        names = panel.allocate(self.target, known, reserved=known.values())
        self._write(
            replace(
                self.record,
                phase=Phase.APPLYING,
                targets=(*(t for t in self.record.targets if t != self.target), self.target),
                pending=tuple(sorted({*self.record.pending, *new})),
                devices={**known, **names, **repatch.replaced(known, names)},
            )
        )

    def _advance(self, done: Sequence[Step], *, whole: bool) -> None:
        """These steps are done; with the last of them the lab is the target and nothing else."""
        if whole:
            devices = panel.allocate(self.target, self.record.devices)
            there = {node.name for node in self.target.nodes}
            kept = {name: files for name, files in self.record.bound.items() if name in there}
            self._write(
                replace(
                    self.record,
                    lab=self.target,
                    phase=Phase.RUNNING,
                    targets=(),
                    pending=(),
                    devices=devices,
                    bound=kept,
                )
            )
        else:
            lab = change.after(self.record.lab, self.target, done)
            new = [node for node in self.target.nodes if node.name in self.record.pending]
            read = {node.name: bound.read(node) for node in new}
            self._write(replace(self.record, lab=lab, bound={**self.record.bound, **read}))

    def _write(self, record: Record) -> None:
        self.place.write(record)
        self.record = record

    def _adopt(self, nodes: Iterable[str], renewed: Sequence[str] = ()) -> list[str]:
        """The agent reads the record and looks at these nodes; the faults that ended."""
        ended_: list[str] = client.ask(self.place, "adopt", nodes=sorted(nodes), renewed=list(renewed))[
            "ended"
        ]
        return ended_

    # -- the machine -------------------------------------------------------------------------------------------

    def _part(self, before: Sequence[LabSpec]) -> None:
        """What an interrupted change to another lab has joined carries nothing when the old lab's ports get light.

        Else a node could be heard on the machine for a moment because of a file that is not wanted any more.
        """
        if self.record.targets:
            with Repatch(self.place, self.target, self.record.devices, before) as patch:
                patch.part(sorted(change.rejoined((*before, self.target))))

    def _wire(
        self, patch: Repatch, before: Sequence[LabSpec], gone: Sequence[str], new: Sequence[str]
    ) -> None:
        """Everything of the network: what leaves goes, what comes is there, what stays is as it should be."""
        wanted = _ports(self.target)
        patch.remove_replaced()
        for name in [*gone, *new]:  # also what an interrupted change may have left of a new one
            patch.remove_node(name)
        leaving = {port for lab in before for port in _ports(lab)} - wanted
        patch.remove_ports(sorted(port for port in leaving if port.node not in (*gone, *new)))
        patch.ensure_nodes(new)
        patch.ensure_machine()
        lab_wide = any(each.startswith("mgmt.") for step in self._of(Do.CHANGE_LAB) for each in step.fields)
        readdressed = {*new, *self._nodes(Do.CHANGE_NODE)}
        managed = [node for node in mgmt.nodes(self.target) if lab_wide or node.name in readdressed]
        patch.ensure_mgmt(managed, _stale_mgmt(before, self.target))
        cables = list(change.touched_cables(self.target, self.steps))
        # Of a port that is made, those that stand on it are joined with it again.
        cables += [
            c
            for cable in cables
            for end in cable.ends
            for c in self.target.above(end.port)
            if c not in cables
        ]
        patch.ensure_cables(cables, change.stale(before, self.target))
        patch.ensure_tags()
        patch.ensure_segments()
        patch.release_machine()

    def _start(self, runtime: Runtime, new: Sequence[str], dark: Sequence[str]) -> None:
        """Nodes that are made, on cables that stand; those that were there before get their light back."""
        nodes = [self.target.node(name) for name in new]
        linux = [node.name for node in nodes if node.kind is NodeKind.LINUX]
        staged = any(node.waits or node.stage_commands for node in nodes)
        if staged:  # a node that waits for its links gets their light at that stage
            self._light([name for name in dark if not self.target.node(name).waits])
        if linux:
            with ended.Starting(self.place):
                if staged:
                    stages.start(self.place, self.target, runtime, self.emit, among=linux)
                else:
                    runtime.start(self.target, linux, self.emit)
                client.ask(self.place, "status")  # from here on the agent watches them
        self._light(dark)
        for name in () if staged else linux:
            execs.run(self.target, self.target.node(name), runtime, self.emit)
        self._said(Do.RECREATE_NODE, Do.ADD_NODE)

    def _light(self, nodes: Iterable[str]) -> None:
        for name in nodes:
            client.ask(self.place, "replug", node=name)

    def _tell_others(self, runtime: Runtime, before: Sequence[LabSpec], new: Sequence[str]) -> None:
        """Nodes that run on know the others by name, and how many ports they have."""
        linux = [node for node in self.target.nodes if node.kind is NodeKind.LINUX and node.name not in new]
        for lab in before:
            there = {node.name for node in lab.nodes if node.kind is NodeKind.LINUX}
            runtime.update(lab, self.target, [node.name for node in linux if node.name in there])

    def _update(self, runtime: Runtime, before: Sequence[LabSpec]) -> None:
        """Nodes that are changed while they run."""
        for step in self._of(Do.CHANGE_NODE):
            node = self.target.node(step.subject)
            if node.kind is not NodeKind.LINUX:
                continue
            if step.fields & _LIMITS:
                limits.put(runtime, self.target, node.name, node.limits)
            if any(field.startswith("sysctls.") for field in step.fields):
                with Repatch(self.place, self.target, self.record.devices, before) as patch:
                    patch.write_sysctls(node)
            if "exec" in step.fields:
                added = change.appended(self.record.lab.node(node.name).exec, node.exec) or ()
                execs.run(self.target, replace(node, exec=added), runtime, self.emit)
        self._said(Do.CHANGE_NODE)

    # -- the plan ----------------------------------------------------------------------------------------------

    def _of(self, *kinds: Do) -> list[Step]:
        return [step for step in self.steps if step.do in kinds]

    def _nodes(self, kind: Do) -> list[str]:
        return [step.subject for step in self._of(kind)]

    def _touched(self, before: Sequence[LabSpec]) -> set[str]:
        """Nodes that a step is about, or that a cable of one ends at."""
        found: set[str] = set()
        for step in self.steps:
            if step.do in (Do.REMOVE_CABLE, Do.ADD_CABLE, Do.CHANGE_CABLE):
                cable = CableId.parse(step.subject)
                found |= {cable.a.node, cable.z.node}
            elif step.do is not Do.CHANGE_LAB:
                found.add(step.subject)
        anew = {*self._nodes(Do.RECREATE_NODE), *self._nodes(Do.REMOVE_NODE)}
        for lab in (*before, self.target):
            for cable_ in lab.cables:
                ends = {end.port.node for end in cable_.ends}
                found |= ends if ends & anew else set()
        return found

    def _said(self, *kinds: Do) -> None:
        total = len(self.steps)
        done = sum(Do(step.do) in kinds for step in self.steps)
        if done:
            last = max(i for i, step in enumerate(self.steps, start=1) if step.do in kinds)
            self.emit(Event(kind="step", text="steps done", done=last, total=total, passing=last < total))


def _ports(lab: LabSpec) -> set[PortId]:
    """Everything that has a panel side: also what leads out."""
    return {port for cable in lab.cables for port in cable.ports}


def _stale_mgmt(before: Iterable[LabSpec], target: LabSpec) -> dict[str, set[str]]:
    """Addresses that an eth0 had in these labs and does not have in the target."""
    wanted = {node.name: set(mgmt.addresses(target, node)) for node in mgmt.nodes(target)}
    found: dict[str, set[str]] = {}
    for lab in before:
        for node in mgmt.nodes(lab):
            if node.name in wanted:
                old = set(mgmt.addresses(lab, node)) - wanted[node.name]
                found.setdefault(node.name, set()).update(old)
    return found
