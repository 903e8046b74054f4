"""One daemon dies and stays dead.

In the world: bgpd hits an assertion and the supervisor gives up; an operator stops the wrong service. The others go on:
with zebra alive, the kernel keeps the routes it has until somebody withdraws them. In the kernel: every process of that
name in the node is killed, and again whenever something restarts it. Before that, its command line and, for a daemon of
FRR, its running configuration are written down; at the end it is started again with both.

Not `node.daemon-hang` (sockets stay open, neighbours wait for their timers), not `node.crash-loop` (it comes back).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import setting, whole
from labctl.model.effects import Killed, ProcessRef
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonKill:
    """No process of this name runs in the node."""

    kind: ClassVar[str] = "node.daemon-kill"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "started again with its command line and, in FRR, its running configuration"

    daemon: str = setting("name of the process, as `ps` shows it: bgpd, ospfd, zebra, lldpd, nginx")
    restart: str = setting("command that starts it again, where its own command line does not say", "")

    def __post_init__(self) -> None:
        check_name(self.daemon)

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        change = Killed(self.restart)
        return whole(fault_id, ((ProcessRef(name, self.daemon), change) for name in targets.nodes), for_s)

    def said(self) -> str:
        return f"{self.daemon} dead"


def check_name(daemon: str) -> None:
    """A process name as the kernel keeps it."""
    if not daemon or "/" in daemon or len(daemon.encode()) > 15:
        raise ValueError(f"{daemon!r} is not the name of a process (at most 15 bytes, without a path)")
