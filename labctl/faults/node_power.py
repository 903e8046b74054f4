"""Power loss: the device is gone, and its cables are dark.

In the world: a PDU, a fuse, a pulled cord. Every neighbour loses light on every port at the same moment; when power
returns, the device boots. In the kernel: every process of the node is killed and both directions of all its cables go
down; at the end the node is started again with its files as they were, on the same ports.

Not `node.reboot` (the same with an end of its own, and a warm kind), not `node.hang` (it still forwards).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import cables_of, dark, running, whole
from labctl.model.effects import NodeRef, Off
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLoss:
    """All processes dead, all cables dark, until power returns."""

    kind: ClassVar[str] = "node.power"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "the node is started again, light returns"

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del draw
        nodes = running(lab, targets.nodes)
        return (
            *whole(fault_id, dark(cables_of(lab, targets.nodes)), for_s),
            *whole(fault_id, ((NodeRef(name), Off()) for name in nodes), for_s),
        )

    def said(self) -> str:
        return "power loss"
