"""The blast radius of a plan, predicted on the lab's graph: what it touches, and which nodes lose each other when.

A cable is gone while it is dark, swallows everything in one direction, or has a port shut down; nodes that share no way
over the rest have lost each other. A node without power is no one's partner; one whose processes hang or died still
forwards, as its kernel does. Nothing here knows a routing protocol; `Predicted.unknown` says what that leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx

from labctl.faults.phases import Phase
from labctl.model.effects import (
    AdminDown,
    Configured,
    CpuLimit,
    Down,
    Effect,
    Frozen,
    HalfCable,
    Impaired,
    Killed,
    NodeRef,
    Off,
    PortRef,
    Stopped,
)
from labctl.model.scenario import Lost, Predicted
from labctl.names import CableId, PortId
from labctl.topo.query_graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """What an instant takes from the graph."""

    cables: frozenset[CableId]
    nodes: frozenset[str]


def predict(phases: Sequence[Phase], graph: Graph) -> Predicted:
    seen: dict[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], Lost] = {}
    known: dict[Break, tuple[tuple[tuple[str, ...], ...], int]] = {}
    cables = cables_of_ports(graph)
    effects: set[Effect] = set()
    for phase in phases:
        effects |= phase.active
        broken = broken_by(phase.active, cables)
        if broken not in known:
            known[broken] = _parts(broken, graph)
        parts, pairs = known[broken]
        if not pairs:
            continue
        faults = tuple(sorted({e.id for e in phase.active if broken_by((e,), cables) != _NOTHING}))
        before = seen.get((faults, parts))
        start = phase.start_s if before is None else min(before.start_s, phase.start_s)
        end = phase.end_s if before is None else max(before.end_s, phase.end_s)
        seen[faults, parts] = Lost(start_s=start, end_s=end, faults=faults, parts=parts, pairs=pairs)
    links, nodes = touched(effects, cables)
    return Predicted(
        links=tuple(sorted(links)),
        nodes=tuple(sorted(nodes)),
        lost=tuple(sorted(seen.values(), key=lambda each: (each.start_s, -each.pairs, each.faults))),
        max_unreachable_pairs=max((each.pairs for each in seen.values()), default=0),
        unknown=_unknown(effects),
    )


def touched(effects: Iterable[Effect], cables: Mapping[PortId, CableId]) -> tuple[set[CableId], set[str]]:
    """Links and nodes that effects act on. Cables that go dark with a node are part of that node."""
    links: set[tuple[str, CableId]] = set()
    nodes: set[tuple[str, str]] = set()
    for effect in effects:
        match effect.on:
            case HalfCable():
                links.add((effect.id, effect.on.cable))
            case PortRef():
                links.add((effect.id, cables[effect.on.port]))
            case _:
                nodes.add((effect.id, effect.on.node))
    alone = {
        cable for id_, cable in links if (id_, cable.a.node) not in nodes and (id_, cable.z.node) not in nodes
    }
    return alone, {node for _, node in nodes}


def cables_of_ports(graph: Graph) -> dict[PortId, CableId]:
    return {end.port: cable for cable, spec in graph.cables.items() for end in spec.ends}


_NOTHING = Break(cables=frozenset(), nodes=frozenset())


def broken_by(active: Iterable[Effect], cables: Mapping[PortId, CableId]) -> Break:
    """What effects that are active together take from the graph."""
    gone: set[CableId] = set()
    nodes: set[str] = set()
    for effect in active:
        match effect.on, effect.change:
            case HalfCable(cable=cable), Down():
                gone.add(cable)
            case HalfCable(cable=cable), Impaired(impairment=i) if i.blackhole or i.loss >= 1:
                gone.add(cable)
            case PortRef(port=port), AdminDown():
                gone.add(cables[port])
            case NodeRef(node=node), Off():
                nodes.add(node)
            case _:
                pass
    return Break(cables=frozenset(gone), nodes=frozenset(nodes))


def _parts(broken: Break, graph: Graph) -> tuple[tuple[tuple[str, ...], ...], int]:
    """The groups that lost each other, and how many pairs of nodes that is. Only what had a way before can lose it."""
    if not broken.cables:
        return (), 0
    left = nx.Graph()
    left.add_nodes_from(graph.multi.nodes)
    left.add_edges_from((u, v) for u, v, key in graph.multi.edges(keys=True) if key not in broken.cables)
    alive = graph.nodes.keys() - broken.nodes
    parts: list[tuple[str, ...]] = []
    pairs = 0
    for whole in nx.connected_components(graph.simple):
        rest = [part & alive for part in nx.connected_components(left.subgraph(whole))]
        sizes = [len(part) for part in rest if part]
        if len(sizes) > 1:
            total = sum(sizes)
            pairs += (total * total - sum(size * size for size in sizes)) // 2
            parts += (tuple(sorted(part)) for part in rest if part)
    return tuple(sorted(parts, key=lambda part: (-len(part), part))), pairs


_DEVICE = (Frozen, Killed, Stopped, Configured, CpuLimit)


def _unknown(effects: Iterable[Effect]) -> tuple[str, ...]:
    """What the prediction leaves out, for these effects."""
    changes = [effect.change for effect in effects]
    worse = [c.impairment for c in changes if isinstance(c, Impaired)]
    worse = [i for i in worse if not replace(i, blackhole=False, seed=None).neutral]
    said = [
        (
            "routing protocols, their timers and policies: a way on the graph may be no route, "
            "and until routing has converged pairs lose each other that the graph keeps together"
        )
    ]
    if any(not i.drops for i in worse):
        said.append("links that are only worse (late, lossy, slow) count as whole")
    if any(i.drops for i in worse):
        said.append("what a protocol does whose packets alone are lost")
    if any(isinstance(c, _DEVICE) for c in changes):
        said.append(
            "what neighbours make of a device that hangs, restarts or is configured anew: "
            "its kernel forwards on, and so does the graph"
        )
    return tuple(said)
