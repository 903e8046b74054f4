"""Claims about pairs of ports -> the best set of cables in which no port has two.

Each pair collects its evidence by source; independent sources combine by noisy-OR (`1 - prod(1 - w)`). A cable has two
ends, so the cables are a matching of the port graph; of all matchings the one with the most evidence wins, where
evidence adds up as `-log(1 - confidence)`: two weak claims never outvote one that both ends confirm. The matching is
found per connected component, nearly all of which are a single pair; over the whole graph it takes hundreds of times
longer (`benchmarks/merge.py`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import networkx as nx

from labctl.model.observation import Claim
from labctl.model.topology import Evidence, Link, Segment, Topology
from labctl.names import CableId, PortId
from labctl.topo.resolve import Resolved
from labctl.topo.subnets import Subnet

#: Start values; what each kind of evidence is worth alone (docs/discovery.md).
WEIGHTS: Final[Mapping[str, float]] = {
    "cables": 0.999,  # an operator's own list
    "lldp two-sided": 0.99,
    "cdp two-sided": 0.98,
    "lacp two-sided": 0.97,
    "ospf": 0.90,  # an adjacency is agreed on by both ends
    "lldp one-sided": 0.85,  # the other end was not polled, or speaks no LLDP
    "layer1": 0.85,  # written for this very snapshot; less than what both ends say
    "clab": 0.85,
    "cdp one-sided": 0.80,
    "lacp one-sided": 0.80,
    "netbox": 0.80,
    "bgp": 0.75,  # a single-hop session
    "lldp contradicted": 0.50,  # the other end was polled, speaks LLDP, and does not list us
    "cdp contradicted": 0.50,
    "netbox silent": 0.50,  # both ends listen for neighbours and hear nobody
    "kept contradicted": 0.50,  # of the earlier snapshot, and a port of it reports somebody else now
    "subnet narrow": 0.80,  # /30, /31, /126, /127
    "subnet silent": 0.50,  # narrow, and both devices listen for neighbours and hear nobody on these ports
    "subnet wide": 0.60,  # any other subnet with exactly two members
    "station": 0.70,  # the only hardware address behind a port is that of the other port
    "fdb mutual": 0.60,  # two switches see each other through these ports, and nobody through both
    "description": 0.60,
}
CERTAIN: Final = 1 - 1e-9
#: Protocols that tell each end who the other is. A link that one of them reports from both ends is two-sided.
SPOKEN: Final = ("lldp", "cdp", "lacp")


@dataclass(slots=True)
class Hypothesis:
    """A possible cable. `sides`: by protocol and by the end that said so, the best factor; `inferred`: the weight of
    each other kind of evidence.
    """

    cable: CableId
    sides: dict[tuple[str, PortId], float] = field(default_factory=dict)
    inferred: dict[str, float] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    contradicted: bool = False
    kept: Link | None = None  # of the earlier snapshot, when an end could not be read this time

    def says(self, source: str, side: PortId, factor: float) -> None:
        self.sides[source, side] = max(factor, self.sides.get((source, side), 0.0))

    def add(self, source: str, weight: float, evidence: Evidence) -> None:
        self.inferred[source] = max(weight, self.inferred.get(source, 0.0))
        if evidence not in self.evidence:
            self.evidence.append(evidence)

    @property
    def two_sided(self) -> bool:
        if self.kept is not None and self.kept.two_sided:
            return True
        return {self.cable.a, self.cable.z} <= {side for _, side in self.sides}

    @property
    def weights(self) -> dict[str, float]:
        """What each kind of evidence weighs here; they count as independent of each other."""
        found = dict(self.inferred)
        if self.kept is not None:
            found["kept"] = min(self.kept.confidence, CERTAIN)
        for source in SPOKEN:
            factors = [factor for (s, _), factor in self.sides.items() if s == source]
            if factors:
                how = "two-sided" if len(factors) == 2 else self._alone(source)
                found[f"{source} {how}"] = WEIGHTS[f"{source} {how}"] * min(factors)
        return found

    def _alone(self, source: str) -> str:
        return "contradicted" if self.contradicted and source != "lacp" else "one-sided"

    @property
    def confidence(self) -> float:
        return min(1.0 - math.prod(1.0 - weight for weight in self.weights.values()), CERTAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A claim with both ends known: `near` says that it hears `far`."""

    near: PortId
    far: PortId
    factor: float
    evidence: Evidence


def placed(resolved: Resolved, claims: Iterable[Claim] | None = None) -> list[Placed]:
    """The claims (those of neighbour rows, if no others are given) whose ends are both known."""
    names = [box.name for box in resolved.boxes]
    return [
        Placed(
            near=PortId(names[c.device], c.port),
            far=PortId(names[c.remote_device], c.remote_port),
            factor=c.factor,
            evidence=c.evidence,
        )
        for c in (resolved.claims if claims is None else claims)
        if c.port is not None and c.remote_device is not None and c.remote_port is not None
    ]


def fold_duplicates(claims: Sequence[Placed], resolved: Resolved) -> list[Placed]:
    """One device heard twice on one port (`ether1` and `bridge1/vlan75`) is one cable: to its most physical port.

    Unless the far ports themselves say that they hear us: then they are different cables into a segment.
    """
    kinds = {box.name: ports.kinds for box, ports in zip(resolved.boxes, resolved.ports, strict=True)}
    heard = {(c.near, c.far) for c in claims}
    by_pair: dict[tuple[PortId, str], set[PortId]] = defaultdict(set)
    for c in claims:
        by_pair[c.near, c.far.node].add(c.far)
    best: dict[tuple[PortId, str], PortId] = {}
    for (near, node), fars in by_pair.items():
        if len(fars) > 1 and sum((far, near) in heard for far in fars) < 2:
            best[near, node] = min(
                fars,
                key=lambda far: (
                    (far, near) not in heard,
                    bool(kinds[node].get(far.interface)),
                    any(word in far.interface.lower() for word in ("vlan", "bridge", "br-")),
                    len(far.interface),
                    far,
                ),
            )
    return [replace(c, far=best.get((c.near, c.far.node), c.far)) for c in claims]


def speakers(resolved: Resolved) -> set[str]:
    """Polled boxes whose LLDP or CDP answered completely: their silence about a neighbour means something."""
    return {
        box.name
        for box in resolved.boxes
        if any((o.neighbours or o.local_ports) and o.complete for o in box.observations)
    }


def hypotheses_of(
    claims: Sequence[Placed], used: set[PortId], resolved: Resolved
) -> dict[CableId, Hypothesis]:
    speaks = speakers(resolved)
    found: dict[CableId, Hypothesis] = {}
    for c in claims:
        if c.near in used or c.far in used:
            continue
        cable = CableId.of(c.near, c.far)
        hypothesis = found.setdefault(cable, Hypothesis(cable))
        hypothesis.says(c.evidence.source, c.near, c.factor)
        if c.evidence not in hypothesis.evidence:
            hypothesis.evidence.append(c.evidence)
    for hypothesis in found.values():
        said = {side for _, side in hypothesis.sides}
        silent = {hypothesis.cable.a, hypothesis.cable.z} - said
        hypothesis.contradicted = any(port.node in speaks for port in silent)
    return found


def add_subnets(
    found: Sequence[Subnet],
    hypotheses: dict[CableId, Hypothesis],
    used: set[PortId],
    speaks: set[str],
    relayed: Callable[[PortId], bool] = lambda _: False,
) -> list[Segment]:
    """Two members speak for a cable; more, when no neighbour row says otherwise, for a segment.

    relayed: does a bridge see the port's address? Then what it is plugged into is that bridge.

    Two members that both listen for neighbours and hear nobody there are not joined directly: in a narrow subnet that
    is a doubt, in a wide one there is a switch in between.
    """
    wired = {port for cable in hypotheses for port in (cable.a, cable.z)} | used
    joined = {frozenset((cable.a.node, cable.z.node)) for cable in hypotheses}
    segments: dict[tuple[PortId, ...], Segment] = {}
    for subnet in found:
        if any(port in used for port in subnet.ports):
            continue
        if subnet.aggregate and frozenset(port.node for port in subnet.ports) in joined:
            continue  # the members of the aggregate are the cables
        silent = all(port.node in speaks and port not in wired for port in subnet.ports)
        between = silent or (not subnet.narrow and any(map(relayed, subnet.ports)))
        if len(subnet.ports) == 2 and (subnet.narrow or not between):
            cable = CableId.of(*subnet.ports)
            hypothesis = hypotheses.setdefault(cable, Hypothesis(cable))
            how = "silent" if silent else "narrow" if subnet.narrow else "wide"
            hypothesis.add("subnet", WEIGHTS[f"subnet {how}"], subnet.evidence)
        elif not any(port in wired for port in subnet.ports):
            before = segments.get(subnet.ports)
            segments[subnet.ports] = Segment(
                name=before.name if before else f"segment-{subnet.network}",
                ports=subnet.ports,
                evidence=(*(before.evidence if before else ()), subnet.evidence),
            )
    return list(segments.values())


def add_kept(kept: Topology, gone: frozenset[str], hypotheses: dict[CableId, Hypothesis]) -> None:
    """Links of devices that could not be read this time stay, with the evidence they had.

    Unless a port of theirs now reports somebody else: then the old word counts as a contradicted one.
    """
    elsewhere: dict[PortId, set[CableId]] = defaultdict(set)
    for cable in hypotheses:
        elsewhere[cable.a].add(cable)
        elsewhere[cable.z].add(cable)
    for link in kept.links:
        if link.a.node in gone or link.b.node in gone:
            hypothesis = hypotheses.setdefault(link.id, Hypothesis(link.id))
            hypothesis.kept = link
            hypothesis.contradicted = False
            if (elsewhere[link.a] | elsewhere[link.b]) - {link.id}:
                hypothesis.kept = replace(link, confidence=min(link.confidence, WEIGHTS["kept contradicted"]))
            hypothesis.evidence += [e for e in link.evidence if e not in hypothesis.evidence]


def select(hypotheses: Iterable[Hypothesis]) -> tuple[list[Hypothesis], list[Hypothesis]]:
    """The matching with the most evidence, component by component; and what lost."""
    ordered = sorted(hypotheses, key=lambda h: h.cable)
    graph: nx.Graph = nx.Graph()
    lost = []
    for h in ordered:
        if h.cable.a == h.cable.z:
            lost.append(h)
        else:
            graph.add_edge(h.cable.a, h.cable.z, weight=-math.log1p(-h.confidence), cable=h.cable)
    chosen: set[CableId] = set()
    for component in nx.connected_components(graph):
        if len(component) == 2:
            chosen.add(CableId.of(*component))
            continue
        alone: nx.Graph = nx.Graph()  # edges in order: of two equal matchings the same one wins in every run
        alone.add_edges_from((a, z, graph.edges[a, z]) for a, z in sorted(graph.edges(component)))
        matching = nx.max_weight_matching(alone)
        chosen |= {CableId.of(a, z) for a, z in matching}
    lost += [h for h in ordered if h.cable not in chosen and h.cable.a != h.cable.z]
    return [h for h in ordered if h.cable in chosen], lost


def kept_segments(kept: Topology, gone: frozenset[str], found: Sequence[Segment]) -> list[Segment]:
    """Segments of the earlier snapshot with a device that could not be read this time."""
    known = {port for segment in found for port in segment.ports}
    return [
        segment
        for segment in kept.segments
        if any(port.node in gone for port in segment.ports) and not known & set(segment.ports)
    ]
