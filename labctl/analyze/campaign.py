"""A campaign in words: what its trials would do (`--dry-run`), and what they came to.

The verdict is the worst of the trials'. A campaign that ended before its budget says why in the headline; one that played
nothing is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from labctl.analyze import dryrun
from labctl.analyze.words import plural
from labctl.model.campaign import Campaign, CampaignReport, Coverage, Refused, Shrunk, Trial, TrialResult
from labctl.model.scenario import Plan, PlannedFault, PlannedParallel, PlannedSequence, PlanStep, WaitStep
from labctl.model.verdict import Verdict, worst
from labctl.units import format_duration

_MOST = 8


# ---- before


def render(
    campaign: Campaign, lab: str, seed: int, trials: Sequence[Trial], covered: Coverage
) -> Iterator[str]:
    """The dry run as lines."""
    length = sum(each.plan.min_s + each.pause_s for each in trials)
    yield f"campaign {campaign.name} on lab {lab}, seed {seed}, {plural(len(trials), 'trial')}, at least {_time(length)}"
    for trial in trials:
        yield ""
        yield f"{trial.name}  begins at {_time(trial.start_s)} or later, takes {_time(trial.plan.min_s)} or longer"
        yield from (f"  {line}" for line in steps(trial.plan.root))
        yield from (f"  {line}" for line in radius(trial.plan))
        yield from (f"  refused by {line}" for line in refusals(trial.refused))
    yield ""
    yield from coverage_lines(covered)
    unknown = dict.fromkeys(each for trial in trials for each in trial.plan.predicted.unknown)
    yield from (f"not known from the graph: {each}" for each in unknown)


def steps(root: PlanStep, at: float = 0.0) -> Iterator[str]:
    """The faults of a plan with their times, in the order of the file."""
    match root:
        case PlannedFault():
            yield f"at {_time(at)}: {root.id}: {root.said}, for {format_duration(root.for_s)}"
        case PlannedParallel():
            for each in root.steps:
                yield from steps(each, at)
        case PlannedSequence():
            for each in root.steps:
                yield from steps(each, at)
                at += _length(each)
        case _:
            pass


def radius(plan: Plan) -> Iterator[str]:
    """What the plan would touch and cut off."""
    found = plan.predicted
    touched = [f"link {each}" for each in found.links] + [f"node {each}" for each in found.nodes]
    yield f"touches {_few(touched)}"
    yield from (dryrun.lost(each) for each in found.lost)
    if not found.lost:
        yield "no two running nodes lose each other"


def refusals(refused: Iterable[Refused]) -> Iterator[str]:
    """One line a rule: how often it was against a draw, and the first of them."""
    by_rule: dict[str, list[Refused]] = {}
    for each in refused:
        by_rule.setdefault(each.rule, []).append(each)
    for rule, found in by_rule.items():
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        yield f"{rule}: {found[0].drawn}: {found[0].why}{more}"


def coverage_lines(covered: Coverage) -> Iterator[str]:
    total = len({*covered.now, *covered.before, *covered.never})
    if total:
        yield (
            f"coverage of {plural(total, 'element')}: {len(covered.now)} in this campaign, "
            f"{len(covered.before)} only in earlier ones, {len(covered.never)} never"
        )
    if covered.never:
        yield f"never failed: {_few(covered.never)}"


def coverage(reach: Iterable[str], history: Mapping[str, int], now: Iterable[str]) -> Coverage:
    """What of the elements in reach (and of those that were failed) was failed when."""
    failed = frozenset(now)
    before = history.keys() - failed
    every = {*reach, *failed}
    return Coverage(
        now=tuple(sorted(failed)),
        before=tuple(sorted(before & every)),
        never=tuple(sorted(every - failed - before)),
    )


def _length(step: PlanStep) -> float:
    """How long a step takes at least."""
    match step:
        case PlannedFault():
            return step.for_s
        case WaitStep():
            return step.for_s or 0.0
        case PlannedSequence():
            return sum(_length(each) for each in step.steps)
        case PlannedParallel():
            return max((_length(each) for each in step.steps), default=0.0)
        case _:
            return 0.0


# ---- after


def report(
    results: tuple[TrialResult, ...],
    *,
    campaign: str,
    lab: str,
    runtime: str,
    seed: int,
    started: str,
    duration_s: float,
    coverage: Coverage,
    stopped: str = "",
    ended: bool = True,
    command: str = "",
) -> CampaignReport:
    """The campaign, judged."""
    return CampaignReport(
        campaign=campaign,
        lab=lab,
        runtime=runtime,
        seed=seed,
        started=started,
        duration_s=duration_s,
        verdict=worst(*(each.verdict for each in results)),
        headline=_headline(campaign, results, stopped),
        trials=results,
        coverage=coverage,
        stopped=stopped,
        ended=ended,
        command=command,
    )


def _headline(name: str, results: Sequence[TrialResult], stopped: str) -> str:
    """The one sentence that people repeat."""
    early = f" Ended early: {stopped}." if stopped else ""
    if not results:
        return f"{name}: nothing was played.{early}"
    count = {verdict: sum(each.verdict is verdict for each in results) for verdict in Verdict}
    said = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
    bad = next((each for each in results if each.verdict is Verdict.FAIL), None)
    first = ""
    if bad is not None:
        least = (bad.shrunk.said if bad.shrunk else bad.faults) or ("no fault at all",)
        first = f" {bad.name} fails with {' and '.join(least)}."
    return f"{name}: {plural(len(results), 'trial')}, {said}.{first}{early}"


def shrunk_words(shrunk: Shrunk) -> str:
    """`link.down on …: proven in 5 reruns`."""
    least = " and ".join(shrunk.said) or "no fault at all"
    how = "proven" if shrunk.proven else "not proven"
    note = f" ({shrunk.note})" if shrunk.note else ""
    return f"{least}: {how} in {plural(len(shrunk.reruns), 'rerun')}{note}"


def _few(names: Sequence[str]) -> str:
    if len(names) <= _MOST:
        return ", ".join(names)
    return f"{', '.join(names[: _MOST - 1])} and {len(names) - _MOST + 1} more"


def _time(value: float) -> str:
    return format_duration(round(value, 3))
