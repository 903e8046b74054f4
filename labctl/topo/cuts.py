"""Single points of failure: the devices and links whose loss alone splits the network.

An *articulation point* is a device, a *bridge* a link, without which some devices no longer reach each other. A
device that hangs on one link makes that link a bridge; to tell those apart from a split core, each comes with what
it cuts off: the smaller part, which is the part that people will call about.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

from labctl.topo.graph import SEGMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """`what`: device name or link id; `cuts_off`: the devices that are separated from the largest remaining part."""

    what: str
    cuts_off: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """All single points of failure, those that cut off most first; `parts`: groups with no way between them."""

    devices: tuple[Cut, ...]
    links: tuple[Cut, ...]
    parts: tuple[tuple[str, ...], ...]


def cuts(g: nx.MultiGraph) -> Cuts:
    """Articulation points and bridges of every part. Parallel links are no bridges."""
    simple = nx.Graph()
    simple.add_nodes_from(g.nodes)
    simple.add_edges_from((u, v) for u, v in g.edges() if u != v)
    devices = [
        Cut(what=node, cuts_off=_cut_off(simple, node))
        for node in sorted(nx.articulation_points(simple))
        if not node.startswith(SEGMENT)
    ]
    links = []
    for u, v in nx.bridges(simple):
        if g.number_of_edges(u, v) == 1:
            links.append(Cut(what=next(iter(g[u][v])), cuts_off=_behind(simple, u, v)))
    parts = sorted((_devices(part) for part in nx.connected_components(simple)), key=lambda p: (-len(p), p))
    return Cuts(devices=_worst_first(devices), links=_worst_first(links), parts=tuple(p for p in parts if p))


def unreachable(g: nx.MultiGraph, broken: frozenset[str], *, from_: str | None = None) -> tuple[str, ...]:
    """The devices that a break separates: from the largest part that is left of their network, or from `from_`."""
    left = nx.Graph()
    left.add_nodes_from(g.nodes)
    left.add_edges_from((u, v) for u, v, key in g.edges(keys=True) if key not in broken)
    lost: set[str] = set()
    for whole in nx.connected_components(nx.Graph(g)):
        rest = list(nx.connected_components(left.subgraph(whole)))
        if from_ is not None:
            rest = [p for p in rest if from_ in p] if from_ in whole else [whole]
        lost |= whole - max(rest, key=lambda p: (len(_devices(p)), min(p)))
    return _devices(lost)


def _cut_off(simple: nx.Graph, node: str) -> tuple[str, ...]:
    around = nx.node_connected_component(simple, node) - {node}
    parts = list(nx.connected_components(simple.subgraph(around)))
    largest = max(parts, key=lambda p: (len(_devices(p)), min(p)))
    return _devices(around - largest)


def _behind(simple: nx.Graph, u: str, v: str) -> tuple[str, ...]:
    whole = nx.node_connected_component(simple, u)
    without = nx.restricted_view(simple, [], [(u, v)])
    side = nx.node_connected_component(without, v)
    smaller = min((side, whole - side), key=lambda p: (len(_devices(p)), min(p)))
    return _devices(smaller)


def _devices(nodes: set[str]) -> tuple[str, ...]:
    return tuple(sorted(n for n in nodes if not n.startswith(SEGMENT)))


def _worst_first(found: list[Cut]) -> tuple[Cut, ...]:
    return tuple(sorted(found, key=lambda c: (-len(c.cuts_off), c.what)))
