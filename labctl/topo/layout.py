"""Where to draw each device: the same graph always gives the same picture.

Fabrics (spines and leaves, by their names) are drawn in tiers. Everything else by stress majorization: distances on
paper follow distances in hops, which brings out sites, rings and ladders without being told of them. No randomness:
the first guess comes from two far-apart devices and the order of names. One unit is the length of one link.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import networkx as nx

Point = tuple[float, float]
WORK = 1_000_000  # node pairs visited at most: well under a second

_TIERS = (
    re.compile(r"super-?spine|core-?spine", re.IGNORECASE),
    re.compile(r"spine", re.IGNORECASE),
    re.compile(r"leaf|tor\d|(?:^|[-_.])tor(?:$|[-_.])", re.IGNORECASE),
    re.compile(r"server|host|client|srv", re.IGNORECASE),
)


def layout(g: nx.MultiGraph) -> dict[str, Point]:
    """A point for every node. Parts that are not connected lie side by side, single devices in rows below."""
    simple = nx.Graph()
    simple.add_nodes_from(sorted(g.nodes))
    simple.add_edges_from(sorted(tuple(sorted((u, v))) for u, v in g.edges() if u != v))
    parts = sorted((sorted(p) for p in nx.connected_components(simple)), key=lambda p: (-len(p), p))
    places: dict[str, Point] = {}
    right = 0.0
    for part in parts:
        if len(part) == 1:
            continue
        piece = simple.subgraph(part)
        found = _tiered(piece) or _by_stress(piece)
        left, top, width, _ = box(found.values())
        for node, (x, y) in found.items():
            places[node] = (x - left + right, y - top)
        right += width + 1.5
    _, _, wide, high = box(places.values())
    in_a_row, below = max(4, round(wide) + 1), high + 1.0 if places else 0.0
    for i, (single,) in enumerate(p for p in parts if len(p) == 1):
        places.setdefault(single, (float(i % in_a_row), below + i // in_a_row))
    return places


def box(points: object) -> tuple[float, float, float, float]:
    """Left, top, width, height."""
    known = list(points)  # type: ignore[call-overload]
    if not known:
        return 0.0, 0.0, 0.0, 0.0
    xs, ys = [p[0] for p in known], [p[1] for p in known]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def spread(
    places: Mapping[str, Point], size: Callable[[str], Point], *, gap: float, rounds: int = 200
) -> dict[str, Point]:
    """Push boxes apart until none overlap; `size` gives a node's width and height in the units of `places`."""
    now = dict(places)
    order = sorted(now)
    sizes = {n: size(n) for n in order}
    for _ in range(rounds):
        moved = False
        for i, one in enumerate(order):
            for other in order[i + 1 :]:
                moved = _push(now, sizes, one, other, gap) or moved
        if not moved:
            break
    return now


def aligned(places: Mapping[str, Point], *, within: float) -> dict[str, Point]:
    """Points that are nearly in a row, or in a column, put exactly there."""
    columns = _snapped({n: p[0] for n, p in places.items()}, within)
    rows = _snapped({n: p[1] for n, p in places.items()}, within)
    return {n: (columns[n], rows[n]) for n in places}


def off_lines(
    places: Mapping[str, Point],
    edges: Sequence[tuple[str, str]],
    size: Callable[[str], Point],
    *,
    gap: float,
    rounds: int = 30,
) -> dict[str, Point]:
    """Move boxes off the lines that pass behind them: a line through a box reads as a link to it."""
    now = dict(places)
    for _ in range(rounds):
        moved = False
        for u, v in edges:
            (x1, y1), (x2, y2) = now[u], now[v]
            length = math.hypot(x2 - x1, y2 - y1)
            if not length:
                continue
            ux, uy = (x2 - x1) / length, (y2 - y1) / length
            for n, (x, y) in list(now.items()):
                along = (x - x1) * ux + (y - y1) * uy
                aside = (y - y1) * ux - (x - x1) * uy
                width, height = size(n)
                need = abs(uy) * width / 2 + abs(ux) * height / 2 + gap
                if n not in (u, v) and 0 < along < length and abs(aside) < need:
                    step = (need - abs(aside)) * (1 if aside >= 0 else -1) * 0.6
                    now[n] = (x - uy * step, y + ux * step)
                    moved = True
        now = spread(now, size, gap=gap, rounds=20)
        if not moved:
            break
    return now


def _snapped(values: Mapping[str, float], within: float) -> dict[str, float]:
    found: dict[str, float] = {}
    group: list[str] = []
    for name in sorted(values, key=lambda n: (values[n], n)):
        if group and values[name] - values[group[0]] > within:
            found.update(dict.fromkeys(group, _mean([values[n] for n in group])))
            group = []
        group.append(name)
    found.update(dict.fromkeys(group, _mean([values[n] for n in group])))
    return found


def _push(now: dict[str, Point], sizes: Mapping[str, Point], one: str, other: str, gap: float) -> bool:
    (x1, y1), (x2, y2) = now[one], now[other]
    need_x = (sizes[one][0] + sizes[other][0]) / 2 + gap
    need_y = (sizes[one][1] + sizes[other][1]) / 2 + gap
    over_x, over_y = need_x - abs(x2 - x1), need_y - abs(y2 - y1)
    if over_x <= 1e-9 or over_y <= 1e-9:
        return False
    if over_x < over_y:
        step = over_x / 2 * (1 if x2 >= x1 else -1)
        now[one], now[other] = (x1 - step, y1), (x2 + step, y2)
    else:
        step = over_y / 2 * (1 if y2 >= y1 else -1)
        now[one], now[other] = (x1, y1 - step), (x2, y2 + step)
    return True


def _tier(name: str) -> int | None:
    return next((i for i, pattern in enumerate(_TIERS) if pattern.search(name)), None)


def _tiered(g: nx.Graph) -> dict[str, Point] | None:
    """Rows by name, each sorted by where its neighbours are. None when the names, or the links, say otherwise."""
    tiers = {n: _tier(n) for n in g}
    if None in tiers.values() or len(set(tiers.values())) < 2:
        return None
    if any(tiers[u] == tiers[v] for u, v in g.edges()):
        return None
    rows = [
        [n for n in sorted(g) if tiers[n] == t] for t in sorted({t for t in tiers.values() if t is not None})
    ]
    place = {n: (i - (len(row) - 1) / 2) / len(row) for row in rows for i, n in enumerate(row)}
    for _ in range(4):
        for row in rows:
            row.sort(key=lambda n: (_mean([place[m] for m in g[n]]), n))
            for i, n in enumerate(row):
                place[n] = (i - (len(row) - 1) / 2) / len(row)
    width = max(len(row) for row in rows)
    return {
        n: ((i - (len(row) - 1) / 2) * max(1.0, width / (len(row) + 0.5)), depth * 1.4)
        for depth, row in enumerate(rows)
        for i, n in enumerate(row)
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _by_stress(g: nx.Graph) -> dict[str, Point]:
    nodes = sorted(g)
    if len(nodes) == 1:
        return {nodes[0]: (0.0, 0.0)}
    hops = [nx.single_source_shortest_path_length(g, n) for n in nodes]
    distance = [[float(row[m]) for m in nodes] for row in hops]
    points = _first_guess(distance)
    rounds = max(10, min(400, WORK // len(nodes) ** 2))
    for _ in range(rounds):
        if _majorize(points, distance) < 1e-4:
            break
    return dict(zip(nodes, _upright(points), strict=True))


def _first_guess(distance: Sequence[Sequence[float]]) -> list[list[float]]:
    """x: between the two ends of a longest path; y: towards the device that is far from both; never two alike."""
    n = len(distance)
    one = max(range(n), key=lambda i: (distance[0][i], -i))
    other = max(range(n), key=lambda i: (distance[one][i], -i))
    third = max(range(n), key=lambda i: (min(distance[one][i], distance[other][i]), -i))
    fourth = max(range(n), key=lambda i: (distance[third][i], -i))
    return [
        [
            (distance[one][i] - distance[other][i]) / 2 + 0.05 * math.cos(2.4 * i),
            (distance[third][i] - distance[fourth][i]) / 2 + 0.05 * math.sin(2.4 * i),
        ]
        for i in range(n)
    ]


def _majorize(points: list[list[float]], distance: Sequence[Sequence[float]]) -> float:
    """One round: every node goes to where its neighbours, near and far, want it. Returns the largest step."""
    largest = 0.0
    for i, here in enumerate(points):
        x0, y0 = here
        sum_x = sum_y = weights = 0.0
        row = distance[i]
        for j, there in enumerate(points):
            if i == j:
                continue
            wanted = row[j]
            weight = 1.0 / (wanted * wanted)
            dx, dy = x0 - there[0], y0 - there[1]
            ratio = wanted / (math.sqrt(dx * dx + dy * dy) or 1e-9)
            sum_x += weight * (there[0] + dx * ratio)
            sum_y += weight * (there[1] + dy * ratio)
            weights += weight
        here[0], here[1] = sum_x / weights, sum_y / weights
        largest = max(largest, abs(here[0] - x0), abs(here[1] - y0))
    return largest


def _upright(points: Sequence[Sequence[float]]) -> list[Point]:
    """Turned so that the longer side lies flat (pages are wide), the first name to the left and to the top."""
    n = len(points)
    mx, my = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    moved = [(p[0] - mx, p[1] - my) for p in points]
    xx = sum(x * x for x, _ in moved)
    yy = sum(y * y for _, y in moved)
    xy = sum(x * y for x, y in moved)
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    c, s = math.cos(-angle), math.sin(-angle)
    turned = [(x * c - y * s, x * s + y * c) for x, y in moved]
    flip_x = -1.0 if turned[0][0] > 1e-6 else 1.0
    flip_y = -1.0 if next((y for _, y in turned if abs(y) > 0.1), 0.0) > 0 else 1.0
    return [(round(x * flip_x, 4), round(y * flip_y, 4)) for x, y in turned]
