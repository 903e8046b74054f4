"""What the ends of one wire must share and do not: MTU, VLANs, and all that keeps an adjacency of OSPF or IS-IS from coming up.

A wire is a cable, a VLAN that both ends of a cable have a sub-interface for, or a segment. Of each, every end says what it
has; where not all say the same, that is a finding with what each says and its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Final

from labctl.model.config import DeviceConfig, InterfaceConfig
from labctl.model.isis import IsisLevel
from labctl.model.routing import AreaKind, Auth, OspfInterface
from labctl.model.topology import Conflict, Evidence, Topology
from labctl.names import PortId
from labctl.topo.domains import area_of

ETHERNET: Final = 1500  # bytes, where nobody says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One interface at a wire, with the configuration that it is of."""

    port: PortId
    config: DeviceConfig
    interface: InterfaceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """`compared`: the merge has compared what the ends state (MTU) already."""

    subject: str
    ends: tuple[End, ...]
    compared: bool = False


def finding(kind: str, subject: str, sides: tuple[tuple[str, str], ...], meaning: str) -> Conflict:
    """sides: (place, what is said there)."""
    return Conflict(
        kind=kind,
        subject=subject,
        said=tuple(Evidence(source="config", where=where, said=said) for where, said in sides),
        resolution=meaning,
    )


def on_wires(topology: Topology, configs: Mapping[str, DeviceConfig]) -> Iterator[Conflict]:
    known = {c.subject for c in topology.conflicts if c.kind == "mtu-mismatch"}
    for wire in wires(topology, configs):
        if not (wire.compared and wire.subject in known):
            yield from _differ(
                wire.subject,
                [(end, _mtu(end)) for end in wire.ends],
                "mtu-mismatch",
                "large packets are lost; OSPF stays in EXSTART",
            )
        yield from _ospf(wire)
        yield from _isis(wire)
    yield from _vlans(topology, configs)


def wires(topology: Topology, configs: Mapping[str, DeviceConfig]) -> Iterator[Wire]:
    """All wires that at least two known configurations are at."""
    for link in topology.links:
        ends = _ends(configs, (link.a, link.b))
        if len(ends) == 2:
            yield Wire(subject=str(link.id), ends=ends, compared=True)
            for one, other in _below(ends):
                if one.interface.vlan == other.interface.vlan:
                    yield Wire(subject=f"{one.port}--{other.port}", ends=(one, other))
    for segment in topology.segments:
        ends = _ends(configs, segment.ports)
        if len(ends) > 1:
            yield Wire(subject=segment.name, ends=ends)


def _ends(configs: Mapping[str, DeviceConfig], ports: tuple[PortId, ...]) -> tuple[End, ...]:
    found = ((port, configs.get(port.node)) for port in ports)
    return tuple(
        End(port=port, config=config, interface=interface)
        for port, config in found
        for interface in (config.interfaces if config else ())
        if config and interface.name == port.interface
    )


def _below(ends: tuple[End, ...]) -> Iterator[tuple[End, End]]:
    """Pairs of sub-interfaces with a VLAN above the two ends of a cable."""
    one, other = (
        [
            End(port=PortId(end.port.node, i.name), config=end.config, interface=i)
            for i in end.config.interfaces
            if i.vlan is not None and i.name.startswith(f"{end.interface.name}.")
        ]
        for end in ends
    )
    yield from ((a, b) for a in one for b in other)


def _differ(subject: str, said: list[tuple[End, str]], kind: str, meaning: str) -> Iterator[Conflict]:
    if len({text for _, text in said}) > 1:
        sides = tuple((str(end.interface.where), f"{end.port}: {text}") for end, text in said)
        yield finding(kind, subject, sides, meaning)


def _mtu(end: End) -> str:
    """Ends that state Ethernet's own MTU and ends that state none have the same."""
    mtu = end.interface.mtu
    return f"MTU {ETHERNET}" if mtu in (None, ETHERNET) else f"MTU {mtu}"


def _vlans(topology: Topology, configs: Mapping[str, DeviceConfig]) -> Iterator[Conflict]:
    """Sub-interfaces of one subnet at the two ends of a cable, in different VLANs."""
    for link in topology.links:
        ends = _ends(configs, (link.a, link.b))
        if len(ends) != 2:
            continue
        for one, other in _below(ends):
            if one.interface.vlan != other.interface.vlan and _subnets(one) & _subnets(other):
                said = [(end, f"VLAN {end.interface.vlan}") for end in (one, other)]
                yield from _differ(
                    f"{one.port}--{other.port}", said, "vlan-mismatch", "the two do not hear each other"
                )


def _subnets(end: End) -> set[str]:
    return {str(IPv4Interface(address).network) for address in end.interface.ipv4}


# -- OSPF -------------------------------------------------------------------------------------------------------


def _ospf(wire: Wire) -> Iterator[Conflict]:
    speaking = [(end, end.interface.ospf) for end in wire.ends if end.config.ospf]
    ends = [(end, ospf) for end, ospf in speaking if ospf and not ospf.passive and _area(end) is not None]
    said: tuple[tuple[str, Callable[[End, OspfInterface], str]], ...] = (
        ("area-mismatch", lambda end, _: f"area {_area(end)}{_area_kind(end)}"),
        ("timer-mismatch", lambda _, ospf: _timers(ospf)),
        ("auth-mismatch", _auth),
        ("network-type-mismatch", lambda _, ospf: _type(ospf)),
    )
    for kind, says in said:
        each = [(end, says(end, ospf)) for end, ospf in ends]
        yield from _differ(wire.subject, each, kind, "no OSPF adjacency comes up")


def _area(end: End) -> str | None:
    return area_of(end.interface, end.config.ospf) if end.config.ospf else None


def _area_kind(end: End) -> str:
    areas = end.config.ospf.areas if end.config.ospf else ()
    kind = next((area.kind for area in areas if area.id == _area(end)), AreaKind.NORMAL)
    return "" if kind is AreaKind.NORMAL else f" ({kind})"


def _timers(ospf: OspfInterface) -> str:
    if ospf.hello_multiplier:
        return f"{ospf.hello_multiplier} hellos a second, dead after 1 s"
    return f"hello {ospf.hello_s} s, dead {ospf.dead_s} s"


def _auth(end: End, ospf: OspfInterface) -> str:
    """What holds: the interface's own, else its area's; keys that it does not use are left over. Equal keys are equal tokens."""
    areas = end.config.ospf.areas if end.config.ospf else ()
    how = ospf.auth or next((area.auth for area in areas if area.id == _area(end)), None) or Auth.NONE
    if how is Auth.MD5:
        keys = ", ".join(f"key {number} ({token})" for number, token in sorted(ospf.md5_keys))
        return f"authentication {how}: {keys or 'no key'}"
    if how is Auth.TEXT:
        return f"authentication {how}, text key {ospf.text_key}"
    return "no authentication"


def _type(ospf: OspfInterface) -> str:
    """What matters is whether a designated router is elected."""
    point = "point-to-point" in str(ospf.network_type) or "point-to-multipoint" in str(ospf.network_type)
    return "without a designated router" if point else "with a designated router"


# -- IS-IS ------------------------------------------------------------------------------------------------------

_LEVELS: Final = {
    IsisLevel.ONE: frozenset({1}),
    IsisLevel.TWO: frozenset({2}),
    IsisLevel.BOTH: frozenset({1, 2}),
}


def _isis(wire: Wire) -> Iterator[Conflict]:
    """Ends that share no level (level 1 only within an area), or of which one elects and the other does not."""
    ends = [end for end in wire.ends if end.config.isis and end.interface.isis]
    ends = [end for end in ends if end.interface.isis and not end.interface.isis.passive]
    meaning = "no IS-IS adjacency comes up"
    if any(not _meet(one, other) for n, one in enumerate(ends) for other in ends[n + 1 :]):
        yield from _differ(wire.subject, [(end, _reach(end)) for end in ends], "area-mismatch", meaning)
    points = [(end, _election(end)) for end in ends]
    yield from _differ(wire.subject, points, "network-type-mismatch", meaning)


def _meet(one: End, other: End) -> bool:
    both = _levels(one) & _levels(other)
    return 2 in both or (1 in both and bool(_isis_areas(one) & _isis_areas(other)))


def _levels(end: End) -> frozenset[int]:
    return _LEVELS[end.interface.isis.level] if end.interface.isis else frozenset()


def _isis_areas(end: End) -> set[str]:
    """`49.0001.0000.0000.0001.00` is of area 49.0001."""
    return {net.rsplit(".", 4)[0] for net in end.config.isis.net} if end.config.isis else set()


def _reach(end: End) -> str:
    levels = " and ".join(map(str, sorted(_levels(end))))
    return f"level {levels} in area {', '.join(sorted(_isis_areas(end))) or 'none'}"


def _election(end: End) -> str:
    point = end.interface.isis is not None and end.interface.isis.point_to_point
    return "point-to-point" if point else "broadcast"
