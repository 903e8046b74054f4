"""What the engine needs of the world, and nothing more: a clock, effects, a look at the routes, samples.

`labctl.run.live` is the world of a deployed lab. The engine's tests have one that is written out as a script and runs
on a virtual clock; both are worlds, neither is a mock of the engine.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from labctl.model.effects import Effect
from labctl.model.measure import Track, Window
from labctl.model.routes import AdjacencyChange, Convergence, RouteChange
from labctl.model.scenario import ProbeSpec

#: The engine knows so long before what is due.
LEAD_S = 0.05


class Clock(Protocol):
    """Seconds that only go forward."""

    def now(self) -> float: ...

    def sleep_until(self, t: float) -> None: ...


class MonotonicClock:
    """The machine's own."""

    def now(self) -> float:
        return time.monotonic()

    def sleep_until(self, t: float) -> None:
        time.sleep(max(0.0, t - time.monotonic()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All effects that one fault has from now on; they end by themselves after `lease_s`, whatever becomes of us."""

    fault: str
    effects: tuple[Effect, ...]
    lease_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The answer to a request. readings: each resource that was touched, with when it was made and read back. refused:
    fault -> why.
    """

    request: int = 0
    readings: Sequence[Mapping[str, Any]] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The answer to a look: resource by resource. failed: why nobody could look."""

    request: int
    looks: Sequence[Mapping[str, Any]] = ()
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """changed: routes that are not as they were. lost_sessions: adjacencies that were up and are not."""

    changed: tuple[RouteChange, ...]
    lost_sessions: tuple[str, ...]


class World(Protocol):
    """All methods are called by the engine's thread. Errors of the world are `LabctlError`s."""

    def begin(self, probes: Sequence[ProbeSpec]) -> Mapping[str, str]:
        """Start to measure; probe id -> what it is called in the report."""
        ...

    def prepare(self, effects: Sequence[Effect]) -> None:
        """These will be asked for: do beforehand what takes time and touches nothing."""
        ...

    def lead_s(self, effects: Sequence[Effect]) -> float:
        """How long before its time a change of these is to be asked for, so that it is made when its time has come; at most
        `LEAD_S`.
        """
        ...

    def change(self, request: int, begin: Sequence[Wanted], end: Collection[str], at: float) -> None:
        """Have all of this made so, at one instant (`at`, or now if that is over), after everything that was asked for
        before. Waits for nothing.
        """
        ...

    def answers(self, until: float) -> Sequence[Changed | Looked]:
        """What was answered since, by the number of its request; if nothing was, wait for the first, but no longer."""
        ...

    def clear(self, request: int) -> Changed:
        """End every effect of this run, whatever happened before, and wait until all that was ever asked for is so.
        Requests that were not answered by now will not be. Never raises; `left` tells.
        """
        ...

    def effects(self, request: int, faults: Collection[str]) -> None:
        """Have it looked whether these faults are still what they were made to be, and what they did to frames. Changes
        nothing and waits for nothing.
        """
        ...

    def look(self, phase: str, since: float) -> Convergence:
        """What the routes have done since then, and whether they are quiet now."""
        ...

    def recent(self, window: Window) -> Mapping[str, Track]:
        """Samples of a stretch that is over, by probe."""
        ...

    def changes(self, since: float) -> tuple[tuple[RouteChange, ...], tuple[AdjacencyChange, ...]]: ...

    def remember(self) -> None:
        """Routes and sessions are now as they are to be again."""
        ...

    def after(self) -> After:
        """Against what was remembered."""
        ...

    def need(self) -> None:
        """`no-lab` if the world is there no more."""
        ...

    def left(self) -> tuple[str, ...]:
        """What of this run is still active, and what is not at its base. An error says why nobody could look: `no-lab` if
        there is nothing any more to look at.
        """
        ...

    def others(self) -> tuple[str, ...]:
        """Active faults that are not of this run."""
        ...

    def stop(self) -> Mapping[str, Track]:
        """End measuring; everything that was seen, by probe."""
        ...
