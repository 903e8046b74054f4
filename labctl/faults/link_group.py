"""Links that share a fate fail together: one conduit, one line card, one power feed.

In the world: a shared-risk link group; the redundant path that the drawing shows runs through the same duct. In the
kernel: carrier loss of all cables of the target in one stroke, or one after the other with `stagger`, as a rack loses
its feeds.

Not `link.down` several times: those would be several faults, each with its own time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.errors import LabctlError
from labctl.faults.base import Way, dark, setting, way, whole
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect
from labctl.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Carrier loss of all these cables as one event."""

    kind: ClassVar[str] = "link.group"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "light returns to all of them at once"

    stagger_s: float = setting("time between one cable and the next", 0.0)
    direction: Way = way()

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        last_s = (len(targets.cables) - 1) * self.stagger_s
        if last_s >= for_s:
            raise LabctlError(
                "bad-value",
                f"link.group: the last of {len(targets.cables)} links would go dark after {format_duration(last_s)}, "
                f"when the fault is over ({format_duration(for_s)})",
                hint="a shorter stagger, or a longer time",
            )
        return tuple(
            effect
            for number, cable in enumerate(targets.cables)
            for effect in whole(fault_id, dark([cable], self.direction), for_s, number * self.stagger_s)
        )

    def said(self) -> str:
        stagger = f", {format_duration(self.stagger_s)} apart" if self.stagger_s else ""
        return f"carrier loss of the whole group{stagger}{self.direction.words}"
