"""From production's configuration to the lab's: what must change so that the shadow behaves the same.

The interfaces get their lab names. What production derives from its hardware and the lab has none of is written down:
OSPF costs from production's speeds, router ids from production's addresses. What a missing policy does in the source
vendor becomes a policy. Management is taken out: the lab has a management network of its own. Everything that was
changed, dropped or assumed is a `Note`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface, ip_address, ip_interface, ip_network
from typing import Final

from labctl.errors import Problems, Span
from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind, StaticRoute
from labctl.model.policy import NOWHERE, Match, MatchKind
from labctl.model.routing import BgpConfig, BgpNeighbor, Election, OspfConfig, OspfInterface, OspfNetworkType
from labctl.names import is_address
from labctl.render.plain import (
    classful_sources,
    connected_of_ospf,
    contributors,
    single_values,
    without_lab_network,
)
from labctl.render.undefined import define_undefined
from labctl.topo.domains import area_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """kind: stripped, skipped, approximated, unsupported, assumed. `device` in production's name, empty for the whole lab."""

    kind: str
    device: str
    text: str
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a projection needs to know of the device beside its configuration, by production's interface names."""

    names: Mapping[str, str]
    mgmt: Collection[str] = ()
    speeds_bps: Mapping[str, float] = field(default_factory=dict)


def project(
    config: DeviceConfig, around: Surroundings, notes: list[Note], problems: Problems
) -> DeviceConfig:
    """The configuration of the lab node, with lab interface names."""
    config = _with_router_ids(config, notes)
    config = _without_management(config, around.mgmt, notes)
    notes.extend(
        _note(config, "stripped", f"{service.kind} (points outwards)", service.where)
        for service in config.outward
    )
    config = _without_other_tables(config, notes)
    config = define_undefined(config)
    config = connected_of_ospf(config)
    config = single_values(classful_sources(_with_contributors(config, notes)))
    config = _areas_by_interface(config, notes)
    config = _with_costs(config, around.speeds_bps)
    config = _with_group_numbers(config, notes)
    return without_lab_network(_renamed(config, around.names, problems), LAB_MGMT)


#: The lab's own management interface. Nothing of production is called so in a lab: the name is reserved.
LAB_MGMT: Final = "eth0"


MOST_GROUPS: Final = 255  # of VRRP, on an interface


def _note(config: DeviceConfig, kind: str, text: str, where: Span) -> Note:
    return Note(kind=kind, device=config.device, text=text, where=where)


# --- management ---


def _without_management(config: DeviceConfig, mgmt: Collection[str], notes: list[Note]) -> DeviceConfig:
    gone = [i for i in config.interfaces if i.mgmt or i.name in mgmt]
    if not gone:
        return config
    names = {interface.name for interface in gone}
    subnets = [ip_network(a, strict=False) for i in gone for a in (*i.ipv4, *i.ipv6)]

    def managed(route: StaticRoute) -> bool:
        hop = ip_address(route.next_hop) if route.next_hop else None
        return route.interface in names or (
            hop is not None and any(hop.version == s.version and hop in s for s in subnets)
        )

    notes.extend(
        _note(config, "stripped", f"management interface {interface.name}", interface.where)
        for interface in gone
    )
    notes.extend(
        _note(config, "stripped", f"static route {route.prefix} through the management network", route.where)
        for route in config.static_routes
        if managed(route)
    )
    return replace(
        config,
        interfaces=tuple(i for i in config.interfaces if i.name not in names),
        static_routes=tuple(r for r in config.static_routes if not managed(r)),
    )


def _without_other_tables(config: DeviceConfig, notes: list[Note]) -> DeviceConfig:
    """Interfaces of VRFs and switched ports keep their cables and lose what would land in the one routing table."""

    def emptied(interface: InterfaceConfig) -> InterfaceConfig:
        why = f"VRF {interface.vrf}" if interface.vrf else "a switched port" if interface.switched else ""
        if not why or not (interface.ipv4 or interface.ipv6 or interface.switched):
            return interface
        if interface.ipv4 or interface.ipv6:
            text = f"{interface.name} belongs to {why}: its addresses are left out"
            notes.append(_note(config, "unsupported", text, interface.where))
        ospf = replace(interface.ospf, area=None, passive=True) if interface.ospf else None
        return replace(interface, ipv4=(), ipv6=(), ospf=ospf)

    return replace(config, interfaces=tuple(emptied(i) for i in config.interfaces))


def _with_contributors(config: DeviceConfig, notes: list[Note]) -> DeviceConfig:
    for family in config.bgp.families if config.bgp else ():
        for aggregate in family.aggregates:
            if aggregate.of_table:
                text = f"aggregate {aggregate.prefix}: what it is made of is in BGP too, and told to nobody"
                notes.append(_note(config, "approximated", text, aggregate.where))
    return contributors(config)


# --- values that production takes from its surroundings ---


def _with_router_ids(config: DeviceConfig, notes: list[Note]) -> DeviceConfig:
    """The rule of every vendor here: the highest loopback address, else the highest address."""
    ospf, bgp = config.ospf, config.bgp
    if (ospf is None or ospf.router_id) and (bgp is None or bgp.router_id):
        return config
    chosen = router_id(config.interfaces)
    if chosen is None:
        notes.append(
            _note(config, "assumed", "no router id, and no IPv4 address to take it from", config.where)
        )
        return config
    notes.append(
        _note(config, "assumed", f"router id {chosen}, by the rule of the highest address", config.where)
    )
    return replace(
        config,
        ospf=replace(ospf, router_id=ospf.router_id or chosen) if ospf else None,
        bgp=replace(bgp, router_id=bgp.router_id or chosen) if bgp else None,
    )


def router_id(interfaces: Collection[InterfaceConfig]) -> str | None:
    up = [i for i in interfaces if not i.shutdown]

    def highest(among: Collection[InterfaceConfig]) -> IPv4Address | None:
        found = [IPv4Interface(a).ip for i in among for a in i.ipv4]
        return max((a for a in found if not a.is_loopback), default=None)

    chosen = highest([i for i in up if i.kind is InterfaceKind.LOOPBACK]) or highest(up)
    return str(chosen) if chosen else None


def _with_costs(config: DeviceConfig, speeds: Mapping[str, float]) -> DeviceConfig:
    """A veth says 10 Gbit/s whatever it stands for, so a cost that follows from the speed is written down."""
    process = config.ospf
    if process is None:
        return config

    def cost(interface: InterfaceConfig) -> InterfaceConfig:
        ospf = interface.ospf
        stated = interface.bandwidth_bps or interface.speed_bps
        speed = stated or speeds.get(interface.name) or interface.nominal_bps
        if not speed and interface.kind is InterfaceKind.SUBINTERFACE:
            speed = speeds.get(interface.name.rpartition(".")[0])
        if ospf is None or ospf.cost is not None or not speed or interface.kind is InterfaceKind.LOOPBACK:
            return interface
        return replace(interface, ospf=replace(ospf, cost=ospf_cost(process, speed)))

    return replace(config, interfaces=tuple(cost(i) for i in config.interfaces))


def ospf_cost(process: OspfConfig, speed_bps: float) -> int:
    exact = process.reference_bandwidth_bps / speed_bps
    return min(65535, max(1, int(exact if process.cost_rounds_down else exact + 0.5)))


def _areas_by_interface(config: DeviceConfig, notes: list[Note]) -> DeviceConfig:
    """`network` lines become areas of interfaces: they would take the lab's management network in, and FRR takes areas
    by `network` or by interface, not both.

    An area of an interface is one of all its addresses.
    """
    process = config.ospf
    if process is None or not process.networks:
        return config

    def placed(interface: InterfaceConfig) -> InterfaceConfig:
        if interface.ospf is None or interface.ospf.area is not None:
            return interface
        found = replace(interface, ospf=replace(interface.ospf, area=area_of(interface, process)))
        outside = [each for each in interface.ipv4 if not _covered(each, process)]
        if found.ospf and found.ospf.area is not None and outside:
            text = f"{', '.join(outside)} of {interface.name} is in OSPF too, whose networks do not name it"
            notes.append(_note(config, "approximated", text, interface.where))
        return found

    return replace(
        config,
        interfaces=tuple(placed(i) for i in config.interfaces),
        ospf=replace(process, networks=()),
    )


def _covered(address: str, process: OspfConfig) -> bool:
    """Does a `network` line name this address?"""
    return any(ip_interface(address).ip in ip_network(each.prefix, strict=False) for each in process.networks)


def _with_group_numbers(config: DeviceConfig, notes: list[Note]) -> DeviceConfig:
    """VRRP's groups are 1 to 255, HSRP's begin at 0, go on to 4095, and on one interface are others than VRRP's.

    The number follows from the groups of the interface alone, so that the routers of a segment choose the same.
    """

    def numbered(interface: InterfaceConfig) -> InterfaceConfig:
        taken: set[int] = set()
        found = []
        for virtual in sorted(
            interface.virtual_routers, key=lambda v: (v.election is Election.HSRP, v.group)
        ):
            number = (virtual.group - 1) % MOST_GROUPS + 1
            while number in taken:
                number = number % MOST_GROUPS + 1
            taken.add(number)
            if number != virtual.group:
                text = f"{interface.name}: {virtual.election.upper()} group {virtual.group} is VRRP group {number}"
                notes.append(_note(config, "approximated", text, interface.where))
            found.append(replace(virtual, group=number))
        return replace(interface, virtual_routers=tuple(found))

    def needed(interface: InterfaceConfig) -> bool:
        numbers = [v.group for v in interface.virtual_routers]
        return len({*numbers}) < len(numbers) or any(not 1 <= n <= MOST_GROUPS for n in numbers)

    return replace(config, interfaces=tuple(numbered(i) if needed(i) else i for i in config.interfaces))


# --- names ---


def _renamed(config: DeviceConfig, names: Mapping[str, str], problems: Problems) -> DeviceConfig:
    def lab(name: str, where: Span, user: str) -> str:
        if name not in names:
            problems.add(
                "undefined-interface",
                f"{user} uses interface {name!r}, which {config.device} does not have",
                where=where,
                hint="--lenient leaves such lines as they are",
            )
        return names.get(name, name)

    return replace(
        config,
        interfaces=tuple(_lab_interface(i, names[i.name]) for i in config.interfaces),
        static_routes=tuple(
            replace(r, interface=lab(r.interface, r.where, f"the route to {r.prefix}")) if r.interface else r
            for r in config.static_routes
        ),
        bgp=_lab_bgp(config.bgp, lab) if config.bgp else None,
        nat=tuple(
            replace(n, interface=lab(n.interface, n.where, "address translation")) if n.interface else n
            for n in config.nat
        ),
        route_maps=tuple(
            replace(
                m,
                entries=tuple(
                    replace(e, matches=tuple(_lab_match(x, names) for x in e.matches)) for e in m.entries
                ),
            )
            for m in config.route_maps
        ),
    )


def _lab_interface(interface: InterfaceConfig, name: str) -> InterfaceConfig:
    said = interface.description
    if name not in (interface.name, "lo"):
        said = f"{interface.name} {said}".rstrip()
    ospf = interface.ospf
    if ospf and ospf.network_type is OspfNetworkType.LOOPBACK and name != "lo":
        ospf = _quiet(ospf, interface.ipv4)
    return replace(interface, name=name, description=said, ospf=ospf)


def _quiet(ospf: OspfInterface, addresses: Collection[str]) -> OspfInterface:
    """A loopback that is no loopback in the lab: no hellos, and a host route whatever its mask says.

    FRR announces the address of an interface alone on point-to-multipoint networks.
    """
    host = all(each.endswith("/32") for each in addresses)
    kind = OspfNetworkType.BROADCAST if host else OspfNetworkType.POINT_TO_MULTIPOINT
    return replace(ospf, network_type=kind, passive=True)


def _lab_bgp(bgp: BgpConfig, lab: Callable[[str, Span, str], str]) -> BgpConfig:
    def renamed(neighbor: BgpNeighbor) -> BgpNeighbor:
        user = f"peer {neighbor.peer}"
        source = neighbor.update_source
        if source and not is_address(source):
            source = lab(source, neighbor.where, user)
        peer = lab(neighbor.peer, neighbor.where, user) if neighbor.unnumbered else neighbor.peer
        return replace(neighbor, peer=peer, update_source=source)

    return replace(bgp, neighbors=tuple(renamed(n) for n in bgp.neighbors))


def _lab_match(match: Match, names: Mapping[str, str]) -> Match:
    """An interface that is nowhere stays: the condition simply never holds, in production as in the lab."""
    if match.kind is not MatchKind.INTERFACE:
        return match
    return replace(match, values=tuple(names.get(v, v) for v in match.values))
