"""Packet filters and address translation, in no vendor's words.

A filter is an ordered list of entries; the first that fits decides, and a packet that none fits is dropped. An
interface that names a filter which is nowhere defined lets everything pass (`UndefinedPolicies` is about routes).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labctl.errors import Span
from labctl.model.policy import NOWHERE, Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Wildcard:
    """Addresses that agree with `address` in the bits that are 0 in `wildcard`; as it stands: any address."""

    address: str = "0.0.0.0"
    wildcard: str = "255.255.255.255"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterEntry:
    """protocol: ip (any), a name or a number. Ports are ranges, both ends included; none: any.

    established: only packets of a TCP connection that stands already. standard: the list looks at the source alone.
    """

    seq: int
    action: Action
    protocol: str = "ip"
    source: Wildcard = Wildcard()
    target: Wildcard = Wildcard()
    source_ports: tuple[tuple[int, int], ...] = ()
    target_ports: tuple[tuple[int, int], ...] = ()
    established: bool = False
    icmp_type: int | None = None
    standard: bool = False
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketFilter:
    name: str
    entries: tuple[FilterEntry, ...]
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatRule:
    """Translation of addresses between `inside` and `outside` interfaces (`InterfaceConfig.nat`).

    With `inside`: that address is `outside_first` on the outside, both ways; with `protocol` only that port of it.
    Without: sources that `filter` permits get the address of `interface` or one of `outside_first`..`outside_last`.
    """

    filter: str = ""
    interface: str = ""
    inside: str = ""
    outside_first: str = ""
    outside_last: str = ""
    protocol: str = ""
    inside_port: int | None = None
    outside_port: int | None = None
    where: Span = field(default=NOWHERE, compare=False)
