"""Which panel sides are up: the level rule of the admin-state mirror, as a pure function.

A port sees carrier exactly while the panel side of its veth pair is up. So a panel side carries the state of the
*other* end of the cable over to this one, as a fibre carries light:

    up(panel side of A) = effects allow ∧ B's interface exists ∧ B's interface has IFF_UP

`exists` and IFF_UP are read in B's own namespace. Carrier never enters: A's carrier follows B's admin state and B's
carrier follows A's, and a rule that asked for carrier would wait for itself at its second step. The rule is of levels,
not edges: whatever happened in whatever order, looking once more gives the right answer; an event is only the reason
to look.

Some ends have no admin state to mirror: behind a stub and a way out of the machine there is nobody that could be
asked, and a bridge is always up. They give carrier always. A bridge's own port has a panel side as a node's has, so it loses carrier when the node shuts its port, as on a
switch, and the other nodes on the bridge do not notice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from labctl.model.effects import BASE, Direction, HalfCable, Resource, Setting
from labctl.model.lab import LabSpec, Stands
from labctl.names import PortId

#: node -> interface -> has IFF_UP. An interface (or node) that is not there does not exist.
Admin = Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The panel side of one port: what decides whether it is up."""

    port: PortId  # gets its carrier from this side
    far: PortId | None  # the port whose admin state it shows; None: a stub, a bridge or a way out is behind
    half: HalfCable  # takes it down


def sides(lab: LabSpec) -> tuple[Side, ...]:
    """All panel sides of a lab, in the order of its cables."""
    stands = lab.stands()
    found: list[Side] = []
    for cable in lab.cables:
        ports = cable.ports
        for port in ports:
            far = next((other for other in ports if other != port), None)
            into = Direction.Z_TO_A if port == cable.id.a else Direction.A_TO_Z
            asked = far is not None and stands.get(far.node) in (Stands.NODE, Stands.MACHINE)
            found.append(Side(port=port, far=far if asked else None, half=HalfCable(cable.id, into)))
    return tuple(found)


def up(side: Side, admin: Admin, settings: Mapping[Resource, Setting]) -> bool:
    """The level rule."""
    if settings.get(side.half, BASE).down:
        return False
    return side.far is None or admin.get(side.far.node, {}).get(side.far.interface, False)


def wanted(among: Collection[Side], admin: Admin, settings: Mapping[Resource, Setting]) -> dict[PortId, bool]:
    """The level of each of these panel sides, by the port that gets its carrier from it."""
    return {side.port: up(side, admin, settings) for side in among}
