"""`labctl exec`: one command in one node, on the caller's terminal, with the command's own exit status."""

from __future__ import annotations

from collections.abc import Sequence

from labctl.errors import LabctlError, did_you_mean
from labctl.model.lab import LabSpec, NodeKind
from labctl.run import heal
from labctl.runtime import docker_attached
from labctl.runtime.base import RUNTIMES
from labctl.runtime.docker_attached import Attached
from labctl.runtime.store import LabDir


def attach(place: LabDir | Attached, node: str, argv: Sequence[str]) -> int:
    """Run `argv` in `node`; its exit status."""
    if isinstance(place, Attached):
        return docker_attached.attach(place, node, argv)
    heal.implicit(place.instance)
    record = place.need()
    return RUNTIMES[record.runtime](place.instance).attach(record.lab, find_node(record.lab, node), argv)


def find_node(lab: LabSpec, wanted: str) -> str:
    """The node of that name, or of that container name (`clab-dc1-r1`)."""
    nodes = [node.name for node in lab.nodes if node.kind is NodeKind.LINUX]
    for name in nodes:
        if wanted in (name, lab.container(name)):
            return name
    raise LabctlError(
        "unknown-node",
        f"lab {lab.name!r} has no node {wanted!r} to run commands in",
        hint=did_you_mean(wanted, nodes),
    )
