"""An eBPF program as a traffic filter of a device: putting it there, swapping it, and finding out which one is there."""

from __future__ import annotations

import errno
import socket
import struct

from labctl.linux import tc
from labctl.linux.netlink import NLM_F_CREATE, Netlink, NetlinkError, attr, attrs, text, u32

_FD, _NAME, _FLAGS, _ID = 6, 7, 8, 11
_DIRECT_ACTION = 1
_ONE = 1


def attach(netlink: Netlink, index: int, program_fd: int, *, preference: int, name: str) -> None:
    """Have frames that arrive at the device meet the program. One that is there is swapped between two frames."""
    options = attr(_FD, u32(program_fd)) + attr(_NAME, text(name)) + attr(_FLAGS, u32(_DIRECT_ACTION))
    body = _message(index, preference) + attr(tc.TCA_KIND, b"bpf\0") + attr(tc.TCA_OPTIONS, options)
    netlink.request(tc.RTM_NEWTFILTER, body, NLM_F_CREATE, what=f"attach a program to {index}")


def attached(netlink: Netlink, index: int, *, preference: int) -> int | None:
    """Id of the program that is there, or None."""
    body = struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, 0, tc.INGRESS, 0)
    try:
        found = netlink.dump(tc.RTM_GETTFILTER, body, what=f"list filters of {index}")
    except NetlinkError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENODEV):
            return None
        raise
    for kind, data in found:
        _, owner, _, _, info = struct.unpack_from("=BxxxiIII", data)
        values = dict(attrs(data[20:]))
        if kind == tc.RTM_NEWTFILTER and owner == index and info >> 16 == preference:
            number = dict(attrs(values.get(tc.TCA_OPTIONS, b""))).get(_ID)
            if number is not None:
                return int(struct.unpack("=I", number)[0])
    return None


def _message(index: int, preference: int) -> bytes:
    info = preference << 16 | socket.htons(tc.ETH_P_ALL)
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, _ONE, tc.INGRESS, info)
