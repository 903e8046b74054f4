"""What containerlab leaves beside a lab for other tools, from a lab: its topology data, two inventories, hosts entries. Pure.

The lab's management addresses must be assigned. Containers only: a bridge is no host that a playbook could reach.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec

TOPOLOGY_DATA = "topology-data.json"
ANSIBLE = "ansible-inventory.yml"
NORNIR = "nornir-simple-inventory.yml"
NO_HOST_VAR, ANSIBLE_GROUP, NORNIR_GROUP = "ansible-no-host-var", "ansible-group", "nornir-group"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_MEANING = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_BRIDGE = "panel"  # the management bridge is in the lab's panel, where no name of the machine's leads to


def texts(lab: LabSpec, directory: str, owner: str) -> dict[str, str]:
    """File name -> text, of everything that lies in the lab's directory."""
    return {
        TOPOLOGY_DATA: json.dumps(topology_data(lab, directory, owner), indent=2, ensure_ascii=False) + "\n",
        ANSIBLE: ansible(lab),
        NORNIR: nornir(lab),
    }


def directory_of(lab: LabSpec, base: str) -> str:
    """Where containerlab keeps what belongs to a lab."""
    return os.path.join(base, f"clab-{lab.name}")


def labels(lab: LabSpec, node: NodeSpec, directory: str, owner: str) -> dict[str, str]:
    """The labels that containerlab puts on a container, and the node's own."""
    return {
        **node.labels,
        "containerlab": lab.name,
        "clab-node-name": node.name,
        "clab-node-longname": lab.container(node.name),
        "clab-node-kind": node.kind.value,
        "clab-node-type": "",
        "clab-node-group": node.group,
        "clab-node-lab-dir": os.path.join(directory, node.name),
        "clab-topo-file": lab.source,
        "clab-mgmt-net-bridge": _BRIDGE,
        "clab-owner": owner,
        "tool-type": "labctl",
    }


def topology_data(lab: LabSpec, directory: str, owner: str) -> dict[str, Any]:
    """The content of `topology-data.json`."""
    mgmt: dict[str, Any] = {
        "network": lab.mgmt.network,
        "bridge": _BRIDGE,
        "ipv4-subnet": lab.mgmt.ipv4_subnet,
        "ipv6-subnet": lab.mgmt.ipv6_subnet,
        "ipv4-gw": lab.mgmt.ipv4_gateway,
        "ipv6-gw": lab.mgmt.ipv6_gateway,
        "ipv4-range": lab.mgmt.ipv4_range,
        "ipv6-range": lab.mgmt.ipv6_range,
        "mtu": lab.mgmt.mtu,
        "external-access": False,
    }
    return {
        "name": lab.name,
        "type": "clab",
        "clab": {
            "config": {
                "prefix": lab.prefix,
                "mgmt": {key: value for key, value in mgmt.items() if value is not None},
            }
        },
        "ssh-pub-keys": [],
        "nodes": {
            node.name: _node(lab, node, index, directory, owner) for index, node in enumerate(lab.nodes)
        },
        "links": [{"endpoints": dict(_ends(cable)), **_vars(cable.vars)} for cable in lab.cables],
    }


def _node(lab: LabSpec, node: NodeSpec, index: int, directory: str, owner: str) -> dict[str, Any]:
    managed = bool(node.mgmt_ipv4 or node.mgmt_ipv6)
    return {
        "index": str(index),
        "shortname": node.name,
        "longname": lab.container(node.name),
        "fqdn": f"{node.name}.{lab.name}.io",
        "group": node.group,
        "labdir": os.path.join(directory, node.name),
        "kind": node.kind.value,
        "image": node.image or "",
        "mgmt-net": lab.mgmt.network if managed else "",
        "mgmt-intf": "eth0" if managed else "",
        "mgmt-ipv4-address": node.mgmt_ipv4 or "",
        "mgmt-ipv4-prefix-length": _length(lab.mgmt.ipv4_subnet) if node.mgmt_ipv4 else 0,
        "mgmt-ipv6-address": node.mgmt_ipv6 or "",
        "mgmt-ipv6-prefix-length": _length(lab.mgmt.ipv6_subnet) if node.mgmt_ipv6 else 0,
        "mac-address": "",
        "labels": labels(lab, node, directory, owner),
        "port-bindings": [],
    }


def _length(subnet: str) -> int:
    return ipaddress.ip_network(subnet).prefixlen


def _ends(cable: CableSpec) -> Iterator[tuple[str, dict[str, Any]]]:
    """Addresses without their prefix lengths are of no use, so they keep them."""
    yield "a", _end(cable.a, "z" if cable.z else "dummy")
    if cable.z:
        yield "z", _end(cable.z, "a")


def _vars(said: str) -> dict[str, Any]:
    return {"vars": json.loads(said)} if said else {}


def _end(end: End, peer: str) -> dict[str, Any]:
    found: dict[str, Any] = {"node": end.port.node, "interface": end.port.interface, "mac": end.mac}
    found |= {key: value for key, value in (("ipv4", end.ipv4), ("ipv6", end.ipv6)) if value}
    return found | _vars(end.vars) | {"peer": peer}


def ansible(lab: LabSpec) -> str:
    """Hosts by kind, then by the label `ansible-group`; `ansible-no-host-var` keeps a host's address out."""
    nodes = _containers(lab)
    groups: dict[str, list[NodeSpec]] = {}
    for node in nodes:
        if group := node.labels.get(ANSIBLE_GROUP):
            groups.setdefault(group, []).append(node)
    lines = [
        "all:",
        "  vars:",
        "    # used on the machine of the lab, so through no proxy",
        "    ansible_httpapi_use_proxy: false",
        "  children:",
    ]
    for name, members in (("linux", nodes), *sorted(groups.items())):
        if members:
            lines += [f"    {_quoted(name)}:", "      hosts:"]
            lines += [line for node in members for line in _ansible_host(lab, node)]
    return "\n".join(lines) + "\n"


def _ansible_host(lab: LabSpec, node: NodeSpec) -> Iterator[str]:
    yield f"        {_quoted(lab.container(node.name))}:"
    if node.mgmt_ipv4 and node.labels.get(NO_HOST_VAR) != "true":
        yield f"          ansible_host: {node.mgmt_ipv4}"


def nornir(lab: LabSpec) -> str:
    """Nodes by their own names; the values of their labels `nornir-group…` are their groups."""
    lines = ["---"]
    for node in _containers(lab):
        lines += [
            f"{_quoted(node.name)}:",
            "    username:",
            "    password:",
            f"    platform: {node.kind.value}",
            f"    hostname: {node.mgmt_ipv4 or ''}".rstrip(),
        ]
        if groups := _nornir_groups(node.labels):
            lines += ["    groups:", *(f"      - {_quoted(group)}" for group in groups)]
    return "\n".join(lines) + "\n"


def _nornir_groups(found: Mapping[str, str]) -> list[str]:
    return sorted(value for key, value in found.items() if key.startswith(NORNIR_GROUP))


def _quoted(text: str) -> str:
    """YAML that no reader takes for anything but this text."""
    if _WORD.fullmatch(text) and text.lower() not in _MEANING:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)


def hosts_block(lab: LabSpec) -> str:
    """The lines for a hosts file between containerlab's marks, IPv4 first."""
    begin, end = marks(lab.name)
    entries = [*_hosts(lab, "mgmt_ipv4"), *_hosts(lab, "mgmt_ipv6")]
    return "\n".join((begin, *entries, end)) + "\n"


def marks(lab: str) -> tuple[str, str]:
    """What stands before and after a lab's lines in a hosts file."""
    return f"###### CLAB-{lab}-START ######", f"###### CLAB-{lab}-END ######"


def _hosts(lab: LabSpec, which: str) -> Iterable[str]:
    for node in _containers(lab):
        address = getattr(node, which)
        if address:
            names = dict.fromkeys((lab.container(node.name), f"{node.name}.{lab.name}.io"))
            yield f"{address}\t{' '.join(names)}"


def _containers(lab: LabSpec) -> list[NodeSpec]:
    return [node for node in lab.nodes if node.kind is NodeKind.LINUX]
