"""Crash loop: a daemon dies, comes back, dies.

In the world: a poisoned update that arrives again after every restart; a supervisor that restarts for ever. Each round
tears sessions down and builds them up, which costs the neighbours more than a daemon that stays dead. In the kernel: the
daemon is killed for `down`, started with its configuration for `up`, and so on.

Not `node.daemon-kill` (once), not `node.reboot` (all daemons).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar

from labctl.faults.base import cycles, setting, whole
from labctl.faults.node_daemon_kill import check_name
from labctl.model.effects import Killed, ProcessRef
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect
from labctl.units import format_duration

#: Starting a daemon with its configuration takes about this long.
SHORTEST_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashLoop:
    """The daemon is dead for `down`, lives for `up`, and again."""

    kind: ClassVar[str] = "node.crash-loop"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "started again with its command line and, in FRR, its running configuration"

    daemon: str = setting("name of the process, as `ps` shows it: bgpd, ospfd, zebra")
    down_s: float = setting("how long it is dead", 1.0)
    up_s: float = setting("how long it lives", 5.0)
    restart: str = setting("command that starts it again, where its own command line does not say", "")

    def __post_init__(self) -> None:
        check_name(self.daemon)
        if min(self.down_s, self.up_s) < SHORTEST_S:
            raise ValueError(f"down and up must be at least {format_duration(SHORTEST_S)}")

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        change = Killed(self.restart)
        return tuple(
            effect
            for start, end in cycles(self.down_s, self.up_s, for_s, repeat(1.0))
            for effect in whole(
                fault_id, ((ProcessRef(name, self.daemon), change) for name in targets.nodes), end, start
            )
        )

    def said(self) -> str:
        times = f"{format_duration(self.down_s)} dead, {format_duration(self.up_s)} alive"
        return f"{self.daemon} crashes: {times}"
