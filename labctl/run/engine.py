"""Plays a plan: the one loop that breaks things.

The tree of steps is walked by generators. Each yields the time at which it wants to go on and is given no other way to
wait, so a sequence inside a parallel inside a repetition is an ordinary call, all times are absolute (nothing drifts),
and one thread serves them all. A fault puts the beginnings and ends of its effects into a queue; whatever is due at one
instant goes to the agent in one request.

Whatever happens (a stop rule, an effect that did not take, Ctrl-C, an error) ends in the same place: every effect of
the run is over, what is left is looked at, and the journal says why. The engine judges nothing but what it must decide
by at once: whether the steady state holds before anything is broken, and the stop rules. The verdict is
`labctl.analyze.played`, from the journal and the samples.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from labctl.agent import codec
from labctl.analyze import expect
from labctl.analyze.words import plural, seconds
from labctl.errors import LabctlError
from labctl.faults.reduce import faults
from labctl.model.effects import Effect, HalfCable
from labctl.model.event import Emit, Event, ignore
from labctl.model.measure import Track, Window
from labctl.model.routes import Convergence
from labctl.model.scenario import (
    CheckStep,
    Expectation,
    Plan,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    PlanStep,
    WaitStep,
)
from labctl.model.verdict import Verdict
from labctl.run import entries
from labctl.run.journal import Journal
from labctl.run.undisturbed import undisturbed
from labctl.run.world import Changed, Clock, Wanted, World

#: Effects that are due within this time of each other begin in one request.
TOGETHER_S = 0.0005
#: No stop rule is looked at so shortly before a fault is due: punctuality goes first.
HANDS_OFF_S = 0.03
POLL_S = 0.1
#: Measures of the lab that are judged by its last state, whatever the stretch: there is nothing to wait for once they hold.
SAME = ("routes", "adjacencies")
#: Active faults are looked at again so long after they were made and before they end (and a little more for each
#: resource), at most so often in between, and for no more than a share of the time.
SOON_S, LAST_S, EACH_S, AGAIN_S, SHARE = 0.02, 0.05, 0.004, 2.0, 0.02
#: A process that was started again behind our back is dead again after this time: one look in between is no proof.
TWICE_S = 0.4
NEVER = float("inf")

Steps: TypeAlias = Generator[float, None, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """settle_s: how long routing may take before and after; steady_s: how long the steady state is measured, at least;
    grace_s: how much longer than planned an effect may last when its end cannot be asked for; look_s: between two looks
    at the stop rules; check_s: the stretch that a check of the timeline is judged by.
    """

    settle_s: float = 120.0
    steady_s: float = 3.0
    grace_s: float = 10.0
    look_s: float = 0.5
    check_s: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is not in the journal: the samples. left: what was not at its base at the end. steady: False if the steady
    state did not hold before, so that nothing was broken. altered: what the network did not put back by itself, in words.
    """

    tracks: Mapping[str, Track]
    left: tuple[str, ...]
    interrupted: bool
    steady: bool = True
    altered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    """An effect of a fault begins or ends."""

    at: float
    order: int
    begins: bool = field(compare=False)
    fault: PlannedFault = field(compare=False)
    span: int = field(compare=False)
    until: float = field(compare=False)

    @property
    def effect(self) -> Effect:
        return self.fault.spans[self.span].effect


def play(
    plan: Plan,
    world: World,
    clock: Clock,
    journal: Journal,
    *,
    emit: Emit = ignore,
    times: Times = Times(),
) -> Outcome:
    """Play the plan on a world. Ctrl-C and errors of the world end it early and are in the journal; anything else is
    raised, after everything was put back.
    """
    run = _Run(plan, world, clock, journal, emit=emit, times=times)
    interrupted, steady = False, True
    try:
        run.begin()
        steady = run.is_steady()
        if steady:
            run.play_timeline()
            run.recover()
    except KeyboardInterrupt:
        interrupted = True
        run.note("interrupted")
    except LabctlError as error:
        run.note("failed", error=error.message, code=error.code)
    except BaseException as error:
        run.note("failed", error=repr(error), code="bug")
        raise
    finally:
        with undisturbed():
            tracks, left = run.finish()
    return Outcome(
        tracks=tracks, left=left, interrupted=interrupted, steady=steady, altered=tuple(run.altered)
    )


class _Run:
    """One play of one plan."""

    def __init__(
        self, plan: Plan, world: World, clock: Clock, journal: Journal, *, emit: Emit, times: Times
    ) -> None:
        self.plan, self.world, self.clock, self.journal = plan, world, clock, journal
        self.emit, self.times = emit, times
        self.queue: list[_Due] = []
        self.looks: list[float] = []  # when to look at the active faults again
        self.order = itertools.count()
        self.active: dict[str, dict[int, _Due]] = {}  # fault -> span -> how it began
        self.subjects: Mapping[str, str] = {}
        self.remembered = False
        self.unanswered = False  # a request was interrupted: nobody knows what it did
        self.began = clock.now()
        self.last_change = self.began  # of an effect
        self.last_ended: tuple[str, ...] = ()  # faults
        self.ended_early = ""
        self.altered: list[str] = []
        settings = [probe.settings for probe in plan.probes]
        self.late_s = max((_number(each, "late_s") for each in settings), default=0.0)
        self.pace_s = max((_number(each, "every_s") for each in settings), default=0.0)

    # -- the phases --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.subjects = self.world.begin(self.plan.probes)
        others = self.world.others()
        self.note("measuring", subjects=dict(self.subjects), others=list(others))

    def is_steady(self) -> bool:
        """Whether the world is as it must be before anything is broken; says why not."""
        self.phase("steady state before")
        seen = self.settle("before")
        window = self.measure(self.steady_s)
        self.world.remember()
        self.remembered = True
        left = self.world.left()
        self.note("window", which="before", start=window.start, end=window.end)
        reasons = [f"not at its base state: {each}" for each in left]
        if not seen.settled:
            reasons.append(f"routing had not settled after {seconds(seen.waited_s)}")
        reasons += self.unmet(self.plan.steady, window, seen)
        if reasons:
            self.note("not-steady", reasons=reasons)
            self.tell("not-steady", f"not steady, nothing was broken: {'; '.join(reasons)}")
        return not reasons

    def play_timeline(self) -> None:
        """The steps, until the last has ended or something ends them early."""
        self.phase("timeline")
        effects = [span.effect for fault in faults(self.plan.root) for span in fault.spans]
        if effects:
            self.world.prepare(effects)
        start = self.clock.now() + TOGETHER_S
        self.note("window", which="during", start=start, end=None)
        try:
            self.walk(self.step(self.plan.root, start), start)
        finally:
            with undisturbed():
                self.clear()
        if self.ended_early:
            self.tell("ended-early", self.ended_early)

    def recover(self) -> None:
        """Everything is whole again: routing settles, and the steady state is measured once more."""
        self.phase("recovery")
        self.settle("after", since=self.last_change)
        start = self.clock.now()
        self.note("window", which="during-end", start=start, end=None)
        self.await_same()
        now = self.clock.now()
        within = self.within(each for each in self.plan.after if each.measure not in SAME)
        window = self.measure(max(self.steady_s, self.last_change + within - now + self.steady_s))
        self.note("window", which="after", start=start, end=window.end)

    def await_same(self) -> None:
        """Routes and sessions that may take their time to be as before are waited for, and no longer than needed."""
        deadline = self.last_change + self.within(each for each in self.plan.after if each.measure in SAME)
        while self.clock.now() < deadline:
            found = self.world.after()
            if not found.changed and not found.lost_sessions:
                return
            self.clock.sleep_until(min(deadline, self.clock.now() + 10 * POLL_S))

    def within(self, wanted: Iterable[Expectation]) -> float:
        return max((each.within_s or 0.0 for each in wanted), default=0.0)

    def finish(self) -> tuple[Mapping[str, Track], tuple[str, ...]]:
        """End every effect, look at what is left, collect the samples. Called once, whatever happened."""
        tracks: Mapping[str, Track] = {}
        left: tuple[str, ...] = ()
        try:
            self.clear()
            left = self.world.left()
        finally:
            after = self.world.after() if self.remembered else None
            if after is not None and after.changed:
                self.altered.append(f"{plural(len(after.changed), 'route')} not as before")
            if after is not None and after.lost_sessions:
                self.altered.append(f"{plural(len(after.lost_sessions), 'session')} not up again")
            routes, sessions = self.world.changes(self.began)
            tracks = self.world.stop()
            self.note(
                "routes",
                routes=entries.ROUTES.dump_python(routes, mode="json"),
                sessions=entries.SESSIONS.dump_python(sessions, mode="json"),
            )
            self.note(
                "after",
                left=list(left),
                changed=None if after is None else entries.ROUTES.dump_python(after.changed, mode="json"),
                lost_sessions=None if after is None else list(after.lost_sessions),
            )
            self.note("end", sync=True)
        return tracks, left

    # -- waiting and measuring ---------------------------------------------------------------------------------

    @property
    def steady_s(self) -> float:
        """Long enough that the slowest probe has samples enough to be judged."""
        return max(self.times.steady_s, (expect.MIN_SAMPLES + 2) * self.pace_s)

    def settle(self, phase: str, since: float | None = None) -> Convergence:
        asked = told = self.clock.now()
        since = asked if since is None else since
        while True:
            seen = self.world.look(phase, since)
            now = self.clock.now()
            if seen.settled or now - asked >= self.times.settle_s:
                break
            if now - told >= 1.0:
                told = now
                self.emit(Event(kind="settling", text=f"routing settles ({phase}) …", passing=True))
            self.clock.sleep_until(now + POLL_S)
        self.note("settled", seen=entries.CONVERGENCE.dump_python(seen, mode="json"))
        return seen

    def measure(self, for_s: float) -> Window:
        """Let `for_s` of samples be sent from now on, and as much time pass as their answers may take."""
        start = self.clock.now()
        self.clock.sleep_until(start + for_s + self.late_s)
        return Window(start=start, end=start + for_s)

    def unmet(self, wanted: Sequence[Expectation], window: Window, seen: Convergence) -> list[str]:
        """The expectations of the steady state that do not hold. What is 'as before' holds: this is before."""
        routes, sessions = self.world.changes(window.start)
        evidence = expect.Seen(
            tracks=self.world.recent(window),
            subjects=self.subjects,
            convergence=seen,
            route_changes=routes,
            adjacency_changes=sessions,
            changed=(),
            lost_sessions=(),
            left=(),
        )
        found = [expect.judge(each, evidence, window, "before") for each in wanted]
        return [f"{f.subject}: {f.summary}" for f in found if f.verdict is not Verdict.PASS]

    # -- the tree ----------------------------------------------------------------------------------------------

    def step(self, step: PlanStep, start: float) -> Steps:
        """Walks one step that begins at `start`; returns when it ended."""
        match step:
            case PlannedFault():
                end = self.schedule(step, start)
                yield end
            case WaitStep(until=""):
                end = start + (step.for_s or 0.0)
                yield end
            case WaitStep():
                end = yield from self.until_settled(step, start)
            case CheckStep():
                end = start
                yield start
                self.check(step.expect)
            case PlannedSequence():
                end = start
                for each in step.steps:
                    end = yield from self.step(each, end)
            case PlannedParallel():
                end = yield from self.parallel(step.steps, start)
        return end

    def parallel(self, steps: Sequence[PlanStep], start: float) -> Steps:
        ends = [start]
        due: dict[int, float] = {}
        walks = [self.step(each, start) for each in steps]
        for i, walk in enumerate(walks):
            due[i] = _advance(walk, ends)
        while (soonest := min(due.values(), default=NEVER)) != NEVER:
            yield soonest
            now = self.clock.now()
            for i in [i for i, at in due.items() if at <= now]:
                due[i] = _advance(walks[i], ends)
        return max(ends)

    def until_settled(self, step: WaitStep, start: float) -> Steps:
        yield start
        since, names = self.last_change, ", ".join(self.active)
        phase = f"with {names}" if names else f"after {', '.join(self.last_ended) or 'the start'}"
        while True:
            seen = self.world.look(phase, since)
            now = self.clock.now()
            if seen.settled or now - start >= step.timeout_s:
                self.note("settled", seen=entries.CONVERGENCE.dump_python(seen, mode="json"))
                return now
            yield now + POLL_S

    def schedule(self, fault: PlannedFault, start: float) -> float:
        """Queue the fault's effects; when it will be over."""
        for i, span in enumerate(fault.spans):
            begin, end = start + span.start_s, start + span.end_s
            for at, begins in ((begin, True), (end, False)):
                heapq.heappush(self.queue, _Due(at, next(self.order), begins, fault, i, end))
        end = max([start + fault.for_s, *(start + span.end_s for span in fault.spans)])
        last = end - LAST_S - EACH_S * len({span.effect.on for span in fault.spans})
        for at in (last - TWICE_S, last):
            if at > start + SOON_S:
                heapq.heappush(self.looks, at)
        return end

    def check(self, wanted: Expectation) -> None:
        now = self.clock.now()
        seen = self.world.look("check", self.last_change)
        self.note(
            "check",
            expect=entries.encode_expectation(wanted),
            start=now - (wanted.within_s or self.times.check_s),
            end=now,
            seen=entries.CONVERGENCE.dump_python(seen, mode="json"),
        )

    def walk(self, tree: Steps, start: float) -> None:
        """The loop: steps, effects and stop rules, each when it is due."""
        ends: list[float] = []
        step_due, look_due = start, start + self.times.look_s
        while (step_due != NEVER or self.queue) and not self.ended_early:
            now = self.clock.now()
            if step_due <= now:
                step_due = _advance(tree, ends)
            if self.queue and self.queue[0].at <= now + TOGETHER_S:
                self.boundary(now)
                continue
            soonest = min(step_due, self.queue[0].at if self.queue else NEVER)
            if self.looks and self.looks[0] <= now and soonest - now > HANDS_OFF_S:
                self.look_again(now)
                continue
            if look_due <= now and soonest - now > HANDS_OFF_S:
                self.watch(now)
                look_due = now + self.times.look_s
                continue
            if soonest > now:
                looks = min(self.looks[0] if self.looks else NEVER, look_due)
                self.clock.sleep_until(min(soonest, max(looks, now + HANDS_OFF_S)))

    # -- effects -----------------------------------------------------------------------------------------------

    def boundary(self, now: float) -> None:
        """Everything that is due begins and ends, in one request."""
        batch: list[_Due] = []
        while self.queue and self.queue[0].at <= now + TOGETHER_S:
            batch.append(heapq.heappop(self.queue))
        for each in batch:
            if each.begins:
                self.active.setdefault(each.fault.id, {})[each.span] = each
        for each in batch:
            if not each.begins:
                self.active.get(each.fault.id, {}).pop(each.span, None)
        touched = dict.fromkeys(each.fault.id for each in batch)
        begin = [self.wanted(fault, now) for fault in touched if self.active[fault]]
        end = [fault for fault in touched if not self.active[fault]]
        for fault in end:
            del self.active[fault]
        self.asked(min(each.at for each in batch), batch)
        self.unanswered = True
        changed = self.world.change(begin, end)
        self.unanswered = False
        self.made(changed, batch)
        if begin:
            heapq.heappush(self.looks, self.clock.now() + SOON_S)

    def wanted(self, fault: str, now: float) -> Wanted:
        spans = self.active[fault].values()
        return Wanted(
            fault=fault,
            effects=tuple(each.effect for each in spans),
            lease_s=max(each.until for each in spans) - now + self.times.grace_s,
        )

    def clear(self) -> None:
        """End every effect now, in whatever state the run is. Nothing to end costs nothing."""
        self.queue.clear()
        if not self.active and not self.unanswered:
            return
        now = self.clock.now()
        ended = [
            _Due(now, next(self.order), begins=False, fault=d.fault, span=d.span, until=now)
            for spans in self.active.values()
            for d in spans.values()
        ]
        self.active.clear()
        self.asked(now, ended)
        self.made(self.world.clear(), ended)
        self.unanswered = False

    def asked(self, at: float, batch: Sequence[_Due]) -> None:
        self.last_change = at
        self.last_ended = tuple(dict.fromkeys(d.fault.id for d in batch if not d.begins)) or self.last_ended
        self.note(
            "asked",
            due=at,
            begin=[_entry(each) for each in batch if each.begins],
            end=[_entry(each) for each in batch if not each.begins],
        )

    def made(self, changed: Changed, batch: Sequence[_Due]) -> None:
        self.note("made", readings=list(changed.readings), refused=dict(changed.refused), sync=True)
        for name, begins in dict.fromkeys((each.fault.id, each.begins) for each in batch):
            said = next(each.fault.said for each in batch if each.fault.id == name)
            self.tell(
                "fault-begun" if begins else "fault-ended", f"{name} {'begins' if begins else 'ends'}: {said}"
            )
        if changed.refused:
            why = "; ".join(f"{fault}: {said}" for fault, said in changed.refused.items())
            self.note("refused", faults=dict(changed.refused))
            self.ended_early = f"ended early, an effect did not take: {why}"

    def look_again(self, now: float) -> None:
        """Whether what was made is still so; what is not is looked at once more before it is believed."""
        while self.looks and self.looks[0] <= now:
            heapq.heappop(self.looks)
        if not self.active:
            return
        try:
            seen = self.world.effects(tuple(self.active))
        except LabctlError as error:
            seen = [{"fault": fault, "note": f"nobody could look: {error.message}"} for fault in self.active]
        done = self.clock.now()
        self.note("looked", looks=list(seen))
        wrong = any(each["note"] for each in seen)
        again = TWICE_S if wrong else max(AGAIN_S, (done - now) / SHARE)
        if not self.looks or self.looks[0] > done + again:
            heapq.heappush(self.looks, done + again)

    def watch(self, now: float) -> None:
        """The stop rules, over stretches that end so long ago that every answer in time is there."""
        end = now - self.late_s
        for rule in self.plan.stop_when:
            window = Window(start=end - rule.window_s, end=end)
            routes, sessions = self.world.changes(window.start)
            evidence = expect.Seen(
                tracks=self.world.recent(window),
                subjects=self.subjects,
                route_changes=routes,
                adjacency_changes=sessions,
            )
            found = expect.judge(rule.unless, evidence, window, f"within {seconds(rule.window_s)}")
            if found.verdict is Verdict.FAIL:
                why = f"{found.subject}: {found.summary}"
                self.note("stopped", why=why, sync=True)
                self.ended_early = f"stopped: {why}"
                return

    # -- saying it ---------------------------------------------------------------------------------------------

    def phase(self, name: str) -> None:
        self.note("phase", name=name)
        self.tell("phase", f"{name} …")

    def note(self, kind: str, *, sync: bool = False, **what: Any) -> None:
        self.journal.write(kind, t=self.clock.now(), sync=sync, **what)

    def tell(self, kind: str, text: str) -> None:
        self.emit(Event(kind=kind, text=text))


def _advance(walk: Steps, ends: list[float]) -> float:
    """When it wants to go on; NEVER if it has ended."""
    try:
        return next(walk)
    except StopIteration as stop:
        ends.append(stop.value)
        return NEVER


def _entry(due: _Due) -> dict[str, Any]:
    on = due.effect.on
    return {
        "fault": due.fault.id,
        "span": due.span,
        "kind": due.fault.kind,
        "said": due.fault.said,
        "on": str(on.cable) if isinstance(on, HalfCable) else str(on),
        "cable": isinstance(on, HalfCable),
        "effect": codec.effect(due.effect),
        "resource": codec.resource(on),
    }


def _number(settings: Mapping[str, object], name: str) -> float:
    value = settings.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def told(plan: Plan) -> str:
    """The plan in a line."""
    return f"{plan.scenario}: {plural(len(list(faults(plan.root))), 'fault')}, seed {plan.seed}"
