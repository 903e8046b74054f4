"""Route-maps and lists as IOS has them, and access lists, which filter packets and routes alike.

An access list is read once, as a filter of packets (`FilterEntry`). Where a list is used on routes, `build` reads its
entries again as IOS does there: a standard list looks at the route's address, an extended one compares its "source"
with the address and its "destination" with the mask.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace

from labctl.ingest.commands import Approximated, Commands, Unsupported
from labctl.ingest.draft import Draft, host
from labctl.ingest.frr import policy as frr
from labctl.model.filters import FilterEntry, Wildcard
from labctl.model.policy import Action, Afi, Match, MatchKind, RouteMapEntry

ROUTE_MAP = Commands("route-map", base=frr.ROUTE_MAP)
EXTENDED = Commands("access-list")
STANDARD = Commands("access-list-standard")

#: Conditions that take several values, one of which must hold; a second line of the kind adds to the first.
_SEVERAL = (
    (r"ip address prefix-list", MatchKind.PREFIX_LIST_V4),
    (r"ipv6 address prefix-list", MatchKind.PREFIX_LIST_V6),
    (r"ip next-hop prefix-list", MatchKind.NEXT_HOP_PREFIX_LIST),
    (r"ip route-source prefix-list", MatchKind.SOURCE_PREFIX_LIST),
    (r"ip address", MatchKind.ACCESS_LIST_V4),
    (r"ip next-hop", MatchKind.NEXT_HOP_ACCESS_LIST),
    (r"ip route-source", MatchKind.SOURCE_ACCESS_LIST),
    (r"as-path", MatchKind.AS_PATH),
    (r"tag(?! list)", MatchKind.TAG),
    (r"interface", MatchKind.INTERFACE),
)


def open_route_map(draft: Draft, name: str, action: str, seq: int) -> Commands:
    frr.open_route_map(draft, name, action, seq)
    return ROUTE_MAP


def _entry(draft: Draft) -> RouteMapEntry:
    name, seq = draft.entry
    return draft.route_maps[name][seq]


def _add(draft: Draft, kind: MatchKind, values: tuple[str, ...], *, exact: bool = False) -> None:
    entry = _entry(draft)
    known = next((m.values for m in entry.matches if m.kind is kind), ())
    condition = Match(kind=kind, values=tuple(dict.fromkeys((*known, *values))), exact=exact)
    matches = [*(m for m in entry.matches if m.kind is not kind), condition]
    name, seq = draft.entry
    draft.route_maps[name][seq] = replace(entry, matches=tuple(sorted(matches, key=lambda m: m.kind)))


def _several(words: str, kind: MatchKind) -> None:
    @ROUTE_MAP.on(rf"match {words}(?P<values>( (?!prefix-list )[\w.:/+-]\S*)+)")
    def act(draft: Draft, match: re.Match[str]) -> None:
        _add(draft, kind, tuple(match["values"].split()))


for _words, _kind in _SEVERAL:
    _several(_words, _kind)


@ROUTE_MAP.on(r"match community(?P<values>( (?!exact-match)\S+)+)(?P<exact> exact-match)?")
def _community(draft: Draft, match: re.Match[str]) -> None:
    _add(draft, MatchKind.COMMUNITY, tuple(match["values"].split()), exact=bool(match["exact"]))


@ROUTE_MAP.on(r"(match tag list .+|set extcommunity rt .+ additive|set ip next-hop self)")
def _not_held(draft: Draft, match: re.Match[str]) -> None:
    """Words that would be taken for values."""
    if match[0].startswith("match"):
        frr.condition_lost(draft, match)
    raise Unsupported("route-map-clause")


@ROUTE_MAP.on(r"set community(?P<values>( \S+)*? gshut( \S+)*)")
def _graceful_shutdown(draft: Draft, match: re.Match[str]) -> None:
    found = frr.ROUTE_MAP.find(f"set community{match['values'].replace(' gshut', ' graceful-shutdown')}")
    assert found is not None
    found[0].act(draft, found[1])


ROUTE_MAP.unsupported(
    "route-map-clause",
    r"match (route-type|length|policy-list|local-preference|mpls-label|nlri|rpki|source-protocol|ip route-source redistribution-source) ?.*",
    r"set (interface|default|ip|ipv6|vrf|global|automatic-tag|dampening|level|traffic-index|mpls-label|nlri|extcommunity|aigp-metric|as-path|metric|local-preference|weight) ?.*",
)


# --- access lists ---

_END = r"any|host \S+|object-group \S+|[\d.]+ [\d.]+"
_NAMED_PORTS = {
    "bgp": 179,
    "biff": 512,
    "bootpc": 68,
    "bootps": 67,
    "chargen": 19,
    "cmd": 514,
    "daytime": 13,
    "discard": 9,
    "domain": 53,
    "echo": 7,
    "exec": 512,
    "finger": 79,
    "ftp": 21,
    "ftp-data": 20,
    "gopher": 70,
    "hostname": 101,
    "ident": 113,
    "irc": 194,
    "isakmp": 500,
    "klogin": 543,
    "kshell": 544,
    "login": 513,
    "lpd": 515,
    "mobile-ip": 434,
    "nameserver": 42,
    "netbios-dgm": 138,
    "netbios-ns": 137,
    "netbios-ss": 139,
    "nntp": 119,
    "non500-isakmp": 4500,
    "ntp": 123,
    "pim-auto-rp": 496,
    "pop2": 109,
    "pop3": 110,
    "rip": 520,
    "smtp": 25,
    "snmp": 161,
    "snmptrap": 162,
    "ssh": 22,
    "sunrpc": 111,
    "syslog": 514,
    "tacacs": 49,
    "talk": 517,
    "telnet": 23,
    "tftp": 69,
    "time": 37,
    "uucp": 540,
    "who": 513,
    "whois": 43,
    "www": 80,
    "xdmcp": 177,
}
_PORT = rf"(?:\d+|{'|'.join(sorted(_NAMED_PORTS, key=len, reverse=True))})(?= |$)"
_PORTS = rf"eq( {_PORT})+|neq [\w-]+|gt [\w-]+|lt [\w-]+|range [\w-]+ [\w-]+"
ENTRY = (
    r"(?P<action>permit|deny) (?P<protocol>\w+) "
    rf"(?P<source>{_END})( (?P<sport>{_PORTS}))? (?P<target>{_END})( (?P<dport>{_PORTS}))?(?P<flags>( [\w-]+)*)"
)
STANDARD_ENTRY = r"(?P<action>permit|deny) (?P<source>any|host [\d.]+|[\d.]+( [\d.]+)?)( log)?"

_PROTOCOLS = {"ip", "tcp", "udp", "icmp", "esp", "ahp", "gre", "ospf", "eigrp", "pim", "igmp"}
#: ICMP types by IOS's name.
_ICMP = {
    "echo": 8,
    "echo-reply": 0,
    "information-reply": 16,
    "information-request": 15,
    "mask-reply": 18,
    "mask-request": 17,
    "parameter-problem": 12,
    "redirect": 5,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "source-quench": 4,
    "time-exceeded": 11,
    "timestamp-reply": 14,
    "timestamp-request": 13,
    "traceroute": 30,
    "unreachable": 3,
}
#: Names of one code of a type: the whole type stands for it.
_ICMP_CODES = {
    "administratively-prohibited": 3,
    "host-unreachable": 3,
    "net-unreachable": 3,
    "packet-too-big": 3,
    "port-unreachable": 3,
    "protocol-unreachable": 3,
    "ttl-exceeded": 11,
    "reassembly-timeout": 11,
}


@contextlib.contextmanager
def _torn_without(draft: Draft, name: str) -> Iterator[None]:
    """A list that one of its entries cannot be taken into lets through, or stops, what it should not."""
    try:
        yield
    except Unsupported:
        draft.torn_filters.add(name)
        raise


def _left_out(draft: Draft, match: re.Match[str]) -> None:
    name = draft.entry[0] if "number" not in match.groupdict() else match["number"]
    with _torn_without(draft, name):
        raise Unsupported("filter-entry")


def add_entry(draft: Draft, name: str, match: re.Match[str], seq: str | None) -> None:
    """Read an extended entry into the list of that name."""
    with _torn_without(draft, name):
        _add_entry(draft, name, match, seq)


def _add_entry(draft: Draft, name: str, match: re.Match[str], seq: str | None) -> None:
    protocol, flags = match["protocol"], match["flags"].split()
    if protocol not in _PROTOCOLS and not protocol.isdigit():
        raise Unsupported("filter-protocol")
    icmp, whole, flags = _icmp(flags) if protocol == "icmp" else (None, True, flags)
    if not set(flags) <= {"log", "log-input", "established"}:
        raise Unsupported("filter-option")
    _append(
        draft,
        name,
        seq,
        FilterEntry(
            seq=0,
            action=Action(match["action"]),
            protocol=protocol,
            source=_end(draft, match["source"]),
            target=_end(draft, match["target"]),
            source_ports=_ports(match["sport"]),
            target_ports=_ports(match["dport"]),
            established="established" in flags,
            icmp_type=icmp,
            where=draft.where,
        ),
    )
    if not whole:
        raise Approximated("icmp-code")


def _icmp(flags: list[str]) -> tuple[int | None, bool, list[str]]:
    """The type that an entry names, whether it means all codes of it, and what is left of its words."""
    match flags:
        case [name, *rest] if name in _ICMP:
            return _ICMP[name], True, rest
        case [name, *rest] if name in _ICMP_CODES:
            return _ICMP_CODES[name], False, rest
        case [number, code, *rest] if number.isdecimal() and code.isdecimal() and int(number) < 256:
            return int(number), number in ("0", "8"), rest  # these two have the code 0 alone
        case [number, *rest] if number.isdecimal() and int(number) < 256:
            return int(number), True, rest
    return None, True, flags


def add_standard(draft: Draft, name: str, match: re.Match[str], seq: str | None) -> None:
    with _torn_without(draft, name):
        source = _end(draft, match["source"])
    entry = FilterEntry(
        seq=0,
        action=Action(match["action"]),
        source=source,
        standard=True,
        where=draft.where,
    )
    _append(draft, name, seq, entry)


def _append(draft: Draft, name: str, seq: str | None, entry: FilterEntry) -> None:
    entries = draft.filters.setdefault(name, [])
    number = int(seq) if seq else max((e.seq for e in entries), default=0) + 10
    entries[:] = sorted(
        [*(e for e in entries if e.seq != number), replace(entry, seq=number)], key=lambda e: e.seq
    )


def _end(draft: Draft, text: str) -> Wildcard:
    words = text.split()
    if words[0] == "any":
        return Wildcard()
    if words[0] == "object-group":
        raise Unsupported("object-group")
    if words[0] == "host":
        return Wildcard(address=host(draft, words[1], Afi.IPV4), wildcard="0.0.0.0")
    wildcard = host(draft, words[1], Afi.IPV4) if len(words) > 1 else "0.0.0.0"
    return Wildcard(address=host(draft, words[0], Afi.IPV4), wildcard=wildcard)


def _ports(text: str | None) -> tuple[tuple[int, int], ...]:
    """Ranges of ports, both ends included; none: any port."""
    if not text:
        return ()
    how, *words = text.split()
    numbers = [_port(word) for word in words]
    match how:
        case "eq":
            return tuple((n, n) for n in numbers)
        case "neq":
            ranges = ((0, numbers[0] - 1), (numbers[0] + 1, 65535))
        case "gt":
            ranges = ((numbers[0] + 1, 65535), (1, 0))
        case "lt":
            ranges = ((0, numbers[0] - 1), (1, 0))
        case _:
            ranges = ((numbers[0], numbers[-1]), (1, 0))
    return tuple((low, high) for low, high in ranges if low <= high)


def _port(word: str) -> int:
    if word.isdigit() and int(word) < 65536:
        return int(word)
    if word not in _NAMED_PORTS:
        raise Unsupported("filter-port")
    return _NAMED_PORTS[word]


def open_list(draft: Draft, name: str, commands: Commands) -> Commands:
    """Enter an access list that has a context of its own."""
    draft.entry = name, 0
    draft.filters.setdefault(name, [])
    return commands


@EXTENDED.on(rf"((?P<seq>\d+) )?{ENTRY}")
def _extended(draft: Draft, match: re.Match[str]) -> None:
    add_entry(draft, draft.entry[0], match, match["seq"])


@STANDARD.on(rf"((?P<seq>\d+) )?{STANDARD_ENTRY}")
def _standard(draft: Draft, match: re.Match[str]) -> None:
    add_standard(draft, draft.entry[0], match, match["seq"])


for _context in (EXTENDED, STANDARD):
    _context.irrelevant("remark", r"(\d+ )?remark( .*)?")
    _context.unsupported("filter-entry", r"(\d+ )?(permit|deny|evaluate|dynamic) .+", act=_left_out)


def add_lists(top: Commands) -> None:
    """Put access lists and route-maps into the top context, before FRR's other lists."""

    @top.on(r"ip access-list extended (?P<name>\S+)")
    def extended(draft: Draft, match: re.Match[str]) -> Commands:
        return open_list(draft, match["name"], EXTENDED)

    @top.on(r"ip access-list standard (?P<name>\S+)")
    def standard(draft: Draft, match: re.Match[str]) -> Commands:
        return open_list(draft, match["name"], STANDARD)

    @top.on(rf"access-list (?P<name>1\d\d|2[0-6]\d\d) {ENTRY}")
    def numbered(draft: Draft, match: re.Match[str]) -> None:
        add_entry(draft, match["name"], match, None)

    @top.on(rf"access-list (?P<name>\d\d?|1[3-9]\d\d) {STANDARD_ENTRY}")
    def numbered_standard(draft: Draft, match: re.Match[str]) -> None:
        add_standard(draft, match["name"], match, None)

    @top.on(r"route-map (?P<name>\S+)( (?P<action>permit|deny))?( (?P<place>\d+))?")
    def route_map(draft: Draft, match: re.Match[str]) -> Commands:
        return open_route_map(draft, match["name"], match["action"] or "permit", int(match["place"] or 10))

    top.irrelevant("remark", r"access-list \d+ remark( .*)?")
    top.irrelevant("display", r"ip bgp-community new-format")
    top.unsupported("filter-entry", r"access-list (?P<number>\d+) (permit|deny|dynamic) .+", act=_left_out)
    top.unsupported("list-form", r"access-list \d+ .+", r"ipv6 access-list .+", r"object-group .+")
    frr.add_lists(top)
