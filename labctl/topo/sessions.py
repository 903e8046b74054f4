"""Routing sessions as evidence: an adjacency on a port with one neighbour is nearly a cable.

Both addresses must be alone in their subnet. On unnumbered interfaces the session says only who the other is; if two
devices have one such port each towards the other, those are joined.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from labctl.model.observation import Adjacency
from labctl.model.topology import Evidence
from labctl.names import CableId, PortId
from labctl.topo.identity import Box
from labctl.topo.inferred import Inferred
from labctl.topo.links import WEIGHTS
from labctl.topo.world import World, spelled


def sessions(world: World) -> list[Inferred]:
    found: list[Inferred] = []
    towards: dict[tuple[str, str, str], dict[PortId, Evidence]] = defaultdict(dict)
    for box in world.boxes:
        for seen in box.observations:
            for row in seen.adjacencies:
                far = _far(world, row)
                near = _near(world, box, row, far)
                if near is None or not world.physical(near):
                    continue
                evidence = Evidence(source=row.protocol, where=row.where, said=_said(row, near))
                if far is not None and world.physical(far):
                    if near != far and world.alone(near, far):
                        found.append(_inferred(row.protocol, near, far, evidence))
                    continue
                device = world.owners.get(spelled(row.peer)) or world.owners.get(row.peer_id)
                if device is not None and device != box.name:
                    towards[row.protocol, box.name, device][near] = evidence
    return [*found, *_unnumbered(towards)]


def _far(world: World, row: Adjacency) -> PortId | None:
    port = world.by_address.get(spelled(row.peer)) if row.peer else None
    return world.parent(port) if port is not None else None


def _near(world: World, box: Box, row: Adjacency, far: PortId | None) -> PortId | None:
    """The port of that ifIndex; else the box's only port in a subnet of the peer's."""
    if row.if_index is not None:
        return world.port(box, row.if_index)
    if far is None:
        return None
    shared = {
        port
        for network in world.networks.get(far, ())
        for port in world.members[network]
        if port.node == box.name
    }
    return next(iter(shared)) if len(shared) == 1 else None


def _said(row: Adjacency, near: PortId) -> str:
    who = " ".join(each for each in (row.peer, f"({row.peer_id})" if row.peer_id else "") if each)
    return f"{near} has a session with {who}"


def _inferred(protocol: str, near: PortId, far: PortId, evidence: Evidence) -> Inferred:
    return Inferred(cable=CableId.of(near, far), source=protocol, weight=WEIGHTS[protocol], evidence=evidence)


def _unnumbered(towards: Mapping[tuple[str, str, str], Mapping[PortId, Evidence]]) -> Iterator[Inferred]:
    for (protocol, one, other), ports in sorted(towards.items()):
        back = towards.get((protocol, other, one), {})
        if len(ports) == len(back) == 1:
            (near, evidence), far = next(iter(ports.items())), next(iter(back))
            yield _inferred(protocol, near, far, evidence)
