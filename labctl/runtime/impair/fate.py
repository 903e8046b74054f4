"""What becomes of each frame of a half-cable, decided in user space: the gate's twin, for the wire and for tests.

Same order, same draws, same counts as the program of `gate`; a test runs both over the same frames. `Fate.meet` is only
called for impairments that do something to single frames; a plain delay never comes here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl.model import chance
from labctl.model.chance import Use
from labctl.model.impairment import Impairment
from labctl.runtime.impair import frames
from labctl.runtime.impair.frames import Parsed


@dataclass(slots=True)
class Fate:
    """The state of one half-cable: number of the last frame, state of each burst, counts by the gate's names."""

    impairment: Impairment
    seed: int
    number: int = 0
    bad: list[bool] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def change(self, impairment: Impairment, seed: int) -> None:
        """Frames are numbered on, bursts go on."""
        self.impairment, self.seed = impairment, seed

    def meet(self, frame: bytes) -> tuple[bytes, ...]:
        """What of the next frame goes on: nothing, it, it with a flipped bit, or it twice."""
        self.number += 1
        cause = self._lost(frame)
        if cause:
            self._count(cause)
            return ()
        impairment = self.impairment
        if impairment.corrupt and self._draw(Use.CORRUPT) < chance.threshold(impairment.corrupt):
            span = frames.corruptible(frame, frames.parse(frame))
            self._count("corrupted" if span else "corrupt_dropped")
            if span is None:
                return ()
            frame = frames.flip(frame, span, self._draw(Use.PLACE))
        if impairment.duplicate and self._draw(Use.DUPLICATE) < chance.threshold(impairment.duplicate):
            self._count("duplicated")
            return (frame, frame)
        return (frame,)

    def _lost(self, frame: bytes) -> str:
        """Why the frame is lost, by the first cause that takes it."""
        impairment = self.impairment
        if impairment.blackhole:
            return "blackhole"
        if impairment.mtu is not None and len(frame) > impairment.mtu + frames.ETH:
            return "mtu"
        if impairment.drops or impairment.members:
            cause = self._chosen(frames.parse(frame))
            if cause:
                return cause
        if any(self.number % nth.every == nth.offset for nth in impairment.nth):
            return "nth"
        if impairment.bursts and self._burst():
            return "burst"
        lost = impairment.loss and self._draw(Use.LOSS) < chance.threshold(impairment.loss)
        return "loss" if lost else ""

    def _draw(self, use: int) -> int:
        return chance.draw(self.seed, self.number, use)

    def _count(self, cause: str) -> None:
        self.counts[cause] = self.counts.get(cause, 0) + 1

    def _chosen(self, seen: Parsed) -> str:
        """Why the frame is dropped for what it is."""
        for i, match in enumerate(self.impairment.drops):
            if frames.matches(match, seen) and self._draw(Use.DROP + i) < chance.threshold(match.fraction):
                return "drop"
        for member in self.impairment.members:
            if frames.bucket(seen, member.of) == member.bucket:
                return "member"
        return ""

    def _burst(self) -> bool:
        """Each line is good or bad; the first that loses the frame ends it, as a line behind it never saw it."""
        while len(self.bad) < len(self.impairment.bursts):
            self.bad.append(False)
        for i, burst in enumerate(self.impairment.bursts):
            bad = self.bad[i]
            lost = self._draw(Use.BURST + 2 * i) < chance.threshold(
                burst.loss_bad if bad else burst.loss_good
            )
            if self._draw(Use.BURST + 2 * i + 1) < chance.threshold(burst.r if bad else burst.p):
                self.bad[i] = not bad
            if lost:
                return True
        return False


class Delays:
    """How long each frame is held, of a line whose frames are not all held alike."""

    __slots__ = ("_below", "_gap", "_plain", "_seed", "_since", "_spread", "_table")
    _SHIFT = 32 - (chance.TABLE - 1).bit_length()

    def __init__(self, impairment: Impairment, seed: int) -> None:
        jitter, reorder = impairment.jitter, impairment.reorder
        self._plain, self._seed = impairment.delay_s, seed
        self._spread = jitter.spread_s if jitter else 0.0
        self._table = chance.quantiles(jitter.distribution) if jitter else ()
        self._below = chance.threshold(reorder.fraction) if reorder else 0
        self._gap = reorder.gap if reorder else 1
        self._since = 0  # frames held since the last that overtook

    def __call__(self, number: int) -> float:
        if self._below:
            self._since += 1
            if self._since >= self._gap and chance.draw(self._seed, number, Use.REORDER) < self._below:
                self._since = 0
                return 0.0
        if not self._spread:
            return self._plain
        drawn = chance.draw(self._seed, number, Use.JITTER) >> self._SHIFT
        return max(0.0, self._plain + self._spread * self._table[drawn])


def delays(impairment: Impairment, seed: int) -> Delays | None:
    """None when every frame is held `delay_s`."""
    if impairment.jitter is None and impairment.reorder is None:
        return None
    return Delays(impairment, seed)
