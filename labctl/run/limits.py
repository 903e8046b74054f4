"""Other resource limits for a node that runs: set, noted for its next start, and read back.

Memory and processes are the kernel's to keep and nobody else's. The CPU's limit is something that faults take part in, so
the agent sets it: the lab's own, or what active effects leave of it. Nothing of the node is killed or started for any of it.
"""

from __future__ import annotations

import errno
import resource
from dataclasses import replace

from labctl.agent import client
from labctl.errors import LabctlError
from labctl.model.lab import LabSpec, Limits
from labctl.runtime.base import RUNTIMES, Runtime
from labctl.runtime.store import LabDir


def ensure(place: LabDir, node: str, limits: Limits) -> Limits:
    """Give a node these limits, in its control group, its bundle and the lab's record; what was read back.

    The caller holds the lab's lock. Doing it again is harmless. `limit-refused` if the node uses more memory than that
    (then nothing has changed), or if something else was read back.
    """
    record = place.need()
    found = put(RUNTIMES[record.runtime](place.instance), record.lab, node, limits)
    lab = _with(record.lab, node, limits)
    if lab != record.lab:
        place.write(replace(record, lab=lab))
    if not client.alive(place):
        client.start(place)
    level(place, node)
    return found


def put(runtime: Runtime, lab: LabSpec, node: str, limits: Limits) -> Limits:
    """All of it but the CPU's, and not in the record; errors as of `ensure`."""
    try:
        found = runtime.limit(lab, node, limits)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        raise LabctlError(
            "limit-refused",
            f"node {node!r} uses more than {_said(limits.memory_bytes)} of memory and cannot give it back",
            hint="leave it more, or stop what uses it: `labctl exec` runs `ps` in it",
        ) from error
    wanted = replace(limits, memory_bytes=_pages(limits.memory_bytes))
    if replace(found, memory_bytes=_pages(found.memory_bytes)) != wanted:
        raise LabctlError(
            "limit-refused",
            f"node {node!r} has {_told(found)} where {_told(limits)} was set",
            hint="`labctl doctor` says what control groups can do here",
        )
    return found


def level(place: LabDir, node: str) -> None:
    """The record has other limits for the node: its CPU's becomes what they and the active faults make of it."""
    for reading in client.ask(place, "relimit", node=node)["readings"]:
        if not reading["taken"]:
            raise LabctlError("limit-refused", f"node {node!r}: {reading['note']}")


def _with(lab: LabSpec, node: str, limits: Limits) -> LabSpec:
    nodes = (replace(each, limits=limits) if each.name == node else each for each in lab.nodes)
    return replace(lab, nodes=tuple(nodes))


def _pages(count: int | None) -> int | None:
    """The kernel counts memory in pages."""
    return None if count is None else count // resource.getpagesize()


def _told(limits: Limits) -> str:
    rates = (f", {name} {rate or 'any'}" for name, rate in limits.rates.items())
    told = f"{_said(limits.memory_bytes)} of memory, {limits.pids or 'any number of'} processes"
    return told + ("".join(rates) if any(limits.rates.values()) else "")


def _said(count: int | None) -> str:
    return "any amount" if count is None else f"{count / (1 << 20):g} MiB"
