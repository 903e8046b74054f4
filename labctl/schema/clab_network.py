"""What a node is called and how it is reached: whose network it is in, its management addresses, names and resolver."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from labctl import names
from labctl.errors import Span
from labctl.model.lab import Dns, MgmtSpec, NodeKind, NodeSpec
from labctl.schema import fields
from labctl.schema.clab_keys import DNS
from labctl.schema.clab_levels import Levels
from labctl.schema.clab_read import Checked, Reading, place, said
from labctl.schema.yaml import Scalar

_DNS_OPTION = re.compile(r"[a-z0-9-]{1,32}(?::[0-9]{1,5})?")


def hostname(reading: Reading, levels: Levels, name: str, where: Span) -> str | None:
    """What the file says; by default a node's host name is its own."""
    found = levels.first("hostname")
    if found and not names.LAB.fullmatch(found.text):
        reading.problems.add(
            "bad-name",
            f"{fields.shorten(found.text)!r} is not a host name",
            where=found.span,
            hint="letters, digits, `.`, `_` and `-`; a letter or digit first",
        )
    elif len(found.text if found else name) > 63:
        reading.problems.add(
            "bad-name",
            f"the host name of node {name!r} is longer than 63 characters",
            where=found.span if found else where,
            hint="set a shorter `hostname`",
        )
    return found.text if found else None


def network_mode(reading: Reading, levels: Levels) -> str | None:
    """As `NodeSpec` has it: None is a network of its own with a management interface."""
    found = levels.first("network-mode")
    if found is None or found.text == "bridge":
        return None
    mode, colon, node = found.text.partition(":")
    if found.text == "none" or (mode == "container" and colon and node):
        return found.text
    if mode == "host":
        reading.problems.add(
            "unsupported",
            "labctl runs no node in the machine's own network: it would be no shadow, and its daemons would change "
            "the machine's routes",
            where=found.span,
            hint="leave `network-mode` out; a link to `host:IF` gives the node a leg of the machine",
        )
    else:
        reading.problems.add(
            "bad-value",
            f"there is no network-mode {found.text!r}",
            where=found.span,
            hint="`none`, or `container:NODE` for the network of another node",
        )
    return None


def check_sharing(reading: Reading, nodes: Mapping[str, NodeSpec]) -> None:
    """Whose network is whose: no circles, and a bridge in a node's network is called `BRIDGE|NODE`."""
    for node in nodes.values():
        where = node.where or Span(reading.file)
        bridge, bar, inside = node.name.partition("|")
        if bar or (node.shares and node.kind is not NodeKind.LINUX):
            if node.kind is not NodeKind.BRIDGE or node.shares != inside or inside not in nodes:
                reading.problems.add(
                    "bad-value",
                    f"node {node.name!r} is no bridge inside another node of the lab",
                    where=where,
                    hint="a node `br0|r1` has `kind: bridge` and `network-mode: container:r1`",
                )
            elif len(bridge.encode()) > names.IFNAMSIZ:
                reading.problems.add(
                    "bad-name",
                    f"Linux allows no interface with the name {bridge!r}",
                    where=where,
                    hint=f"at most {names.IFNAMSIZ} bytes",
                )
        if node.shares and node.shares in nodes and nodes[node.shares].kind is not NodeKind.LINUX:
            reading.problems.add(
                "bad-value",
                f"node {node.name!r} is in the network of {node.shares!r}, which is no container",
                where=where,
                hint="name a node of kind linux",
            )
        if _in_a_circle(node, nodes):
            reading.problems.add(
                "bad-value",
                f"node {node.name!r} is in its own network by `network-mode: container:{node.shares}`",
                where=where,
                hint="one node of the circle has a network of its own",
            )


def mgmt_address(reading: Reading, own: Checked, version: int, mgmt: MgmtSpec) -> str | None:
    """The address that the node itself asks for."""
    key, subnet = f"mgmt-ipv{version}", mgmt.ipv4_subnet if version == 4 else mgmt.ipv6_subnet
    text = said(own, key)
    if text is None:
        return None
    where = own[key].value.span
    found = fields.address(text, where, reading.problems, version=version, prefix=False, key=key)
    if found and ipaddress.ip_address(found) not in ipaddress.ip_network(subnet):
        reading.at_deploy(
            "bad-address",
            f"{key} {found} is outside the management network {subnet}",
            where=where,
            hint=f"set `mgmt: {{ipv{version}-subnet: …}}` or change the address",
        )
    elif found and found in (mgmt.ipv4_gateway, mgmt.ipv6_gateway):
        reading.problems.add(
            "bad-address", f"{key} {found} is the gateway of the management network", where=where
        )
    elif found and found in _not_of_one_node(subnet):
        reading.problems.add(
            "bad-address", f"{key} {found} means all of the management network {subnet}", where=where
        )
    return found


def check_addresses(reading: Reading, nodes: Mapping[str, tuple[Span, Checked]]) -> None:
    """No two nodes ask for one."""
    for key in ("mgmt-ipv4", "mgmt-ipv6"):
        seen: dict[str, str] = {}
        for name, (where, own) in nodes.items():
            address = _plain(said(own, key))
            if address and seen.setdefault(address, name) != name:
                reading.problems.add(
                    "address-twice",
                    f"nodes {seen[address]!r} and {name!r} have the same {key} {address}",
                    where=place(own, key, where),
                    hint="give each node its own, or leave it out",
                )


def aliases(reading: Reading, own: Checked) -> tuple[str, ...]:
    """Other names of the node's addresses."""
    found = list(Levels((own,)).items("aliases"))
    for item in found:
        _host_name(reading, item, "alias")
    return tuple(dict.fromkeys(item.text for item in found))


def dns(reading: Reading, levels: Levels, node: str) -> Dns | None:
    """As a whole from the most specific level that says something."""
    for level in reversed(levels.levels):
        if "dns" not in level:
            continue
        found = reading.keys(level["dns"].value, DNS, f"node {node}: dns")
        if not found:
            continue
        of_it = Levels((found,))
        for item in of_it.items("servers"):
            version = 6 if ":" in item.text else 4
            fields.address(
                item.text, item.span, reading.problems, version=version, prefix=False, key="dns server"
            )
        for item in of_it.items("search"):
            _host_name(reading, item, "search domain")
        for item in of_it.items("options"):
            if not _DNS_OPTION.fullmatch(item.text):
                reading.problems.add(
                    "bad-value", f"dns: {fields.shorten(item.text)!r} is no option", where=item.span
                )
        servers, search, options = (
            tuple(item.text for item in of_it.items(key)) for key in ("servers", "search", "options")
        )
        return Dns(servers=servers, search=search, options=options)
    return None


def _host_name(reading: Reading, item: Scalar, what: str) -> None:
    if not names.LAB.fullmatch(item.text) or len(item.text) > names.MOST:
        reading.problems.add(
            "bad-name",
            f"{what} {fields.shorten(item.text)!r} is not a host name",
            where=item.span,
            hint="letters, digits, `.`, `_` and `-`; a letter or digit first",
        )


def _in_a_circle(node: NodeSpec, nodes: Mapping[str, NodeSpec]) -> bool:
    """Whether the networks that lead on from this node's come back to it."""
    seen: set[str] = set()
    at: NodeSpec | None = node
    while at is not None and at.shares and at.name not in seen:
        seen.add(at.name)
        at = nodes.get(at.shares)
        if at is node:
            return True
    return False


def _plain(address: str | None) -> str | None:
    """The one way to write an address; as it is if it is none (that is said elsewhere)."""
    try:
        return str(ipaddress.ip_address(address)) if address else address
    except ValueError:
        return address


def _not_of_one_node(subnet: str) -> tuple[str, ...]:
    """The addresses of an IPv4 subnet that mean the whole of it."""
    network = ipaddress.ip_network(subnet)
    if network.version == 6 or network.prefixlen >= 31:
        return ()
    return str(network.network_address), str(network.broadcast_address)
