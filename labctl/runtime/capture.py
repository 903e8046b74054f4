"""Frames as they cross the panel, copied where nobody in the lab can see it.

A *tap* is two packet sockets at one panel side: what arrives there was sent by the port's node, what leaves there is
given to it. In a lab that labctl did not wire there is no panel, and a tap is at the port itself. The kernel copies arriving frames before any filter of the panel treats them and leaving ones after
all of them, so on an impaired cable the sender's tap has what was sent and the receiver's what came out. Nothing is
set at a device: a panel side sees every frame of its cable anyway.

The order of frames of several sockets is that of the kernel's times. What is younger than the beginning of a round of reading,
or than the last frame of a socket that has more, is kept for the next round: there may still be something older.
"""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from labctl.linux import netns
from labctl.linux.closing import Closing
from labctl.names import PortId
from labctl.runtime.impair import port as packets
from labctl.runtime.store import LabDir, Phase
from labctl.schema.pcapng import Direction

_SOL_PACKET, _STATISTICS, _AUXDATA, _VNET_HDR = 263, 6, 8, 15
_ATTACH_FILTER, _TIMESTAMPNS, _RCVBUFFORCE = 26, 35, 33
_ETH_P_ALL = 0x0003
_BUFFER_BYTES = 32 << 20
_LARGEST = 1 << 18
_CONTROL = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(20)
_VLAN_VALID, _TPID_VALID = 0x10, 0x40
#: How many frames of one socket are read before the others get their turn, and the longest sleep: after it we look
#: whether the lab is still there and whether a panel side is.
_TURN, _NAP_S = 512, 0.1
#: Classic BPF: `ld pkttype; jeq outgoing; ret all or nothing`.
_PKTTYPE, _OUTGOING = 0xFFFFF004, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of a port, with its tags and checksums. `segments`: bytes of payload in each of the frames that the
    sender left to hardware to cut this one into; 0 for a frame that is one.
    """

    port: PortId
    direction: Direction
    time_ns: int
    data: bytes
    segments: int = 0


@dataclass(slots=True)
class Count:
    """received: frames that came to a tap; dropped: those of them that the kernel could not keep for us."""

    received: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a port's frames are seen: a device in the namespace at `netns`. `inside`: it is the port itself, so what
    goes out there was sent by the node; else the other end of its wire. above: device and tag of each sub-interface.
    """

    netns: str
    device: str
    inside: bool = False
    above: tuple[tuple[str, int], ...] = ()


class Standing:
    """Why the lab of this directory is over; empty while it is there. Called every few milliseconds."""

    def __init__(self, place: LabDir) -> None:
        self._place = place
        self._record = _identity(place)

    def __call__(self) -> str:
        if _identity(self._place) == self._record:
            return ""
        with contextlib.suppress(Exception):
            record = self._place.read()
            self._record = _identity(self._place)
            if record is not None and record.phase is not Phase.DESTROYING:
                return ""
        return "the lab was destroyed"


class Capture(Closing):
    """Taps at some spots of a lab. Close it, or use it as a context manager."""

    def __init__(
        self, spots: Mapping[PortId, Spot], directions: Collection[Direction], over: Callable[[], str]
    ) -> None:
        """`over`: why there is nothing more to come; empty as long as there may be."""
        self.counts: dict[PortId, Count] = {each: Count() for each in spots}
        self._over = over
        self._poll = select.epoll()
        self._taps: dict[int, _Tap] = {}
        self._later: list[Frame] = []
        for each, spot in spots.items():
            for direction in directions:
                self._add(_Tap(spot, each, direction))
                # What is given to a sub-interface has left the port's own device before a tap can see it.
                for device, tag in spot.above if direction is Direction.IN else ():
                    self._add(_Tap(replace(spot, device=device), each, direction, tag))

    def _add(self, tap: _Tap) -> None:
        self._taps[tap.fileno()] = tap
        self._poll.register(tap.fileno(), select.EPOLLIN)

    def close(self) -> None:
        for tap in self._taps.values():
            tap.close()
        self._taps.clear()
        self._poll.close()

    def wait(self, timeout_s: float) -> str:
        """Sleep until frames come, at most a moment; why it is over, if it is."""
        if not self._later and timeout_s > 0:
            self._poll.poll(min(timeout_s, _NAP_S))
        return self._over()

    def read(self) -> list[Frame]:
        """What has come, in order of time. What another socket may still have something older than is kept back."""
        horizon = time.time_ns()
        found = self._later
        for tap in self._taps.values():
            frames = list(tap.read())
            found += frames
            if len(frames) == _TURN:  # it has more
                horizon = min(horizon, frames[-1].time_ns)
        found.sort(key=lambda frame: frame.time_ns)
        ready = bisect.bisect_right(found, horizon, key=lambda frame: frame.time_ns)
        self._later = found[ready:]
        return found[:ready]

    def rest(self) -> Iterator[list[Frame]]:
        """What had come by now and was not read yet, however much that is."""
        now = time.time_ns()
        while True:
            frames = self.read()
            yield [frame for frame in frames if frame.time_ns <= now]
            if (not frames and not self._later) or (frames and frames[-1].time_ns > now):
                return

    def count(self) -> None:
        """Bring `counts` up to date."""
        for tap in self._taps.values():
            received, dropped = tap.statistics()
            self.counts[tap.port].received += received
            self.counts[tap.port].dropped += dropped


class _Tap:
    """One direction of one spot. tag: of a sub-interface's panel side, which its frames get back."""

    def __init__(self, spot: Spot, port: PortId, direction: Direction, tag: int | None = None) -> None:
        self.port = port
        self._tag = tag
        self._device = spot.device
        self._direction = direction
        self._socket = netns.socket_in(spot.netns, socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setblocking(False)
        # What arrives at the panel's side is what the port's node sends out.
        _only(self._socket, outgoing=(direction is Direction.OUT) is spot.inside)
        for option in (_VNET_HDR, _AUXDATA):
            self._socket.setsockopt(_SOL_PACKET, option, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER_BYTES)
        self._socket.bind((spot.device, _ETH_P_ALL))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def statistics(self) -> tuple[int, int]:
        """Frames since the last call: all of them, and those that found no room."""
        received, dropped = struct.unpack("=II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        return received, dropped

    def read(self) -> Iterator[Frame]:
        for _ in range(_TURN):
            try:
                data, notes, _, _ = self._socket.recvmsg(_LARGEST, _CONTROL)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
                    raise
                continue  # the panel side went down: reading has cleared it
            yield self._frame(data, notes)
        self._stay()

    def _stay(self) -> None:
        """A port that was plugged in again has another device of the same name."""
        if not self._socket.getsockname()[0]:
            with contextlib.suppress(OSError):  # not there yet
                self._socket.bind((self._device, _ETH_P_ALL))

    def _frame(self, data: bytes, notes: list[tuple[int, int, bytes]]) -> Frame:
        time_ns = 0
        for level, kind, value in notes:
            if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("=qq", value[:16])
                time_ns = seconds * 1_000_000_000 + nanoseconds
            elif (level, kind) == (_SOL_PACKET, _AUXDATA):
                status, tag, tag_type = struct.unpack("=I12xHH", value[:20])
                if status & _VLAN_VALID:
                    data = packets.with_tag(data, tag, tag_type if status & _TPID_VALID else 0x8100)
        if self._tag is not None:
            data = packets.with_tag(data, self._tag, 0x8100)
        segments = struct.unpack_from("=H", data, 4)[0] if packets.is_super(data) else 0
        return Frame(
            port=self.port,
            direction=self._direction,
            time_ns=time_ns or time.time_ns(),
            data=packets.finished(data)[packets.VNET :],
            segments=segments,
        )


def _only(sock: socket.socket, *, outgoing: bool) -> None:
    """Have the kernel give this socket the frames of one direction."""
    yes, no = (0, 1) if outgoing else (1, 0)
    program = b"".join(
        struct.pack("=HBBI", *each)
        for each in (
            (0x20, 0, 0, _PKTTYPE),
            (0x15, yes, no, _OUTGOING),
            (0x06, 0, 0, _LARGEST),
            (0x06, 0, 0, 0),
        )
    )
    held = ctypes.create_string_buffer(program)
    sock.setsockopt(
        socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
    )


def _identity(place: LabDir) -> tuple[int, int] | None:
    """Changes whenever the record is written anew; None if there is none."""
    try:
        found = os.stat(place.record_file)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
