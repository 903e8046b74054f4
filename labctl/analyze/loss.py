"""From samples to outages: which sends were lost, in what stretches, and for how long at least and at most.

An outage is known only between samples. The window of a run of lost sends is therefore an interval of durations
(`LossWindow.at_least_s`, `at_most_s`); the report prints both ends and never a number sharper than the probe.
"""

from __future__ import annotations

import itertools
import math
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


#: A pause of so many intervals is none that a busy machine makes all the time.
_PAUSE = 5


def unsent(track: Track) -> tuple[tuple[float, float], ...]:
    """(begin, seconds) of the stretches between two answered sends in which the probe sent nothing, far behind its pace:
    of what happened there it says nothing. Beside a loss they are within that outage's `at_most_s`.
    """
    return tuple(
        (one.sent, other.sent - one.sent)
        for one, other in itertools.pairwise(track.samples)
        if one.value is not None
        and other.value is not None
        and other.sent - one.sent > _PAUSE * track.interval_s
    )


def due(track: Track) -> int:
    """How many sends the pace asks for between the first and the last that there are."""
    if not track.samples:
        return 0
    return round((track.samples[-1].sent - track.samples[0].sent) / track.interval_s) + 1


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
    """The nearest-rank quantile: the smallest value that at least this share (0 to 1) of all does not exceed. It is
    always one that was really measured; None of none.
    """
    if not ordered:
        return None
    rank = math.ceil(round(share * len(ordered), 6))  # 0.07 x 100 is a little more than 7
    return ordered[max(0, rank - 1)]


def longest(of: Flow) -> LossWindow | None:
    """The window with the most certain loss; ties go to the earlier one."""
    return max(of.windows, key=lambda w: (w.at_least_s, w.lost, -w.first_lost), default=None)
