"""The fewest cables whose loss leaves no path between two sets of a lab's nodes.

A minimum cut: every cable counts one, nodes cannot fail. Both sets hang on a terminal of their own by edges without a
limit, so a node of a set is never cut off from its own side.
"""

from __future__ import annotations

from collections.abc import Collection

import networkx as nx

from labctl.errors import LabctlError
from labctl.model.lab import LabSpec
from labctl.names import CableId

_SIDE, _OTHER = "\0side", "\0other"


def min_cut(lab: LabSpec, side: Collection[str], other: Collection[str]) -> tuple[CableId, ...]:
    """Cables to take away, in the order of the lab; empty where there is no path anyway."""
    if not side or not other:
        raise LabctlError("empty-target", "a partition needs nodes on both sides")
    both = sorted(set(side) & set(other))
    if both:
        raise LabctlError("empty-target", f"{both[0]} cannot be on both sides of a partition")
    flow = nx.DiGraph()
    flow.add_nodes_from(node.name for node in lab.nodes)
    between = [(c.id, c.a.port.node, c.z.port.node) for c in lab.cables if c.z is not None]
    for _, a, z in between:
        for u, v in ((a, z), (z, a)):
            more = flow.edges[u, v]["capacity"] if flow.has_edge(u, v) else 0
            flow.add_edge(u, v, capacity=more + 1)
    flow.add_edges_from((_SIDE, node) for node in sorted(side))
    flow.add_edges_from((node, _OTHER) for node in sorted(other))
    _, (near, _) = nx.minimum_cut(flow, _SIDE, _OTHER)
    return tuple(cable for cable, a, z in between if (a in near) != (z in near))
