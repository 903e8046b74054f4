"""A netlink socket: requests, batches of requests, dumps, and the attributes that messages are made of.

What is said on it is elsewhere: links, addresses and routes in `labctl.linux.netlink`, traffic control in `tc`. A socket
is bound to the namespace it was opened in and may be used from any thread, by one thread at a time.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labctl.linux import netns
from labctl.linux.closing import Closing

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
RTM_GETNSID, NETNSA_NSID, NETNSA_FD = 90, 1, 3
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
IFLA_MACVLAN_MODE = 1
IFLA_VXLAN_ID, IFLA_VXLAN_GROUP, IFLA_VXLAN_LINK, IFLA_VXLAN_LEARNING = 1, 2, 3, 7
IFLA_VXLAN_PORT_RANGE, IFLA_VXLAN_PORT, IFLA_VXLAN_GROUP6 = 10, 15, 16
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


@dataclass(frozen=True, slots=True)
class Request:
    """One message to the kernel, to be sent with others (`Socket.batch`). what: for whom it concerns, in words."""

    kind: int
    body: bytes
    flags: int = 0
    what: str = ""


class Socket(Closing):
    """One rtnetlink socket in one namespace (`path`; None: the caller's own)."""

    def __init__(self, path: str | None = None) -> None:
        self._socket = netns.socket_in(path, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0
        self._buffer = bytearray(
            1 << 18
        )  # one for all: a new one of this size costs more than what it is filled with

    def close(self) -> None:
        self._socket.close()

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

    def send(self, request: Request) -> None:
        """One request, acknowledged."""
        self.request(request.kind, request.body, request.flags, what=request.what)

    def batch(self, requests: Sequence[Request]) -> dict[int, NetlinkError]:
        """Send many requests in one datagram, which the kernel works through without coming back to us in between.

        Which of them were refused, by their place; only the last is acknowledged.
        """
        wrong: dict[int, NetlinkError] = {}
        for place, (answer, flags, payload) in self._exchange(requests):
            if answer == NLMSG_ERROR:
                try:
                    _raise(flags, payload, requests[place].what)
                except NetlinkError as error:
                    wrong[place] = error
        return wrong

    def _exchange(self, requests: Sequence[Request]) -> Iterator[tuple[int, tuple[int, int, bytes]]]:
        """(place of a request, (type, flags, payload)) of every answer; the last request of a datagram has one."""
        for start in range(0, len(requests), _AT_ONCE):
            part = requests[start : start + _AT_ONCE]
            first = self._sequence + 1
            data = b""
            for each in part:
                self._sequence += 1
                last = NLM_F_ACK if self._sequence == first + len(part) - 1 else 0
                head = (16 + len(each.body), each.kind, NLM_F_REQUEST | each.flags | last, self._sequence, 0)
                data += struct.pack("=IHHII", *head) + each.body + bytes(-len(each.body) % 4)
            self._socket.send(data)
            for sequence, answer, flags, payload in self._replies(first):
                yield start + sequence - first, (answer, flags, payload)

    def _replies(self, first: int) -> Iterator[tuple[int, int, int, bytes]]:
        """(sequence, type, flags, payload) of the answers to all requests from `first` on, until that to the last."""
        while True:
            for kind, flags, sequence, payload in messages(self._receive()):
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

    def _receive(self) -> bytes:
        return bytes(memoryview(self._buffer)[: self._socket.recv_into(self._buffer)])

    def _answers(self) -> Iterator[tuple[int, int, tuple[int, bytes]]]:
        """(type, flags, (header flags, payload)) of each message that answers the last request."""
        while True:
            data = self._receive()
            for kind, flags, sequence, payload in messages(data):
                if sequence == self._sequence:
                    yield kind, flags, (flags, payload)


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence, payload) of each message in a datagram."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data, offset)
        if length < 16:
            return
        yield kind, flags, sequence, data[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def string(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="surrogateescape")


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
            words = f"{words} ({string(tail[1])})"
    raise NetlinkError(code, f"{what}: {words}" if what else words)
