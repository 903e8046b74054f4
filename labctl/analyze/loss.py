"""From samples to outages: which sends were lost, in what stretches, and for how long at least and at most.

An outage is known only between samples. The window of a run of lost sends is therefore an interval of durations
(`LossWindow.at_least_s`, `at_most_s`); the report prints both ends and never a number sharper than the probe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labctl.model.measure import Flow, LossWindow, Sample, Track


def windows(track: Track) -> tuple[LossWindow, ...]:
    """The runs of consecutive lost samples, in order. A late reply is an answer: it ends a run."""
    runs = list(_runs(track.samples))
    found = []
    for at, (lost, run) in enumerate(runs):
        if lost:
            found.append(
                LossWindow(
                    first_lost=run[0].sent,
                    last_lost=run[-1].sent,
                    last_good=runs[at - 1][1][-1].sent if at else None,
                    next_good=runs[at + 1][1][0].sent if at + 1 < len(runs) else None,
                    lost=len(run),
                    errors=tuple(sorted({s.error for s in run if s.error})),
                )
            )
    return tuple(found)


def _runs(samples: Sequence[Sample]) -> Iterator[tuple[bool, list[Sample]]]:
    run: list[Sample] = []
    for sample in samples:
        if run and (run[-1].value is None) != (sample.value is None):
            yield run[-1].value is None, run
            run = []
        run.append(sample)
    if run:
        yield run[-1].value is None, run


def flow(track: Track) -> Flow:
    """The track with its outages and its figures."""
    answered = sorted(s.value for s in track.samples if s.value is not None)
    return Flow(
        track=track,
        windows=windows(track),
        sent=len(track.samples),
        lost=track.lost,
        late=track.late,
        rtt_median_s=quantile(answered, 0.5),
        rtt_p99_s=quantile(answered, 0.99),
    )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank quantile: always a value that was really measured."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def longest(of: Flow) -> LossWindow | None:
    """The window with the most certain loss; ties go to the earlier one."""
    return max(of.windows, key=lambda w: (w.at_least_s, w.lost, -w.first_lost), default=None)
