"""A configuration fault: somebody typed the wrong lines.

In the world: the most common outage there is. A wrong neighbour address, a missing network statement, a route map that
denies everything, a cost of 65535. In the kernel: nothing directly; the lines are typed into vtysh's configuration mode.
Before that the running configuration is written down, and at the end the node is brought back to it line by line and
read again until it is equal.

Not `node.daemon-kill`: the daemons run, and do what they were told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import setting, whole
from labctl.model.effects import ConfigRef, Configured
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """These lines in FRR's configuration mode."""

    kind: ClassVar[str] = "node.config"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "the running configuration of before, compared line by line"

    lines: tuple[str, ...] = setting("lines for vtysh's configuration mode, in order")

    def __post_init__(self) -> None:
        Configured(self.lines)
        for line in self.lines:
            if line.split()[:1] in (["write"], ["copy"], ["do"]):
                raise ValueError(f"{line.strip()!r} is no configuration: it acts on files or daemons")

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        return whole(fault_id, ((ConfigRef(name), Configured(self.lines)) for name in targets.nodes), for_s)

    def said(self) -> str:
        return "configured: " + "; ".join(line.strip() for line in self.lines if line.strip())
