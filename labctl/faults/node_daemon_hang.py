"""One daemon hangs: it is there, its sessions are up, and it says nothing.

In the world: a dead-lock, an endless loop, a disk that does not answer. TCP stays established because the kernel
acknowledges; only hold timers find out. Supervisors that look for the process see it and are content. In the kernel:
SIGSTOP to every process of that name, SIGCONT at the end.

Not `node.daemon-kill` (the kernel closes its sockets and neighbours know at once), not `node.hang` (the whole node).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import setting, whole
from labctl.faults.node_daemon_kill import check_name
from labctl.model.effects import ProcessRef, Stopped
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonHang:
    """Every process of this name stands still."""

    kind: ClassVar[str] = "node.daemon-hang"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "the process goes on where it stood"

    daemon: str = setting("name of the process, as `ps` shows it: bgpd, ospfd, zebra, lldpd, nginx")

    def __post_init__(self) -> None:
        check_name(self.daemon)

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        return whole(fault_id, ((ProcessRef(name, self.daemon), Stopped()) for name in targets.nodes), for_s)

    def said(self) -> str:
        return f"{self.daemon} hangs"
