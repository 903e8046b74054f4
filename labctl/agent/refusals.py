"""What is refused before anything is on disk: leases that make no sense, resources that are not there."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Sequence

from labctl.agent import settlers
from labctl.agent.codec import Owner
from labctl.errors import LabctlError, did_you_mean
from labctl.linux import proc
from labctl.model.effects import Effect, HalfCable, Resource, exists
from labctl.model.lab import LabSpec, NodeKind, Stands


def check(
    lab: LabSpec,
    known: Collection[Resource],
    lease_id: str,
    effects: Sequence[Effect],
    *,
    lease_s: float,
    owner: Owner | None,
) -> None:
    """Raise what is wrong with a lease. `known`: the lab's resources."""
    if not lease_id or len(lease_id) > 200:
        raise LabctlError("bad-request", "a lease needs an id of 1 to 200 characters")
    if not (math.isfinite(lease_s) and lease_s > 0):
        raise LabctlError("bad-request", f"a lease of {lease_s} s is not a time to come")
    if owner is not None and not lives(owner):
        raise LabctlError("bad-request", f"the owner of the lease, process {owner.pid}, is not running")
    touched = {effect.on for effect in effects}
    stands = lab.stands()
    bridges = {each.name for each in lab.nodes if each.kind is NodeKind.BRIDGE}
    for on in touched:
        node = settlers.node_of(on)
        if node is not None and stands.get(node) is Stands.MACHINE:
            raise LabctlError("effect-not-taken", f"{node} is the machine itself, which no fault touches")
        if not exists(on, known):
            raise no_resource(lab, str(on.cable) if isinstance(on, HalfCable) else str(on))
        if node is not None and (stands[node] is Stands.SEGMENT or node in bridges):
            raise LabctlError("effect-not-taken", f"{node} is a bridge: nothing runs inside it")


def no_resource(lab: LabSpec, name: str) -> LabctlError:
    known = [str(cable.id) for cable in lab.cables] if ":" in name else [node.name for node in lab.nodes]
    return LabctlError(
        "unknown-resource", f"lab {lab.name!r} has no {name!r}", hint=did_you_mean(name, known)
    )


def lives(owner: Owner) -> bool:
    with contextlib.suppress(OSError):
        return proc.start_ticks(owner.pid) == owner.start_ticks
    return False
