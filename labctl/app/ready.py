"""`labctl deploy --wait`: a lab is ready when its routing has settled, not when its processes run."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.analyze.words import plural, seconds
from labctl.model.event import Emit, ignore
from labctl.model.routes import Convergence
from labctl.run import converge, observe
from labctl.runtime.store import LabDir


def wait(place: LabDir, *, timeout_s: float, emit: Emit = ignore) -> Convergence:
    """Watch every node until nothing changes any more, at most `timeout_s`."""
    return converge.wait_settled(observe.targets(place), timeout_s=timeout_s, emit=emit)


def told(seen: Convergence) -> Iterator[str]:
    """What came of it, in lines: settled or not, then what is stuck."""
    up = plural(seen.up, "adjacency", "adjacencies")
    if seen.settled:
        yield f"routing settled after {seconds(seen.took_s)}: {up} up"
    else:
        yield f"routing has not settled after {seconds(seen.waited_s)}: {up} up"
    for adjacency in seen.stuck:
        yield f"not up: {adjacency}"
    for daemon in seen.silent:
        yield f"does not answer: {daemon}"
