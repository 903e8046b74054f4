"""Whether an effect that was made also stayed, and whether what it did to frames is what was asked of it.

Reading back says that a setting is there; looking again says that it still is; the counters at the cable say what really
happened to frames. All three have to agree. A resource that was found otherwise in two looks in a row was otherwise (one
look may meet a process that is just being killed again); of a cable, which nothing but a fault touches, one is enough.
Counters are compared at five standard deviations, over the longest stretch in which nothing else was asked of the cable;
where a backend counts nothing, or no frame came by, that is what is said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from labctl.analyze.words import plural, seconds, share
from labctl.model.impairment import Impairment
from labctl.model.verdict import Act, Look

SIGMAS = 5
#: Causes of loss, in the order in which a frame meets them.
CAUSES = ("blackhole", "mtu", "drop", "member", "nth", "burst", "loss", "corrupt_dropped")
#: What a lost frame never meets.
_BEFORE_LOSS = CAUSES[:6]


def strayed(act: Act) -> str:
    """Since when and in what it was not as it was made; empty if it stayed, or nobody looked."""
    for looks in _by_resource(act.looks).values():
        pairs = [one for one, other in itertools.pairwise(looks) if one.note and other.note]
        last = looks[-1] is act.looks[-1]
        # One without a resource is about the whole fault: its lease is gone, or nobody answered.
        sure = (act.cable is not None or len(looks) == 1) if looks[-1].on else last
        alone = [looks[-1]] if looks[-1].note and sure else []
        for look in (pairs or alone)[:1]:
            return f"{seconds(max(0.0, look.t - act.window.start))} later {look.on or act.on}: {look.note}"
    return ""


def contradicted(act: Act) -> str:
    """What the counters say against what was asked; empty if they agree or cannot tell."""
    for on, asked, counts in _stretches(act):
        for cause, found, of, p in _chances(asked, counts):
            if abs(found - of * p) > SIGMAS * math.sqrt(of * p * (1 - p)) + 1:
                return (
                    f"{on}: {cause} of {plural(found, 'frame')} in {of:,}, where {share_of(p)} was asked for"
                )
    return ""


def found(act: Act) -> str:
    """What was read, the last time that somebody looked."""
    last = {on: looks[-1] for on, looks in _by_resource(act.looks).items()}
    said = {on: look.note or look.found or "as asked" for on, look in last.items()}
    return _told(said)


def measured(act: Act) -> str:
    """What happened to frames, for each direction that was counted."""
    return _told({on: _counted(counts) for on, _, counts in _stretches(act)})


def share_of(p: float) -> str:
    return f"{p * 100:g}%"


def _told(said: Mapping[str, str]) -> str:
    """One text where all say the same, else each with its resource."""
    if len(set(said.values())) <= 1:
        return next(iter(said.values()), "")
    return "; ".join(f"{on}: {text}" for on, text in said.items())


def _counted(counts: Mapping[str, int]) -> str:
    frames = counts.get("frames", 0)
    if not frames:
        return "no frame came by"
    lost = sum(counts.get(cause, 0) for cause in CAUSES)
    words = [
        f"{share(lost, frames)} of {plural(frames, 'frame')} lost"
        if lost
        else f"{plural(frames, 'frame')}, none lost"
    ]
    words += [f"{counts[name]:,} {name}" for name in ("duplicated", "corrupted") if counts.get(name)]
    return ", ".join(words)


def _by_resource(looks: Sequence[Look]) -> dict[str, list[Look]]:
    found: dict[str, list[Look]] = {}
    for look in looks:
        found.setdefault(look.on, []).append(look)
    return found


def _stretches(act: Act) -> Iterator[tuple[str, Impairment, Mapping[str, int]]]:
    """(resource, what was asked of it, what was counted) over its longest stretch of one asking."""
    for on, looks in _by_resource(act.looks).items():
        rows = [list(run) for _, run in itertools.groupby(looks, key=lambda look: look.asked)]
        best = max(rows, key=lambda row: row[-1].t - row[0].t)
        asked = best[0].asked
        if asked is None or not best[-1].counts or len(best) < 2:
            continue
        first, last = best[0].counts, best[-1].counts
        counts = {name: last[name] - first.get(name, 0) for name in last}
        if all(value >= 0 for value in counts.values()):  # (else somebody has put counters back to nothing)
            yield on, asked, counts


def _chances(asked: Impairment, counts: Mapping[str, int]) -> Iterator[tuple[str, int, int, float]]:
    """(cause, how often, of how many frames, how likely it was to be)."""
    frames = counts.get("frames", 0)
    if asked.blackhole:
        yield "loss", counts.get("blackhole", 0), frames, 1.0
        return
    left = frames - sum(counts.get(cause, 0) for cause in _BEFORE_LOSS)
    if asked.loss:
        yield "loss", counts.get("loss", 0), left, asked.loss
    left -= counts.get("loss", 0)
    corrupted = counts.get("corrupted", 0) + counts.get("corrupt_dropped", 0)
    if asked.corrupt:
        yield "corruption", corrupted, left, asked.corrupt
    if asked.duplicate:
        yield (
            "duplication",
            counts.get("duplicated", 0),
            left - counts.get("corrupt_dropped", 0),
            asked.duplicate,
        )
