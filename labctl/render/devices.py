"""Which devices of a snapshot a lab gets, and what is known of each from configuration and topology together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind
from labctl.model.policy import Action, UndefinedPolicies
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Interface, Role, Segment, Topology
from labctl.render.project import Note

_DENY = UndefinedPolicies(
    route_map=Action.DENY,
    prefix_list=Action.DENY,
    access_list=Action.DENY,
    as_path_list=Action.DENY,
    match=Action.DENY,
)
_KINDS = {
    "loopback": InterfaceKind.LOOPBACK,
    "lag": InterfaceKind.LAG,
    "svi": InterfaceKind.SVI,
    "subinterface": InterfaceKind.SUBINTERFACE,
    "bridge": InterfaceKind.BRIDGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A device that becomes a node. `config` is the known one, or what the topology tells of its interfaces."""

    name: str
    config: DeviceConfig
    mgmt: frozenset[str]
    linked: tuple[str, ...] = ()
    speeds_bps: dict[str, float] = field(default_factory=dict)
    mtus: dict[str, int] = field(default_factory=dict)

    @property
    def routes(self) -> bool:
        """Whether it needs a router's image: a routing daemon or a packet filter has something to do."""
        config = self.config
        by_daemon = any(not route.kernel for route in config.static_routes)
        gateway = any(i.virtual_routers or i.filter_in or i.filter_out for i in config.interfaces)
        return bool(
            config.ospf
            or config.isis
            or config.bgp
            or config.fib_policies
            or by_daemon
            or gateway
            or config.nat
        )

    def interface(self, name: str) -> InterfaceConfig | None:
        return next((i for i in self.config.interfaces if i.name == name), None)

    def mtu(self, name: str) -> int | None:
        """The configuration's word, else what the device told."""
        interface = self.interface(name)
        return interface.mtu if interface and interface.mtu else self.mtus.get(name)


def rendered_devices(snapshot: Snapshot, notes: list[Note]) -> Iterator[Rendered]:
    """In the topology's order, then devices of which only a configuration is known."""
    configs = snapshot.configs
    listed = {device.name: device for device in snapshot.topology.devices}
    data, mgmt = _linked_ports(snapshot.topology)
    for name in [*listed, *sorted(set(configs) - set(listed))]:
        found = _rendered(name, listed.get(name), configs.get(name), data[name], mgmt[name])
        if mgmt[name] and not found.linked and not found.routes:
            notes.append(Note(kind="skipped", device=name, text="it is on the management network only"))
            continue
        if name not in configs:
            text = "no configuration is known: a host without routing"
            notes.append(Note(kind="assumed", device=name, text=text))
        yield found


def _linked_ports(topology: Topology) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Device -> its ports on data links and segments; device -> its ports on management links."""
    data: dict[str, list[str]] = defaultdict(list)
    mgmt: dict[str, list[str]] = defaultdict(list)
    for link in topology.links:
        for end in (link.a, link.b):
            (mgmt if link.role is Role.MGMT else data)[end.node].append(end.interface)
    for segment in topology.segments:
        for port in segment.ports:
            (mgmt if segment.role is Role.MGMT else data)[port.node].append(port.interface)
    return data, mgmt


def data_segments(topology: Topology) -> tuple[Segment, ...]:
    """The segments that become part of the lab: it has a management network of its own."""
    return tuple(segment for segment in topology.segments if segment.role is not Role.MGMT)


def ports_of(device: Rendered) -> tuple[str, ...]:
    """All ports that need a lab name, in configuration order, then those that only the topology knows."""
    configured = [i.name for i in device.config.interfaces if i.name not in device.mgmt]
    return tuple(dict.fromkeys((*configured, *device.linked)))


def _rendered(
    name: str, device: Device | None, config: DeviceConfig | None, data: list[str], mgmt: list[str]
) -> Rendered:
    known = device.interfaces if device else ()
    config = config or _from_topology(name, device)
    managed = {i.name for i in known if i.role is Role.MGMT} | {i.name for i in config.interfaces if i.mgmt}
    managed |= set(mgmt)
    return Rendered(
        name=name,
        config=config,
        mgmt=frozenset(managed),
        linked=tuple(dict.fromkeys(port for port in data if port not in managed)),
        speeds_bps={i.name: i.speed_bps for i in known if i.speed_bps},
        mtus={i.name: i.mtu for i in known if i.mtu and i.mtu <= 65535},
    )


def _from_topology(name: str, device: Device | None) -> DeviceConfig:
    interfaces = device.interfaces if device else ()
    return DeviceConfig(
        device=name,
        hostname=name,
        dialect="",
        undefined=_DENY,
        forwarding_v4=False,
        forwarding_v6=False,
        interfaces=tuple(_interface(i) for i in interfaces),
    )


def _interface(found: Interface) -> InterfaceConfig:
    return InterfaceConfig(
        name=found.name,
        kind=_KINDS.get(found.kind, InterfaceKind.ETHERNET),
        description=found.description,
        ipv4=tuple(a for a in found.addresses if ":" not in a),
        ipv6=tuple(a for a in found.addresses if ":" in a and not a.lower().startswith("fe80")),
        mtu=found.mtu,
        shutdown=found.admin_up is False,
        mgmt=found.role is Role.MGMT,
    )
