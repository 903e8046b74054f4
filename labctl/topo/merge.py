"""Everything that was read -> the topology. Pure, and in the order of the text:

records -> boxes -> ports -> claims -> segments and cables -> links, with the conflicts of every step collected.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from labctl.model.observation import Claim, Found
from labctl.model.topology import Conflict, Device, Evidence, Interface, Link, Role, Segment, Topology
from labctl.names import PortId
from labctl.topo import checks
from labctl.topo.aggregates import add_lacp, unfold
from labctl.topo.descriptions import descriptions
from labctl.topo.devices import device_of
from labctl.topo.identity import identify
from labctl.topo.inferred import add_inferred, written
from labctl.topo.links import (
    Hypothesis,
    add_kept,
    add_subnets,
    fold_duplicates,
    hypotheses_of,
    kept_segments,
    placed,
    select,
    speakers,
)
from labctl.topo.resolve import Resolved, resolve
from labctl.topo.segments import find_segments
from labctl.topo.sessions import sessions
from labctl.topo.stations import Behind, behind, hosts, stations
from labctl.topo.subnets import subnets
from labctl.topo.world import World, world


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """All that was weighed on the way to a topology: what `merge` keeps the outcome of and `explain` looks into."""

    resolved: Resolved
    devices: tuple[Device, ...]
    world: World
    stations: Mapping[PortId, Behind]
    wired: frozenset[PortId]  # ports with a neighbour row that was placed
    speaks: frozenset[str]
    chosen: tuple[Hypothesis, ...]
    lost: tuple[Hypothesis, ...]
    segments: tuple[Segment, ...]
    conflicts: frozenset[Conflict]


def merge(
    name: str,
    found: Found,
    kept: Topology | None = None,
    stale: Iterable[str] = (),
    *,
    draw_hosts: bool = False,
) -> Topology:
    """Observations and configurations -> devices, links, segments, conflicts.

    `kept` is the earlier snapshot and `stale` names those of its devices that could not be read this time: their
    facts and links stay, and others' rows are resolved against them. draw_hosts: hosts that only forwarding and ARP
    tables know become devices as well.
    """
    return conclude(name, weigh(found, kept, stale), draw_hosts=draw_hosts)


def weigh(found: Found, kept: Topology | None = None, stale: Iterable[str] = ()) -> Weighed:
    gone = frozenset(stale)
    known = identify(found, [device for device in kept.devices if device.name in gone] if kept else [])
    resolved = resolve(known, found.cables)
    devices = _devices(resolved)
    around = world(resolved, devices)
    speaks = speakers(resolved)

    claims = fold_duplicates(placed(resolved), resolved)
    segments, used, off_segment = find_segments(claims, resolved)
    hypotheses = hypotheses_of(claims, used, resolved)
    add_lacp(around, hypotheses, used)
    wired = {port for cable in hypotheses for port in (cable.a, cable.z)} | used
    from_documents, more, off_record = written(resolved, hypotheses, used, speaks)
    segments += more
    add_inferred(from_documents, hypotheses, used)
    add_inferred(sessions(around), hypotheses, used)
    unfold(hypotheses, around.interfaces)
    found_subnets, shared = subnets(devices)
    seen = behind(around)
    bridged = {mac for each in seen.values() for mac, row in each.macs.items() if not row.address}

    def relayed(port: PortId) -> bool:
        return around.interfaces[port].mac in bridged

    segments += add_subnets(found_subnets, hypotheses, used, speaks, relayed)
    taken = _with_aggregates(wired, around)
    add_inferred(stations(around, seen, taken, speaks), hypotheses, used)
    silent = {port for port in around.interfaces if port.node in speaks and port not in taken}
    add_inferred(descriptions(devices, silent), hypotheses, used)
    unfold(hypotheses, around.interfaces)
    if kept is not None:
        add_kept(kept, gone, hypotheses)
        segments += kept_segments(kept, gone, segments)
    chosen, lost = select(hypotheses.values())
    return Weighed(
        resolved=resolved,
        devices=devices,
        world=around,
        stations=seen,
        wired=frozenset(wired),
        speaks=frozenset(speaks),
        chosen=tuple(chosen),
        lost=tuple(lost),
        segments=tuple(segments),
        conflicts=frozenset({*known.conflicts, *resolved.conflicts, *off_segment, *off_record, *shared}),
    )


def _with_aggregates(wired: Iterable[PortId], around: World) -> set[PortId]:
    """Ports with a neighbour, and the aggregates that they are members of."""
    ports = set(wired)
    above = {port: around.interfaces[port].member_of for port in ports if port in around.interfaces}
    return ports | {PortId(port.node, lag) for port, lag in above.items() if lag}


def conclude(name: str, weighed: Weighed, *, draw_hosts: bool = False) -> Topology:
    interfaces = weighed.world.interfaces
    links = [_link(h, interfaces) for h in weighed.chosen]
    devices = list(weighed.devices)
    if draw_hosts:
        used = {end for link in links for end in (link.a, link.b)}
        used |= {port for segment in weighed.segments for port in segment.ports}
        used |= _with_aggregates(weighed.wired | used, weighed.world)
        for device, link in hosts(weighed.world, weighed.stations, used):
            devices.append(device)
            links.append(link)
    conflicts = {
        *weighed.conflicts,
        *checks.rejections(weighed.resolved.boxes),
        *checks.losers(weighed.lost, weighed.chosen),
        *checks.one_sided(weighed.chosen),
        *checks.mismatches(links, interfaces),
    }
    ordered = (replace(c, said=in_order(c.said)) for c in conflicts)
    return Topology(
        name=name,
        devices=tuple(sorted(devices, key=lambda d: (not d.polled, d.name))),
        links=tuple(sorted(links, key=lambda link: (link.a, link.b))),
        segments=tuple(
            replace(s, role=_role(s.ports, interfaces), evidence=in_order(s.evidence))
            for s in sorted(weighed.segments, key=lambda s: s.name)
        ),
        conflicts=tuple(sorted(ordered, key=lambda c: (c.kind, c.subject, c.resolution, *map(str, c.said)))),
    )


def _devices(resolved: Resolved) -> tuple[Device, ...]:
    """Every box as a device; one that nobody walked has the ports that others say it has."""
    claimed: dict[int, set[str]] = defaultdict(set)
    told: dict[tuple[int, str], Claim] = {}
    for claim in (*resolved.claims, *resolved.written):
        if claim.port is not None:
            claimed[claim.device].add(claim.port)
            if claim.remote_device is not None and claim.remote_port is not None:
                claimed[claim.remote_device].add(claim.remote_port)
                if claim.remote_vlan or claim.remote_duplex:
                    told.setdefault((claim.remote_device, claim.remote_port), claim)
    return tuple(
        _as_told(device_of(box, ports, claimed[box.number]), box.number, told)
        for box, ports in zip(resolved.boxes, resolved.ports, strict=True)
    )


def _as_told(device: Device, number: int, told: Mapping[tuple[int, str], Claim]) -> Device:
    """Untagged VLAN and duplex as the neighbour heard them (CDP), where the device itself does not say."""
    if not any((number, i.name) in told for i in device.interfaces):
        return device
    interfaces = []
    for each in device.interfaces:
        claim = told.get((number, each.name))
        if claim is None:
            interfaces.append(each)
        else:
            vlan, duplex = each.vlan or claim.remote_vlan, each.duplex or claim.remote_duplex
            interfaces.append(replace(each, vlan=vlan, duplex=duplex))
    return replace(device, interfaces=tuple(interfaces))


def _link(hypothesis: Hypothesis, interfaces: Mapping[PortId, Interface]) -> Link:
    return Link(
        a=hypothesis.cable.a,
        b=hypothesis.cable.z,
        role=_role((hypothesis.cable.a, hypothesis.cable.z), interfaces),
        two_sided=hypothesis.two_sided,
        confidence=round(hypothesis.confidence, 4),
        evidence=in_order(hypothesis.evidence),
    )


def in_order(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """By source and place, numbers as numbers: the same whatever was read first."""
    return tuple(sorted(evidence, key=lambda e: (e.source, _natural(e.where), e.said, e.rule)))


def _natural(text: str) -> list[tuple[str, int]]:
    return [(word, int(n or 0)) for word, n in re.findall(r"(\D*)(\d{0,18})", text)]


def _role(ports: Iterable[PortId], interfaces: Mapping[PortId, Interface]) -> Role:
    """What is plugged into a management port is management."""
    ends = (interfaces.get(port) for port in ports)
    return Role.MGMT if any(end is not None and end.role is Role.MGMT for end in ends) else Role.DATA
