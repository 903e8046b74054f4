"""Ping, from inside a node, every few milliseconds: every echo numbered, every reply stamped by the kernel.

The raw socket is opened inside the node's namespace, so nothing runs in the node and nothing has to be installed
there. A reply is matched by a random token and a 32-bit number in its payload, not by the 16-bit header fields that
wrap after eleven minutes. Its arrival is the kernel's own timestamp (SO_TIMESTAMPNS), so a late wake-up of this
process never looks like a slow network. An ICMP "unreachable" for one of our echoes is an answer too: the reason
why it was lost.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import time
from typing import cast

from labctl.linux import netns
from labctl.model.measure import Series
from labctl.probes.sampler import Book

SO_TIMESTAMPNS = 35
ICMP_FILTER, ICMP6_FILTER = 1, 1
SOL_RAW = 255
ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED = 0, 3, 8, 11
ECHO_REQUEST6, ECHO_REPLY6 = 128, 129
UNREACHABLE6, TIME_EXCEEDED6 = 1, 3
_HEAD = struct.Struct("!BBHHH")
_BODY = struct.Struct("!8sIQ")  # token, number, when it left (wall clock, ns)
_TIMESPEC = struct.Struct("@qq")


class PingFlow:
    """Echo requests from the namespace at `ns_path` to `address`, IPv4 or IPv6. For a `Sampler`."""

    def __init__(
        self, ns_path: str, address: str, *, subject: str, source: str | None = None, size: int = 64
    ) -> None:
        self.series = Series(subject=subject, metric="rtt", unit="s")
        self.book = Book()
        self.address = address
        self._ns_path = ns_path
        self._source = source
        self._six = ":" in address
        self._token = os.urandom(8)
        self._pad = bytes(max(0, size - _HEAD.size - _BODY.size))
        self._socket: socket.socket | None = None

    def open(self, selector: selectors.BaseSelector) -> None:
        """The socket, filtered to what can concern us, connected to no one (an error must not close it)."""
        family, proto = (
            (socket.AF_INET6, socket.IPPROTO_ICMPV6) if self._six else (socket.AF_INET, socket.IPPROTO_ICMP)
        )
        self._socket = sock = netns.socket_in(self._ns_path, family, socket.SOCK_RAW, proto)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if self._six:
            sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, _filter6())
        else:
            wanted = (1 << ECHO_REPLY) | (1 << UNREACHABLE) | (1 << TIME_EXCEEDED)
            sock.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", ~wanted & 0xFFFFFFFF))
        if self._source:
            sock.bind((self._source, 0))
        selector.register(sock, selectors.EVENT_READ, self._receive)

    def send(self, seq: int) -> None:
        """Send one echo; a sender without a route, or with its interface down, has lost it there and then."""
        assert self._socket is not None
        self.book.sent[seq] = time.monotonic()
        payload = _BODY.pack(self._token, seq & 0xFFFFFFFF, time.time_ns()) + self._pad
        try:
            self._socket.sendto(self._packet(seq, payload), (self.address, 0))
        except OSError as error:
            self.book.error[seq] = os.strerror(error.errno or 0).lower()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _packet(self, seq: int, payload: bytes) -> bytes:
        kind = ECHO_REQUEST6 if self._six else ECHO_REQUEST
        head = _HEAD.pack(kind, 0, 0, int.from_bytes(self._token[:2]), seq & 0xFFFF)
        if self._six:
            return head + payload  # the kernel fills the ICMPv6 checksum in
        return _HEAD.pack(kind, 0, _checksum(head + payload), *_HEAD.unpack(head)[3:]) + payload

    def _receive(self) -> None:
        sock = self._socket
        while sock is not None:
            try:
                data, control, _, _ = sock.recvmsg(2048, 256)
            except BlockingIOError:
                return
            except OSError:  # an error queued by an earlier send; the send it belongs to has noted it
                continue
            self._take(data, _stamp(control))

    def _take(self, data: bytes, stamp_ns: int) -> None:
        icmp = data if self._six else data[(data[0] & 0xF) * 4 :]
        if len(icmp) < _HEAD.size:
            return
        kind, code = icmp[0], icmp[1]
        at = icmp.find(self._token, _HEAD.size)  # an error quotes the packet that it is about
        if at < 0 or len(icmp) < at + _BODY.size:
            return
        _, seq, left_ns = _BODY.unpack_from(icmp, at)
        if kind == (ECHO_REPLY6 if self._six else ECHO_REPLY):
            self.book.answered(seq, max(0, stamp_ns - left_ns) / 1e9)
        elif seq in self.book.sent:
            self.book.error.setdefault(seq, _reason(kind, code, six=self._six))


def _stamp(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = cast("tuple[int, int]", _TIMESPEC.unpack_from(data))
            return seconds * 1_000_000_000 + nanoseconds
    return time.time_ns()


def _reason(kind: int, code: int, *, six: bool) -> str:
    if kind == (TIME_EXCEEDED6 if six else TIME_EXCEEDED):
        return "routing loop (time exceeded)"
    names = (
        {0: "no route", 1: "prohibited", 3: "host unreachable", 4: "port unreachable"}
        if six
        else {
            0: "net unreachable",
            1: "host unreachable",
            9: "prohibited",
            10: "prohibited",
            13: "prohibited",
        }
    )
    return names.get(code, f"unreachable (code {code})")


def _filter6() -> bytes:
    """ICMP6_FILTER: a bit that is set blocks the type."""
    blocked = (1 << 256) - 1
    for kind in (ECHO_REPLY6, UNREACHABLE6, TIME_EXCEEDED6):
        blocked &= ~(1 << kind)
    return b"".join(struct.pack("=I", blocked >> (32 * i) & 0xFFFFFFFF) for i in range(8))


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)
