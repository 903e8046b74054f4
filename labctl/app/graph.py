"""`labctl graph`: a topology from wherever it is, to be drawn and judged.

A snapshot of production (`topologies/<name>.yml`), a lab file, or a running lab by its name: all become a `Topology`.
"""

from __future__ import annotations

import os

from labctl.app.validate import kind_of
from labctl.errors import LabctlError, Span
from labctl.model.topology import Topology
from labctl.runtime.store import Instance
from labctl.schema import clab, files, yaml
from labctl.topo.graph import of_lab


def load(source: str | None, instance: Instance) -> Topology:
    """The topology of a file, or of a running lab (None: the only one)."""
    if source is None or not looks_like_a_file(source):
        return of_lab(instance.find(source).need().lab)
    kind = kind_of(yaml.read_text(source), source)
    if kind == "lab":
        return of_lab(clab.load(source))
    if kind == "snapshot":
        return files.load_snapshot(source).topology
    raise LabctlError(
        "bad-value",
        f"this is a file of kind {kind!r}, which has no links to draw",
        where=Span(source),
        hint="`labctl discover` makes a snapshot of it, which has",
    )


def looks_like_a_file(source: str) -> bool:
    """A lab's name has no slash, and no lab is called like a file that is here."""
    return os.sep in source or source.endswith((".yml", ".yaml")) or os.path.exists(source)
