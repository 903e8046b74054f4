"""The functions of target queries, a few lines each. docs/scenarios.md is held against `FUNCTIONS`.

A function gets the lab, the kind of what is to be selected, and its arguments: selections, or the words of a
`key=value` or a name. It may yield too much of another kind; the caller keeps what the lab has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeAlias

import networkx as nx

from labctl.model.scenario import Kind
from labctl.names import CableId, PortId
from labctl.topo.query_graph import Found, Graph, Item, on


class Words(StrEnum):
    """Arguments that are no selections."""

    PAIR = "key=value"
    NAME = "name"


Argument: TypeAlias = Found | str
Run: TypeAlias = Callable[[Graph, Kind, tuple[Argument, ...]], Iterable[Item]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """of: the kinds that it selects; takes: what its arguments are."""

    run: Run
    of: tuple[Kind, ...]
    takes: tuple[Kind | Words, ...] = ()
    about: str


def nodes_of(argument: Argument) -> set[str]:
    return {item for item in argument if isinstance(item, str)}


def _core(graph: Graph, kind: Kind, _: tuple[Argument, ...]) -> Iterable[Item]:
    return (item for item in graph.all(kind) if on(item) <= graph.core)


def _edge(graph: Graph, kind: Kind, _: tuple[Argument, ...]) -> Iterable[Item]:
    return (item for item in graph.all(kind) if not on(item) <= graph.core)


def _bridge(graph: Graph, kind: Kind, _: tuple[Argument, ...]) -> Iterable[Item]:
    if kind is Kind.NODE:
        return set(nx.articulation_points(graph.simple))
    alone = ((u, v) for u, v in nx.bridges(graph.simple) if graph.multi.number_of_edges(u, v) == 1)
    return {next(iter(graph.multi[u][v])) for u, v in alone}


def _of(graph: Graph, kind: Kind, arguments: tuple[Argument, ...]) -> Iterable[Item]:
    nodes = nodes_of(arguments[0])
    return (item for item in graph.all(kind) if on(item) & nodes)


def _ends(_graph: Graph, _kind: Kind, arguments: tuple[Argument, ...]) -> Iterable[Item]:
    for item in arguments[0]:
        if isinstance(item, CableId):
            yield from (item.a, item.z)


def _near(graph: Graph, _: Kind, arguments: tuple[Argument, ...]) -> Iterable[Item]:
    nodes = nodes_of(arguments[0])
    return {n for node in nodes for n in graph.simple[node]} - nodes


def _between(graph: Graph, _: Kind, arguments: tuple[Argument, ...]) -> Iterable[Item]:
    one, other = nodes_of(arguments[0]), nodes_of(arguments[1])
    for cable in graph.cables:
        a, z = cable.a.node, cable.z.node
        if (a in one and z in other) or (a in other and z in one):
            yield cable


def _path(graph: Graph, kind: Kind, arguments: tuple[Argument, ...]) -> Iterable[Item]:
    one, other = nodes_of(arguments[0]), nodes_of(arguments[1])
    far = {node: graph.distances(node) for node in sorted(one | other)}
    for a, z in itertools.product(sorted(one), sorted(other)):
        from_a, from_z = far[a], far[z]
        if a == z or z not in from_a:
            continue
        if kind is Kind.NODE:
            yield from (n for n in from_a if n not in (a, z) and from_a[n] + from_z[n] == from_a[z])
            continue
        for cable in graph.multi.edges(keys=True):
            u, v, key = cable
            if u in from_a and min(from_a[u] + from_z[v], from_a[v] + from_z[u]) + 1 == from_a[z]:
                yield key


def _cut(graph: Graph, kind: Kind, arguments: tuple[Argument, ...]) -> Iterable[Item]:
    """By maximum flow. Several cuts may be smallest; the one nearest to the second selection is unique."""
    one, other = nodes_of(arguments[0]), nodes_of(arguments[1])
    if not one or not other or one & other:
        return ()
    flow = _flow_network(graph, kind, one, other)
    try:
        _, (near, far) = nx.minimum_cut(flow, _SOURCE, _SINK)
    except nx.NetworkXUnbounded:
        return ()  # they are neighbours: no third node separates them
    crossing = [(u, v) for u, v in flow.edges if u in near and v in far]
    if kind is Kind.NODE:
        return {u[0] for u, _ in crossing}
    return {key for u, v in crossing for key in graph.multi[u[0]][v[0]]}


_SOURCE, _SINK = ("", "source"), ("", "sink")


def _flow_network(graph: Graph, kind: Kind, one: set[str], other: set[str]) -> nx.DiGraph:
    """Each node as two, (name, in) -> (name, out). What may be cut has a capacity; what has none is never cut."""
    flow = nx.DiGraph()
    nodes_count = kind is Kind.NODE
    for node in graph.multi.nodes:
        cuttable = nodes_count and node in graph.nodes and node not in one | other
        flow.add_edge((node, "in"), (node, "out"), **({"capacity": 1} if cuttable else {}))
    for u, v in graph.simple.edges:
        limit = {} if nodes_count else {"capacity": graph.multi.number_of_edges(u, v)}
        flow.add_edge((u, "out"), (v, "in"), **limit)
        flow.add_edge((v, "out"), (u, "in"), **limit)
    flow.add_edges_from((_SOURCE, (node, "in")) for node in sorted(one))
    flow.add_edges_from(((node, "out"), _SINK) for node in sorted(other))
    return flow


def _label(graph: Graph, kind: Kind, arguments: tuple[Argument, ...]) -> Iterable[Item]:
    key, value = (str(each) for each in arguments)
    for item in graph.all(kind):
        match item:
            case CableId():
                labels: Mapping[str, str] = graph.cables[item].labels
            case PortId():
                labels = graph.ports[item].labels
            case str():
                labels = graph.nodes[item].labels
        if key in labels and fnmatchcase(labels[key], value):
            yield item


def _group(graph: Graph, kind: Kind, arguments: tuple[Argument, ...]) -> Iterable[Item]:
    pattern = str(arguments[0])
    return (
        item for item in graph.all(kind) if all(fnmatchcase(graph.group(node), pattern) for node in on(item))
    )


_ANY = (Kind.LINK, Kind.NODE, Kind.PORT)

FUNCTIONS: Mapping[str, Function] = {
    "between": Function(
        run=_between,
        of=(Kind.LINK,),
        takes=(Kind.NODE, Kind.NODE),
        about="links with one end on a node of the first selection and the other on one of the second",
    ),
    "bridge": Function(
        run=_bridge,
        of=(Kind.LINK, Kind.NODE),
        about="single points of failure: those whose loss alone splits the network",
    ),
    "core": Function(
        run=_core,
        of=_ANY,
        about="what is left when nodes with a single neighbour are taken away, again and again: rings, meshes and "
        "what lies between them",
    ),
    "cut": Function(
        run=_cut,
        of=(Kind.LINK, Kind.NODE),
        takes=(Kind.NODE, Kind.NODE),
        about="the fewest whose loss separates the two selections; among equals, those nearest to the second",
    ),
    "edge": Function(
        run=_edge, of=_ANY, about="everything that is not `core()`: hosts, stub sites and their links"
    ),
    "ends": Function(run=_ends, of=(Kind.PORT,), takes=(Kind.LINK,), about="both ports of the links"),
    "group": Function(
        run=_group,
        of=_ANY,
        takes=(Words.NAME,),
        about="what lies within nodes whose `group` is that (a glob)",
    ),
    "label": Function(
        run=_label,
        of=_ANY,
        takes=(Words.PAIR,),
        about="nodes, or links and their ports, that carry the label (the value is a glob)",
    ),
    "near": Function(
        run=_near, of=(Kind.NODE,), takes=(Kind.NODE,), about="their neighbours, without themselves"
    ),
    "of": Function(
        run=_of,
        of=(Kind.LINK, Kind.PORT),
        takes=(Kind.NODE,),
        about="links that end at the nodes; ports of the nodes",
    ),
    "path": Function(
        run=_path,
        of=(Kind.LINK, Kind.NODE),
        takes=(Kind.NODE, Kind.NODE),
        about="what lies on a shortest path, all of equal length counted, between the two selections; the ends do not",
    ),
}
