"""Microbursts: for some milliseconds, again and again, other traffic fills the buffer before the link.

In the world: many servers answer one client at once (incast), a backup starts, a batch of telemetry leaves. On average the
link is nearly idle and every graph is green, while the packets of everybody else wait behind the burst, and some find the
buffer full. In the kernel: a line that keeps its order as long as the fault lasts; in each burst it delays by what a full
buffer takes (its size over the link's rate: 62.5 KB at 100 Mbit are 5 ms) and loses `loss`. Because order is kept, what
comes after a burst still waits for what is left of it, as behind a buffer that drains.

Why no frames of its own: a veth has no queue, so injected frames meet nobody else's before a bottleneck is made for them,
and a token bucket that is one lets a light flow (a probe, a hello) pass untouched in every burst (tried: 9.5 KB at each
change of rate). A generator that fills one for real takes the processors from the lab and from what measures it.
Not shown: counters of the burst, and the buffer filling up (the delay is there at once).

Not `link.degrade` with a rate (depends on your own traffic), not `link.flap` (nothing passes, and everybody is told).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar

from labctl.faults.base import LONGEST_DELAY_S, Way, cycles, halves, setting, way, whole
from labctl.model.effects import Impaired
from labctl.model.impairment import Impairment, Jitter
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect
from labctl.units import format_duration, format_percent

#: Shorter ones the agent cannot begin and end punctually.
SHORTEST_S = 0.01
#: A line through which frames go one after the other, and which delays next to nothing.
LINE = Impairment(jitter=Jitter(spread_s=1e-6, keep_order=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Microburst:
    """For `burst`, once every `every`, frames wait `delay` longer, and some are lost."""

    kind: ClassVar[str] = "link.microburst"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "no burst comes any more; what waits leaves in its order"

    delay_s: float = setting(
        "how long a frame waits in a burst: the buffer's size over the link's rate",
        0.005,
        most=LONGEST_DELAY_S,
    )
    loss: float = setting("of the frames of a burst find the buffer full", 0.0, unit="percent")
    burst_s: float = setting("how long each burst lasts", 0.05)
    every_s: float = setting("from the begin of one burst to that of the next", 0.5)
    direction: Way = way()

    def __post_init__(self) -> None:
        if not self.delay_s and not self.loss:
            raise ValueError("nothing is felt of the bursts: give delay or loss")
        if min(self.burst_s, self.every_s - self.burst_s) < SHORTEST_S - 1e-9:
            least = format_duration(SHORTEST_S)
            raise ValueError(f"a burst, and the pause to the next one, must be at least {least}")

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab
        found = tuple(halves(targets.cables, self.direction))
        bursts = [
            (half, Impaired(self._burst(draw.at(str(half)).integer("seed", 1 << 32)))) for half in found
        ]
        return whole(fault_id, ((half, Impaired(LINE)) for half in found), for_s) + tuple(
            effect
            for start, end in cycles(self.burst_s, self.every_s - self.burst_s, for_s, repeat(1.0))
            for effect in whole(fault_id, bursts, end, start)
        )

    def said(self) -> str:
        loss = f", {format_percent(self.loss)} loss" if self.loss else ""
        return (
            f"bursts of {format_duration(self.burst_s)} every {format_duration(self.every_s)}: "
            f"{format_duration(self.delay_s)} late{loss}{self.direction.words}"
        )

    def _burst(self, seed: int) -> Impairment:
        return Impairment(delay_s=self.delay_s, loss=self.loss, seed=seed if self.loss else None)
