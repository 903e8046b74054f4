"""`labctl run`: a scenario (or a plan that was saved) is played on a running lab, judged, and written down.

Everything that can be wrong is found before anything is touched. The directory of the run is there from the start, so
a run that is killed leaves a journal that `labctl report` can still read.
"""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from dataclasses import dataclass
from datetime import datetime

from labctl.app import attached, kinds
from labctl.app.kinds import Kind
from labctl.errors import LabctlError, Problems, Span, did_you_mean
from labctl.faults import plan as planning
from labctl.faults import reduce
from labctl.linux import priority, whole
from labctl.model.effects import exists, resources
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec
from labctl.model.scenario import Plan
from labctl.model.topology import Topology
from labctl.model.verdict import Report
from labctl.run import apply, engine, heal, observe, record, rundir, samples
from labctl.run.journal import Journal
from labctl.run.live import LabWorld
from labctl.run.world import MonotonicClock
from labctl.runtime.store import Instance, LabDir
from labctl.schema import plan_file
from labctl.schema import scenario as scenarios
from labctl.topo.graph import of_lab
from labctl.topo.query_graph import Graph

MOST_SEED = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """scenario: the file; plan: one that an earlier run saved, instead of it. out: where the run's directory goes."""

    scenario: str | None = None
    plan: str | None = None
    lab: str | None = None
    seed: int | None = None
    out: str = "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """left: what is not at its base state although everything was ended, or why nobody could look. steady: False if nothing was broken, because
    the steady state did not hold. altered: what the network did not put back by itself (routes, sessions).
    """

    report: Report
    directory: str
    files: dict[str, str]
    left: tuple[str, ...]
    interrupted: bool
    steady: bool
    altered: tuple[str, ...]


class UnjudgedError(LabctlError):
    """A run was begun, was ended as every run, and could not be written down, so that nobody can judge it.

    left: as in `Result`.
    """

    def __init__(self, cause: LabctlError, left: tuple[str, ...] = ()) -> None:
        super().__init__(cause.code, cause.message, where=cause.where, hint=cause.hint)
        self.left = left


def prepare(request: Request, instance: Instance) -> tuple[LabDir, Plan]:
    """The lab and the plan that would be played on it. Touches nothing."""
    if request.plan is not None:
        kinds.need(request.plan, "run --plan", Kind.PLAN)
        plan = plan_file.load(request.plan)
        place = attached.own(instance, request.lab or plan.lab)
        fits(plan, apply.need_whole(place).lab, request.plan)
        return place, plan
    assert request.scenario is not None
    kinds.need(request.scenario, "run", Kind.SCENARIO)
    scenario = scenarios.load(request.scenario)
    place = attached.own(instance, request.lab)
    seed = request.seed if request.seed is not None else scenario.seed
    seed = secrets.randbelow(MOST_SEED) if seed is None else seed
    return place, planning.plan(scenario, apply.need_whole(place).lab, seed)


def run(request: Request, instance: Instance, emit: Emit = ignore) -> Result:
    """Play it. On Ctrl-C everything is put back, judged as far as it got, and `interrupted` is set.

    `UnjudgedError` when it cannot be written down.
    """
    whole.check_directory(request.out)
    heal.implicit(instance, emit)
    place, plan = prepare(request, instance)
    directory = rundir.create(request.out, plan.scenario)
    left: tuple[str, ...] = ()
    try:
        with Journal(os.path.join(directory, record.JOURNAL)) as journal:
            outcome = play(place, plan, journal, scenario=request.scenario, emit=emit)
        left = outcome.dirty
        return finish(directory, outcome)
    except LabctlError as error:
        if error.code != "cannot-write" or isinstance(error, UnjudgedError):
            raise
        raise UnjudgedError(error, left) from error


def play(
    place: LabDir,
    plan: Plan,
    journal: Journal,
    *,
    scenario: str | None = None,
    topology: Topology | None = None,
    started: datetime | None = None,
    emit: Emit = ignore,
) -> engine.Outcome:
    """Play the plan into a journal; what went in and the samples are written beside it.

    scenario: the file that the plan was made of. topology: what the lab is a shadow of, where that is known. started:
    when the run began, if it had something to do before.
    """
    lab, directory = apply.need_whole(place), os.path.dirname(journal.path)
    rundir.keep(directory, plan, topology or of_lab(lab.lab), scenario)
    emit(Event(kind="run", text=f"{engine.told(plan)}, lab {place.name}; {directory}"))
    clock = MonotonicClock()
    rundir.head(
        journal,
        plan,
        t=clock.now(),
        lab=place.name,
        runtime=lab.runtime,
        command=shlex.join(["labctl", *sys.argv[1:]]),
        started=started,
        names=observe.resource_names(lab.lab),
    )
    with place.playing(), priority.raised():
        outcome = engine.play(plan, LabWorld(place), clock, journal, emit=emit)
    try:
        if outcome.unwritten is not None:
            raise outcome.unwritten
        samples.write(os.path.join(directory, record.SAMPLES), outcome.tracks)
    except LabctlError as error:
        raise UnjudgedError(error, outcome.dirty) from error
    return outcome


def finish(directory: str, outcome: engine.Outcome) -> Result:
    """Judge what was written, and write the report."""
    report, files = rundir.report(directory)
    return Result(
        report=report,
        directory=directory,
        files=files,
        left=outcome.dirty,
        interrupted=outcome.interrupted,
        steady=outcome.steady,
        altered=outcome.altered,
    )


def fits(plan: Plan, lab: LabSpec, file: str) -> None:
    """Whether the lab has everything that a saved plan touches and measures; else all that it has not."""
    problems = Problems()
    known = resources(lab)
    names = sorted({str(on) for on in known})
    touched = {span.effect.on for fault in reduce.faults(plan.root) for span in fault.spans}
    for name, on in sorted((str(on), on) for on in touched):
        if not exists(on, known):
            said = f"the plan touches {name}, which lab {lab.name!r} does not have"
            problems.add("unknown-resource", said, where=Span(file), hint=did_you_mean(name, names))
    planning.check_probes(plan.probes, Graph(lab), problems)
    problems.stop()
