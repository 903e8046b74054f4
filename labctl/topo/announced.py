"""What removed devices would tell a device at the edge: prefixes by BGP with their AS path, by OSPF with their distance.

Computed from configurations alone, as the shortest walk: policies on the way are not read, nor are attributes other than
the AS path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from ipaddress import ip_interface, ip_network

from labctl.model.config import DeviceConfig, InterfaceConfig
from labctl.model.policy import Afi
from labctl.topo.boundary import Net
from labctl.topo.domains import Kind, Session, area_of


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BgpPrefix:
    """path: AS numbers beyond the edge device's own, the nearest first; route_map: its own for what it originates."""

    prefix: str
    path: tuple[int, ...] = ()
    route_map: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OspfPrefix:
    """address: the removed device's, with the prefix length; cost: from the edge device to it."""

    area: str
    cost: int
    address: str
    origin: str = ""


def by_bgp(
    net: Net, edge: str, removed: frozenset[str], inside: frozenset[str], afi: Afi
) -> tuple[BgpPrefix, ...]:
    """What the edge device tells at least one inside peer, its own included; one path a prefix."""
    outs = [s for s in net.told.get(edge, ()) if s.hears in inside and s.kind in (Kind.EBGP, Kind.IBGP)]
    found: dict[str, BgpPrefix] = {}
    if not outs:
        return ()
    for device, path in _walks(net, edge, removed, outs):
        config = net.configs[device]
        for prefix, route_map in originated(config, afi):
            own = route_map if device == edge else ""
            found.setdefault(prefix, BgpPrefix(prefix=prefix, path=path, route_map=own, origin=device))
    return tuple(sorted(found.values()))


def _walks(
    net: Net, edge: str, removed: frozenset[str], outs: list[Session]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Devices whose routes reach the edge and go on inwards, those with the shortest AS path first."""
    telling = _telling(net, removed)
    yield edge, ()
    nowhere: tuple[int, ...] = ()
    waiting = deque((edge, nowhere, out) for out in outs)
    settled: set[tuple[str, Session]] = set()
    done = {edge}
    while waiting:
        here, path, onward = waiting.popleft()
        if (here, onward) in settled:
            continue
        settled.add((here, onward))
        if here not in done:
            done.add(here)
            yield here, path
        for session in telling.get(here, ()):
            asn = net.asn(session.tells)
            if asn is None or not _passes(session, onward):
                continue
            if session.kind is Kind.IBGP:
                waiting.appendleft((session.tells, path, session))
            elif asn not in path and asn != net.asn(edge):
                waiting.append((session.tells, (*path, asn), session))


def _telling(net: Net, removed: frozenset[str]) -> Mapping[str, list[Session]]:
    """BGP sessions between removed devices, by who hears."""
    found: dict[str, list[Session]] = {}
    for told in net.told.values():
        for s in told:
            if s.kind in (Kind.EBGP, Kind.IBGP) and s.tells in removed and s.hears in removed:
                found.setdefault(s.hears, []).append(s)
    return found


def _passes(heard: Session, onward: Session) -> bool:
    """iBGP does not pass on what iBGP told, unless a client is on one side."""
    return Kind.EBGP in (heard.kind, onward.kind) or heard.from_client or onward.client


def originated(config: DeviceConfig, afi: Afi) -> Iterator[tuple[str, str]]:
    """Prefixes that a device itself brings into BGP and tells, with the route-map that it does so by."""
    version = 4 if afi is Afi.IPV4 else 6
    for family in config.bgp.families if config.bgp else ():
        if family.afi is not afi:
            continue
        single = [(network.prefix, network.route_map) for network in family.networks]
        for source in family.redistribute:
            prefixes: Iterator[str] = iter(())
            if source.source == "connected":
                prefixes = (a for i in config.interfaces if not i.shutdown for a in (*i.ipv4, *i.ipv6))
            elif source.source in ("static", "kernel"):
                prefixes = (r.prefix for r in config.static_routes if r.kernel == (source.source == "kernel"))
            single += [(prefix, source.route_map) for prefix in prefixes]
        whole = [ip_network(a.prefix, strict=False) for a in family.aggregates if a.summary_only]
        yield from ((str(ip_network(a.prefix, strict=False)), "") for a in family.aggregates)
        for prefix, route_map in single:
            found = ip_network(prefix, strict=False)
            hidden = any(w.version == found.version and w != found and found.subnet_of(w) for w in whole)  # type: ignore[arg-type]
            if found.version == version and not found.is_link_local and not found.is_loopback and not hidden:
                yield str(found), route_map


Cost = Callable[[str, InterfaceConfig], int]


def by_ospf(
    net: Net, edge: str, removed: frozenset[str], kept: Collection[str], cost: Cost
) -> tuple[OspfPrefix, ...]:
    """Prefixes that the edge device reaches by OSPF without the inside; kept: its interfaces that stay, as they are."""
    distances = _distances(net, edge, removed, cost)
    own = {
        str(ip_interface(a).network) for i in net.configs[edge].interfaces for a in i.ipv4 if i.name in kept
    }
    found: dict[str, OspfPrefix] = {}
    for device, distance in sorted(distances.items(), key=lambda item: (item[1], item[0])):
        for interface, area in _announced(net.configs[device]):
            for address in interface.ipv4:
                prefix = str(ip_interface(address).network)
                far = OspfPrefix(
                    area=area, cost=distance + cost(device, interface), address=address, origin=device
                )
                if prefix not in own and (prefix not in found or far.cost < found[prefix].cost):
                    found[prefix] = far
    return tuple(sorted(found.values()))


def _announced(config: DeviceConfig) -> Iterator[tuple[InterfaceConfig, str]]:
    for interface in config.interfaces:
        if config.ospf is not None and interface.ospf is not None and not interface.shutdown:
            area = area_of(interface, config.ospf)
            if area is not None:
                yield interface, area


def _distances(net: Net, edge: str, removed: frozenset[str], cost: Cost) -> Mapping[str, int]:
    best = {edge: 0}
    heap = [(0, edge)]
    while heap:
        distance, here = heappop(heap)
        if distance > best[here]:
            continue
        for session in net.told.get(here, ()):
            if session.kind is Kind.OSPF and session.hears in removed:
                interface = net.configs[here].interface(session.ports[0])
                far = distance + cost(here, interface)
                if far < best.get(session.hears, far + 1):
                    best[session.hears] = far
                    heappush(heap, (far, session.hears))
    return best
