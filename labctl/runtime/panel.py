"""The patch panel: every cable of a lab as two veth pairs that meet in a namespace of their own.

The node side of a pair stands in the node's namespace, the panel side here; two redirects stitch the panel sides of a
cable, so a frame crosses without the panel's own stack ever seeing it. That is why a cable can be cut (a panel side
goes down: the port loses carrier), impaired, watched and patched anew without touching a node, and why a node can
restart with its cables in place.

What has been seen to break, and is kept here: panel sides carry 65535 bytes, or large frames vanish; IPv6 is off before
the first device exists, or the panel speaks; a re-plugged end keeps its MAC and gets *both* filters of its cable made
anew, because the far one still points at a device that is gone.

A node of kind `bridge` is a Linux bridge here. Its end of a cable is a pair like any other, with one end stitched and the
other a port of the bridge, so that a cable into a segment can do all that a cable between two nodes can.

A cable can end at the machine itself: its pair's far end is then an interface in the machine's own namespace, pinned
beside the nodes' as `host`. And it can lead out: then a macvlan or VXLAN device, made from the machine's namespace directly
into the panel, takes the place of a panel side and is stitched like one. Both are here only for links that say so.

Panel sides are born down. Who raises them is the mirror's level rule (`labctl.agent.mirror`), never this module.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import string
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Self

from labctl.errors import Span
from labctl.linux import netns, tc
from labctl.linux.netlink import Link, Netlink, VethEnd
from labctl.linux.rtnl import NetlinkError
from labctl.model.lab import (
    MACHINE,
    MGMT_NET,
    CableSpec,
    End,
    LabSpec,
    MacvlanMode,
    NodeKind,
    NodeSpec,
    Stands,
)
from labctl.names import PortId
from labctl.runtime import mgmt, sysctls, tagging
from labctl.runtime.refused import refused
from labctl.runtime.store import LabDir

PANEL_MTU = 65535
#: ifindexes of ports (above what a node's own devices get) and of panel sides, plus the number in the device's name.
NODE_INDEX, PANEL_INDEX, MGMT_OFFSET, BRIDGE_OFFSET = 10_000, 1_000_000, 500_000, 1_000_000
OUT_OFFSET = 250_000
#: First letter of the panel sides that have something on the machine: `withdraw` needs no record to find them.
OUT = "x"
#: linux/if_link.h
_MACVLAN_MODES = {
    MacvlanMode.PRIVATE: 1,
    MacvlanMode.VEPA: 2,
    MacvlanMode.BRIDGE: 4,
    MacvlanMode.PASSTHRU: 8,
}
MGMT_BRIDGE = "mgmt"

#: A node's network starts from these and not from whatever the machine has set (the kernel copies IPv4 settings).
NODE_SYSCTLS: Mapping[str, str] = {
    "net.ipv4.ip_forward": "1",  # as in a container on a Docker host
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
}
PANEL_SYSCTLS: Mapping[str, str] = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
    "net.ipv4.ip_forward": "0",
}
#: Only where the kernel has br_netfilter; a segment is a wire and filters nothing.
BRIDGE_SYSCTLS = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")


def allocate(
    lab: LabSpec, known: Mapping[str, str] | None = None, *, reserved: Collection[str] = ()
) -> dict[str, str]:
    """Short device names in the panel: port -> its panel side, bridge node -> its bridge.

    Names in `known` stay, so a lab that grows renames nothing, unless what is called so is of another kind by now (a node
    that becomes the machine): `destroy` knows by the first letter what has something on the machine. A name that fell free
    is used again, unless it is `reserved`.
    """
    stands = lab.stands()
    wanted: list[tuple[str, str]] = [(MGMT_BRIDGE, "mgmt")] if has_mgmt(lab) else []
    wanted += [(node.name, "b") for node in lab.nodes if stands[node.name] is Stands.SEGMENT]
    wanted += [(mgmt_key(node.name), "m") for node in mgmt.nodes(lab)]
    for cable in lab.cables:
        wanted += [(str(e.port), OUT if stands[e.port.node] is Stands.MACHINE else "p") for e in cable.ends]
        wanted += [(str(cable.outside), OUT)] if cable.outside else []
    names = {
        key: known[key]
        for key, prefix in wanted
        if known and key in known and known[key].rstrip(string.digits) == prefix
    }
    used = {*names.values(), *reserved}
    counters = dict.fromkeys(("b", "m", "p", OUT, "mgmt"), 0)
    for key, prefix in wanted:
        while key not in names:
            name = f"{prefix}{counters[prefix]}"
            counters[prefix] += 1
            if name not in used:
                names[key] = name
    return names


def has_mgmt(lab: LabSpec) -> bool:
    """Whether the lab has a management network: a node or a link is in it."""
    return bool(mgmt.nodes(lab)) or any(e.port.node == MGMT_NET for c in lab.cables for e in c.ends)


def withdraw(place: LabDir) -> int:
    """Take what the lab has on the machine off it, at once; how many devices. Without it the kernel does so some
    time after the panel's namespace has ended.
    """
    if not netns.exists(place.panel_ns):
        return 0
    with Netlink(place.panel_ns) as kernel:
        return sum(kernel.delete_link(link.index) for link in kernel.links() if link.name.startswith(OUT))


def is_machine(place: LabDir, node: str) -> bool:
    """Whether the namespace that is this node's by name is the machine's. While a lab changes, what its record says of that is
    what was, or what is to be.
    """
    path, pinned = place.node_ns(node), place.node_ns(MACHINE)
    return netns.exists(path) and netns.exists(pinned) and netns.inode(path) == netns.inode(pinned)


def on_machine(place: LabDir) -> frozenset[str]:
    """The machine's interfaces that are this lab's: the far ends of pairs in its panel, whatever they are called by now."""
    pinned = place.node_ns(MACHINE)
    if not netns.exists(place.panel_ns) or not netns.exists(pinned):
        return frozenset()
    with Netlink(place.panel_ns) as panel, Netlink(pinned) as machine, netns.opened(pinned) as fd:
        pairs = [link for link in panel.links() if link.name.startswith(OUT) and link.kind == "veth"]
        number = panel.nsid(fd)  # asked after the links: listing them is what gives the namespace its number
        far = {link.peer for link in pairs if number is not None and link.peer_nsid == number}
        return frozenset(link.name for link in machine.links() if link.index in far)


def bridge_port(device: str) -> str:
    """The port of a bridge that belongs to this panel side."""
    return f"{device}b"


def mgmt_key(node: str) -> str:
    """Key of a node's management leg. The space keeps it apart from a cable that ends at an eth0."""
    return f"{node} {mgmt.INTERFACE}"


class Panel:
    """The panel of one lab. Keeps a socket per namespace open; close it, or use it as a context manager."""

    def __init__(self, place: LabDir, lab: LabSpec, devices: Mapping[str, str]) -> None:
        self.place = place
        self.lab = lab
        self.devices = devices
        self._sockets: dict[str, Netlink] = {}
        self._stands = lab.stands()
        self._inner = {n.name for n in lab.nodes if n.kind is NodeKind.BRIDGE and n.shares}

    def close(self) -> None:
        for each in self._sockets.values():
            each.close()
        self._sockets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- making ------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Everything of a new lab: namespaces, bridges, cables, management network; all panel sides down."""
        self.create_namespaces()
        self.wire()

    def wire(self) -> None:
        """Bridges, cables and management network, in namespaces that are there."""
        for node in self.lab.nodes:
            if self._stands[node.name] is Stands.SEGMENT:
                with refused(f"node {node.name!r}: its bridge cannot be made", node.where):
                    self._panel.create_bridge(self.devices[node.name], mtu=PANEL_MTU)
        if has_mgmt(self.lab):
            with refused("the management network's bridge cannot be made", None):
                # a switch, not a cable: LLDP of one node's eth0 is not for the others to hear
                self._panel.create_bridge(self.devices[MGMT_BRIDGE], mtu=PANEL_MTU, transparent=False)
        self._plug_all(self.lab.cables, mgmt.nodes(self.lab))

    def create_namespaces(self) -> None:
        """The panel's namespace and one for each node, ready for devices."""
        allow_many_files()
        with refused("the lab's panel cannot be made", None):
            netns.prepare(self.place.ns_dir)
            netns.create(self.place.panel_ns)
            for key, value in PANEL_SYSCTLS.items():
                _write_if_there(self.place.panel_ns, key, value)
            for name in BRIDGE_SYSCTLS:
                _write_if_there(self.place.panel_ns, f"net.bridge.{name}", "0")
        os.makedirs(os.path.dirname(self.place.node_ns("x")), mode=0o700)
        self._pin_machine()
        for node in self.lab.nodes:
            if self._stands[node.name] is Stands.NODE and not node.shares:
                self._create_node_namespace(node)

    def plug(self, name: str) -> None:
        """Give a node back whatever of its network is missing: namespace, ends with their MACs, both filters.

        What is there stays as it is. New panel sides are down until the mirror raises them.
        """
        node = self.lab.node(name)
        path = self.place.node_ns(name)
        if not netns.exists(path):
            self._open_namespace(node)
        there = {link.name for link in self._node(name).links()}
        panel = self._panel_links()

        def gone(port: PortId) -> bool:
            return self.devices[str(port)] not in panel or (port.node == name and port.interface not in there)

        mine = [cable for cable in self.lab.cables if any(end.port.node == name for end in cable.ends)]
        lost = [cable for cable in mine if any(map(gone, self._made_with(cable, name)))]
        # The machine's side of a cable stays, with what somebody may have put on it, unless it is what is missing.
        ports = {
            port for cable in lost for port in self._made_with(cable, name) if port.node == name or gone(port)
        }
        for port in ports:
            self._unplug(port)
        # Who stands on a port that is made anew is joined with it anew.
        lost += [cable for cable in mine if cable.below in ports and cable not in lost]
        lost_mgmt = []
        if mgmt.managed(node) and (mgmt.INTERFACE not in there or self.devices[mgmt_key(name)] not in panel):
            self._panel.delete_link(self.devices[mgmt_key(name)])
            self._node(name).delete_link(mgmt.INTERFACE)
            lost_mgmt = [node]
        self._plug_all(lost, lost_mgmt, only=ports)

    # -- the carrier -------------------------------------------------------------------------------------------

    def sides(self) -> dict[PortId, bool]:
        """Which panel sides are up now, by the port that gets its carrier from it; a missing one is absent."""
        links = self._panel_links()
        ports = [port for cable in self.lab.cables for port in cable.ports]
        return {
            port: links[self.devices[str(port)]].up for port in ports if self.devices.get(str(port)) in links
        }

    def set_side(self, port: PortId, up: bool) -> None:
        """Give the port carrier, or take it. Level, not edge: doing it twice is doing it once."""
        self._panel.set_link(self.devices[str(port)], up=up)

    def settle(self, wanted: Mapping[PortId, bool]) -> int:
        """Bring every panel side that differs to the level wanted; how many had to change."""
        now = self.sides()
        changes = [port for port, up in wanted.items() if port in now and now[port] is not up]
        for port in changes:
            self.set_side(port, wanted[port])
        return len(changes)

    def admin(self, nodes: Iterable[str] | None = None) -> dict[str, dict[str, bool]]:
        """node -> interface -> has IFF_UP, read inside the nodes' namespaces; what is not there is absent.

        Of the machine, only the lab's own interfaces.
        """
        names = nodes if nodes is not None else self._stands
        found: dict[str, dict[str, bool]] = {}
        for name in names:
            if self._stands[name] is Stands.SEGMENT:
                continue
            if self._stands[name] is Stands.MACHINE:
                own = {e.port.interface for c in self.lab.cables for e in c.ends if e.port.node == name}
                with contextlib.suppress(FileNotFoundError):
                    found[name] = {
                        link.name: link.up for link in self._node(name).links() if link.name in own
                    }
                continue
            with contextlib.suppress(FileNotFoundError):
                found[name] = {link.name: link.up for link in self._node(name).links()}
        return found

    def links(self, node: str) -> list[Link]:
        """Every device in a node's namespace."""
        return self._node(node).links()

    def stitched(self, cable: CableSpec) -> bool:
        """Whether both redirects of a cable are in place (of a stub, whether its one end is)."""
        links = self._panel_links()
        names = [self.devices[str(port)] for port in cable.ports]
        if not all(name in links for name in names):
            return False
        if cable.over and cable.below:
            below = links.get(self.devices[str(cable.below)])
            above = links[names[0]].index
            return below is not None and tagging.joined(self._panel, above, below.index, cable.over.vlan)
        if len(names) == 1:
            return True
        ports = [self.devices[str(end.port)] for end in cable.ends if self._is_segment(end.port)]
        if any(bridge_port(name) not in links or links[bridge_port(name)].master is None for name in ports):
            return False
        one, other = (links[name].index for name in names)
        return tc.redirects(self._panel, one) == [other] and tc.redirects(self._panel, other) == [one]

    # -- inside ------------------------------------------------------------------------------------------------

    def _is_segment(self, port: PortId) -> bool:
        return self._stands.get(port.node) is Stands.SEGMENT

    def _made_with(self, cable: CableSpec, node: str) -> list[PortId]:
        """What of a cable is made when this node is plugged: its own ends, and those that nobody else would make."""
        nobodys = (None, Stands.MACHINE)
        return [p for p in cable.ports if p.node == node or self._stands.get(p.node) in nobodys]

    @property
    def _panel(self) -> Netlink:
        return self._socket(self.place.panel_ns)

    def _node(self, node: str) -> Netlink:
        return self._socket(self.place.node_ns(node))

    def _socket(self, path: str) -> Netlink:
        if path not in self._sockets:
            if not netns.exists(path):
                raise FileNotFoundError(path)
            self._sockets[path] = Netlink(path)
        return self._sockets[path]

    def _forget(self, path: str) -> None:
        socket = self._sockets.pop(path, None)
        if socket is not None:
            socket.close()

    def _panel_links(self) -> dict[str, Link]:
        return {link.name: link for link in self._panel.links()}

    def _pin_machine(self) -> None:
        """Keep the machine's own namespace at hand, under the names that ends in it have for a node."""
        if not self.lab.leaves:
            return
        with refused("the machine's network namespace cannot be pinned", None):
            for name in (name for name, where in self._stands.items() if where is Stands.MACHINE):
                netns.pin(self.place.node_ns(name))

    def _open_namespace(self, node: NodeSpec) -> None:
        """Make a node's namespace again: with it, those who share it lose what they had and get it again."""
        home = self.lab.node(self.lab.home(node.name))
        if home is not node and netns.exists(self.place.node_ns(home.name)):
            self._let_in(node)
            return
        path = self.place.node_ns(home.name)
        self._forget(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._create_node_namespace(home)
        for each in (home, *self.lab.guests(home.name)):
            if each is not node:
                self.plug(each.name)

    def _create_node_namespace(self, node: NodeSpec) -> None:
        path = self.place.node_ns(node.name)
        with refused(f"node {node.name!r}: its network namespace cannot be made", node.where):
            netns.create(path)
            with netns.inside(path):
                for key, value in NODE_SYSCTLS.items():
                    _write_sysctl_here(key, value)
                # Those of devices that are not there yet are written again once they are.
                _write_sysctls_here(node, only_there=True)
        self._node(node.name).set_link("lo", up=True)
        for guest in self.lab.guests(node.name):
            self._let_in(guest)

    def _let_in(self, guest: NodeSpec) -> None:
        """Pin the network that a node shares under its own name too; a bridge in it is made."""
        path = self.place.node_ns(guest.name)
        with refused(f"node {guest.name!r}: the network of {guest.shares!r} cannot be shared", guest.where):
            self._forget(path)
            netns.delete(path)
            netns.pin(path, self.place.node_ns(self.lab.home(guest.name)))
            if guest.kind is NodeKind.BRIDGE:
                self._node(guest.name).create_bridge(_device_of(guest), arp=True)
            elif guest.sysctls:
                with netns.inside(path):
                    _write_sysctls_here(guest, only_there=True)

    def _plug_all(
        self,
        cables: Iterable[CableSpec],
        managed: Iterable[NodeSpec],
        *,
        only: Collection[PortId] | None = None,
    ) -> None:
        """Create and stitch the ends of these cables (of those only the ports `only`, if given; the others exist)."""
        cables, managed = list(cables), list(managed)
        touched: dict[str, None] = {}
        for cable in cables:
            self._create_ends(cable, only)
            touched |= {e.port.node: None for e in cable.ends if only is None or e.port in only}
        for node in managed:
            with refused(f"node {node.name!r}: its {mgmt.INTERFACE} cannot be made", node.where):
                self._create_mgmt(node)
            touched[node.name] = None
        links = self._panel_links()
        for cable in cables:
            with refused(f"cable {cable.id}: its ends cannot be joined", cable.where):
                self._stitch(cable, links, again=only is not None)
        for node in managed:
            with refused(f"node {node.name!r}: its {mgmt.INTERFACE} cannot be plugged in", node.where):
                leg = links[self.devices[mgmt_key(node.name)]].index
                self._panel.enslave(leg, links[self.devices[MGMT_BRIDGE]].index, transparent=False)
                self._panel.set_link(leg, up=True)
        self._address(cables, managed, touched, only)

    def _create_ends(self, cable: CableSpec, only: Collection[PortId] | None) -> None:
        make = {
            Stands.NODE: self._create_end,
            Stands.SEGMENT: self._create_bridge_port,
            Stands.MACHINE: self._create_machine_end,
        }
        for end in cable.ends:
            if only is None or end.port in only:
                with refused(f"cable {cable.id}: its end {end.port} cannot be made", cable.where):
                    make[self._stands[end.port.node]](end, cable.mtu)
        if cable.outside and (only is None or cable.outside in only):
            with refused(f"cable {cable.id}: its way out cannot be made", cable.where):
                self._create_way_out(cable, self.devices[str(cable.outside)])

    def _create_end(self, end: End, mtu: int) -> None:
        self._create_pair(end.port, end.mac, mtu, self.devices[str(end.port)])
        if end.port.node in self._inner:
            node = self.lab.node(end.port.node)
            inside = self._node(node.name)
            inside.enslave(inside.index(end.port.interface), inside.index(_device_of(node)))

    def _create_bridge_port(self, end: End, _mtu: int) -> None:
        """An end at a segment: the pair's node side is a port of the bridge, up; its panel side is down."""
        device = self.devices[str(end.port)]
        number = PANEL_INDEX + int(device[1:])
        inside = bridge_port(device)
        self._panel.create_veth(
            VethEnd(name=inside, mtu=PANEL_MTU, noarp=True, index=number + BRIDGE_OFFSET),
            VethEnd(name=device, mtu=PANEL_MTU, noarp=True, index=number),
            up=True,
        )
        managed = end.port.node == MGMT_NET
        bridge = self._panel.index(self.devices[MGMT_BRIDGE if managed else end.port.node])
        self._panel.enslave(number + BRIDGE_OFFSET, bridge, transparent=not managed)

    def _create_machine_end(self, end: End, mtu: int) -> None:
        """A pair whose far end is an interface of the machine, up, with whatever ifindex the machine gives it."""
        device = self.devices[str(end.port)]
        with netns.opened(self.place.node_ns(end.port.node)) as fd:
            self._panel.create_veth(
                VethEnd(name=device, mtu=PANEL_MTU, noarp=True, index=_out_index(device)),
                VethEnd(name=end.port.interface, netns_fd=fd, mac=end.mac, mtu=mtu),
            )
        self._node(end.port.node).set_link(end.port.interface, up=True)

    def _create_way_out(self, cable: CableSpec, device: str) -> None:
        """A device that belongs to the machine's network and stands in the panel, in place of a panel side."""
        machine = self._node(MACHINE)
        with netns.opened(self.place.panel_ns) as fd:
            if cable.macvlan:
                machine.create_macvlan(
                    device,
                    parent=machine.index(cable.macvlan.parent),
                    mode=_MACVLAN_MODES[cable.macvlan.mode],
                    mac=cable.a.mac,
                    netns_fd=fd,
                    index=_out_index(device),
                )
            elif cable.vxlan:
                way = cable.vxlan
                machine.create_vxlan(
                    device,
                    remote=way.remote,
                    vni=way.vni,
                    dst_port=way.dst_port,
                    src_port=way.src_port,
                    parent=machine.index(way.parent) if way.parent else None,
                    mtu=cable.mtu,
                    netns_fd=fd,
                    index=_out_index(device),
                )

    def _create_mgmt(self, node: NodeSpec) -> None:
        port = PortId(node.name, mgmt.INTERFACE)
        self._create_pair(
            port, mgmt.mac(self.lab, node), self.lab.mgmt.mtu, self.devices[mgmt_key(node.name)]
        )

    def _create_pair(self, port: PortId, mac: str, mtu: int, device: str) -> None:
        """One pair: the port in its node, up, and its panel side, down.

        Both have an ifindex of their own, the same after every re-plug, and never equal: for a veth whose ifindex is
        that of its peer the kernel takes up to a second to tell its node that the carrier is gone.
        """
        number = int(device[1:]) + (MGMT_OFFSET if device.startswith("m") else 0)
        with netns.opened(self.place.node_ns(port.node)) as fd:

            def create(inside: int | None, here: int | None) -> None:
                self._panel.create_veth(
                    VethEnd(name=port.interface, netns_fd=fd, mac=mac, mtu=mtu, index=inside),
                    VethEnd(name=device, mtu=PANEL_MTU, noarp=True, index=here),
                    up=True,
                )

            try:
                create(NODE_INDEX + number, PANEL_INDEX + number)
            except NetlinkError as error:
                if error.errno != errno.EBUSY:
                    raise
                create(None, None)  # something in the node has taken that ifindex

    def _stitch(self, cable: CableSpec, links: Mapping[str, Link], *, again: bool) -> None:
        """Join the panel sides of a cable. A far node that is not plugged yet does it when it is."""
        names = [self.devices[str(port)] for port in cable.ports]
        if cable.over and cable.below:
            above, below = (links.get(each) for each in (names[0], self.devices[str(cable.below)]))
            if above and below:
                tagging.join(self._panel, above.index, below.index, cable.over.vlan)
            return
        if len(names) == 1 or not all(name in links for name in names):
            return
        one, other = (links[name].index for name in names)
        for here, there in ((one, other), (other, one)):
            tc.add_clsact(self._panel, here)
            if again:
                tc.remove_filter(self._panel, here, preference=tc.STITCH_PREFERENCE)
            tc.redirect(self._panel, here, there)

    def _unplug(self, port: PortId) -> None:
        """Remove what may be left of a port's pair; one end takes the other with it.

        On the machine, an interface of that name that is not the pair's is somebody else's.
        """
        self._panel.delete_link(self.devices[str(port)])
        if self._stands.get(port.node) is Stands.NODE:
            self._node(port.node).delete_link(port.interface)

    def _address(
        self,
        cables: list[CableSpec],
        managed: list[NodeSpec],
        touched: Collection[str],
        only: Collection[PortId] | None,
    ) -> None:
        """Addresses of new ends, and the sysctls that name their devices."""
        wanted: dict[str, list[tuple[str, str, Span | None]]] = {}
        for cable in cables:
            for end in cable.ends:
                if not self._is_segment(end.port) and (only is None or end.port in only):
                    given = [(end.port.interface, a, cable.where) for a in (end.ipv4, end.ipv6) if a]
                    wanted.setdefault(end.port.node, []).extend(given)
        for node in managed:
            given = [(mgmt.INTERFACE, a, node.where) for a in mgmt.addresses(self.lab, node)]
            wanted.setdefault(node.name, []).extend(given)
        for name, addresses in wanted.items():
            if addresses:
                self._add_addresses(name, addresses)
        for node in self.lab.nodes:
            if node.name in touched and node.sysctls and node.kind is NodeKind.LINUX:
                with netns.inside(self.place.node_ns(node.name)):
                    _write_sysctls_here(node, only_there=False)

    def _add_addresses(self, node: str, addresses: Iterable[tuple[str, str, Span | None]]) -> None:
        netlink = self._node(node)
        index = {link.name: link.index for link in netlink.links()}
        for interface, address, where in addresses:
            with refused(f"node {node!r}: {interface}", where):
                netlink.add_address(index[interface], address)


def _device_of(bridge: NodeSpec) -> str:
    """The bridge `br0|r1` is the device br0 in the network of r1."""
    return bridge.name.partition("|")[0]


def _out_index(device: str) -> int:
    """The ifindex of a panel side with something on the machine."""
    return PANEL_INDEX + OUT_OFFSET + int(device.removeprefix(OUT))


def allow_many_files() -> None:
    """A large lab needs a descriptor per namespace: use all that this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _write_if_there(path: str, key: str, value: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        netns.write_sysctl(path, key, value)


def _write_sysctl_here(key: str, value: str) -> None:
    with open(netns.sysctl_file(key), "w", encoding="ascii") as file:
        file.write(value)


def _write_sysctls_here(node: NodeSpec, *, only_there: bool) -> None:
    """A node's own sysctls of the network, in the namespace that this thread is in."""
    for key, value in node.sysctls.items():
        path = netns.sysctl_file(key)
        if not path.startswith("/proc/sys/net/") or (only_there and not os.path.exists(path)):
            continue
        try:
            _write_sysctl_here(key, value)
        except OSError as error:
            raise sysctls.not_taken(node, key, error.strerror or str(error)) from error
