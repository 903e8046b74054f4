"""Labs beside labctl's own: those that containerlab deployed. `inspect` and `exec` take them, `destroy` never does."""

from __future__ import annotations

import os
from typing import Any

from labctl.errors import LabctlError
from labctl.runtime import docker_attached
from labctl.runtime.docker_attached import Attached
from labctl.runtime.store import Instance, LabDir


def find(instance: Instance, name: str | None) -> LabDir | Attached:
    """The lab that is meant: labctl's own, else one of containerlab's. Errors are those of labctl's own."""
    try:
        return instance.find(name)
    except LabctlError as error:
        if error.code != "no-lab" or (name is None and instance.labs()):
            raise
        others = docker_attached.labs()
        if name is None and len(others) == 1:
            return next(iter(others.values()))
        if name in others:
            return others[name]
        raise


def every(instance: Instance) -> list[LabDir | Attached]:
    """All of labctl's, then all of containerlab's whose name is free."""
    own = instance.labs()
    names = {place.name for place in own}
    return [*own, *(lab for name, lab in docker_attached.labs().items() if name not in names)]


def refuse(name: str | None) -> None:
    """`no-lab`, with who may, if this is one of containerlab's: labctl does not remove what it did not make."""
    if name is not None and "/" not in name and name in docker_attached.labs():
        raise LabctlError(
            "no-lab",
            f"lab {name!r} was deployed by containerlab, and labctl does not remove it",
            hint=f"`containerlab destroy --name {name}` does",
        )


def rows(lab: Attached) -> tuple[dict[str, Any], ...]:
    """Its nodes in containerlab's JSON shape."""
    return tuple(
        {
            "lab_name": lab.name,
            "labPath": os.path.relpath(lab.source) if lab.source else "",
            "absLabPath": lab.source,
            "name": node.container,
            "container_id": node.container_id,
            "image": node.image,
            "kind": node.kind,
            "state": node.state,
            "status": node.status,
            "ipv4_address": node.ipv4 or "N/A",
            "ipv6_address": node.ipv6 or "N/A",
            "owner": lab.owner,
            **({"group": node.group} if node.group else {}),
        }
        for node in lab.nodes
    )
