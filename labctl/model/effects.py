"""What is broken right now, as data; and `settle`, which folds it into the state each resource should be in.

The one idea: a fault never does and undoes. It contributes an `Effect` to a set while it is active, and every
resource's desired `Setting` is a fold over the effects that touch it: *down wins, freeze wins*, delays add, losses
compose 1-(1-p)(1-q), rates and CPU shares take the minimum, pushed configurations unite. The fold does not depend on order and is idempotent, and with no effects
it is the lab's base state; so overlapping faults, retries, dry-runs and healing after a crash need no code of their
own. (An undo stack gets two overlapping faults on one port wrong; see docs/architecture.md.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from labctl.errors import LabctlError
from labctl.model.impairment import NEUTRAL, Impairment, compose_all
from labctl.model.lab import LabSpec, Stands
from labctl.names import CableId, PortId


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


@dataclass(frozen=True, slots=True, order=True)
class ProcessRef:
    """Every process of a node that has this name (`comm`, as in `ps -C`)."""

    node: str
    name: str

    def __str__(self) -> str:
        return f"{self.node}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class PortRef:
    """A port inside its node: what `ip link set` there acts on."""

    port: PortId

    def __str__(self) -> str:
        return str(self.port)


@dataclass(frozen=True, slots=True, order=True)
class ConfigRef:
    """The running configuration of a node's routing daemons."""

    node: str

    def __str__(self) -> str:
        return f"configuration of {self.node}"


Resource: TypeAlias = HalfCable | NodeRef | ProcessRef | PortRef | ConfigRef


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


@dataclass(frozen=True, slots=True)
class Off:
    """No power: no process of the node is left. (Its cables go dark by effects of their own.)"""


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """All processes of the node together get no more than so many cores."""

    cores: float

    def __post_init__(self) -> None:
        if not 0.01 <= self.cores <= 1024:
            raise ValueError(f"{self.cores:g} of a core is not between 1% and 102400%")


@dataclass(frozen=True, slots=True)
class Killed:
    """No process of that name runs, whatever restarts it. `restart`: what starts it again, if not its command line."""

    restart: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The processes are there, hold their sockets and do nothing (SIGSTOP)."""


@dataclass(frozen=True, slots=True)
class AdminDown:
    """The port is administratively down inside its node, as after `shutdown`."""


@dataclass(frozen=True, slots=True)
class Configured:
    """These lines were typed into the node's configuration mode (vtysh)."""

    lines: tuple[str, ...]

    def __post_init__(self) -> None:
        if not any(line.strip() for line in self.lines):
            raise ValueError("a configuration without a line changes nothing")


Change: TypeAlias = Down | Frozen | Impaired | Off | CpuLimit | Killed | Stopped | AdminDown | Configured
#: What each change acts on.
ACTS_ON: Mapping[type[Change], type[Resource]] = {
    Down: HalfCable,
    Impaired: HalfCable,
    Frozen: NodeRef,
    Off: NodeRef,
    CpuLimit: NodeRef,
    Killed: ProcessRef,
    Stopped: ProcessRef,
    AdminDown: PortRef,
    Configured: ConfigRef,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One contribution to the state of one resource. `id` names the fault it belongs to."""

    id: str
    on: Resource
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The state one resource should be in. The defaults are the base state of what its lab says nothing else of."""

    down: bool = False  # half-cables
    frozen: bool = False  # nodes
    impairment: Impairment = NEUTRAL  # half-cables
    off: bool = False  # nodes
    cpu: float | None = None  # nodes: cores; None: as the lab says
    killed: bool = False  # processes
    restart: str = ""  # processes that are killed
    stopped: bool = False  # processes
    admin_down: bool = False  # ports
    config: tuple[tuple[str, ...], ...] = ()  # configurations: what was pushed, sorted


BASE = Setting()


def resources(lab: LabSpec) -> frozenset[Resource]:
    """Everything that can be listed and that an effect can touch. Processes cannot: see `exists`.

    Of what is the machine itself nothing is among them: a fault cuts the cable there, which is the lab's.
    """
    stands = lab.stands()
    names = {node.name for node in lab.nodes if stands[node.name] is not Stands.MACHINE}
    halves = {HalfCable(c.id, d) for c in lab.cables for d in Direction}
    ports = {
        PortRef(end.port)
        for cable in lab.cables
        for end in cable.ends
        if stands.get(end.port.node) is not Stands.MACHINE
    }
    return frozenset(halves | ports | {NodeRef(name) for name in names} | {ConfigRef(name) for name in names})


def exists(on: Resource, known: Collection[Resource]) -> bool:
    """Whether a lab whose resources are `known` has it; of a process, whether it has the node."""
    return (NodeRef(on.node) if isinstance(on, ProcessRef) else on) in known


def bases(lab: LabSpec) -> Mapping[Resource, Setting]:
    """What is not at `BASE` when nothing is broken: half-cables that the lab's file impairs."""
    return {
        HalfCable(cable.id, Direction(way)): Setting(impairment=impairment)
        for cable in lab.cables
        for way, impairment in cable.impaired.items()
    }


def settle(
    lab: LabSpec, active: Collection[Effect], base: Mapping[Resource, Setting] | None = None
) -> Mapping[Resource, Setting]:
    """Desired setting of every resource of the lab under the active effects. Pure and order-free.

    base: the settings of what is not at `BASE` without any effect; by default those of the lab.

    Processes are in it only while an effect touches them: what is not in it should be at `BASE`. Effects on resources
    that the lab does not have are ignored here: they went with a node or cable that `apply` removed, and the ledger
    keeps them listed.
    """
    wanted: dict[Resource, Setting] = dict.fromkeys(resources(lab), BASE)
    wanted |= {on: setting for on, setting in (bases(lab) if base is None else base).items() if on in wanted}
    touched: dict[Resource, list[Change]] = {}
    for effect in active:
        if exists(effect.on, wanted.keys()):
            touched.setdefault(effect.on, []).append(effect.change)
    return wanted | {on: _fold(wanted.get(on, BASE), changes) for on, changes in touched.items()}


def _fold(base: Setting, changes: Collection[Change]) -> Setting:
    quotas = [each.cores for each in changes if isinstance(each, CpuLimit)]
    restarts = [each.restart for each in changes if isinstance(each, Killed)]
    pushed = {each.lines for each in changes if isinstance(each, Configured)}
    return replace(
        base,
        down=base.down or _any(changes, Down),
        frozen=base.frozen or _any(changes, Frozen),
        impairment=_in_a_row(
            base.impairment, [each.impairment for each in changes if isinstance(each, Impaired)]
        ),
        off=base.off or _any(changes, Off),
        cpu=min((q for q in (base.cpu, *quotas) if q is not None), default=None),
        killed=base.killed or _any(changes, Killed),
        restart=max([base.restart, *restarts]),
        stopped=base.stopped or _any(changes, Stopped),
        admin_down=base.admin_down or _any(changes, AdminDown),
        config=tuple(sorted({*base.config, *pushed})),
    )


def _in_a_row(base: Impairment, faults: Sequence[Impairment]) -> Impairment:
    """All of it. A base state may come to faults that are there already and that it has no meaning with: then they count
    alone until they end. Faults that come to a base state, or to each other, are refused.
    """
    try:
        return compose_all([base, *faults])
    except LabctlError:
        return compose_all(faults)


def _any(changes: Collection[Change], kind: type[Change]) -> bool:
    return any(isinstance(change, kind) for change in changes)
