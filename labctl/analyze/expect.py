"""Whether an expectation holds, seen what was seen: PASS, FAIL, or UNKNOWN with the reason.

Pure, and used three times: by the engine before it breaks anything, by the engine's stop rules over a sliding window,
and by the judge of the finished run. What each measure means is one function here; which measures there are, and their
units, is `labctl.model.measures`.

An outage is known only between samples, so its limit is compared with both ends of the interval: longer for certain is
FAIL, shorter for certain is PASS, and a probe too coarse to tell is UNKNOWN.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from labctl import units
from labctl.analyze import loss
from labctl.analyze.words import outage, plural, seconds
from labctl.model.measure import LossWindow, Track, Window
from labctl.model.measures import MEASURES, Unit
from labctl.model.routes import AdjacencyChange, Convergence, RouteChange
from labctl.model.scenario import Expectation
from labctl.model.verdict import Finding, Verdict

MIN_SAMPLES = 10
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}
#: A session in one of these states carries routes.
_UP = ("Full", "2-Way", "Twoway", "Established")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is to judge by. None: nobody looked, which makes whatever needs it UNKNOWN. unseen: why nobody could look
    at what is left.
    """

    tracks: Mapping[str, Track] = field(default_factory=dict)
    subjects: Mapping[str, str] = field(default_factory=dict)
    route_changes: tuple[RouteChange, ...] | None = None
    adjacency_changes: tuple[AdjacencyChange, ...] | None = None
    convergence: Convergence | None = None
    changed: tuple[RouteChange, ...] | None = None
    lost_sessions: tuple[str, ...] | None = None
    left: tuple[str, ...] | None = None
    unseen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What a measure came to."""

    verdict: Verdict
    text: str
    seen: tuple[str, ...] = ()
    window: Window | None = None


def judge(expect: Expectation, seen: Seen, window: Window, phase: str) -> Finding:
    """The finding on one expectation over one stretch of time."""
    said = _measured(expect, seen, window)
    return Finding(
        verdict=said.verdict,
        subject=f"{phase}: {words(expect, seen.subjects)}",
        summary=said.text,
        window=said.window or window,
        seen=((f"wanted because: {expect.why}",) if expect.why else ()) + said.seen,
    )


def words(expect: Expectation, subjects: Mapping[str, str]) -> str:
    """The expectation as people write it: `h1 → h2: loss <= 1%`."""
    who = f"{subjects.get(expect.probe, expect.probe)}: " if expect.probe else ""
    within = f" within {units.format_duration(expect.within_s)}" if expect.within_s is not None else ""
    limit = "" if expect.limit is None else f" {expect.op} {_limit(expect)}"
    return f"{who}{expect.measure}{limit}{within}"


def needs(expect: Expectation, track: Track) -> int:
    """How many samples are missing until the expectation can be judged."""
    return max(0, MIN_SAMPLES - len(track.samples)) if expect.probe else 0


def _measured(expect: Expectation, seen: Seen, window: Window) -> _Said:
    if expect.measure not in MEASURES:
        return _unknown(f"nobody measures {expect.measure!r}")
    if not MEASURES[expect.measure].probe:
        return _LAB[expect.measure](expect, seen, window)
    track = seen.tracks.get(expect.probe)
    if track is None:
        return _unknown(f"probe {expect.probe!r} left no samples")
    return _of_probe(expect, track, window)


def _of_probe(expect: Expectation, track: Track, window: Window) -> _Said:
    if track.error:
        return _unknown(f"the probe failed: {track.error}")
    within = _clip(track, window)
    if len(within.samples) < MIN_SAMPLES:
        return _unknown(f"only {plural(len(within.samples), 'sample')}: too few to judge")
    if within.samples and loss.due(within) > 2 * len(within.samples):
        return _unknown(
            f"only {len(within.samples):,} of {loss.due(within):,} samples that were due were sent: too few to judge"
        )
    if expect.measure in ("max_outage", "total_outage"):
        return _outage(expect, track, window)
    return _SAMPLES[expect.measure](expect, within)


def _clip(track: Track, window: Window) -> Track:
    end = float("inf") if window.end is None else window.end
    return replace(track, samples=tuple(s for s in track.samples if window.start <= s.sent <= end))


# -- measures of a probe ----------------------------------------------------------------------------------------


def _share(count: Callable[[Track], int], noun: str) -> Callable[[Expectation, Track], _Said]:
    def measure(expect: Expectation, track: Track) -> _Said:
        hit, sent = count(track), len(track.samples)
        errors = tuple(sorted({f"sender was told: {s.error}" for s in track.samples if s.error}))[:5]
        return _compared(expect, hit / sent, f"{hit:,} of {sent:,} {noun}", errors)

    return measure


def _answer_time(share: float) -> Callable[[Expectation, Track], _Said]:
    def measure(expect: Expectation, track: Track) -> _Said:
        value = loss.quantile(sorted(s.value for s in track.samples if s.value is not None), share)
        if value is None:
            return _unknown(f"none of {plural(len(track.samples), 'sample')} was answered")
        return _compared(expect, value, f"{seconds(value)} over {plural(len(track.samples), 'sample')}")

    return measure


_SAMPLES: Mapping[str, Callable[[Expectation, Track], _Said]] = {
    "availability": _share(lambda t: len(t.samples) - t.lost, "answered"),
    "late": _share(lambda t: t.late, "late"),
    "loss": _share(lambda t: t.lost, "lost"),
    "rtt_median": _answer_time(0.5),
    "rtt_p95": _answer_time(0.95),
    "rtt_p99": _answer_time(0.99),
}


def _outage(expect: Expectation, track: Track, window: Window) -> _Said:
    """Outages that touch the window, whole: one that lasts beyond its end is not cut short by that. A stretch in which
    nothing was sent (the machine was busy, or stopped) may have been an outage: it counts into what it was at most.
    """
    end = float("inf") if window.end is None else window.end
    hit = [w for w in loss.windows(track) if w.last_lost >= window.start and w.first_lost <= end]
    dark = [gap for at, gap in loss.unsent(track) if at + gap >= window.start and at <= end]
    unsent = f"; nothing was sent for {seconds(max(dark))}" if dark else ""
    if expect.measure == "total_outage":
        least, most = sum(w.at_least_s for w in hit), _sum([w.at_most_s for w in hit])
        text = f"{plural(len(hit), 'outage')}, {_between(least, most)}" if hit else "nothing lost"
        return _certain(expect, least, None if most is None else most + sum(dark), text + unsent)
    if not hit:
        return _certain(expect, 0.0, max(dark, default=0.0), f"nothing lost{unsent}")
    worst = max(hit, key=lambda w: (not w.recovered, w.at_least_s, w.lost))
    text = f"longest outage {outage(worst)}" + ("" if worst.recovered else ", and it did not come back")
    ends = [w.at_most_s for w in hit]
    most = None if None in ends else max(*(e for e in ends if e is not None), *dark, 0.0)
    found = _certain(expect, worst.at_least_s, most, text + unsent, _errors(worst))
    return replace(found, window=Window(start=worst.first_lost, end=worst.next_good))


def _errors(of: LossWindow) -> tuple[str, ...]:
    return tuple(f"sender was told: {e}" for e in of.errors)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if len(known) == len(values) else None


def _between(least: float, most: float | None) -> str:
    return f"at least {seconds(least)}" if most is None else f"{seconds(least)} to {seconds(most)} together"


# -- measures of the lab ----------------------------------------------------------------------------------------


def _settled_within(expect: Expectation, seen: Seen, _: Window) -> _Said:
    if seen.convergence is None:
        return _unknown("nobody waited for routing to settle")
    found = seen.convergence
    if found.settled:
        return _compared(expect, found.took_s, f"settled after {seconds(found.took_s)}")
    text = f"had not settled after {seconds(found.waited_s)}"
    surely = isinstance(expect.limit, int | float) and found.took_s > expect.limit
    return _Said(verdict=Verdict.FAIL if surely else Verdict.UNKNOWN, text=text)


def _sessions_down(expect: Expectation, seen: Seen, window: Window) -> _Said:
    if seen.adjacency_changes is None:
        return _unknown("what became of the sessions was not written down")
    down = [
        c for c in seen.adjacency_changes if _inside(c.t, window) and _is_up(c.before) and not _is_up(c.after)
    ]
    lines = tuple(f"{c.kind} {c.node} to {c.peer}: {c.before}, then {c.after or 'gone'}" for c in down)
    return _compared(expect, len(down), f"{plural(len(down), 'session')} went down", lines[:20])


def _route_changes(expect: Expectation, seen: Seen, window: Window) -> _Said:
    if seen.route_changes is None:
        return _unknown("what the routes did was not written down")
    changed = [c for c in seen.route_changes if _inside(c.t, window)]
    lines = tuple(f"{c.node} {c.prefix} {c.what}" for c in changed[:20])
    return _compared(expect, len(changed), plural(len(changed), "route change"), lines)


def _same_adjacencies(_: Expectation, seen: Seen, __: Window) -> _Said:
    if seen.lost_sessions is None:
        return _unknown("the sessions were not compared with those before")
    if seen.lost_sessions:
        text = f"{plural(len(seen.lost_sessions), 'session')} of before not up"
        return _Said(verdict=Verdict.FAIL, text=text, seen=seen.lost_sessions[:20])
    return _Said(verdict=Verdict.PASS, text="every session of before is up")


def _same_routes(_: Expectation, seen: Seen, __: Window) -> _Said:
    if seen.changed is None:
        return _unknown("the routes were not compared with those before")
    if seen.changed:
        lines = tuple(
            f"{c.node} {c.prefix}: {c.before or 'no route'} is now {c.after or 'gone'}"
            for c in seen.changed[:20]
        )
        text = f"{plural(len(seen.changed), 'route')} not as before"
        return _Said(verdict=Verdict.FAIL, text=text, seen=lines)
    return _Said(verdict=Verdict.PASS, text="every route is as before")


def _no_leftovers(_: Expectation, seen: Seen, __: Window) -> _Said:
    if seen.left is None:
        return _unknown(f"nobody could look: {seen.unseen}" if seen.unseen else "nobody could look")
    if seen.left:
        text = f"{plural(len(seen.left), 'thing')} not at its base state"
        return _Said(verdict=Verdict.FAIL, text=text, seen=seen.left[:20])
    return _Said(verdict=Verdict.PASS, text="no effect is active and everything is at its base state")


_LAB: Mapping[str, Callable[[Expectation, Seen, Window], _Said]] = {
    "adjacencies": _same_adjacencies,
    "leftovers": _no_leftovers,
    "route_changes": _route_changes,
    "routes": _same_routes,
    "sessions_down": _sessions_down,
    "settled_within": _settled_within,
}


# -- comparing --------------------------------------------------------------------------------------------------


def _compared(expect: Expectation, value: float, text: str, seen: tuple[str, ...] = ()) -> _Said:
    return _certain(expect, value, value, text, seen)


def _certain(
    expect: Expectation, least: float, most: float | None, text: str, seen: tuple[str, ...] = ()
) -> _Said:
    """The true value lies between `least` and `most` (None: nobody knows how much)."""
    if not isinstance(expect.limit, int | float):
        return _unknown(f"{text}; there is no limit to hold it against")
    holds = {OPERATORS[expect.op](v, expect.limit) for v in (least, float("inf") if most is None else most)}
    if holds == {True}:
        verdict = Verdict.PASS
    elif holds == {False}:
        verdict = Verdict.FAIL
    else:
        verdict = Verdict.UNKNOWN
        text = f"{text}; that is too coarse to tell from {_limit(expect)}"
    return _Said(verdict=verdict, text=text, seen=seen)


def _unknown(text: str) -> _Said:
    return _Said(verdict=Verdict.UNKNOWN, text=text)


def _limit(expect: Expectation) -> str:
    measure = MEASURES.get(expect.measure)
    if measure is None or not isinstance(expect.limit, int | float):
        return str(expect.limit)
    if measure.unit is Unit.DURATION:
        return units.format_duration(expect.limit)
    return units.format_percent(expect.limit) if measure.unit is Unit.PERCENT else f"{expect.limit:g}"


def _inside(t: float, window: Window) -> bool:
    return window.start <= t and (window.end is None or t <= window.end)


def _is_up(state: str | None) -> bool:
    return state is not None and state.startswith(_UP)
