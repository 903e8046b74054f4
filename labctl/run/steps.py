"""Walks a plan's tree of steps.

Each walk is a generator that yields the time at which it wants to go on and is given no other way to wait, so a sequence
inside a parallel inside a repetition is an ordinary call, all times are absolute (nothing drifts), and one thread serves
them all. A step that only lets time pass is over a little early: what begins then is known before it is due. What has to see
the world at its own time waits for it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias

from labctl.model.scenario import (
    CheckStep,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    PlanStep,
    WaitStep,
)
from labctl.run.acting import NEVER, Acting
from labctl.run.watching import POLL_S, Watching
from labctl.run.world import LEAD_S, Clock

Steps: TypeAlias = Generator[float, None, float]


class Walker:
    """Steps begin faults through `acting` and ask `watching`."""

    def __init__(self, clock: Clock, acting: Acting, watching: Watching) -> None:
        self._clock, self._acting, self._watching = clock, acting, watching

    def step(self, step: PlanStep, start: float) -> Steps:
        """Walks one step that begins at `start`; returns when it ended."""
        match step:
            case PlannedFault():
                end = self._acting.schedule(step, start)
                yield end - LEAD_S
            case WaitStep(until=""):
                end = start + (step.for_s or 0.0)
                yield end - LEAD_S
            case WaitStep():
                end = yield from self._until_settled(step, start)
            case CheckStep():
                end = start
                yield start
                self._watching.check(step.expect)
            case PlannedSequence():
                end = start
                for each in step.steps:
                    end = yield from self.step(each, end)
            case PlannedParallel():
                end = yield from self._parallel(step.steps, start)
        return end

    def _parallel(self, steps: Sequence[PlanStep], start: float) -> Steps:
        ends = [start]
        due: dict[int, float] = {}
        walks = [self.step(each, start) for each in steps]
        for i, walk in enumerate(walks):
            due[i] = advance(walk, ends)
        while (soonest := min(due.values(), default=NEVER)) != NEVER:
            yield soonest
            now = self._clock.now()
            for i in [i for i, at in due.items() if at <= now]:
                due[i] = advance(walks[i], ends)
        return max(ends)

    def _until_settled(self, step: WaitStep, start: float) -> Steps:
        yield start
        acting = self._acting
        since, names = acting.last_change, ", ".join(acting.names)
        phase = f"with {names}" if names else f"after {', '.join(acting.last_ended) or 'the start'}"
        while True:
            seen = self._watching.look(phase, since)
            now = self._clock.now()
            if seen.settled or now - start >= step.timeout_s:
                self._watching.settled(seen)
                return now
            yield now + POLL_S


def advance(walk: Steps, ends: list[float]) -> float:
    """When it wants to go on; NEVER if it has ended."""
    try:
        return next(walk)
    except StopIteration as stop:
        ends.append(stop.value)
        return NEVER
