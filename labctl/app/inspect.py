"""`labctl inspect`: what runs, in containerlab's shape, and what is not as it should be."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from labctl import units
from labctl.agent import again, client
from labctl.app import attached
from labctl.errors import LabctlError
from labctl.model.lab import LabSpec
from labctl.model.stages import Health
from labctl.run import apply
from labctl.runtime import published
from labctl.runtime.base import RUNTIMES, NodeState, NodeStatus
from labctl.runtime.docker_attached import Attached
from labctl.runtime.store import LabDir, Phase, Record

#: The words that containerlab passes on from Docker.
_STATES = {NodeState.RUNNING: "running", NodeState.FROZEN: "paused", NodeState.EXITED: "exited"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """One lab: its nodes in containerlab's JSON shape, and notes for people."""

    lab: str
    containers: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()


def inspect(places: Iterable[LabDir | Attached]) -> list[Inspected]:
    """What each of these labs is now. One with a damaged record is told, not skipped."""
    return [_attached(place) if isinstance(place, Attached) else _inspect(place) for place in places]


def _attached(lab: Attached) -> Inspected:
    note = f"containerlab deployed it: labctl looks into it, changes nothing of it and never removes it (engine {lab.url})"
    return Inspected(lab=lab.name, containers=attached.rows(lab), notes=(note,))


#: containerlab's columns, in its order.
_COLUMNS = (
    "lab_name",
    "labPath",
    "absLabPath",
    "name",
    "container_id",
    "image",
    "kind",
    "state",
    "status",
    "ipv4_address",
    "ipv6_address",
    "owner",
)


def as_csv(found: Iterable[Inspected]) -> str:
    """A line of column names, then one for each container."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows([each[column] for column in _COLUMNS] for lab in found for each in lab.containers)
    return text.getvalue()


def _inspect(place: LabDir) -> Inspected:
    try:
        record = place.read()
    except LabctlError as error:
        return Inspected(lab=place.name, containers=(), notes=(error.message,))
    if record is None:
        return Inspected(lab=place.name, containers=(), notes=("it is being made or removed right now",))
    statuses = RUNTIMES[record.runtime](place.instance).status(record.lab)
    return Inspected(
        lab=place.name,
        containers=tuple(_container(record, status) for status in statuses),
        notes=(
            *_notes(place, record),
            *_ends(place, record.lab, statuses),
            *_again(place, record.lab, statuses),
            *_memory(record.lab, statuses),
        ),
    )


def _notes(place: LabDir, record: Record) -> Iterator[str]:
    if record.phase is Phase.APPLYING:
        yield f"it is being changed; if no labctl is at work on it, {apply.GO_ON}"
    elif record.phase is not Phase.RUNNING:
        yield f"it is {record.phase.value}; if no labctl is at work on it, `labctl destroy {place.name}` removes the rest"
    elif not client.alive(place):
        yield "its agent is dead: ports do not follow each other, faults end only with their lease; `labctl heal` restarts it"
    elif any(published.of(record.lab)):
        with contextlib.suppress(LabctlError):
            wrong = client.ask(place, "status")["unpublished"]
            yield from (f"port {name} is not published: {why}" for name, why in wrong.items())


def _ends(place: LabDir, lab: LabSpec, statuses: Iterable[NodeStatus]) -> Iterator[str]:
    """Nodes whose command ended: unless their policy says so nothing starts them again, and who waits for them waits in vain."""
    for status in statuses:
        if status.state is NodeState.EXITED:
            printed = f"; its last line: {status.last_line}" if status.last_line else "; it printed nothing"
            policy = lab.node(status.node).restart
            back = "; its restart-policy starts it again" if policy.after(status.exit_code) else ""
            if back and again.stopped(place, status.node):
                back = f"; somebody has stopped it by hand: `docker start {status.container}`"
            yield f"node {status.node} has ended: {_how(status)}{printed}{back}"


def _again(place: LabDir, lab: LabSpec, statuses: Iterable[NodeStatus]) -> Iterator[str]:
    """Nodes that their policy has started again."""
    for status in statuses:
        times = again.count(place, status.node).times
        if times:
            often = "once" if times == 1 else f"{times} times"
            policy = lab.node(status.node).restart.value
            yield f"node {status.node} has ended and was started again {often} (restart-policy {policy})"


def _memory(lab: LabSpec, statuses: Iterable[NodeStatus]) -> Iterator[str]:
    """Nodes that met their memory limit. Without a limit it was the machine's memory that ran out."""
    for status in statuses:
        if status.oom_kills:
            limit = lab.node(status.node).limits.memory_bytes
            of = (
                "the machine's memory" if limit is None else f"its memory limit of {units.format_size(limit)}"
            )
            count = "a process" if status.oom_kills == 1 else f"{status.oom_kills} processes"
            yield f"node {status.node} ran out of {of}: the kernel has ended {count} of it (OOM)"


def _how(status: NodeStatus) -> str:
    if status.exit_code is None or status.ended_s is None:
        return "nobody saw with which exit status"
    signalled = status.exit_code - 128
    try:
        by = f" ({signal.Signals(signalled).name})" if signalled > 0 else ""
    except ValueError:
        by = ""
    return f"exit {status.exit_code}{by}, {_ago(time.time() - status.ended_s)} ago"


def _container(record: Record, status: NodeStatus) -> dict[str, Any]:
    lab = record.lab
    node = lab.node(status.node)
    shown: dict[str, Any] = {
        "lab_name": lab.name,
        "labPath": os.path.relpath(lab.source) if lab.source else "",
        "absLabPath": lab.source,
        "name": status.container,
        "container_id": status.container_id,
        "image": status.image,
        "kind": node.kind.value,
        "state": _STATES.get(status.state, "absent"),
        "status": _status(status),
        "ipv4_address": _address(lab, status.mgmt_ipv4, 0),
        "ipv6_address": _address(lab, status.mgmt_ipv6, 1),
        "owner": record.owner,
    }
    if node.group:
        shown["group"] = node.group
    if status.oom_kills:
        shown["oom_kills"] = status.oom_kills
    if status.state is NodeState.EXITED:
        shown |= {
            "exit_code": status.exit_code,
            "finished_at": None if status.ended_s is None else _utc(status.ended_s),
            "last_log_line": status.last_line,
        }
    return shown


def _address(lab: LabSpec, address: str | None, which: int) -> str:
    subnet = (lab.mgmt.ipv4_subnet, lab.mgmt.ipv6_subnet)[which]
    return f"{address}/{subnet.rpartition('/')[2]}" if address else "N/A"


def _status(status: NodeStatus) -> str:
    if status.uptime_s is None:
        if status.exit_code is not None and status.ended_s is not None:
            return f"Exited ({status.exit_code}) {_ago(time.time() - status.ended_s)} ago"
        return "Exited" if status.state is NodeState.EXITED else "Absent"
    paused = " (Paused)" if status.state is NodeState.FROZEN else ""
    words = {
        Health.STARTING: " (health: starting)",
        Health.HEALTHY: " (healthy)",
        Health.UNHEALTHY: " (unhealthy)",
    }
    return f"Up {_ago(status.uptime_s)}{paused or (words[status.health] if status.health else '')}"


def _utc(wall_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_s))


def _ago(seconds: float) -> str:
    """As Docker says it: the largest unit that fits."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a second"
