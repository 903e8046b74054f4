"""What FRR prints in JSON, on Cumulus Linux or anywhere else. Slashes may be escaped twice.

For all VRFs, older versions print one object after the other, each of prefixes, and newer ones an object of VRFs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from labctl.model.recorded import Recorded
from labctl.model.routes import Adjacency, Route
from labctl.schema import frr_answers

DEFAULT = "default"


def read_routes(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001  (the readers' signature)
    return _read_routes(4, text, known)


def read_routes6(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001
    return _read_routes(6, text, known)


def _read_routes(family: int, text: str, known: Recorded) -> Recorded:
    """An empty object is no empty table: a router has at least the routes of its addresses."""
    tables: dict[str, tuple[Route, ...]] = {}
    for vrf, prefixes in _tables(text):
        plain = {prefix.replace("\\", ""): each for prefix, each in prefixes.items()}
        tables[vrf] = (*tables.get(vrf, ()), *frr_answers.parse_routes(plain, vrf))
    routes = tables.pop(DEFAULT, ())
    if not routes and not tables and family == 4:
        return known
    return known.with_routes(family, routes, tables) if _documents(text) else known


def _tables(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(VRF, prefix -> routes) of each table."""
    for said in _documents(text):
        if said and all(isinstance(each, dict) for each in said.values()):
            yield from said.items()
            continue
        for vrf in sorted({_vrf(entry) for entries in said.values() for entry in entries}):
            yield vrf, said


def _vrf(entry: Mapping[str, Any]) -> str:
    return str(entry.get("vrfName", DEFAULT))


def read_ospf(device: str, text: str, known: Recorded) -> Recorded:
    """Older versions list the neighbours without `neighbors` around them."""
    said = _said(text)
    found = frr_answers.parse_ospf_neighbors(device, {"neighbors": said.get("neighbors", said)})
    plain = (replace(each, state=each.state.replace("\\", "")) for each in found)
    return replace(known, sessions={**known.sessions, "ospf": tuple(plain)})


def read_bgp(device: str, text: str, known: Recorded) -> Recorded:
    vrf = _said(text).get(DEFAULT, {})
    found = [
        Adjacency(
            kind="bgp",
            node=device,
            peer=peer,
            state=str(said.get("bgpState", "")),
            up=said.get("bgpState") == "Established",
        )
        for peer, said in vrf.items()
        if isinstance(said, dict) and "bgpState" in said
    ]
    return replace(known, sessions={**known.sessions, "bgp": tuple(found)})


def _said(text: str) -> Mapping[str, Any]:
    return next(iter(_documents(text)), {})


def _documents(text: str) -> list[dict[str, Any]]:
    """The JSON objects of an answer; none if it has anything else in it."""
    found, at, decoder = [], 0, json.JSONDecoder()
    text = text.strip()
    while at < len(text):
        try:
            said, end = decoder.raw_decode(text, at)
        except ValueError:
            return []
        if not isinstance(said, dict):
            return []
        found.append(said)
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return found
