"""Packet sockets at the two ends of the wire, and reading many frames at once with what the kernel knows of each.

A frame travels with its virtio header, so one whose checksum or segmentation its sender left to hardware arrives as it
was sent. The kernel takes VLAN tags off and says so beside the frame; `Batch` puts them back. Each frame has the time at
which the kernel got it, so a delay counts from there and not from when we came to read it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import time
from collections.abc import Iterator

from labctl.linux import netns

VNET = 10  # bytes of the virtio header in front of each frame
_SOL_PACKET, _AUXDATA, _VNET_HDR, _IGNORE_OUTGOING = 263, 8, 15, 23
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 35, 33, 32
_ETH_P_ALL = 0x0003
_RCVBUF = 64 << 20
_VLAN_VALID, _NEEDS_CHECKSUM = 0x10, 1
_MANY = 64
_SLOT = 65536 + 128
_CONTROL = 128
_HEADER = 64  # struct mmsghdr

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg


def receiver(device: str, path: str | None = None) -> socket.socket:
    """Every frame that arrives at the device; nothing that leaves it."""
    sock = netns.socket_in(path, socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    sock.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
    sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RCVBUF)
    sock.setblocking(False)
    sock.bind((device, _ETH_P_ALL))
    return sock


def sender(device: str, path: str | None = None) -> socket.socket:
    """Sends out of the device and receives nothing."""
    sock = netns.socket_in(path, socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _RCVBUF)
    sock.bind((device, 0))
    return sock


class Batch:
    """Buffers for up to `_MANY` frames, used again for every read of every socket."""

    def __init__(self) -> None:
        self._arena = bytearray(_MANY * _SLOT)
        self._controls = bytearray(_MANY * _CONTROL)
        self._headers = bytearray(_MANY * _HEADER)
        self._vectors = bytearray(_MANY * 16)
        addresses = [_address(each) for each in (self._arena, self._controls, self._headers, self._vectors)]
        arena, controls, self._at, vectors = addresses
        for i in range(_MANY):
            struct.pack_into("=QQ", self._vectors, 16 * i, arena + i * _SLOT, _SLOT)
            struct.pack_into(
                "=QI4xQQQQi4xI4x",
                self._headers,
                _HEADER * i,
                0,
                0,
                vectors + 16 * i,
                1,
                controls + _CONTROL * i,
                _CONTROL,
                0,
                0,
            )
        self._fresh = bytes(self._headers)
        self._view = memoryview(self._arena)
        self._lengths = struct.Struct("=56xI4x")
        # the time (header, seconds, nanoseconds), then the notes (header, status, 3 lengths, tag, its type)
        self._notes = struct.Struct(f"=12xiqq16xI12xHH{_CONTROL - 68}x")
        self._header_view = memoryview(self._headers)
        self._control_view = memoryview(self._controls)

    def read(self, sock_fd: int) -> Iterator[tuple[float, bytes]]:
        """(time of arrival by the monotonic clock, virtio header and frame) of frames that wait, at most a batch."""
        self._headers[:] = self._fresh
        count = _recvmmsg(sock_fd, ctypes.c_void_p(self._at), _MANY, socket.MSG_DONTWAIT, None)
        if count <= 0:
            code = ctypes.get_errno()
            if count == 0 or code in (errno.EAGAIN, errno.ENETDOWN, errno.EINTR):
                return
            raise OSError(code, os.strerror(code))
        # In this order: if we lose the processor between the two, frames seem to have come late, never early.
        real, now = time.time_ns(), time.monotonic()
        view, offset = self._view, 0
        lengths = self._lengths.iter_unpack(self._header_view[: count * _HEADER])
        notes = self._notes.iter_unpack(self._control_view[: count * _CONTROL])
        for (length,), (kind, seconds, nanoseconds, status, tag, tag_type) in zip(
            lengths, notes, strict=True
        ):
            frame = bytes(view[offset : offset + length])
            offset += _SLOT
            if status & _VLAN_VALID:
                frame = with_tag(frame, tag, tag_type)
            age = (real - seconds * 1_000_000_000 - nanoseconds) * 1e-9 if kind == _SO_TIMESTAMPNS else 0.0
            yield now - (age if 0.0 <= age < 1.0 else 0.0), frame

    @property
    def size(self) -> int:
        return _MANY


def with_tag(frame: bytes, tag: int, tag_type: int) -> bytes:
    """Put a VLAN tag back behind the addresses; the place of a checksum to be filled in moves with it."""
    flags, kind, length, size, start, offset = struct.unpack_from("=BBHHHH", frame)
    if flags & _NEEDS_CHECKSUM:
        start += 4
    if kind:
        length += 4
    header = struct.pack("=BBHHHH", flags, kind, length, size, start, offset)
    inner = VNET + 12
    return header + frame[VNET:inner] + struct.pack("!HH", tag_type or 0x8100, tag) + frame[inner:]


def untagged(frame: bytes) -> bytes:
    """The frame as filters see it: without virtio header and outermost VLAN tag."""
    if frame[VNET + 12 : VNET + 14] in (b"\x81\x00", b"\x88\xa8"):
        return frame[VNET : VNET + 12] + frame[VNET + 16 :]
    return frame[VNET:]


def finished(frame: bytes) -> bytes:
    """The same with its checksum filled in, if the sender left that to others."""
    if not frame[0] & _NEEDS_CHECKSUM:
        return frame
    start, offset = struct.unpack_from("=HH", frame, 6)
    body = frame[VNET + start :]
    words = struct.unpack(f"!{(len(body) + 1) // 2}H", body + bytes(len(body) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    at = VNET + start + offset
    value = (~total & 0xFFFF) or 0xFFFF
    return bytes(VNET) + frame[VNET:at] + struct.pack("!H", value) + frame[at + 2 :]


def is_super(frame: bytes) -> bool:
    """Whether the sender left it to hardware to cut this into several frames."""
    return frame[1] != 0


def _address(buffer: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))
