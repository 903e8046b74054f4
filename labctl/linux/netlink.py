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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from labctl.linux.rtnl import (
    BRIDGE_GROUP_FWD_MASK,
    IFA_ADDRESS,
    IFA_BROADCAST,
    IFA_F_NODAD,
    IFA_LOCAL,
    IFF_NOARP,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_BR_GROUP_FWD_MASK,
    IFLA_BR_MCAST_SNOOPING,
    IFLA_BR_STP_STATE,
    IFLA_BRPORT_GROUP_FWD_MASK,
    IFLA_CARRIER,
    IFLA_EXT_MASK,
    IFLA_GROUP,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_LINKINFO,
    IFLA_MACVLAN_MODE,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    IFLA_OPERSTATE,
    IFLA_VXLAN_GROUP,
    IFLA_VXLAN_GROUP6,
    IFLA_VXLAN_ID,
    IFLA_VXLAN_LEARNING,
    IFLA_VXLAN_LINK,
    IFLA_VXLAN_PORT,
    IFLA_VXLAN_PORT_RANGE,
    NETNSA_FD,
    NETNSA_NSID,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    PORT_GROUP_FWD_MASK,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETNSID,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    VETH_INFO_PEER,
    NetlinkError,
    Request,
    Socket,
    attr,
    attrs,
    mac_bytes,
    nest,
    string,
    text,
    u16,
    u32,
)


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
class VethEnd:
    """One end of a veth pair to be: in which namespace (descriptor; None: the socket's own), and how it looks."""

    name: str
    netns_fd: int | None = None
    mac: str | None = None
    mtu: int | None = None
    noarp: bool = False
    index: int | None = None  # a fixed ifindex; the peer's counts only if `end` has one too


def ifinfo(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


#: Groups of devices that are to be deleted have this bit, and no others.
_GROUPS = 1 << 31
_Which = TypeVar("_Which", int, str)
_SKIP_STATS = attr(IFLA_EXT_MASK, u32(1 << 3))  # RTEXT_FILTER_SKIP_STATS


class Netlink(Socket):
    """One rtnetlink socket in one namespace (`path`; None: the caller's own)."""

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
        try:
            found = self.dump(RTM_GETLINK, _named(which) + _SKIP_STATS, flags=0, what=f"look up {which}")
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return link_of(found[0][1])

    def nsid(self, netns_fd: int) -> int | None:
        """The number by which this namespace knows that one (`Link.peer_nsid`); None if it knows none."""
        body = bytes(4) + attr(NETNSA_FD, u32(netns_fd))
        ((_, data),) = self.dump(RTM_GETNSID, body, flags=0, what="ask for a namespace")
        number = _number(dict(attrs(data[4:])).get(NETNSA_NSID))
        return number if number is not None and number >= 0 else None

    def those(self, which: Sequence[_Which]) -> dict[_Which, Link]:
        """Of these devices (by ifindex or name) those that are there, asked for in one go."""
        requests = [Request(RTM_GETLINK, _named(each) + _SKIP_STATS) for each in which]
        return {
            which[place]: link_of(payload)
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

    def create_bridge(
        self, name: str, *, mtu: int | None = None, transparent: bool = True, arp: bool = False
    ) -> None:
        """A silent bridge: no STP, no multicast snooping (no querier). `transparent`: it forwards the 802.1D group
        addresses like a cable with many ends; else it keeps LLDP, LACP and the like from going on, as a switch does.
        `arp`: it can have addresses of its own.
        """
        data = nest(
            IFLA_INFO_DATA,
            attr(IFLA_BR_STP_STATE, u32(0)),
            attr(IFLA_BR_MCAST_SNOOPING, b"\0"),
            attr(IFLA_BR_GROUP_FWD_MASK, u16(BRIDGE_GROUP_FWD_MASK if transparent else 0)),
        )
        body = ifinfo(0, 0 if arp else IFF_NOARP, IFF_NOARP) + attr(IFLA_IFNAME, text(name))
        if mtu is not None:
            body += attr(IFLA_MTU, u32(mtu))
        body += nest(IFLA_LINKINFO, attr(IFLA_INFO_KIND, b"bridge"), data)
        self.request(RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL, what=f"create bridge {name}")
        self.set_link(self.index(name), up=True)

    def create_macvlan(
        self, name: str, *, parent: int, mode: int, mac: str, netns_fd: int, index: int | None = None
    ) -> None:
        """A macvlan interface on a device of this namespace, itself in the one of `netns_fd`; down."""
        data = attr(IFLA_MACVLAN_MODE, u32(mode))
        body = attr(IFLA_LINK, u32(parent)) + attr(IFLA_ADDRESS, mac_bytes(mac))
        self._create_elsewhere("macvlan", _outer(name, netns_fd, index) + body, data)

    def create_vxlan(
        self,
        name: str,
        *,
        remote: str,
        vni: int,
        dst_port: int,
        src_port: int | None,
        parent: int | None,
        mtu: int,
        netns_fd: int,
        index: int | None = None,
    ) -> None:
        """A VXLAN tunnel whose packets travel in this namespace, and whose device is in that of `netns_fd`; down.

        It learns nothing: every frame goes to `remote`.
        """
        address = ipaddress.ip_address(remote)
        data = attr(IFLA_VXLAN_ID, u32(vni)) + attr(IFLA_VXLAN_LEARNING, b"\0")
        data += attr(IFLA_VXLAN_GROUP if address.version == 4 else IFLA_VXLAN_GROUP6, address.packed)
        data += attr(IFLA_VXLAN_PORT, struct.pack("!H", dst_port))
        if src_port is not None:
            # The kernel chooses from the first up to the second, without it, and freely if there is nothing between.
            data += attr(IFLA_VXLAN_PORT_RANGE, struct.pack("!HH", src_port, src_port + 1))
        if parent is not None:
            data += attr(IFLA_VXLAN_LINK, u32(parent))
        self._create_elsewhere("vxlan", _outer(name, netns_fd, index) + attr(IFLA_MTU, u32(mtu)), data)

    def _create_elsewhere(self, kind: str, body: bytes, data: bytes) -> None:
        body += nest(IFLA_LINKINFO, attr(IFLA_INFO_KIND, kind.encode()), nest(IFLA_INFO_DATA, data))
        self.request(RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL, what=f"create {kind}")

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
        requests = [Request(RTM_NEWLINK, ifinfo(i, IFF_UP if up else 0, IFF_UP)) for i, up in wanted.items()]
        return {indexes[place]: error for place, error in self.batch(requests).items()}

    def gather(self, indexes: Sequence[int], group: int) -> None:
        """Make these devices a group, of a number that nothing else has; one that is gone is left out."""
        members = [Request(RTM_NEWLINK, ifinfo(each) + attr(IFLA_GROUP, u32(group))) for each in indexes]
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
        try:
            self.request(RTM_DELLINK, _named(which), what=f"delete link {which}")
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return True

    def delete_links(self, indexes: Sequence[int]) -> None:
        """Remove devices (and the peers of veths) by one message; those that are gone are left out.

        One by one, the kernel waits for every processor (an RCU grace period) at each: some twenty milliseconds.
        """
        if len(indexes) <= 1:
            for each in indexes:
                self.delete_link(each)
            return
        # A number of this call alone: who was killed half-way leaves devices in a group that nobody names again.
        group = _GROUPS | int.from_bytes(os.urandom(3), "big")
        self.gather(indexes, group)
        try:
            self.request(RTM_DELLINK, ifinfo() + attr(IFLA_GROUP, u32(group)), what="delete a group of links")
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise

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

    def delete_address(self, index: int, address: str) -> bool:
        """Take `10.0.0.1/24` off a device; False if it does not have it."""
        interface = ipaddress.ip_interface(address)
        family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
        body = struct.pack("=BBBBI", family, interface.network.prefixlen, 0, 0, index)
        try:
            self.request(
                RTM_DELADDR, body + attr(IFA_LOCAL, interface.ip.packed), what=f"delete address {address}"
            )
        except NetlinkError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return False
            raise
        return True

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


def _named(which: int | str) -> bytes:
    """A request's beginning that says which device is meant."""
    return ifinfo(which) if isinstance(which, int) else ifinfo() + attr(IFLA_IFNAME, text(which))


def link_of(data: bytes) -> Link:
    """Decode an ifinfomsg with its attributes."""
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", data)
    values = dict(attrs(data[16:]))
    info = dict(attrs(values.get(IFLA_LINKINFO, b"")))
    return Link(
        index=index,
        name=string(values.get(IFLA_IFNAME, b"")),
        flags=flags,
        mtu=_number(values.get(IFLA_MTU)) or 0,
        mac=values.get(IFLA_ADDRESS, b"").hex(":"),
        kind=string(info.get(IFLA_INFO_KIND, b"")),
        master=_number(values.get(IFLA_MASTER)),
        peer=_number(values.get(IFLA_LINK)),
        peer_nsid=_number(values.get(IFLA_LINK_NETNSID)),
        carrier=values.get(IFLA_CARRIER) == b"\x01",
        alias=string(values.get(IFLA_IFALIAS, b"")),
        oper_up=values.get(IFLA_OPERSTATE) == b"\x06",
    )


def _outer(name: str, netns_fd: int, index: int | None) -> bytes:
    """The beginning of a request for a device in another namespace."""
    body = ifinfo(index or 0, IFF_NOARP, IFF_NOARP)
    return body + attr(IFLA_IFNAME, text(name)) + attr(IFLA_NET_NS_FD, u32(netns_fd))


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


def _number(raw: bytes | None) -> int | None:
    return None if raw is None or len(raw) != 4 else int(struct.unpack("=i", raw)[0])
