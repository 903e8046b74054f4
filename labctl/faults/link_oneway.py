"""One direction of a link fails: A hears Z, Z does not hear A.

In the world: one fibre of the pair, a laser that fades, a one-way filter. Protocols with a two-way check (OSPF hellos,
BFD, UDLD) fall; whatever only listens goes on sending into nothing. In the kernel: with the light kept, every frame of
one half-cable is dropped; without, its receiving end also loses carrier, as where the receiver notices loss of signal.

Not `link.blackhole`, which takes both directions, and not `link.down`, where both ends know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import Way, halves, setting, whole
from labctl.model.effects import Change, Down, Impaired
from labctl.model.impairment import Impairment
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class OneWay:
    """Nothing passes in one direction, the other is untouched."""

    kind: ClassVar[str] = "link.oneway"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "the drop is removed, or light returns"

    direction: Way = setting("the direction that fails: a->z or z->a", Way.A_TO_Z)
    light: bool = setting("whether the receiving end keeps its carrier", True)

    def __post_init__(self) -> None:
        if self.direction is Way.BOTH:
            raise ValueError(
                "direction must be a->z or z->a: both directions are link.blackhole or link.down"
            )

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        change: Change = Impaired(Impairment(blackhole=True)) if self.light else Down()
        return whole(fault_id, ((half, change) for half in halves(targets.cables, self.direction)), for_s)

    def said(self) -> str:
        return f"nothing passes {self.direction.value}" + ("" if self.light else ", carrier lost there")
