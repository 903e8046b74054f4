"""What the rules of inference look at: boxes, their ports by index and by address, and who owns which address."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface
from typing import TypeAlias

from labctl.model.topology import Device, Interface, Role
from labctl.names import PortId
from labctl.topo.identity import Box
from labctl.topo.resolve import Resolved

Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Indices over everything that was read. Addresses and MACs that several ports have are in none of them."""

    boxes: tuple[Box, ...]
    index: tuple[Mapping[int, str], ...]  # by box: ifIndex -> interface
    interfaces: Mapping[PortId, Interface]
    by_address: Mapping[str, PortId]
    by_mac: Mapping[str, PortId]
    owners: Mapping[str, str]  # MAC, address or name -> device
    networks: Mapping[PortId, tuple[Network, ...]]
    members: Mapping[Network, frozenset[PortId]]

    def port(self, box: Box, if_index: int | None) -> PortId | None:
        """The port with that ifIndex; a sub-interface stands for its parent."""
        name = self.index[box.number].get(if_index) if if_index is not None else None
        return self.parent(PortId(box.name, name)) if name else None

    def parent(self, port: PortId) -> PortId:
        name, dot, _ = port.interface.rpartition(".")
        above = PortId(port.node, name)
        known = self.interfaces.get(port)
        return above if dot and known and known.kind == "subinterface" and above in self.interfaces else port

    def physical(self, port: PortId | None) -> bool:
        """Could a cable be plugged into it?"""
        found = self.interfaces.get(port) if port else None
        return found is not None and found.kind in ("", "lag") and found.role is Role.DATA

    def alone(self, port: PortId, other: PortId) -> bool:
        """Are the two alone in a subnet that both are in?"""
        return any(self.members[network] == {port, other} for network in self.networks.get(port, ()))


def world(resolved: Resolved, devices: Sequence[Device]) -> World:
    interfaces = {PortId(d.name, i.name): i for d in devices for i in d.interfaces}
    by_address: dict[str, set[PortId]] = defaultdict(set)
    by_mac: dict[str, set[PortId]] = defaultdict(set)
    networks: dict[PortId, list[Network]] = defaultdict(list)
    members: dict[Network, set[PortId]] = defaultdict(set)
    made = World(
        boxes=resolved.boxes,
        index=tuple(ports.by_index for ports in resolved.ports),
        interfaces=interfaces,
        by_address={},
        by_mac={},
        owners=_owners(resolved.boxes),
        networks={},
        members={},
    )
    for port, interface in interfaces.items():
        if interface.mac and not interface.kind:
            by_mac[interface.mac].add(port)
        for at in map(ip_interface, interface.addresses):
            by_address[str(at.ip)].add(port)
            if at.network.prefixlen < at.max_prefixlen and interface.kind != "loopback":
                networks[made.parent(port)].append(at.network)
                members[at.network].add(made.parent(port))
    return World(
        boxes=resolved.boxes,
        index=made.index,
        interfaces=interfaces,
        by_address=_single(by_address),
        by_mac=_single(by_mac),
        owners=made.owners,
        networks={port: tuple(found) for port, found in networks.items()},
        members={network: frozenset(found) for network, found in members.items()},
    )


def _single(found: Mapping[str, set[PortId]]) -> dict[str, PortId]:
    return {key: next(iter(ports)) for key, ports in found.items() if len(ports) == 1}


def _owners(boxes: Iterable[Box]) -> dict[str, str]:
    """What a box answers to, without the kind of it; of several boxes, nobody's."""
    found: dict[str, set[str]] = defaultdict(set)
    for box in boxes:
        for identity in box.identities:
            kind, _, value = identity.partition(":")
            if kind in ("mac", "ip", "name"):
                found[value].add(box.name)
    return {value: next(iter(names)) for value, names in found.items() if len(names) == 1}


def spelled(address: str) -> str:
    """An address as it is spelled everywhere else."""
    try:
        return str(ip_address(address.partition("/")[0]))
    except ValueError:
        return address
