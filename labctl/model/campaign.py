"""A campaign as a value: a pool of faults and scenarios, what a draw may never do, and what came of the trials.

`Campaign` is what somebody wrote. `Trial` is one draw from it that nothing forbids, resolved to a plan: everything the
engine needs, and all that a replay needs. `CampaignReport` is what the writers print. A trial is drawn from the campaign,
the lab, a seed and the history of what failed when; no clock takes part.

Elements are what coverage and cool-downs count: `link r1:eth1--r2:eth1`, `node r1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from labctl.errors import Span
from labctl.model.scenario import Expectation, Kind, Plan, ProbeSpec, Query, Scenario, StopRule
from labctl.model.verdict import Verdict

# -- what is written ------------------------------------------------------------------------------------------------


class How(StrEnum):
    """How a value is drawn."""

    UNIFORM = "uniform"  # between two values
    LOGUNIFORM = "loguniform"  # between two values, each order of magnitude as likely as the next
    CHOICE = "choice"  # one of several


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A value that each trial draws anew."""

    how: How
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFault:
    """A fault that a trial may draw. settings: field of the fault -> value or `Spread`."""

    id: str  # empty: it is known by what it says
    kind: str
    target: Query
    for_s: float | Spread
    settings: Mapping[str, object] = field(default_factory=dict)
    weight: float = 1.0
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolScenario:
    """A scenario that a trial may draw: it is a trial of its own, never mixed with other faults."""

    id: str
    scenario: Scenario
    weight: float = 1.0
    where: Span | None = field(default=None, compare=False)


PoolEntry: TypeAlias = PoolFault | PoolScenario


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverCut:
    """Each running node of `one` keeps a way to each of `other`, at every instant, on the graph."""

    one: Query
    other: Query
    why: str = ""
    where: Span | None = field(default=None, compare=False)

    @property
    def words(self) -> str:
        return f"never cut {self.one.expression} from {self.other.expression}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverTouch:
    """Nothing acts on what the query selects."""

    target: Query
    why: str = ""
    where: Span | None = field(default=None, compare=False)

    @property
    def words(self) -> str:
        return f"never touch {self.target.kind} {self.target.expression}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTogether:
    """At most one of what the query selects is touched in one trial."""

    target: Query
    why: str = ""
    where: Span | None = field(default=None, compare=False)

    @property
    def words(self) -> str:
        return f"not together {self.target.kind} {self.target.expression}"


class Measured(StrEnum):
    """What an `AtMost` counts, by its key in the file."""

    LINKS = "max_links"
    NODES = "max_nodes"
    PAIRS = "max_unreachable_pairs"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMost:
    """A limit of the predicted blast radius of one trial."""

    what: Measured
    most: int
    why: str = ""
    where: Span | None = field(default=None, compare=False)

    @property
    def words(self) -> str:
        return f"{self.what} {self.most}"


Constraint: TypeAlias = NeverCut | NeverTouch | NotTogether | AtMost


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A whole campaign file.

    faults: how many a trial has, at least and at most. spread_s: they begin within this time of each other. settle_s: how
    long routing may take after them. gap_s: between two trials. cooldown_s: how long an element is left alone after a
    trial that touched it. reruns: how many runs the shrinking of one failure may take.
    """

    name: str
    pool: tuple[PoolEntry, ...]
    description: str = ""
    seed: int | None = None
    trials: int | None = None
    for_s: float | None = None
    faults: tuple[int, int] = (1, 1)
    spread_s: float = 0.0
    settle_s: float = 120.0
    gap_s: float = 0.0
    cooldown_s: Mapping[Kind, float] = field(default_factory=dict)
    least_recent: bool = True
    reruns: int = 16
    constraints: tuple[Constraint, ...] = ()
    probes: tuple[ProbeSpec, ...] = ()
    steady: tuple[Expectation, ...] = ()
    during: tuple[Expectation, ...] = ()
    after: tuple[Expectation, ...] = ()
    stop_when: tuple[StopRule, ...] = ()
    source: str = ""


# -- what is drawn --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A draw that was not taken: what it would have been, which rule was against it, and why."""

    drawn: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial. pause_s: how long to wait before it begins (gap and cool-downs). start_s: when it begins at the
    earliest, in planned time. elements: what it touches. refused: what was drawn for it and not taken.
    """

    number: int
    name: str
    plan: Plan
    pause_s: float
    start_s: float
    elements: tuple[str, ...]
    refused: tuple[Refused, ...] = ()


# -- what came of it ------------------------------------------------------------------------------------------------


class Answer(StrEnum):
    """What one run says about a set of faults (Zeller and Hildebrandt 2002)."""

    FAILS = "fails"  # with the failure that is looked for
    PASSES = "passes"
    UNRESOLVED = "unresolved"  # could not be judged, or failed in another way


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """One run of a shrinking: a set of faults and what it did."""

    name: str
    faults: tuple[str, ...]  # ids
    answer: Answer
    why: str
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The smallest set of faults found that still fails. proven: it fails, and without any one of them it passes.

    note: what keeps it from being proven. plan: the file of the plan that replays it.
    """

    faults: tuple[str, ...]  # ids
    said: tuple[str, ...]
    proven: bool
    note: str = ""
    plan: str = ""
    reruns: tuple[Rerun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """A trial that was played."""

    name: str
    verdict: Verdict
    headline: str
    faults: tuple[str, ...]
    elements: tuple[str, ...]
    directory: str  # below the campaign's
    took_s: float
    failed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    shrunk: Shrunk | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What of the elements that the pool can reach was failed: in this campaign, ever, and never."""

    now: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignReport:
    """A campaign, judged. stopped: why it ended before its budget. ended: False while it runs (or was killed)."""

    campaign: str
    lab: str
    runtime: str
    seed: int
    started: str
    duration_s: float
    verdict: Verdict
    headline: str
    trials: tuple[TrialResult, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    stopped: str = ""
    ended: bool = True
    command: str = ""
