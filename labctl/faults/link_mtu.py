"""MTU black hole: small packets pass, large ones vanish without a word.

In the world: a tunnel or a provider's link with a smaller MTU, and somebody filters "fragmentation needed". Ping works,
BGP comes up, and the first full table or web page hangs. In the kernel: frames whose IP packet is larger than `mtu` are
dropped on the half-cable, and no ICMP is sent; the interfaces' own MTU stays as it is.

Not `link.degrade` (loss by chance), not a smaller interface MTU, which the sender would know of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import Way, halves, setting, way, whole
from labctl.model.effects import Impaired
from labctl.model.impairment import Impairment
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class MtuBlackhole:
    """Nothing larger than `mtu` passes, and no ICMP says so."""

    kind: ClassVar[str] = "link.mtu"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "the drop is removed"

    mtu: int = setting("the largest IP packet that passes, in bytes", 1400)
    direction: Way = way()

    def __post_init__(self) -> None:
        if not 68 <= self.mtu <= 65535:
            raise ValueError(f"an mtu of {self.mtu} is not between 68 and 65535")

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        change = Impaired(Impairment(mtu=self.mtu))
        return whole(fault_id, ((half, change) for half in halves(targets.cables, self.direction)), for_s)

    def said(self) -> str:
        return f"packets above {self.mtu} bytes vanish{self.direction.words}"
