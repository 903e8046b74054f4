"""What a played scenario left behind, as one value: everything that its verdict rests on.

The engine writes it down while it happens (journal and samples); reading those back gives a `Played`, and judging is a
pure function of it. So a run can be judged again years later, without the lab, and comes to the same bytes.

Times are seconds since the run began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.model.measure import Track, Window
from labctl.model.routes import AdjacencyChange, Convergence, RouteChange, RouteComparison
from labctl.model.scenario import Expectation
from labctl.model.topology import Topology
from labctl.model.verdict import Act, Phase, RunMeta


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A moment at which something was to hold, and the stretch of time that it is judged by.

    changed, lost_sessions: what was then not as before the first step; None: nobody compared.
    """

    expect: Expectation
    window: Window
    seen: Convergence
    changed: tuple[RouteChange, ...] | None = None
    lost_sessions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Groups of nodes that are to lose each other while these faults are active, as the graph foretold."""

    faults: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """before, during, after: the stretches in which the steady state, the failure and the recovery are judged.

    None: the run did not get there. refused: fault -> why its effect did not take. left: what was not at its base at
    the end, None if nobody could look, and `unseen` is why. failed: the error that ended the run. ready, comparison: of a run that built its
    lab first: how routing settled in each, and the lab's routes against what they are a shadow of.
    """

    run: RunMeta
    steady: tuple[Expectation, ...] = ()
    expect_during: tuple[Expectation, ...] = ()
    expect_after: tuple[Expectation, ...] = ()
    subjects: Mapping[str, str] = field(default_factory=dict)  # probe id -> "client → web"
    tracks: Mapping[str, Track] = field(default_factory=dict)  # by probe id
    acts: tuple[Act, ...] = ()
    ready: tuple[Convergence, ...] = ()
    comparison: RouteComparison | None = None
    convergence: tuple[Convergence, ...] = ()  # the last one is that after the faults
    route_changes: tuple[RouteChange, ...] | None = None  # None: the run was killed before it wrote them
    adjacency_changes: tuple[AdjacencyChange, ...] | None = None
    checks: tuple[Checked, ...] = ()
    before: Window | None = None
    during: Window | None = None
    after: Window | None = None
    faults_end: float | None = None  # when the last fault was over
    not_steady: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    failed: str = ""
    interrupted: bool = False
    ended: bool = False  # the journal has its last line
    left: tuple[str, ...] | None = None
    unseen: str = ""
    changed: tuple[RouteChange, ...] | None = None  # routes that are not as they were before
    lost_sessions: tuple[str, ...] | None = None  # adjacencies that were up before and are not now
    others: tuple[str, ...] = ()  # faults of others that were active meanwhile
    predicted: tuple[str, ...] = ()  # the blast radius, in words
    apart: tuple[Apart, ...] = ()
    flows: Mapping[str, tuple[str, str]] = field(
        default_factory=dict
    )  # probe id -> its nodes, as the plan has them
    topology: Topology | None = None
    phases: tuple[Phase, ...] = ()
