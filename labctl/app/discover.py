"""`labctl discover`: read production, merge it, write the snapshot.

Everything is read before anything is written. Rows that are no rows and walks that break off stop the run, unless it
is lenient; a device that cannot be read stops nothing: what the earlier snapshot knew of it stays, marked stale, and
the result says so. Keys and passwords reach the libraries that need them and no text that leaves here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from labctl import names
from labctl.app import attached, fidelity, kinds
from labctl.app.discovered import Discovered, FileCount
from labctl.app.kinds import Kind
from labctl.errors import LabctlError, Problems, Span
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import SOURCES, Context, Input, Reading, Unread, recognise
from labctl.linux import netns, whole
from labctl.model.config import DeviceConfig
from labctl.model.event import Emit, Event, ignore
from labctl.model.observation import Found
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Role, Topology
from labctl.names import PortId
from labctl.runtime.store import Instance
from labctl.schema import files
from labctl.topo.explain import explain as explain_link
from labctl.topo.lint import lint as find
from labctl.topo.merge import conclude, weigh


def discover(
    paths: Sequence[str],
    *,
    name: str | None = None,
    out: str | None = None,
    inside: str | None = None,
    lenient: bool = False,
    write: bool = True,
    lint: bool = False,
    hosts: bool = False,
    explain: tuple[str, str] | None = None,
    alone: bool = False,
    now: datetime | None = None,
    emit: Emit = ignore,
) -> Discovered:
    """Read all paths and write `topologies/<name>.yml` (or `out`). `inside`: the network namespace to ask from.

    lint: also look for settings that do not fit together. hosts: draw hosts that only forwarding and ARP tables know.
    explain: two ports `device:port`; why they are joined or not is found out, and nothing is written.
    alone: what an earlier snapshot knew does not count.
    """
    asked = tuple(_port(each) for each in explain) if explain else None
    write = write and asked is None
    name = name or _name_of(paths[0])
    names.check_lab(name)
    path = out or os.path.join("topologies", f"{name}.yml")
    if write:
        whole.check(path)
    earlier = None if alone else _earlier(path)
    accounts_before = fidelity.earlier(path) if write else None
    inputs, passed_over = _inputs(paths)
    context = Context(
        redactor=Redactor(),
        inside=inside,
        said=lambda text, done, total: emit(Event(kind="device-asked", text=text, done=done, total=total)),
    )
    reading = Reading()
    counts: list[FileCount] = []
    problems = Problems()
    for done, each in enumerate(inputs, 1):
        try:
            one = SOURCES[each.source].read(each.path, context)
        except LabctlError as error:
            problems.extend(error)
            continue
        reading.add(one)
        counts.append(_count(each.path, each.source, one))
        emit(
            Event(
                kind="source-read", text=f"read {each.path}", subject=each.path, done=done, total=len(inputs)
            )
        )
    if not lenient:
        for broken in reading.broken:
            problems.extend(broken)
    problems.stop()
    if reading.unread and not reading.observations and not reading.configs and not reading.cables:
        _nothing_answered(reading.unread)

    kept, stale = _kept(reading, earlier, now or datetime.now(UTC))
    weighed = weigh(_found(reading), kept, stale)
    topology = conclude(name, weighed, draw_hosts=hosts)
    snapshot, gone = _snapshot(topology, stale, reading, earlier)
    if write:
        whole.write(path, files.dump_snapshot(snapshot).encode())
        mine = fidelity.by_device(snapshot, reading.accounts)
        fidelity.save(path, fidelity.kept(mine, snapshot, accounts_before))
    return Discovered(
        snapshot=snapshot,
        path=path if write else None,
        unread=tuple(reading.unread),
        warnings=tuple(reading.broken),
        rejected=tuple(row for seen in reading.observations for row in seen.rejected),
        passed_over=tuple(passed_over),
        accounts=tuple(reading.accounts),
        gone=gone,
        rows=sum(len(seen.neighbours) for seen in reading.observations),
        files=tuple(counts),
        lint=find(topology, snapshot.configs) if lint else None,
        explanation=explain_link(weighed, topology.conflicts, *asked) if asked else None,
        hidden_hosts=0
        if hosts
        else len(conclude(name, weighed, draw_hosts=True).links) - len(topology.links),
        inputs={s: sum(i.source == s for i in inputs) for s in dict.fromkeys(i.source for i in inputs)},
    )


def _inputs(paths: Sequence[str]) -> tuple[list[Input], list[str]]:
    """`recognise`; of a file that no source claims because another verb is for it, that is said."""
    try:
        return recognise(paths)
    except LabctlError as error:
        if error.code == "unknown-source" and error.where is not None and os.path.isfile(error.where.file):
            kinds.need(
                error.where.file, "discover", Kind.INVENTORY, Kind.WALK, Kind.TABLE, Kind.CONFIG, Kind.LAB
            )
        raise


def namespace(node: str) -> str:
    """`LAB:NODE` -> the path of that node's network namespace."""
    lab_name, colon, node_name = node.partition(":")
    if not colon or not lab_name or not node_name:
        raise LabctlError(
            "bad-option",
            f"{node!r} is not a node of a lab",
            where=Span("--from"),
            hint="write it like `--from LAB:NODE`",
        )
    lab = attached.own(Instance.here(), lab_name)
    known = [each.name for each in lab.need().lab.nodes]
    if node_name not in known:
        raise LabctlError(
            "unknown-node", f"lab {lab_name!r} has no node {node_name!r}", hint="nodes: " + ", ".join(known)
        )
    if os.geteuid() != 0:
        raise LabctlError(
            "no-root",
            "asking from inside a node needs root",
            hint="run labctl as root, for example with sudo",
        )
    path = lab.node_ns(node_name)
    if not netns.exists(path):
        raise LabctlError(
            "unknown-node",
            f"node {node_name!r} of lab {lab_name!r} is not running",
            hint="`labctl inspect` says why",
        )
    return path


def _port(said: str) -> PortId:
    return PortId.parse(said, where=Span("--explain"))


def _count(path: str, source: str, reading: Reading) -> FileCount:
    return FileCount(
        path=path,
        source=source,
        devices=len(reading.observations) + len(reading.configs),
        rows=sum(walk.rows for seen in reading.observations for walk in seen.walks),
        neighbours=sum(len(seen.neighbours) for seen in reading.observations),
        cables=len(reading.cables),
        lines=sum(len(account.lines) for account in reading.accounts),
        rejected=sum(len(seen.rejected) for seen in reading.observations) + len(reading.broken),
    )


# -- the earlier snapshot ---------------------------------------------------------------------------------------


def _earlier(path: str) -> Snapshot | None:
    if not os.path.exists(path):
        return None
    try:
        return files.load_snapshot(path)
    except LabctlError as error:
        raise LabctlError(
            "would-overwrite",
            f"the file is there and is no snapshot that labctl can read: {error.message}",
            where=error.where or Span(path),
            hint="choose another name with -n, or move the file away",
        ) from None


def _kept(reading: Reading, earlier: Snapshot | None, now: datetime) -> tuple[Topology | None, set[str]]:
    """The earlier topology, and those of its devices that could not be read this time."""
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kept: Topology | None = None
    stale: set[str] = set()
    if earlier is not None:
        silent = [
            unread for unread in reading.unread if unread.what == "snmp" or not _was_polled(unread, reading)
        ]
        stale = {d.name for d in earlier.topology.devices if d.polled and any(_is(d, u) for u in silent)}
        kept = replace(
            earlier.topology,
            devices=tuple(
                replace(d, stale_since=d.stale_since or stamp) if d.name in stale else d
                for d in earlier.topology.devices
            ),
        )
    return kept, stale


def _found(reading: Reading) -> Found:
    return Found(
        observations=tuple(reading.observations),
        configs=tuple(reading.configs),
        cables=tuple(reading.cables),
    )


def _snapshot(
    topology: Topology, stale: set[str], reading: Reading, earlier: Snapshot | None
) -> tuple[Snapshot, tuple[str, ...]]:
    configs = _configs(topology, reading)
    if earlier is None:
        return Snapshot(topology=topology, configs=configs), ()
    for device in topology.devices:
        silent_over_ssh = any(_is(device, unread) for unread in reading.unread if unread.what == "ssh")
        if device.name not in configs and (device.name in stale or silent_over_ssh):
            old = earlier.configs.get(device.name)
            if old is not None:
                configs[device.name] = old
    present = {device.id for device in topology.devices} | {device.name for device in topology.devices}
    gone = [
        d.name for d in earlier.topology.devices if d.polled and d.id not in present and d.name not in present
    ]
    return Snapshot(topology=topology, configs=configs), tuple(gone)


def _was_polled(unread: Unread, reading: Reading) -> bool:
    """Did SNMP answer for the device whose SSH did not?"""
    return any(seen.key == unread.name for seen in reading.observations)


def _is(device: Device, unread: Unread) -> bool:
    """Is this the device that could not be read? By where it was polled, its address, or its name."""
    return (
        f"snmp {unread.address}" in device.sources
        or f"ip:{unread.address}" in device.identities
        or f"name:{unread.name}" in device.identities
        or unread.name in (device.name, device.name.split(".")[0])
    )


def _configs(topology: Topology, reading: Reading) -> dict[str, DeviceConfig]:
    """Each configuration under the name its device has in the topology, with the management ports it has there."""
    owners = {
        source.removeprefix("config "): device
        for device in topology.devices
        for source in device.sources
        if source.startswith("config ")
    }
    found: dict[str, DeviceConfig] = {}
    for _, config in reading.configs:
        device = owners.get(str(config.where))
        if device is not None and device.name not in found:
            found[device.name] = _for_device(config, device)
    return found


def _for_device(config: DeviceConfig, device: Device) -> DeviceConfig:
    mgmt = {each.name for each in device.interfaces if each.role is Role.MGMT}
    return replace(
        config,
        device=device.name,
        interfaces=tuple(
            replace(each, mgmt=True) if each.name in mgmt and not each.mgmt else each
            for each in config.interfaces
        ),
    )


def _nothing_answered(unread: Sequence[Unread]) -> None:
    problems = Problems()
    for each in unread:
        problems.extend(each.error)
    problems.stop()


# -- files ------------------------------------------------------------------------------------------------------


def _name_of(path: str) -> str:
    """The snapshot's name when none is given: that of the first path, as far as a lab can be called so."""
    base = os.path.basename(os.path.abspath(path)).split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", base).strip("-_")[: names.MOST] or "production"
