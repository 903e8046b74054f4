"""What Arista EOS prints in JSON: the routes, OSPF neighbours and BGP peers of the default VRF."""

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
    said = _default_vrf(text).get("routes")
    if said is None:
        return known
    return replace(known, routes=tuple(_route(prefix, each) for prefix, each in said.items()))


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
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    vrf = said.get("vrfs", {}).get("default", {}) if isinstance(said, dict) else {}
    return vrf if isinstance(vrf, dict) else {}
