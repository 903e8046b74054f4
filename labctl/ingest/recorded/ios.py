"""What Cisco IOS and IOS-XE print: `show ip route`, `show ipv6 route`, `show ip ospf neighbor`, `show ip bgp all` and its neighbours.

A route may stand on several lines: equal paths follow below, and a long prefix has its paths on the next line. A
prefix without a length has that of the heading above it (`10.0.0.0/24 is subnetted`), else its class'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from labctl.model.recorded import BgpPath, Recorded
from labctl.model.routes import Adjacency, NextHop, Route

PROTOCOLS: Final = {
    "L": "local",
    "C": "connected",
    "S": "static",
    "R": "rip",
    "M": "mobile",
    "B": "bgp",
    "D": "eigrp",
    "O": "ospf",
    "i": "isis",
    "o": "odr",
    "H": "nhrp",
    "l": "lisp",
}
_TABLE: Final = "Gateway of last resort"
_VRF_TABLE = re.compile(r"^Routing Table: (\S+)\s*$", re.MULTILINE)
_TABLE6 = re.compile(r"^IPv6 Routing Table - (?:default - )?\d+ entries", re.MULTILINE)
_ROUTE6 = re.compile(
    r"(?P<code>[A-Za-z])[A-Za-z0-9]{0,2}[ *+%]+(?P<prefix>[0-9A-Fa-f:.]+/\d+)(?: \[(?P<distance>\d+)/(?P<metric>\d+)\])?"
)
_WAY6 = re.compile(r"\s+via (?P<first>[^,\s]+)(?:, (?P<second>[^,]+))?")
_HEADING = re.compile(r"\s+(\S+) is (variably )?subnetted")
_ROUTE = re.compile(
    r"(?P<code>[A-Za-z])(?P<more>[ *+%]+(?:[A-Z][A-Z0-9]|ia|su|L1|L2)?[ *+%]*)\s*(?P<prefix>\d+\.\d+\.\d+\.\d+)(?:/(?P<length>\d+))?(?P<rest>.*)"
)
_WAY = re.compile(
    r"\[(?P<distance>\d+)/(?P<metric>\d+)\] via (?P<via>[\d.]+)(?P<rest>.*)|is directly connected(?:, (?P<direct>\S+))?"
    r"|is a summary.*?, (?P<summary>\S+)$"
)
_AGE = re.compile(r"\d+:\d+:\d+|\d+[dwmy]\d+\w*|never")


def read_routes(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001  (the readers' signature)
    """A refused command has no table, and the device then no routes to compare, which is not the same as none."""
    if _TABLE not in text:
        return known
    return known.with_routes(4, parse_routes(text), _vrf_tables(text))


def read_routes6(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001
    """`show ipv6 route`; where IPv6 is off the command prints nothing, and a refused one no heading."""
    return known.with_routes(6, parse_routes6(text)) if _TABLE6.search(text) else known


def read_vrf_routes(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001
    """`show ip route vrf *`: the tables of the VRFs; the global one has an answer of its own."""
    return replace(known, vrfs={**known.vrfs, **_vrf_tables(text)})


def read_ospf(device: str, text: str, known: Recorded) -> Recorded:
    return replace(known, sessions={**known.sessions, "ospf": tuple(parse_ospf_neighbors(device, text))})


def read_bgp(device: str, text: str, known: Recorded) -> Recorded:
    return replace(known, sessions={**known.sessions, "bgp": tuple(parse_bgp_neighbors(device, text))})


def read_paths(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001
    return replace(known, paths=tuple(parse_bgp_table(text)))


def parse_routes(text: str) -> tuple[Route, ...]:
    """The global table; the legend before it and tables of VRFs after it are none of it."""
    return _parse_table(_VRF_TABLE.split(text.partition(_TABLE)[2])[0])


def _vrf_tables(text: str) -> dict[str, tuple[Route, ...]]:
    """The tables behind `Routing Table: NAME`. Each may have a legend of its own, which ends with the last resort."""
    _, *rest = _VRF_TABLE.split(text)
    return {
        name: _parse_table(body.partition(_TABLE)[2] or body)
        for name, body in zip(rest[::2], rest[1::2], strict=True)
    }


def _parse_table(body: str) -> tuple[Route, ...]:
    found: list[Route] = []
    length = None
    for line in body.splitlines()[1:]:
        if heading := _HEADING.match(line):
            _, slash, mask = heading[1].partition("/")
            length = mask if slash and not heading[2] else None
        elif route := _ROUTE.match(line):
            prefix = _prefix(route["prefix"], route["length"], length)
            found.append(
                _with_way(
                    Route(prefix=prefix, protocol=PROTOCOLS.get(route["code"], route["code"])), route["rest"]
                )
            )
        elif found and line.strip():
            found[-1] = _with_way(found[-1], line)
    return tuple(found)


#: Codes that mean something else in the IPv6 table: L, C and so on are as in IPv4's.
PROTOCOLS6: Final = PROTOCOLS | {"I": "isis", "N": "ndp", "U": "static"}
_INTERFACES: Final = "directly connected", "receive"


def parse_routes6(text: str) -> tuple[Route, ...]:
    """The table of `show ipv6 route`: a prefix on one line, its ways below."""
    found: list[Route] = []
    head = _TABLE6.search(text)
    for line in text[head.end() if head else len(text) :].splitlines()[1:]:
        if route := _ROUTE6.match(line):
            code = "isis" if line.startswith(("I1", "I2", "IA", "IS")) else PROTOCOLS6.get(route["code"])
            found.append(
                Route(
                    prefix=str(IPv6Network(route["prefix"], strict=False)),
                    protocol=code or route["code"],
                    distance=int(route["distance"]) if route["distance"] else None,
                    metric=int(route["metric"]) if route["metric"] else None,
                )
            )
        elif found and (way := _WAY6.match(line)):
            found[-1] = _with_way6(found[-1], way["first"], (way["second"] or "").strip())
    return tuple(found)


def _with_way6(route: Route, first: str, second: str) -> Route:
    if ":" not in first:
        return _through(route, "", first)
    return _through(route, str(IPv6Address(first)), "" if second in _INTERFACES else second)


def _prefix(address: str, length: str | None, heading: str | None) -> str:
    if length is None and heading is None:
        first = int(address.partition(".")[0])
        heading = "0" if address == "0.0.0.0" else "8" if first < 128 else "16" if first < 192 else "24"
    return str(IPv4Network(f"{address}/{length or heading}", strict=False))


def _with_way(route: Route, text: str) -> Route:
    way = _WAY.search(text)
    if way is None:
        return route
    if way["via"] is None:
        interface = way["direct"] or way["summary"]
        return _through(route, "", interface.strip(",") if interface else "")
    words = [word for word in way["rest"].replace(",", " ").split() if not _AGE.fullmatch(word)]
    known = replace(route, distance=int(way["distance"]), metric=int(way["metric"]))
    return _through(known, "" if way["via"] == "0.0.0.0" else way["via"], words[0] if words else "")


def _through(route: Route, via: str, interface: str) -> Route:
    if interface == "Null0":
        return replace(route, kind="blackhole")
    return replace(route, next_hops=route.next_hops | {NextHop(via, interface)})


def parse_ospf_neighbors(device: str, text: str) -> Iterator[Adjacency]:
    for line in text.splitlines():
        words = line.replace("/  -", "/-").split()
        if len(words) == 6 and _is_address(words[0]):
            state = words[2]
            up = state.startswith(("FULL", "2WAY"))
            yield Adjacency(kind="ospf", node=device, peer=words[0], interface=words[5], state=state, up=up)


def parse_bgp_neighbors(device: str, text: str) -> Iterator[Adjacency]:
    """The neighbours of the first address family that lists them; a session serves them all."""
    peer, seen = "", set()
    for line in text.splitlines():
        if found := re.match(r"BGP neighbor is ([0-9a-fA-F.:]+),", line):
            peer = found[1]
        elif (found := re.match(r"\s+BGP state = (\w+)", line)) and peer and peer not in seen:
            seen.add(peer)
            yield Adjacency(kind="bgp", node=device, peer=peer, state=found[1], up=found[1] == "Established")


#: Columns have fixed places; the header says where they begin.
_COLUMNS = ("Network", "Next Hop", "Metric", "LocPrf", "Weight", "Path")


def parse_bgp_table(text: str) -> Iterator[BgpPath]:
    """IPv4 unicast of `show ip bgp all`. A column may be empty, so columns are told by their place."""
    at: dict[str, int] | None = None
    prefix = ""
    body = text.partition("For address family: IPv4 Unicast")[2].partition("\nFor address family:")[0]
    for line in body.splitlines():
        if all(name in line for name in _COLUMNS):
            at = {name: line.index(name) for name in _COLUMNS}
            continue
        if at is None or len(line) <= at["Next Hop"]:
            if at is not None and (found := line[at["Network"] :].strip() if line[:3].strip() else ""):
                prefix = _table_prefix(found)  # its paths are on the next line
            continue
        prefix = _table_prefix(line[at["Network"] : at["Next Hop"]].strip()) or prefix
        path = _path(line, at, prefix)
        if path is not None:
            yield path


def _table_prefix(word: str) -> str:
    address, slash, length = word.partition("/")
    return _prefix(address, length if slash else None, None) if _is_address(address) else ""


def _path(line: str, at: dict[str, int], prefix: str) -> BgpPath | None:
    via = line[at["Next Hop"] :].split(maxsplit=1)[0]
    if not _is_address(via) or not prefix:
        return None
    end = at["Next Hop"] + len(via)
    metric = line[end : at["Metric"] + len("Metric")].strip()
    preference = line[at["Metric"] + len("Metric") : at["LocPrf"] + len("LocPrf")].strip()
    weight = line[at["LocPrf"] + len("LocPrf") : at["Path"]].strip()
    *path, origin = line[at["Path"] :].split() or [""]
    marks = line[: at["Network"]]
    return BgpPath(
        prefix=prefix,
        via=via,
        best=">" in marks,
        internal="i" in marks,
        metric=int(metric) if metric.isdecimal() else None,
        local_preference=int(preference) if preference.isdecimal() else None,
        weight=int(weight) if weight.isdecimal() else 0,
        as_path=tuple(path),
        origin=origin,
    )


def _is_address(word: str) -> bool:
    try:
        IPv4Address(word)
    except ValueError:
        return False
    return True
