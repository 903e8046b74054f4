"""Single points of failure: the devices and links whose loss alone splits the network.

An *articulation point* is a device, a *bridge* a link, without which some devices no longer reach each other. A
device that hangs on one link makes that link a bridge; to tell those apart from a split core, each comes with what
it cuts off: the smaller part, which is the part that people will call about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx

from labctl.topo.graph import SEGMENT

#: Of what a cut separates, so many are named; a chain of thousands would name millions.
NAMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """`what`: device name or link id; `cuts_off`: the devices that are separated from the largest remaining part, the
    first `NAMED` of them by name; `count`: how many they are.
    """

    what: str
    cuts_off: tuple[str, ...]
    count: int


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
    devices: list[Cut] = []
    links: list[Cut] = []
    whole: dict[frozenset[str], list[set[str]]] = {
        frozenset(part): [] for part in nx.connected_components(simple)
    }
    of = {node: blocks for part, blocks in whole.items() for node in part}
    for block in nx.biconnected_components(simple):
        of[next(iter(block))].append(block)
    for part, blocks in whole.items():
        if blocks:
            _Tree(part, blocks, g).cuts(devices, links)
    parts = sorted((_devices(set(part)) for part in whole), key=lambda p: (-len(p), p))
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


@dataclass(frozen=True, slots=True)
class _Side:
    """What lies below a place of the tree: how many devices, the first node's name, and the first devices' names."""

    count: int
    first: str
    names: tuple[str, ...]

    @property
    def size(self) -> tuple[int, str]:
        return self.count, self.first


def _together(sides: Iterable[_Side]) -> _Side:
    every = list(sides)
    return _Side(
        sum(side.count for side in every),
        min(side.first for side in every),
        tuple(sorted(name for side in every for name in side.names)[:NAMED]),
    )


class _Tree:
    """The blocks of a connected part (what no single device splits) and the nodes in them, as a tree.

    It hangs on its middle, so that what lies below any place is at most half of all: so the part that a cut leaves is
    the one above, and everything is found in one pass from the leaves. Places are names, and numbers for blocks.
    """

    def __init__(self, part: Iterable[str], blocks: Sequence[set[str]], g: nx.MultiGraph) -> None:
        self._g = g
        self._blocks = blocks
        self._total = 0
        self._around: dict[str | int, list[str | int]] = {node: [] for node in part}
        for number, block in enumerate(blocks):
            self._around[number] = sorted(block)
            for node in block:
                self._around[node].append(number)

    def cuts(self, devices: list[Cut], links: list[Cut]) -> None:
        root = self._middle()
        order = self._from(root)
        below: dict[str | int, _Side] = {}
        for place, above in reversed(order):
            parts = [below[each] for each in self._around[place] if each != above]
            if isinstance(place, int):
                self._link(place, above, parts, links)
            elif len(self._around[place]) > 1 and not place.startswith(SEGMENT):
                if above is None:  # the largest part is one of those below
                    parts.remove(max(parts, key=lambda side: side.size))
                lost = _together(parts)
                devices.append(Cut(what=place, cuts_off=lost.names, count=lost.count))
                parts = [below[each] for each in self._around[place] if each != above]
            if isinstance(place, str):
                counts = not place.startswith(SEGMENT)
                parts = [*parts, _Side(int(counts), place, (place,) if counts else ())]
            below[place] = _together(parts)

    def _link(
        self,
        block: int,
        above: str | int | None,
        parts: Sequence[_Side],
        links: list[Cut],
    ) -> None:
        """A block of two nodes with one edge is a bridge, if that edge is a wire."""
        if len(self._blocks[block]) != 2:
            return
        u, v = sorted(self._blocks[block])
        ((key, edge),) = self._g[u][v].items() if self._g.number_of_edges(u, v) == 1 else ((None, {}),)
        if key is None or edge.get("inner"):
            return
        if above is None:
            lost = min(parts, key=lambda side: side.size)
        else:
            lost = parts[0]
            if 2 * lost.count == self._total:
                lost = min(lost, self._rest(block, above), key=lambda side: side.size)
        links.append(Cut(what=key, cuts_off=lost.names, count=lost.count))

    def _rest(self, block: int, above: str | int) -> _Side:
        """What lies on the other side of a block; asked only where both sides are equal."""
        own = {place for place, _ in self._from(above, without=block)}
        nodes = [place for place in own if isinstance(place, str)]
        names = sorted(name for name in nodes if not name.startswith(SEGMENT))
        return _Side(len(names), min(nodes), tuple(names[:NAMED]))

    def _from(self, root: str | int, without: int | None = None) -> list[tuple[str | int, str | int | None]]:
        """Every place with the one above it; what is above comes first."""
        order: list[tuple[str | int, str | int | None]] = [(root, None)]
        for place, above in order:
            order += [(each, place) for each in self._around[place] if each not in (above, without)]
        return order

    def _middle(self) -> str | int:
        order = self._from(next(iter(self._around)))
        weight = {place: int(isinstance(place, str) and not place.startswith(SEGMENT)) for place, _ in order}
        heaviest = dict.fromkeys(weight, 0)
        for place, above in reversed(order):
            if above is not None:
                weight[above] += weight[place]
                heaviest[above] = max(heaviest[above], weight[place])
        self._total = weight[order[0][0]]
        return next(
            place
            for place, _ in order
            if 2 * max(heaviest[place], self._total - weight[place]) <= self._total
        )


def _devices(nodes: set[str]) -> tuple[str, ...]:
    return tuple(sorted(n for n in nodes if not n.startswith(SEGMENT)))


def _worst_first(found: list[Cut]) -> tuple[Cut, ...]:
    return tuple(sorted(found, key=lambda c: (-c.count, c.what)))
