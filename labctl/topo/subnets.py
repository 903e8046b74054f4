"""Addresses as evidence of cables: two ports that are alone in a subnet are probably joined.

Exact on wide-area configurations, where each cable has its own /30 or /31, and nearly silent on fabrics that are
unnumbered or switched; so it is a second source, weaker than any neighbour row. Management, loopback, tunnel, bridge
and VLAN interfaces prove no cable and are left out; a sub-interface stands for its parent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_interface
from typing import TypeAlias

from labctl.model.topology import Conflict, Device, Evidence, Interface, Role
from labctl.names import PortId

Network: TypeAlias = IPv4Network | IPv6Network
_SKIPPED = frozenset({"loopback", "tunnel", "svi", "bridge"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet and the ports in it, one a device. narrow: a /30, /31, /126 or /127, made for two."""

    network: Network
    ports: tuple[PortId, ...]
    narrow: bool
    aggregate: bool  # its ports are link aggregates, whose members are what is plugged
    evidence: Evidence


def subnets(devices: Sequence[Device]) -> tuple[tuple[Subnet, ...], tuple[Conflict, ...]]:
    """Every subnet with at least two devices in it, and addresses that two of them claim."""
    aggregates = {PortId(d.name, i.name) for d in devices for i in d.interfaces if i.kind == "lag"}
    found: list[Subnet] = []
    conflicts: list[Conflict] = []
    for network, held in sorted(_members(devices).items(), key=lambda item: (item[0].version, item[0])):
        owners: dict[str, set[PortId]] = defaultdict(set)
        for port, address in held:
            owners[address].add(port)
        ports = tuple(sorted({port for port, _ in held}))
        twice = {a: who for a, who in owners.items() if len({port.node for port in who}) > 1}
        if twice:
            conflicts += [_twice(address, sorted(who)) for address, who in sorted(twice.items())]
        elif len({port.node for port in ports}) == len(ports) > 1:
            found.append(_subnet(network, ports, held, aggregate=aggregates.issuperset(ports)))
    return tuple(found), tuple(conflicts)


def _members(devices: Sequence[Device]) -> dict[Network, list[tuple[PortId, str]]]:
    """network -> the ports in it and their addresses."""
    members: dict[Network, list[tuple[PortId, str]]] = defaultdict(list)
    for device in devices:
        for interface in device.interfaces:
            if interface.role is not Role.DATA or interface.kind in _SKIPPED or interface.admin_up is False:
                continue
            port = PortId(device.name, _parent(interface, device))
            for at in map(ip_interface, interface.addresses):
                single = at.network.prefixlen == at.max_prefixlen
                if not single and not at.is_link_local and not at.is_loopback:
                    members[at.network].append((port, str(at)))
    return members


def _subnet(
    network: Network, ports: tuple[PortId, ...], held: Sequence[tuple[PortId, str]], *, aggregate: bool
) -> Subnet:
    said = ", ".join(f"{port} has {address}" for port, address in sorted(held))
    return Subnet(
        network=network,
        ports=ports,
        narrow=network.num_addresses <= 4,
        aggregate=aggregate,
        evidence=Evidence(source="subnet", where=str(network), said=said),
    )


def _parent(interface: Interface, device: Device) -> str:
    parent, dot, _ = interface.name.rpartition(".")
    known = dot and interface.kind == "subinterface" and any(i.name == parent for i in device.interfaces)
    return parent if known else interface.name


def _twice(address: str, owners: Sequence[PortId]) -> Conflict:
    return Conflict(
        kind="address-shared",
        subject=address,
        said=tuple(
            Evidence(source="subnet", where=str(port), said=f"{port} has {address}") for port in owners
        ),
        resolution="the subnet is no evidence of a cable",
    )
