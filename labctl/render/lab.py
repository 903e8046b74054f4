"""From a snapshot of production to a lab: nodes, cables, configuration files, and what could not be taken along.

    data link                 cable
    segment                   bridge node, a cable to each port
    sub-interface             tagged frames over its port's cable
    up, addressed, alone      stub cable: carrier, nobody behind (loopbacks beside the first as well)
    loopback                  `lo`
    device with routing       labctl/frr, frr.conf and daemons bound over the image's
    other device              labctl/host, addresses on its links, `ip route` when it starts
    management                left out: the lab has a management network of its own

Names are the allocation table's. Where a lab name differs from production's, a label says so (`labctl.name` and `labctl.lo` on nodes,
`labctl.a` and `labctl.z` on cables), so that all output can speak production's names.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from labctl.errors import LabctlError, Problems
from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind, StaticRoute
from labctl.model.lab import Bind, CableSpec, End, LabSpec, MgmtSpec, NodeKind, NodeSpec, Over
from labctl.model.policy import NOWHERE
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Role
from labctl.names import PortId, derived_mac
from labctl.render.allocation import AllocationTable, Ports, allocate
from labctl.render.devices import Rendered, data_segments, ports_of, rendered_devices
from labctl.render.frr import render_daemons, render_frr
from labctl.render.frr_limits import frr_limits
from labctl.render.packets import TARGET, render_packets
from labctl.render.project import Note, Surroundings, project
from labctl.render.words import virtual_device

SPEAKER = "labctl.speaker"  # label of a node that stands in for what a scope leaves out
BEYOND = "beyond-"  # its interfaces for what is behind it begin so
VLANS = range(1, 4095)
_MTU = 1500  # where no source says: every vendor's Ethernet default


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """images: (pattern over production and lab names, image), the last that matches counts; env likewise.

    directory: absolute path where the files will be written. lenient: leave references to interfaces that a device
    does not have as they are, instead of refusing. speakers: devices that stand in for removed ones; a label says so.
    """

    name: str
    directory: str
    images: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str, str], ...] = ()
    router_image: str = "labctl/frr"
    host_image: str = "labctl/host"
    mgmt_subnet: str | None = None
    lenient: bool = False
    speakers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedLab:
    """`files` by path relative to the directory; `sources`: for each frr.conf the production device it is of."""

    spec: LabSpec
    files: Mapping[str, str]
    notes: tuple[Note, ...]
    sources: Mapping[str, str] = field(default_factory=dict)


def allocation(snapshot: Snapshot, options: RenderOptions, known: AllocationTable | None) -> AllocationTable:
    """The table for this snapshot, kept and extended."""
    found: list[Note] = []
    devices = [
        Ports(device=each.name, ports=ports_of(each), lo=_lo(each.config))
        for each in rendered_devices(snapshot, found)
    ]
    segments = [segment.name for segment in data_segments(snapshot.topology)]
    return allocate(options.name, devices, segments, known=known, mgmt_subnet=options.mgmt_subnet)


def render_lab(snapshot: Snapshot, table: AllocationTable, options: RenderOptions) -> RenderedLab:
    """The lab of a snapshot. All problems of all devices at once; nothing is written here."""
    return _Render(snapshot, table, options).run()


def _lo(config: DeviceConfig) -> str:
    """The interface that becomes `lo`: that one, else the first loopback."""
    loopbacks = [i.name for i in config.interfaces if i.kind is InterfaceKind.LOOPBACK]
    return "lo" if "lo" in loopbacks else next(iter(loopbacks), "")


class _Render:
    """One render: collects notes, problems and files while it goes over devices, then links."""

    def __init__(self, snapshot: Snapshot, table: AllocationTable, options: RenderOptions) -> None:
        self._snapshot = snapshot
        self._table = table
        self._options = options
        self._notes: list[Note] = []
        self._problems = Problems()
        self._files: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._devices = {each.name: each for each in rendered_devices(snapshot, self._notes)}
        self._cabled: set[PortId] = set()
        self._cable_mtus: dict[PortId, int] = {}
        self._tags: dict[tuple[PortId, int], str] = {}

    def run(self) -> RenderedLab:
        cables = [*self._links(), *self._segments(), *self._stubs()]
        nodes = [self._node(each) for each in self._devices.values()]
        nodes += [
            NodeSpec(
                name=self._table.segments[s.name],
                kind=NodeKind.BRIDGE,
                labels=_label(s.name, self._table.segments[s.name]),
            )
            for s in data_segments(self._snapshot.topology)
        ]
        self._problems.stop()
        spec = LabSpec(
            name=self._options.name,
            nodes=tuple(sorted(nodes, key=lambda node: node.name)),
            cables=tuple(cables),
            mgmt=MgmtSpec(ipv4_subnet=self._table.mgmt_subnet),
            source=posixpath.join(self._options.directory, f"{self._options.name}.clab.yml"),
        )
        return RenderedLab(
            spec=spec,
            files=dict(sorted(self._files.items())),
            notes=tuple(self._notes),
            sources=dict(sorted(self._sources.items())),
        )

    # --- cables ---

    def _links(self) -> Iterator[CableSpec]:
        for link in self._snapshot.topology.links:
            if link.role is Role.MGMT or not all(self._usable(port) for port in (link.a, link.b)):
                continue
            taken = [port for port in (link.a, link.b) if port in self._cabled]
            if taken:
                text = f"{link.id}: {taken[0]} has a cable already"
                self._notes.append(Note(kind="skipped", device=taken[0].node, text=text))
                continue
            self._cabled.update((link.a, link.b))
            labels = self._cable_labels(link.a, link.b)
            mtu = max(self._mtu(link.a), self._mtu(link.b))
            self._cable_mtus |= {link.a: mtu, link.b: mtu}
            yield CableSpec(a=self._end(link.a), z=self._end(link.b), mtu=mtu, labels=labels)

    def _segments(self) -> Iterator[CableSpec]:
        used = 0
        for segment in data_segments(self._snapshot.topology):
            bridge = self._table.segments[segment.name]
            for port in segment.ports:
                if not self._usable(port) or port in self._cabled:
                    continue
                self._cabled.add(port)
                used += 1
                near = PortId(bridge, f"seg{used}")
                far = End(port=near, mac=derived_mac(self._options.name, near))
                labels = self._cable_labels(port, None)
                yield CableSpec(a=self._end(port), z=far, mtu=self._mtu(port), labels=labels)

    def _stubs(self) -> Iterator[CableSpec]:
        for each in self._devices.values():
            for interface in each.config.interfaces:
                port = PortId(each.name, interface.name)
                alone = port not in self._cabled and interface.name not in each.mgmt
                if not alone or interface.shutdown or not (interface.ipv4 or interface.ipv6):
                    continue
                if self._table.port(*_key(port)).name == "lo":
                    continue
                labels = self._cable_labels(port, None)
                if below := self._below_tagged(each, interface):
                    yield self._tagged(port, below, interface.vlan or 0, labels)
                    continue
                self._note_stub(each, interface)
                yield CableSpec(a=self._end(port), z=None, mtu=self._mtu(port), labels=labels)

    def _below_tagged(self, device: Rendered, interface: InterfaceConfig) -> PortId | None:
        """The port whose cable a sub-interface's frames cross; None if it has no cable, or the tag is not known."""
        vlan = interface.vlan
        if interface.kind is not InterfaceKind.SUBINTERFACE or vlan is None or vlan not in VLANS:
            return None
        below = PortId(device.name, _below(device, interface)[0])
        if below not in self._cabled:
            return None
        first = self._tags.setdefault((below, vlan), interface.name)
        return below if first == interface.name else None

    def _tagged(self, port: PortId, below: PortId, vlan: int, labels: Mapping[str, str]) -> CableSpec:
        """A sub-interface has its port's MAC, and its MTU where it has none of its own."""
        under = self._table.port(*_key(below))
        return CableSpec(
            a=replace(self._end(port), mac=under.mac),
            z=None,
            mtu=self._devices[port.node].mtu(port.interface) or self._mtu(below),
            labels=labels,
            over=Over(port=under.name, vlan=vlan),
        )

    def _note_stub(self, device: Rendered, interface: InterfaceConfig) -> None:
        made = device.name in self._options.speakers and interface.name.startswith(BEYOND)
        if interface.kind is InterfaceKind.LOOPBACK or made:
            return
        kind, said = "assumed", "nobody behind it is known"
        below = _below(device, interface)
        ports = {i.name for i in device.config.interfaces if i.kind is InterfaceKind.ETHERNET}
        plain = interface.kind is InterfaceKind.SUBINTERFACE and ports.issuperset(below)
        if interface.kind is not InterfaceKind.ETHERNET and not plain:
            kind, said = "approximated", f"a {interface.kind} is not emulated"
        if cabled := [name for name in below if PortId(device.name, name) in self._cabled]:
            # not only unknown: there is somebody, and the address does not reach him
            kind, said = (
                "unsupported",
                f"it is not joined to its ports that have cables ({', '.join(cabled)})",
            )
        text = f"{interface.name} is a stub: {said}"
        self._notes.append(Note(kind=kind, device=device.name, text=text, where=interface.where))

    def _usable(self, port: PortId) -> bool:
        device = self._devices.get(port.node)
        return device is not None and port.interface not in device.mgmt

    def _end(self, port: PortId) -> End:
        allocated = self._table.port(*_key(port))
        device = self._devices[port.node]
        lab = PortId(self._table.node(port.node), allocated.name)
        config = device.interface(port.interface)
        if device.routes or config is None:
            return End(port=lab, mac=allocated.mac)
        return End(
            port=lab,
            mac=allocated.mac,
            ipv4=next(iter(config.ipv4), None),
            ipv6=next(iter(config.ipv6), None),
        )

    def _mtu(self, port: PortId) -> int:
        return self._devices[port.node].mtu(port.interface) or _MTU

    def _cable_labels(self, a: PortId, z: PortId | None) -> dict[str, str]:
        found = {}
        for label, port in (("labctl.a", a), ("labctl.z", z)):
            if port and str(port) != f"{self._table.node(port.node)}:{self._table.port(*_key(port)).name}":
                found[label] = str(port)
        return found

    # --- nodes ---

    def _node(self, device: Rendered) -> NodeSpec:
        entry = self._table.devices[device.name]
        problems = Problems()
        around = Surroundings(
            names={name: port.name for name, port in entry.ports.items()},
            mgmt=device.mgmt,
            speeds_bps=device.speeds_bps,
        )
        config = project(device.config, around, self._notes, problems)
        self._settle(device.name, problems)
        binds = self._write_frr(device, config) if device.routes else ()
        image = self._options.router_image if device.routes else self._options.host_image
        return NodeSpec(
            name=entry.node,
            image=_last(self._options.images, (device.name, entry.node)) or image,
            binds=binds,
            env=self._env(device.name, entry.node),
            exec=tuple(self._exec(device, config)),
            sysctls=_sysctls(config),
            labels=_label(device.name, entry.node) | _lo_label(device.config) | self._speaker(device.name),
            mgmt_ipv4=entry.mgmt_ipv4,
        )

    def _speaker(self, device: str) -> dict[str, str]:
        return {SPEAKER: "static"} if device in self._options.speakers else {}

    def _settle(self, device: str, problems: Problems) -> None:
        """Problems of one device: errors, or notes when the user said so."""
        try:
            problems.stop()
        except LabctlError as found:
            if not self._options.lenient:
                self._problems.extend(found)
                return
            for error in found.each:
                where = error.where or NOWHERE
                self._notes.append(Note(kind="assumed", device=device, text=error.message, where=where))

    def _write_frr(self, device: Rendered, config: DeviceConfig) -> tuple[Bind, ...]:
        node = self._table.node(device.name)
        self._notes.extend(frr_limits(config))
        binds = []
        for target, text in (
            ("/etc/frr/frr.conf", render_frr(config)),
            ("/etc/frr/daemons", render_daemons(config)),
            (TARGET, render_packets(config)),
        ):
            if not text:
                continue
            path = f"{self._options.name}/{node}/{posixpath.basename(target)}"
            self._files[path] = text
            source = posixpath.join(self._options.directory, path)
            binds.append(Bind(source=source, target=target))
        self._sources[f"{self._options.name}/{node}/frr.conf"] = device.name
        return tuple(binds)

    def _env(self, device: str, node: str) -> dict[str, str]:
        return {
            key: value
            for pattern, key, value in self._options.env
            if any(fnmatchcase(name, pattern) for name in (device, node))
        }

    def _exec(self, device: Rendered, config: DeviceConfig) -> Iterator[str]:
        """What neither the link nor FRR sets: differing MTUs, further addresses of hosts, kernel routes."""
        yield from self._mtus(device)
        if not device.routes:
            yield from _host_addresses(config)
        for interface in config.interfaces:
            yield from _virtual_routers(interface)
        for route in config.static_routes:
            if route.kernel or not device.routes:
                yield _ip_route(route)

    def _mtus(self, device: Rendered) -> Iterator[str]:
        """A cable has one MTU, the larger; an end that has a smaller one sets it itself."""
        for name in device.linked:
            near = PortId(device.name, name)
            if self._cable_mtus.get(near, 0) > self._mtu(near):
                yield f"ip link set dev {self._table.port(*_key(near)).name} mtu {self._mtu(near)}"


def _key(port: PortId) -> tuple[str, str]:
    return port.node, port.interface


def _below(device: Rendered, interface: InterfaceConfig) -> list[str]:
    """The ports by which production reaches who is behind an aggregate, a VLAN's interface or a sub-interface."""
    ports = device.config.interfaces
    if interface.kind is InterfaceKind.SUBINTERFACE:
        return [interface.name.rpartition(".")[0]]
    if interface.kind is InterfaceKind.LAG:
        return [port.name for port in ports if port.lag == interface.name]
    if interface.kind is InterfaceKind.SVI:
        return [port.name for port in ports if port.switched]
    return []


def _label(production: str, lab: str) -> dict[str, str]:
    return {} if production == lab else {"labctl.name": production}


def _lo_label(config: DeviceConfig) -> dict[str, str]:
    """A loopback has no cable that could carry its name."""
    name = _lo(config)
    return {"labctl.lo": name} if name not in ("", "lo") else {}


def _last(choices: Sequence[tuple[str, str]], names: Sequence[str]) -> str | None:
    found = [value for pattern, value in choices if any(fnmatchcase(name, pattern) for name in names)]
    return found[-1] if found else None


def _sysctls(config: DeviceConfig) -> dict[str, str]:
    """Forwarding as production has it; no reverse-path filter, which production's routers do not have either."""
    shares = any(interface.virtual_routers for interface in config.interfaces)
    # else a backup answers for the address that it would take over
    own_addresses_only = {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
    return (own_addresses_only if shares else {}) | {
        "net.ipv4.conf.all.rp_filter": "0",
        "net.ipv4.conf.default.rp_filter": "0",
        "net.ipv4.ip_forward": str(int(config.forwarding_v4)),
        "net.ipv6.conf.all.forwarding": str(int(config.forwarding_v6)),
    }


def _host_addresses(config: DeviceConfig) -> Iterator[str]:
    """The first address of each family is on the link; a loopback has no link."""
    for interface in config.interfaces:
        loopback = interface.name == "lo"
        for addresses in (interface.ipv4, interface.ipv6):
            for address in addresses if loopback else addresses[1:]:
                yield f"ip address add {address} dev {interface.name}"
        if interface.shutdown and not loopback:
            yield f"ip link set dev {interface.name} down"


def _virtual_routers(interface: InterfaceConfig) -> Iterator[str]:
    """FRR's VRRP takes a macvlan with the group's MAC and addresses; that it is down on a backup is FRR's doing."""
    for virtual in interface.virtual_routers:
        name = virtual_device(virtual.group, interface.name)
        yield f"ip link add {name} link {interface.name} type macvlan mode bridge"
        yield f"ip link set dev {name} address 00:00:5e:00:01:{virtual.group & 0xFF:02x}"
        for address in virtual.addresses:
            yield f"ip address add {address}/32 dev {name}"
        yield f"ip link set dev {name} up"


def _ip_route(route: StaticRoute) -> str:
    words = ["ip route add"]
    if route.discard:
        words.append("blackhole" if route.discard == "blackhole" else "unreachable")
    words.append(route.prefix)
    if route.next_hop:
        words.append(f"via {route.next_hop}")
    if route.interface:
        words.append(f"dev {route.interface}")
    if route.onlink:
        words.append("onlink")
    return " ".join(words)
