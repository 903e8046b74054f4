"""What a namespace's kernel forwards by: one raw netlink dump, and a socket that says when to look again.

The idea: an event only means "read again". Routes change in ways that send no route event (a carrier that goes, a
nexthop object that is replaced, IPv4 routes that die with their interface), and a burst overflows the socket
(ENOBUFS). So events of routes, links and nexthops are read for their time and their prefix, and what the routes *are*
always comes from a dump of the main table. A dump of a hundred routes costs about half a millisecond, where
`vtysh -c 'show ip route'` through a container's exec costs fifty.

Reads only; opens its sockets inside the namespace and never enters it.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from labctl.linux import netns
from labctl.linux.closing import Closing
from labctl.model.routes import NextHop, Route

NETLINK_ROUTE = 0
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
SOL_NETLINK = 270
RTMGRP_LINK, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x1, 0x40, 0x400
RTNLGRP_NEXTHOP = 32
NETLINK_ADD_MEMBERSHIP = 1

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_MULTIPATH, RTA_TABLE, RTA_VIA = 1, 4, 5, 6, 9, 15, 18
IFLA_IFNAME = 3
RTM_F_CLONED = 0x200
RTNH_F_DEAD, RTNH_F_LINKDOWN = 0x1, 0x10
RT_TABLE_MAIN, RT_TABLE_LOCAL = 254, 255
RT_SCOPE_LINK = 253
RTN_UNICAST, RTN_LOCAL = 1, 2
KINDS = {6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}

#: rtm_protocol -> FRR's name of it. 2 (the kernel) is told apart by scope: addresses make "connected".
PROTOCOLS = {
    1: "redirect",
    2: "kernel",
    3: "boot",
    4: "static",
    9: "ra",
    11: "zebra",
    16: "dhcp",
    186: "bgp",
    187: "isis",
    188: "ospf",
    189: "rip",
    190: "ripng",
    191: "nhrp",
    192: "eigrp",
    193: "ldp",
    194: "sharp",
    195: "pbr",
    196: "static",
    197: "openfabric",
    198: "srte",
}

_NLMSG = struct.Struct("=IHHII")
_RTMSG = struct.Struct("=BBBBBBBBI")
_IFINFO = struct.Struct("=BxHiII")
_RTNH = struct.Struct("=HBBi")


@dataclass(frozen=True, slots=True)
class RouteEvent:
    """Something was announced. prefix None: a link or nexthop changed, or events were dropped; read everything.

    routing: the route belongs to a routing daemon, not to the kernel itself (addresses, neighbour discovery).
    """

    prefix: str | None
    routing: bool = False
    link: bool = False


class RouteReader(Closing):
    """The routes of one namespace, its events included. Close it, or use it as a context manager."""

    def __init__(self, ns_path: str) -> None:
        self.ns_path = ns_path
        self._seq = 0
        self._names: dict[int, str] | None = None
        self._parsed: dict[bytes, tuple[tuple[str, int], Route] | None] = {}
        self._dump = _open(ns_path)
        try:
            self.events = _open(ns_path)
        except BaseException:
            self._dump.close()
            raise
        try:
            self.events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self.events.bind((0, RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
            self.events.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_NEXTHOP)
            self.events.setblocking(False)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._dump.close()
        self.events.close()

    def fib(self) -> dict[tuple[str, int], Route]:
        """The main table of both families, keyed by (prefix, priority).

        Most routes are the same as at the last look, byte for byte, so parsed messages are kept.
        """
        if self._names is None:
            self._names, self._parsed = self.interfaces(), {}
        found: dict[tuple[str, int], Route] = {}
        seen: dict[bytes, tuple[tuple[str, int], Route] | None] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0)
            for kind, payload in self._ask(RTM_GETROUTE, request):
                if kind != RTM_NEWROUTE:
                    continue
                known = self._parsed.get(payload)
                parsed = seen[payload] = known or parse_route(payload, self._names)
                if parsed:
                    key, route = parsed
                    # some kernels send one message for each path of an IPv6 ECMP route
                    found[key] = _join(found[key], route) if key in found and route.next_hops else route
        self._parsed = seen
        return found

    def own(self) -> tuple[Route, ...]:
        """The addresses of the namespace itself, from the local table; those of 127.0.0.0/8 and ::1 are nobody's news."""
        names = self.interfaces()
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _RTMSG.pack(family, 0, 0, 0, RT_TABLE_LOCAL, 0, 0, 0, 0)
            for kind, payload in self._ask(RTM_GETROUTE, request):
                route = parse_own(payload, names) if kind == RTM_NEWROUTE else None
                if route:
                    found.append(route)
        return tuple(sorted(found, key=lambda route: route.prefix))

    def interfaces(self) -> dict[int, str]:
        """ifindex -> name."""
        names: dict[int, str] = {}
        for kind, payload in self._ask(RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0)):
            if kind == RTM_NEWLINK:
                index = _IFINFO.unpack_from(payload)[2]
                name = dict(_attributes(payload[_IFINFO.size :])).get(IFLA_IFNAME, b"")
                names[index] = name.rstrip(b"\0").decode()
        return names

    def read_events(self) -> list[RouteEvent]:
        """What was announced since the last call; never blocks."""
        out: list[RouteEvent] = []
        while True:
            try:
                data = self.events.recv(1 << 16)
            except BlockingIOError:
                return out
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                out.append(RouteEvent(None, routing=True))
                self._names = None
                continue
            for event in _events(data):
                if event.link:
                    self._names = None
                out.append(event)

    def _ask(self, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        """A dump, repeated when the kernel says that it changed half-way (at most five times)."""
        answer: list[tuple[int, bytes]] = []
        for _ in range(5):
            answer, torn = self._ask_once(kind, body)
            if not torn:
                break
        yield from answer

    def _ask_once(self, kind: int, body: bytes) -> tuple[list[tuple[int, bytes]], bool]:
        self._seq += 1
        self._dump.send(
            _NLMSG.pack(_NLMSG.size + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, self._seq, 0) + body
        )
        answer: list[tuple[int, bytes]] = []
        torn = False
        while True:
            for message, flags, seq, payload in _messages(self._dump.recv(1 << 18)):
                if seq != self._seq:
                    continue
                torn = torn or bool(flags & NLM_F_DUMP_INTR)
                if message == NLMSG_DONE:
                    return answer, torn
                if message == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    if code == errno.ENOENT:  # strict checking: the table does not exist, so it has no routes
                        return answer, torn
                    raise OSError(code, errno.errorcode.get(code, str(code)))
                answer.append((message, payload))


def parse_route(payload: bytes, names: dict[int, str]) -> tuple[tuple[str, int], Route] | None:
    """A RTM_NEWROUTE body of the main table, or None for what nobody forwards by (caches, multicast, local)."""
    head = _RTMSG.unpack_from(payload)
    family, dst_len, protocol, scope, route_type, flags = head[0], head[1], head[5], head[6], head[7], head[8]
    if flags & RTM_F_CLONED or (route_type != RTN_UNICAST and route_type not in KINDS):
        return None
    attributes = dict(_attributes(payload[_RTMSG.size :]))
    table = _u32(attributes[RTA_TABLE]) if RTA_TABLE in attributes else head[4]
    if table != RT_TABLE_MAIN:
        return None
    prefix = _prefix(family, dst_len, attributes.get(RTA_DST))
    priority = _u32(attributes[RTA_PRIORITY]) if RTA_PRIORITY in attributes else 0
    hops = frozenset(_hops(family, attributes, names, flags))
    name = PROTOCOLS.get(protocol, f"proto-{protocol}")
    # the kernel's own routes are those of its addresses, except a few with a gateway (router advertisements)
    if (
        name == "kernel"
        and (scope == RT_SCOPE_LINK or family == socket.AF_INET6)
        and RTA_GATEWAY not in attributes
    ):
        name = "connected"
    route = Route(
        prefix=prefix,
        protocol=name,
        next_hops=hops,
        metric=priority,
        kind=KINDS.get(route_type, ""),
    )
    return (prefix, priority), route


def parse_own(payload: bytes, names: dict[int, str]) -> Route | None:
    """A RTM_NEWROUTE body of the local table: one address of one interface; None for broadcasts and loopback."""
    head = _RTMSG.unpack_from(payload)
    family, dst_len, route_type = head[0], head[1], head[7]
    attributes = dict(_attributes(payload[_RTMSG.size :]))
    if route_type != RTN_LOCAL or RTA_DST not in attributes:
        return None
    prefix = _prefix(family, dst_len, attributes[RTA_DST])
    if ipaddress.ip_network(prefix).is_loopback:
        return None
    return Route(prefix=prefix, protocol="local", next_hops=frozenset(_hops(family, attributes, names, 0)))


def _hops(family: int, attributes: dict[int, bytes], names: dict[int, str], flags: int) -> Iterator[NextHop]:
    if RTA_MULTIPATH not in attributes:
        if RTA_OIF in attributes and not flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN):
            yield _hop(family, attributes, _u32(attributes[RTA_OIF]), names)
        return
    rest = attributes[RTA_MULTIPATH]
    while len(rest) >= _RTNH.size:
        length, hop_flags, _, index = _RTNH.unpack_from(rest)
        if length < _RTNH.size:
            return
        if not hop_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN):
            yield _hop(family, dict(_attributes(rest[_RTNH.size : length])), index, names)
        rest = rest[_align(length) :]


def _hop(family: int, attributes: dict[int, bytes], index: int, names: dict[int, str]) -> NextHop:
    via = ""
    if RTA_GATEWAY in attributes:
        via = socket.inet_ntop(family, attributes[RTA_GATEWAY])
    elif RTA_VIA in attributes:  # RFC 5549: an IPv4 route through an IPv6 neighbour
        via_family = struct.unpack_from("=H", attributes[RTA_VIA])[0]
        via = socket.inet_ntop(via_family, attributes[RTA_VIA][2:])
    return NextHop(via, names.get(index, f"if{index}"))


def _join(one: Route, other: Route) -> Route:
    return Route(
        prefix=one.prefix,
        protocol=one.protocol,
        next_hops=one.next_hops | other.next_hops,
        metric=one.metric,
        kind=one.kind,
    )


def _prefix(family: int, dst_len: int, dst: bytes | None) -> str:
    if dst is None:
        return "0.0.0.0/0" if family == socket.AF_INET else "::/0"
    return str(ipaddress.ip_network((dst, dst_len), strict=False))


def _events(data: bytes) -> Iterator[RouteEvent]:
    for kind, _, _, payload in _messages(data):
        if kind not in (RTM_NEWROUTE, RTM_DELROUTE):
            yield RouteEvent(None, link=kind in (RTM_NEWLINK, RTM_DELLINK))
            continue
        head = _RTMSG.unpack_from(payload)
        attributes = dict(_attributes(payload[_RTMSG.size :]))
        table = _u32(attributes[RTA_TABLE]) if RTA_TABLE in attributes else head[4]
        if table == RT_TABLE_MAIN and not head[8] & RTM_F_CLONED:
            prefix = _prefix(head[0], head[1], attributes.get(RTA_DST))
            yield RouteEvent(prefix, routing=head[5] > 4)


def _open(ns_path: str) -> socket.socket:
    sock = netns.socket_in(ns_path, socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
    sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
    sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
    sock.settimeout(5.0)  # a dump is answered at once; a hang would be a bug, not a reason to hang too
    return sock


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    at = 0
    while at + _NLMSG.size <= len(data):
        length, kind, flags, seq, _ = _NLMSG.unpack_from(data, at)
        if length < _NLMSG.size:
            return
        yield kind, flags, seq, data[at + _NLMSG.size : at + length]
        at += _align(length)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += _align(length)


def _align(length: int) -> int:
    return (length + 3) & ~3


def _u32(data: bytes) -> int:
    return int(struct.unpack_from("=I", data)[0])
