"""Offloads of one device, through the ethtool ioctl (no ethtool binary needed).

On a veth a sender leaves checksums to hardware that is not there, and the receiver believes them. Whatever reads or
changes frames in user space, or corrupts them on purpose, must first have the sender fill them in.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from enum import IntEnum

from labctl.linux import netns
from labctl.linux.closing import Closing

SIOCETHTOOL = 0x8946


class Offload(IntEnum):
    """ETHTOOL_S* commands; the matching get is one below."""

    RX_CHECKSUM = 0x15
    TX_CHECKSUM = 0x17
    SCATTER_GATHER = 0x19
    TSO = 0x1F
    GSO = 0x24
    GRO = 0x2C


class Offloads(Closing):
    """The offloads of the devices of one namespace (`path`; None: the caller's own), through one socket."""

    def __init__(self, path: str | None) -> None:
        self._socket = netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM)

    def close(self) -> None:
        self._socket.close()

    def set(self, interface: str, which: Offload, *, on: bool) -> None:
        self._ask(interface, which, int(on))

    def get(self, interface: str, which: Offload) -> bool:
        return bool(self._ask(interface, which - 1, 0))

    def _ask(self, interface: str, command: int, value: int) -> int:
        buffer = array.array("I", [command, value])
        address, _ = buffer.buffer_info()
        request = struct.pack("16sP", interface.encode(), address)
        fcntl.ioctl(self._socket.fileno(), SIOCETHTOOL, request)
        return buffer[1]
