"""The network falls into two parts, by the fewest cables that do it.

In the world: the worst case that redundancy is bought against: two data centres that both live and cannot see each
other. Which cables that takes is computed: a minimum cut of the lab's graph between the targets and `against`. In the
kernel: a silent black hole on each of them (what a provider's core does), or carrier loss with `light: false`.

Not `link.group`, where you name the cables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.errors import LabctlError
from labctl.faults.base import halves, matches, setting, whole
from labctl.model.effects import Change, Down, Impaired
from labctl.model.impairment import Impairment
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect
from labctl.topo.partition import min_cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """The target nodes on one side, `against` on the other, and no path between them."""

    kind: ClassVar[str] = "link.partition"
    on: ClassVar[Kind] = Kind.NODE
    reverts: ClassVar[str] = "the drops are removed, or light returns"

    against: tuple[str, ...] = setting("nodes of the other side, globs allowed; default: all other nodes", ())
    light: bool = setting("whether the cables keep their carrier", True)

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del draw
        change: Change = Impaired(Impairment(blackhole=True)) if self.light else Down()
        cut = min_cut(lab, targets.nodes, self._other(lab, targets))
        return whole(fault_id, ((half, change) for half in halves(cut)), for_s)

    def said(self) -> str:
        other = ", ".join(self.against) or "all others"
        return f"no path to {other}" + ("" if self.light else ", with carrier loss")

    def _other(self, lab: LabSpec, targets: Targets) -> tuple[str, ...]:
        names = [node.name for node in lab.nodes if node.name not in targets.nodes]
        for pattern in self.against:
            if not any(matches(name, (pattern,)) for name in names):
                raise LabctlError(
                    "empty-target", f"link.partition: `against` {pattern!r} is no node beside the targets"
                )
        return tuple(name for name in names if not self.against or matches(name, self.against))
