"""One protocol does not get through, everything else does.

In the world: an access list with one line too many, a rate limiter for control traffic that is set too low, a bug in
one line card's punt path. The classic: BFD dies and the link works; OSPF hellos die and the data plane is fine; LLDP dies
and only the inventory is wrong. In the kernel: frames that match are dropped on the half-cable, by chance if `fraction`
is below 100%.

Not `link.blackhole` (everything), not `link.degrade` (whatever it is).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.errors import did_you_mean
from labctl.faults.base import Way, halves, setting, way, whole
from labctl.model.effects import Impaired
from labctl.model.impairment import VALUED, Impairment, Match, Protocol
from labctl.model.lab import LabSpec
from labctl.model.scenario import Draw, Kind, Targets, TimedEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class Selective:
    """Frames of these protocols are lost."""

    kind: ClassVar[str] = "link.selective"
    on: ClassVar[Kind] = Kind.LINK
    reverts: ClassVar[str] = "the drop is removed"

    protocols: tuple[str, ...] = setting(
        "bfd, bgp, ospf, ospf-hello, isis, arp, icmpv6-nd, lldp, icmp, tcp-port:N, udp-port:N, ethertype:N, dscp:N"
    )
    fraction: float = setting("of these frames", 1.0, unit="percent")
    direction: Way = way()

    def __post_init__(self) -> None:
        if not self.protocols:
            raise ValueError("protocols is empty: nothing would be lost")
        if not self.fraction:
            raise ValueError("a fraction of 0%: nothing would be lost")
        self.drops()

    def drops(self) -> tuple[Match, ...]:
        found = {(match.protocol, match.value): match for match in map(self._match, self.protocols)}
        return tuple(found.values())

    def spans(
        self, fault_id: str, lab: LabSpec, targets: Targets, for_s: float, draw: Draw
    ) -> tuple[TimedEffect, ...]:
        del lab
        changes = (
            (half, Impaired(Impairment(drops=self.drops(), seed=draw.at(str(half)).integer("seed", 1 << 32))))
            for half in halves(targets.cables, self.direction)
        )
        return whole(fault_id, changes, for_s)

    def said(self) -> str:
        return ", ".join(str(match) for match in self.drops()) + f" lost{self.direction.words}"

    def _match(self, text: str) -> Match:
        name, colon, value = text.partition(":")
        if name not in set(Protocol):
            hint = did_you_mean(name, [each.value for each in Protocol])
            raise ValueError(f"there is no protocol {name!r}" + (f" ({hint})" if hint else ""))
        protocol = Protocol(name)
        try:
            number = int(value, 0) if colon else None
        except ValueError:
            raise ValueError(f"{text!r}: {value!r} is not a number") from None
        if protocol in VALUED and number is None:
            raise ValueError(f"{name} needs a number, like `{name}:46`")
        return Match(protocol=protocol, value=number, fraction=self.fraction)
