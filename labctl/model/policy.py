"""Routing policy, in no vendor's words: route-maps and the lists that they match on.

A route-map is an ordered list of entries; the first entry whose conditions all hold decides, unless it says to go on
(`Continue`). A condition is a kind from a closed set and the values of which one must hold; an action is a kind and its
arguments in order. What happens where a policy is named and nowhere defined differs between vendors and is part of the
configuration (`UndefinedPolicies`): FRR and IOS deny, EOS permits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from labctl.errors import Span

NOWHERE = Span("")


class Action(StrEnum):
    PERMIT = "permit"
    DENY = "deny"


class Afi(StrEnum):
    """An address family; its value is also FRR's word for it."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


class MatchKind(StrEnum):
    """What a condition looks at. `values`: names of lists, numbers, or words; one of them must hold."""

    PREFIX_LIST_V4 = "prefix-list-v4"
    PREFIX_LIST_V6 = "prefix-list-v6"
    ACCESS_LIST_V4 = "access-list-v4"
    ACCESS_LIST_V6 = "access-list-v6"
    NEXT_HOP_PREFIX_LIST = "next-hop-prefix-list"
    NEXT_HOP_ACCESS_LIST = "next-hop-access-list"
    NEXT_HOP_ADDRESS = "next-hop-address"
    SOURCE_PREFIX_LIST = "source-prefix-list"  # address of the router that advertised the route
    SOURCE_ACCESS_LIST = "source-access-list"
    PREFIX_LENGTH_V4 = "prefix-length-v4"
    PREFIX_LENGTH_V6 = "prefix-length-v6"
    AS_PATH = "as-path"
    COMMUNITY = "community"
    LARGE_COMMUNITY = "large-community"
    EXT_COMMUNITY = "ext-community"
    METRIC = "metric"
    LOCAL_PREFERENCE = "local-preference"
    ORIGIN = "origin"
    TAG = "tag"
    INTERFACE = "interface"
    PEER = "peer"
    SOURCE_PROTOCOL = "source-protocol"


class SetKind(StrEnum):
    """What an action changes. `values`: its arguments in order."""

    METRIC = "metric"  # n, +n, -n
    METRIC_TYPE = "metric-type"  # type-1, type-2
    LOCAL_PREFERENCE = "local-preference"  # n, +n, -n
    WEIGHT = "weight"
    TAG = "tag"
    ORIGIN = "origin"  # igp, egp, incomplete
    DISTANCE = "distance"
    SOURCE = "source"  # preferred source address of the installed route
    NEXT_HOP_V4 = "next-hop-v4"  # address, peer-address, unchanged
    NEXT_HOP_V6_GLOBAL = "next-hop-v6-global"
    NEXT_HOP_V6_LOCAL = "next-hop-v6-local"
    NEXT_HOP_V6_PEER = "next-hop-v6-peer"
    NEXT_HOP_V6_PREFER_GLOBAL = "next-hop-v6-prefer-global"
    AS_PATH_PREPEND = "as-path-prepend"  # AS numbers
    AS_PATH_PREPEND_LAST = "as-path-prepend-last"  # how often
    AS_PATH_EXCLUDE = "as-path-exclude"
    COMMUNITY = "community"  # replaces; no value: removes all
    COMMUNITY_ADD = "community-add"
    COMMUNITY_DELETE = "community-delete"  # name of a community list
    LARGE_COMMUNITY = "large-community"
    LARGE_COMMUNITY_ADD = "large-community-add"
    EXT_COMMUNITY_RT = "ext-community-rt"
    EXT_COMMUNITY_SOO = "ext-community-soo"
    ATOMIC_AGGREGATE = "atomic-aggregate"
    ORIGINATOR_ID = "originator-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A condition. exact: a community list must be matched by all of the route's communities."""

    kind: MatchKind
    values: tuple[str, ...]
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAction:
    kind: SetKind
    values: tuple[str, ...] = ()


class OnMatch(StrEnum):
    STOP = "stop"
    NEXT = "next"
    GOTO = "goto"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMapEntry:
    """goto: sequence number to go on at, for `OnMatch.GOTO`; call: another route-map that must permit as well."""

    seq: int
    action: Action
    description: str = ""
    matches: tuple[Match, ...] = ()
    sets: tuple[SetAction, ...] = ()
    on_match: OnMatch = OnMatch.STOP
    goto: int | None = None
    call: str = ""
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMap:
    """Entries are in order of their numbers. A route that no entry matches is denied."""

    name: str
    entries: tuple[RouteMapEntry, ...]
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixEntry:
    """Matches routes inside `prefix` whose length is `ge`..`le`; both None: exactly this length."""

    seq: int
    action: Action
    prefix: str
    ge: int | None = None
    le: int | None = None
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixList:
    name: str
    afi: Afi
    entries: tuple[PrefixEntry, ...]
    description: str = ""
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEntry:
    """Matches routes inside `prefix`; exact: of its very length only.

    by_address: only the route's address counts, not its length (numbered lists: 10.0.0.0/8 passes `10.0.0.0/24`);
    with `lengths` (both included) its length must lie there too: extended lists match address and mask.
    """

    seq: int
    action: Action
    prefix: str
    exact: bool = False
    by_address: bool = False
    lengths: tuple[int, int] | None = None
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessList:
    """An access list as routing policy uses it (packet filters are another thing)."""

    name: str
    afi: Afi
    entries: tuple[AccessEntry, ...]
    description: str = ""
    where: Span = field(default=NOWHERE, compare=False)


class CommunityKind(StrEnum):
    """standard lists hold communities, all of which must be there; expanded ones hold a regular expression."""

    STANDARD = "standard"
    EXPANDED = "expanded"
    LARGE_STANDARD = "large-standard"
    LARGE_EXPANDED = "large-expanded"
    EXT_STANDARD = "ext-standard"
    EXT_EXPANDED = "ext-expanded"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityEntry:
    seq: int
    action: Action
    values: tuple[str, ...]
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityList:
    name: str
    kind: CommunityKind
    entries: tuple[CommunityEntry, ...]
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsPathEntry:
    seq: int
    action: Action
    regex: str
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsPathList:
    name: str
    entries: tuple[AsPathEntry, ...]
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndefinedPolicies:
    """What happens where a policy is named and nowhere defined. The renderer writes it out for its own vendor.

    The first four: the policy stands at a peer or a redistribution. `match`: a route-map condition names an undefined
    list; permit means that the condition holds.
    """

    route_map: Action
    prefix_list: Action
    access_list: Action
    as_path_list: Action
    match: Action
