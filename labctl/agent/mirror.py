"""Which panel sides are up: the level rule of the admin-state mirror, as a pure function.

A port sees carrier exactly while the panel side of its veth pair is up. So a panel side carries the state of the
*other* end of the cable over to this one, as a fibre carries light:

    up(panel side of A) = effects allow ∧ B's interface exists ∧ B's interface has IFF_UP

`exists` and IFF_UP are read in B's own namespace. Carrier never enters: A's carrier follows B's admin state and B's
carrier follows A's, and a rule that asked for carrier would wait for itself at its second step. The rule is of levels,
not edges: whatever happened in whatever order, looking once more gives the right answer; an event is only the reason
to look.

A sub-interface has no cable of its own: it has carrier while the port below it has, and that port is up in its own node.

Some ends have no admin state to mirror: behind a stub and a way out of the machine there is nobody that could be
asked, and a bridge is always up. They give carrier always. A bridge's own port has a panel side as a node's has, so it loses carrier when the node shuts its port, as on a
switch, and the other nodes on the bridge do not notice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

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
    below: Side | None = None  # of a sub-interface: the side of the port that it stands on

    @property
    def asks(self) -> tuple[PortId, ...]:
        """The ports whose admin state counts."""
        under = (self.below.port, *self.below.asks) if self.below else ()
        return (*((self.far,) if self.far else ()), *under)

    @property
    def halves(self) -> tuple[HalfCable, ...]:
        """The half-cables that take it down."""
        return (self.half, *(self.below.halves if self.below else ()))


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
    by_port = {side.port: side for side in found}
    below = {cable.a.port: by_port[cable.below] for cable in lab.cables if cable.below}
    return tuple(replace(side, below=below.get(side.port)) for side in found)


def up(side: Side, admin: Admin, settings: Mapping[Resource, Setting]) -> bool:
    """The level rule."""
    if any(settings.get(half, BASE).down for half in side.halves):
        return False
    return all(admin.get(port.node, {}).get(port.interface, False) for port in side.asks)


def wanted(among: Collection[Side], admin: Admin, settings: Mapping[Resource, Setting]) -> dict[PortId, bool]:
    """The level of each of these panel sides, by the port that gets its carrier from it."""
    return {side.port: up(side, admin, settings) for side in among}
