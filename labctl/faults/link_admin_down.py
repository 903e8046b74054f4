"""`shutdown` on one side: the port is administratively down inside its node.

In the world: somebody typed it, on the wrong port, or automation did. The near side knows why, the far side only sees
the light go. In the kernel: `ip link set PORT down` inside the node. That is a different fault from carrier loss: the
kernel throws away the port's IPv6 addresses, its static neighbours and every route that leaves by it, and raising it does
not bring them back; so what was there is written down before the port is touched, and put back at the end.

Not `link.down`, where addresses and routes stay and both sides see the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import whole
from labctl.model.effects import AdminDown, PortRef
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminDownPort:
    """These ports are shut down inside their nodes."""

    kind: ClassVar[str] = "link.admin-down"
    on: ClassVar[Kind] = Kind.PORT
    reverts: ClassVar[str] = "the port is raised; lost addresses, neighbours and static routes are put back"

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        return whole(fault_id, ((PortRef(port), AdminDown()) for port in targets.ports), for_s)

    def said(self) -> str:
        return "administratively down"
