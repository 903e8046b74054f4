"""Production's routes against the shadow's: which are equal, which are not, and why as far as can be told.

Equal means: same prefix, same protocol, same *set* of next hops (gateway and interface, in production's names). A
device that prints next hops without an interface prints them as the protocol gave them, so these are compared with the
shadow's before they are resolved.
Connected routes are compared like all others, because they prove the addresses. Left out, and counted: routes of the
management network (it is labctl's own in the shadow), host-local addresses and link-local prefixes, routes that
were not selected. A node that could not be asked is `unread`; its routes are neither equal nor different. A node that only
one side has is neither: it is listed by itself.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from labctl.model.routes import (
    Adjacency,
    NextHop,
    Route,
    RouteComparison,
    RouteDifference,
    RouteTables,
    SessionDifference,
)

Tables: TypeAlias = RouteTables
LINK_LOCAL: Final = "fe80:"


def renamed(routes: Iterable[Route], names: Mapping[str, str]) -> tuple[Route, ...]:
    """The same routes with interfaces called by production's names; what is not in `names` keeps its own."""
    return tuple(
        replace(
            r, next_hops=frozenset(NextHop(h.via, names.get(h.interface, h.interface)) for h in r.next_hops)
        )
        for r in routes
    )


def alone(own: Iterable[Route], fib: Collection[Route]) -> tuple[Route, ...]:
    """Addresses that are their own subnet, as those of loopbacks: a daemon calls them connected, the main table has none."""
    near = [r for r in fib if r.protocol == "connected"]

    def covered(address: Route) -> bool:
        prefix = ipaddress.ip_network(address.prefix)
        return any(
            address.next_hops == r.next_hops
            and (subnet := ipaddress.ip_network(r.prefix)).version == prefix.version
            and subnet.overlaps(prefix)
            for r in near
        )

    return tuple(replace(r, protocol="connected") for r in own if not covered(r))


def compare(production: Tables, shadow: Tables) -> RouteComparison:
    """Every prefix of every node that both sides know."""
    ignored: Counter[str] = Counter()
    compared = equal = nodes = 0
    differences: list[RouteDifference] = []
    unread: list[str] = []
    for node in sorted(production.routes.keys() & shadow.routes.keys()):
        real, copy = production.routes[node], shadow.routes[node]
        if real is None or copy is None:
            unread.append(node)
            continue
        nodes += 1
        families = production.families_of(node) & shadow.families_of(node)
        ours = _relevant(node, real, production, families, ignored)
        theirs = _relevant(node, copy, shadow, families, Counter())
        for prefix in sorted(ours.keys() | theirs.keys(), key=_numeric):
            compared += 1
            difference = _difference(node, prefix, ours.get(prefix), theirs.get(prefix))
            if difference is None:
                equal += 1
            else:
                differences.append(replace(difference, reason=reason(difference, theirs, shadow.adjacencies)))
    return RouteComparison(
        compared=compared,
        equal=equal,
        differences=tuple(differences),
        ignored=tuple(sorted(ignored.items())),
        unread=tuple(unread),
        nodes=nodes,
        only_production=tuple(sorted(production.routes.keys() - shadow.routes.keys())),
        only_shadow=tuple(sorted(shadow.routes.keys() - production.routes.keys())),
        unsupported=tuple(
            (node, vrf, count)
            for node in sorted(production.vrfs.keys() & shadow.routes.keys())
            for vrf, count in sorted(production.vrfs[node].items())
        ),
    )


def compare_own(production: Tables, shadow: Tables) -> tuple[int, tuple[RouteDifference, ...]]:
    """The addresses that production's nodes call their own: how many, and those that the shadow's kernel has not so.

    The shadow may have more: not every device lists those of its loopbacks.
    """
    count = 0
    differences: list[RouteDifference] = []
    for node in sorted(production.own.keys() & shadow.own.keys()):
        have = {route.prefix: route for route in shadow.own[node]}
        for real in production.own[node]:
            if _managed(node, real, production):
                continue
            count += 1
            copy = have.get(real.prefix)
            if copy is None or copy.next_hops != real.next_hops:
                differences.append(
                    RouteDifference(
                        node=node, prefix=real.prefix, kind="own-address", production=real, shadow=copy
                    )
                )
    return count, tuple(differences)


def compare_sessions(
    production: Tables, shadow: Tables, asked: Collection[tuple[str, str]]
) -> tuple[int, tuple[SessionDifference, ...], tuple[Adjacency, ...]]:
    """Sessions of the (node, kind) pairs that were asked for: how many, the differences, and what is stuck alike.

    States are compared by what they mean: BGP is established or not; OSPF's ExStart and Exchange are one, because a
    neighbour that is stuck there moves between the two. Which router is DR depends on who came first, and is no difference.
    """
    real, copy = (
        {(a.node, a.kind, a.peer, a.interface): a for a in t.adjacencies if (a.node, a.kind) in asked}
        for t in (production, shadow)
    )
    differences, alike = [], []
    keys = sorted(real.keys() | {key for key in copy if key[0] in production.routes})
    for key in keys:
        ours, theirs = real.get(key), copy.get(key)
        if ours and theirs and state_class(ours) == state_class(theirs):
            alike += [theirs] if not ours.up else []
            continue
        if ours is None and theirs is not None and not theirs.up:
            continue  # a neighbour that is configured and was never heard
        node, kind, peer, interface = key
        differences.append(
            SessionDifference(
                node=node,
                kind=kind,
                peer=peer,
                interface=interface,
                production=ours.state if ours else None,
                shadow=theirs.state if theirs else None,
            )
        )
    return len(keys), tuple(differences), tuple(alike)


def state_class(session: Adjacency) -> str:
    """What a state means, in the same word for every vendor."""
    if session.kind == "bgp":
        return "established" if session.up else "down"
    word = session.state.partition("/")[0].lower().replace("-", "")
    return {"exstart": "exchange", "loading": "exchange", "2ways": "2way", "twoway": "2way"}.get(word, word)


def same_ways(real: Route, copy: Route) -> bool:
    """The same set of next hops, as far as production says where they go.

    A link-local gateway is any one: its address follows from a MAC, and the shadow's MACs are its own.
    """
    if real.kind != copy.kind:
        return False
    if all(hop.interface for hop in real.next_hops):
        return {_way(hop) for hop in real.next_hops} == {_way(hop) for hop in copy.next_hops}
    said = copy.announced or copy.next_hops
    return {_way(hop).via for hop in real.next_hops} == {_way(hop).via for hop in said}


def _way(hop: NextHop) -> NextHop:
    return replace(hop, via=LINK_LOCAL) if hop.via.lower().startswith(LINK_LOCAL) else hop


def reason(of: RouteDifference, shadow: Mapping[str, Route], sessions: Collection[Adjacency]) -> str:
    """A likely reason, from what else is known of the shadow's node; empty when nothing points to one."""
    real, copy = of.production, of.shadow
    if copy is None:
        assert real is not None
        return _why_missing(of.node, real, shadow, sessions)
    if real is None:
        return f"production's {of.node} has no such route; the shadow learns it by {copy.protocol}"
    if real.protocol != copy.protocol:
        return f"production uses {_with_distance(real)}, the shadow {_with_distance(copy)}"
    lost = real.next_hops - copy.next_hops
    return _down_between(of.node, lost, sessions) or _why_other_path(real, copy)


def _why_other_path(real: Route, copy: Route) -> str:
    lost, new = real.next_hops - copy.next_hops, copy.next_hops - real.next_hops
    if real.metric is not None and copy.metric is not None and real.metric != copy.metric:
        return f"metric {real.metric} in production, {copy.metric} in the shadow: a cost on the way differs"
    if not new:
        return f"{len(lost)} of {len(real.next_hops)} equal paths missing in the shadow"
    if not lost:
        return f"{len(new)} equal paths more in the shadow"
    if {h.interface for h in lost} == {h.interface for h in new}:
        return "same interface, other gateway"
    return "another path at the same cost"


def _why_missing(node: str, real: Route, shadow: Mapping[str, Route], sessions: Collection[Adjacency]) -> str:
    if real.protocol == "connected":
        where = ", ".join(sorted(h.interface for h in real.next_hops))
        return f"{where} has no such address in the shadow, or no carrier"
    used = {h.interface for route in shadow.values() for h in route.next_hops}
    absent = sorted({h.interface for h in real.next_hops if h.interface} - used)
    if absent:
        return f"nothing goes through {', '.join(absent)} in the shadow: link missing or down"
    down = _down_between(node, real.next_hops, sessions)
    if down:
        return down
    kind = [a for a in sessions if a.node == node and a.kind == real.protocol and not a.up]
    return f"not up in the shadow: {kind[0]}" if kind else ""


def _down_between(node: str, hops: Collection[NextHop], sessions: Collection[Adjacency]) -> str:
    for session in sorted(sessions):
        if session.node == node and not session.up:
            for hop in hops:
                if hop.via == session.peer or (session.interface and hop.interface == session.interface):
                    return f"not up in the shadow: {session}"
    return ""


def _with_distance(route: Route) -> str:
    return route.protocol if route.distance is None else f"{route.protocol} (distance {route.distance})"


def _difference(node: str, prefix: str, real: Route | None, copy: Route | None) -> RouteDifference | None:
    if copy is None:
        kind = "missing"
    elif real is None:
        kind = "extra"
    elif real.protocol != copy.protocol:
        kind = "protocol"
    elif not same_ways(real, copy):
        kind = "next-hops"
    else:
        return None
    return RouteDifference(node=node, prefix=prefix, kind=kind, production=real, shadow=copy)


def _relevant(
    node: str, routes: Iterable[Route], tables: Tables, families: Collection[int], ignored: Counter[str]
) -> dict[str, Route]:
    networks = [ipaddress.ip_network(m) for m in tables.management]
    found: dict[str, Route] = {}
    for route in routes:
        why = _ignored(route, networks, families) or ("management" if _managed(node, route, tables) else "")
        if why:
            ignored[why] += 1
        else:
            found[route.prefix] = route
    return found


def _ignored(
    route: Route,
    management: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network],
    families: Collection[int],
) -> str:
    if not route.selected:
        return "not selected"
    prefix = ipaddress.ip_network(route.prefix)
    if prefix.is_link_local:
        return "link-local"
    if route.protocol == "local":
        return "own addresses"
    if prefix.version not in families:
        return f"IPv{prefix.version} of one side only"
    if any(prefix.version == m.version and prefix.subnet_of(m) for m in management):  # type: ignore[arg-type]
        return "management"
    return ""


def _managed(node: str, route: Route, tables: Tables) -> bool:
    through = {h.interface for h in route.next_hops}
    return bool(through) and all(
        i in tables.management_interfaces or f"{node}:{i}" in tables.management_ports for i in through
    )


def _numeric(prefix: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(prefix)
    return network.version, int(network.network_address), network.prefixlen
