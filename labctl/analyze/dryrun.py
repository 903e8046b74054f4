"""What a plan would do, as lines for people: when, to what, how far it would reach, and how the kernel would do it.

Nothing here asks the machine. Times are those of the timeline: exact as long as no step waits for something that must be
seen, then "from … to …".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from labctl.analyze.words import plural
from labctl.model.effects import (
    AdminDown,
    Change,
    Configured,
    CpuLimit,
    Down,
    Frozen,
    HalfCable,
    Impaired,
    Killed,
    Off,
    Resource,
    Stopped,
)
from labctl.model.impairment import describe
from labctl.model.scenario import (
    CheckStep,
    Expectation,
    Lost,
    Plan,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    PlanStep,
    WaitStep,
)
from labctl.units import format_duration, format_percent

_MOST = 6  # lines of one fault's effects, names of one group


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline. start_s, max_start_s: at the earliest and at the latest."""

    start_s: float
    max_start_s: float
    depth: int
    what: str  # "fault", "wait", "check", "parallel"
    text: str
    details: tuple[str, ...] = ()


def timeline(plan: Plan, words: Callable[[Change], str] | None = None) -> tuple[Line, ...]:
    """The steps in order. words: how this machine would make a change; by default what it is in general."""
    return tuple(_Walk(words or kernel_words).step(plan.root, 0.0, 0.0, 0)[0])


def render(plan: Plan, words: Callable[[Change], str] | None = None) -> str:
    """The whole dry run as text."""
    return "\n".join(_text(plan, timeline(plan, words)))


def kernel_words(change: Change) -> str:  # noqa: PLR0911  (one line for each kind of change)
    """What a change is in the kernel, whichever backend makes it."""
    match change:
        case Down():
            return "no carrier at the receiving end (panel side down)"
        case Impaired(impairment=impairment):
            return describe(impairment)
        case Frozen():
            return "all processes frozen (cgroup freezer); the kernel forwards on"
        case Off():
            return "all processes killed, and kept from coming back"
        case CpuLimit(cores=cores):
            return f"at most {format_percent(cores)} of a core (cgroup CPU quota)"
        case Killed():
            return "killed, and kept from coming back"
        case Stopped():
            return "stopped (SIGSTOP)"
        case AdminDown():
            return "link set down inside the node"
        case Configured(lines=lines):
            return f"{plural(len(lines), 'line')} typed into vtysh, taken back by comparison"


class _Walk:
    """The steps as lines. Each step returns its lines and how long it takes, at least and at most."""

    def __init__(self, words: Callable[[Change], str]) -> None:
        self._words = words

    def step(
        self, step: PlanStep, low: float, high: float, depth: int
    ) -> tuple[list[Line], tuple[float, float]]:
        line = partial(Line, low, high, depth)
        match step:
            case PlannedSequence():
                return self._sequence(step, low, high, depth)
            case PlannedParallel():
                inner = [self.step(each, low, high, depth + 1) for each in step.steps]
                lines = [line("parallel", plural(len(inner), "branch", "branches"))]
                lines += [each for found, _ in inner for each in found]
                ends = [length for _, length in inner]
                return lines, (max(e[0] for e in ends), max(e[1] for e in ends)) if ends else (0.0, 0.0)
            case PlannedFault():
                text = f"{step.id}: {step.said}, for {format_duration(step.for_s)}"
                return [line("fault", text, self._effects(step))], (step.for_s, step.for_s)
            case WaitStep(for_s=None):
                text = f"until routing has settled, at most {format_duration(step.timeout_s)}"
                return [line("wait", text)], (0.0, step.timeout_s)
            case WaitStep():
                length = step.for_s or 0.0
                return [line("wait", format_duration(length))], (length, length)
            case CheckStep():
                return [line("check", expectation(step.expect))], (0.0, 0.0)

    def _sequence(
        self, step: PlannedSequence, low: float, high: float, depth: int
    ) -> tuple[list[Line], tuple[float, float]]:
        lines: list[Line] = []
        at, latest = low, high
        for each in step.steps:
            found, (shortest, longest) = self.step(each, at, latest, depth)
            lines += found
            at, latest = at + shortest, latest + longest
        return lines, (at - low, latest - high)

    def _effects(self, fault: PlannedFault) -> tuple[str, ...]:
        """Each effect once, with its first begin if that is not the fault's own; both directions of a cable in one."""
        seen: dict[tuple[str, str], tuple[float, set[Resource]]] = {}
        for span in fault.spans:
            on = span.effect.on
            name = str(on.cable) if isinstance(on, HalfCable) else str(on)
            _, resources = seen.setdefault((name, self._words(span.effect.change)), (span.start_s, set()))
            resources.add(on)
        lines = []
        for (name, words), (start, resources) in seen.items():
            half = next((on for on in resources if isinstance(on, HalfCable)), None)
            way = "" if half is None else " both ways" if len(resources) > 1 else f" {half.direction}"
            lines.append(
                f"{name}{way}: {words}" + (f", from {format_duration(_tidy(start))}" if start else "")
            )
        if len(lines) > _MOST:
            lines = [*lines[: _MOST - 1], f"and {len(lines) - _MOST + 1} more like these"]
        return tuple(lines)


def expectation(expect: Expectation) -> str:
    """`path: loss <= 0.01`: the limit as it is judged."""
    who = f"{expect.probe}: " if expect.probe else ""
    return f"{who}{expect.measure} {expect.op} {expect.limit}"


def _text(plan: Plan, lines: Iterable[Line]) -> Iterator[str]:
    length = _span(plan.min_s, plan.max_s)
    yield f"scenario {plan.scenario} on lab {plan.lab}, seed {plan.seed}, {length}"
    yield ""
    yield "timeline"
    for line in lines:
        at = _span(line.start_s, line.max_start_s)
        yield f"  {at:>12}  {'  ' * line.depth}{line.what:<6} {line.text}"
        yield from (f"  {'':>12}  {'  ' * line.depth}       {detail}" for detail in line.details)
    yield ""
    yield from _blast_radius(plan)


def _blast_radius(plan: Plan) -> Iterator[str]:
    found = plan.predicted
    yield "predicted blast radius (shortest paths on the graph)"
    yield f"  touches {plural(len(found.links), 'link')}" + _listed(found.links)
    yield f"  touches {plural(len(found.nodes), 'node')}" + _listed(found.nodes)
    if not found.lost:
        yield "  no two running nodes lose each other"
    for each in found.lost:
        yield f"  {lost(each)}"
    for said in found.unknown:
        yield f"  not known: {said}"


def lost(each: Lost) -> str:
    """`10s to 20s: 4 pairs lose each other by cut: r1 | r2, h2`."""
    apart = " | ".join(_few(part) for part in each.parts)
    pairs = plural(each.pairs, "pair loses", "pairs lose")
    when = f"{format_duration(_tidy(each.start_s))} to {format_duration(_tidy(each.end_s))}"
    return f"{when}: {pairs} each other by {', '.join(each.faults)}: {apart}"


def _listed(names: Iterable[object]) -> str:
    said = _few([str(each) for each in names])
    return f": {said}" if said else ""


def _few(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found) if len(found) <= _MOST else f"{', '.join(found[:4])} and {len(found) - 4} more"


def _span(low: float, high: float) -> str:
    low, high = _tidy(low), _tidy(high)
    return format_duration(low) if low == high else f"{format_duration(low)} to {format_duration(high)}"


def _tidy(value: float) -> float:
    """To the millisecond: sums of tenths are not tenths in binary."""
    return round(value, 3)
