"""Carrier loss: the fibre is cut, both ends see the light go.

In the world: a backhoe, a pulled plug, a dead transceiver. Both devices know within milliseconds, take the interface out
of routing and log it; everything that reacts to interface state reacts at once. In the kernel: the panel side of each
end goes down, so the port inside the node has NO-CARRIER and is still administratively up, and its addresses stay.

Not `link.blackhole` (nobody is told), not `link.admin-down` (one side is told by its own configuration), not
`link.oneway` (one direction only).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import Way, dark, way, whole
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierLoss:
    """Carrier loss at both ends, or at one (`direction`)."""

    kind: ClassVar[str] = "link.down"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "light returns; addresses and routes were never gone"

    direction: Way = way()

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        return whole(fault_id, dark(targets.cables, self.direction), for_s)

    def said(self) -> str:
        return f"carrier loss{self.direction.words}"
