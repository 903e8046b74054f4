"""Scenario + lab + seed -> plan: everything that can be known before the run is known.

Targets become resources, chance becomes values, faults become spans of effects; then the plan is judged on paper: can
its faults act together, and is its blast radius within what the scenario allows itself? Nothing is touched, so this is
also all that `--dry-run` and `validate --lab` do.

Draws hang on a step's id, or without one on what it says, and on the repetition; never on its position. A target that is
defined by name is drawn once for the whole run, one that is written at a step each time the step runs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, cast

from labctl.errors import LabctlError, Problems, did_you_mean
from labctl.faults import limits, overlap
from labctl.faults.draw import Draw, fingerprint
from labctl.faults.phases import course
from labctl.faults.predict import predict
from labctl.model.lab import LabSpec
from labctl.model.measures import PROBE_KINDS, Unit
from labctl.model.scenario import (
    CheckStep,
    Choose,
    Fault,
    FaultStep,
    Parallel,
    Plan,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    PlanStep,
    ProbeSpec,
    Query,
    Repeat,
    Scenario,
    Sequence,
    Step,
    Targets,
    TimedEffect,
    WaitStep,
)
from labctl.names import is_address
from labctl.topo import query
from labctl.topo.query_graph import Graph

#: A plan of more faults is a mistake in a `repeat`.
MOST_FAULTS = 10_000
#: And of more steps as well, each round of a `repeat` counted.
MOST_STEPS = 100_000


def plan(scenario: Scenario, lab: LabSpec, seed: int, graph: Graph | None = None) -> Plan:
    """The scenario resolved for this lab, or all its errors at once. graph: the lab's, if somebody has it."""
    graph = Graph(lab) if graph is None else graph
    planner = _Planner(scenario=scenario, graph=graph, draw=Draw(seed=seed, path=(scenario.name,)))
    root = planner.step(scenario.timeline, ())
    problems = planner.problems
    check_probes(scenario.probes, planner.graph, problems)
    problems.stop()
    run = course(root)
    overlap.check(run.phases, lab, planner.faults, problems)
    problems.stop()
    predicted = predict(run.phases, planner.graph)
    limits.check(scenario.blast_radius, predicted, planner.faults, planner.graph, problems)
    problems.stop()
    return Plan(
        scenario=scenario.name,
        lab=lab.name,
        seed=seed,
        root=root,
        probes=scenario.probes,
        steady=scenario.steady,
        during=scenario.during,
        after=scenario.after,
        stop_when=scenario.stop_when,
        predicted=predicted,
        min_s=run.min_s,
        max_s=run.max_s,
    )


@dataclass(slots=True, kw_only=True)
class _Planner:
    scenario: Scenario
    graph: Graph
    draw: Draw
    problems: Problems = field(default_factory=Problems)
    faults: dict[str, PlannedFault] = field(default_factory=dict)
    _twins: Counter[tuple[str, ...]] = field(default_factory=Counter)
    _named: dict[str, Targets | None] = field(default_factory=dict)
    _steps: int = 0

    def step(self, step: Step, rounds: tuple[str, ...]) -> PlanStep:
        """rounds: which repetition of each `repeat` around it this is."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            self.problems.add(
                "bad-value", f"the timeline has more than {MOST_STEPS} steps: look at its `repeat`s"
            )
            self.problems.stop()
        match step:
            case FaultStep():
                return self._fault(step, rounds)
            case WaitStep() | CheckStep():
                return step
            case Sequence():
                return PlannedSequence(steps=tuple(self.step(each, rounds) for each in step.steps))
            case Parallel():
                return PlannedParallel(steps=tuple(self.step(each, rounds) for each in step.steps))
            case Repeat():
                every = ((*rounds, str(number)) for number in range(1, step.count + 1))
                return PlannedSequence(steps=tuple(self.step(step.step, each) for each in every))
            case Choose():
                return self.step(self._chosen(step, rounds), rounds)

    def _fault(self, step: FaultStep, rounds: tuple[str, ...]) -> PlanStep:
        idle = WaitStep(for_s=step.for_s)
        self._twins["steps",] += 1
        if self._twins["steps",] > MOST_FAULTS:
            said = f"the timeline comes to more than {MOST_FAULTS} faults"
            self.problems.add("bad-value", said, where=step.where)
            self.problems.stop()
        draw = self._at(step, rounds)
        targets = self._targets(step.target, draw)
        if targets is None or targets == Targets():
            return idle
        fault_id = self._id(step.id)
        try:
            spans = _spans(step, fault_id, self.graph.lab, targets, draw)
        except LabctlError as error:
            where = error.where or step.where
            self.problems.add(error.code, error.message, where=where, hint=error.hint)
            return idle
        except ValueError as error:
            self.problems.add("bad-value", f"{step.fault.kind}: {error}", where=step.where)
            return idle
        if not spans:
            said = f"{step.fault.kind} has nothing to break on {said_targets(targets)}"
            self.problems.add("empty-target", said, where=step.where)
            return idle
        said = f"{_said_settings(step)} on {said_targets(targets)}"
        kind, where = step.fault.kind, step.where
        planned = PlannedFault(
            id=fault_id, kind=kind, said=said, targets=targets, spans=spans, for_s=step.for_s, where=where
        )
        self.faults[fault_id] = planned
        return planned

    def _id(self, wanted: str) -> str:
        """`flap`, `flap#2`, …"""
        self._twins["id", wanted] += 1
        number = self._twins["id", wanted]
        return wanted if number == 1 else f"{wanted}#{number}"

    def _at(self, step: Step, rounds: tuple[str, ...]) -> Draw:
        key = _key(step)
        self._twins["draw", key, *rounds] += 1
        twin = self._twins["draw", key, *rounds]
        return replace(self.draw, path=(*self.draw.path, "step", key, str(twin), *rounds))

    def _chosen(self, choose: Choose, rounds: tuple[str, ...]) -> Step:
        total = sum(weight for weight, _ in choose.options)
        left = self._at(choose, rounds).uniform("choose", 0, total)
        for weight, step in choose.options:
            left -= weight
            if left < 0:
                return step
        return next(step for weight, step in reversed(choose.options) if weight > 0)

    def _targets(self, target: Query | Targets | str, draw: Draw) -> Targets | None:
        """None: there is a problem, and it is noted."""
        if isinstance(target, Targets):
            return target
        if isinstance(target, Query):
            return self._select(target, draw)
        if target not in self._named:
            wanted = self.scenario.targets[target]
            self._named[target] = self._select(wanted, self.draw.at("target").at(target))
        return self._named[target]

    def _select(self, wanted: Query, draw: Draw) -> Targets | None:
        try:
            return query.select(wanted, self.graph, draw)
        except LabctlError as error:
            self.problems.extend(error)
            return None


def check_probes(probes: tuple[ProbeSpec, ...], graph: Graph, problems: Problems) -> None:
    """That the nodes exist which probes ask from and to."""
    for probe in probes:
        for setting in PROBE_KINDS[probe.kind].values():
            name = probe.settings.get(setting.name)
            if not isinstance(name, str) or setting.unit not in (Unit.NODE, Unit.HOST) or name in graph.nodes:
                continue
            if setting.unit is Unit.NODE or not is_address(name):
                said = f"probe {probe.id}: lab {graph.lab.name} has no node {name!r}"
                problems.add("unknown-node", said, where=probe.where, hint=did_you_mean(name, graph.nodes))


def _spans(
    step: FaultStep, fault_id: str, lab: LabSpec, targets: Targets, draw: Draw
) -> tuple[TimedEffect, ...]:
    """A ramp is its fault again and again with other values, each for an equal share of the time."""
    if not step.ramp:
        return step.fault.spans(fault_id, lab, targets, step.for_s, draw)
    found: list[TimedEffect] = []
    rungs = _rungs(step)
    each_s = step.for_s / len(rungs)
    for number, fault in enumerate(rungs):
        start = number * each_s
        spans = fault.spans(fault_id, lab, targets, each_s, draw)
        found += (replace(s, start_s=start + s.start_s, end_s=start + s.end_s) for s in spans)
    return tuple(found)


def _rungs(step: FaultStep) -> tuple[Fault, ...]:
    length = max(len(values) for values in step.ramp.values())
    rows = [{name: values[n] for name, values in step.ramp.items()} for n in range(length)]
    return tuple(cast("Fault", replace(cast("Any", step.fault), **row)) for row in rows)


def _said_settings(step: FaultStep) -> str:
    if not step.ramp:
        return step.fault.said()
    return ", then ".join(fault.said() for fault in _rungs(step))


def said_targets(targets: Targets, most: int = 4) -> str:
    """`r1:eth1--r2:eth1, r3 and 5 more`."""
    names = [str(each) for each in (*targets.cables, *targets.nodes, *targets.ports)]
    if len(names) <= most:
        return ", ".join(names)
    return ", ".join(names[: most - 1]) + f" and {len(names) - most + 1} more"


def _key(step: Step) -> str:
    """What a step's draws hang on: its id if somebody gave it one, else what it says."""
    if isinstance(step, FaultStep) and step.id != step.fault.kind:
        return f"id {step.id}"
    return fingerprint(step)
