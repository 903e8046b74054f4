"""Which part of production a lab is of: the devices inside, and those at its edge that stand in for the rest.

*Inside* is what was asked for, emulated whole. The *edge* is every other device on a wire with one of them; it becomes a
static speaker (`labctl.render.speakers`). What is further away is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import networkx as nx

from labctl.errors import LabctlError, Span, did_you_mean
from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.model.scenario import Draw, Kind, Query
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Role
from labctl.names import PortId
from labctl.topo.domains import neighbours
from labctl.topo.graph import SEGMENT, graph
from labctl.topo.query import Graph, select


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Production's names, sorted. out: neither inside nor at the edge."""

    inside: tuple[str, ...]
    edge: tuple[str, ...]
    out: tuple[str, ...]

    @property
    def removed(self) -> frozenset[str]:
        return frozenset((*self.edge, *self.out))


def devices_of(snapshot: Snapshot) -> tuple[str, ...]:
    """All devices, those of which only a configuration is known included."""
    return tuple(sorted({d.name for d in snapshot.topology.devices} | set(snapshot.configs)))


def scope_of(snapshot: Snapshot, inside: Collection[str]) -> Scope:
    chosen = frozenset(inside)
    edge: set[str] = set()
    for a, b in neighbours(snapshot.topology):
        if (a.node in chosen) != (b.node in chosen):
            edge.update({a.node, b.node} - chosen)
    everybody = devices_of(snapshot)
    return Scope(
        inside=tuple(sorted(chosen)),
        edge=tuple(sorted(edge)),
        out=tuple(name for name in everybody if name not in chosen and name not in edge),
    )


# --- what was asked for ---


def around(
    snapshot: Snapshot, centres: Sequence[str], depth: int, option: str = "--around"
) -> frozenset[str]:
    """The centres and what is at most `depth` cables away; a segment is one cable, management is none."""
    everybody = devices_of(snapshot)
    for centre in centres:
        if centre not in everybody:
            raise LabctlError(
                "unknown-device",
                f"production has no device {centre!r}",
                where=Span(option),
                hint=did_you_mean(centre, everybody),
            )
    wires: nx.MultiGraph = graph(snapshot.topology)
    steps = dict.fromkeys(centres, 0)  # a cable is two, so that both halves of a way over a segment count
    waiting = deque(sorted(steps))
    while waiting:
        here = waiting.popleft()
        for there in sorted(wires[here]) if here in wires else ():
            segment = here.startswith(SEGMENT) or there.startswith(SEGMENT)
            far = steps[here] + (1 if segment else 2)
            if far <= 2 * depth and far < steps.get(there, far + 1):
                steps[there] = far
                waiting.append(there)
    return frozenset(name for name in steps if name in everybody)


def queried(snapshot: Snapshot, expression: str, draw: Draw, option: str = "--scope") -> frozenset[str]:
    """The devices that a target query means, over production instead of a lab."""
    query = Query(kind=Kind.NODE, expression=expression, where=Span(option))
    try:
        return frozenset(select(query, Graph(_as_lab(snapshot)), draw).nodes)
    except LabctlError as error:
        if error.code == "unknown-node":
            said = error.message.partition("has no node")[2]
            raise LabctlError(
                "unknown-device", f"production has no device{said}", where=error.where, hint=error.hint
            ) from None
        if error.code == "empty-target":
            raise LabctlError(
                "empty-target", f"no device of production is {expression!r}", where=error.where
            ) from None
        raise


def _as_lab(snapshot: Snapshot) -> LabSpec:
    """Production in the shape that queries ask; names are production's own."""
    data = [s for s in snapshot.topology.segments if s.role is not Role.MGMT]
    nodes = [NodeSpec(name=name) for name in devices_of(snapshot)]
    nodes += [NodeSpec(name=SEGMENT + s.name, kind=NodeKind.BRIDGE) for s in data]
    ends = [(link.a, link.b) for link in snapshot.topology.links if link.role is not Role.MGMT]
    ends += [(port, PortId(SEGMENT + s.name, f"seg{n}")) for s in data for n, port in enumerate(s.ports)]
    known = {node.name for node in nodes}
    cables = tuple(
        CableSpec(a=End(port=a, mac=""), z=End(port=z, mac=""))
        for a, z in ends
        if a.node in known and z.node in known
    )
    return LabSpec(name=snapshot.topology.name, nodes=tuple(nodes), cables=cables)


# --- what is left of production ---


def within(snapshot: Snapshot, scope: Scope) -> Snapshot:
    """Devices inside and at the edge, and the wires that an inside device is on. Everything inside: unchanged."""
    if not scope.removed:
        return snapshot
    inside, kept = frozenset(scope.inside), frozenset((*scope.inside, *scope.edge))
    topology = snapshot.topology
    segments = (
        replace(s, ports=tuple(p for p in s.ports if p.node in kept))
        for s in topology.segments
        if any(p.node in inside for p in s.ports)
    )
    return replace(
        snapshot,
        topology=replace(
            topology,
            devices=tuple(d for d in topology.devices if d.name in kept),
            links=tuple(
                link
                for link in topology.links
                if {link.a.node, link.b.node} <= kept and {link.a.node, link.b.node} & inside
            ),
            segments=tuple(segments),
        ),
        configs={name: config for name, config in snapshot.configs.items() if name in kept},
    )
