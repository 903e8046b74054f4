"""Silent black hole: the light is on and nothing arrives.

In the world: a wedged forwarding chip, a provider that drops inside its cloud, a broken VLAN on the way. No interface
changes state, so only what expects to hear from its neighbour notices: BFD after milliseconds, OSPF after its dead
interval, a static route never. In the kernel: every frame of the half-cable is dropped; carrier stays.

Not `link.down` (both sides would know at once), not `link.oneway` (one direction still works).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import Way, halves, way, whole
from labctl.model.effects import Impaired
from labctl.model.impairment import Impairment
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackhole:
    """Nothing passes, and nobody is told."""

    kind: ClassVar[str] = "link.blackhole"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "the drop is removed"

    direction: Way = way()

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        change = Impaired(Impairment(blackhole=True))
        return whole(fault_id, ((half, change) for half in halves(targets.cables, self.direction)), for_s)

    def said(self) -> str:
        return f"silent black hole{self.direction.words}"
