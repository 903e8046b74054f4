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

Panel sides are born down. Who raises them is the mirror's level rule (`labctl.agent.mirror`), never this module.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Self

from labctl.errors import Span
from labctl.linux import netns, tc
from labctl.linux.netlink import Link, Netlink, VethEnd
from labctl.linux.rtnl import NetlinkError
from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.names import PortId
from labctl.runtime import mgmt, sysctls
from labctl.runtime.refused import refused
from labctl.runtime.store import LabDir

PANEL_MTU = 65535
#: ifindexes of ports (above what a node's own devices get) and of panel sides, plus the number in the device's name.
NODE_INDEX, PANEL_INDEX, MGMT_OFFSET, BRIDGE_OFFSET = 10_000, 1_000_000, 500_000, 1_000_000
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

    Names in `known` stay, so a lab that grows renames nothing; a name that fell free is used again, unless it is
    `reserved`.
    """
    wanted: list[tuple[str, str]] = [(MGMT_BRIDGE, "mgmt")] if mgmt.nodes(lab) else []
    wanted += [(node.name, "b") for node in lab.nodes if node.kind is NodeKind.BRIDGE]
    wanted += [(mgmt_key(node.name), "m") for node in mgmt.nodes(lab)]
    wanted += [(str(end.port), "p") for cable in lab.cables for end in cable.ends]
    names = {key: known[key] for key, _ in wanted if known and key in known}
    used = {*names.values(), *reserved}
    counters = dict.fromkeys(("b", "m", "p", "mgmt"), 0)
    for key, prefix in wanted:
        while key not in names:
            name = f"{prefix}{counters[prefix]}"
            counters[prefix] += 1
            if name not in used:
                names[key] = name
    return names


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
        self._bridges = {n.name for n in lab.nodes if n.kind is NodeKind.BRIDGE}

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
            if node.kind is NodeKind.BRIDGE:
                with refused(f"node {node.name!r}: its bridge cannot be made", node.where):
                    self._panel.create_bridge(self.devices[node.name], mtu=PANEL_MTU)
        if mgmt.nodes(self.lab):
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
        for node in self.lab.nodes:
            if node.kind is NodeKind.LINUX:
                self._create_node_namespace(node)

    def plug(self, name: str) -> None:
        """Give a node back whatever of its network is missing: namespace, ends with their MACs, both filters.

        What is there stays as it is. New panel sides are down until the mirror raises them.
        """
        node = self.lab.node(name)
        path = self.place.node_ns(name)
        if not netns.exists(path):
            self._forget(path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self._create_node_namespace(node)
        there = {link.name for link in self._node(name).links()}
        panel = self._panel_links()
        lost = [
            cable
            for cable in self.lab.cables
            if any(
                end.port.node == name
                and (end.port.interface not in there or self.devices[str(end.port)] not in panel)
                for end in cable.ends
            )
        ]
        for cable in lost:
            for end in cable.ends:
                if end.port.node == name:
                    self._unplug(end.port)
        lost_mgmt = []
        if mgmt.managed(node) and (mgmt.INTERFACE not in there or self.devices[mgmt_key(name)] not in panel):
            self._panel.delete_link(self.devices[mgmt_key(name)])
            self._node(name).delete_link(mgmt.INTERFACE)
            lost_mgmt = [node]
        self._plug_all(lost, lost_mgmt, only=name)

    # -- the carrier -------------------------------------------------------------------------------------------

    def sides(self) -> dict[PortId, bool]:
        """Which panel sides are up now, by the port that gets its carrier from it; a missing one is absent."""
        links = self._panel_links()
        ports = [end.port for cable in self.lab.cables for end in cable.ends]
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
        """node -> interface -> has IFF_UP, read inside the nodes' namespaces; what is not there is absent."""
        names = nodes if nodes is not None else [n.name for n in self.lab.nodes if n.kind is NodeKind.LINUX]
        found: dict[str, dict[str, bool]] = {}
        for name in names:
            if name in self._bridges:
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
        names = [self.devices[str(end.port)] for end in cable.ends]
        if not all(name in links for name in names):
            return False
        if len(names) == 1:
            return True
        ports = [name for end, name in zip(cable.ends, names, strict=True) if end.port.node in self._bridges]
        if any(bridge_port(name) not in links or links[bridge_port(name)].master is None for name in ports):
            return False
        one, other = (links[name].index for name in names)
        return tc.redirects(self._panel, one) == [other] and tc.redirects(self._panel, other) == [one]

    # -- inside ------------------------------------------------------------------------------------------------

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

    def _plug_all(
        self, cables: Iterable[CableSpec], managed: Iterable[NodeSpec], *, only: str | None = None
    ) -> None:
        """Create and stitch the ends of these cables (of node `only`, if given; its far ends exist)."""
        cables, managed = list(cables), list(managed)
        touched: dict[str, None] = {}
        for cable in cables:
            for end in cable.ends:
                if only not in (None, end.port.node):
                    continue
                with refused(f"cable {cable.id}: its end {end.port} cannot be made", cable.where):
                    if end.port.node in self._bridges:
                        self._create_bridge_port(end)
                    else:
                        self._create_end(end, cable.mtu)
                        touched[end.port.node] = None
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

    def _create_end(self, end: End, mtu: int) -> None:
        self._create_pair(end.port, end.mac, mtu, self.devices[str(end.port)])

    def _create_bridge_port(self, end: End) -> None:
        """An end at a segment: the pair's node side is a port of the bridge, up; its panel side is down."""
        device = self.devices[str(end.port)]
        number = PANEL_INDEX + int(device[1:])
        inside = bridge_port(device)
        self._panel.create_veth(
            VethEnd(name=inside, mtu=PANEL_MTU, noarp=True, index=number + BRIDGE_OFFSET),
            VethEnd(name=device, mtu=PANEL_MTU, noarp=True, index=number),
            up=True,
        )
        bridge = self._panel.index(self.devices[end.port.node])
        self._panel.enslave(number + BRIDGE_OFFSET, bridge)

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
        names = [self.devices[str(end.port)] for end in cable.ends]
        if len(names) == 1 or not all(name in links for name in names):
            return
        one, other = (links[name].index for name in names)
        for here, there in ((one, other), (other, one)):
            tc.add_clsact(self._panel, here)
            if again:
                tc.remove_filter(self._panel, here, preference=tc.STITCH_PREFERENCE)
            tc.redirect(self._panel, here, there)

    def _unplug(self, port: PortId) -> None:
        """Remove what may be left of a port's pair; one end takes the other with it."""
        self._panel.delete_link(self.devices[str(port)])
        self._node(port.node).delete_link(port.interface)

    def _address(
        self,
        cables: list[CableSpec],
        managed: list[NodeSpec],
        touched: Iterable[str],
        only: str | None,
    ) -> None:
        """Addresses of new ends, and the sysctls that name their devices."""
        wanted: dict[str, list[tuple[str, str, Span | None]]] = {}
        for cable in cables:
            for end in cable.ends:
                if end.port.node not in self._bridges and only in (None, end.port.node):
                    given = [(end.port.interface, a, cable.where) for a in (end.ipv4, end.ipv6) if a]
                    wanted.setdefault(end.port.node, []).extend(given)
        for node in managed:
            given = [(mgmt.INTERFACE, a, node.where) for a in mgmt.addresses(self.lab, node)]
            wanted.setdefault(node.name, []).extend(given)
        for name, addresses in wanted.items():
            if addresses:
                self._add_addresses(name, addresses)
        for name in touched:
            node = self.lab.node(name)
            if node.sysctls:
                with netns.inside(self.place.node_ns(name)):
                    _write_sysctls_here(node, only_there=False)

    def _add_addresses(self, node: str, addresses: Iterable[tuple[str, str, Span | None]]) -> None:
        netlink = self._node(node)
        index = {link.name: link.index for link in netlink.links()}
        for interface, address, where in addresses:
            with refused(f"node {node!r}: {interface}", where):
                netlink.add_address(index[interface], address)


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
