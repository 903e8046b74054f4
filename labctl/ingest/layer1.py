"""Batfish's `layer1_topology.json`: the cables of a snapshot, written down by whoever made it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from labctl.errors import LabctlError, Span
from labctl.ingest import rows
from labctl.ingest.sources import Context, Reading
from labctl.model.observation import CableRow
from labctl.schema import infile


@dataclass(frozen=True, slots=True)
class Layer1:
    """`{"edges": [{"node1": {"hostname", "interfaceName"}, "node2": {…}}]}`."""

    def claims(self, path: str, head: bytes) -> bool:
        named = os.path.basename(path) == "layer1_topology.json"
        return named or (path.endswith(".json") and b'"edges"' in head and b'"interfaceName"' in head)

    def read(self, path: str, context: Context) -> Reading:  # noqa: ARG002  (the protocol's)
        document = rows.Document(infile.text(path), path)
        edges = document.root.get("edges") if isinstance(document.root, rows.Record) else None
        if not isinstance(edges, list):
            raise LabctlError(
                "bad-row",
                "there is no list of edges",
                where=Span(path, 1),
                hint='the file is `{"edges": [{"node1": {"hostname": …, "interfaceName": …}, "node2": {…}}]}`',
            )
        reading = Reading()
        seen: set[frozenset[tuple[str, str]]] = set()
        for edge in edges:
            ends = [_end(edge.get(key)) for key in ("node1", "node2")] if isinstance(edge, dict) else [None]
            if None in ends or not isinstance(edge, rows.Record):
                line = document.line(edge) if isinstance(edge, rows.Record) else document.line(document.root)
                reading.broken.append(
                    rows.bad_row("an edge needs hostname and interfaceName of node1 and node2", path, line)
                )
                continue
            a, z = (end for end in ends if end is not None)
            if frozenset((a, z)) not in seen:  # most files have each cable in both directions
                seen.add(frozenset((a, z)))
                reading.cables.append(CableRow(source="layer1", a=a, z=z, where=document.where(edge)))
        return reading


def _end(said: Any) -> tuple[str, str] | None:
    if not isinstance(said, dict):
        return None
    host, port = said.get("hostname"), said.get("interfaceName")
    if not isinstance(host, str) or not isinstance(port, str):
        return None
    return (host.strip(), port.strip()) if host.strip() and port.strip() else None


LAYER1 = Layer1()
