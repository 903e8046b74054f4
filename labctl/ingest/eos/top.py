"""The top context of an EOS file, and its lists."""

from __future__ import annotations

import re
from ipaddress import ip_network

from labctl.ingest.commands import Commands, Unsupported
from labctl.ingest.draft import Draft, host, prefix
from labctl.ingest.eos import interface, routing
from labctl.ingest.frr import policy as frr_policy
from labctl.ingest.ios import policy
from labctl.ingest.ios.top import add_forwarding, outward, section
from labctl.model.config import Discard, StaticRoute
from labctl.model.policy import Afi

TOP = Commands("top")
PREFIX_LIST = Commands("prefix-list")
FILTER = Commands("access-list", base=policy.EXTENDED)
STANDARD = Commands("access-list-standard", base=policy.STANDARD)
ROUTE_MAP = Commands("route-map", base=policy.ROUTE_MAP)


@TOP.on(r"hostname (?P<name>\S+)")
def _hostname(draft: Draft, match: re.Match[str]) -> None:
    draft.hostname = match["name"]


add_forwarding(TOP)


@TOP.on(r"interface (?P<name>[A-Za-z][A-Za-z-]*\d\S*)")
def _interface(draft: Draft, match: re.Match[str]) -> Commands:
    return interface.open_interface(draft, match["name"])


@TOP.on(r"router bgp (?P<asn>\d+)")
def _bgp(draft: Draft, match: re.Match[str]) -> Commands:
    return routing.open_bgp(draft, int(match["asn"]))


@TOP.on(r"router ospf (?P<process>\d+)")
def _ospf(draft: Draft, match: re.Match[str]) -> Commands:
    return routing.open_ospf(draft, match["process"])


@TOP.on(
    r"(?P<afi>ip|ipv6) route (?P<prefix>[\da-fA-F.:]+/\d+) ((?P<interface>[A-Za-z][\w/.-]*)( (?P<over>[\d.:a-f]*[.:][\d.:a-f]+))?|"
    r"(?P<hop>[\da-fA-F.:]+))(?P<options>( \d+| tag \d+| name \S+)*)"
)
def _static(draft: Draft, match: re.Match[str]) -> None:
    afi = Afi.IPV6 if match["afi"] == "ipv6" else Afi.IPV4
    name, words = match["interface"], match["options"].split()
    if name in ("vrf", "Nexthop-Group"):
        raise Unsupported("static-route-form")
    discard = (name or "").lower() == "null0"
    hop = match["hop"] or match["over"]
    first = words[0] if words and words[0].isdigit() else "1"
    draft.statics.append(
        StaticRoute(
            prefix=prefix(draft, match["prefix"], afi),
            next_hop=host(draft, hop, afi) if hop else None,
            interface=None if discard else name,
            discard=Discard.BLACKHOLE if discard else None,
            distance=int(first),
            tag=int(words[words.index("tag") + 1]) if "tag" in words else 0,
            where=draft.where,
        )
    )


# --- lists ---


def _reworded(
    draft: Draft, line: str, commands: Commands | None = TOP, *, otherwise: str = "list-form"
) -> None:
    """Take a line as if it stood in these other words; where nobody takes those, it is unsupported: `otherwise`."""
    found = commands.find(line) if commands else None
    if found is None:
        raise Unsupported(otherwise)
    rule, match = found
    rule.act(draft, match)


@TOP.on(r"(?P<afi>ip|ipv6) prefix-list (?P<name>\S+)")
def _prefix_list(draft: Draft, match: re.Match[str]) -> Commands:
    draft.entry = f"{match['afi']} prefix-list {match['name']}", 0
    return PREFIX_LIST


@PREFIX_LIST.on(r"(seq \d+ )?(permit|deny) .+")
def _prefix_entry(draft: Draft, match: re.Match[str]) -> None:
    """An entry in the list's own context says the same as a line with the list's name."""
    _reworded(draft, f"{draft.entry[0]} {match[0]}")


@TOP.on(r"ip access-list standard (?P<name>\S+)")
def _open_standard(draft: Draft, match: re.Match[str]) -> Commands:
    return policy.open_list(draft, match["name"], STANDARD)


@TOP.on(r"ip access-list (?P<name>(?!standard )\S+)")
def _open_filter(draft: Draft, match: re.Match[str]) -> Commands:
    return policy.open_list(draft, match["name"], FILTER)


def _as_ios(text: str) -> str:
    """`10.0.0.0/8` as IOS writes it, with an inverse mask."""

    def inverse(match: re.Match[str]) -> str:
        try:
            network = ip_network(match[0], strict=False)
        except ValueError:
            return match[0]
        return f"{network.network_address} {network.hostmask}"

    return re.sub(r"[\d.]+/\d+", inverse, text)


def _with_lengths(commands: Commands) -> None:
    @commands.on(r"(\d+ )?(permit|deny) .*[\d.]+/\d+.*")
    def act(draft: Draft, match: re.Match[str]) -> None:
        _reworded(draft, _as_ios(match[0]), commands.base, otherwise="filter-entry")

    commands.irrelevant("statistics", r"(no )?(counters|statistics) per-entry")


_with_lengths(FILTER)
_with_lengths(STANDARD)


@TOP.on(r"route-map (?P<name>\S+)( (?P<action>permit|deny))?( (?P<seq>\d+))?")
def _route_map(draft: Draft, match: re.Match[str]) -> Commands:
    policy.open_route_map(draft, match["name"], match["action"] or "permit", int(match["seq"] or 10))
    return ROUTE_MAP


@ROUTE_MAP.on(r"match ip (?P<what>address|next-hop) access-list (?P<name>\S+)")
def _match_list(draft: Draft, match: re.Match[str]) -> None:
    _reworded(draft, f"match ip {match['what']} {match['name']}", ROUTE_MAP.base)


@ROUTE_MAP.on(r"sub-route-map .+")
def _called(draft: Draft, match: re.Match[str]) -> None:
    frr_policy.condition_lost(draft, match)
    raise Unsupported("route-map-clause")


@ROUTE_MAP.on(r"set community (community-list .+|.+ delete)")
def _other_communities(_draft: Draft, _match: re.Match[str]) -> None:
    """Words that would be taken for values."""
    raise Unsupported("route-map-clause")


@ROUTE_MAP.on(r"set community(?P<values>( \S+)*? GSHUT( \S+)*)")
def _graceful_shutdown(draft: Draft, match: re.Match[str]) -> None:
    _reworded(draft, f"set community{match['values'].replace(' GSHUT', ' gshut')}", ROUTE_MAP.base)


@TOP.on(r"ip community-list regexp (?P<name>\S+) (?P<rest>(permit|deny) .+)")
def _community_regexp(draft: Draft, match: re.Match[str]) -> None:
    _reworded(draft, f"ip community-list expanded {match['name']} {match['rest']}")


@TOP.on(r"ip as-path access-list (?P<name>\S+) (?P<action>permit|deny) (?P<regex>\S+) any")
def _as_path(draft: Draft, match: re.Match[str]) -> None:
    _reworded(draft, f"ip as-path access-list {match['name']} {match['action']} {match['regex']}")


@TOP.on(r"ip as-path access-list \S+ (permit|deny) \S+ (egp|igp|incomplete)")
def _as_path_of_origin(_draft: Draft, _match: re.Match[str]) -> None:
    raise Unsupported("list-form")


frr_policy.add_lists(TOP)

# --- what does not bear on forwarding, and what is not emulated ---

outward("syslog", r"logging (host|vrf|source-interface|trap|facility|format) .+", top=TOP)
outward("snmp", r"snmp-server .+", top=TOP)
outward("ntp", r"ntp .+", r"clock .+", top=TOP)
outward("aaa", r"(tacacs-server|radius-server) .+", top=TOP)
outward("aaa", r"aaa group server .+", inside=(r"server .+",), top=TOP)
outward("dns", r"ip name-server .+", r"(ip|dns) domain(-name)? .+", top=TOP)
outward(
    "telemetry",
    r"daemon \S+",
    inside=(r"(exec|no shutdown|shutdown|option|description|heartbeat) ?.*",),
    top=TOP,
)
outward("telemetry", r"sflow .+", r"event-monitor.*", top=TOP)
TOP.irrelevant(
    "access",
    r"username .+",
    r"(no )?aaa (root|authorization|authentication|accounting) ?.*",
    r"enable (password|secret) .+",
    r"(no )?(logging|service) (buffered|console|monitor|synchronous|level|event|repeat-messages|on|sequence-numbers|timestamps) ?.*",
    r"alias .+",
    r"terminal .+",
    r"prompt .+",
    r"role .+",
)
section(
    "access",
    r"management (api|ssh|console|security|telnet|cvx|accounts|http|xmpp) ?.*",
    inside=(
        r"(no )?(protocol|shutdown|idle-timeout|vrf|transport|ssl|password|authentication|cors|server|cipher|local|provider|session|connection|hostkey|client-alive|log-level|rekey|key-exchange|mac|known-hosts|profile|certificate|tls|default|interval) ?.*",
    ),
    top=TOP,
)
TOP.irrelevant(
    "platform",
    r"transceiver .+",
    r"hardware .+",
    r"platform .+",
    r"agent .+",
    r"(no )?lldp .+",
    r"boot .+",
    r"schedule .+",
    r"load-interval .+",
)
TOP.defaulted(
    "routing-model",
    r"service routing protocols model (multi-agent|ribd)",
    r"no ip icmp redirect",
    r"spanning-tree mode (mstp|rstp|rapid-pvst|none)",
)
TOP.irrelevant("max-lsa", r"no errdisable .+", r"errdisable .+")
TOP.unsupported(
    "feature",
    r"(no )?(spanning-tree|vlan|vrf|mlag|router|ip|ipv6|mac|monitor|policy-map|class-map|qos|queue-monitor|peer-filter|track|arp|"
    r"port-channel|traffic-policy|tap|mpls|bfd|event-handler|l2-protocol|key|maintenance|nat|control-plane|switchport|system|link|"
    r"segment-routing|traffic-engineering|dhcp|interface|route-map|errdisable|tcam|vxlan|ptp|match-list|dynamic) ?.*",
)
