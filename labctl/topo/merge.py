"""Everything that was read -> the topology. Pure, and in the order of the text:

records -> boxes -> ports -> claims -> segments and cables -> links, with the conflicts of every step collected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from labctl.model.observation import Found
from labctl.model.topology import Device, Interface, Link, Role, Topology
from labctl.names import PortId
from labctl.topo import checks
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
from labctl.topo.subnets import subnets


def merge(name: str, found: Found, kept: Topology | None = None, stale: Iterable[str] = ()) -> Topology:
    """Observations and configurations -> devices, links, segments, conflicts.

    `kept` is the earlier snapshot and `stale` names those of its devices that could not be read this time: their
    facts and links stay, and others' rows are resolved against them.
    """
    gone = frozenset(stale)
    known = identify(found, [device for device in kept.devices if device.name in gone] if kept else [])
    resolved = resolve(known, found.cables)
    devices = _devices(resolved)
    interfaces = {PortId(d.name, i.name): i for d in devices for i in d.interfaces}

    claims = fold_duplicates(placed(resolved), resolved)
    segments, used, off_segment = find_segments(claims, resolved)
    hypotheses = hypotheses_of(claims, used, resolved)
    speaks = speakers(resolved)
    from_documents, more, off_record = written(resolved, hypotheses, used, speaks)
    segments += more
    add_inferred(from_documents, hypotheses, used)
    found_subnets, shared = subnets(devices)
    segments += add_subnets(found_subnets, hypotheses, used, speaks)
    if kept is not None:
        add_kept(kept, gone, hypotheses)
        segments += kept_segments(kept, gone, segments)
    chosen, lost = select(hypotheses.values())
    links = [_link(h, interfaces) for h in chosen]
    conflicts = {
        *known.conflicts,
        *resolved.conflicts,
        *off_segment,
        *off_record,
        *shared,
        *checks.rejections(resolved.boxes),
        *checks.losers(lost, chosen),
        *checks.one_sided(chosen),
        *checks.mismatches(links, interfaces),
    }
    return Topology(
        name=name,
        devices=tuple(sorted(devices, key=lambda d: (not d.polled, d.name))),
        links=tuple(sorted(links, key=lambda link: (link.a, link.b))),
        segments=tuple(
            replace(s, role=_role(s.ports, interfaces)) for s in sorted(segments, key=lambda s: s.name)
        ),
        conflicts=tuple(sorted(conflicts, key=lambda c: (c.kind, c.subject, c.resolution))),
    )


def _devices(resolved: Resolved) -> tuple[Device, ...]:
    """Every box as a device; one that nobody walked has the ports that others say it has."""
    claimed: dict[int, set[str]] = defaultdict(set)
    for claim in (*resolved.claims, *resolved.written):
        if claim.port is not None:
            claimed[claim.device].add(claim.port)
            if claim.remote_device is not None and claim.remote_port is not None:
                claimed[claim.remote_device].add(claim.remote_port)
    return tuple(
        device_of(box, ports, () if ports.kinds else claimed[box.number])
        for box, ports in zip(resolved.boxes, resolved.ports, strict=True)
    )


def _link(hypothesis: Hypothesis, interfaces: Mapping[PortId, Interface]) -> Link:
    return Link(
        a=hypothesis.cable.a,
        b=hypothesis.cable.z,
        role=_role((hypothesis.cable.a, hypothesis.cable.z), interfaces),
        two_sided=hypothesis.two_sided,
        confidence=round(hypothesis.confidence, 4),
        evidence=tuple(hypothesis.evidence),
    )


def _role(ports: Iterable[PortId], interfaces: Mapping[PortId, Interface]) -> Role:
    """What is plugged into a management port is management."""
    ends = (interfaces.get(port) for port in ports)
    return Role.MGMT if any(end is not None and end.role is Role.MGMT for end in ends) else Role.DATA
