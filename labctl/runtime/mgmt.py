"""The management network's addresses: who gets which, and what a node's eth0 looks like.

Pure and stable: nodes that name an address keep it, the others get the lowest free ones in order of their names, so
the same lab always gets the same addresses. `.1` stays free (a gateway, if there ever is one).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import replace

from labctl.errors import LabctlError
from labctl.model.lab import LabSpec, NodeKind, NodeSpec

INTERFACE = "eth0"
#: A Linux bridge has 10 bits for its ports.
MOST_PORTS = 1023


def managed(node: NodeSpec) -> bool:
    """Whether the node has a leg in the management network."""
    return node.kind is NodeKind.LINUX and node.network_mode is None


def nodes(lab: LabSpec) -> list[NodeSpec]:
    return [node for node in lab.nodes if managed(node)]


def assign(lab: LabSpec) -> LabSpec:
    """The lab with a management address of both families on every node that has a leg."""
    mgmt = lab.mgmt
    taken4 = {mgmt.ipv4_gateway, *(n.mgmt_ipv4 for n in lab.nodes)}
    taken6 = {mgmt.ipv6_gateway, *(n.mgmt_ipv6 for n in lab.nodes)}
    ipv4 = _free(mgmt.ipv4_subnet, mgmt.ipv4_range, {each for each in taken4 if each})
    ipv6 = _free(mgmt.ipv6_subnet, mgmt.ipv6_range, {each for each in taken6 if each})

    def with_addresses(node: NodeSpec) -> NodeSpec:
        if not managed(node):
            return node
        return _chosen(
            node,
            node.mgmt_ipv4 or _next(ipv4, mgmt.ipv4_range or mgmt.ipv4_subnet),
            node.mgmt_ipv6 or _next(ipv6, mgmt.ipv6_range or mgmt.ipv6_subnet),
        )

    return replace(lab, nodes=tuple(with_addresses(node) for node in lab.nodes))


def keep(lab: LabSpec, before: LabSpec) -> LabSpec:
    """The lab with the addresses that its nodes had before, where it names none and nobody else has them by now."""
    old = {node.name: node for node in nodes(before)}
    given = (address for n in lab.nodes for address in (n.mgmt_ipv4, n.mgmt_ipv6))
    taken = {each for each in (lab.mgmt.ipv4_gateway, lab.mgmt.ipv6_gateway, *given) if each}
    ipv4, ipv6 = (ipaddress.ip_network(each) for each in (lab.mgmt.ipv4_subnet, lab.mgmt.ipv6_subnet))

    def kept(node: NodeSpec) -> NodeSpec:
        was = old.get(node.name)
        if was is None or not managed(node):
            return node
        return _chosen(
            node,
            node.mgmt_ipv4 or _still(was.mgmt_ipv4, ipv4, taken),
            node.mgmt_ipv6 or _still(was.mgmt_ipv6, ipv6, taken),
        )

    return replace(lab, nodes=tuple(map(kept, lab.nodes)))


def _chosen(node: NodeSpec, ipv4: str | None, ipv6: str | None) -> NodeSpec:
    """The node with these addresses; those that it did not name are noted as ours."""
    ours = [each for each in (ipv4, ipv6) if each and each not in (node.mgmt_ipv4, node.mgmt_ipv6)]
    assigned = (*node.mgmt_assigned, *ours)
    return replace(node, mgmt_ipv4=ipv4, mgmt_ipv6=ipv6, mgmt_assigned=assigned)


def named(node: NodeSpec) -> tuple[str, ...]:
    """The management addresses that the lab file gives the node."""
    return tuple(a for a in (node.mgmt_ipv4, node.mgmt_ipv6) if a and a not in node.mgmt_assigned)


def _still(
    address: str | None, subnet: ipaddress.IPv4Network | ipaddress.IPv6Network, taken: set[str]
) -> str | None:
    """The address, if it is of the subnet and free."""
    if address is None or address in taken:
        return None
    return address if ipaddress.ip_address(address) in subnet else None


def mac(lab: LabSpec, node: NodeSpec) -> str:
    """A locally administered MAC that depends on nothing but the names, so that it survives a re-plug."""
    digest = hashlib.sha256(f"{lab.name}\0{node.name}\0{INTERFACE}".encode()).digest()
    return "02:42:" + digest[:4].hex(":")


def addresses(lab: LabSpec, node: NodeSpec) -> tuple[str, ...]:
    """The addresses of the node's eth0, with prefix lengths."""
    found = []
    if node.mgmt_ipv4:
        found.append(f"{node.mgmt_ipv4}/{ipaddress.ip_network(lab.mgmt.ipv4_subnet).prefixlen}")
    if node.mgmt_ipv6:
        found.append(f"{node.mgmt_ipv6}/{ipaddress.ip_network(lab.mgmt.ipv6_subnet).prefixlen}")
    return tuple(found)


def _free(subnet: str, part: str | None, taken: set[str]) -> Iterator[str]:
    """Free addresses of the subnet, or of a part of it; never its first, its gateway's and its last one."""
    network = ipaddress.ip_network(subnet)
    among = ipaddress.ip_network(part or subnet)
    used = {ipaddress.ip_address(each) for each in taken} | {network[0], network[0] + 1}
    if network.version == 4:
        used.add(network[-1])
    return (str(a) for a in map(among.__getitem__, range(min(among.num_addresses, 1 << 20))) if a not in used)


def _next(free: Iterator[str], subnet: str) -> str:
    try:
        return next(free)
    except StopIteration:
        raise LabctlError(
            "bad-address",
            f"management subnet {subnet} has no address left",
            hint="set a larger `mgmt.ipv4-subnet`, or `network-mode: none` on nodes that need no eth0",
        ) from None
