"""`labctl logs`: what a node printed, and what it prints."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.app.exec import find_node
from labctl.run import heal
from labctl.runtime import docker_attached
from labctl.runtime.base import RUNTIMES
from labctl.runtime.docker_attached import Attached
from labctl.runtime.store import LabDir


def logs(
    place: LabDir | Attached, node: str, *, since_s: float | None, tail: int | None, follow: bool
) -> Iterator[bytes]:
    """As `labctl.runtime.base.Console.output`; `unknown-node` if the lab has none of that name."""
    if isinstance(place, Attached):
        return docker_attached.output(place, node, since_s=since_s, tail=tail, follow=follow)
    heal.implicit(place.instance)
    record = place.need()
    runtime = RUNTIMES[record.runtime](place.instance)
    name = find_node(record.lab, node)
    return runtime.output(record.lab, name, since_s=since_s, tail=tail, follow=follow)
