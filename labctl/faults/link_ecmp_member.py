"""One bad member of a bundle: some flows lose everything, the others nothing.

In the world: one of eight links of a port channel, or one path of an ECMP group inside the provider, drops. Ping is fine
(its hash is good), one customer in eight complains, and nobody can reproduce it. In the kernel: the flow hash of
addresses, protocol and ports is taken, and flows that fall into the bucket are dropped on the half-cable.

Not `link.degrade --loss 12.5%`, which hits every flow a little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.faults.base import Way, halves, setting, way, whole
from labctl.model.effects import Impaired
from labctl.model.impairment import Impairment, Member
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class EcmpMember:
    """Flows of one hash bucket are lost."""

    kind: ClassVar[str] = "link.ecmp-member"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "the drop is removed"

    bucket: int = setting("which member, from 0", 0)
    of: int = setting("how many members there are", 8)
    direction: Way = way()

    def __post_init__(self) -> None:
        Member(bucket=self.bucket, of=self.of)

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab, draw
        change = Impaired(Impairment(members=(Member(bucket=self.bucket, of=self.of),)))
        return whole(fault_id, ((half, change) for half in halves(targets.cables, self.direction)), for_s)

    def said(self) -> str:
        return f"flows of member {self.bucket} of {self.of} lost{self.direction.words}"
