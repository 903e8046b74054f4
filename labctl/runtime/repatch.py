"""The patch panel of a lab that changes while it runs: each call brings something to what the new lab says.

By level, as everything that may be interrupted: what is there is read from the kernel, what is missing is made, what
differs is changed where it stands, and what is right is not touched. So a port that gets another cable keeps its device,
with all that its node knows of it (ifindex, routes, a daemon's socket), and doing something twice is doing it once.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from labctl.linux import netns, tc
from labctl.linux.netlink import Link
from labctl.model.lab import MACHINE, CableSpec, End, LabSpec, NodeKind, NodeSpec, Stands
from labctl.names import PortId
from labctl.runtime import mgmt, tagging
from labctl.runtime.panel import (
    MGMT_BRIDGE,
    PANEL_MTU,
    Panel,
    _write_sysctls_here,
    bridge_port,
    has_mgmt,
    mgmt_key,
)
from labctl.runtime.refused import refused
from labctl.runtime.store import LabDir

#: Ends the keys of devices that are under way out; no port's and no node's has a space there.
_REPLACED = " replaced"


class Repatch(Panel):
    """The panel of `lab`, in place of what `before` may have left there. `devices` names what any of them has."""

    def __init__(
        self, place: LabDir, lab: LabSpec, devices: Mapping[str, str], before: Sequence[LabSpec]
    ) -> None:
        super().__init__(place, lab, devices)
        self._before = tuple(before)
        #: Ports that are there for certain; others an interrupted change may have begun to make.
        self._confirmed = {end.port for old in self._before[:1] for cable in old.cables for end in cable.ends}
        #: What is or may have been the machine's own namespace. Nothing there is removed by its name.
        self._machine = {
            name for each in (lab, *before) for name, at in each.stands().items() if at is Stands.MACHINE
        }

    # -- taking away -------------------------------------------------------------------------------------------

    def part(self, ports: Iterable[PortId]) -> None:
        """Let no frame of these go anywhere until they are joined again; what is not there is fine."""
        sides = [self.devices[str(port)] for port in ports if str(port) in self.devices]
        for link in self._devices(sides).values():
            tc.remove_filter(self._panel, link.index, preference=tc.STITCH_PREFERENCE)

    def remove_replaced(self) -> None:
        """Remove the devices whose names could not stay (see `replaced`)."""
        for key, device in self.devices.items():
            if key.endswith(_REPLACED):
                self._panel.delete_link(device)

    def remove_ports(self, ports: Iterable[PortId]) -> None:
        """Remove these ports and their panel sides; what is gone already is fine."""
        for port in ports:
            with refused(f"port {port} cannot be removed", None):
                if str(port) in self.devices:
                    self._panel.delete_link(self.devices[str(port)])  # a bridge's port goes with it
                if port.node not in self._machine and netns.exists(self.place.node_ns(port.node)):
                    self._node(port.node).delete_link(port.interface)

    def remove_node(self, name: str) -> None:
        """Remove everything of a node's network: its ports, its management leg, its namespace or its bridge.

        Of a node that is the machine only what the lab has there.
        """
        ports = {e.port for lab in (self.lab, *self._before) for c in lab.cables for e in c.ends}
        self.remove_ports(sorted(port for port in ports if port.node == name))
        for key in (mgmt_key(name), name):
            if key in self.devices:
                self._panel.delete_link(self.devices[key])
        path = self.place.node_ns(name)
        self._forget(path)
        netns.delete(path)

    def release_machine(self) -> None:
        """Let go of the machine's namespace if no cable leads there any more."""
        if self.lab.leaves:
            return
        # The one that says of the others that they are the machine goes last.
        for name in sorted(self._machine, key=lambda name: (name == MACHINE, name)):
            if self._stands.get(name, Stands.MACHINE) is Stands.MACHINE:
                path = self.place.node_ns(name)
                self._forget(path)
                netns.delete(path)

    # -- making ------------------------------------------------------------------------------------------------

    def ensure_machine(self) -> None:
        """The machine's namespace under every name that it has in the lab, if a cable leads there.

        It is the one that the lab's other cables lead to, wherever labctl runs now.
        """
        if not self.lab.leaves:
            return
        names = [name for name, at in self._stands.items() if at is Stands.MACHINE]
        pinned = [path for path in map(self.place.node_ns, names) if netns.exists(path)]
        source = pinned[0] if pinned else netns.OWN
        with refused("the machine's network namespace cannot be pinned", None):
            for path in map(self.place.node_ns, names):
                if path not in pinned:
                    self._forget(path)
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)  # the bare file that a crash left
                    netns.pin(path, source)

    def ensure_nodes(self, names: Iterable[str]) -> None:
        """The namespaces of these nodes, or their bridges."""
        for name in names:
            node = self.lab.node(name)
            if self._stands[name] is Stands.SEGMENT:
                if self._panel.link(self.devices[name]) is None:
                    with refused(f"node {name!r}: its bridge cannot be made", node.where):
                        self._panel.create_bridge(self.devices[name], mtu=PANEL_MTU)
            elif node.kind is NodeKind.LINUX and not netns.exists(self.place.node_ns(name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.place.node_ns(name))  # the bare file that a crash left
                self._create_node_namespace(node)

    def ensure_segments(self) -> None:
        """Bridges that carry what a cable carries: one whose last port goes falls back to 1500 bytes."""
        bridges = [self.devices[name] for name in self._bridges()]
        for bridge in self._devices(bridges).values():
            if bridge.mtu != PANEL_MTU:
                self._panel.set_link(bridge.index, mtu=PANEL_MTU)

    def ensure_cables(self, cables: Iterable[CableSpec], stale: Mapping[PortId, Collection[str]]) -> None:
        """Both ends of these cables and their stitches. stale: addresses that ports have and should not have."""
        cables = list(cables)
        self._remove_ways_out(cables)
        ports = [port for cable in cables for port in cable.ports]
        sides = [self.devices[str(port)] for port in ports]
        sides += [bridge_port(self.devices[str(port)]) for port in ports if self._is_segment(port)]
        links = self._devices(sides)
        inside = {
            name: {link.name: link for link in self._node(name).links()}
            for name in {e.port.node for cable in cables for e in cable.ends if not self._is_segment(e.port)}
        }
        made: dict[str, None] = {}
        for cable in cables:
            for end in cable.ends:
                with refused(f"cable {cable.id}: its end {end.port} cannot be changed", cable.where):
                    if self._ensure_end(cable, end, links, inside):
                        made[end.port.node] = None
            if cable.outside and self.devices[str(cable.outside)] not in links:
                with refused(f"cable {cable.id}: its way out cannot be made", cable.where):
                    self._create_way_out(cable, self.devices[str(cable.outside)])
        links = self._devices(sides)
        for cable in cables:
            with refused(f"cable {cable.id}: its ends cannot be joined", cable.where):
                self._ensure_stitch(cable, links)
        for cable in cables:
            for end in cable.ends:
                if not self._is_segment(end.port):
                    wanted = [each for each in (end.ipv4, end.ipv6) if each]
                    with refused(f"node {end.port.node!r}: {end.port.interface}", cable.where):
                        self._ensure_addresses(end.port, wanted, stale.get(end.port, ()))
        for name in made:
            self.write_sysctls(self.lab.node(name))

    def ensure_tags(self) -> None:
        """Ports from which sub-interfaces went, or which got another, take no other tags apart than the lab says."""
        links = self._panel_links()
        for port in {cable.below for lab in (self.lab, *self._before) for cable in lab.cables if cable.below}:
            link = links.get(self.devices.get(str(port), ""))
            if link is not None:
                vlans = [each.over.vlan for each in self.lab.above(port) if each.over]
                tagging.keep(self._panel, link.index, vlans)

    def ensure_mgmt(self, nodes: Iterable[NodeSpec], stale: Mapping[str, Collection[str]]) -> None:
        """The management network's bridge and the legs of these nodes. stale: what their eth0 should not have."""
        bridge = self.devices.get(MGMT_BRIDGE)
        if not has_mgmt(self.lab):
            if bridge is not None:
                self._panel.delete_link(bridge)
            return
        assert bridge is not None
        nodes = [node for node in nodes if mgmt.managed(node)]
        links = self._devices([bridge, *(self.devices[mgmt_key(node.name)] for node in nodes)])
        if bridge not in links:
            with refused("the management network's bridge cannot be made", None):
                self._panel.create_bridge(bridge, mtu=PANEL_MTU, transparent=False)
        for node in nodes:
            there = self._node(node.name).link(mgmt.INTERFACE)
            leg = links.get(self.devices[mgmt_key(node.name)])
            if there is None or leg is None or leg.master is None:
                self._panel.delete_link(self.devices[mgmt_key(node.name)])
                self._node(node.name).delete_link(mgmt.INTERFACE)
                self._plug_all([], [node])
                continue
            with refused(f"node {node.name!r}: {mgmt.INTERFACE}", node.where):
                if there.mtu != self.lab.mgmt.mtu:
                    self._node(node.name).set_link(mgmt.INTERFACE, mtu=self.lab.mgmt.mtu)
                port = PortId(node.name, mgmt.INTERFACE)
                self._ensure_addresses(port, mgmt.addresses(self.lab, node), stale.get(node.name, ()))

    def write_sysctls(self, node: NodeSpec) -> None:
        """The node's own sysctls of the network."""
        if node.kind is NodeKind.LINUX and node.sysctls:
            with netns.inside(self.place.node_ns(node.name)):
                _write_sysctls_here(node, only_there=False)

    # -- inside ------------------------------------------------------------------------------------------------

    def _bridges(self) -> list[str]:
        """The panel's bridges; one inside a node's network is not among them."""
        found = [node.name for node in self.lab.nodes if self._stands[node.name] is Stands.SEGMENT]
        return [*found, *([MGMT_BRIDGE] if has_mgmt(self.lab) else [])]

    def _devices(self, names: Iterable[str]) -> dict[str, Link]:
        """Of these devices of the panel those that are there. A change is about few: reading all takes longer."""
        found = ((name, self._panel.link(name)) for name in names)
        return {name: link for name, link in found if link is not None}

    def _ensure_end(
        self,
        cable: CableSpec,
        end: End,
        links: Mapping[str, Link],
        inside: Mapping[str, Mapping[str, Link]],
    ) -> bool:
        """Whether the end had to be made; one that is there gets its MAC and MTU where they differ."""
        port, device = end.port, self.devices[str(end.port)]
        if self._is_segment(port):
            bridged = links.get(bridge_port(device))
            if device not in links or bridged is None or bridged.master is None:
                self._panel.delete_link(device)
                self._create_bridge_port(end, cable.mtu)
            return False
        there = inside[port.node].get(port.interface)
        on_machine = self._stands[port.node] is Stands.MACHINE
        if on_machine and not self._is_pair(links.get(device), there):
            self._panel.delete_link(device)
            self._create_machine_end(end, cable.mtu)
            return False  # a node's sysctls are not the machine's
        if there is None or device not in links:
            self._unplug(port)
            self._create_end(end, cable.mtu)
            return True
        if on_machine and not there.up and port not in self._confirmed:
            self._node(port.node).set_link(
                there.index, up=True
            )  # who made it was killed before it was raised
        mac = end.mac if there.mac != end.mac.lower() and self._changed(cable, end) else None
        mtu = cable.mtu if there.mtu != cable.mtu and self._changed(cable) else None
        if mac is not None or mtu is not None:
            self._node(port.node).set_link(there.index, mac=mac, mtu=mtu)
        if mac is not None:
            self._follow(port, there, mac)
        return False

    def _is_pair(self, side: Link | None, there: Link | None) -> bool:
        """Whether this panel side and this interface of the machine belong together: the name alone says nothing."""
        if side is None or there is None:
            return False
        with netns.opened(self.place.node_ns(MACHINE)) as fd:
            number = self._panel.nsid(fd)
        return number is not None and (side.peer_nsid, side.peer) == (number, there.index)

    def _remove_ways_out(self, cables: Iterable[CableSpec]) -> None:
        """Those that lead elsewhere now. All before the first is made: they may trade their VNIs or parents."""
        old = [each for lab in self._before for each in lab.cables if each.outside]
        for cable in cables:
            if any(each.id == cable.id and _way_out(each) != _way_out(cable) for each in old):
                with refused(f"cable {cable.id}: its way out cannot be removed", cable.where):
                    self._panel.delete_link(self.devices[str(cable.outside)])

    def _follow(self, port: PortId, link: Link, mac: str) -> None:
        """The link-local address that the kernel made of a MAC follows it; the kernel itself makes one only at the start."""
        netlink = self._node(port.node)
        if netlink.delete_address(link.index, _link_local(link.mac)):
            netlink.add_address(link.index, _link_local(mac))

    def _changed(self, cable: CableSpec, end: End | None = None) -> bool:
        """Whether the MTU of the cable (or the MAC of the end) is another than any lab before said.

        A node may set those of its ports itself; what the file does not change stays as the node has it.
        """
        for lab in self._before:
            for old in lab.cables:
                for each in old.ends:
                    if end is None and each.port in {e.port for e in cable.ends} and old.mtu != cable.mtu:
                        return True
                    if end is not None and each.port == end.port and each.mac != end.mac:
                        return True
        return False

    def _ensure_stitch(self, cable: CableSpec, links: Mapping[str, Link]) -> None:
        """Both redirects of a cable, and no other; a stub has none, and a sub-interface is joined with its port."""
        if cable.over:
            if not self.stitched(cable):
                self._stitch(cable, links, again=True)
            return
        for port in cable.ports:
            tagging.part(self._panel, links[self.devices[str(port)]].index)
        indexes = [links[self.devices[str(port)]].index for port in cable.ports]
        wanted = dict(zip(indexes, reversed(indexes), strict=True)) if len(indexes) == 2 else {}
        for here in indexes:
            there = wanted.get(here)
            if tc.redirects(self._panel, here) == ([] if there is None else [there]):
                continue
            tc.remove_filter(self._panel, here, preference=tc.STITCH_PREFERENCE)
            if there is not None:
                tc.add_clsact(self._panel, here)
                tc.redirect(self._panel, here, there)

    def _ensure_addresses(self, port: PortId, wanted: Sequence[str], stale: Collection[str]) -> None:
        """What the lab says is on the port, and what it said before is not; what the node put there itself stays."""
        netlink = self._node(port.node)
        index = netlink.index(port.interface)
        for address in sorted(stale):
            netlink.delete_address(index, address)
        there = {
            address for _, address in netlink.addresses(index)
        }  # after: a primary takes its secondaries along
        for address in wanted:
            if _written(address) not in there:
                netlink.add_address(index, address)


def _way_out(cable: CableSpec) -> object:
    """What the device of a cable that leads out is made of. The rest of the cable may change beside it."""
    return cable.macvlan, cable.vxlan, cable.a.mac if cable.macvlan else cable.mtu


def replaced(known: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """The devices whose names could not stay, under keys that are no port's: they are there until they are removed."""
    gone = sorted({device for key, device in known.items() if names.get(key, device) != device})
    return {f"{device}{_REPLACED}": device for device in gone}


def _link_local(mac: str) -> str:
    """The IPv6 address that the kernel makes of a MAC.

    >>> _link_local("02:1a:00:00:00:77")
    'fe80::1a:ff:fe00:77/64'
    """
    first, *rest = (int(part, 16) for part in mac.split(":"))
    packed = bytes([0xFE, 0x80, *bytes(6), first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
    return f"{ipaddress.IPv6Address(packed)}/64"


def _written(address: str) -> str:
    """As the kernel writes it."""
    return ipaddress.ip_interface(address).with_prefixlen
