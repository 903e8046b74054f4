"""A plan as a row of phases: times between which the set of active effects does not change.

Some steps end when something is seen ("until settled"), so a phase has the earliest time it can begin and the latest it
can end. Of steps in a row the windows may touch, and only what runs in parallel can coincide: phases of two branches
whose windows overlap may be active together, and one phase for both says so. Where all lengths are known, windows are
exact and so is the result; elsewhere it holds everything that may happen, and perhaps some that will not.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from labctl.model.effects import Effect
from labctl.model.scenario import (
    CheckStep,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    PlanStep,
    WaitStep,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """start_s: the earliest begin; end_s: the latest end."""

    start_s: float
    end_s: float
    active: frozenset[Effect]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The phases of a step in the order of their begin, and how long it takes at least and at most."""

    phases: tuple[Phase, ...]
    min_s: float
    max_s: float


_NONE: frozenset[Effect] = frozenset()


def course(step: PlanStep) -> Course:
    match step:
        case PlannedFault():
            return Course(phases=_of_fault(step), min_s=step.for_s, max_s=step.for_s)
        case WaitStep(for_s=None):
            idle = Phase(start_s=0.0, end_s=step.timeout_s, active=_NONE)
            return Course(phases=(idle,), min_s=0.0, max_s=step.timeout_s)
        case WaitStep():
            length = step.for_s or 0.0
            idle = Phase(start_s=0.0, end_s=length, active=_NONE)
            return Course(phases=(idle,), min_s=length, max_s=length)
        case CheckStep():
            return Course(phases=(), min_s=0.0, max_s=0.0)
        case PlannedSequence():
            return _in_a_row([course(each) for each in step.steps])
        case PlannedParallel():
            return _at_once([course(each) for each in step.steps])


def _of_fault(fault: PlannedFault) -> tuple[Phase, ...]:
    """Between two neighbouring begins or ends nothing changes. Spans of one effect may overlap: it is counted."""
    times = sorted({0.0, fault.for_s, *(at for s in fault.spans for at in (s.start_s, s.end_s))})
    begins: dict[float, Counter[Effect]] = {at: Counter() for at in times}
    ends: dict[float, Counter[Effect]] = {at: Counter() for at in times}
    for span in fault.spans:
        begins[span.start_s][span.effect] += 1
        ends[span.end_s][span.effect] += 1
    found: list[Phase] = []
    count: Counter[Effect] = Counter()
    for at, until in itertools.pairwise(times):
        count = count + begins[at] - ends[at]
        found.append(Phase(start_s=at, end_s=until, active=frozenset(count)))
    return tuple(found)


def _in_a_row(courses: Sequence[Course]) -> Course:
    phases: list[Phase] = []
    low = high = 0.0
    for each in courses:
        phases += (replace(p, start_s=low + p.start_s, end_s=high + p.end_s) for p in each.phases)
        low, high = low + each.min_s, high + each.max_s
    return Course(phases=tuple(phases), min_s=low, max_s=high)


def _at_once(courses: Sequence[Course]) -> Course:
    low = max((each.min_s for each in courses), default=0.0)
    high = max((each.max_s for each in courses), default=0.0)
    merged: list[Phase] = [Phase(start_s=0.0, end_s=high, active=_NONE)]
    for each in courses:
        rest = Phase(start_s=each.min_s, end_s=high, active=_NONE)
        merged = _overlaps(merged, [*each.phases, rest])
    return Course(phases=tuple(merged), min_s=low, max_s=high)


def _overlaps(ones: Sequence[Phase], others: Sequence[Phase]) -> list[Phase]:
    """One phase for every two that may coincide; both rows are in the order of their begin."""
    found: set[Phase] = set()
    first = 0
    for one in ones:
        while first < len(others) and others[first].end_s <= one.start_s:
            first += 1
        for other in others[first:]:
            if other.start_s >= one.end_s:
                break
            start, end = max(one.start_s, other.start_s), min(one.end_s, other.end_s)
            if start < end:
                found.add(Phase(start_s=start, end_s=end, active=one.active | other.active))
    return sorted(found, key=lambda p: (p.start_s, p.end_s, sorted(map(repr, p.active))))
