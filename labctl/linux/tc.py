"""Traffic control through raw netlink: the redirects that stitch two panel ends, and reading them back.

One clsact qdisc per panel end and, on its ingress, one filter that matches every frame and sends it out of another
device (mirred egress redirect). The filter is u32 with no key at all: it matches frames of any protocol and any length,
and exists on kernels without cls_matchall. No frame ever reaches the panel's own network stack.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

from labctl.linux.netlink import Netlink
from labctl.linux.rtnl import NLM_F_CREATE, NLM_F_EXCL, NetlinkError, Request, attr, attrs, nest, string

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
TCA_KIND, TCA_OPTIONS = 1, 2
TCA_U32_SEL, TCA_U32_ACT = 5, 7
TCA_BPF_NAME, TCA_BPF_ID = 7, 11
TCA_ACT_KIND, TCA_ACT_OPTIONS = 1, 2
TCA_MIRRED_PARMS = 2
TC_H_CLSACT = 0xFFFFFFF1
CLSACT_HANDLE = 0xFFFF0000
INGRESS = 0xFFFFFFF2
EGRESS = 0xFFFFFFF3
ETH_P_ALL = 0x0003
TC_ACT_STOLEN = 4
TCA_EGRESS_REDIR = 1
STITCH_PREFERENCE = 100  # impairments go before it, with a lower number


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter as read back. redirect: the ifindex it sends frames to (u32 with mirred); 0 if that device is gone.
    program, name: the id of its eBPF program and how it was attached. Each None if it is another kind of filter.
    """

    kind: str
    preference: int
    parent: int
    handle: int
    redirect: int | None = None
    program: int | None = None
    name: str | None = None


def _tcmsg(index: int, handle: int, parent: int, info: int = 0) -> bytes:
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, handle, parent, info)


def _info(preference: int) -> int:
    return preference << 16 | socket.htons(ETH_P_ALL)


def add_clsact(netlink: Netlink, index: int) -> None:
    """Give a device its clsact qdisc; one that is there stays."""
    body = _tcmsg(index, CLSACT_HANDLE, TC_H_CLSACT) + attr(TCA_KIND, b"clsact\0")
    try:
        netlink.request(RTM_NEWQDISC, body, NLM_F_CREATE | NLM_F_EXCL, what=f"add clsact to {index}")
    except NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise


def redirect(netlink: Netlink, index: int, to: int, *, preference: int = STITCH_PREFERENCE) -> None:
    """Send every frame that arrives at `index` out of `to`. The device must have its clsact qdisc."""
    selector = struct.pack("=BBBxHHhhI", 1, 0, 0, 0, 0, 0, 0, 0)
    mirred = struct.pack("=IIiiiiI", 0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, to)
    action = nest(1, attr(TCA_ACT_KIND, b"mirred\0"), nest(TCA_ACT_OPTIONS, attr(TCA_MIRRED_PARMS, mirred)))
    options = nest(TCA_OPTIONS, attr(TCA_U32_SEL, selector), nest(TCA_U32_ACT, action))
    body = _tcmsg(index, 0, INGRESS, _info(preference)) + attr(TCA_KIND, b"u32\0") + options
    netlink.request(RTM_NEWTFILTER, body, NLM_F_CREATE | NLM_F_EXCL, what=f"redirect {index} to {to}")


def removal(index: int, *, preference: int, parent: int = INGRESS) -> Request:
    """Remove all filters of one preference."""
    return Request(
        RTM_DELTFILTER, _tcmsg(index, 0, parent, _info(preference)), what=f"remove filter of {index}"
    )


def is_gone(error: NetlinkError) -> bool:
    """The refusal of a `removal` says that there was nothing."""
    return error.errno in (errno.ENOENT, errno.EINVAL, errno.ENODEV)


def remove_filter(netlink: Netlink, index: int, *, preference: int, parent: int = INGRESS) -> bool:
    """Remove all filters of one preference; False if there is none."""
    try:
        netlink.send(removal(index, preference=preference, parent=parent))
    except NetlinkError as error:
        if is_gone(error):
            return False
        raise
    return True


def filters(netlink: Netlink, index: int, *, parent: int = INGRESS) -> list[Filter]:
    """The filters of a device at one hook, in the order they are tried; empty if it has no clsact qdisc."""
    found = []
    try:
        dumped = netlink.dump(RTM_GETTFILTER, _tcmsg(index, 0, parent), what=f"list filters of {index}")
    except NetlinkError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENODEV):
            return []
        raise
    for kind, data in dumped:
        if kind != RTM_NEWTFILTER:
            continue
        _, owner, handle, above, info = struct.unpack_from("=BxxxiIII", data)
        values = dict(attrs(data[20:]))
        name = values.get(TCA_KIND, b"").rstrip(b"\0").decode()
        options = dict(attrs(values.get(TCA_OPTIONS, b"")))
        if owner != index or (name == "u32" and TCA_U32_SEL not in options):
            continue  # u32 also lists its hash table, which is no filter
        found.append(
            Filter(
                kind=name,
                preference=info >> 16,
                parent=above,
                handle=handle,
                redirect=_redirect_target(options.get(TCA_U32_ACT, b"")) if name == "u32" else None,
                program=_program(options.get(TCA_BPF_ID, b"")) if name == "bpf" else None,
                name=string(options.get(TCA_BPF_NAME, b"")) if name == "bpf" else None,
            )
        )
    return found


def redirects(netlink: Netlink, index: int) -> list[int]:
    """ifindexes that the stitches of a device send its frames to (a detour of an impairment is none)."""
    return [
        f.redirect
        for f in filters(netlink, index)
        if f.redirect is not None and f.preference == STITCH_PREFERENCE
    ]


def programs(netlink: Netlink, index: int, *, parent: int = INGRESS) -> dict[int, str]:
    """preference -> name of every eBPF program at one hook of a device."""
    found = filters(netlink, index, parent=parent)
    return {each.preference: each.name for each in found if each.name is not None}


def _program(raw: bytes) -> int | None:
    return int(struct.unpack("=I", raw)[0]) if len(raw) == 4 else None


def _redirect_target(actions: bytes) -> int | None:
    for _, action in attrs(actions):
        values = dict(attrs(action))
        if values.get(TCA_ACT_KIND, b"").rstrip(b"\0") == b"mirred":
            parameters = dict(attrs(values.get(TCA_ACT_OPTIONS, b""))).get(TCA_MIRRED_PARMS, b"")
            if len(parameters) >= 28:
                return int(struct.unpack_from("=IIiiiiI", parameters)[6])
    return None


__all__ = [
    "EGRESS",
    "INGRESS",
    "STITCH_PREFERENCE",
    "Filter",
    "add_clsact",
    "filters",
    "is_gone",
    "programs",
    "redirect",
    "redirects",
    "removal",
    "remove_filter",
]
