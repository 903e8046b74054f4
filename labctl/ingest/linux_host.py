"""A Linux box as the SSH collector saved it: what the kernel has, and FRR's configuration if it runs FRR.

    <directory>/ip-addr.json     `ip -j addr`       addresses, MTU, admin state
    <directory>/ip-route.json    `ip -j route`      optional: routes of the main table, IPv4 (and `ip-route6.json`)
    <directory>/frr.conf         optional: `show running-config`, or the file
    <directory>/hostname         optional: else the directory's name
    <directory>/sysctl           optional: `net.ipv4.ip_forward = 1` and the like; without it a plain box does not forward

On an FRR box the addresses are often not in frr.conf at all, so the two are laid over each other. Kernel routes that a
routing daemon installed are the result of a configuration and not a part of it; only those that an administrator put
there (`static`, `boot`) are statics.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from labctl.errors import LabctlError, Span
from labctl.ingest import frr
from labctl.ingest.frr.build import FRR_UNDEFINED, unmentioned
from labctl.ingest.frr.interface import kind_of, vlan_of
from labctl.ingest.parsers import Parsed
from labctl.ingest.redact import Redactor
from labctl.model.account import ConfigAccount
from labctl.model.config import DeviceConfig, Discard, InterfaceConfig, InterfaceKind, StaticRoute
from labctl.schema import infile

#: `proto` of routes that an administrator made; iproute2 leaves `boot` out.
_BY_HAND = {"static", "boot", ""}
_DISCARDS = {"blackhole": Discard.BLACKHOLE, "unreachable": Discard.REJECT, "prohibit": Discard.REJECT}


#: What a box's directory may hold.
FILES = ("ip-addr.json", "ip-route.json", "ip-route6.json", "frr.conf", "hostname", "sysctl")


def read_directory(directory: str, *, redactor: Redactor, device: str = "") -> Parsed:
    """The configuration of the box whose files lie in `directory`."""
    texts = {name: text for name in FILES if (text := _read(directory, name)) is not None}
    return read_texts(texts, place=directory, redactor=redactor, device=device)


def read_texts(texts: Mapping[str, str], *, place: str, redactor: Redactor, device: str = "") -> Parsed:
    """The same from texts that no file holds; `place` stands before their names in spans."""
    hostname = texts.get("hostname", "").strip() or os.path.basename(os.path.abspath(place))
    name = device or hostname
    interfaces = tuple(
        _interface(row, where)
        for row, where in _rows(texts, place, "ip-addr.json")
        if row.get("ifname") and row.get("link_type") != "none"
    )
    routes = tuple(
        route
        for file in ("ip-route.json", "ip-route6.json")
        for row, where in _rows(texts, place, file, optional=True)
        for route in _routes(row, where)
    )
    text = texts.get("frr.conf", "")
    if not text.strip():
        sysctls = _sysctls(texts.get("sysctl", ""))
        config = DeviceConfig(
            device=name,
            hostname=hostname,
            dialect="linux",
            undefined=FRR_UNDEFINED,
            forwarding_v4=sysctls.get("net.ipv4.ip_forward") == "1",
            forwarding_v6=sysctls.get("net.ipv6.conf.all.forwarding") == "1",
            interfaces=interfaces,
            static_routes=routes,
            where=Span(place),
        )
        return Parsed(config=config, account=ConfigAccount(device=name))
    parsed = frr.parse(text, file=os.path.join(place, "frr.conf"), device=name, redactor=redactor)
    return Parsed(config=_overlay(parsed.config, hostname, interfaces, routes), account=parsed.account)


def _overlay(
    config: DeviceConfig,
    hostname: str,
    kernel: Sequence[InterfaceConfig],
    routes: Sequence[StaticRoute],
) -> DeviceConfig:
    """FRR's configuration over the kernel's state: the kernel's order of interfaces, FRR's word on their settings."""
    stated = {interface.name: interface for interface in config.interfaces}
    seen = tuple(_laid_over(interface, stated.get(interface.name), config) for interface in kernel)
    known = {interface.name for interface in kernel}
    rest = tuple(interface for interface in config.interfaces if interface.name not in known)
    own = {(r.prefix, r.next_hop, r.interface if not r.next_hop else None) for r in config.static_routes}
    added = tuple(
        r for r in routes if (r.prefix, r.next_hop, r.interface if not r.next_hop else None) not in own
    )
    return replace(
        config,
        hostname=hostname,
        interfaces=seen + rest,
        static_routes=config.static_routes + added,
    )


def _laid_over(
    kernel: InterfaceConfig, stated: InterfaceConfig | None, config: DeviceConfig
) -> InterfaceConfig:
    if stated is None:
        return unmentioned(kernel, config.ospf) if config.ospf else kernel
    return replace(
        stated,
        kind=kernel.kind,
        ipv4=tuple(dict.fromkeys(stated.ipv4 + kernel.ipv4)),
        ipv6=tuple(dict.fromkeys(stated.ipv6 + kernel.ipv6)),
        mtu=kernel.mtu,
        shutdown=kernel.shutdown,
        description=stated.description or kernel.description,
    )


# --- ip -j addr ---


def _interface(row: Mapping[str, Any], where: Span) -> InterfaceConfig:
    name: str = row["ifname"]
    flags = row.get("flags", [])
    loopback = "LOOPBACK" in flags
    kind = InterfaceKind.LOOPBACK if loopback else kind_of(name)
    return InterfaceConfig(
        name=name,
        kind=kind,
        description=str(row.get("ifalias", "")),
        ipv4=tuple(_addresses(row, "inet", where)),
        ipv6=tuple(_addresses(row, "inet6", where)),
        mtu=None if loopback else row.get("mtu"),
        shutdown="UP" not in flags,
        vlan=vlan_of(name),
        where=where,
    )


def _addresses(row: Mapping[str, Any], family: str, where: Span) -> Iterator[str]:
    """Addresses of global scope; the kernel makes the others itself."""
    for info in row.get("addr_info", []):
        if info.get("family") != family or info.get("scope") != "global" or info.get("temporary"):
            continue
        text = f"{info.get('local')}/{info.get('prefixlen')}"
        try:
            yield ip_interface(text).with_prefixlen
        except ValueError as error:
            raise LabctlError(
                "bad-address", f"{row['ifname']}: {text!r} is not an interface address", where=where
            ) from error


# --- ip -j route ---


def _routes(row: Mapping[str, Any], where: Span) -> Iterator[StaticRoute]:
    if str(row.get("protocol", "")) not in _BY_HAND or row.get("type") in ("local", "broadcast", "multicast"):
        return
    discard = _DISCARDS.get(str(row.get("type", "")))
    hops = row.get("nexthops") or [row]
    for hop in hops:
        via = hop.get("gateway") or (hop.get("via") or {}).get("host")
        yield StaticRoute(
            prefix=_prefix(row, via, where),
            next_hop=_address(via, where) if via else None,
            interface=None if discard else hop.get("dev"),
            discard=discard,
            distance=1,
            onlink="onlink" in hop.get("flags", []),
            kernel=True,
            where=where,
        )


def _prefix(row: Mapping[str, Any], via: object, where: Span) -> str:
    text = str(row.get("dst", ""))
    if text == "default":
        return "::/0" if ":" in str(via) or row.get("family") == "inet6" else "0.0.0.0/0"
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise LabctlError("bad-address", f"route to {text!r}: not a prefix", where=where) from error


def _address(text: object, where: Span) -> str:
    try:
        return str(ip_address(str(text)))
    except ValueError as error:
        raise LabctlError("bad-address", f"route via {text!r}: not an address", where=where) from error


# --- files ---


def _read(directory: str, name: str) -> str | None:
    path = os.path.join(directory, name)
    return infile.text(path) if os.path.exists(path) else None


def _sysctls(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _rows(
    texts: Mapping[str, str], place: str, name: str, *, optional: bool = False
) -> Iterator[tuple[Mapping[str, Any], Span]]:
    """The objects of a JSON list, each with its place: the file, for `ip -j` writes one line."""
    if name not in texts:
        if optional:
            return
        raise LabctlError(
            "file-not-found",
            f"{name} is missing",
            where=Span(place),
            hint=f"the output of `ip -j addr`, saved as {os.path.join(place, name)}",
        )
    text = texts[name]
    if not text.strip():
        if not optional:
            raise LabctlError("config-truncated", "the file is empty", where=Span(os.path.join(place, name)))
        return
    where = Span(os.path.join(place, name))
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise LabctlError(
            "config-truncated",
            f"not a whole JSON document: {error.msg}",
            where=Span(where.file, error.lineno, error.colno),
            hint="collect it again",
        ) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LabctlError("bad-value", "expected a list of objects, as `ip -j` prints", where=where)
    for row in rows:
        if row:
            yield row, where
