"""What is broken right now, as data; and `settle`, which folds it into the state each resource should be in.

The one idea: a fault never does and undoes. It contributes an `Effect` to a set while it is active, and every
resource's desired `Setting` is a fold over the effects that touch it: *down wins, freeze wins*, delays add, losses
compose 1-(1-p)(1-q), rates take the minimum. The fold does not depend on order and is idempotent, and with no effects
it is the lab's base state; so overlapping faults, retries, dry-runs and healing after a crash need no code of their
own. (An undo stack gets two overlapping faults on one port wrong; see docs/architecture.md.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from labctl.model.impairment import NEUTRAL, Impairment, compose_all
from labctl.model.lab import LabSpec
from labctl.names import CableId


class Direction(StrEnum):
    """One of the two half-cables: the traffic from `a` to `z`, or from `z` to `a`."""

    A_TO_Z = "a->z"
    Z_TO_A = "z->a"


@dataclass(frozen=True, slots=True, order=True)
class HalfCable:
    """The traffic of one cable in one direction. Its receiving end is the one that loses carrier."""

    cable: CableId
    direction: Direction

    def __str__(self) -> str:
        return f"{self.cable} {self.direction}"


@dataclass(frozen=True, slots=True, order=True)
class NodeRef:
    """A whole node, by its lab name."""

    node: str

    def __str__(self) -> str:
        return self.node


Resource: TypeAlias = HalfCable | NodeRef


@dataclass(frozen=True, slots=True)
class Down:
    """No light: the receiving end of the half-cable has no carrier, and nothing passes in that direction."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """No process of the node runs (the kernel of its namespace still forwards: a control-plane hang)."""


@dataclass(frozen=True, slots=True)
class Impaired:
    """Light, but what crosses the half-cable is late, lost or changed."""

    impairment: Impairment


Change: TypeAlias = Down | Frozen | Impaired


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One contribution to the state of one resource. `id` names the fault it belongs to."""

    id: str
    on: Resource
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The state one resource should be in. The defaults are the base state: nothing is broken."""

    down: bool = False  # half-cables
    frozen: bool = False  # nodes
    impairment: Impairment = NEUTRAL  # half-cables


BASE = Setting()


def resources(lab: LabSpec) -> frozenset[Resource]:
    """Everything in the lab that an effect can touch."""
    halves = {HalfCable(c.id, d) for c in lab.cables for d in Direction}
    return frozenset(halves | {NodeRef(n.name) for n in lab.nodes})


def settle(lab: LabSpec, active: Collection[Effect]) -> Mapping[Resource, Setting]:
    """Desired setting of every resource of the lab under the active effects. Pure and order-free.

    Effects on resources that the lab does not have are ignored here: they went with a node or cable that `apply`
    removed, and the ledger keeps them listed.
    """
    wanted: dict[Resource, Setting] = dict.fromkeys(resources(lab), BASE)
    touched: dict[Resource, list[Change]] = {}
    for effect in active:
        if effect.on in wanted:
            touched.setdefault(effect.on, []).append(effect.change)
    return wanted | {on: _fold(wanted[on], changes) for on, changes in touched.items()}


def _fold(base: Setting, changes: Collection[Change]) -> Setting:
    return replace(
        base,
        down=base.down or any(isinstance(change, Down) for change in changes),
        frozen=base.frozen or any(isinstance(change, Frozen) for change in changes),
        impairment=compose_all(
            [base.impairment, *(each.impairment for each in changes if isinstance(each, Impaired))]
        ),
    )
