"""Routing policy in FRR's words. The tables here are the inverse of the parser's; a property test holds them together."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from labctl.model.config import DeviceConfig
from labctl.model.policy import (
    AccessEntry,
    AccessList,
    Action,
    Afi,
    CommunityKind,
    CommunityList,
    MatchKind,
    OnMatch,
    PrefixEntry,
    PrefixList,
    RouteMap,
    RouteMapEntry,
    SetAction,
    SetKind,
)
from labctl.render.words import one_line

MATCH_WORDS: dict[MatchKind, str] = {
    MatchKind.PREFIX_LIST_V4: "ip address prefix-list",
    MatchKind.PREFIX_LIST_V6: "ipv6 address prefix-list",
    MatchKind.ACCESS_LIST_V4: "ip address",
    MatchKind.ACCESS_LIST_V6: "ipv6 address",
    MatchKind.NEXT_HOP_PREFIX_LIST: "ip next-hop prefix-list",
    MatchKind.NEXT_HOP_ACCESS_LIST: "ip next-hop",
    MatchKind.NEXT_HOP_ADDRESS: "ip next-hop address",
    MatchKind.SOURCE_PREFIX_LIST: "ip route-source prefix-list",
    MatchKind.SOURCE_ACCESS_LIST: "ip route-source",
    MatchKind.PREFIX_LENGTH_V4: "ip address prefix-len",
    MatchKind.PREFIX_LENGTH_V6: "ipv6 address prefix-len",
    MatchKind.AS_PATH: "as-path",
    MatchKind.COMMUNITY: "community",
    MatchKind.LARGE_COMMUNITY: "large-community",
    MatchKind.EXT_COMMUNITY: "extcommunity",
    MatchKind.METRIC: "metric",
    MatchKind.LOCAL_PREFERENCE: "local-preference",
    MatchKind.ORIGIN: "origin",
    MatchKind.TAG: "tag",
    MatchKind.INTERFACE: "interface",
    MatchKind.PEER: "peer",
    MatchKind.SOURCE_PROTOCOL: "source-protocol",
}
SET_WORDS: dict[SetKind, str] = {
    SetKind.METRIC: "metric",
    SetKind.METRIC_TYPE: "metric-type",
    SetKind.LOCAL_PREFERENCE: "local-preference",
    SetKind.WEIGHT: "weight",
    SetKind.TAG: "tag",
    SetKind.ORIGIN: "origin",
    SetKind.DISTANCE: "distance",
    SetKind.SOURCE: "src",
    SetKind.NEXT_HOP_V4: "ip next-hop",
    SetKind.NEXT_HOP_V6_GLOBAL: "ipv6 next-hop global",
    SetKind.NEXT_HOP_V6_LOCAL: "ipv6 next-hop local",
    SetKind.NEXT_HOP_V6_PEER: "ipv6 next-hop peer-address",
    SetKind.NEXT_HOP_V6_PREFER_GLOBAL: "ipv6 next-hop prefer-global",
    SetKind.AS_PATH_PREPEND: "as-path prepend",
    SetKind.AS_PATH_PREPEND_LAST: "as-path prepend last-as",
    SetKind.AS_PATH_EXCLUDE: "as-path exclude",
    SetKind.COMMUNITY: "community",
    SetKind.COMMUNITY_ADD: "community",
    SetKind.COMMUNITY_DELETE: "comm-list",
    SetKind.LARGE_COMMUNITY: "large-community",
    SetKind.LARGE_COMMUNITY_ADD: "large-community",
    SetKind.EXT_COMMUNITY_RT: "extcommunity rt",
    SetKind.EXT_COMMUNITY_SOO: "extcommunity soo",
    SetKind.ATOMIC_AGGREGATE: "atomic-aggregate",
    SetKind.ORIGINATOR_ID: "originator-id",
}
_COMMUNITY_WORDS: dict[CommunityKind, str] = {
    CommunityKind.STANDARD: "community-list standard",
    CommunityKind.EXPANDED: "community-list expanded",
    CommunityKind.LARGE_STANDARD: "large-community-list standard",
    CommunityKind.LARGE_EXPANDED: "large-community-list expanded",
    CommunityKind.EXT_STANDARD: "extcommunity-list standard",
    CommunityKind.EXT_EXPANDED: "extcommunity-list expanded",
}


def policies(config: DeviceConfig) -> Iterator[str]:
    for access in config.access_lists:
        yield from _access_list(access)
    for prefixes in config.prefix_lists:
        yield from _prefix_list(prefixes)
    for paths in config.as_path_lists:
        for path in paths.entries:
            yield f"bgp as-path access-list {paths.name} seq {path.seq} {path.action} {path.regex}"
    for communities in config.community_lists:
        yield from _community_list(communities)
    for route_map in config.route_maps:
        yield from _route_map(route_map)
    for fib in config.fib_policies:
        yield f"{ip(fib.afi)} protocol {fib.protocol} route-map {fib.route_map}"


def ip(afi: Afi) -> str:
    """FRR's first word of a command in this family."""
    return "ipv6" if afi is Afi.IPV6 else "ip"


def _prefix_list(found: PrefixList) -> Iterator[str]:
    head = f"{ip(found.afi)} prefix-list {found.name}"
    if found.description:
        yield f"{head} description {one_line(found.description)}"
    for entry in found.entries:
        yield f"{head} seq {entry.seq} {entry.action} {entry.prefix}{_bounds(entry)}"


def _bounds(entry: PrefixEntry) -> str:
    ge = f" ge {entry.ge}" if entry.ge is not None else ""
    le = f" le {entry.le}" if entry.le is not None else ""
    return ge + le


def _access_list(found: AccessList) -> Iterator[str]:
    head = f"{'ipv6 ' if found.afi is Afi.IPV6 else ''}access-list {found.name}"
    for entry in found.entries:
        yield f"{head} seq {entry.seq} {entry.action} {_access(entry)}"


def _access(entry: AccessEntry) -> str:
    if entry.by_address:
        network = IPv4Network(entry.prefix)
        address = f"{network.network_address} {network.hostmask}"
        return f"ip {address} {_masks(*entry.lengths)}" if entry.lengths else address
    return f"{entry.prefix}{' exact-match' if entry.exact else ''}"


def _masks(shortest: int, longest: int) -> str:
    """A mask and its wildcard that fit the masks of these lengths and no others."""
    low, high = IPv4Network((0, shortest)).netmask, IPv4Network((0, longest)).netmask
    return f"{low} {IPv4Address(int(high) ^ int(low))}"


def _community_list(found: CommunityList) -> Iterator[str]:
    for entry in found.entries:
        head = f"bgp {_COMMUNITY_WORDS[found.kind]} {found.name} seq {entry.seq} {entry.action}"
        yield f"{head} {' '.join(entry.values)}"


def _route_map(found: RouteMap) -> Iterator[str]:
    for entry in found.entries:
        yield f"route-map {found.name} {entry.action} {entry.seq}"
        yield from (f" {line}" for line in _clauses(entry))
        yield "exit"


def _clauses(entry: RouteMapEntry) -> Iterator[str]:
    if entry.description:
        yield f"description {one_line(entry.description)}"
    for match in entry.matches:
        exact = " exact-match" if match.exact else ""
        yield f"match {MATCH_WORDS[match.kind]} {' '.join(match.values)}{exact}"
    for action in entry.sets:
        yield f"set {_set(action)}"
    if entry.call:
        yield f"call {entry.call}"
    if entry.action is Action.DENY:
        return  # FRR takes no `on-match` there, and drops all that was entered with it (see frr_limits)
    if entry.on_match is OnMatch.NEXT:
        yield "on-match next"
    elif entry.on_match is OnMatch.GOTO:
        yield f"on-match goto {entry.goto}"


def _set(action: SetAction) -> str:
    words = " ".join((SET_WORDS[action.kind], *action.values))
    match action.kind:
        case SetKind.COMMUNITY | SetKind.LARGE_COMMUNITY if not action.values:
            return f"{words} none"
        case SetKind.COMMUNITY_ADD | SetKind.LARGE_COMMUNITY_ADD:
            return f"{words} additive"
        case SetKind.COMMUNITY_DELETE:
            return f"{words} delete"
        case _:
            return words
