"""Who tells routes to whom: the routing sessions of a network as its configurations mean them.

A BGP session is a peer address that a known device has, or an unnumbered peer's link; an OSPF or IS-IS adjacency is two
active interfaces on one subnet or link, in one area. Policies are not read. A device whose configuration is not known
has an `UNKNOWN` session with each of its neighbours: it may pass anything on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network, ip_interface
from itertools import combinations

from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind
from labctl.model.routing import BgpNeighbor, OspfConfig, OspfNetworkType
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Role, Topology
from labctl.names import PortId


class Kind(StrEnum):
    """Of a session. Its value is the word that people read."""

    EBGP = "eBGP"
    IBGP = "iBGP"
    OSPF = "OSPF"
    ISIS = "IS-IS"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Session:
    """One direction of a session: what `tells` knows may become known to `hears`.

    client: `hears` is a route-reflector client of `tells`; from_client: the other way round. loops: an AS path with
    `hears`' own AS in it may be accepted (allowas-in, as-override and the like).
    ports: the two interfaces of an adjacency, empty for BGP.
    """

    tells: str
    hears: str
    kind: Kind
    client: bool = False
    from_client: bool = False
    loops: bool = False
    ports: tuple[str, str] = ("", "")


def sessions(snapshot: Snapshot) -> tuple[Session, ...]:
    """Every session, in both directions, sorted."""
    near = sorted({(a, b) for one, other in neighbours(snapshot.topology) for a, b in _both(one, other)})
    found = {*_unknown(snapshot, near), *_igp(snapshot, near), *_bgp(snapshot, near)}
    return tuple(sorted(found))


def neighbours(topology: Topology) -> Iterator[tuple[PortId, PortId]]:
    """Ports on one wire, without management."""
    for link in topology.links:
        if link.role is not Role.MGMT:
            yield link.a, link.b
    for segment in topology.segments:
        if segment.role is not Role.MGMT:
            yield from combinations(sorted(segment.ports), 2)


def area_of(interface: InterfaceConfig, process: OspfConfig) -> str | None:
    """The OSPF area of an interface: its own, else that of the longest matching `network`."""
    if interface.ospf and interface.ospf.area is not None:
        return interface.ospf.area
    nets = [(IPv4Network(n.prefix, strict=False), n.area) for n in process.networks]
    for address in interface.ipv4:
        inside = [(net.prefixlen, area) for net, area in nets if IPv4Interface(address).ip in net]
        if inside:
            return max(inside)[1]
    return None


def _both(one: PortId, other: PortId) -> tuple[tuple[PortId, PortId], tuple[PortId, PortId]]:
    return (one, other), (other, one)


def _unknown(snapshot: Snapshot, near: list[tuple[PortId, PortId]]) -> Iterator[Session]:
    for a, b in near:
        if a.node != b.node and not (a.node in snapshot.configs and b.node in snapshot.configs):
            yield Session(tells=a.node, hears=b.node, kind=Kind.UNKNOWN)


# --- interior protocols ---


def _igp(snapshot: Snapshot, near: list[tuple[PortId, PortId]]) -> Iterator[Session]:
    """By subnet, which holds for sub-interfaces and VLANs as well, and by link for what has no address."""
    active: dict[PortId, tuple[tuple[Kind, str], ...]] = {}
    wires: dict[str, list[PortId]] = defaultdict(list)
    for name, config in sorted(snapshot.configs.items()):
        for interface in config.interfaces:
            port = PortId(name, interface.name)
            spoken = tuple(_spoken(interface, config))
            if interface.shutdown or interface.mgmt or not spoken:
                continue
            active[port] = spoken
            for at in map(ip_interface, (*interface.ipv4, *interface.ipv6)):
                if at.network.prefixlen < at.max_prefixlen and not at.is_link_local:
                    wires[f"{interface.vrf} {at.network}"].append(port)
    pairs = {
        pair for wire in wires.values() for one, other in combinations(wire, 2) for pair in _both(one, other)
    }
    for a, b in sorted(pairs | set(near)):
        for kind, area in active.get(a, ()):
            if a.node != b.node and (kind, area) in active.get(b, ()):
                yield Session(tells=a.node, hears=b.node, kind=kind, ports=(a.interface, b.interface))


def _spoken(interface: InterfaceConfig, config: DeviceConfig) -> Iterator[tuple[Kind, str]]:
    if interface.kind is InterfaceKind.LOOPBACK:
        return
    ospf = interface.ospf
    if config.ospf and ospf and not ospf.passive and ospf.network_type is not OspfNetworkType.LOOPBACK:
        area = area_of(interface, config.ospf)
        if area is not None:
            yield Kind.OSPF, area
    if config.isis and interface.isis and not interface.isis.passive:
        yield Kind.ISIS, ""


# --- BGP ---


def _bgp(snapshot: Snapshot, near: list[tuple[PortId, PortId]]) -> Iterator[Session]:
    """A session that one side alone configures counts: the other may take it from anybody."""
    owners: dict[str, set[str]] = defaultdict(set)
    for name, config in snapshot.configs.items():
        for address in config.addresses:
            owners[address].add(name)
    behind: dict[PortId, set[str]] = defaultdict(set)
    for a, b in near:
        behind[a].add(b.node)
    for name, config in sorted(snapshot.configs.items()):
        for neighbor in config.bgp.neighbors if config.bgp else ():
            for other in sorted(peers_of(name, neighbor, owners, behind) - {name}):
                their = snapshot.configs[other].bgp if other in snapshot.configs else None
                if config.bgp is None or their is None or neighbor.shutdown:
                    continue
                back = next((n for n in their.neighbors if name in peers_of(other, n, owners, behind)), None)
                kind = Kind.IBGP if config.bgp.asn == their.asn else Kind.EBGP
                yield from _session(name, other, kind, neighbor, back)


def peers_of(
    device: str,
    neighbor: BgpNeighbor,
    owners: Mapping[str, set[str]],
    behind: Mapping[PortId, set[str]],
) -> set[str]:
    """The known devices that a neighbour statement may mean."""
    if neighbor.unnumbered:
        return set(behind.get(PortId(device, neighbor.peer), ()))
    return set(owners.get(neighbor.peer, ()))


def _session(
    one: str, other: str, kind: Kind, neighbor: BgpNeighbor, back: BgpNeighbor | None
) -> Iterator[Session]:
    """Both directions; `back` is what the other side says of it."""
    client, from_client = _reflects(neighbor), back is not None and _reflects(back)
    there, here = _loops(neighbor, back), _loops(back, neighbor)
    yield Session(tells=one, hears=other, kind=kind, client=client, from_client=from_client, loops=there)
    yield Session(tells=other, hears=one, kind=kind, client=from_client, from_client=client, loops=here)


def _reflects(neighbor: BgpNeighbor) -> bool:
    return any(f.route_reflector_client for f in neighbor.families)


def _loops(sender: BgpNeighbor | None, receiver: BgpNeighbor | None) -> bool:
    """Whether a route may come back into the AS that it came from."""
    changed = sender is not None and (
        sender.local_as is not None or any(f.as_override or f.remove_private_as for f in sender.families)
    )
    lenient = receiver is not None and (
        receiver.local_as is not None or any(f.allowas_in is not None for f in receiver.families)
    )
    return changed or lenient
