"""Labs beside labctl's own: those that containerlab deployed. `inspect`, `graph`, `exec`, `capture` and `logs` take them;
what would change one is refused (`own`), and nothing removes one.
"""

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


def own(instance: Instance, name: str | None) -> LabDir:
    """labctl's own lab of that name; `attached-lab` if it is one of containerlab's. Other errors are `Instance.find`'s."""
    try:
        return instance.find(name)
    except LabctlError as error:
        if error.code == "no-lab":
            refuse(instance, name)
        raise


def refuse(instance: Instance, name: str | None) -> None:
    """`attached-lab` if this is one of containerlab's (None: the only lab there is). Says nothing where no engine can tell."""
    if name is None and instance.labs():
        return
    try:
        others = docker_attached.labs()
    except LabctlError:
        return
    lab = others.get(name) if name is not None else next(iter(others.values())) if len(others) == 1 else None
    if lab is not None:
        raise LabctlError(
            "attached-lab",
            f"lab {lab.name!r} was deployed by containerlab: labctl looks into it and changes nothing of it",
            hint="`labctl inspect`, `graph`, `exec`, `capture` and `logs` take it; `labctl deploy` makes one of its file that "
            f"can be broken; `containerlab destroy --name {lab.name}` removes it",
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
