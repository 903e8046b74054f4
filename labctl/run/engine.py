"""Plays a plan: the one loop that breaks things.

The tree of steps (`run.steps`) says when what is to begin, `run.acting` asks for it and hears when it was made,
`run.watching` sees what the network does meanwhile; here is the loop that gives each its turn. Nothing in it waits for
anything but the next instant at which something is due.

Whatever happens (a stop rule, an effect that did not take, Ctrl-C, an error) ends in the same place: every effect of
the run is over, what is left is looked at, and the journal says why. The engine judges nothing but what it must decide
by at once: whether the steady state holds before anything is broken, and the stop rules. The verdict is
`labctl.analyze.played`, from the journal and the samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.analyze.words import plural, seconds
from labctl.errors import LabctlError
from labctl.faults.reduce import faults
from labctl.model.event import Emit, ignore
from labctl.model.measure import Track
from labctl.model.scenario import Expectation, Plan
from labctl.run import entries
from labctl.run.acting import NEVER, Acting
from labctl.run.book import Book
from labctl.run.journal import Journal
from labctl.run.steps import Steps, Walker, advance
from labctl.run.undisturbed import undisturbed
from labctl.run.watching import POLL_S, USUAL, Times, Watching
from labctl.run.world import LEAD_S, Clock, World

__all__ = ["GONE", "Outcome", "Times", "dirty", "play", "told"]

#: The code of the error that says that the world is there no more: nothing is left in it.
GONE = "no-lab"

#: No stop rule is looked at so shortly before a fault is due: punctuality goes first.
HANDS_OFF_S = 0.03
#: Measures of the lab that are judged by its last state, whatever the stretch: there is nothing to wait for once they hold.
SAME = ("routes", "adjacencies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is not in the journal: the samples. left: what was not at its base at the end. unseen: why nobody could look at
    that. steady: False if the steady state did not hold before, so that nothing was broken. altered: what the network did
    not put back by itself, in words. unwritten: why the journal has no end.
    """

    tracks: Mapping[str, Track]
    left: tuple[str, ...]
    interrupted: bool
    steady: bool = True
    altered: tuple[str, ...] = ()
    unseen: LabctlError | None = None
    unwritten: LabctlError | None = None

    @property
    def dirty(self) -> tuple[str, ...]:
        """What `labctl heal` has to look after; a lab that is gone needs no healing."""
        return dirty(self.left, self.unseen)


def dirty(left: tuple[str, ...], unseen: LabctlError | None) -> tuple[str, ...]:
    """What may not be at its base state, in words."""
    if unseen is None or unseen.code == GONE:
        return left
    return (f"nobody could look: {unseen.message}",)


def play(
    plan: Plan,
    world: World,
    clock: Clock,
    journal: Journal,
    *,
    emit: Emit = ignore,
    times: Times = USUAL,
) -> Outcome:
    """Play the plan on a world. Ctrl-C and errors of the world end it early and are in the journal; anything else is
    raised, after everything was put back.
    """
    run = _Run(plan, world, clock, Book(journal, clock, emit), times)
    interrupted, steady = False, True
    try:
        run.begin()
        steady = run.is_steady()
        if steady:
            run.play_timeline()
            run.recover()
    except KeyboardInterrupt:
        interrupted = run.book.closing = True
        run.book.note("interrupted")
    except LabctlError as error:
        run.book.closing = True
        run.book.note("failed", error=error.message, code=error.code)
    except BaseException as error:
        run.book.closing = True
        run.book.note("failed", error=repr(error), code="bug")
        raise
    finally:
        with undisturbed():
            tracks, left, unseen = run.finish()
    return Outcome(
        tracks=tracks,
        left=left,
        interrupted=interrupted,
        steady=steady,
        altered=tuple(run.altered),
        unseen=unseen,
        unwritten=run.book.unwritten,
    )


class _Run:
    """One play of one plan."""

    def __init__(self, plan: Plan, world: World, clock: Clock, book: Book, times: Times) -> None:
        self.plan, self.world, self.clock, self.book, self.times = plan, world, clock, book, times
        self.acting = Acting(world, clock, book, grace_s=times.grace_s)
        self.watching = Watching(plan, world, clock, book, acting=self.acting, times=times)
        self.remembered = False
        self.began = clock.now()
        self.stopped = ""  # why a stop rule ended it
        self.altered: list[str] = []

    # -- the phases --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.watching.subjects = self.world.begin(self.plan.probes)
        others = self.world.others()
        self.book.note("measuring", subjects=dict(self.watching.subjects), others=list(others))

    def is_steady(self) -> bool:
        """Whether the world is as it must be before anything is broken; says why not."""
        self.book.phase("steady state before")
        seen = self.watching.settle("before")
        # The probes have run since `begin`: quiet and steady are waited for together.
        quiet = seen.start + seen.took_s if seen.settled else self.clock.now()
        window = self.watching.measure(self.watching.steady_s, since=quiet)
        self.world.remember()
        self.remembered = True
        left = self.world.left()
        self.book.note("window", which="before", start=window.start, end=window.end)
        reasons = [f"not at its base state: {each}" for each in left]
        if not seen.settled:
            reasons.append(f"routing had not settled after {seconds(seen.waited_s)}")
        reasons += self.watching.unmet(self.plan.steady, window, seen)
        if reasons:
            self.book.note("not-steady", reasons=reasons)
            self.book.tell("not-steady", f"not steady, nothing was broken: {'; '.join(reasons)}")
        return not reasons

    def play_timeline(self) -> None:
        """The steps, until the last has ended or something ends them early."""
        self.book.phase("timeline")
        effects = [span.effect for fault in faults(self.plan.root) for span in fault.spans]
        if effects:
            self.world.prepare(effects)
        start = self.clock.now() + LEAD_S
        self.book.note("window", which="during", start=start, end=None)
        walker = Walker(self.clock, self.acting, self.watching)
        try:
            self.walk(walker.step(self.plan.root, start), start)
        finally:
            with undisturbed():
                self.acting.clear()
        if self.ended_early:
            self.book.tell("ended-early", self.ended_early)

    def recover(self) -> None:
        """Everything is whole again: routing settles, and the steady state is measured once more."""
        self.book.phase("recovery")
        self.watching.settle("after", since=self.acting.last_change)
        start = self.clock.now()
        self.book.note("window", which="during-end", start=start, end=None)
        self.await_same()
        now = self.clock.now()
        within = _within(each for each in self.plan.after if each.measure not in SAME)
        steady_s = self.watching.steady_s
        window = self.watching.measure(max(steady_s, self.acting.last_change + within - now + steady_s))
        self.book.note("window", which="after", start=start, end=window.end)

    def await_same(self) -> None:
        """Routes and sessions that may take their time to be as before are waited for, and no longer than needed."""
        within = _within(each for each in self.plan.after if each.measure in SAME)
        deadline = self.acting.last_change + within
        while self.clock.now() < deadline:
            found = self.world.after()
            if not found.changed and not found.lost_sessions:
                return
            self.clock.sleep_until(min(deadline, self.clock.now() + 10 * POLL_S))

    def finish(self) -> tuple[Mapping[str, Track], tuple[str, ...], LabctlError | None]:
        """End every effect, look at what is left, collect the samples. Called once, whatever happened.

        Where nobody could look, nobody knows whether the faults are over, so that routes that differ say nothing.
        """
        tracks: Mapping[str, Track] = {}
        left: tuple[str, ...] = ()
        unseen: LabctlError | None = None
        self.book.closing = True
        try:
            self.acting.clear()
            left = self.world.left()
        except LabctlError as error:
            unseen = error
        finally:
            after = self.world.after() if self.remembered and unseen is None else None
            if after is not None and after.changed:
                self.altered.append(f"{plural(len(after.changed), 'route')} not as before")
            if after is not None and after.lost_sessions:
                self.altered.append(f"{plural(len(after.lost_sessions), 'session')} not up again")
            routes, sessions = self.world.changes(self.began)
            tracks = self.world.stop()
            self.book.note(
                "routes",
                routes=entries.ROUTES.dump_python(routes, mode="json"),
                sessions=entries.SESSIONS.dump_python(sessions, mode="json"),
            )
            self.book.note(
                "after",
                left=None if unseen else list(left),
                unseen=unseen.message if unseen else "",
                changed=None if after is None else entries.ROUTES.dump_python(after.changed, mode="json"),
                lost_sessions=None if after is None else list(after.lost_sessions),
            )
            self.book.note("end", sync=True)
        return tracks, left, unseen

    # -- the loop ----------------------------------------------------------------------------------------------

    @property
    def ended_early(self) -> str:
        """Why the timeline does not go on."""
        return self.stopped or self.acting.refused

    def walk(self, tree: Steps, start: float) -> None:
        """Steps, effects, answers and stop rules, each when it is due."""
        acting, ends = self.acting, list[float]()
        step_due, rules_due = start - LEAD_S, start + self.times.look_s
        while not self.ended_early:
            now = self.clock.now()
            if acting.next_ask <= now:  # first: a step that looks at the world sees what begins with it
                acting.ask(now)
                continue
            if step_due <= now:
                step_due = advance(tree, ends)
                continue
            over = ends[-1] if ends else NEVER
            if over <= now and acting.over:
                return
            soonest = min(step_due, acting.next_ask, over if over > now else NEVER)
            if soonest - now > HANDS_OFF_S:
                self.book.sync()
                if acting.next_look <= now:
                    acting.look_again(now)
                    continue
                if rules_due <= now:
                    self.stopped = self.watching.struck(now)
                    rules_due = now + self.times.look_s
                    continue
            if soonest > now:
                glance = max(min(acting.next_look, rules_due), now + HANDS_OFF_S)
                acting.hear(min(soonest, glance))


def _within(wanted: Iterable[Expectation]) -> float:
    return max((each.within_s or 0.0 for each in wanted), default=0.0)


def told(plan: Plan) -> str:
    """The plan in a line."""
    return f"{plan.scenario}: {plural(len(list(faults(plan.root))), 'fault')}, seed {plan.seed}"
