"""What FRR's daemons answer in JSON, as values of `model.routes`: of a running lab, or recorded in production."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labctl.model.routes import Adjacency, NextHop, Route

#: A neighbour's lists that are empty when the two databases agree.
_OSPF_LISTS = (
    "linkStateRetransmissionListCounter",
    "linkStateRequestListCounter",
    "databaseSummaryListCounter",
)


def parse_ospf_neighbors(node: str, said: Mapping[str, Any]) -> tuple[Adjacency, ...]:
    """`show ip ospf neighbor json`: router id -> list of neighbours."""
    found = []
    for router_id, entries in said.get("neighbors", {}).items():
        for entry in entries:
            state = str(entry.get("nbrState") or entry.get("state") or "")
            found.append(
                Adjacency(
                    kind="ospf",
                    node=node,
                    peer=router_id,
                    interface=str(entry.get("ifaceName", "")).partition(":")[0],
                    state=state,
                    up=state.startswith(("Full", "2-Way")),
                    pending=sum(int(entry.get(list_, 0)) for list_ in _OSPF_LISTS),
                )
            )
    return tuple(sorted(found))


def parse_bgp_summary(node: str, said: Mapping[str, Any]) -> tuple[Adjacency, ...]:
    """`show bgp summary json`: address family -> peers; a peer of two families is one session."""
    found: dict[str, Adjacency] = {}
    for family in said.values():
        for peer, entry in (family.get("peers", {}) if isinstance(family, dict) else {}).items():
            state = str(entry.get("state", ""))
            found[peer] = Adjacency(kind="bgp", node=node, peer=peer, state=state, up=state == "Established")
    return tuple(sorted(found.values()))


def parse_routes(said: Mapping[str, Any], vrf: str = "default") -> tuple[Route, ...]:
    """`show ip route json`: prefix -> list of routes. A next hop counts when zebra has it in the kernel."""
    found = []
    for prefix, entries in said.items():
        for entry in entries:
            if entry.get("vrfName", "default") != vrf:
                continue
            hops = entry.get("nexthops", [])
            kinds = {str(h.get("blackholeType") or "blackhole") for h in hops if h.get("blackhole")}
            found.append(
                Route(
                    prefix=str(prefix),
                    protocol=str(entry.get("protocol", "")),
                    next_hops=frozenset(_next_hop(h) for h in _resolved(hops)),
                    announced=_announced(hops),
                    distance=entry.get("distance"),
                    metric=entry.get("metric"),
                    selected=bool(entry.get("selected")),
                    installed=bool(entry.get("installed")),
                    kind=min(kinds, default=""),
                )
            )
    return tuple(found)


def _resolved(hops: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """The hops that are really used: a recursive one is followed by those it resolves to."""
    active = [h for h in hops if h.get("active") and not h.get("recursive") and not h.get("blackhole")]
    in_fib = [h for h in active if h.get("fib")]
    return [h for h in (in_fib or active) if not h.get("duplicate")]


def _next_hop(hop: Mapping[str, Any]) -> NextHop:
    return NextHop(str(hop.get("ip", "")), str(hop.get("interfaceName", "")))


def _announced(hops: Sequence[Mapping[str, Any]]) -> frozenset[NextHop]:
    """The hops as the protocol gave them; empty where none of them had to be resolved."""
    if not any(h.get("recursive") for h in hops):
        return frozenset()
    return frozenset(_next_hop(h) for h in hops if h.get("active") and not h.get("resolver"))
