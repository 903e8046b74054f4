"""Packet filters and address translation of a device as an nftables script.

Access lists of other vendors know no connections: an entry looks at one packet, "established" at its TCP flags. What
comes in is filtered before anything else happens to it; what goes out only if it is passed on, for a router's own
packets are not filtered there. An interface that names a list which is nowhere defined, or empty, lets all through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from labctl.model.config import DeviceConfig, InterfaceConfig
from labctl.model.filters import FilterEntry, NatRule, PacketFilter, Wildcard
from labctl.model.policy import Action
from labctl.render.words import virtual_device

#: Where a router's image looks for the script.
TARGET = "/etc/labctl/packets.nft"
_TABLE = "ip labctl-packets"
_PROTOCOLS = {"ahp": "ah", "ospf": "89", "eigrp": "88", "pim": "103", "igmp": "2", "gre": "47", "esp": "esp"}


def render_packets(config: DeviceConfig) -> str:
    """The script; empty if there is nothing to filter or translate."""
    filters = {found.name: found for found in config.packet_filters if found.entries}
    coming = [(i, filters[i.filter_in]) for i in config.interfaces if i.filter_in in filters]
    going = [(i, filters[i.filter_out]) for i in config.interfaces if i.filter_out in filters]
    if not (coming or going or config.nat):
        return ""
    used = dict.fromkeys(found.name for _, found in (*coming, *going))
    lines = [f"table {_TABLE} {{"]
    for number, name in enumerate(used):
        lines += _chain(f"list{number}", _entries(filters[name]), comment=name)
    chains = {name: f"list{number}" for number, name in enumerate(used)}
    lines += _hook("prerouting", -310, "iifname", coming, chains)
    lines += _hook("forward", 0, "oifname", going, chains)
    lines += _translations(config, filters)
    return "\n".join([*lines, "}"]) + "\n"


def _hook(
    hook: str,
    priority: int,
    side: str,
    where: list[tuple[InterfaceConfig, PacketFilter]],
    chains: dict[str, str],
) -> Iterator[str]:
    if where:
        rules = [f"{side} {_names([interface])} jump {chains[found.name]}" for interface, found in where]
        yield from _chain(hook, [f"type filter hook {hook} priority {priority};", *rules])


def _names(interfaces: Iterable[InterfaceConfig]) -> str:
    """Interfaces, and those on which frames for their shared addresses come in."""
    names = [
        f'"{name}"'
        for each in interfaces
        for name in (each.name, *(virtual_device(v.group, each.name) for v in each.virtual_routers))
    ]
    return f"{{ {', '.join(names)} }}"


def _chain(name: str, rules: list[str], *, comment: str = "") -> Iterator[str]:
    yield f"  chain {name} {{"
    if comment:
        yield f"    # {' '.join(comment.split())}"
    yield from (f"    {rule}" for rule in rules)
    yield "  }"


def _entries(found: PacketFilter) -> list[str]:
    """Its entries, and at the end what no entry fitted."""
    verdicts = {Action.PERMIT: "return", Action.DENY: "drop"}
    rules = [" ".join((*_conditions(entry), "counter", verdicts[entry.action])) for entry in found.entries]
    return [*rules, "counter drop"]


def _conditions(entry: FilterEntry) -> Iterator[str]:
    yield from _address("saddr", entry.source)
    yield from _address("daddr", entry.target)
    if entry.protocol == "ip":
        return
    yield f"ip protocol {_PROTOCOLS.get(entry.protocol, entry.protocol)}"
    if entry.source_ports:
        yield f"{entry.protocol} sport {_ports(entry.source_ports)}"
    if entry.target_ports:
        yield f"{entry.protocol} dport {_ports(entry.target_ports)}"
    if entry.established:
        yield "tcp flags & (ack | rst) != 0"
    if entry.icmp_type is not None:
        yield f"icmp type {entry.icmp_type}"


def _address(side: str, end: Wildcard) -> Iterator[str]:
    inverse = int(IPv4Address(end.wildcard))
    mask = ~inverse & 0xFFFFFFFF
    value = IPv4Address(int(IPv4Address(end.address)) & mask)
    if inverse & (inverse + 1):
        yield f"ip {side} & {IPv4Address(mask)} == {value}"
    elif mask:
        yield f"ip {side} {value}/{32 - inverse.bit_length()}"


def _ports(ranges: tuple[tuple[int, int], ...]) -> str:
    return f"{{ {', '.join(str(low) if low == high else f'{low}-{high}' for low, high in ranges)} }}"


# --- address translation ---


def _translations(config: DeviceConfig, filters: dict[str, PacketFilter]) -> Iterator[str]:
    outside = [i for i in config.interfaces if i.nat == "outside"]
    if not config.nat or not outside:
        return
    names = _names(outside)
    addresses = {i.name: i.ipv4[0].partition("/")[0] for i in config.interfaces if i.ipv4}
    fixed_first = sorted(config.nat, key=lambda each: not each.inside)
    sources = [rule for each in fixed_first for rule in _source(each, filters, addresses)]
    targets = [rule for each in config.nat for rule in _target(each)]
    yield from _chain(
        "postrouting",
        ["type nat hook postrouting priority 100;", *(f"oifname {names} {rule}" for rule in sources)],
    )
    if targets:
        yield from _chain(
            "translate",
            [
                "type nat hook prerouting priority -100;",
                *(f"iifname {names} {rule}" for rule in targets),
            ],
        )


def _source(rule: NatRule, filters: dict[str, PacketFilter], addresses: dict[str, str]) -> Iterator[str]:
    if rule.inside:
        ports = f"{rule.protocol} sport {rule.inside_port} " if rule.protocol else ""
        behind = f":{rule.outside_port}" if rule.protocol else ""
        yield f"ip saddr {rule.inside} {ports}snat to {rule.outside_first}{behind}"
        return
    first, last = rule.outside_first, rule.outside_last
    if rule.interface:
        first = last = addresses.get(rule.interface, "")
    if not first or rule.filter not in filters:
        return
    target = first if first == last else f"{first}-{last}"
    for entry in filters[rule.filter].entries:
        verdict = f"snat to {target}" if entry.action is Action.PERMIT else "accept"
        yield " ".join((*_conditions(entry), verdict))


def _target(rule: NatRule) -> Iterator[str]:
    if rule.inside:
        ports = f"{rule.protocol} dport {rule.outside_port} " if rule.protocol else ""
        behind = f":{rule.inside_port}" if rule.protocol else ""
        yield f"ip daddr {rule.outside_first} {ports}dnat to {rule.inside}{behind}"
