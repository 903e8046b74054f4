"""Plays the trials of a campaign one after the other, shrinks those that fail, and stops when the lab is not whole.

The loop knows neither labs nor files: `play` runs a plan and says what came of it, so the tests give it a world that is
written out as a script. It ends with the budget, with the first run that finds the steady state broken (before its faults,
or again after them), with anything that was not put back, and with Ctrl-C.

A failure is shrunk by delta debugging (`faults.ddmin`) over the faults of its plan. First the plan is played without any
fault: an expectation that fails then is no fault's doing. "Fails" means with one of the findings of the trial; a run that
fails with others, or that cannot be judged, is unresolved, and what rests on one is not called proven. A run that leaves the
network in another state (routes that do not come back) is a finding; nothing after it can be compared with what was before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from labctl.analyze.words import plural
from labctl.errors import LabctlError
from labctl.faults.ddmin import Minimal, ddmin
from labctl.faults.reduce import faults, reduced
from labctl.model.campaign import Answer, Rerun, Shrunk, Trial, TrialResult
from labctl.model.event import Emit, Event, ignore
from labctl.model.scenario import Plan
from labctl.model.verdict import Verdict
from labctl.run.world import Clock
from labctl.topo.query_graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one run came to. failed, unknown: subjects of its findings. steady: the steady state held before it.
    unsteady: what of it did not hold again afterwards. left: what was not put back. altered: what the network did not put back by
    itself. broke: something was broken.
    """

    directory: str
    verdict: Verdict
    headline: str
    took_s: float
    failed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    steady: bool = True
    unsteady: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    broke: bool = True
    interrupted: bool = False

    @property
    def ends_it(self) -> str:
        """Why nothing else may be played on this lab; empty if it may."""
        if self.left:
            return f"not put back: {'; '.join(self.left)}"
        if not self.steady:
            return f"the steady state did not hold before a run: {self.headline}"
        if self.unsteady:
            return f"the steady state did not hold again: {'; '.join(self.unsteady)}"
        return "interrupted" if self.interrupted else ""


class Play(Protocol):
    """Plays a plan into a directory of that name below the campaign's."""

    def __call__(self, plan: Plan, name: str) -> Ran: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """trials: how many at most. for_s: no run begins later than that."""

    trials: int | None = None
    for_s: float | None = None
    reruns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigned:
    """So far. stopped: why it ended before its budget; left: what was not put back."""

    results: tuple[TrialResult, ...] = ()
    stopped: str = ""
    left: tuple[str, ...] = ()
    interrupted: bool = False
    failed: LabctlError | None = None  # the error that ended it


def campaign(
    trials: Iterator[Trial],
    play: Play,
    clock: Clock,
    *,
    graph: Graph,
    budget: Budget,
    keep: Callable[[Campaigned, TrialResult | None], None] = lambda _, __: None,
    emit: Emit = ignore,
) -> Campaigned:
    """Play trials until the budget is used up. keep: told after each trial, and at the end with None."""
    loop = _Loop(play, clock, graph, budget, emit)
    try:
        while not (loop.done.stopped or loop.over()):
            trial = next(trials)
            if loop.late(trial.pause_s):
                break
            result = loop.one(trial)
            loop.done = replace(loop.done, results=(*loop.done.results, result))
            keep(loop.done, result)
    except KeyboardInterrupt:
        loop.done = replace(loop.done, stopped="interrupted", interrupted=True)
    except LabctlError as error:
        loop.done = replace(loop.done, stopped=f"ended by an error: {error.message}", failed=error)
    finally:
        keep(loop.done, None)
    return loop.done


class _Loop:
    def __init__(self, play: Play, clock: Clock, graph: Graph, budget: Budget, emit: Emit) -> None:
        self._play, self.clock, self.graph, self.budget, self.emit = play, clock, graph, budget, emit
        self.began = clock.now()
        self.done = Campaigned()

    def over(self) -> bool:
        """Whether no further trial may begin."""
        return self.late() or (
            self.budget.trials is not None and len(self.done.results) >= self.budget.trials
        )

    def late(self, after_s: float = 0.0) -> bool:
        """Whether the time will be over by then."""
        for_s = self.budget.for_s
        return for_s is not None and self.clock.now() + after_s - self.began >= for_s

    def one(self, trial: Trial) -> TrialResult:
        said = tuple(each.said for each in faults(trial.plan.root))
        self._tell("trial", f"{trial.name}: {'; '.join(said)}")
        if trial.pause_s:
            self.clock.sleep_until(self.clock.now() + trial.pause_s)
        ran = self.play(trial.plan, f"{trial.number:03d}")
        self._tell("trial-ended", f"{trial.name}: {ran.verdict}")
        shrunk = None
        if ran.verdict is Verdict.FAIL and ran.failed and not ran.ends_it and self.budget.reruns:
            shrunk = self.shrink(trial, ran)
        return TrialResult(
            name=trial.name,
            verdict=ran.verdict,
            headline=ran.headline,
            faults=said,
            elements=trial.elements if ran.broke else (),
            directory=ran.directory,
            took_s=ran.took_s,
            failed=ran.failed,
            unknown=ran.unknown,
            shrunk=shrunk,
        )

    def play(self, plan: Plan, name: str) -> Ran:
        ran = self._play(plan, name)
        if ran.ends_it:
            self.done = replace(self.done, stopped=ran.ends_it, left=ran.left, interrupted=ran.interrupted)
        return ran

    # -- shrinking -----------------------------------------------------------------------------------------------

    def shrink(self, trial: Trial, ran: Ran) -> Shrunk:
        """The smallest set of the trial's faults that still fails, as far as the reruns reach."""
        self._tell("shrinking", f"{trial.name}: which of its faults does it take? …")
        work = _Shrinking(self, trial, ran)
        if ran.altered:
            return work.result(work.ids, note=elsewhere(ran))
        control = work.run(())
        if control is None:
            return work.result(work.ids, note=work.why)
        if control.answer is Answer.FAILS:
            return work.result((), proven=True, note="it fails without any fault: no fault is to blame")
        found = work.smallest()
        if not isinstance(found, Minimal):
            return work.result(found, note=work.why)
        notes = work.doubts(control, found)
        return work.result(found.items, proven=not notes, note="; ".join(notes))

    def _tell(self, kind: str, text: str) -> None:
        self.emit(Event(kind=kind, text=text))


class _Shrinking:
    """The reruns of one failed trial. `run` returns None when no more may be played; `why` says why."""

    def __init__(self, loop: _Loop, trial: Trial, ran: Ran) -> None:
        self.loop, self.trial, self.ran = loop, trial, ran
        self.every = {each.id: each.said for each in faults(trial.plan.root)}
        self.ids = tuple(self.every)
        self.reruns: list[Rerun] = []
        self.why = ""

    def run(self, keep: Sequence[str]) -> Rerun | None:
        budget = self.loop.budget
        if len(self.reruns) >= budget.reruns:
            self.why = f"the {plural(budget.reruns, 'rerun')} that it may take {'is' if budget.reruns == 1 else 'are'} used up"
        elif self.loop.late():
            self.why = "the campaign's time is over"
        if self.why:
            return None
        number = len(self.reruns) + 1
        plan = reduced(self.trial.plan, keep, self.loop.graph, f"{self.trial.name}-shrink-{number:02d}")
        ran = self.loop.play(plan, f"{self.trial.number:03d}/shrink-{number:02d}")
        answer, why = judged(ran, self.ran.failed)
        found = Rerun(name=plan.scenario, faults=tuple(keep), answer=answer, why=why, directory=ran.directory)
        self.reruns.append(found)
        self.loop.emit(
            Event(kind="shrink", text=f"{plan.scenario}: {', '.join(keep) or 'no fault'}: {answer}")
        )
        if ran.ends_it:
            self.why = ran.ends_it
            return None
        self.why = elsewhere(ran)
        return found

    def smallest(self) -> Minimal[str] | tuple[str, ...]:
        """What delta debugging comes to; the smallest set so far, where no more runs may be played."""
        asking = ddmin(self.ids)
        try:
            ask = next(asking)
            while True:
                found = self.run(ask.items)
                if found is None:
                    return ask.smallest
                ask = asking.send(found.answer)
        except StopIteration as stop:
            minimal: Minimal[str] = stop.value
        return minimal

    def doubts(self, control: Rerun, found: Minimal[str]) -> list[str]:
        """What keeps it from being proven; a set that was not played by itself is, once more."""
        notes = []
        if control.answer is Answer.UNRESOLVED:
            notes.append(f"whether it holds without any fault is not known: {control.why}")
        if found.doubtful:
            notes.append(f"whether it takes {', '.join(found.doubtful)} is not known")
        again = self.known(found.items) or self.run(found.items)
        if again is None:
            notes.append(f"not played a second time: {self.why}")
        elif again.answer is not Answer.FAILS:
            notes.append(f"did not fail so when it was played again ({again.answer}: {again.why})")
        return notes

    def known(self, keep: Collection[str]) -> Rerun | None:
        return next((each for each in self.reruns if set(each.faults) == set(keep)), None)

    def result(self, keep: Sequence[str], *, proven: bool = False, note: str = "") -> Shrunk:
        own = self.known(keep)
        directory = self.ran.directory if own is None else own.directory
        return Shrunk(
            faults=tuple(keep),
            said=tuple(self.every[each] for each in keep),
            proven=proven,
            note=note,
            plan=f"{directory}/plan.json",
            reruns=tuple(self.reruns),
        )


def elsewhere(ran: Ran) -> str:
    """Why what is played next cannot be compared with what was played before; empty if it can."""
    if not ran.altered:
        return ""
    return f"what is played from here on begins from another state: {', '.join(ran.altered)}"


def judged(ran: Ran, wanted: Collection[str]) -> tuple[Answer, str]:
    """What a rerun says about the failure that is looked for, and why."""
    if ran.ends_it:
        return Answer.UNRESOLVED, ran.ends_it
    same = [each for each in ran.failed if each in wanted]
    if same:
        return Answer.FAILS, same[0]
    if ran.verdict is Verdict.PASS:
        return Answer.PASSES, ran.headline
    if ran.failed:
        return Answer.UNRESOLVED, f"failed in another way: {ran.failed[0]}"
    return Answer.UNRESOLVED, ran.headline
