"""A lab as target queries see it: nodes are its containers and segments, edges its cables.

Parallel cables are parallel edges; stubs and cables of a node to itself lead nowhere and are no edges, but they can be
selected. Everything is sorted before networkx sees it, so that results repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TypeAlias, cast

import networkx as nx

from labctl.model.lab import CableSpec, LabSpec, NodeKind, NodeSpec
from labctl.model.scenario import Kind
from labctl.names import CableId, PortId

Item: TypeAlias = CableId | PortId | str
Found: TypeAlias = frozenset[Item]


class Graph:
    """A lab, ready to be asked."""

    def __init__(self, lab: LabSpec) -> None:
        self.lab = lab
        self.cables: Mapping[CableId, CableSpec] = {cable.id: cable for cable in lab.cables}
        self.nodes: Mapping[str, NodeSpec] = {n.name: n for n in lab.nodes if n.kind is NodeKind.LINUX}
        self.ports: Mapping[PortId, CableSpec] = {
            end.port: cable
            for cable in lab.cables
            for end in cable.ends
            if end.port.node in self.nodes or cable.z is None
        }

    @cached_property
    def multi(self) -> nx.MultiGraph:
        """All nodes, all cables that lead somewhere. Nodes and edges are sorted, so that results repeat."""
        found = nx.MultiGraph()
        found.add_nodes_from(sorted(node.name for node in self.lab.nodes))
        for cable in sorted(self.cables):
            spec = self.cables[cable]
            if spec.z is not None and cable.a.node != cable.z.node:
                found.add_edge(cable.a.node, cable.z.node, key=cable)
        return found

    @cached_property
    def simple(self) -> nx.Graph:
        return nx.Graph(self.multi)

    @cached_property
    def core(self) -> frozenset[str]:
        """Nodes that stay when those that hang on a single neighbour are taken away, again and again."""
        return frozenset(nx.k_core(self.simple, 2).nodes)

    def all(self, kind: Kind) -> Found:
        match kind:
            case Kind.LINK:
                return frozenset(self.cables)
            case Kind.NODE:
                return frozenset(self.nodes)
            case Kind.PORT:
                return frozenset(self.ports)

    def group(self, node: str) -> str:
        return self.nodes[node].group if node in self.nodes else ""

    def distances(self, node: str) -> Mapping[str, int]:
        return cast("Mapping[str, int]", nx.single_source_shortest_path_length(self.simple, node))


def on(item: Item) -> set[str]:
    """The nodes that an item is of."""
    match item:
        case CableId():
            return {item.a.node, item.z.node}
        case PortId():
            return {item.node}
        case str():
            return {item}
