"""A scenario as a value: what is measured, what is broken when, what is expected; and the plan made of it for one lab.

`Scenario` is what somebody wrote (with queries for targets, random choices, human durations already in seconds).
`Plan` is the same tree after everything that can be known before the run is known: targets resolved to resources of
one lab, every random draw made from the seed, every fault expanded into spans of effects. A plan is what `--dry-run`
prints, what is saved beside a run, and what replays it; the engine only plays plans.

Times inside a step are seconds since that step began. Steps nest, so a plan has one length only where no step waits
for something that must be seen ("until settled").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol, TypeAlias

from labctl.errors import Span
from labctl.model.effects import Effect
from labctl.model.lab import LabSpec
from labctl.names import CableId, PortId

# -- targets ----------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a query selects and a fault acts on."""

    LINK = "link"
    NODE = "node"
    PORT = "port"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A selection from the lab's graph, as written, e.g. `link: "core*:*--edge*:*"`, `pick: 1`.

    expression: names with globs, or functions over the graph (docs/scenarios.md lists them). pick None: all of them.
    """

    kind: Kind
    expression: str
    pick: int | None = None
    allow_empty: bool = False
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What a query came to in one lab: sorted, duplicate-free."""

    cables: tuple[CableId, ...] = ()
    nodes: tuple[str, ...] = ()
    ports: tuple[PortId, ...] = ()


# -- faults -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedEffect:
    """An effect from `start_s` to `end_s`, counted from the start of its fault."""

    start_s: float
    end_s: float
    effect: Effect


class Draw(Protocol):
    """Randomness as a function of a path: the same seed and path give the same value, whatever else is drawn."""

    def at(self, name: str) -> Draw:
        """The source for something below this one."""
        ...

    def uniform(self, name: str, low: float, high: float) -> float: ...

    def integer(self, name: str, count: int) -> int:
        """0 <= result < count."""
        ...


class Fault(Protocol):
    """What a kind of failure means. One frozen dataclass a file in `labctl.faults`; its fields are its settings."""

    kind: ClassVar[str]  # "link.degrade"
    on: ClassVar[Kind]  # what it acts on

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        """Its effects on these targets over `for_s` seconds. Pure."""
        ...

    def said(self) -> str:
        """The settings in words, for people."""
        ...


# -- what is measured and expected ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """A measurement that runs from before the first step until after the last. `settings` are the probe's own."""

    id: str
    kind: str  # a name of the probe registry: "ping", "http", …
    settings: Mapping[str, object]
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Something that must hold. measure/limit: e.g. measure="max_outage", op="<=", limit=1.5 (seconds, fractions).

    measure: a key of `labctl.model.measures.MEASURES`. probe: the id it is about; empty for what concerns the lab
    ("settled_within", "adjacencies", "leftovers"). within_s: it may take so long after the last step until it holds.
    """

    measure: str
    op: str = "<="
    limit: float | str | None = None
    probe: str = ""
    within_s: float | None = None
    why: str = ""
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """Ends the run at once (everything reverted, verdict FAIL) when `unless` fails over a sliding window."""

    unless: Expectation
    window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """What a run may touch at most; judged on the graph before anything is touched. None: no limit."""

    max_links: int | None = None
    max_nodes: int | None = None
    max_unreachable_pairs: int | None = None
    forbid: tuple[Query, ...] = ()
    where: Span | None = field(default=None, compare=False)


# -- steps as written ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultStep:
    """Break something for `for_s` seconds. ramp: field of the fault -> values it takes one after the other."""

    id: str
    fault: Fault
    target: Query | Targets | str  # a query, what one has come to, or the name of one under `targets`
    for_s: float
    ramp: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStep:
    """Let time pass: `for_s`, or until routing has settled (at most `timeout_s`, then UNKNOWN)."""

    for_s: float | None = None
    until: str = ""  # "settled"
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStep:
    """Judge an expectation at this moment."""

    expect: Expectation


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """One after the other."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """All at once; ends when the longest has ended."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """`step`, `count` times; random draws inside are made anew each time."""

    count: int
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """One of the options, drawn by weight."""

    options: tuple[tuple[float, Step], ...]


Step: TypeAlias = FaultStep | WaitStep | CheckStep | Sequence | Parallel | Repeat | Choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole scenario file."""

    name: str
    timeline: Step
    description: str = ""
    seed: int | None = None
    targets: Mapping[str, Query] = field(default_factory=dict)
    probes: tuple[ProbeSpec, ...] = ()
    steady: tuple[Expectation, ...] = ()  # before the first step, and again at the end
    during: tuple[Expectation, ...] = ()
    after: tuple[Expectation, ...] = ()
    stop_when: tuple[StopRule, ...] = ()
    blast_radius: BlastRadius = field(default_factory=BlastRadius)
    source: str = ""


# -- the plan -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """One fault, resolved. id is unique in the plan (`flap`, `flap#2` for the second repetition)."""

    id: str
    kind: str
    said: str  # in words, for people: "delay 40ms, loss 3% on r1:eth1--r2:eth1"
    targets: Targets
    spans: tuple[TimedEffect, ...]
    for_s: float
    where: Span | None = field(default=None, compare=False)  # of the step in the scenario file


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSequence:
    steps: tuple[PlanStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedParallel:
    steps: tuple[PlanStep, ...]


PlanStep: TypeAlias = PlannedFault | WaitStep | CheckStep | PlannedSequence | PlannedParallel


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Nodes that still run lose each other: `parts` are the groups without a way between them.

    start_s: the earliest it can begin, end_s: the latest it can end, in seconds of the timeline; there may be breaks.
    """

    start_s: float
    end_s: float
    faults: tuple[str, ...]  # ids
    parts: tuple[tuple[str, ...], ...]  # the largest first
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """The blast radius on the graph. `unknown`: what a graph cannot know, in words."""

    links: tuple[CableId, ...] = ()
    nodes: tuple[str, ...] = ()
    lost: tuple[Lost, ...] = ()
    max_unreachable_pairs: int = 0  # at one instant
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A scenario, resolved for one lab and one seed."""

    scenario: str
    lab: str
    seed: int
    root: PlanStep
    probes: tuple[ProbeSpec, ...] = ()
    steady: tuple[Expectation, ...] = ()
    during: tuple[Expectation, ...] = ()
    after: tuple[Expectation, ...] = ()
    stop_when: tuple[StopRule, ...] = ()
    predicted: Predicted = field(default_factory=Predicted)
    min_s: float = 0.0  # length of the timeline if routing settles at once
    max_s: float = 0.0  # and if every wait takes its timeout
