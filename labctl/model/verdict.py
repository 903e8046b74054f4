"""What a run came to: PASS, FAIL or UNKNOWN, each with what was seen and the evidence it stands on.

UNKNOWN is a verdict: a probe that raised, a fault that could not be read back, routing that never settled. It is
never rounded to PASS; a FAIL found beside it stays a FAIL.

A `Report` holds everything that the writers print (one page of HTML, JSON, text), in production's names, with times
in seconds since the start of the run. Building one is `labctl.analyze.judge`; it needs no lab.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from labctl.errors import Exit
from labctl.model.impairment import Impairment
from labctl.model.measure import Flow, Window
from labctl.model.routes import Convergence, RouteComparison
from labctl.model.topology import Evidence, Topology
from labctl.names import CableId


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105  (not a password)
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"

    @property
    def exit(self) -> Exit:
        return _EXITS[self]


_EXITS = {Verdict.PASS: Exit.PASS, Verdict.FAIL: Exit.FAIL, Verdict.UNKNOWN: Exit.UNKNOWN}
_RANK = {Verdict.PASS: 0, Verdict.UNKNOWN: 1, Verdict.FAIL: 2}


def worst(*verdicts: Verdict) -> Verdict:
    """FAIL before UNKNOWN before PASS. Of nothing: UNKNOWN, because nothing was judged."""
    return max(verdicts, key=_RANK.__getitem__, default=Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was judged: about what, in a sentence, when, what was seen, and the rows it stands on."""

    verdict: Verdict
    subject: str
    summary: str
    window: Window | None = None
    seen: tuple[str, ...] = ()
    because: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """When a change of the world was asked for, was made, and was read back as made. None: never."""

    requested: float
    applied: float | None = None
    read_back: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One resource of an act, looked at again while it lasted.

    found: what was read, in words. note: what of it was not as it should be. asked: of a half-cable, all that was asked
    of it then (by every fault together). counts: what had been done to its frames so far, by cause.
    """

    t: float
    on: str
    note: str = ""
    found: str = ""
    asked: Impairment | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that was done to the lab: an effect put on and taken off again."""

    id: str
    what: str  # "cable cut", "node frozen"
    on: str  # resource, in production's names
    start: Stamps
    end: Stamps | None = None
    cable: CableId | None = None
    said: str = ""  # what was asked for
    looks: tuple[Look, ...] = ()

    @property
    def window(self) -> Window:
        """From the moment it was made to the moment its end was made (or the asking, where that is unknown)."""
        begin = self.start.requested if self.start.applied is None else self.start.applied
        return Window(start=begin, end=None if self.end is None else self.end.applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the graph foretold of one flow, and what became of it while things were broken."""

    flow: str
    predicted: str
    measured: str
    agrees: bool | None  # None: one of the two is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMeta:
    """What ran, on what, from which inputs: enough to run it again."""

    title: str
    lab: str
    runtime: str
    kernel: str
    started: str  # wall time, ISO 8601 with zone
    duration_s: float
    seed: int | None = None
    command: str = ""
    machine: str = ""
    versions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A named step of the run and how long it took (for the reader who asks where the minutes went)."""

    name: str
    start: float
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run, judged."""

    run: RunMeta
    verdict: Verdict
    headline: str
    findings: tuple[Finding, ...] = ()
    acts: tuple[Act, ...] = ()
    flows: tuple[Flow, ...] = ()
    convergence: tuple[Convergence, ...] = ()
    comparison: RouteComparison | None = None
    topology: Topology | None = None
    phases: tuple[Phase, ...] = ()
    predicted: tuple[str, ...] = ()  # before the run, in words
    reach: tuple[Reach, ...] = ()
    limits: tuple[str, ...] = ()
