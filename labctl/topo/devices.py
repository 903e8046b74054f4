"""A box and its ports -> the `Device` of the model: interfaces merged from every source that spoke of them.

A walk knows what is (state, MAC, speed); a configuration knows what is meant (MTU, addresses, description). Where both
speak, the configuration's MTU and addresses come first and the walk adds what the configuration does not say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_interface

from labctl.model.config import InterfaceConfig
from labctl.model.observation import InterfaceRow
from labctl.model.topology import Device, Interface, Role
from labctl.topo.identity import Box
from labctl.topo.ports import Ports, canonical


def device_of(box: Box, ports: Ports, claimed: Iterable[str] = ()) -> Device:
    """`claimed`: ports of a box that was not polled, as others name them."""
    return Device(
        id=box.id,
        name=box.name,
        polled=box.polled,
        interfaces=_interfaces(box, ports, claimed),
        platform=next((o.sys_descr for o in box.observations if o.sys_descr), "")
        or next((c.dialect for c in box.configs), "")
        or (box.retained.platform if box.retained else ""),
        identities=tuple(sorted(box.identities)),
        sources=tuple(
            dict.fromkeys(
                [
                    *(f"{o.source} {o.where}" for o in box.observations),
                    *(f"config {c.where}" for c in box.configs),
                ]
            )
        )
        or (box.retained.sources if box.retained else ()),
        stale_since=box.retained.stale_since if box.retained else "",
    )


def _interfaces(box: Box, ports: Ports, claimed: Iterable[str]) -> tuple[Interface, ...]:
    rows: dict[str, InterfaceRow] = {}
    addresses: dict[str, list[str]] = defaultdict(list)
    for seen in box.observations:
        for row in seen.interfaces:
            label = ports.by_index.get(row.index, row.label) if row.named else row.label
            rows.setdefault(label, row)
        for held in seen.addresses:
            if held.if_index in ports.by_index:
                addresses[ports.by_index[held.if_index]].append(str(held.address))
    configured = _configured(box, ports)
    above = _aggregates(box, ports)
    kept = {i.name: i for i in box.retained.interfaces} if box.retained else {}
    return tuple(
        _with_state_of(
            kept.get(name) if name not in rows else None,
            replace(
                _interface(name, ports, rows.get(name), configured.get(name), addresses.get(name, [])),
                member_of=above.get(name, ""),
            ),
            configured=name in configured,
        )
        for name in (*ports.kinds, *sorted(set(claimed) - ports.kinds.keys()))
    )


def _aggregates(box: Box, ports: Ports) -> Mapping[str, str]:
    """member -> aggregate."""
    found: dict[str, str] = {}
    for seen in box.observations:
        for member, aggregate in seen.members:
            if member in ports.by_index and aggregate in ports.by_index:
                found.setdefault(ports.by_index[member], ports.by_index[aggregate])
    return {member: aggregate for member, aggregate in found.items() if member != aggregate}


def _with_state_of(before: Interface | None, now: Interface, *, configured: bool) -> Interface:
    """What only a walk knows, of a device that was not walked this time; all of it if nothing else was read either."""
    if before is None:
        return now
    if not configured:
        return before
    return replace(
        now,
        mac=before.mac,
        speed_bps=now.speed_bps or before.speed_bps,
        oper_up=before.oper_up,
        mtu=now.mtu or before.mtu,
        addresses=now.addresses or before.addresses,
    )


def _configured(box: Box, ports: Ports) -> Mapping[str, InterfaceConfig]:
    found: dict[str, InterfaceConfig] = {}
    for config in box.configs:
        for interface in config.interfaces:
            name = ports.one("ifName", interface.name) or ports.one("canonical", canonical(interface.name))
            found.setdefault(name or interface.name, interface)
    return found


def _interface(
    name: str, ports: Ports, row: InterfaceRow | None, meant: InterfaceConfig | None, seen: list[str]
) -> Interface:
    addresses = [*(meant.ipv4 if meant else ()), *(meant.ipv6 if meant else ()), *seen]
    unique = {
        str(at): None
        for at in map(ip_interface, addresses)
        if not at.ip.is_link_local and not at.ip.is_loopback
    }
    mtu = (meant.mtu if meant else None) or (row.mtu if row else None)
    speed = (row.speed_bps if row else None) or (meant.speed_bps if meant else None)
    admin = row.admin_up if row else None
    if admin is None and meant is not None:
        admin = not meant.shutdown
    return Interface(
        name=name,
        mac=row.mac if row else None,
        addresses=tuple(unique),
        mtu=mtu,
        speed_bps=float(speed) if speed else None,
        admin_up=admin,
        oper_up=row.oper_up if row else None,
        description=(meant.description if meant else "") or (row.alias if row else ""),
        role=ports.roles.get(name, Role.DATA),
        kind=ports.kinds.get(name, ""),
        vlan=(row.vlan if row else None) or (meant.untagged_vlan if meant else None),
        duplex=(row.duplex if row else "") or (meant.duplex if meant else ""),
    )
