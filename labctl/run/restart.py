"""Restart nodes the way a device restarts: dark, then back with the same ports on the same cables.

The namespace outlives the processes, so interfaces keep their names, MACs, addresses and cables. While a node is down
its cables give no light at either end, as when it loses power; that is an ordinary effect under a lease, so if labctl
is killed in between, the cables come back by themselves. What a process deleted inside the namespace is plugged again
with its MAC and both filters. The node's `exec` commands run again: they are what its lab file configures it with.
"""

from __future__ import annotations

from collections.abc import Sequence

from labctl.agent import client
from labctl.errors import LabctlError, did_you_mean
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import NodeKind
from labctl.run import execs
from labctl.runtime import ended, panel
from labctl.runtime.base import RUNTIMES
from labctl.runtime.store import LabDir

#: Long enough for the slowest node to start on a busy machine.
DARK_S = 120.0


def restart(place: LabDir, nodes: Sequence[str], emit: Emit = ignore) -> None:
    """Stop and start these nodes, one after the other. Active faults stay: a frozen node is frozen again."""
    with place.lock() as held:
        record = place.need()
        lab = record.lab
        known = [node.name for node in lab.nodes if node.kind is NodeKind.LINUX]
        for name in nodes:
            if name not in known:
                raise LabctlError(
                    "unknown-resource",
                    f"lab {lab.name!r} has no node {name!r}",
                    hint=did_you_mean(name, known),
                )
        runtime = RUNTIMES[record.runtime](place.instance, keep=(held,))
        client.start(place)
        for done, name in enumerate(nodes, start=1):
            client.ask(place, "unplug", node=name, lease_s=DARK_S)
            try:
                runtime.stop(lab, [name])
                with panel.Panel(place, lab, record.devices) as patch:
                    patch.plug(name)
                with ended.Starting(place):
                    runtime.start(lab, [name])
                    client.ask(place, "status")  # from here on the agent watches it
            finally:
                client.ask(place, "replug", node=name)
            execs.run(lab, lab.node(name), runtime, emit)
            emit(
                Event(
                    kind="node-restarted",
                    text="nodes restarted",
                    subject=name,
                    done=done,
                    total=len(nodes),
                )
            )
