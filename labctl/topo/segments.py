"""Ports that hear several devices are on a segment: a hub, a provider's switch, a phone with a PC behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import networkx as nx

from labctl.model.topology import Conflict, Segment
from labctl.names import PortId
from labctl.topo.links import Placed, speakers
from labctl.topo.resolve import Resolved


def find_segments(
    claims: Sequence[Placed], resolved: Resolved
) -> tuple[list[Segment], set[PortId], list[Conflict]]:
    """Ports that hear several devices. One neighbour that both ends confirm, alone, is still a cable (the other rows
    are left over from what was plugged there before); otherwise all of them share a segment.
    """
    polled = {box.name for box in resolved.boxes if box.polled}
    speaks = speakers(resolved)
    far_of: dict[PortId, set[PortId]] = defaultdict(set)
    for c in claims:
        far_of[c.near].add(c.far)
    graph: nx.Graph = nx.Graph()
    for near, fars in sorted(far_of.items()):
        if len({far.node for far in fars}) < 2:
            continue
        confirmed = {far for far in fars if near in far_of.get(far, ())}
        silent = {far for far in fars - confirmed if far.node in polled and far.node in speaks}
        if len(confirmed) == 1 and len({f.node for f in far_of[next(iter(confirmed))]}) == 1:
            continue
        members = fars - silent
        if len(members) > 1:
            graph.add_edges_from((near, far) for far in members)
    segments, used, conflicts = [], set(), []
    for component in sorted(nx.connected_components(graph), key=min):
        ports = tuple(sorted(component))
        used |= component
        said = tuple(c.evidence for c in claims if c.near in component and c.far in component)
        segments.append(Segment(name=f"segment-{ports[0]}", ports=ports, evidence=said))
        outside = [c for c in claims if (c.near in component) != (c.far in component)]
        if outside:
            conflicts.append(
                Conflict(
                    kind="port-claimed-twice",
                    subject=str(ports[0]),
                    said=tuple(c.evidence for c in outside),
                    resolution=f"these ports are not on segment-{ports[0]}: left out",
                )
            )
    return segments, used, conflicts
