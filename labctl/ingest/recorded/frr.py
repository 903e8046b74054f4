"""What FRR on Cumulus Linux prints in JSON. Its answers may have their slashes escaped twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labctl.model.recorded import Recorded
from labctl.model.routes import Adjacency
from labctl.schema import frr_answers


def read_routes(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001  (the readers' signature)
    said = _said(text)
    routes = frr_answers.parse_routes({prefix.replace("\\", ""): each for prefix, each in said.items()})
    return replace(known, routes=routes) if said else known


def read_ospf(device: str, text: str, known: Recorded) -> Recorded:
    """Older versions list the neighbours without `neighbors` around them."""
    said = _said(text)
    found = frr_answers.parse_ospf_neighbors(device, {"neighbors": said.get("neighbors", said)})
    plain = (replace(each, state=each.state.replace("\\", "")) for each in found)
    return replace(known, sessions={**known.sessions, "ospf": tuple(plain)})


def read_bgp(device: str, text: str, known: Recorded) -> Recorded:
    vrf = _said(text).get("default", {})
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
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
