"""A slow control plane: the device still does everything, late.

In the world: a small CPU with a full table, a runaway process beside the routing daemon, a virtual router on an
oversubscribed host. Hellos are sent late, SPF takes seconds, timers that were generous are not. In the kernel: a CPU
quota on the node's control group; forwarding is the kernel's and is not slowed.

Not `node.hang` (nothing runs at all).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import setting, whole
from labctl.model.effects import CpuLimit, NodeRef
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect
from labctl.units import format_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """All processes of the node together get this much of one core."""

    kind: ClassVar[str] = "node.slow"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "the node's own limit, or none"

    cpu: float = setting("of one core, at least 1%", 0.05, unit="percent")

    def __post_init__(self) -> None:
        CpuLimit(self.cpu)

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        return whole(fault_id, ((NodeRef(name), CpuLimit(self.cpu)) for name in targets.nodes), for_s)

    def said(self) -> str:
        return f"{format_percent(self.cpu)} of a core"
