"""Link aggregates: members are what is plugged. LACP tells each member who its partner is, and from which port."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from labctl.model.observation import LacpPort
from labctl.model.topology import Evidence, Interface
from labctl.names import CableId, PortId
from labctl.topo.links import Hypothesis
from labctl.topo.world import World


def add_lacp(world: World, hypotheses: dict[CableId, Hypothesis], used: set[PortId]) -> None:
    """Cables between members that are each other's partner. A system and port that two members claim is nobody's."""
    ports: dict[tuple[str, int], set[PortId]] = defaultdict(set)
    rows: list[tuple[PortId, LacpPort]] = []
    for box in world.boxes:
        for seen in box.observations:
            for row in seen.lacp:
                port = world.port(box, row.if_index)
                if port is not None and world.interfaces[port].kind == "":
                    ports[row.system, row.port].add(port)
                    rows.append((port, row))
    for near, row in rows:
        partners = ports.get((row.partner, row.partner_port), set())
        far = next(iter(partners)) if len(partners) == 1 else near
        if far == near or near in used or far in used:
            continue
        hypothesis = hypotheses.setdefault(CableId.of(near, far), Hypothesis(CableId.of(near, far)))
        hypothesis.says("lacp", near, 1.0)
        hypothesis.evidence.append(Evidence(source="lacp", where=row.where, said=row.said))


def members_of(interfaces: Mapping[PortId, Interface]) -> dict[PortId, list[PortId]]:
    found: dict[PortId, list[PortId]] = defaultdict(list)
    for port, interface in sorted(interfaces.items()):
        if interface.member_of:
            found[PortId(port.node, interface.member_of)].append(port)
    return found


def unfold(hypotheses: dict[CableId, Hypothesis], interfaces: Mapping[PortId, Interface]) -> None:
    """Cables of aggregates -> cables of their members.

    Where a cable of members is known, that of the aggregates says nothing more; where each has one member, it is
    theirs. Else it stays: somebody has yet to tell which members are joined.
    """
    members = members_of(interfaces)
    if not members:
        return
    above = {member: lag for lag, found in members.items() for member in found}
    joined = {
        frozenset((above.get(cable.a, cable.a), above.get(cable.z, cable.z)))
        for cable in hypotheses
        if cable.a in above or cable.z in above
    }
    nodes = {frozenset(port.node for port in pair) for pair in joined}
    for cable in [c for c in hypotheses if c.a in members or c.z in members]:
        hypothesis = hypotheses[cable]
        ends = [members.get(end, [end]) for end in (cable.a, cable.z)]
        both = cable.a in members and cable.z in members
        if frozenset((cable.a, cable.z)) in joined or (
            not both and frozenset((cable.a.node, cable.z.node)) in nodes
        ):
            del hypotheses[cable]
        elif len(ends[0]) == len(ends[1]) == 1:
            del hypotheses[cable]
            _move(hypothesis, cable, (ends[0][0], ends[1][0]), hypotheses)


def _move(
    old: Hypothesis, cable: CableId, ends: tuple[PortId, PortId], hypotheses: dict[CableId, Hypothesis]
) -> None:
    to = dict(zip((cable.a, cable.z), ends, strict=True))
    new = hypotheses.setdefault(CableId.of(*ends), Hypothesis(CableId.of(*ends)))
    for (source, side), factor in old.sides.items():
        new.says(source, to[side], factor)
    for source, weight in old.inferred.items():
        new.inferred[source] = max(weight, new.inferred.get(source, 0.0))
    new.evidence += [each for each in old.evidence if each not in new.evidence]
    new.contradicted |= old.contradicted
