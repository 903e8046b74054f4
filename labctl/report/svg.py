"""The picture: a topology as one self-contained SVG, light and dark by itself.

What it says without a legend having to be read: orange = a single point of failure (device or link), red with a
cross = what was broken, grey = what was cut off, dashed = known from one side only. Text is drawn by the reader's own
fonts; every device carries a `<title>`, so hovering shows its platform and what losing it would cut off.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape

import networkx as nx

from labctl.model.topology import Link, Topology
from labctl.names import PortId
from labctl.topo.cuts import Cut, Cuts, cuts, unreachable
from labctl.topo.graph import SEGMENT, graph
from labctl.topo.layout import Point, aligned, box, layout, off_lines, spread

UNIT = 150.0  # px of one link
CHAR = 7.4  # px of a character of a device's name
SMALL = 5.6  # px of a character of a port's name
HEIGHT = 30.0
MARGIN = 46.0
LARGE = 400  # of more devices the layout takes minutes, and its lines cross all the same

STYLE = """
.topology{--ink:#1b2430;--faint:#66727f;--line:#8b97a5;--box:#ffffff;--edge:#5b6b7d;--bad:#c62828;--warn:#b26a00;
--warnbox:#fff4e0;--off:#9aa3ad;--offbox:#eef0f2;--paper:#ffffff;font-family:ui-sans-serif,system-ui,"Segoe UI",
Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
@media (prefers-color-scheme:dark){.topology{--ink:#e6ebf0;--faint:#9aa7b4;--line:#6f7d8c;--box:#1d2630;
--edge:#8797a8;--bad:#ff6b63;--warn:#f0a940;--warnbox:#3a2c12;--off:#66717c;--offbox:#20262d;--paper:#12181f}}
@media print{.topology{--ink:#1b2430;--faint:#66727f;--line:#8b97a5;--box:#ffffff;--edge:#5b6b7d;--bad:#c62828;
--warn:#b26a00;--warnbox:#fff4e0;--off:#9aa3ad;--offbox:#eef0f2;--paper:#ffffff}}
.topology .paper{fill:var(--paper)}
.topology .link{stroke:var(--line);stroke-width:1.8;fill:none}
.topology .link.one-sided{stroke-dasharray:6 4}
.topology .link.bridge{stroke:var(--warn);stroke-width:2.6}
.topology .link.broken{stroke:var(--bad);stroke-width:3;stroke-dasharray:none}
.topology .cross{stroke:var(--bad);stroke-width:3.4;stroke-linecap:round}
.topology .cross-back{fill:var(--paper);stroke:var(--bad);stroke-width:1.6}
.topology .device rect{fill:var(--box);stroke:var(--edge);stroke-width:1.5}
.topology .device text{fill:var(--ink);font-size:13px;font-weight:600;text-anchor:middle;dominant-baseline:central}
.topology .device.articulation rect{fill:var(--warnbox);stroke:var(--warn);stroke-width:2.4}
.topology .device.off rect{fill:var(--offbox);stroke:var(--off);stroke-dasharray:4 3}
.topology .device.off text{fill:var(--off)}
.topology .device.unpolled rect{stroke-dasharray:3 3}
.topology .segment{fill:var(--line)}
.topology .port{fill:var(--faint);font-size:10px;text-anchor:middle;dominant-baseline:central;
paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}
.topology .legend text{fill:var(--faint);font-size:11px;dominant-baseline:central}
""".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What to point out: broken links by id, frozen or removed devices, and whether to draw a legend and ports."""

    broken: frozenset[str] = field(default_factory=frozenset)
    off: frozenset[str] = field(default_factory=frozenset)
    legend: bool = True
    ports: bool | None = None  # None: when there is room


def draw(topology: Topology, marks: Marks = Marks()) -> str:
    """The SVG text."""
    g = graph(topology)
    points = cuts(g)
    places = _places(g)
    left, top, width, height = box(places.values())
    widest = max((_width(n) for n in places), default=0.0)
    off = marks.off | frozenset(unreachable(g, marks.broken)) if marks.broken else marks.off
    ports = len(g.edges) <= 60 if marks.ports is None else marks.ports
    legend = list(_legend(topology, points, marks, off)) if marks.legend else []
    total_w = max(width + widest + 2 * MARGIN, _legend_width(legend) + 2 * MARGIN)
    total_h = height + HEIGHT + 2 * MARGIN + (34 if legend else 0)
    shift_x = (total_w - width) / 2 - left
    at = {n: (x + shift_x, y - top + MARGIN + HEIGHT / 2) for n, (x, y) in places.items()}
    parts = [
        _opening(total_w, total_h),
        f"<title>{escape(topology.name)}: {len(topology.devices)} devices, {len(topology.links)} links</title>",
        f"<style>{STYLE}</style>",
        '<rect class="paper" width="100%" height="100%" rx="10"/>',
        *_links(g, at, points, marks, ports=ports),
        *_devices(g, at, points, off),
        *_place_legend(legend, total_w, total_h),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _opening(width: float, height: float) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" class="topology" role="img" {size}>'


def _places(g: nx.MultiGraph) -> dict[str, Point]:
    """Layout in pixels, wider than high because names are, and with no two boxes on each other."""
    if len(g) > LARGE:
        return _in_rows(g)
    raw = layout(g)
    placed = aligned(aspect(raw), within=16.0)
    apart = spread(placed, _size, gap=26.0)
    edges = sorted({(min(u, v), max(u, v)) for u, v in g.edges() if u != v})
    if len(edges) * len(raw) > 60_000:  # lines cross boxes in any picture of that many
        return apart
    return off_lines(apart, edges, _size, gap=12.0)


def aspect(places: Mapping[str, Point]) -> dict[str, Point]:
    """Units of links to pixels: wider than high, and closer together the more there are."""
    unit = UNIT if len(places) <= 30 else max(100.0, UNIT * 30 / len(places))
    return {n: (x * unit * 1.15, y * unit * 0.85) for n, (x, y) in places.items()}


def _in_rows(g: nx.MultiGraph) -> dict[str, Point]:
    """More than a picture can show: a grid in which neighbours are near each other. Linear where a layout is not."""
    order: list[str] = []
    for part in sorted(nx.connected_components(g), key=lambda p: (-len(p), min(p))):
        first = min(part, key=lambda n: (-g.degree(n), n))
        order += [first, *(v for _, v in nx.bfs_edges(g, first, sort_neighbors=sorted))]
    across = math.ceil(math.sqrt(len(order)))
    wide = max(map(_width, order)) + 26.0
    return {n: (i % across * wide, i // across * 3 * HEIGHT) for i, n in enumerate(order)}


def _size(name: str) -> Point:
    return _width(name), HEIGHT


def _width(name: str) -> float:
    return 14.0 if name.startswith(SEGMENT) else max(46.0, len(name) * CHAR + 22)


def _devices(g: nx.MultiGraph, at: Mapping[str, Point], points: Cuts, off: frozenset[str]) -> Iterable[str]:
    single = {c.what: c for c in points.devices}
    for name, data in sorted(g.nodes(data=True)):
        x, y = at[name]
        if name.startswith(SEGMENT):
            yield f'<circle class="segment" cx="{x:.1f}" cy="{y:.1f}" r="6"><title>{escape(name)}</title></circle>'
            continue
        device = data.get("device")
        classes = ["device"]
        title = [name, device.platform if device else "known only from its neighbours"]
        if name in single:
            classes.append("articulation")
            title.append(f"single point of failure: cuts off {_lost(single[name])}")
        if device is not None and not device.polled:
            classes.append("unpolled")
        if name in off:
            classes.append("off")
            title.append("cut off")
        width = _width(name)
        yield (
            f'<g class="{" ".join(classes)}" data-device="{escape(name)}">'
            f"<title>{escape(chr(10).join(t for t in title if t))}</title>"
            f'<rect x="{x - width / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{width:.1f}" height="{HEIGHT:.0f}" rx="8"/>'
            f'<text x="{x:.1f}" y="{y:.1f}">{escape(name)}</text></g>'
        )


def _lost(cut: Cut) -> str:
    more = cut.count - len(cut.cuts_off)
    return ", ".join(cut.cuts_off) + (f" and {more} more" if more else "")


def _links(
    g: nx.MultiGraph, at: Mapping[str, Point], points: Cuts, marks: Marks, *, ports: bool
) -> Iterable[str]:
    bridges = {c.what: c for c in points.links}
    beside: dict[tuple[str, str], list[tuple[str, dict[str, object]]]] = defaultdict(list)
    for u, v, key, data in g.edges(keys=True, data=True):
        beside[min(u, v), max(u, v)].append((key, data))
    labels = _Labels(at)
    for (u, v), edges in sorted(beside.items()):
        for i, (key, data) in enumerate(sorted(edges, key=lambda e: e[0])):
            bow = (i - (len(edges) - 1) / 2) * 26.0
            link = data.get("link")
            yield from _link(key, link if isinstance(link, Link) else None, at[u], at[v], bow, bridges, marks)
            if ports:
                _port_labels(u, v, data, bow, labels)
    yield from labels.out


def _link(  # noqa: PLR0917  (one line of the picture)
    key: str,
    link: Link | None,
    a: Point,
    z: Point,
    bow: float,
    bridges: Mapping[str, Cut],
    marks: Marks,
) -> Iterable[str]:
    classes = ["link"]
    title = [key]
    if link is not None and not link.two_sided:
        classes.append("one-sided")
        title.append("known from one side only")
    if key in bridges:
        classes.append("bridge")
        title.append(f"single point of failure: cuts off {_lost(bridges[key])}")
    if key in marks.broken:
        classes.append("broken")
        title.append("broken in this run")
    middle = _bowed(a, z, bow)
    control = (2 * middle[0] - (a[0] + z[0]) / 2, 2 * middle[1] - (a[1] + z[1]) / 2)
    curve = f"Q{control[0]:.1f},{control[1]:.1f} {z[0]:.1f},{z[1]:.1f}" if bow else f"L{z[0]:.1f},{z[1]:.1f}"
    yield (
        f'<path class="{" ".join(classes)}" data-link="{escape(key)}" d="M{a[0]:.1f},{a[1]:.1f} {curve}">'
        f"<title>{escape(chr(10).join(title))}</title></path>"
    )
    if key in marks.broken:
        x, y = middle
        yield (
            f'<circle class="cross-back" cx="{x:.1f}" cy="{y:.1f}" r="11"/>'
            f'<path class="cross" d="M{x - 4.5:.1f},{y - 4.5:.1f} l9,9 m-9,0 l9,-9"/>'
        )


def _bowed(a: Point, z: Point, bow: float) -> Point:
    dx, dy = z[0] - a[0], z[1] - a[1]
    length = math.hypot(dx, dy) or 1.0
    return (a[0] + z[0]) / 2 - dy / length * bow, (a[1] + z[1]) / 2 + dx / length * bow


class _Labels:
    """Places small texts so that none lies on another or on a device's box; one that has no room is left out."""

    def __init__(self, at: Mapping[str, Point]) -> None:
        self.at = at
        self.out: list[str] = []
        self._taken = [(x, y, _width(n), HEIGHT) for n, (x, y) in at.items()]

    def add(self, text: str, candidates: Iterable[Point]) -> None:
        width, height = len(text) * SMALL + 2, 10.0
        for x, y in candidates:
            if not any(
                abs(x - ox) < (width + ow) / 2 and abs(y - oy) < (height + oh) / 2
                for ox, oy, ow, oh in self._taken
            ):
                self._taken.append((x, y, width, height))
                self.out.append(f'<text class="port" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')
                return


def _port_labels(u: str, v: str, data: Mapping[str, object], bow: float, labels: _Labels) -> None:
    """Each port's name on its link, as near to its device's box as there is room."""
    at = labels.at
    ends: list[PortId] = []
    link, port = data.get("link"), data.get("port")
    if isinstance(link, Link):
        ends = [link.a, link.b]
    elif isinstance(port, PortId):
        ends = [port]
    for end in ends:
        here, there = (u, v) if end.node == u else (v, u)
        (x1, y1), (x2, y2) = at[here], at[there]
        mx, my = _bowed(at[u], at[v], bow)
        length = math.hypot(x2 - x1, y2 - y1) or 1.0
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        # to the border of the box, then far enough that the text (wider than high) is clear of it
        border = min(
            (_width(here) / 2) / abs(ux) if abs(ux) > 1e-6 else math.inf,
            (HEIGHT / 2) / abs(uy) if abs(uy) > 1e-6 else math.inf,
        )
        name = short(end.interface)
        clear = border + 5 + abs(ux) * len(name) * SMALL / 2 + abs(uy) * 6
        candidates = []
        for step in range(6):
            share = min((clear + 13 * step) / length, 0.46)
            bend = 4 * share * (1 - share)
            candidates.append(
                (
                    x1 + (x2 - x1) * share + (mx - (x1 + x2) / 2) * bend,
                    y1 + (y2 - y1) * share + (my - (y1 + y2) / 2) * bend,
                )
            )
        labels.add(name, candidates)


def short(interface: str) -> str:
    """`GigabitEthernet0/0/1` -> `Gi0/0/1`: the forms that people say; anything else stays."""
    for name, brief in (
        ("HundredGigE", "Hu"),
        ("FortyGigE", "Fo"),
        ("TenGigabitEthernet", "Te"),
        ("TenGigE", "Te"),
        ("GigabitEthernet", "Gi"),
        ("FastEthernet", "Fa"),
        ("Ethernet", "Et"),
        ("Port-channel", "Po"),
        ("Bundle-Ether", "BE"),
    ):
        if interface.startswith(name):
            return brief + interface[len(name) :]
    return interface


def _legend(topology: Topology, points: Cuts, marks: Marks, off: frozenset[str]) -> Iterable[tuple[str, str]]:
    """Only what the picture shows: (kind, words)."""
    if marks.broken:
        yield "broken", "broken in this run"
    if off:
        yield "off", "cut off"
    if points.devices:
        yield "articulation", "device whose loss splits the network"
    if points.links:
        yield "bridge", "link whose loss splits the network"
    if any(not link.two_sided for link in topology.links):
        yield "one-sided", "known from one side only"


def _legend_width(items: list[tuple[str, str]]) -> float:
    return sum(38 + len(words) * 6.0 + 18 for _, words in items)


def _place_legend(items: list[tuple[str, str]], total_w: float, total_h: float) -> Iterable[str]:
    x, y = (total_w - _legend_width(items)) / 2, total_h - 24
    for kind, words in items:
        if kind in ("articulation", "off"):
            yield (
                f'<g class="device {kind}"><rect x="{x:.1f}" y="{y - 8:.1f}" width="28" height="16" rx="5"/></g>'
            )
        else:
            yield f'<path class="link {kind}" d="M{x:.1f},{y:.1f} h28"/>'
            if kind == "broken":
                yield f'<path class="cross" d="M{x + 10:.1f},{y - 4:.1f} l8,8 m-8,0 l8,-8"/>'
        yield f'<g class="legend"><text x="{x + 36:.1f}" y="{y:.1f}">{escape(words)}</text></g>'
        x += 38 + len(words) * 6.0 + 18
