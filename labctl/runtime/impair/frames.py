"""Telling frames apart: what a selective drop, an ECMP bucket or a corruption has to know of one.

These functions are the meaning of `Match`, `Member` and `corrupt`; the wire runs them, and the kernel's program
(`gate`) is tested against them frame by frame. A frame is given as the kernel shows it, with its outermost VLAN tag
taken off. IPv6 extension headers are not walked, and a fragment has no ports.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from labctl.model import chance
from labctl.model.impairment import Match, Protocol

ETH = 14
ARP, IPV4, IPV6, LLDP = 0x0806, 0x0800, 0x86DD, 0x88CC
LLC = 0x0004  # what the kernel calls a frame whose type field is a length
ISIS_LLC = b"\xfe\xfe\x03"
ICMP, TCP, UDP, ICMP6, OSPF = 1, 6, 17, 58, 89
BGP_PORT = 179
BFD_PORTS = (3784, 3785, 4784)
ND_TYPES = (133, 137)
NONE = 0xFFFF_FFFF  # no such field


@dataclass(frozen=True, slots=True)
class Parsed:
    """The fields of a frame that anything here looks at; NONE where there is no such field."""

    ethertype: int
    protocol: int = NONE
    start: int = 0  # of what the IP header carries
    end: int = 0
    dscp: int = NONE
    fragment: bool = False
    source_port: int = NONE  # the first two bytes of what IP carries, whatever it is
    target_port: int = NONE
    addresses: int = 0  # all 32-bit words of both addresses, xored
    head: bytes = b""


def parse(frame: bytes) -> Parsed:
    kind = int.from_bytes(frame[12:14], "big")
    kind = kind if kind >= 0x0600 else LLC
    if kind == IPV4 and len(frame) >= ETH + 20:
        length, ports = struct.unpack_from("!H", frame, 16)[0], struct.unpack_from("!H", frame, 20)[0]
        start = ETH + (frame[14] & 15) * 4
        words = struct.unpack_from("!2I", frame, 26)
        return _with_ports(
            frame,
            Parsed(
                ethertype=kind,
                protocol=frame[23],
                start=start,
                end=min(ETH + length, len(frame)),
                dscp=frame[15] >> 2,
                fragment=bool(ports & 0x3FFF),
                addresses=words[0] ^ words[1],
            ),
            first=not ports & 0x1FFF,
        )
    if kind == IPV6 and len(frame) >= ETH + 40:
        folded = 0
        for word in struct.unpack_from("!8I", frame, 22):
            folded ^= word
        return _with_ports(
            frame,
            Parsed(
                ethertype=kind,
                protocol=frame[20],
                start=ETH + 40,
                end=min(ETH + 40 + struct.unpack_from("!H", frame, 18)[0], len(frame)),
                dscp=(struct.unpack_from("!H", frame, 14)[0] >> 4 & 0xFF) >> 2,
                addresses=folded,
            ),
            first=True,
        )
    return Parsed(ethertype=kind, head=frame[14:17])


def matches(match: Match, seen: Parsed) -> bool:
    """Whether the frame is of that protocol (the fraction is another question)."""
    return _IS[match.protocol](seen, match.value)


def bucket(seen: Parsed, of: int) -> int | None:
    """Which of `of` members the frame's flow is sent over, both directions alike; None if it has no flow."""
    if seen.protocol == NONE:
        return None
    ports = seen.source_port ^ seen.target_port if seen.protocol in (TCP, UDP) else 0
    return (chance.mix(seen.addresses << 32 | seen.protocol << 16 | ports) >> 32) % of


def corruptible(frame: bytes, seen: Parsed) -> tuple[int, int] | None:
    """Where a flipped bit is caught by a checksum of the receiver: from, to; None if nowhere."""
    whole = seen.protocol != NONE and not seen.fragment
    if whole and seen.protocol == UDP and seen.source_port != NONE:
        unchecked = seen.end < seen.start + 8 or (
            seen.ethertype == IPV4 and not any(frame[seen.start + 6 : seen.start + 8])
        )
        if not unchecked:
            # Never the checksum itself: a flip could make it 0, which says that there is none.
            return (seen.start + 8, seen.end) if seen.end > seen.start + 8 else (seen.start, seen.start + 4)
    elif whole and seen.protocol in (TCP, ICMP, ICMP6) and seen.end > seen.start:
        return seen.start, seen.end
    elif whole and seen.protocol == OSPF and seen.end >= seen.start + 16:
        return seen.start, seen.start + 16  # not the authentication field, which may be out of the checksum
    return (ETH, seen.start) if seen.ethertype == IPV4 and seen.start else None


def flip(frame: bytes, span: tuple[int, int], drawn: int) -> bytes:
    """The frame with one bit of the span flipped."""
    place = span[0] + (drawn >> 3) % (span[1] - span[0])
    changed = bytearray(frame)
    changed[place] ^= 1 << (drawn & 7)
    return bytes(changed)


def _with_ports(frame: bytes, seen: Parsed, *, first: bool) -> Parsed:
    if not first or len(frame) < seen.start + 4:
        return seen
    source, target = struct.unpack_from("!HH", frame, seen.start)
    return replace(seen, source_port=source, target_port=target)


def _discovery(seen: Parsed) -> bool:
    return seen.source_port != NONE and ND_TYPES[0] <= seen.source_port >> 8 <= ND_TYPES[1]


def _icmp(seen: Parsed, _: int | None) -> bool:
    four = seen.protocol == ICMP and seen.ethertype == IPV4
    return four or (seen.protocol == ICMP6 and seen.ethertype == IPV6 and not _discovery(seen))


_IS: Mapping[Protocol, Callable[[Parsed, int | None], bool]] = {
    Protocol.ARP: lambda seen, _: seen.ethertype == ARP,
    Protocol.LLDP: lambda seen, _: seen.ethertype == LLDP,
    Protocol.ISIS: lambda seen, _: seen.ethertype == LLC and seen.head == ISIS_LLC,
    Protocol.OSPF: lambda seen, _: seen.protocol == OSPF,
    Protocol.OSPF_HELLO: lambda seen, _: (
        seen.protocol == OSPF and seen.source_port != NONE and seen.source_port & 0xFF == 1
    ),
    Protocol.BGP: lambda seen, _: seen.protocol == TCP and BGP_PORT in (seen.source_port, seen.target_port),
    Protocol.BFD: lambda seen, _: seen.protocol == UDP and seen.target_port in BFD_PORTS,
    Protocol.ICMP: _icmp,
    Protocol.ICMPV6_ND: lambda seen, _: (
        seen.protocol == ICMP6 and seen.ethertype == IPV6 and _discovery(seen)
    ),
    Protocol.TCP_PORT: lambda seen, port: (
        seen.protocol == TCP and port in (seen.source_port, seen.target_port)
    ),
    Protocol.UDP_PORT: lambda seen, port: (
        seen.protocol == UDP and port in (seen.source_port, seen.target_port)
    ),
    Protocol.ETHERTYPE: lambda seen, value: seen.ethertype == value,
    Protocol.DSCP: lambda seen, value: seen.dscp == value,
}
