"""A flapping link: down, up, down, up.

In the world: a loose connector, a transceiver that overheats, a provider's protection switching gone mad. Each edge is a
full convergence, so a flap is worse than an outage; what dampens it and what does not shows here. In the kernel: carrier
loss of `link.down`, again and again; the times are stretched at random by up to `jitter` either way, by the seed.

Not `link.down` repeated by hand: one fault, one lease, and the cable is up when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from labctl.faults.base import Way, cycles, dark, setting, way, whole
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect
from labctl.units import format_duration, format_percent

#: Faster than the agent can settle is no flap any more.
SHORTEST_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Flap:
    """Carrier loss for `down`, then light for `up`, and again. Cables of one target flap together."""

    kind: ClassVar[str] = "link.flap"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "light returns"

    down_s: float = setting("how long each outage lasts", 1.0)
    up_s: float = setting("how long the light is back in between", 1.0)
    jitter: float = setting("how much each time varies", 0.0, unit="percent")
    direction: Way = way()

    def __post_init__(self) -> None:
        if min(self.down_s, self.up_s) * (1 - self.jitter) < SHORTEST_S:
            raise ValueError(f"down and up must be at least {format_duration(SHORTEST_S)}, jitter included")

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab
        return tuple(
            effect
            for start, end in cycles(self.down_s, self.up_s, for_s, self._stretch(draw))
            for effect in whole(fault_id, dark(targets.cables, self.direction), end, start)
        )

    def said(self) -> str:
        jitter = f" ±{format_percent(self.jitter)}" if self.jitter else ""
        times = f"{format_duration(self.down_s)} down, {format_duration(self.up_s)} up"
        return f"flapping: {times}{jitter}{self.direction.words}"

    def _stretch(self, draw: Draw) -> Iterator[float]:
        return (draw.uniform(f"stretch-{i}", 1 - self.jitter, 1 + self.jitter) for i in count())
