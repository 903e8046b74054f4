"""A line card fails: some ports of a device go dark together, the rest of it lives.

In the world: a card resets, is pulled, or loses its fabric connection. The device stays up with half of its neighbours
gone. In the kernel: carrier loss in both directions on the cables of the ports that match.

Not `link.group` (cables of any devices, by name), not `node.power` (all ports and the control plane).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import dark, matches, setting, whole
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class Linecard:
    """Carrier loss on every port whose name matches."""

    kind: ClassVar[str] = "node.linecard"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "light returns"

    ports: tuple[str, ...] = setting("names of ports, globs allowed: `eth1`, `eth[1-4]`, `Ethernet1/*`")

    def __post_init__(self) -> None:
        if not self.ports:
            raise ValueError("ports is empty: nothing would go dark")

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del draw
        cables = [
            cable.id
            for cable in lab.cables
            if any(e.port.node in targets.nodes and matches(e.port.interface, self.ports) for e in cable.ends)
        ]
        return whole(fault_id, dark(cables), for_s)

    def said(self) -> str:
        return f"ports {', '.join(self.ports)} dark"
