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

SIOCETHTOOL = 0x8946


class Offload(IntEnum):
    """ETHTOOL_S* commands; the matching get is one below."""

    RX_CHECKSUM = 0x15
    TX_CHECKSUM = 0x17
    SCATTER_GATHER = 0x19
    TSO = 0x1F
    GSO = 0x24
    GRO = 0x2C


def set_offload(path: str | None, interface: str, offload: Offload, on: bool) -> None:
    """Turn one offload of `interface`, in the namespace at `path`, on or off."""
    _ethtool(path, interface, offload, int(on))


def get_offload(path: str | None, interface: str, offload: Offload) -> bool:
    return bool(_ethtool(path, interface, offload - 1, 0))


def _ethtool(path: str | None, interface: str, command: int, value: int) -> int:
    buffer = array.array("I", [command, value])
    address, _ = buffer.buffer_info()
    request = struct.pack("16sP", interface.encode(), address)
    with netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock.fileno(), SIOCETHTOOL, request)
    return buffer[1]
