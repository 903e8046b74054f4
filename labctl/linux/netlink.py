"""Raw rtnetlink: links, addresses and routes of one namespace through one socket that stays open.

A cable's price is the number of times it takes the kernel's RTNL lock and moves a device. Here a veth pair is one
message that creates both ends directly in their namespaces with name, MAC and MTU; nothing is moved or renamed, and
nothing ever appears in the machine's own namespace. A `Netlink` is bound to the namespace it was opened in and may be
used from any thread, by one thread at a time.

IFF_UP cannot be set on the peer part of a new veth pair (the kernel says ENOTCONN): raise the peer afterwards.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from labctl.linux import netns

NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
SO_RCVBUFFORCE = 33

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_REPLACE = 0x100
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_DUMP = 0x300
NLA_F_NESTED = 0x8000
NLA_TYPE = 0x3FFF

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
RTMGRP_LINK = 1
RTMGRP_ADDRESSES = 0x10 | 0x100  # IPv4, IPv6

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK = 1, 3, 4, 5
IFLA_MASTER, IFLA_OPERSTATE, IFLA_LINKINFO = 10, 16, 18
IFLA_IFALIAS, IFLA_GROUP, IFLA_EXT_MASK = 20, 27, 29
IFLA_NET_NS_FD, IFLA_CARRIER, IFLA_LINK_NETNSID = 28, 33, 37
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
VETH_INFO_PEER = 1
IFLA_BR_STP_STATE, IFLA_BR_GROUP_FWD_MASK, IFLA_BR_MCAST_SNOOPING = 5, 9, 23
IFLA_BRPORT_GROUP_FWD_MASK = 31
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_NODAD = 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5

IFF_UP = 0x1
IFF_NOARP = 0x80
IFF_LOWER_UP = 0x10000

#: What a bridge may be told to forward of 01-80-C2-00-00-0X: all but STP, PAUSE and LACP; a port may add LACP. With
#: STP off the bridge passes STP as well. PAUSE alone cannot be forwarded.
BRIDGE_GROUP_FWD_MASK = 0xFFF8
PORT_GROUP_FWD_MASK = 0xFFFD


#: The answers to more requests than this could overflow a socket's buffer.
_AT_ONCE = 32
_ATTR = struct.Struct("=HH")


class NetlinkError(OSError):
    """The kernel refused a request; `strerror` carries its own words where it gave some."""


class Overrun(Exception):  # noqa: N818  (a condition to handle, not a failure)
    """Events were lost (ENOBUFS): dump the state and go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network device as the kernel describes it. `peer` is the ifindex at the other end of a veth pair.

    `carrier` is what the driver says at once; `oper_up` follows when the kernel has acted on it, and only then do
    frames leave.
    """

    index: int
    name: str
    flags: int
    mtu: int
    mac: str
    kind: str = ""
    master: int | None = None
    peer: int | None = None
    peer_nsid: int | None = None
    carrier: bool = False
    alias: str = ""
    oper_up: bool = False

    @property
    def up(self) -> bool:
        """Administratively up (IFF_UP); says nothing about carrier."""
        return bool(self.flags & IFF_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEvent:
    """A device appeared or changed, or (`gone`) was removed."""

    gone: bool
    link: Link


@dataclass(frozen=True, slots=True, kw_only=True)
class VethEnd:
    """One end of a veth pair to be: in which namespace (descriptor; None: the socket's own), and how it looks."""

    name: str
    netns_fd: int | None = None
    mac: str | None = None
    mtu: int | None = None
    noarp: bool = False
    index: int | None = None  # a fixed ifindex; the peer's counts only if `end` has one too


def attr(kind: int, payload: bytes) -> bytes:
    return _ATTR.pack(4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nest(kind: int, *inner: bytes) -> bytes:
    return attr(kind | NLA_F_NESTED, b"".join(inner))


def u16(value: int) -> bytes:
    return struct.pack("=H", value)


def u32(value: int) -> bytes:
    return struct.pack("=I", value)


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def attrs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Split a run of attributes into (type, payload)."""
    offset, end = 0, len(data)
    while offset + 4 <= end:
        length, kind = _ATTR.unpack_from(data, offset)
        if length < 4:
            return
        yield kind & NLA_TYPE, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def ifinfo(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


_SKIP_STATS = attr(IFLA_EXT_MASK, u32(1 << 3))  # RTEXT_FILTER_SKIP_STATS


class Netlink:
    """One rtnetlink socket in one namespace (`path`; None: the caller's own)."""

    def __init__(self, path: str | None = None) -> None:
        self._socket = netns.socket_in(path, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- requests ----------------------------------------------------------------------------------------------

    def request(self, kind: int, body: bytes, flags: int = 0, *, what: str = "") -> None:
        """Send one request and wait for its acknowledgement; NetlinkError with the kernel's reason."""
        self._sequence += 1
        header = struct.pack(
            "=IHHII", 16 + len(body), kind, NLM_F_REQUEST | NLM_F_ACK | flags, self._sequence, 0
        )
        self._socket.send(header + body)
        for answer, _, payload in self._answers():
            if answer == NLMSG_ERROR:
                _raise(payload[0], payload[1], what)
                return

    def batch(self, requests: Sequence[tuple[int, bytes]]) -> dict[int, NetlinkError]:
        """Send many requests in one datagram, which the kernel works through without coming back to us in between.

        Which of them were refused, by their place; only the last is acknowledged.
        """
        wrong: dict[int, NetlinkError] = {}
        for place, (answer, flags, payload) in self._exchange(requests):
            if answer == NLMSG_ERROR:
                try:
                    _raise(flags, payload, "")
                except NetlinkError as error:
                    wrong[place] = error
        return wrong

    def _exchange(
        self, requests: Sequence[tuple[int, bytes]]
    ) -> Iterator[tuple[int, tuple[int, int, bytes]]]:
        """(place of a request, (type, flags, payload)) of every answer; the last request of a datagram has one."""
        for start in range(0, len(requests), _AT_ONCE):
            part = requests[start : start + _AT_ONCE]
            first = self._sequence + 1
            data = b""
            for kind, body in part:
                self._sequence += 1
                flags = NLM_F_REQUEST | (NLM_F_ACK if self._sequence == first + len(part) - 1 else 0)
                header = struct.pack("=IHHII", 16 + len(body), kind, flags, self._sequence, 0)
                data += header + body + bytes(-len(body) % 4)
            self._socket.send(data)
            for sequence, answer, flags, payload in self._replies(first):
                yield start + sequence - first, (answer, flags, payload)

    def _replies(self, first: int) -> Iterator[tuple[int, int, int, bytes]]:
        """(sequence, type, flags, payload) of the answers to all requests from `first` on, until that to the last."""
        while True:
            for kind, flags, sequence, payload in messages(self._socket.recv(1 << 18)):
                if sequence >= first:
                    yield sequence, kind, flags, payload
                if sequence == self._sequence and kind == NLMSG_ERROR:
                    return

    def dump(
        self, kind: int, body: bytes, flags: int = NLM_F_DUMP, *, what: str = ""
    ) -> list[tuple[int, bytes]]:
        """All messages of a dump, read again when the kernel says that it changed meanwhile."""
        for _ in range(20):
            self._sequence += 1
            self._socket.send(
                struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST | flags, self._sequence, 0) + body
            )
            found: list[tuple[int, bytes]] = []
            torn = False
            for answer, header_flags, payload in self._answers():
                torn = torn or bool(header_flags & NLM_F_DUMP_INTR)
                if answer == NLMSG_ERROR:
                    _raise(payload[0], payload[1], what)
                    break
                if answer == NLMSG_DONE:
                    break
                found.append((answer, payload[1]))
                if not flags & NLM_F_DUMP:
                    return found
            if not torn:
                return found
        raise NetlinkError(errno.EAGAIN, f"{what}: the list kept changing while it was read")

    def _answers(self) -> Iterator[tuple[int, int, tuple[int, bytes]]]:
        """(type, flags, (header flags, payload)) of each message that answers the last request."""
        while True:
            data = self._socket.recv(1 << 18)
            for kind, flags, sequence, payload in messages(data):
                if sequence == self._sequence:
                    yield kind, flags, (flags, payload)

    # -- links -------------------------------------------------------------------------------------------------

    def links(self) -> list[Link]:
        """Every device of the namespace."""
        return [
            link_of(data)
            for kind, data in self.dump(RTM_GETLINK, ifinfo() + _SKIP_STATS, what="list links")
            if kind == RTM_NEWLINK
        ]

    def link(self, which: str | int) -> Link | None:
        """The device of that name or ifindex, or None."""
        body = ifinfo(which) if isinstance(which, int) else ifinfo() + attr(IFLA_IFNAME, text(which))
        try:
            found = self.dump(RTM_GETLINK, body, flags=0, what=f"look up {which}")
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return link_of(found[0][1])

    def those(self, indexes: Sequence[int]) -> dict[int, Link]:
        """Of these devices those that are there, by ifindex, asked for in one go."""
        requests = [(RTM_GETLINK, ifinfo(index) + _SKIP_STATS) for index in indexes]
        return {
            indexes[place]: link_of(payload)
            for place, (kind, _, payload) in self._exchange(requests)
            if kind == RTM_NEWLINK
        }

    def index(self, name: str) -> int:
        """ifindex of a device that must exist."""
        link = self.link(name)
        if link is None:
            raise NetlinkError(errno.ENODEV, f"no device {name}")
        return link.index

    def create_veth(self, end: VethEnd, peer: VethEnd, *, up: bool = False) -> None:
        """Create a pair with each end directly in its namespace; `up` raises `end` (the peer cannot be, here)."""
        flag = IFF_UP if up else 0
        inner = nest(VETH_INFO_PEER, _veth_end(peer, 0))
        body = _veth_end(end, flag) + nest(
            IFLA_LINKINFO, attr(IFLA_INFO_KIND, b"veth"), nest(IFLA_INFO_DATA, inner)
        )
        self.request(
            RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL, what=f"create veth {end.name} - {peer.name}"
        )

    def create_bridge(self, name: str, *, mtu: int | None = None, transparent: bool = True) -> None:
        """A silent bridge: no STP, no multicast snooping (no querier). `transparent`: it forwards the 802.1D group
        addresses like a cable with many ends; else it keeps LLDP, LACP and the like from going on, as a switch does.
        """
        data = nest(
            IFLA_INFO_DATA,
            attr(IFLA_BR_STP_STATE, u32(0)),
            attr(IFLA_BR_MCAST_SNOOPING, b"\0"),
            attr(IFLA_BR_GROUP_FWD_MASK, u16(BRIDGE_GROUP_FWD_MASK if transparent else 0)),
        )
        body = ifinfo(0, IFF_NOARP, IFF_NOARP) + attr(IFLA_IFNAME, text(name))
        if mtu is not None:
            body += attr(IFLA_MTU, u32(mtu))
        body += nest(IFLA_LINKINFO, attr(IFLA_INFO_KIND, b"bridge"), data)
        self.request(RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL, what=f"create bridge {name}")
        self.set_link(self.index(name), up=True)

    def enslave(self, index: int, bridge: int, *, transparent: bool = True) -> None:
        """Make a device a port of a bridge; a port of a transparent one passes LACP too."""
        self.request(RTM_NEWLINK, ifinfo(index) + attr(IFLA_MASTER, u32(bridge)), what="enslave")
        if not transparent:
            return
        port = nest(
            IFLA_LINKINFO,
            attr(IFLA_INFO_SLAVE_KIND, b"bridge"),
            nest(IFLA_INFO_SLAVE_DATA, attr(IFLA_BRPORT_GROUP_FWD_MASK, u16(PORT_GROUP_FWD_MASK))),
        )
        self.request(RTM_NEWLINK, ifinfo(index) + port, what="set bridge port")

    def set_link(
        self,
        which: int | str,
        *,
        up: bool | None = None,
        mtu: int | None = None,
        mac: str | None = None,
        alias: str | None = None,
    ) -> None:
        """Change a device (by ifindex or name): administrative state, MTU, MAC, note; None leaves as it is."""
        flags, change = (IFF_UP if up else 0, IFF_UP) if up is not None else (0, 0)
        index = which if isinstance(which, int) else 0
        body = ifinfo(index, flags, change)
        if isinstance(which, str):
            body += attr(IFLA_IFNAME, text(which))
        if mtu is not None:
            body += attr(IFLA_MTU, u32(mtu))
        if mac is not None:
            body += attr(IFLA_ADDRESS, mac_bytes(mac))
        if alias is not None:
            body += attr(IFLA_IFALIAS, alias.encode())
        self.request(RTM_NEWLINK, body, what=f"set link {which}")

    def set_links(self, wanted: Mapping[int, bool]) -> dict[int, NetlinkError]:
        """Raise and lower devices by ifindex, one right after the other; the refusals, by ifindex."""
        indexes = list(wanted)
        requests = [(RTM_NEWLINK, ifinfo(i, IFF_UP if up else 0, IFF_UP)) for i, up in wanted.items()]
        return {indexes[place]: error for place, error in self.batch(requests).items()}

    def gather(self, indexes: Sequence[int], group: int) -> None:
        """Make these devices a group, of a number that nothing else has; one that is gone is left out."""
        members = [(RTM_NEWLINK, ifinfo(each) + attr(IFLA_GROUP, u32(group))) for each in indexes]
        for error in self.batch(members).values():
            if error.errno != errno.ENODEV:
                raise error

    def set_group(self, group: int, *, up: bool) -> None:
        """Raise or lower all devices of a group by one message.

        The kernel does not let go of its RTNL lock in between, so they change within microseconds of each other. Asked
        for one by one, each would wait for whoever takes the lock meanwhile: on a busy machine tens of milliseconds.
        """
        body = ifinfo(0, IFF_UP if up else 0, IFF_UP) + attr(IFLA_GROUP, u32(group))
        self.request(RTM_NEWLINK, body, what="set a group of links")

    def delete_link(self, which: int | str) -> bool:
        """Remove a device (a veth's peer goes with it); False if there is none."""
        body = ifinfo(which) if isinstance(which, int) else ifinfo() + attr(IFLA_IFNAME, text(which))
        try:
            self.request(RTM_DELLINK, body, what=f"delete link {which}")
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return True

    # -- addresses and routes ----------------------------------------------------------------------------------

    def add_address(self, index: int, address: str, *, dad: bool = True) -> None:
        """Put `10.0.0.1/24` or `2001:db8::1/64` on a device; the same address twice is not an error."""
        interface = ipaddress.ip_interface(address)
        packed = interface.ip.packed
        family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
        flags = 0 if dad or family == socket.AF_INET else IFA_F_NODAD
        body = struct.pack("=BBBBI", family, interface.network.prefixlen, flags, 0, index)
        body += attr(IFA_LOCAL, packed) + attr(IFA_ADDRESS, packed)
        if family == socket.AF_INET and interface.network.prefixlen < 31:
            body += attr(IFA_BROADCAST, interface.network.broadcast_address.packed)
        self.request(RTM_NEWADDR, body, NLM_F_CREATE | NLM_F_REPLACE, what=f"add address {address}")

    def addresses(self, index: int | None = None) -> list[tuple[int, str]]:
        """(ifindex, `address/length`) of every address, or of one device."""
        found = []
        for kind, data in self.dump(RTM_GETADDR, struct.pack("=BBBBI", 0, 0, 0, 0, 0), what="list addresses"):
            if kind != RTM_NEWADDR:
                continue
            _, length, _, _, owner = struct.unpack_from("=BBBBI", data)
            values = dict(attrs(data[8:]))
            packed = values.get(IFA_LOCAL, values.get(IFA_ADDRESS, b""))
            if index is None or owner == index:
                found.append((owner, f"{ipaddress.ip_address(packed)}/{length}"))
        return found

    def add_route(self, destination: str, *, via: str | None = None, index: int | None = None) -> None:
        """A static unicast route in the main table."""
        network = ipaddress.ip_network(destination)
        family = socket.AF_INET if network.version == 4 else socket.AF_INET6
        scope = 0 if via or network.version == 6 else 253
        body = struct.pack("=BBBBBBBBI", family, network.prefixlen, 0, 0, 254, 4, scope, 1, 0)
        if network.prefixlen:
            body += attr(RTA_DST, network.network_address.packed)
        if via is not None:
            body += attr(RTA_GATEWAY, ipaddress.ip_address(via).packed)
        if index is not None:
            body += attr(RTA_OIF, u32(index))
        self.request(RTM_NEWROUTE, body, NLM_F_CREATE | NLM_F_REPLACE, what=f"add route {destination}")


class LinkEvents:
    """Changes of the devices of one namespace, as they happen. `fileno` is for a selector.

    An event means only "read again"; after `Overrun` the listener has to dump.
    """

    def __init__(self, path: str | None = None, *, buffer_bytes: int = 1 << 20) -> None:
        self._socket = netns.socket_in(path, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
        self._socket.setblocking(False)
        self._socket.bind((0, RTMGRP_LINK))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> list[LinkEvent]:
        """Everything that waits, without blocking; Overrun when the kernel had to drop some."""
        events: list[LinkEvent] = []
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                return events
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise Overrun from error
                raise
            events += [
                LinkEvent(gone=kind == RTM_DELLINK, link=link_of(payload))
                for kind, _, _, payload in messages(data)
                if kind in (RTM_NEWLINK, RTM_DELLINK)
            ]


class Changes:
    """Says only that something changed in a namespace: addresses, or what `protocol` and `groups` name.

    For readers that dump, so that nothing in an event needs to be understood and none can be missed: a subscription is
    there before the first dump, and lost events are a change like any other.
    """

    def __init__(
        self, path: str | None = None, *, protocol: int = NETLINK_ROUTE, groups: int = RTMGRP_ADDRESSES
    ) -> None:
        self._socket = netns.socket_in(path, socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.setblocking(False)
        self._socket.bind((0, groups))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def drain(self, kinds: Container[int] | None = None) -> bool:
        """Read all that waits; whether any of it was of these kinds (None: of any), or may have been."""
        found = False
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found = True
            else:
                found = found or any(kinds is None or kind in kinds for kind, _, _, _ in messages(data))


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, payload) of each message in a datagram."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data, offset)
        if length < 16:
            return
        yield kind, flags, sequence, data[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def link_of(data: bytes) -> Link:
    """Decode an ifinfomsg with its attributes."""
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", data)
    values = dict(attrs(data[16:]))
    info = dict(attrs(values.get(IFLA_LINKINFO, b"")))
    return Link(
        index=index,
        name=_string(values.get(IFLA_IFNAME, b"")),
        flags=flags,
        mtu=_number(values.get(IFLA_MTU)) or 0,
        mac=values.get(IFLA_ADDRESS, b"").hex(":"),
        kind=_string(info.get(IFLA_INFO_KIND, b"")),
        master=_number(values.get(IFLA_MASTER)),
        peer=_number(values.get(IFLA_LINK)),
        peer_nsid=_number(values.get(IFLA_LINK_NETNSID)),
        carrier=values.get(IFLA_CARRIER) == b"\x01",
        alias=_string(values.get(IFLA_IFALIAS, b"")),
        oper_up=values.get(IFLA_OPERSTATE) == b"\x06",
    )


def _veth_end(end: VethEnd, flags: int) -> bytes:
    noarp = IFF_NOARP if end.noarp else 0
    body = ifinfo(end.index or 0, flags | noarp, flags | noarp) + attr(IFLA_IFNAME, text(end.name))
    if end.mac is not None:
        body += attr(IFLA_ADDRESS, mac_bytes(end.mac))
    if end.mtu is not None:
        body += attr(IFLA_MTU, u32(end.mtu))
    if end.netns_fd is not None:
        body += attr(IFLA_NET_NS_FD, u32(end.netns_fd))
    return body


def _string(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="surrogateescape")


def _number(raw: bytes | None) -> int | None:
    return None if raw is None or len(raw) != 4 else int(struct.unpack("=i", raw)[0])


def _raise(flags: int, payload: bytes, what: str) -> None:
    """Raise what an NLMSG_ERROR says, or return if it is an acknowledgement."""
    code = -int(struct.unpack_from("=i", payload)[0])
    if code == 0:
        return
    words = os.strerror(code)
    if flags & NLM_F_ACK_TLVS:
        length = struct.unpack_from("=I", payload, 4)[0] if not flags & NLM_F_CAPPED else 16
        tail = dict(attrs(payload[4 + ((length + 3) & ~3) :]))
        if 1 in tail:
            words = f"{words} ({_string(tail[1])})"
    raise NetlinkError(code, f"{what}: {words}" if what else words)
