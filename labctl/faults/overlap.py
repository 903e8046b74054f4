"""Faults of one plan that cannot act together: found on paper, not when the second one is injected at three at night."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence

from labctl.errors import LabctlError, Problems
from labctl.faults.phases import Phase
from labctl.model.effects import Effect, Resource, settle
from labctl.model.lab import LabSpec
from labctl.model.scenario import PlannedFault


def check(
    phases: Sequence[Phase], lab: LabSpec, faults: Mapping[str, PlannedFault], problems: Problems
) -> None:
    """A problem for each pair of faults whose effects on one resource have no meaning together."""
    tried: set[frozenset[Effect]] = set()
    blamed: set[frozenset[str]] = set()
    for phase in phases:
        for on, effects in sorted(_by_resource(phase.active).items(), key=lambda each: str(each[0])):
            if effects in tried:
                continue
            tried.add(effects)
            error = _refusal(lab, effects)
            if error is None:
                continue
            pair = _pair(lab, effects)
            if frozenset(pair) not in blamed:
                blamed.add(frozenset(pair))
                problems.extend(_said(error, on, [faults[each] for each in pair]))


def _by_resource(active: Iterable[Effect]) -> Mapping[Resource, frozenset[Effect]]:
    found: dict[Resource, set[Effect]] = {}
    for effect in active:
        found.setdefault(effect.on, set()).add(effect)
    return {on: frozenset(effects) for on, effects in found.items()}


def _refusal(lab: LabSpec, effects: Collection[Effect]) -> LabctlError | None:
    try:
        settle(lab, effects)
    except LabctlError as error:
        return error
    return None


def _pair(lab: LabSpec, effects: Collection[Effect]) -> tuple[str, ...]:
    """The first two faults that cannot be together; one, if it clashes with the cable's own state."""
    ordered = sorted(effects, key=lambda e: (e.id, repr(e.change)))
    for one in ordered:
        if _refusal(lab, [one]):
            return (one.id,)
    for one, other in itertools.combinations(ordered, 2):
        if _refusal(lab, [one, other]):
            return tuple(dict.fromkeys((one.id, other.id)))
    return tuple(dict.fromkeys(e.id for e in ordered))


def _said(error: LabctlError, on: Resource, faults: Sequence[PlannedFault]) -> LabctlError:
    ordered = sorted(faults, key=lambda f: (f.where is None, f.where.line if f.where else 0, f.id))
    last = ordered[-1]
    others = [f"{f.id} (line {f.where.line})" if f.where else f.id for f in ordered[:-1]]
    beside = f" beside {' and '.join(others)}" if others else ""
    message = f"{last.id} cannot act on {on}{beside}: {error.message}"
    return LabctlError(error.code, message, where=last.where, hint=error.hint)
