"""Names, MACs and management addresses of the lab: given once, kept for ever.

Production's names do not fit: a Linux interface has 15 bytes and no `/`, a container no blanks. The table says which lab
name stands for which production name. It is a value beside the lab file, read before a render and written after it:
`allocate` keeps every entry that is there and adds what is missing, so a device more changes no other line, and a
device that comes back gets its old names. Entries of devices that are gone stay.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from labctl.errors import LabctlError
from labctl.names import IFNAMSIZ, NODE, PortId, derived_mac

_NODE_LENGTH = 48  # leaves room for `clab-<lab>-` in 63 bytes of hostname, mostly
#: Names that mean something else in a lab file or in `names.CableId`.
_RESERVED_NODES = frozenset({"stub", "host", "mgmt-net", "macvlan", "bridge"})
_RESERVED_PORTS = frozenset({"eth0", "lo", ".", "..", "all", "default", "bonding_masters"})
_PORT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+@-]*")
#: Management subnets to choose from when the table is new: the first with twice the room that is needed.
_SUBNETS = ("172.20.20.0/24", "172.20.16.0/20", "172.20.0.0/16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a device needs: its ports by production's names in configuration order; `lo`: the one that is loopback."""

    device: str
    ports: tuple[str, ...]
    lo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortAllocation:
    name: str
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAllocation:
    """`ports` by production's names."""

    node: str
    mgmt_ipv4: str
    ports: Mapping[str, PortAllocation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationTable:
    """`devices` and `segments` by production's names; segments are bridges and have no management address."""

    lab: str
    mgmt_subnet: str
    devices: Mapping[str, NodeAllocation] = field(default_factory=dict)
    segments: Mapping[str, str] = field(default_factory=dict)

    def node(self, device: str) -> str:
        return self.devices[device].node

    def port(self, device: str, port: str) -> PortAllocation:
        return self.devices[device].ports[port]


def allocate(
    lab: str,
    devices: Sequence[Ports],
    segments: Sequence[str] = (),
    *,
    known: AllocationTable | None = None,
    mgmt_subnet: str | None = None,
) -> AllocationTable:
    """The table for these devices and segments: what `known` says, and what it does not say yet."""
    subnet = mgmt_subnet or (known.mgmt_subnet if known else _subnet(len(devices)))
    table: dict[str, NodeAllocation] = {}
    kept = dict(known.devices) if known and known.lab == lab else {}
    bridges = dict(known.segments) if known and known.lab == lab else {}
    names = {entry.node for entry in kept.values()} | set(bridges.values())
    macs = {port.mac for entry in kept.values() for port in entry.ports.values()}
    addresses = _addresses(subnet, kept)
    for device in devices:
        entry = kept.get(device.device)
        if entry is None or entry.mgmt_ipv4 not in _Range(subnet):
            node = entry.node if entry else node_name(device.device, names)
            names.add(node)
            ports = entry.ports if entry else {}
            entry = NodeAllocation(node=node, mgmt_ipv4=_next(addresses, subnet), ports=ports)
        table[device.device] = _with_ports(lab, entry, device, macs)
    for segment in segments:
        if segment not in bridges:
            bridges[segment] = node_name(segment, names)
            names.add(bridges[segment])
    gone = {name: entry for name, entry in kept.items() if name not in table}
    return AllocationTable(
        lab=lab,
        mgmt_subnet=subnet,
        devices=dict(sorted((table | gone).items())),
        segments=dict(sorted(bridges.items())),
    )


# --- nodes ---


def node_name(device: str, taken: Collection[str]) -> str:
    """The device's own name where a lab allows it, else the nearest that it does."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", device).strip("-._") or "node"
    if len(name) > _NODE_LENGTH:
        name = f"{name[: _NODE_LENGTH - 7].rstrip('-._')}-{hashlib.sha256(device.encode()).hexdigest()[:6]}"
    assert NODE.fullmatch(name)
    lower = {each.lower() for each in taken}
    if name not in _RESERVED_NODES and name.lower() not in lower:
        return name
    return next(each for n in range(2, 10**6) if (each := f"{name}-{n}").lower() not in lower)


# --- ports ---


def port_names(ports: Sequence[str], lo: str, known: Mapping[str, str]) -> dict[str, str]:
    """Production's names -> Linux names, without those that are `known` already.

    A name that Linux allows stays. The others become ethN, where N counts *all* ports in configuration order, so that
    the number does not depend on which of them are connected. A sub-interface is called after its port: eth2.30.
    """
    found: dict[str, str] = {}
    keepers = {port for port in ports if _keeps(port) and port != lo}
    taken = set(known.values()) | {port for port in keepers if port not in known}
    position = 0
    for port in ports:
        if port == lo:
            found[port] = "lo"
            continue
        position += 1
        if port in known:
            continue
        if port in keepers:
            found[port] = port
            continue
        above, _, tag = port.rpartition(".")
        under = f"{known.get(above) or found.get(above)}.{tag}"
        if tag.isdecimal() and (above in known or above in found) and _keeps(under) and under not in taken:
            found[port] = under
            taken.add(under)
            continue
        number = position
        while f"eth{number}" in taken:
            number += 1
        found[port] = f"eth{number}"
        taken.add(found[port])
    return {port: name for port, name in found.items() if port not in known}


def _keeps(port: str) -> bool:
    return len(port.encode()) <= IFNAMSIZ and port not in _RESERVED_PORTS and bool(_PORT.fullmatch(port))


def _with_ports(lab: str, entry: NodeAllocation, device: Ports, macs: set[str]) -> NodeAllocation:
    known = {port: allocation.name for port, allocation in entry.ports.items()}
    added = port_names(device.ports, device.lo, known)
    ports = dict(entry.ports)
    for port, name in added.items():
        mac = derived_mac(lab, PortId(entry.node, name), macs)
        macs.add(mac)
        ports[port] = PortAllocation(name=name, mac=mac)
    return NodeAllocation(node=entry.node, mgmt_ipv4=entry.mgmt_ipv4, ports=ports)


# --- management addresses ---


class _Range:
    def __init__(self, subnet: str) -> None:
        self._network = IPv4Network(subnet)

    def __contains__(self, address: str) -> bool:
        return IPv4Network(address).subnet_of(self._network)


def _subnet(devices: int) -> str:
    for subnet in _SUBNETS[:-1]:
        if 2 * devices < IPv4Network(subnet).num_addresses - 3:
            return subnet
    return _SUBNETS[-1]


def _addresses(subnet: str, kept: Mapping[str, NodeAllocation]) -> Iterator[str]:
    """Free addresses; `.1` is left for a gateway."""
    taken = {entry.mgmt_ipv4 for entry in kept.values()}
    hosts = IPv4Network(subnet).hosts()
    next(hosts)
    return (text for host in hosts if (text := str(host)) not in taken)


def _next(addresses: Iterator[str], subnet: str) -> str:
    found = next(addresses, None)
    if found is None:
        raise LabctlError(
            "no-address-left",
            f"the management subnet {subnet} has no address left",
            hint="give a larger one with --mgmt-subnet",
        )
    return found
