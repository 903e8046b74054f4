"""Which panel sides are up: the level rule of the admin-state mirror, as a pure function.

A port sees carrier exactly while the panel side of its veth pair is up. So a panel side carries the state of the
*other* end of the cable over to this one, as a fibre carries light:

    up(panel side of A) = effects allow ∧ B's interface exists ∧ B's interface has IFF_UP

`exists` and IFF_UP are read in B's own namespace. Carrier never enters: A's carrier follows B's admin state and B's
carrier follows A's, and a rule that asked for carrier would wait for itself at its second step. The rule is of levels,
not edges: whatever happened in whatever order, looking once more gives the right answer; an event is only the reason
to look.

Two ends have no admin state to mirror. A stub gives carrier always. A port of a bridge node is a bridge port in the
panel itself: its node's admin state reaches the bridge by the veth pair (the port loses carrier, as on a switch), and
the other nodes on the bridge do not notice, so only effects take it down.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from labctl.model.effects import BASE, Direction, HalfCable, Resource, Setting
from labctl.model.lab import LabSpec, NodeKind
from labctl.names import PortId

#: node -> interface -> has IFF_UP. An interface (or node) that is not there does not exist.
Admin = Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The panel side of one port: what decides whether it is up."""

    port: PortId  # gets its carrier from this side
    far: PortId | None  # the port whose admin state it shows; None: a stub or a bridge is behind
    halves: tuple[HalfCable, ...]  # any of them down takes it down


def sides(lab: LabSpec) -> tuple[Side, ...]:
    """All panel sides of a lab, in the order of its cables."""
    bridges = {node.name for node in lab.nodes if node.kind is NodeKind.BRIDGE}
    found: list[Side] = []
    for cable in lab.cables:
        into_a, into_z = (
            HalfCable(cable.id, Direction.Z_TO_A),
            HalfCable(cable.id, Direction.A_TO_Z),
        )
        for end in cable.ends:
            port = end.port
            far = next((other.port for other in cable.ends if other.port != port), None)
            into = into_a if port == cable.id.a else into_z
            if port.node in bridges and not (far and far.node in bridges):
                continue  # the bridge's port is the panel side of the node at the other end
            if far is not None and far.node in bridges:
                # One veth pair serves both directions of a cable to a bridge: either cut takes the port's light.
                found.append(Side(port=port, far=None, halves=(into_a, into_z)))
            else:
                found.append(Side(port=port, far=far, halves=(into,)))
    return tuple(found)


def up(side: Side, admin: Admin, settings: Mapping[Resource, Setting]) -> bool:
    """The level rule."""
    if any(settings.get(half, BASE).down for half in side.halves):
        return False
    return side.far is None or admin.get(side.far.node, {}).get(side.far.interface, False)


def wanted(among: Collection[Side], admin: Admin, settings: Mapping[Resource, Setting]) -> dict[PortId, bool]:
    """The level of each of these panel sides, by the port that gets its carrier from it."""
    return {side.port: up(side, admin, settings) for side in among}
