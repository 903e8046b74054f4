"""The topology as text: for a terminal, for Graphviz, for Mermaid, and as JSON.

The terminal gets a picture where one fits (the same layout as the SVG, on a grid of characters), then what a reader
would otherwise have to find in it: the single points of failure, and every link with its ports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labctl.model.topology import Link, Role, Segment, Topology
from labctl.names import PortId
from labctl.report.svg import aspect
from labctl.topo.cuts import Cut, Cuts, cuts
from labctl.topo.graph import SEGMENT, graph
from labctl.topo.layout import aligned, box, layout

DRAWN = 26  # a grid of characters has no room for more devices
WIDTH = 100
LISTED = 1000  # lines of one list: a terminal keeps about that many


def terminal(topology: Topology, *, width: int = WIDTH) -> str:
    """The lines of `labctl graph`."""
    return "\n".join(_terminal(topology, width)) + "\n"


def _terminal(topology: Topology, width: int) -> Iterator[str]:
    g = graph(topology)
    found = cuts(g)
    yield summary(topology, found)
    drawn = picture(topology, width=width)
    if drawn:
        yield ""
        yield from drawn
    single = [c.what for c in found.devices]
    if single or found.links:
        yield ""
        yield "single points of failure (* in the picture):"
        each_kind = [("device", c) for c in found.devices] + [("link", c) for c in found.links]
        for kind, each in each_kind[:LISTED]:
            yield f"  {kind:<6}  {each.what}  cuts off {_named(each)}"
        yield from _more(len(each_kind))
    links = _links(topology)
    if links:
        yield ""
        left = max(len(str(link.a)) for link in links[:LISTED])
        right = max(len(str(link.b)) for link in links[:LISTED])
        bridges = {c.what for c in found.links}
        for link in links[:LISTED]:
            notes = ["no second way"] if str(link.id) in bridges else []
            notes += [] if link.two_sided else ["known from one side only"]
            yield f"  {link.a!s:>{left}} ── {link.b!s:<{right}}  {', '.join(notes)}".rstrip()
        yield from _more(len(links))
    segments = _segments(topology)
    for segment in segments[:LISTED]:
        yield f"  segment {segment.name}: {', '.join(str(p) for p in sorted(segment.ports))}"
    yield from _more(len(segments))


def _more(number: int) -> Iterator[str]:
    if number > LISTED:
        yield f"  … and {number - LISTED:,} more, which `--format json` lists"


def summary(topology: Topology, found: Cuts) -> str:
    """`dc1: 12 devices, 16 links; 2 devices and 2 links whose loss splits it`."""
    links = _links(topology)
    text = f"{topology.name}: {_count(len(topology.devices), 'device')}, {_count(len(links), 'link')}"
    one_sided = sum(not link.two_sided for link in links)
    if one_sided:
        text += f" ({one_sided} known from one side only)"
    joined = [part for part in found.parts if len(part) > 1]
    alone = [part[0] for part in found.parts if len(part) == 1]
    if len(joined) > 1:
        text += f"; {len(joined)} parts with no way between them"
    if alone:
        text += f"; {', '.join(alone[:5])}{' and others' if len(alone) > 5 else ''} without a link"
    if found.devices or found.links:
        text += f"; {_count(len(found.devices), 'device')} and {_count(len(found.links), 'link')} whose loss splits it"
    return text


def picture(topology: Topology, *, width: int = WIDTH) -> list[str]:
    """The topology on a grid of characters; empty when it does not fit."""
    g = graph(topology)
    if not 1 < len(g) <= DRAWN or len(g.edges) > 1.6 * len(g) + 4:
        return []
    single = {c.what for c in cuts(g).devices}
    label = {n: _label(n, single) for n in g}
    widest = max(map(len, label.values()))
    places = aligned(aspect(layout(g)), within=16.0)
    left, top, wide, high = box(places.values())
    across = width - widest - 1
    scale = min(across / wide, (widest + 9) / 172.0) if wide else 1.0
    rows = {y: round((y - top) * scale * 0.5) for y in {p[1] for p in places.values()}}
    at = {n: (round((x - left) * scale) + widest // 2, rows[y]) for n, (x, y) in places.items()}
    if high * scale * 0.5 > 45 or _overlap(at, label):
        return []
    grid = [[" "] * width for _ in range(max(y for _, y in at.values()) + 1)]
    for u, v in sorted({(min(u, v), max(u, v)) for u, v in g.edges() if u != v}):
        _line(grid, at[u], at[v])
    for n, (x, y) in at.items():
        begin = max(0, x - len(label[n]) // 2)
        grid[y][begin : begin + len(label[n])] = label[n]
    return ["  " + "".join(row).rstrip() for row in grid]


def _label(name: str, single: set[str]) -> str:
    if name.startswith(SEGMENT):
        return f"({name.removeprefix(SEGMENT)})"
    return f"[{name}*]" if name in single else f"[{name}]"


def _overlap(at: Mapping[str, tuple[int, int]], label: Mapping[str, str]) -> bool:
    rows: dict[int, list[tuple[int, int]]] = {}
    for n, (x, y) in at.items():
        begin = x - len(label[n]) // 2
        rows.setdefault(y, []).append((begin, begin + len(label[n])))
    return any(
        spans[i][1] >= spans[i + 1][0]
        for spans in (sorted(r) for r in rows.values())
        for i in range(len(spans) - 1)
    )


def _line(grid: list[list[str]], a: tuple[int, int], z: tuple[int, int]) -> None:
    (x1, y1), (x2, y2) = a, z
    steps = max(abs(x2 - x1), abs(y2 - y1))
    flat, upright = y1 == y2, x1 == x2
    stroke = "─" if flat else "│" if upright else "╲" if (x2 - x1) * (y2 - y1) > 0 else "╱"
    if not flat and not upright and abs(x2 - x1) > 3 * abs(y2 - y1):
        stroke = "·"
    for i in range(1, steps):
        x, y = round(x1 + (x2 - x1) * i / steps), round(y1 + (y2 - y1) * i / steps)
        old = grid[y][x]
        grid[y][x] = stroke if old in (" ", stroke) else "┼" if {old, stroke} == {"─", "│"} else stroke


def dot(topology: Topology) -> str:
    """For Graphviz: `dot -Tpdf`, or better `neato`."""
    found = cuts(graph(topology))
    single, bridges = {c.what for c in found.devices}, {c.what for c in found.links}
    lines = [f"graph {_quoted(topology.name)} {{", '  node [shape=box, style="rounded"];']
    for name in _names(topology):
        mark = ", color=orange, penwidth=2" if name in single else ""
        lines.append(f"  {_quoted(name)} [label={_quoted(name)}{mark}];")
    for link in _links(topology):
        style = ["color=orange", "penwidth=2"] if str(link.id) in bridges else []
        style += [] if link.two_sided else ["style=dashed"]
        ends = [f"taillabel={_quoted(link.a.interface)}", f"headlabel={_quoted(link.b.interface)}"]
        lines.append(f"  {_quoted(link.a.node)} -- {_quoted(link.b.node)} [{', '.join(ends + style)}];")
    for segment in _segments(topology):
        name = _quoted(SEGMENT + segment.name)
        lines.append(f"  {name} [shape=point, xlabel={_quoted(segment.name)}];")
        lines += [
            f"  {name} -- {_quoted(p.node)} [headlabel={_quoted(p.interface)}];"
            for p in sorted(segment.ports)
        ]
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(topology: Topology) -> str:
    """For Markdown that renders Mermaid. Ids are numbers, because names may hold anything."""
    found = cuts(graph(topology))
    number = {name: f"n{i}" for i, name in enumerate(_names(topology))}
    lines = ["graph LR"]
    lines += [f'  {number[name]}["{_entity(name)}"]' for name in number]
    for link in _links(topology):
        stroke = "---" if link.two_sided else "-.-"
        ports = _entity(f"{link.a.interface} to {link.b.interface}")
        lines.append(f'  {number[link.a.node]} {stroke}|"{ports}"| {number[link.b.node]}')
    for i, segment in enumerate(_segments(topology)):
        lines.append(f'  s{i}(("{_entity(segment.name)}"))')
        lines += [f'  s{i} ---|"{_entity(p.interface)}"| {number[p.node]}' for p in sorted(segment.ports)]
    single = [number[c.what] for c in found.devices]
    if single:
        lines += ["  classDef single stroke:#b26a00,stroke-width:3px", f"  class {','.join(single)} single"]
    return "\n".join(lines) + "\n"


def as_json(topology: Topology) -> dict[str, Any]:
    """What `labctl graph --format json` prints."""
    found = cuts(graph(topology))
    devices = {c.what: c for c in found.devices}
    links = {c.what: c for c in found.links}
    known = {d.name: d for d in topology.devices}
    return {
        "version": 1,
        "name": topology.name,
        "devices": [
            {
                "name": name,
                "platform": known[name].platform if name in known else "",
                "polled": name in known and known[name].polled,
                **_lost(devices.get(name)),
            }
            for name in _names(topology)
        ],
        "links": [
            {
                "id": str(link.id),
                "a": _port(link.a),
                "b": _port(link.b),
                "two_sided": link.two_sided,
                **_lost(links.get(str(link.id))),
            }
            for link in _links(topology)
        ],
        "segments": [
            {"name": s.name, "ports": [_port(p) for p in sorted(s.ports)]} for s in _segments(topology)
        ],
        "parts": [list(part) for part in found.parts],
    }


def _lost(cut: Cut | None) -> dict[str, Any]:
    """At most the first hundred names (`topo.cuts.NAMED`), and how many there are."""
    return {
        "single_point_of_failure": cut is not None,
        "cuts_off": list(cut.cuts_off) if cut else [],
        "cuts_off_count": cut.count if cut else 0,
    }


def _port(port: PortId) -> dict[str, str]:
    return {"device": port.node, "port": port.interface}


def _links(topology: Topology) -> list[Link]:
    return sorted(
        (each for each in topology.links if each.role is not Role.MGMT), key=lambda each: str(each.id)
    )


def _segments(topology: Topology) -> list[Segment]:
    return [each for each in topology.segments if each.role is not Role.MGMT]


def _names(topology: Topology) -> list[str]:
    return sorted(n for n in graph(topology) if not n.startswith(SEGMENT))


def _named(cut: Cut) -> str:
    shown = ", ".join(cut.cuts_off[:6])
    return f"{shown} and {cut.count - 6} more" if cut.count > 6 else shown


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entity(text: str) -> str:
    """Mermaid's way to put any character in a label: `#34;`."""
    return "".join(c if c.isalnum() or c in " -_./:" else f"#{ord(c)};" for c in text)
