"""Route-maps, prefix lists, access lists, community lists, AS-path lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Protocol, TypeVar

from labctl.ingest.commands import Commands, Unsupported
from labctl.ingest.draft import Draft, everything, host, length_of, masked, prefix
from labctl.model.account import LineClass
from labctl.model.policy import (
    AccessEntry,
    Action,
    Afi,
    AsPathEntry,
    CommunityEntry,
    CommunityKind,
    Match,
    MatchKind,
    OnMatch,
    PrefixEntry,
    RouteMapEntry,
    SetAction,
    SetKind,
)

ROUTE_MAP = Commands("route-map")

#: FRR's words -> the model's; used by the renderer's tests as well: the two tables must agree.
MATCHES: tuple[tuple[str, MatchKind], ...] = (
    (r"ip address prefix-list", MatchKind.PREFIX_LIST_V4),
    (r"ipv6 address prefix-list", MatchKind.PREFIX_LIST_V6),
    (r"ip address prefix-len", MatchKind.PREFIX_LENGTH_V4),
    (r"ipv6 address prefix-len", MatchKind.PREFIX_LENGTH_V6),
    (r"ip address", MatchKind.ACCESS_LIST_V4),
    (r"ipv6 address", MatchKind.ACCESS_LIST_V6),
    (r"ip next-hop prefix-list", MatchKind.NEXT_HOP_PREFIX_LIST),
    (r"ip next-hop address", MatchKind.NEXT_HOP_ADDRESS),
    (r"ip next-hop", MatchKind.NEXT_HOP_ACCESS_LIST),
    (r"ip route-source prefix-list", MatchKind.SOURCE_PREFIX_LIST),
    (r"ip route-source", MatchKind.SOURCE_ACCESS_LIST),
    (r"as-path", MatchKind.AS_PATH),
    (r"community", MatchKind.COMMUNITY),
    (r"large-community", MatchKind.LARGE_COMMUNITY),
    (r"extcommunity", MatchKind.EXT_COMMUNITY),
    (r"metric", MatchKind.METRIC),
    (r"local-preference", MatchKind.LOCAL_PREFERENCE),
    (r"origin", MatchKind.ORIGIN),
    (r"tag", MatchKind.TAG),
    (r"interface", MatchKind.INTERFACE),
    (r"peer", MatchKind.PEER),
    (r"source-protocol", MatchKind.SOURCE_PROTOCOL),
)
#: Words, what follows them, kind. `*`: any number of words; `1`: one; `0`: none.
SETS: tuple[tuple[str, str, SetKind], ...] = (
    (r"metric", r"[+-]?\d+", SetKind.METRIC),
    (r"metric-type", r"type-[12]", SetKind.METRIC_TYPE),
    (r"local-preference", r"[+-]?\d+", SetKind.LOCAL_PREFERENCE),
    (r"weight", r"\d+", SetKind.WEIGHT),
    (r"tag", r"\d+", SetKind.TAG),
    (r"origin", r"igp|egp|incomplete", SetKind.ORIGIN),
    (r"distance", r"\d+", SetKind.DISTANCE),
    (r"src", r"\S+", SetKind.SOURCE),
    (r"ip next-hop", r"\S+", SetKind.NEXT_HOP_V4),
    (r"ipv6 next-hop global", r"\S+", SetKind.NEXT_HOP_V6_GLOBAL),
    (r"ipv6 next-hop local", r"\S+", SetKind.NEXT_HOP_V6_LOCAL),
    (r"ipv6 next-hop peer-address", r"", SetKind.NEXT_HOP_V6_PEER),
    (r"ipv6 next-hop prefer-global", r"", SetKind.NEXT_HOP_V6_PREFER_GLOBAL),
    (r"as-path prepend last-as", r"\d+", SetKind.AS_PATH_PREPEND_LAST),
    (r"as-path prepend", r"\d+( \d+)*", SetKind.AS_PATH_PREPEND),
    (r"as-path exclude", r"\d+( \d+)*", SetKind.AS_PATH_EXCLUDE),
    (r"comm-list", r"\S+ delete", SetKind.COMMUNITY_DELETE),
    (r"extcommunity rt", r"\S+( \S+)*", SetKind.EXT_COMMUNITY_RT),
    (r"extcommunity soo", r"\S+", SetKind.EXT_COMMUNITY_SOO),
    (r"atomic-aggregate", r"", SetKind.ATOMIC_AGGREGATE),
    (r"originator-id", r"\S+", SetKind.ORIGINATOR_ID),
)


def open_route_map(draft: Draft, name: str, action: str, seq: int) -> Commands:
    entries = draft.route_maps.setdefault(name, {})
    known = entries.get(seq) or RouteMapEntry(seq=seq, action=Action(action), where=draft.where)
    entries[seq] = replace(known, action=Action(action))
    draft.entry = name, seq
    return ROUTE_MAP


def _entry(draft: Draft) -> RouteMapEntry:
    name, seq = draft.entry
    return draft.route_maps[name][seq]


def _put(draft: Draft, entry: RouteMapEntry) -> None:
    name, seq = draft.entry
    draft.route_maps[name][seq] = entry


@ROUTE_MAP.on(r"description (?P<text>.+)")
def _description(draft: Draft, match: re.Match[str]) -> None:
    _put(draft, replace(_entry(draft), description=match["text"]))


@ROUTE_MAP.on(r"call (?P<name>\S+)")
def _call(draft: Draft, match: re.Match[str]) -> None:
    _put(draft, replace(_entry(draft), call=match["name"]))


@ROUTE_MAP.on(r"(on-match goto|continue) (?P<seq>\d+)")
def _goto(draft: Draft, match: re.Match[str]) -> None:
    _put(draft, replace(_entry(draft), on_match=OnMatch.GOTO, goto=int(match["seq"])))


@ROUTE_MAP.on(r"on-match next|continue")
def _next(draft: Draft, _match: re.Match[str]) -> None:
    _put(draft, replace(_entry(draft), on_match=OnMatch.NEXT))


def _add_match(draft: Draft, condition: Match) -> None:
    """A second condition of one kind replaces the first, as in FRR. Conditions have no order: all must hold."""
    entry = _entry(draft)
    others = [m for m in entry.matches if m.kind is not condition.kind]
    _put(draft, replace(entry, matches=tuple(sorted((*others, condition), key=lambda m: m.kind))))


#: Actions of which an entry has one: the later replaces the earlier, as with two of one kind.
_SLOTS = {
    SetKind.COMMUNITY_ADD: SetKind.COMMUNITY,
    SetKind.LARGE_COMMUNITY_ADD: SetKind.LARGE_COMMUNITY,
    SetKind.AS_PATH_PREPEND_LAST: SetKind.AS_PATH_PREPEND,
}


def _add_set(draft: Draft, action: SetAction) -> None:
    entry = _entry(draft)
    others = [s for s in entry.sets if _SLOTS.get(s.kind, s.kind) is not _SLOTS.get(action.kind, action.kind)]
    _put(draft, replace(entry, sets=tuple(sorted((*others, action), key=lambda s: s.kind))))


def _condition(words: str, kind: MatchKind) -> None:
    @ROUTE_MAP.on(rf"match {words} (?P<value>\S+)(?P<exact> exact-match)?")
    def act(draft: Draft, match: re.Match[str]) -> None:
        _add_match(draft, Match(kind=kind, values=(match["value"],), exact=bool(match["exact"])))


def _action(words: str, follows: str, kind: SetKind) -> None:
    @ROUTE_MAP.on(rf"set {words} (?P<values>{follows})" if follows else rf"set {words}")
    def act(draft: Draft, match: re.Match[str]) -> None:
        values = match["values"].split() if follows else []
        if kind is SetKind.COMMUNITY_DELETE:
            values = values[:1]
        _add_set(draft, SetAction(kind=kind, values=tuple(values)))


for _words, _kind in MATCHES:
    _condition(_words, _kind)
for _words, _follows, _set in SETS:
    _action(_words, _follows, _set)


@ROUTE_MAP.on(r"set (?P<large>large-)?community (?P<values>.+)")
def _community(draft: Draft, match: re.Match[str]) -> None:
    values = match["values"].split()
    add = values[-1] == "additive"
    if add:
        kind = SetKind.LARGE_COMMUNITY_ADD if match["large"] else SetKind.COMMUNITY_ADD
        values.pop()
    else:
        kind = SetKind.LARGE_COMMUNITY if match["large"] else SetKind.COMMUNITY
    _add_set(draft, SetAction(kind=kind, values=() if values == ["none"] else tuple(values)))


def condition_lost(draft: Draft, _match: re.Match[str]) -> None:
    """Without one of its conditions an entry takes more than it should: that is not what its first line says."""
    draft.verdicts[_entry(draft).where] = (LineClass.APPROXIMATED, "condition-lost")


ROUTE_MAP.unsupported("route-map-clause", r"match .+", act=condition_lost)
ROUTE_MAP.unsupported("route-map-clause", r"(set|no (match|set)|on-match|continue) .+")


# --- lists: entries without a number get the next multiple of five ---


_END = r"any|host [\d.]+|[\d.]+ [\d.]+"


class _Numbered(Protocol):
    @property
    def seq(self) -> int: ...


E = TypeVar("E", bound=_Numbered)


def _seq(stated: str | None, entries: Sequence[_Numbered]) -> int:
    if stated:
        return int(stated)
    return max((entry.seq for entry in entries), default=0) // 5 * 5 + 5


def _insert(entries: list[E], entry: E) -> None:
    """In order of number; the same number again replaces."""
    entries[:] = sorted([*(e for e in entries if e.seq != entry.seq), entry], key=lambda e: e.seq)


def add_lists(top: Commands) -> None:
    """Put the list commands into the top context."""

    @top.on(
        r"(?P<afi>ip|ipv6) prefix-list (?P<name>\S+)( seq (?P<seq>\d+))? (?P<action>permit|deny) (?P<prefix>\S+)"
        r"( ge (?P<ge>\d+))?( le (?P<le>\d+))?( ge (?P<ge2>\d+))?"
    )
    def prefix_list(draft: Draft, match: re.Match[str]) -> None:
        afi = _afi(match["afi"])
        ge, le = match["ge"] or match["ge2"], match["le"]
        if any(int(bound) > length_of(afi) for bound in (ge, le) if bound):
            raise Unsupported("no-such-length")
        entries = draft.prefix_lists.setdefault((afi, match["name"]), [])
        is_any = match["prefix"] == "any"
        entry = PrefixEntry(
            seq=_seq(match["seq"], entries),
            action=Action(match["action"]),
            prefix=everything(afi) if is_any else prefix(draft, match["prefix"], afi),
            ge=int(ge) if ge else None,
            le=length_of(afi) if is_any else int(le) if le else None,
            where=draft.where,
        )
        _insert(entries, entry)

    @top.on(r"(?P<afi>ip|ipv6) prefix-list (?P<name>\S+) description (?P<text>.+)")
    def prefix_list_description(draft: Draft, match: re.Match[str]) -> None:
        draft.list_descriptions[_afi(match["afi"]), match["name"]] = match["text"]

    @top.on(
        r"((?P<afi>ipv6) )?access-list (?P<name>\S+)( seq (?P<seq>\d+))? (?P<action>permit|deny) "
        r"(host )?(?P<prefix>[\da-fA-F.:/]+|any)( (?P<wildcard>[\d.]+))?(?P<exact> exact-match)?"
    )
    def access_list(draft: Draft, match: re.Match[str]) -> None:
        afi = _afi(match["afi"] or "ip")
        found = _access_prefix(draft, afi, match)
        entries = draft.access_lists.setdefault((afi, match["name"]), [])
        entry = AccessEntry(
            seq=_seq(match["seq"], entries),
            action=Action(match["action"]),
            prefix=found,
            exact=bool(match["exact"]),
            by_address=bool(match["wildcard"]) or _numbered(match["name"]),
            where=draft.where,
        )
        _insert(entries, entry)

    @top.on(
        r"access-list (?P<name>\S+)( seq (?P<seq>\d+))? (?P<action>permit|deny) "
        rf"ip (?P<source>{_END}) (?P<target>{_END})"
    )
    def extended_list(draft: Draft, match: re.Match[str]) -> None:
        """Compares the route's address with the first part and its mask with the second."""
        (address, inverse), (mask, free) = _end(draft, match["source"]), _end(draft, match["target"])
        found = masked(draft, address, inverse)
        lengths = mask_lengths(int(IPv4Address(mask)), int(IPv4Address(free)))
        if found is None or lengths is None:
            raise Unsupported("mask-with-holes")
        entries = draft.access_lists.setdefault((Afi.IPV4, match["name"]), [])
        entry = AccessEntry(
            seq=_seq(match["seq"], entries),
            action=Action(match["action"]),
            prefix=found,
            by_address=True,
            lengths=lengths,
            where=draft.where,
        )
        _insert(entries, entry)

    @top.on(
        r"(bgp|ip) (?P<kind>community|large-community|extcommunity)-list ((?P<style>standard|expanded) )?(?P<name>\S+)"
        r"( seq (?P<seq>\d+))? (?P<action>permit|deny) (?P<values>.+)"
    )
    def community_list(draft: Draft, match: re.Match[str]) -> None:
        kind = _community_kind(match)
        entries = draft.community_lists.setdefault((kind, match["name"]), [])
        words = (match["values"],) if "expanded" in kind else tuple(match["values"].split())
        entry = CommunityEntry(
            seq=_seq(match["seq"], entries), action=Action(match["action"]), values=words, where=draft.where
        )
        _insert(entries, entry)

    @top.on(
        r"(bgp|ip) as-path access-list (?P<name>\S+)( seq (?P<seq>\d+))? (?P<action>permit|deny) (?P<regex>.+)"
    )
    def as_path_list(draft: Draft, match: re.Match[str]) -> None:
        entries = draft.as_path_lists.setdefault(match["name"], [])
        entry = AsPathEntry(
            seq=_seq(match["seq"], entries),
            action=Action(match["action"]),
            regex=match["regex"],
            where=draft.where,
        )
        _insert(entries, entry)

    @top.on(r"route-map (?P<name>\S+) (?P<action>permit|deny) (?P<place>\d+)")
    def route_map(draft: Draft, match: re.Match[str]) -> Commands:
        return open_route_map(draft, match["name"], match["action"], int(match["place"]))

    top.unsupported("list-form", r"(ip|ipv6|mac) (prefix|access)-list .+", r"(mac )?access-list .+")
    top.unsupported("list-form", r"(bgp|ip) \S*community-(list|alias) .+", r"(bgp|ip) as-path .+")


def _end(draft: Draft, text: str) -> tuple[str, str]:
    """Address and wildcard of one end of an extended list."""
    first, _, second = text.partition(" ")
    if first == "any":
        return "0.0.0.0", "255.255.255.255"
    if first == "host":
        return host(draft, second, Afi.IPV4), "0.0.0.0"
    return host(draft, first, Afi.IPV4), host(draft, second, Afi.IPV4)


def mask_lengths(mask: int, free: int) -> tuple[int, int] | None:
    """The prefix lengths whose masks agree with `mask` where `free` is 0; None if they are no range."""
    masks = {length: (1 << 32) - (1 << (32 - length)) for length in range(33)}
    fits = [length for length, each in masks.items() if (each ^ mask) & ~free & 0xFFFFFFFF == 0]
    if not fits or fits[-1] - fits[0] != len(fits) - 1:
        return None
    return fits[0], fits[-1]


def _access_prefix(draft: Draft, afi: Afi, match: re.Match[str]) -> str:
    text: str = match["prefix"]
    if text == "any":
        return everything(afi)
    if match["wildcard"]:
        found = masked(draft, text, match["wildcard"])
        if found is None:
            raise Unsupported("mask-with-holes")
        return found
    return prefix(draft, text if "/" in text else f"{text}/{length_of(afi)}", afi)


def _numbered(name: str) -> bool:
    """Lists called by these numbers are Cisco's standard ones, which look at the address alone."""
    return name.isdigit() and (1 <= int(name) <= 99 or 1300 <= int(name) <= 1999)


def _afi(word: str) -> Afi:
    return Afi.IPV6 if word == "ipv6" else Afi.IPV4


def _community_kind(match: re.Match[str]) -> CommunityKind:
    """Numbered lists below 100 are standard, the others expanded, unless said."""
    style = match["style"]
    if not style:
        name: str = match["name"]
        style = "expanded" if name.isdigit() and int(name) >= 100 else "standard"
    family = {"community": "", "large-community": "large-", "extcommunity": "ext-"}[match["kind"]]
    return CommunityKind(f"{family}{style}")
