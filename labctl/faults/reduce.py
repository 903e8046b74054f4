"""A plan with fewer faults: the others keep their targets, their draws and their times to the last bit.

A fault that is left out becomes a wait of the same length, so nothing that stays moves. This is how a failure is shrunk:
what differs between two runs is which faults there were, and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from labctl.faults.phases import course
from labctl.faults.predict import predict
from labctl.model.scenario import (
    Plan,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    PlanStep,
    WaitStep,
)
from labctl.topo.query_graph import Graph


def faults(step: PlanStep) -> Iterator[PlannedFault]:
    """All faults of a plan, in the order of the file."""
    match step:
        case PlannedFault():
            yield step
        case PlannedSequence() | PlannedParallel():
            for each in step.steps:
                yield from faults(each)
        case _:
            pass


def reduced(plan: Plan, keep: Collection[str], graph: Graph, name: str) -> Plan:
    """The plan with only the faults of these ids, under another name; its blast radius is predicted anew."""
    root = _step(plan.root, frozenset(keep))
    return replace(plan, scenario=name, root=root, predicted=predict(course(root).phases, graph))


def _step(step: PlanStep, keep: frozenset[str]) -> PlanStep:
    match step:
        case PlannedFault():
            return step if step.id in keep else WaitStep(for_s=step.for_s)
        case PlannedSequence() | PlannedParallel():
            return replace(step, steps=tuple(_step(each, keep) for each in step.steps))
        case _:
            return step
