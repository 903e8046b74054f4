"""containerlab's lab files, out: `dump(lab)` writes what `clab.load` reads back to the same `LabSpec`.

Only what differs from the defaults is written. A link is brief unless an end has a MAC of its own. What a lab file
cannot say (an empty command, a delay of half a second) is an error, because a file that means something else is worse.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from typing import Any

from labctl.errors import LabctlError
from labctl.model.lab import (
    MACHINE,
    MGMT_NET,
    Bind,
    CableSpec,
    Dns,
    End,
    LabSpec,
    MgmtSpec,
    NodeSpec,
    Pull,
    Restart,
)
from labctl.model.stages import Healthcheck
from labctl.names import derived_macs
from labctl.schema import yaml_out
from labctl.schema.clab_limits import PIDS_LABEL, RATE_LABELS
from labctl.schema.clab_links import DEGRADE_LABEL, OVER_LABEL, VLAN_LABEL

_DEFAULT_MTU = 9500


def dump(lab: LabSpec, *, relative_to: str | None = None) -> str:
    """The text of the lab file. Bind sources below `relative_to`, where the file will be, are written relative."""
    top: dict[str, Any] = {"name": lab.name}
    if lab.prefix != "clab":
        top["prefix"] = lab.prefix
    mgmt = dict(_mgmt(lab.mgmt))
    if mgmt:
        top["mgmt"] = mgmt
    topology: dict[str, Any] = {"nodes": {n.name: dict(_node(n, relative_to)) for n in lab.nodes}}
    if lab.cables:
        topology["links"] = list(_links(lab))
    top["topology"] = topology
    return yaml_out.dump(top)


def _mgmt(mgmt: MgmtSpec) -> Iterator[tuple[str, Any]]:
    base = MgmtSpec()
    for key, value, default in (
        ("network", mgmt.network, base.network),
        ("ipv4-subnet", mgmt.ipv4_subnet, base.ipv4_subnet),
        ("ipv6-subnet", mgmt.ipv6_subnet, base.ipv6_subnet),
        ("ipv4-range", mgmt.ipv4_range, None),
        ("ipv6-range", mgmt.ipv6_range, None),
        ("ipv4-gw", mgmt.ipv4_gateway, None),
        ("ipv6-gw", mgmt.ipv6_gateway, None),
        ("mtu", mgmt.mtu, base.mtu),
    ):
        if value != default:
            yield key, value


def _node(node: NodeSpec, relative_to: str | None) -> Iterator[tuple[str, Any]]:
    limits = node.limits
    labels = dict(node.labels)
    if limits.pids is not None:
        labels[PIDS_LABEL] = str(limits.pids)
    labels |= {RATE_LABELS[name]: str(rate) for name, rate in limits.rates.items() if rate is not None}
    yield "kind", node.kind.value
    for key, value in (
        ("image", node.image),
        ("image-pull-policy", node.pull.value if node.pull is not Pull.IF_NOT_PRESENT else None),
        ("entrypoint", _words(node, node.entrypoint)),
        ("cmd", _words(node, node.cmd)),
        ("group", node.group),
        ("user", node.user),
        ("hostname", node.hostname),
        ("network-mode", node.network_mode),
        ("mgmt-ipv4", node.mgmt_ipv4),
        ("mgmt-ipv6", node.mgmt_ipv6),
        ("startup-delay", _seconds(node)),
        ("aliases", list(node.aliases)),
        ("dns", _dns(node.dns)),
        ("cpu", limits.cpu),
        ("cpu-set", node.cpus),
        ("ports", [str(port) for port in node.ports]),
        ("shm-size", f"{node.shm_bytes}b" if node.shm_bytes else None),
        ("tmpfs", dict(node.tmpfs)),
        ("memory", f"{limits.memory_bytes}b" if limits.memory_bytes else None),
        ("env", dict(node.env)),
        ("env-files", [_relative(path, relative_to) for path in node.env_files]),
        ("sysctls", dict(node.sysctls)),
        ("labels", labels),
        ("binds", [_bind(node, bind, relative_to) for bind in node.binds]),
        ("devices", [str(device) for device in node.devices]),
        ("exec", list(node.exec)),
        ("privileged", None if node.privileged else False),
        ("cap-add", [name.removeprefix("CAP_") for name in node.cap_add]),
        ("restart-policy", None if node.restart is Restart.NO else node.restart.value),
        ("healthcheck", _healthcheck(node.healthcheck)),
        ("stages", _stages(node)),
    ):
        if value not in (None, "", [], {}):
            yield key, value


def _healthcheck(check: Healthcheck | None) -> dict[str, Any]:
    if check is None:
        return {}
    found = {
        "start-period": int(check.start_period_s),
        "interval": int(check.interval_s),
        "timeout": int(check.timeout_s),
        "retries": check.retries,
    }
    return {"test": ["CMD", *check.test], **{key: value for key, value in found.items() if value}}


def _stages(node: NodeSpec) -> dict[str, Any]:
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    for wait in node.waits:
        waits = found.setdefault(wait.stage.value, {}).setdefault("wait-for", [])
        waits.append({"node": wait.node, "stage": wait.until.value})
    for each in node.stage_commands:
        commands = found.setdefault(each.stage.value, {}).setdefault("exec", [])
        commands.append({"command": each.command, "phase": each.phase.value})
    return found


def _words(node: NodeSpec, words: tuple[str, ...] | None) -> str | None:
    if words == ():
        raise _no_form(node, "an empty command")
    return None if words is None else shlex.join(words)


def _dns(dns: Dns | None) -> dict[str, list[str]]:
    if dns is None:
        return {}
    found = {"servers": dns.servers, "search": dns.search, "options": dns.options}
    return {key: list(values) for key, values in found.items() if values}


def _seconds(node: NodeSpec) -> int | None:
    if node.startup_delay_s != int(node.startup_delay_s):
        raise _no_form(node, "a startup delay of parts of a second")
    return int(node.startup_delay_s) or None


def _bind(node: NodeSpec, bind: Bind, relative_to: str | None) -> str:
    source = _relative(bind.source, relative_to)
    if any(":" in part for part in (source, bind.target)):
        raise _no_form(node, "a bind with `:` in a path")
    return ":".join((source, bind.target, *([",".join(bind.options)] if bind.options else [])))


def _relative(path: str, to: str | None) -> str:
    if to is not None and path.startswith(to.rstrip("/") + "/"):
        return os.path.relpath(path, to)
    return path


def _no_form(node: NodeSpec, what: str) -> LabctlError:
    return LabctlError("unsupported", f"node {node.name!r}: a lab file has no form for {what}")


def _links(lab: LabSpec) -> Iterator[dict[str, Any]]:
    macs = derived_macs(lab.name, (end.port for cable in lab.cables for end in cable.ends))
    given = {end.port: end.mac for cable in lab.cables for end in cable.ends}
    macs |= {c.a.port: given[c.below] for c in lab.cables if c.below and c.below in given}
    for cable in lab.cables:
        link = _link(cable, macs)
        if cable.mtu != _DEFAULT_MTU:
            link["mtu"] = cable.mtu
        over = {OVER_LABEL: cable.over.port, VLAN_LABEL: str(cable.over.vlan)} if cable.over else {}
        degrade = {DEGRADE_LABEL + key: said for key, said in cable.degrade.items()}
        if cable.labels or over or degrade:
            link["labels"] = over | degrade | dict(cable.labels)
        if cable.vars:
            link["vars"] = json.loads(cable.vars)
        yield link


def _link(cable: CableSpec, macs: dict[Any, str]) -> dict[str, Any]:
    if cable.outside:
        return dict(_out(cable, macs))
    brief = cable.z and not any(end.mac != macs[end.port] or end.vars for end in cable.ends)
    return _brief(cable) if brief else _long(cable, macs)


def _out(cable: CableSpec, macs: dict[Any, str]) -> Iterator[tuple[str, Any]]:
    """A link that leads out of the machine."""
    found: dict[str, Any]
    if cable.macvlan:
        found = {"type": "macvlan", "host-interface": cable.macvlan.parent, "mode": cable.macvlan.mode.value}
    else:
        assert cable.vxlan
        found = {
            "type": "vxlan",
            "remote": cable.vxlan.remote,
            "vni": cable.vxlan.vni,
            "dst-port": cable.vxlan.dst_port,
            "src-port": cable.vxlan.src_port,
            "parent-interface": cable.vxlan.parent,
        }
    yield "type", found.pop("type")
    yield "endpoint", dict(_end(cable.a, macs[cable.a.port]))
    yield from ((key, value) for key, value in found.items() if value is not None)


def _brief(cable: CableSpec) -> dict[str, Any]:
    link: dict[str, Any] = {"endpoints": yaml_out.Flow(str(end.port) for end in cable.ends)}
    for key in ("ipv4", "ipv6"):
        addresses = [getattr(end, key) or "" for end in cable.ends]
        if any(addresses):
            link[key] = yaml_out.Flow(addresses)
    return link


def _long(cable: CableSpec, macs: dict[Any, str]) -> dict[str, Any]:
    ends = [dict(_end(end, macs[end.port])) for end in cable.ends]
    if cable.z is None:
        return {"type": "dummy", "endpoint": ends[0]}
    if cable.z.port.node in (MACHINE, MGMT_NET) and ends[1].keys() == {"node", "interface"}:
        return {
            "type": cable.z.port.node,
            "endpoint": ends[0],
            "host-interface": cable.z.port.interface,
        }
    return {"type": "veth", "endpoints": ends}


def _end(end: End, derived: str) -> Iterator[tuple[str, Any]]:
    yield "node", end.port.node
    yield "interface", end.port.interface
    for key, value in (
        ("mac", end.mac if end.mac != derived else None),
        ("ipv4", end.ipv4),
        ("ipv6", end.ipv6),
        ("vars", json.loads(end.vars) if end.vars else None),
    ):
        if value:
            yield key, value
