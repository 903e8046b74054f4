"""`labctl campaign`: trials are drawn from a pool and played on a running lab, until the budget is used up.

Everything that can be wrong with the file, the lab and the record of coverage is found before anything is touched. All runs
of a campaign lie below one directory, each a run directory of its own; its report is written after every trial, so a
campaign that is killed leaves what it found.

    campaign.yml coverage.json              the exact inputs; with the seed they give the same trials again
    001/ 002/ …                             the trials, each as `labctl run` writes it, plan.json included
    002/shrink-01/ …                        reruns of a trial that failed, with fewer faults
    campaign.json report.html report.txt junit.xml
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from labctl.analyze import campaign as judging
from labctl.analyze.played import AGAIN
from labctl.app import attached, kinds
from labctl.app import run as runs
from labctl.app.kinds import Kind
from labctl.app.validate import lab_of
from labctl.errors import LabctlError, Span, did_you_mean
from labctl.faults import campaign as drawing
from labctl.linux import whole
from labctl.model.campaign import Campaign, CampaignReport, Coverage, Trial, TrialResult
from labctl.model.event import Emit, ignore
from labctl.model.lab import LabSpec
from labctl.model.scenario import Plan
from labctl.model.verdict import Verdict
from labctl.report import campaign as writing
from labctl.run import campaign as playing
from labctl.run import heal, record, rundir
from labctl.run.journal import Journal
from labctl.run.world import MonotonicClock
from labctl.runtime.store import Instance, LabDir
from labctl.schema import campaign as campaigns
from labctl.schema import coverage_file, tagged, yaml
from labctl.topo.query_graph import Graph

#: Where neither the file nor the command line says how many.
TRIALS = 10
COVERAGE = "coverage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """trials, for_s, seed: instead of the file's. coverage: the file that remembers what was failed when; by default one
    beside the campaign's directories. lab: its name; a dry run takes a lab file as well.
    """

    file: str
    lab: str | None = None
    trials: int | None = None
    for_s: float | None = None
    seed: int | None = None
    coverage: str | None = None
    out: str = "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A campaign on one lab, before anything is played. trials: without end. history: what was failed at which turn."""

    campaign: Campaign
    lab: LabSpec
    seed: int
    budget: playing.Budget
    coverage_file: str
    history: dict[str, int]
    reach: tuple[str, ...]
    trials: Iterator[Trial]


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The trials that would be played, and what of the lab they would reach."""

    campaign: Campaign
    lab: str
    seed: int
    trials: tuple[Trial, ...]
    coverage: Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """left: what is not at its base state. failed: the error that ended the campaign."""

    report: CampaignReport
    directory: str
    files: dict[str, str]
    left: tuple[str, ...]
    interrupted: bool
    failed: LabctlError | None


def load(file: str) -> Campaign:
    """The campaign of a file."""
    kinds.need(file, "campaign", Kind.CAMPAIGN)
    return campaigns.load(file)


def draw(request: Request, campaign: Campaign, lab: LabSpec) -> Drawn:
    """Everything that is known before a campaign begins. Touches nothing."""
    seed = request.seed if request.seed is not None else campaign.seed
    seed = secrets.randbelow(runs.MOST_SEED) if seed is None else seed
    file = request.coverage or os.path.join(request.out, f"{campaign.name}.{COVERAGE}")
    history = coverage_file.load(file, lab.name)
    for_s = request.for_s if request.for_s is not None else campaign.for_s
    trials = request.trials if request.trials is not None else campaign.trials
    trials = TRIALS if trials is None and for_s is None else trials
    found = drawing.trials(campaign, lab, seed, history)
    first = next(found)  # its errors are the file's
    return Drawn(
        campaign=campaign,
        lab=lab,
        seed=seed,
        budget=playing.Budget(trials=trials, for_s=for_s, reruns=campaign.reruns),
        coverage_file=file,
        history=history,
        reach=drawing.reach(campaign, lab),
        trials=itertools.chain([first], found),
    )


def dry_run(request: Request, instance: Instance) -> DryRun:
    """The trials of the budget; of a budget in time, as many as may begin in it at the earliest."""
    campaign = load(request.file)
    lab = _lab(request.lab, instance)
    drawn = draw(request, campaign, lab)
    budget = drawn.budget
    found = (
        drawn.trials
        if budget.for_s is None
        else itertools.takewhile(lambda trial: trial.start_s < (budget.for_s or 0.0), drawn.trials)
    )
    trials = tuple(itertools.islice(found, budget.trials))
    now = {each for trial in trials for each in trial.elements}
    return DryRun(
        campaign=drawn.campaign,
        lab=lab.name,
        seed=drawn.seed,
        trials=trials,
        coverage=judging.coverage(drawn.reach, drawn.history, now),
    )


def run(request: Request, instance: Instance, emit: Emit = ignore) -> Result:
    """Play it. On Ctrl-C the trial that goes on is put back and judged as far as it got.

    `UnjudgedError` when it cannot be written down.
    """
    campaign = load(request.file)
    whole.check_directory(request.out)
    heal.implicit(instance, emit)
    place = attached.own(instance, request.lab)
    drawn = draw(request, campaign, place.need().lab)
    if request.coverage:
        whole.check(request.coverage)
    directory = rundir.create(request.out, drawn.campaign.name)
    try:
        return _played(request, drawn, place, directory, emit)
    except LabctlError as error:
        if error.code != "cannot-write" or isinstance(error, runs.UnjudgedError):
            raise
        raise runs.UnjudgedError(error) from error


def _played(request: Request, drawn: Drawn, place: LabDir, directory: str, emit: Emit) -> Result:
    whole.write(os.path.join(directory, "campaign.yml"), yaml.read_text(request.file).encode())
    _remember(os.path.join(directory, COVERAGE), drawn, drawn.history)
    book = _Book(drawn, place, directory)
    done = playing.campaign(
        drawn.trials,
        _Player(place, directory, emit),
        MonotonicClock(),
        graph=Graph(drawn.lab),
        budget=drawn.budget,
        keep=book.keep,
        emit=emit,
    )
    try:
        report, files = book.write(done, ended=True)
    except LabctlError as error:
        raise runs.UnjudgedError(error, done.left) from error
    return Result(
        report=report,
        directory=directory,
        files=files,
        left=done.left,
        interrupted=done.interrupted,
        failed=done.failed,
    )


class _Player:
    """Plays a plan on the lab, into a directory below the campaign's."""

    def __init__(self, place: LabDir, directory: str, emit: Emit) -> None:
        self.place, self.directory, self.emit = place, directory, emit

    def __call__(self, plan: Plan, name: str) -> playing.Ran:
        directory = os.path.join(self.directory, name)
        os.makedirs(directory)
        with Journal(os.path.join(directory, record.JOURNAL)) as journal:
            outcome = runs.play(self.place, plan, journal, emit=self.emit)
        result = runs.finish(directory, outcome)
        report = result.report
        by = {v: tuple(f.subject for f in report.findings if f.verdict is v) for v in Verdict}
        return playing.Ran(
            directory=name,
            verdict=report.verdict,
            headline=report.headline,
            took_s=report.run.duration_s,
            failed=by[Verdict.FAIL],
            unknown=by[Verdict.UNKNOWN],
            steady=result.steady,
            unsteady=tuple(each for each in by[Verdict.FAIL] if each.startswith(f"{AGAIN}: ")),
            left=result.left,
            altered=result.altered,
            broke=bool(report.acts),
            interrupted=result.interrupted,
        )


class _Book:
    """What is written while a campaign goes on: its report, and what was failed when."""

    def __init__(self, drawn: Drawn, place: LabDir, directory: str) -> None:
        self.drawn, self.directory = drawn, directory
        self.lab, self.runtime = place.name, place.need().runtime
        self.turns = dict(drawn.history)
        self.began = time.monotonic()
        self.started = datetime.now(UTC).astimezone().isoformat(timespec="seconds")

    def keep(self, done: playing.Campaigned, result: TrialResult | None) -> None:
        if result is not None and result.elements:
            turn = max(self.turns.values(), default=0) + 1
            self.turns |= dict.fromkeys(result.elements, turn)
            _remember(self.drawn.coverage_file, self.drawn, self.turns)
        self.write(done, ended=False)

    def write(self, done: playing.Campaigned, *, ended: bool) -> tuple[CampaignReport, dict[str, str]]:
        now = {each for result in done.results for each in result.elements}
        report = judging.report(
            done.results,
            campaign=self.drawn.campaign.name,
            lab=self.lab,
            runtime=self.runtime,
            seed=self.drawn.seed,
            started=self.started,
            duration_s=time.monotonic() - self.began,
            coverage=judging.coverage(self.drawn.reach, self.drawn.history, now),
            stopped=done.stopped,
            ended=ended,
            command=shlex.join(["labctl", *sys.argv[1:]]),
        )
        return report, writing.save(report, self.directory)


def _remember(path: str, drawn: Drawn, turns: dict[str, int]) -> None:
    whole.write(path, coverage_file.dump(drawn.lab.name, turns).encode())


def _lab(name: str | None, instance: Instance) -> LabSpec:
    """A running lab's, or that of a lab file."""
    return attached.own(instance, None).need().lab if name is None else lab_of(name, lenient=False)


# ---- afterwards


def is_campaign(directory: str) -> bool:
    return os.path.isfile(os.path.join(directory, writing.RECORD))


def report(directory: str) -> tuple[CampaignReport, dict[str, str]]:
    """The report of a campaign's directory, its files written anew from its record."""
    found = _read(directory)
    return found, writing.save(found, directory)


def _read(directory: str) -> CampaignReport:
    path = os.path.join(directory, writing.RECORD)
    try:
        data = json.loads(yaml.read_text(path))
        if not isinstance(data, dict) or data.pop("kind", "") != writing.KIND:
            raise ValueError(f"it has no `kind: {writing.KIND}`")  # noqa: TRY301
        if data.pop("version", 0) != writing.VERSION:
            raise ValueError("another version of labctl wrote it")  # noqa: TRY301
        return tagged.decode(data, CampaignReport)
    except (ValueError, RecursionError) as error:
        raise LabctlError(
            "bad-value", f"this is no record of a campaign: {error}", where=Span(path)
        ) from None


def saved_plan(request: Request, trial: str) -> str:
    """The plan of a trial (or of a rerun) by its name: `nightly-003`, or `003`; of the latest campaign of that name, or
    of the directory that stands before the name.
    """
    name = load(request.file).name
    parent, _, wanted = trial.rpartition("/")
    directory = _directory(request.out, name, parent)
    played = _read(directory).trials
    plans = {each.name: each.directory for each in played}
    plans |= {each.name: each.directory for t in played if t.shrunk for each in t.shrunk.reruns}
    if wanted not in plans:
        wanted = f"{name}-{wanted.zfill(3)}"
    if wanted not in plans:
        known = did_you_mean(wanted, plans) or f"it has {', '.join(sorted(plans)[:3]) or 'none'} …"
        raise LabctlError("unknown-trial", f"the campaign in {directory} has no trial {trial!r}", hint=known)
    return os.path.join(directory, plans[wanted], rundir.PLAN)


def _directory(out: str, name: str, said: str) -> str:
    """The directory of a campaign: as said, below `out`, or the latest of that name."""
    if said:
        found = [each for each in (said, os.path.join(out, said)) if is_campaign(each)]
    else:
        below = os.listdir(out) if os.path.isdir(out) else []
        every = [os.path.join(out, each) for each in below if each.startswith(f"{name}-")]
        found = sorted(
            (each for each in every if is_campaign(each) and _read(each).campaign == name),
            key=lambda each: (os.stat(os.path.join(each, "campaign.yml")).st_mtime_ns, each),
        )
    if not found:
        where = said or f"{out}/{name}-*"
        raise LabctlError(
            "unknown-trial",
            f"there is no campaign that was played in {where}",
            hint="`labctl campaign FILE` plays one; --out says where",
        )
    return found[-1] if not said else found[0]
