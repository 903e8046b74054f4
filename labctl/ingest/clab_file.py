"""A lab file as a source: its nodes, its links, and the FRR configurations that it binds into nodes.

A lab file is a document: nobody asked the devices. What devices themselves say wins over it.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.ingest.parsers import PARSERS
from labctl.ingest.rows import index_of
from labctl.ingest.sources import Context, Reading
from labctl.model.lab import LabSpec, NodeKind, NodeSpec
from labctl.model.observation import CableRow, InterfaceRow, Observation
from labctl.schema import clab, infile


@dataclass(frozen=True, slots=True)
class ClabFile:
    """YAML with `topology:` at the top, as containerlab reads it."""

    def claims(self, path: str, head: bytes) -> bool:
        named = path.endswith((".clab.yml", ".clab.yaml"))
        return (
            (named or path.endswith((".yml", ".yaml")))
            and re.search(rb"^topology\s*:", head, re.MULTILINE) is not None
            and re.search(rb"^kind\s*:", head, re.MULTILINE) is None  # a snapshot has a topology, too
        )

    def read(self, path: str, context: Context) -> Reading:
        lab = clab.load(path)
        reading = Reading()
        bridges = {node.name for node in lab.nodes if node.kind is NodeKind.BRIDGE}
        places = {node.name: str(node.where or path) for node in lab.nodes}
        ports: dict[str, list[str]] = defaultdict(list)
        for row in _cables(lab, bridges, path):
            reading.cables.append(row)
            for device, port in (row.a, row.z):
                ports[device].append(port)
        for node in lab.nodes:
            if node.kind is not NodeKind.LINUX:
                continue
            names = dict.fromkeys(ports[node.name])
            reading.observations.append(
                Observation(
                    key=node.name,
                    source="clab",
                    sys_name=node.name,
                    interfaces=tuple(
                        InterfaceRow(index=index_of(name), name=name, named=True, where=places[node.name])
                        for name in names
                    ),
                    where=f"{path} {node.name}",
                )
            )
            _configuration(node, reading, context)
        return reading


def _cables(lab: LabSpec, bridges: set[str], path: str) -> list[CableRow]:
    """Cables between nodes. A node of kind bridge is no device but the segment that its members share."""
    kinds = {node.name: node.kind for node in lab.nodes}
    lines = infile.text(path).splitlines()
    found: list[CableRow] = []
    members: dict[str, list[tuple[tuple[str, str], str]]] = defaultdict(list)
    for cable in lab.cables:
        ends = [(end.port.node, end.port.interface) for end in cable.ends]
        place = _place(path, lines, [f"{node}:{port}" for node, port in ends])
        on = [node for node, _ in ends if node in bridges]
        devices = [end for end in ends if kinds.get(end[0]) is NodeKind.LINUX]
        if len(devices) == 2:
            found.append(CableRow(source="clab", a=devices[0], z=devices[1], where=place))
        elif on and devices:
            members[on[0]].append((devices[0], place))
    for bridge, on_it in sorted(members.items()):
        found += [
            CableRow(source="clab", a=on_it[0][0], z=end, where=place, note=f"on bridge {bridge}")
            for end, place in on_it[1:]
        ]
    return found


def _place(path: str, lines: Sequence[str], ends: Sequence[str]) -> str:
    """The line that names both ends; the file where they stand on several."""
    patterns = [re.compile(rf"(?<![\w.-]){re.escape(end)}(?![\w./-])") for end in ends]
    for n, line in enumerate(lines, 1):
        if all(pattern.search(line) for pattern in patterns):
            return f"{path}:{n}"
    return path


def _configuration(node: NodeSpec, reading: Reading, context: Context) -> None:
    for bind in node.binds:
        path = bind.source
        if os.path.isdir(path):
            path = os.path.join(path, "frr.conf")
        if "frr" in bind.target and os.path.basename(path) == "frr.conf" and os.path.isfile(path):
            parsed = PARSERS["frr"](infile.text(path), file=path, device=node.name, redactor=context.redactor)
            reading.configs.append((node.name, parsed.config))
            reading.accounts.append(parsed.account)


CLAB = ClabFile()
