"""Static speakers: devices at the edge of a scope, which say what all that was removed would say, and never react.

A speaker keeps its name, AS, router id, its addresses on the wires with the inside and its loopbacks, and its sessions
with inside devices. By BGP it believes nothing and tells what `labctl.topo.announced` computes. By OSPF it takes part,
as the protocol asks of everybody, with the prefixes behind it as stubs (`beyond-…` interfaces) at their distance. It has
no default route and translates no addresses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind, StaticRoute
from labctl.model.policy import Action, Afi, RouteMap, RouteMapEntry, SetAction, SetKind
from labctl.model.routing import (
    BgpConfig,
    BgpFamily,
    BgpNeighbor,
    BgpNetwork,
    OspfConfig,
    OspfInterface,
    OspfNetworkType,
)
from labctl.model.snapshot import Snapshot
from labctl.names import PortId
from labctl.render.lab import BEYOND
from labctl.render.project import Note, ospf_cost
from labctl.topo.announced import BgpPrefix, OspfPrefix, by_bgp, by_ospf
from labctl.topo.boundary import Net
from labctl.topo.domains import Kind, area_of, neighbours, peers_of
from labctl.topo.scope import Scope, within

_NOTHING = "labctl-nothing"
_COST = 10  # of an interface whose speed nobody says: FRR's own answer to that


def with_speakers(snapshot: Snapshot, scope: Scope) -> tuple[Snapshot, tuple[Note, ...]]:
    """The part of production that the lab gets, and what stands for the rest. Everything inside: unchanged."""
    part = within(snapshot, scope)
    if not scope.removed:
        return part, ()
    maker = _Maker(snapshot, part, scope)
    made = {name: maker.speaker(part.configs[name]) for name in scope.edge if name in part.configs}
    notes = [*maker.notes, *_unconfigured(scope, part), *_lost(maker.net, scope)]
    return replace(part, configs={**part.configs, **made}), tuple(notes)


def _unconfigured(scope: Scope, part: Snapshot) -> Iterator[Note]:
    for name in scope.edge:
        if name not in part.configs:
            text = "static speaker without a known configuration: it announces nothing"
            yield Note(kind="approximated", device=name, text=text)


def _lost(net: Net, scope: Scope) -> Iterator[Note]:
    """Sessions of inside devices with somebody who is neither inside nor at the edge."""
    for name in scope.inside:
        for session in net.told.get(name, ()):
            if session.hears in scope.out and session.kind is not Kind.UNKNOWN:
                text = f"its {session.kind} session with {session.hears} is cut: {session.hears} is not in the lab"
                yield Note(kind="skipped", device=name, text=text)


class _Maker:
    def __init__(self, snapshot: Snapshot, part: Snapshot, scope: Scope) -> None:
        self.net = Net.of(snapshot)
        self.notes: list[Note] = []
        self._inside = frozenset(scope.inside)
        self._removed = scope.removed & set(snapshot.configs)
        self._owners = {
            a.partition("/")[0]: {name}
            for name in scope.inside
            if name in snapshot.configs
            for i in snapshot.configs[name].interfaces
            for a in (*i.ipv4, *i.ipv6)
        }
        self._peers = {
            neighbor.peer
            for name in scope.inside
            if name in snapshot.configs and (bgp := snapshot.configs[name].bgp)
            for neighbor in bgp.neighbors
        }
        self._behind: dict[PortId, set[str]] = defaultdict(set)
        for one, other in neighbours(part.topology):
            self._behind[one].add(other.node)
            self._behind[other].add(one.node)
        self._speeds = {
            (d.name, i.name): i.speed_bps
            for d in snapshot.topology.devices
            for i in d.interfaces
            if i.speed_bps
        }

    def speaker(self, config: DeviceConfig) -> DeviceConfig:
        name = config.device
        greets = self._greets(name, Kind.OSPF)
        kept = tuple(self._kept(config))
        stay = {interface.name for interface in kept}
        beyond = by_ospf(self.net, name, self._removed, stay, self._cost) if greets else ()
        told = {
            afi: by_bgp(self.net, name, self._removed, self._inside, afi) if config.bgp else () for afi in Afi
        }
        bgp = self._bgp(config, config.bgp, told) if config.bgp else None
        self._note(config, told, beyond)
        return replace(
            config,
            interfaces=(*kept, *_stubs(beyond)),
            static_routes=tuple(r for r in config.static_routes if _inwards(r, kept)),
            ospf=_ospf(config.ospf) if config.ospf else None,
            bgp=bgp,
            route_maps=(*config.route_maps, *_route_maps(told)) if bgp else config.route_maps,
            packet_filters=(),
            nat=(),
            fib_policies=(),
        )

    def _note(
        self, config: DeviceConfig, told: dict[Afi, tuple[BgpPrefix, ...]], beyond: tuple[OspfPrefix, ...]
    ) -> None:
        bgp = sum(len(each) for each in told.values())
        behind = {p.origin for each in told.values() for p in each} | {p.origin for p in beyond}
        said = f"static speaker: tells {bgp} prefixes by BGP and {len(beyond)} by OSPF"
        others = len(behind - {config.device})
        text = f"{said}, for {others} removed devices and itself, and does not react"
        self.notes.append(Note(kind="approximated", device=config.device, text=text, where=config.where))
        for what in self._silent(config):
            text = f"static speaker: {what}"
            self.notes.append(Note(kind="unsupported", device=config.device, text=text, where=config.where))

    def _greets(self, device: str, kind: Kind) -> bool:
        return any(s.kind is kind and s.hears in self._inside for s in self.net.told.get(device, ()))

    def _silent(self, config: DeviceConfig) -> Iterator[str]:
        if config.ospf and config.ospf.redistribute and self._greets(config.device, Kind.OSPF):
            yield "what it redistributes into OSPF is not announced"
        if self._greets(config.device, Kind.ISIS):
            yield "what is behind it in IS-IS is not announced"

    def _kept(self, config: DeviceConfig) -> Iterator[InterfaceConfig]:
        """Those on wires with the inside, their sub-interfaces, the loopbacks, and what sessions are bound to."""
        wired = {port.interface for port in self._behind if port.node == config.device}
        inwards = (n for n in (config.bgp.neighbors if config.bgp else ()) if self._inwards(config, n))
        bound = self._peers | {n.update_source for n in inwards}
        for interface in config.interfaces:
            parent = interface.name.rpartition(".")[0]
            own = {interface.name, *(a.partition("/")[0] for a in (*interface.ipv4, *interface.ipv6))}
            if interface.kind is InterfaceKind.LOOPBACK or {interface.name, parent} & wired or own & bound:
                ospf = interface.ospf
                if ospf is not None and config.ospf is not None:
                    ospf = replace(ospf, area=area_of(interface, config.ospf))
                yield replace(interface, ospf=ospf, filter_in="", filter_out="", nat="")

    def _cost(self, device: str, interface: InterfaceConfig) -> int:
        process, ospf = self.net.configs[device].ospf, interface.ospf
        if ospf is not None and ospf.cost is not None:
            return ospf.cost
        if interface.kind is InterfaceKind.LOOPBACK:
            return 0
        stated = interface.bandwidth_bps or interface.speed_bps
        speed = stated or self._speeds.get((device, interface.name)) or interface.nominal_bps
        return ospf_cost(process, speed) if process is not None and speed else _COST

    def _inwards(self, config: DeviceConfig, neighbor: BgpNeighbor) -> bool:
        return bool(peers_of(config.device, neighbor, self._owners, self._behind) & self._inside)

    def _bgp(self, config: DeviceConfig, bgp: BgpConfig, told: dict[Afi, tuple[BgpPrefix, ...]]) -> BgpConfig:
        return replace(
            bgp,
            network_import_check=False,
            neighbors=tuple(_deaf(n) for n in bgp.neighbors if self._inwards(config, n)),
            families=tuple(_family(family, told[family.afi]) for family in bgp.families),
        )


# --- BGP ---


def _deaf(neighbor: BgpNeighbor) -> BgpNeighbor:
    """It believes nothing: what it was told would compete with what it is to say."""
    families = (
        replace(f, route_map_in=_NOTHING, prefix_list_in="", as_path_list_in="", access_list_in="")
        for f in neighbor.families
    )
    return replace(neighbor, families=tuple(families))


def _family(family: BgpFamily, told: tuple[BgpPrefix, ...]) -> BgpFamily:
    networks = (BgpNetwork(prefix=p.prefix, route_map=_map_name(p.path) or p.route_map) for p in told)
    return replace(
        family, networks=tuple(networks), aggregates=(), redistribute=(), table_map="", dampening=None
    )


def _map_name(path: tuple[int, ...]) -> str:
    return "-".join(("labctl-path", *map(str, path))) if path else ""


def _route_maps(told: dict[Afi, tuple[BgpPrefix, ...]]) -> Iterator[RouteMap]:
    yield RouteMap(name=_NOTHING, entries=(RouteMapEntry(seq=10, action=Action.DENY),))
    for path in sorted({p.path for each in told.values() for p in each if p.path}):
        longer = SetAction(kind=SetKind.AS_PATH_PREPEND, values=tuple(map(str, path)))
        entry = RouteMapEntry(seq=10, action=Action.PERMIT, sets=(longer,))
        yield RouteMap(name=_map_name(path), entries=(entry,))


# --- OSPF and static routes ---


def _ospf(process: OspfConfig) -> OspfConfig:
    """Areas are on the interfaces by now. Only what it says without having heard anything stays."""
    default = process.default_originate
    return replace(
        process,
        networks=(),
        redistribute=(),
        summaries=(),
        areas=tuple(replace(a, virtual_links=()) for a in process.areas),
        default_originate=default if default is not None and default.always else None,
    )


def _stubs(beyond: tuple[OspfPrefix, ...]) -> Iterator[InterfaceConfig]:
    """One interface for all prefixes at one distance in one area."""
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for each in beyond:
        groups[each.area, each.cost].append(each.address)
    for (zone, cost), addresses in sorted(groups.items()):
        yield InterfaceConfig(
            name=f"{BEYOND}{zone}-{cost}",
            description="what was removed, at its distance",
            ipv4=tuple(addresses),
            ospf=_quiet(zone, cost),
        )


def _quiet(zone: str, cost: int) -> OspfInterface:
    """Announced and greeted by nobody."""
    return OspfInterface(
        area=zone,
        cost=max(1, min(cost, 65535)),
        hello_s=10,
        dead_s=40,
        hello_multiplier=None,
        retransmit_s=5,
        transmit_delay_s=1,
        network_type=OspfNetworkType.BROADCAST,
        passive=True,
        priority=1,
        mtu_ignore=False,
        bfd=False,
    )


def _inwards(route: StaticRoute, kept: tuple[InterfaceConfig, ...]) -> bool:
    """A static route to the inside; never a default route."""
    if ip_network(route.prefix, strict=False).prefixlen == 0 or route.discard:
        return False
    if route.interface:
        return route.interface in {i.name for i in kept}
    hop = ip_address(route.next_hop) if route.next_hop else None
    nets = [ip_network(a, strict=False) for i in kept for a in (*i.ipv4, *i.ipv6)]
    return hop is not None and any(hop.version == net.version and hop in net for net in nets)
