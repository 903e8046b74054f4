"""A reboot: cold, with everything dark, or warm, with the forwarding left in place.

In the world: an upgrade, a crash, a watchdog. A cold reboot is a power loss that ends by itself after the boot time. A
warm one (in-service upgrade, non-stop forwarding) restarts the control plane while the hardware goes on forwarding with
the table it has; neighbours that know graceful restart keep their routes, the others do not. In the kernel: all processes
are killed and started again after `boot`; cold also takes the light from all cables for that time.

Not `node.power`, which lasts as long as the fault; not `node.hang`, where the processes are still there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from labctl.faults.base import cables_of, dark, running, setting, whole
from labctl.model.effects import NodeRef, Off
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect
from labctl.units import format_duration


class Mode(StrEnum):
    COLD = "cold"
    WARM = "warm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot:
    """Down for `boot`, then up again for the rest of the fault's time."""

    kind: ClassVar[str] = "node.reboot"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "the node is started again, light returns"

    mode: Mode = setting("cold: cables dark; warm: the kernel goes on forwarding", Mode.COLD)
    boot_s: float = setting("until the processes are started; absent: the fault's whole time", 0.0)

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del draw
        until = min(self.boot_s or for_s, for_s)
        nodes = running(lab, targets.nodes)
        cables = cables_of(lab, targets.nodes) if self.mode is Mode.COLD else ()
        return (
            *whole(fault_id, dark(cables), until),
            *whole(fault_id, ((NodeRef(name), Off()) for name in nodes), until),
        )

    def said(self) -> str:
        boot = f", {format_duration(self.boot_s)} to boot" if self.boot_s else ""
        return f"{self.mode} reboot{boot}"
