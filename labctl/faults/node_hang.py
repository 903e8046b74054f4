"""Control-plane hang: nothing on the device thinks any more, and it goes on forwarding.

In the world: a kernel lock-up of the routing engine, a wedged supervisor, a live-lock. Hellos stop, sessions time out
one after the other, SSH does not answer, and the packets still flow by the last table. In the kernel: the node's control
group is frozen; its network namespace forwards, answers ARP and ping.

Not `node.power` (nothing is forwarded), not `node.daemon-hang` (one process only).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import whole
from labctl.model.effects import Frozen, NodeRef
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """No process of these nodes runs; the data plane does."""

    kind: ClassVar[str] = "node.hang"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "the processes go on where they stood"

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        return whole(fault_id, ((NodeRef(name), Frozen()) for name in targets.nodes), for_s)

    def said(self) -> str:
        return "control plane hangs, data plane forwards"
