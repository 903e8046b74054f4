"""What Arista EOS prints in JSON: the routes, and the OSPF neighbours and BGP peers of the default VRF."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from labctl.model.recorded import Recorded
from labctl.model.routes import Adjacency, NextHop, Route

#: routeType begins with -> protocol
_PROTOCOLS: Final = (
    ("connected", "connected"),
    ("static", "static"),
    ("ebgp", "bgp"),
    ("ibgp", "bgp"),
    ("bgp", "bgp"),
    ("ospf", "ospf"),
    ("isis", "isis"),
    ("rip", "rip"),
)


def read_routes(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001  (the readers' signature)
    return _read_routes(4, text, known)


def read_routes6(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001
    return _read_routes(6, text, known)


def _read_routes(family: int, text: str, known: Recorded) -> Recorded:
    tables = {
        name: tuple(_route(prefix, each) for prefix, each in vrf["routes"].items())
        for name, vrf in _vrfs(text).items()
        if "routes" in vrf
    }
    routes = tables.pop("default", None)
    return known if routes is None else known.with_routes(family, routes, tables)


def _route(prefix: str, said: Mapping[str, Any]) -> Route:
    kind = str(said.get("routeType", ""))
    protocol = next((name for head, name in _PROTOCOLS if kind.lower().startswith(head)), kind)
    hops = (
        NextHop(str(via.get("nexthopAddr", "")), str(via.get("interface", "")))
        for via in said.get("vias", ())
    )
    return Route(
        prefix=prefix,
        protocol=protocol,
        next_hops=frozenset(hops),
        distance=said.get("preference"),
        metric=said.get("metric"),
        kind="blackhole" if said.get("routeAction") == "drop" else "",
    )


def read_ospf(device: str, text: str, known: Recorded) -> Recorded:
    found = [
        _ospf(device, each)
        for instance in _default_vrf(text).get("instList", {}).values()
        for each in instance.get("ospfNeighborEntries", ())
    ]
    return replace(known, sessions={**known.sessions, "ospf": tuple(found)})


def _ospf(device: str, said: Mapping[str, Any]) -> Adjacency:
    state = str(said.get("adjacencyState", ""))
    return Adjacency(
        kind="ospf",
        node=device,
        peer=str(said.get("routerId", "")),
        interface=str(said.get("interfaceName", "")),
        state=state,
        up=state in ("full", "2Ways"),
    )


def read_bgp(device: str, text: str, known: Recorded) -> Recorded:
    found = []
    for peer in _default_vrf(text).get("peerList", ()):
        state = str(peer.get("state", ""))
        found.append(
            Adjacency(
                kind="bgp",
                node=device,
                peer=str(peer.get("peerAddress", "")),
                state=state,
                up=state == "Established",
            )
        )
    return replace(known, sessions={**known.sessions, "bgp": tuple(found)})


def _default_vrf(text: str) -> Mapping[str, Any]:
    return _vrfs(text).get("default", {})


def _vrfs(text: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    vrfs = said.get("vrfs", {}) if isinstance(said, dict) else {}
    return {name: vrf for name, vrf in vrfs.items() if isinstance(vrf, dict)}
