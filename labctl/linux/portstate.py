"""What a device loses when it is taken down administratively, in the kernel's own messages.

`losable` dumps it, `restore` plays it back: RTM_NEWADDR, RTM_NEWNEIGH and RTM_NEWROUTE as they were dumped (what
`ip route save` does), with the bits cleared that describe a state and not a wish. The type of each message goes before
its bytes.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection, Iterator

from labctl.linux.netlink import Netlink
from labctl.linux.rtnl import (
    NLM_F_CREATE,
    NLM_F_REPLACE,
    RTM_GETADDR,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWROUTE,
    NetlinkError,
    attr,
    attrs,
)

RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTA_OIF, RTA_MULTIPATH, RTA_CACHEINFO, RTA_NH_ID = 4, 9, 12, 30
NDA_CACHEINFO, NDA_PROBES = 3, 4
IFA_CACHEINFO, IFA_FLAGS = 6, 8
IFA_F_PERMANENT, IFA_F_NODAD, IFA_F_MANAGETEMPADDR, IFA_F_NOPREFIXROUTE = 0x80, 0x02, 0x100, 0x200
IFA_F_MCAUTOJOIN, IFA_F_HOMEADDRESS = 0x400, 0x10
_WISHES = IFA_F_NODAD | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN | IFA_F_HOMEADDRESS
NUD_PERMANENT = 0x80
RTNH_F_ONLINK = 4
RTN_UNICAST = 1
RTM_F_CLONED = 0x200
RTPROT_KERNEL, RTPROT_RA = 2, 9
#: From here on the numbers belong to routing daemons (zebra is 11, BGP 186, …): they put their routes back themselves.
_DAEMONS = 11
RTPROT_DHCP = 16
LINK_LOCAL = bytes.fromhex("fe80")

_KIND = struct.Struct("=H")


def losable(netlink: Netlink, index: int) -> list[bytes]:
    """Everything on the device that goes with IFF_UP and does not come back with it."""
    return [*_addresses(netlink, index), *_neighbours(netlink, index), *_routes(netlink, index)]


def restore(netlink: Netlink, index: int, lost: Collection[bytes]) -> None:
    """Give it back; what is there already stays. Routes whose next hop is behind another one are tried again."""
    there = set(losable(netlink, index))
    left = [each for each in lost if each not in there]
    for _ in range(3):
        left = [each for each in left if not _give(netlink, each)]
        if not left:
            return
    for each in left:
        _give(netlink, each, last=True)


def _give(netlink: Netlink, message: bytes, *, last: bool = False) -> bool:
    kind = _KIND.unpack_from(message)[0]
    try:
        netlink.request(kind, message[_KIND.size :], NLM_F_CREATE | NLM_F_REPLACE, what="put back")
    except NetlinkError as error:
        if last or error.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL):
            raise
        return False
    return True


def _addresses(netlink: Netlink, index: int) -> Iterator[bytes]:
    body = struct.pack("=BBBBI", socket.AF_INET6, 0, 0, 0, 0)
    for kind, data in netlink.dump(RTM_GETADDR, body, what="list addresses"):
        family, length, flags, scope, owner = struct.unpack_from("=BBBBI", data)
        values = dict(attrs(data[8:]))
        if kind != RTM_NEWADDR or owner != index:
            continue
        if IFA_FLAGS in values:
            flags = struct.unpack("=I", values[IFA_FLAGS])[0]
        if not flags & IFA_F_PERMANENT or values.get(1, b"").startswith(LINK_LOCAL):
            continue
        head = struct.pack("=BBBBI", family, length, flags & _WISHES & 0xFF, scope, owner)
        keep = {k: v for k, v in values.items() if k not in (IFA_FLAGS, IFA_CACHEINFO)}
        wish = attr(IFA_FLAGS, struct.pack("=I", flags & _WISHES))
        yield _KIND.pack(RTM_NEWADDR) + head + _packed(keep) + wish


def _neighbours(netlink: Netlink, index: int) -> Iterator[bytes]:
    body = struct.pack("=BxxxiHBB", 0, 0, 0, 0, 0)
    for kind, data in netlink.dump(RTM_GETNEIGH, body, what="list neighbours"):
        _, owner, state, _, _ = struct.unpack_from("=BxxxiHBB", data)
        if kind == RTM_NEWNEIGH and owner == index and state & NUD_PERMANENT:
            keep = {k: v for k, v in attrs(data[12:]) if k not in (NDA_CACHEINFO, NDA_PROBES)}
            yield _KIND.pack(RTM_NEWNEIGH) + data[:12] + _packed(keep)


def _routes(netlink: Netlink, index: int) -> Iterator[bytes]:
    for family in (socket.AF_INET, socket.AF_INET6):
        body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)
        for kind, data in netlink.dump(RTM_GETROUTE, body, what="list routes"):
            if kind != RTM_NEWROUTE:
                continue
            head = list(struct.unpack_from("=BBBBBBBBI", data))
            protocol, route_type, flags = head[5], head[7], head[8]
            values = dict(attrs(data[12:]))
            if route_type != RTN_UNICAST or flags & RTM_F_CLONED or not _ours(protocol):
                continue
            if RTA_NH_ID in values or not _leaves_by(values, index):
                continue
            head[8] = flags & RTNH_F_ONLINK
            keep = {k: v for k, v in values.items() if k != RTA_CACHEINFO}
            yield _KIND.pack(RTM_NEWROUTE) + struct.pack("=BBBBBBBBI", *head) + _packed(keep)


def _ours(protocol: int) -> bool:
    """Whether nobody else puts a route of this protocol back."""
    return protocol not in (RTPROT_KERNEL, RTPROT_RA) and (protocol < _DAEMONS or protocol == RTPROT_DHCP)


def _leaves_by(values: dict[int, bytes], index: int) -> bool:
    """One path, and it is this device. A route with more paths stays, its dead path comes back by itself."""
    return RTA_MULTIPATH not in values and values.get(RTA_OIF) == struct.pack("=I", index)


def _packed(values: dict[int, bytes]) -> bytes:
    return b"".join(attr(kind, payload) for kind, payload in values.items())
