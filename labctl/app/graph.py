"""`labctl graph`: a topology from wherever it is, to be drawn and judged.

A snapshot of production (`topologies/<name>.yml`), a lab file, or a running lab by its name: all become a `Topology`.
"""

from __future__ import annotations

import os

from labctl.app import kinds
from labctl.app.kinds import Kind
from labctl.model.topology import Topology
from labctl.runtime.store import Instance
from labctl.schema import clab, files
from labctl.topo.graph import of_lab


def load(source: str | None, instance: Instance) -> Topology:
    """The topology of a file, or of a running lab (None: the only one)."""
    if source is None or not looks_like_a_file(source):
        return of_lab(instance.find(source).need().lab)
    kinds.need(source, "graph", Kind.LAB, Kind.SNAPSHOT, Kind.TOPOLOGY)
    match kinds.what(source):
        case Kind.SNAPSHOT:
            return files.load_snapshot(source).topology
        case Kind.TOPOLOGY:
            return files.load(Topology, source)
        case _:
            return of_lab(clab.load(source))


def looks_like_a_file(source: str) -> bool:
    """A lab's name has no slash, and no lab is called like a file that is here."""
    return os.sep in source or source.endswith((".yml", ".yaml")) or os.path.exists(source)
