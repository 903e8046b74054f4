"""What a run sees of the network: whether routing is quiet, whether the steady state holds, whether a stop rule strikes.

Nothing is judged here but what must be decided by at once; the verdict is made later, from the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from labctl.analyze import expect
from labctl.analyze.words import seconds
from labctl.model.measure import Window
from labctl.model.routes import Convergence
from labctl.model.scenario import Expectation, Plan, StopRule
from labctl.model.verdict import Verdict
from labctl.run import entries
from labctl.run.acting import Acting
from labctl.run.book import Book
from labctl.run.world import Clock, World

POLL_S = 0.1


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


USUAL = Times()


class Watching:
    """The network under one run. subjects: probe id -> what it is called."""

    def __init__(
        self, plan: Plan, world: World, clock: Clock, book: Book, *, acting: Acting, times: Times
    ) -> None:
        self._world, self._clock, self._book, self._acting = world, clock, book, acting
        self._rules: Sequence[StopRule] = plan.stop_when
        self._times = times
        self.subjects: Mapping[str, str] = {}
        settings = [probe.settings for probe in plan.probes]
        self._late_s = max((_number(each, "late_s") for each in settings), default=0.0)
        self._pace_s = max((_number(each, "every_s") for each in settings), default=0.0)

    @property
    def steady_s(self) -> float:
        """Long enough that the slowest probe has samples enough to be judged."""
        return max(self._times.steady_s, (expect.MIN_SAMPLES + 2) * self._pace_s)

    def look(self, phase: str, since: float) -> Convergence:
        """What the routes do. While something is being made they are not settled, however quiet they are, and not
        before it is quiet from then on: a node that boots has not spoken yet.
        """
        seen = self._world.look(phase, since)
        quiet_s = self._clock.now() - self._acting.last_made
        if seen.settled and (self._acting.unanswered or quiet_s < seen.quiet_s):
            return replace(seen, settled=False)
        return seen

    def settle(self, phase: str, since: float | None = None) -> Convergence:
        """Wait until routing is quiet, as long as it may take."""
        asked = told = self._clock.now()
        since = asked if since is None else since
        while True:
            seen = self.look(phase, since)
            now = self._clock.now()
            if seen.settled or now - asked >= self._times.settle_s:
                break
            if now - told >= 1.0:
                told = now
                self._book.tell("settling", f"routing settles ({phase}) …", passing=True)
            self._clock.sleep_until(now + POLL_S)
        self.settled(seen)
        return seen

    def settled(self, seen: Convergence) -> None:
        """Write down what waiting for quiet came to."""
        self._book.note("settled", seen=entries.CONVERGENCE.dump_python(seen, mode="json"))

    def measure(self, for_s: float, *, since: float | None = None) -> Window:
        """Let `for_s` of samples be sent from now on, and as much time pass as their answers may take.

        since: from when on samples count that were sent already, so that of a long quiet the end is what is measured.
        """
        now = self._clock.now()
        start = now if since is None else min(now, max(since, now - for_s - self._late_s))
        self._clock.sleep_until(start + for_s + self._late_s)
        return Window(start=start, end=start + for_s)

    def unmet(self, wanted: Sequence[Expectation], window: Window, seen: Convergence) -> list[str]:
        """The expectations of the steady state that do not hold. What is 'as before' holds: this is before."""
        routes, sessions = self._world.changes(window.start)
        evidence = expect.Seen(
            tracks=self._world.recent(window),
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

    def check(self, wanted: Expectation) -> None:
        """Write down what an expectation of the timeline is judged by."""
        now = self._clock.now()
        seen = self.look("check", self._acting.last_change)
        after = self._world.after()
        self._book.note(
            "check",
            changed=entries.ROUTES.dump_python(after.changed, mode="json"),
            lost_sessions=list(after.lost_sessions),
            expect=entries.encode_expectation(wanted),
            start=now - (wanted.within_s or self._times.check_s),
            end=now,
            seen=entries.CONVERGENCE.dump_python(seen, mode="json"),
        )

    def struck(self, now: float) -> str:
        """Why a stop rule ends the run, by a stretch that ended so long ago that every answer in time is there."""
        end = now - self._late_s
        for rule in self._rules:
            window = Window(start=end - rule.window_s, end=end)
            routes, sessions = self._world.changes(window.start)
            evidence = expect.Seen(
                tracks=self._world.recent(window),
                subjects=self.subjects,
                route_changes=routes,
                adjacency_changes=sessions,
            )
            found = expect.judge(rule.unless, evidence, window, f"within {seconds(rule.window_s)}")
            if found.verdict is Verdict.FAIL:
                self._world.need()  # what is lost with the lab is nobody's failure
                why = f"{found.subject}: {found.summary}"
                self._book.note("stopped", why=why, sync=True)
                return f"stopped: {why}"
        return ""


def _number(settings: Mapping[str, object], name: str) -> float:
    value = settings.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
