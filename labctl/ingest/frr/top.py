"""The top context of an FRR file: the device itself, static routes, and the way into every other context."""

from __future__ import annotations

import re

from labctl.ingest.commands import Commands, Unsupported
from labctl.ingest.draft import Draft, host, prefix
from labctl.ingest.frr import bgp, interface, isis, ospf, policy
from labctl.model.account import LineClass
from labctl.model.config import Discard, FibPolicy, StaticRoute
from labctl.model.policy import Afi

TOP = Commands("top")


@TOP.on(r"frr version (?P<version>\d+(\.\d+)*)\S*")
def _version(draft: Draft, match: re.Match[str]) -> None:
    draft.version = tuple(int(part) for part in match["version"].split("."))


@TOP.on(r"frr defaults (?P<profile>traditional|datacenter)")
def _defaults(draft: Draft, match: re.Match[str]) -> None:
    draft.profile = match["profile"]


@TOP.on(r"hostname (?P<name>\S+)")
def _hostname(draft: Draft, match: re.Match[str]) -> None:
    draft.hostname = match["name"]


@TOP.on(r"(?P<no>no )?(?P<afi>ip|ipv6) forwarding")
def _forwarding(draft: Draft, match: re.Match[str]) -> None:
    draft.forwarding[Afi.IPV6 if match["afi"] == "ipv6" else Afi.IPV4] = not match["no"]


@TOP.on(r"(ip )?router-id (?P<id>[\d.]+)")
def _router_id(draft: Draft, match: re.Match[str]) -> None:
    draft.router_id = host(draft, match["id"], Afi.IPV4)


@TOP.on(r"interface (?P<name>\S+)")
def _interface(draft: Draft, match: re.Match[str]) -> Commands:
    return interface.open_interface(draft, match["name"])


@TOP.on(r"router ospf")
def _ospf(draft: Draft, _match: re.Match[str]) -> Commands:
    return ospf.open_ospf(draft)


@TOP.on(r"router isis (?P<tag>\S+)")
def _isis(draft: Draft, match: re.Match[str]) -> Commands:
    if draft.isis and draft.isis.tag != match["tag"]:
        raise Unsupported("second-isis-process")
    return isis.open_isis(draft, match["tag"])


@TOP.on(r"router bgp (?P<asn>\d+)")
def _bgp(draft: Draft, match: re.Match[str]) -> Commands:
    return bgp.open_bgp(draft, int(match["asn"]))


_DISCARDS = {
    "Null0": Discard.BLACKHOLE,
    "null0": Discard.BLACKHOLE,
    "blackhole": Discard.BLACKHOLE,
    "reject": Discard.REJECT,
}


@TOP.on(
    r"(?P<afi>ip|ipv6) route (?P<prefix>\S+/\d+|default|[\d.]+ [\d.]+) (?P<via>[^\s]+)( (?P<interface>[^\s\d][^\s]*?))??"
    r"( tag (?P<tag>\d+))?( (?P<distance>\d+))?( tag (?P<tag2>\d+))?(?P<onlink> onlink)?"
)
def _static(draft: Draft, match: re.Match[str]) -> None:
    afi = Afi.IPV6 if match["afi"] == "ipv6" else Afi.IPV4
    via = match["via"]
    discard = _DISCARDS.get(via)
    is_address = discard is None and (":" in via or via[0].isdigit())
    words = match["interface"] or ""
    if words in (
        "tag",
        "onlink",
        "label",
        "vrf",
        "table",
        "nexthop-vrf",
        "segments",
        "color",
        "bfd",
        "metric",
    ):
        raise Unsupported("static-route-option")
    draft.statics.append(
        StaticRoute(
            prefix=prefix(draft, match["prefix"].replace(" ", "/"), afi),
            next_hop=host(draft, via, afi) if is_address else None,
            interface=words or None if is_address else (None if discard else via),
            discard=discard,
            distance=int(match["distance"] or 1),
            tag=int(match["tag"] or match["tag2"] or 0),
            onlink=bool(match["onlink"]),
            where=draft.where,
        )
    )


@TOP.on(
    r"(?P<afi>ip|ipv6) protocol (?P<protocol>any|kernel|connected|static|rip|ospf|ospf6|isis|bgp|eigrp) "
    r"route-map (?P<map>\S+)"
)
def _fib_policy(draft: Draft, match: re.Match[str]) -> None:
    draft.fib_policies.append(
        FibPolicy(
            afi=Afi.IPV6 if match["afi"] == "ipv6" else Afi.IPV4,
            protocol=match["protocol"],
            route_map=match["map"],
            where=draft.where,
        )
    )


policy.add_lists(TOP)


def _begins(draft: Draft, _match: re.Match[str]) -> None:
    draft.shown = True


def _outward(kind: str, *patterns: str) -> None:
    def act(draft: Draft, _match: re.Match[str]) -> None:
        draft.note_outward(kind)

    TOP.irrelevant(f"outward-{kind}", *patterns, act=act)


_outward("syslog", r"log (syslog|facility|host|remote|server) ?.*", r"log syslog")
_outward("snmp", r"agentx", r"snmp\S* .*")
_outward("ntp", r"ntp .*")
_outward("aaa", r"(tacacs|radius|aaa)\S* .*")
_outward("rpki", r"rpki.*")
_outward("bmp", r"bmp .*")
_outward("flow-export", r"(sflow|netflow|ipfix) .*")

TOP.irrelevant("header", r"Building configuration\.\.\.", r"Current configuration( ?:.*)?", act=_begins)
TOP.irrelevant(
    "logging", r"(no )?log .*", r"(no )?debug .*", r"(no )?service \S+", r"banner .*", r"no zebra .*"
)
TOP.irrelevant(
    "access",
    r"(enable )?password .*",
    r"username .*",
    r"line vty",
    r"exec-timeout .*",
    r"login.*",
    r"allow-.* vty .*",
    r"no (enable )?password.*",
    r"access-class .*",
    r"domainname .*",
)
TOP.irrelevant(
    "default-kept",
    r"no ip nht resolve-via-default",
    r"no ipv6 nht resolve-via-default",
    r"zebra nexthop-group keep .*",
    r"(no )?zebra nexthop kernel enable",
    r"fpm .*",
    r"zebra kernel .*",
)


def _section(rule: str, *patterns: str) -> None:
    """A section that is understood and not emulated: its indented lines share its fate."""
    inside = Commands(rule, swallow=LineClass.UNSUPPORTED)
    TOP.unsupported(rule, *patterns, act=lambda _draft, _match: inside)


_section(
    "vrf",
    r"vrf \S+",
    r"interface \S+ vrf \S+",
    r"router \S+ (\S+ )?vrf \S+",
    r"router bgp \d+ (view|as-notation) .+",
)
_section(
    "protocol",
    r"router (isis|rip|ripng|eigrp|ospf6|babel|openfabric|pim6?) ?.*",
    r"router ospf \d+.*",
    r"(mpls ldp|l2vpn .+|segment-routing|pw .+|pseudowire .+|bfd|pbr-map .+|nexthop-group .+|key chain .+|traffic-eng.*)",
)
TOP.unsupported(
    "feature",
    r"(no )?(ip|ipv6) (nht|import-table|mroute|multicast|pim|igmp|mld|msdp|ssmpingd|nhrp|table|rpf|route|protocol) ?.*",
    r"(no )?(mpls|vrrp|pbr|nhrp|evpn|srv6|vni|affinity-map|zebra) .+",
    r"(no )?bgp (route-map|graceful-restart|suppress-fib-pending|update-delay|send-extra-data|input-queue-limit) ?.*",
)
