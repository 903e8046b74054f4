"""Evidence of cables that no port tells of itself: what documents say, and what sessions and addresses imply.

Each kind becomes `Inferred` pairs of ports with a weight; they add to hypotheses that neighbour rows made, and make
new ones. A pair with a port that is known to be on a segment is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx

from labctl.model.topology import Conflict, Evidence, Segment
from labctl.names import CableId, PortId
from labctl.topo.links import WEIGHTS, Hypothesis, placed
from labctl.topo.resolve import Resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """Something speaks for a cable. source: what kind of evidence it is; pairs of one kind do not add up."""

    cable: CableId
    source: str
    weight: float
    evidence: Evidence


def add_inferred(found: Iterable[Inferred], hypotheses: dict[CableId, Hypothesis], used: set[PortId]) -> None:
    for each in found:
        if each.cable.a in used or each.cable.z in used or each.cable.a == each.cable.z:
            continue
        hypothesis = hypotheses.setdefault(each.cable, Hypothesis(each.cable))
        hypothesis.add(each.source, each.weight, each.evidence)


def written(
    resolved: Resolved, hypotheses: dict[CableId, Hypothesis], used: set[PortId], speaks: set[str]
) -> tuple[list[Inferred], list[Segment], list[Conflict]]:
    """Cables of documents. A port to which one document gives several others is on a segment."""
    wired = {port for cable in hypotheses for port in (cable.a, cable.z)} | used
    by_source: dict[str, dict[CableId, list[tuple[float, Evidence]]]] = defaultdict(lambda: defaultdict(list))
    for claim in placed(resolved, resolved.written):
        cable = CableId.of(claim.near, claim.far)
        by_source[claim.evidence.source][cable].append((claim.factor, claim.evidence))
    found: list[Inferred] = []
    segments: list[Segment] = []
    conflicts: list[Conflict] = []
    for source, cables in sorted(by_source.items()):
        shared = _shared(cables)
        members = set().union(*shared)
        for cable, said in sorted(cables.items()):
            if (cable.a in used) != (cable.z in used):
                conflicts.append(
                    _differs(cable, [e for _, e in said], "a port of it is on a segment: no link is drawn")
                )
            if cable.a in members:
                continue
            silent = all(end.node in speaks and end not in wired for end in (cable.a, cable.z))
            weight = WEIGHTS["netbox silent" if silent and source == "netbox" else source]
            found += [
                Inferred(cable=cable, source=source, weight=weight * factor, evidence=evidence)
                for factor, evidence in said
            ]
            if silent:
                conflicts.append(
                    Conflict(
                        kind="record-unconfirmed",
                        subject=str(cable),
                        said=tuple(evidence for _, evidence in said),
                        resolution="both ends listen for neighbours and hear nobody there: kept",
                    )
                )
        for ports in shared:
            evidence = tuple(e for cable, said in cables.items() if cable.a in ports for _, e in said)
            if ports & wired:
                conflicts.append(
                    _differs(min(c for c in cables if c.a in ports), evidence, "its ports report others")
                )
            else:
                segments.append(
                    Segment(
                        name=f"segment-{min(ports)}",
                        ports=tuple(sorted(ports)),
                        evidence=evidence,
                    )
                )
                used |= ports
    return found, segments, conflicts


def _shared(cables: Iterable[CableId]) -> list[set[PortId]]:
    """Groups of ports of which at least one has several others."""
    graph: nx.Graph = nx.Graph()
    graph.add_edges_from((cable.a, cable.z) for cable in cables)
    return [set(group) for group in nx.connected_components(graph) if len(group) > 2]


def _differs(cable: CableId, said: Sequence[Evidence], resolution: str) -> Conflict:
    return Conflict(kind="record-differs", subject=str(cable), said=tuple(said), resolution=resolution)
