"""What was measured: samples of a series, and the stretches of time in which traffic was lost.

A probe sends at a known pace and writes down, for every single send, when it left and what came back. Everything
else (loss, outages, percentiles) is computed from that record later, so a report can be re-judged without the lab.
A reply that came, but later than the probe's `late_s`, is *late*; a reply that never came is *lost*; the two are
different faults and are never added up.

Times are seconds on one clock: the machine's monotonic clock while measuring, seconds since the start of the run in
a report. `shift` moves a track from one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of time; `end` None: it was still going on when the measurement stopped."""

    start: float
    end: float | None

    @property
    def duration(self) -> float | None:
        return None if self.end is None else self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What is measured: `subject` in the names people use ("client -> web"), the metric and its unit."""

    subject: str
    metric: str = "rtt"
    unit: str = "s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One send. value: what came back (round-trip time in seconds), None = we looked and got nothing.

    error: why, where something said so (an ICMP unreachable, a refused connection, no route on the sender).
    """

    seq: int
    sent: float
    value: float | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """All samples of one series, in the order they were sent.

    interval_s is the intended pace; the real one is in the samples, because a busy machine may miss slots (`skipped`
    counts them). The last `open` samples had less than `late_s` to be answered when the probe ended, and are not
    part of `samples`: they say nothing.
    """

    series: Series
    interval_s: float
    late_s: float
    samples: tuple[Sample, ...] = ()
    skipped: int = 0
    open: int = 0
    duplicates: int = 0
    error: str = ""  # the probe itself failed: nothing may be concluded

    @property
    def lost(self) -> int:
        return sum(1 for s in self.samples if s.value is None)

    @property
    def late(self) -> int:
        return sum(1 for s in self.samples if s.value is not None and s.value > self.late_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWindow:
    """A run of consecutive lost samples, as an interval that the samples really support.

    The outage lasted at least `at_least_s` (first to last lost send) and at most `at_most_s` (last good send before
    to first good send after); None when the samples begin or end inside the outage. Between the two lies the
    probe's resolution.
    """

    first_lost: float
    last_lost: float
    last_good: float | None
    next_good: float | None
    lost: int
    errors: tuple[str, ...] = ()

    @property
    def at_least_s(self) -> float:
        return self.last_lost - self.first_lost

    @property
    def at_most_s(self) -> float | None:
        if self.last_good is None or self.next_good is None:
            return None
        return self.next_good - self.last_good

    @property
    def recovered(self) -> bool:
        return self.next_good is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A track, summed up. rtt figures in seconds over the answered samples, None when there were none."""

    track: Track
    windows: tuple[LossWindow, ...]
    sent: int
    lost: int
    late: int
    rtt_median_s: float | None
    rtt_p99_s: float | None


def shift(track: Track, by: float) -> Track:
    """The same track with `by` seconds added to every time."""
    return replace(track, samples=tuple(replace(s, sent=s.sent + by) for s in track.samples))
