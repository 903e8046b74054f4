"""Graceful degradation: a device with part of its ports, capacity or CPU.

In the world: two of four fabric modules, a card in a slow slot, a thermal throttle. What the redundancy is worth shows
when half of it is gone, not when all of it is. In the kernel: carrier loss on a drawn fraction of the node's cables, a
rate limit on those that are left, a CPU quota.

Not `node.linecard` (you name the ports), not `node.slow` (CPU alone).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import cables_of, dark, halves, running, setting, whole
from labctl.model.effects import Change, CpuLimit, Impaired, NodeRef, Resource
from labctl.model.impairment import Impairment, Rate
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect
from labctl.names import CableId
from labctl.units import format_percent, format_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDegrade:
    """A fraction of the ports dark, the others slower, the CPU short; each of them optional."""

    kind: ClassVar[str] = "node.degrade"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "light, rate and CPU return"

    ports: float = setting("of the node's cables go dark, rounded; the seed draws which", 0.0, unit="percent")
    rate_bps: float = setting("of each direction of the cables that are left; absent: not limited", 0.0)
    cpu: float = setting("of one core; absent: not limited", 0.0, unit="percent")

    def __post_init__(self) -> None:
        if not (self.ports or self.rate_bps or self.cpu):
            raise ValueError("nothing to degrade: give ports, rate or cpu")
        if self.rate_bps:
            Rate(bps=self.rate_bps)
        if self.cpu:
            CpuLimit(self.cpu)

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        lost = {cable for name in targets.nodes for cable in self._lost(lab, name, draw.at(name))}
        left = [cable for cable in cables_of(lab, targets.nodes) if cable not in lost]
        return whole(
            fault_id,
            [*dark(sorted(lost)), *self._slower(left), *self._cpu(running(lab, targets.nodes))],
            for_s,
        )

    def said(self) -> str:
        words = [
            f"{format_percent(self.ports)} of ports dark" if self.ports else "",
            f"{format_rate(self.rate_bps)} a port" if self.rate_bps else "",
            f"{format_percent(self.cpu)} of a core" if self.cpu else "",
        ]
        return ", ".join(word for word in words if word)

    def _lost(self, lab: LabSpec, node: str, draw: Draw) -> list[CableId]:
        cables = list(cables_of(lab, [node]))
        count = round(self.ports * len(cables))
        return [cables.pop(draw.integer(f"cable-{i}", len(cables))) for i in range(count)]

    def _slower(self, cables: list[CableId]) -> Iterator[tuple[Resource, Change]]:
        change = Impaired(Impairment(rate=Rate(bps=self.rate_bps))) if self.rate_bps else None
        return ((half, change) for half in halves(cables) if change)

    def _cpu(self, nodes: tuple[str, ...]) -> Iterator[tuple[Resource, Change]]:
        return ((NodeRef(name), CpuLimit(self.cpu)) for name in nodes if self.cpu)
