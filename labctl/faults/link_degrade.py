"""A bad link: late, lossy, slow, out of order, or all of that together.

In the world: a long detour, a dirty connector, a radio link in rain, a congested provider. The interface is up and
routing sees no change, while everything that crosses it is worse. In the kernel: one impairment per half-cable, made by
the backend that this kernel has (netem, tc and eBPF, or the user-space wire; `labctl doctor` says which). Losses of
several faults on one link compose, delays add, the narrowest rate wins.

Not `link.blackhole` (everything is lost), not `link.selective` (one protocol is lost), not `link.mtu` (large packets).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import LONGEST_DELAY_S, Way, halves, setting, way, whole
from labctl.model.effects import Impaired
from labctl.model.impairment import Burst, Distribution, Impairment, Jitter, Nth, Rate, Reorder, describe
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class Degrade:
    """Delay, jitter, loss, duplication, corruption, reordering and rate, in any combination."""

    kind: ClassVar[str] = "link.degrade"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "what is still active is set again; the change loses no packet"

    delay_s: float = setting("added to every frame", 0.0, most=LONGEST_DELAY_S)
    jitter_s: float = setting(
        "spread of the delay: half width if uniform, else standard deviation", 0.0, most=LONGEST_DELAY_S
    )
    distribution: Distribution = setting("shape of the jitter", Distribution.UNIFORM)
    keep_order: bool = setting("whether a late frame holds back those behind it", True)
    loss: float = setting("of frames, independently", 0.0, unit="percent")
    loss_nth: int = setting("every n-th frame is lost", 0, least=1)
    loss_offset: int = setting("which of the n", 0)
    burst_p: float = setting("Gilbert-Elliott: chance at each frame to turn bad", 0.0, unit="percent")
    burst_r: float = setting("chance at each frame to turn good again", 0.0, unit="percent")
    burst_loss_bad: float = setting("loss while the line is bad", 1.0, unit="percent")
    burst_loss_good: float = setting("loss while it is good", 0.0, unit="percent")
    duplicate: float = setting("of frames arrive twice", 0.0, unit="percent")
    corrupt: float = setting("of frames have a bit flipped that a checksum covers", 0.0, unit="percent")
    reorder: float = setting("of frames overtake (needs a delay)", 0.0, unit="percent")
    reorder_gap: int = setting("after one that overtook, gap - 1 do not", 1, least=1)
    rate_bps: float = setting("bottleneck; absent: none", 0.0)
    queue_bytes: int = setting("the queue before the bottleneck; absent: 50 ms of the rate", 0)
    direction: Way = way()

    def __post_init__(self) -> None:
        if self.impairment().neutral:
            raise ValueError(
                "nothing to degrade: give delay, jitter, loss, duplicate, corrupt, reorder or rate"
            )
        if self.reorder and not self.delay_s:
            raise ValueError("reorder needs a delay: a frame overtakes those that are late")
        for name, partner in self._alone():
            raise ValueError(f"{name} needs {partner}: by itself it would do nothing")
        if self.queue_bytes and not self.rate_bps:
            raise ValueError("queue needs a rate: without a bottleneck nothing waits")

    def impairment(self, seed: int | None = None) -> Impairment:
        jitter = Jitter(spread_s=self.jitter_s, distribution=self.distribution, keep_order=self.keep_order)
        return Impairment(
            delay_s=self.delay_s,
            jitter=jitter if self.jitter_s else None,
            loss=self.loss,
            nth=(Nth(every=self.loss_nth, offset=self.loss_offset),) if self.loss_nth else (),
            bursts=self._bursts(),
            duplicate=self.duplicate,
            corrupt=self.corrupt,
            reorder=Reorder(fraction=self.reorder, gap=self.reorder_gap) if self.reorder else None,
            rate=Rate(bps=self.rate_bps, queue_bytes=self.queue_bytes or None) if self.rate_bps else None,
            seed=seed,
        )

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab
        found = halves(targets.cables, self.direction)
        changes = (
            (half, Impaired(self.impairment(draw.at(str(half)).integer("seed", 1 << 32)))) for half in found
        )
        return whole(fault_id, changes, for_s)

    def said(self) -> str:
        return describe(self.impairment()) + self.direction.words

    def _alone(self) -> Iterator[tuple[str, str]]:
        """Settings that say more about another one, which is not there."""
        if self.loss_offset and not self.loss_nth:
            yield "loss-offset", "loss-nth"
        if self.reorder_gap != 1 and not self.reorder:
            yield "reorder-gap", "reorder"
        if not self.burst_p:
            if self.burst_r:
                yield "burst-r", "burst-p"
            if self.burst_loss_bad != 1.0:
                yield "burst-loss-bad", "burst-p"
            if self.burst_loss_good:
                yield "burst-loss-good", "burst-p"
        if not self.jitter_s:
            if self.distribution is not Distribution.UNIFORM:
                yield "distribution", "jitter"
            if not self.keep_order:
                yield "keep-order", "jitter"

    def _bursts(self) -> tuple[Burst, ...]:
        if not self.burst_p:
            return ()
        if not self.burst_r:
            raise ValueError("burst_p needs burst_r: the line would turn bad once and stay so")
        good, bad = self.burst_loss_good, self.burst_loss_bad
        return (Burst(p=self.burst_p, r=self.burst_r, loss_good=good, loss_bad=bad),)
