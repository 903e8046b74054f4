"""The top context of an IOS file: the device itself, static routes, and the way into every other context."""

from __future__ import annotations

import re

from labctl.ingest.commands import Approximated, Commands, Unsupported
from labctl.ingest.draft import Draft, host, prefix
from labctl.ingest.frr import isis
from labctl.ingest.ios import bgp, interface, ospf, policy
from labctl.model.config import Discard, StaticRoute
from labctl.model.filters import NatRule
from labctl.model.policy import Afi

TOP = Commands("top")


@TOP.on(r"version (?P<version>\d+(\.\d+)*)\S*")
def _version(draft: Draft, match: re.Match[str]) -> None:
    draft.version = tuple(int(part) for part in match["version"].split("."))


@TOP.on(r"hostname (?P<name>\S+)")
def _hostname(draft: Draft, match: re.Match[str]) -> None:
    draft.hostname = match["name"].strip('"')


def add_forwarding(top: Commands) -> None:
    """Whether the device routes at all."""

    def command(words: str, afi: Afi) -> None:
        @top.on(rf"(?P<no>no )?{words}")
        def act(draft: Draft, match: re.Match[str]) -> None:
            draft.forwarding[afi] = not match["no"]

    command("ip routing", Afi.IPV4)
    command("ipv6 unicast-routing", Afi.IPV6)


add_forwarding(TOP)


@TOP.on(r"interface (?P<name>[A-Za-z]\S*)( ?(?P<number>\d\S*))?( point-to-point| multipoint)?")
def _interface(draft: Draft, match: re.Match[str]) -> Commands:
    return interface.open_interface(draft, match["name"] + (match["number"] or ""))


@TOP.on(r"router ospf (?P<process>\d+)")
def _ospf(draft: Draft, match: re.Match[str]) -> Commands:
    return ospf.open_ospf(draft, match["process"])


@TOP.on(r"router isis( (?P<tag>\S+))?")
def _isis(draft: Draft, match: re.Match[str]) -> Commands:
    """A process without a name is called `1` in the lab, where it needs one."""
    tag = match["tag"] or "1"
    if draft.isis and draft.isis.tag != tag:
        raise Unsupported("second-isis-process")
    return isis.open_isis(draft, tag)


@TOP.on(r"router bgp (?P<asn>\d+)")
def _bgp(draft: Draft, match: re.Match[str]) -> Commands:
    return bgp.open_bgp(draft, int(match["asn"]))


# --- static routes ---

_OPTIONS = r"(?P<options>( \d+| tag \d+| name \S+| permanent| track \d+| multicast)*)"


@TOP.on(
    r"ip route (?P<address>[\d.]+) (?P<mask>[\d.]+) (?P<interface>[A-Za-z]\S*)?( ?(?P<hop>\d+\.\d+\.\d+\.\d+))?"
    + _OPTIONS
)
def _static(draft: Draft, match: re.Match[str]) -> None:
    found = prefix(draft, f"{match['address']}/{match['mask']}", Afi.IPV4)
    _add_static(draft, found, match, Afi.IPV4)


@TOP.on(
    r"ipv6 route (?P<prefix>[\da-fA-F:]+/\d+) (?P<interface>(?![\da-fA-F]*:)[A-Z][A-Za-z]+\S*)?( ?(?P<hop>[\da-fA-F]*:\S+))?"
    + _OPTIONS
)
def _static_v6(draft: Draft, match: re.Match[str]) -> None:
    _add_static(draft, prefix(draft, match["prefix"], Afi.IPV6), match, Afi.IPV6)


def _add_static(draft: Draft, found: str, match: re.Match[str], afi: Afi) -> None:
    name, hop, words = match["interface"], match["hop"], match["options"].split()
    if name in ("vrf", "dhcp") or not (name or hop):
        raise Unsupported("static-route-form")
    numbers = [
        w
        for w, before in zip(words, ["", *words], strict=False)
        if w.isdigit() and before not in ("tag", "track", "name")
    ]
    discard = (name or "").lower() == "null0"
    draft.statics.append(
        StaticRoute(
            prefix=found,
            next_hop=host(draft, hop, afi) if hop else None,
            interface=None if discard else name,
            discard=Discard.BLACKHOLE if discard else None,
            distance=int(numbers[0]) if numbers else 1,
            tag=int(words[words.index("tag") + 1]) if "tag" in words else 0,
            where=draft.where,
        )
    )
    if "track" in words:
        raise Approximated("route-without-its-tracking")


policy.add_lists(TOP)


# --- address translation ---


@TOP.on(r"ip nat pool (?P<name>\S+) (?P<first>[\d.]+) (?P<last>[\d.]+) (netmask [\d.]+|prefix-length \d+)")
def _pool(draft: Draft, match: re.Match[str]) -> None:
    draft.pools[match["name"]] = (host(draft, match["first"], Afi.IPV4), host(draft, match["last"], Afi.IPV4))


@TOP.on(
    r"ip nat inside source list (?P<list>\S+) (interface (?P<interface>\S+)|pool (?P<pool>\S+))(?P<overload> overload)?"
)
def _nat_dynamic(draft: Draft, match: re.Match[str]) -> None:
    draft.nat.append(
        NatRule(
            filter=match["list"],
            interface=match["interface"] or "",
            outside_first=match["pool"] or "",
            where=draft.where,
        )
    )
    if not match["overload"]:
        raise Approximated("ports-are-translated-too")


@TOP.on(
    r"ip nat inside source static ((?P<protocol>tcp|udp) (?P<inside>[\d.]+) (?P<port>\d+) (?P<outside>[\d.]+) (?P<shown>\d+)|"
    r"(?P<inside2>[\d.]+) (?P<outside2>[\d.]+))( extendable)?"
)
def _nat_static(draft: Draft, match: re.Match[str]) -> None:
    draft.nat.append(
        NatRule(
            inside=host(draft, match["inside"] or match["inside2"], Afi.IPV4),
            outside_first=host(draft, match["outside"] or match["outside2"], Afi.IPV4),
            protocol=match["protocol"] or "",
            inside_port=_port(match["port"]),
            outside_port=_port(match["shown"]),
            where=draft.where,
        )
    )


def _port(word: str | None) -> int | None:
    if word is not None and int(word) > 65535:
        raise Unsupported("no-such-port")
    return int(word) if word else None


# --- what does not bear on forwarding ---


def _begins(draft: Draft, _match: re.Match[str]) -> None:
    draft.shown = True


def section(rule: str, *openers: str, inside: tuple[str, ...] = (), top: Commands = TOP) -> None:
    """A section that does not bear on forwarding: its openers and the lines that it may hold, each by its pattern."""
    context = Commands(rule)
    context.irrelevant(rule, *inside)
    for pattern in openers:
        top.irrelevant(rule, pattern, act=lambda _draft, _match: context)


def outward(kind: str, *patterns: str, inside: tuple[str, ...] = (), top: Commands = TOP) -> None:
    """Something that talks to machines outside: stripped, and listed."""
    context = Commands(f"outward-{kind}")
    context.irrelevant(f"outward-{kind}", *inside)

    def act(draft: Draft, _match: re.Match[str]) -> Commands:
        draft.note_outward(kind)
        return context

    top.irrelevant(f"outward-{kind}", *patterns, act=act)


TOP.irrelevant("header", r"Building configuration\.\.\.", r"Current configuration ?:.*", act=_begins)
TOP.irrelevant(
    "header", r"Using \d+ out of \d+ bytes.*", r"(boot-start-marker|boot-end-marker)", r"boot system .+"
)
outward(
    "syslog", r"logging (host )?[\d.]+( .+)?", r"logging (host|trap|facility|source-interface|origin-id) .+"
)
outward("snmp", r"snmp-server .+")
outward("ntp", r"(ntp|sntp) .+", r"clock .+")
outward(
    "aaa",
    r"(tacacs-server|radius-server|tacacs|radius) .+",
    inside=(r"(address|key|timeout|server|retransmit|single-connection) ?.*",),
)
outward(
    "aaa",
    r"aaa group server .+",
    inside=(r"(server|ip vrf|ip tacacs|ip radius|deadtime|server-private) ?.*",),
)
outward("dns", r"ip (name-server|domain[ -](lookup source-interface|name-server)) .+")
outward("flow-export", r"ip flow-(export|cache|top-talkers) .+", inside=(r"(top|sort-by|match) .+",))
outward("call-home", r"call-home", inside=(r"\S.+",))
outward(
    "archive",
    r"archive",
    inside=(
        r"(log config|logging enable|hidekeys|path .+|write-memory|notify syslog.*|maximum \d+|time-period \d+)",
    ),
)
outward("file-copy", r"ip (ftp|tftp|rcmd|scp) .+")
TOP.irrelevant(
    "logging",
    r"(no )?logging (buffered|console|monitor|rate-limit|count|userinfo|on|snmp-authfail|exception|cns-events|queue-limit)( .+)?",
)
TOP.irrelevant(
    "access",
    r"(no )?service (timestamps|password-encryption|tcp-keepalives-in|tcp-keepalives-out|config|pad|udp-small-servers|"
    r"tcp-small-servers|finger|dhcp|call-home|compress-config|linenumber|sequence-numbers|unsupported-transceiver|internal|nagle)( .+)?",
    r"(no )?aaa (new-model|session-id|authentication|authorization|accounting|common-criteria|local)( .+)?",
    r"username .+",
    r"enable (secret|password) .+",
    r"(no )?ip (ssh|http|scp|telnet|finger|bootp|identd) .+",
    r"(no )?ip http",
    r"security (authentication|passwords) .+",
    r"privilege .+",
    r"(no )?ip domain[ -](lookup|name|list)( .+)?",
    r"ip host .+",
    r"login (block-for|quiet-mode|delay|on-failure|on-success)( .+)?",
    r"memory .+",
    r"alias .+",
    r"prompt .+",
    r"parser .+",
    r"(no )?file prompt .+",
)
_LINE_SETTINGS = (
    r"(no )?(exec-timeout|login|transport|privilege|logging|stopbits|password|access-class|ipv6 access-class|"
    r"session-timeout|history|length|width|authorization|accounting|exec|speed|databits|parity|flowcontrol|modem|"
    r"activation-character|session-limit|absolute-timeout|motd-banner|exec-banner|vacant-message|notify|autohangup|"
    r"rotary|location)( .+)?"
)
section(
    "access",
    r"line (con|aux|vty|tty) ?\d.*",
    r"line \d.*",
    inside=(_LINE_SETTINGS,),
)
_DUMP = Commands("certificates")
_DUMP.irrelevant("certificates", r"[0-9A-F]{2,8}( [0-9A-F]{2,8})*")
_CERTIFICATES = Commands("certificates")
_CERTIFICATES.irrelevant("certificates", r"certificate .+", act=lambda _draft, _match: _DUMP)
_CERTIFICATES.irrelevant(
    "certificates",
    r"(enrollment|subject-name|revocation-check|rsakeypair|serial-number|ip-address|fqdn|usage|hash|subject-alt-name) ?.*",
)
for _opener in (r"crypto pki (trustpoint|certificate chain) \S+", r"crypto (pki certificate|ca) .+"):
    TOP.irrelevant("certificates", _opener, act=lambda _draft, _match: _CERTIFICATES)
TOP.irrelevant("certificates", r"crypto key .+", r"crypto pki .+")
section(
    "redundancy",
    r"redundancy( .+)?",
    inside=(r"(mode|main-cpu|standby|auto-sync|keepalive-enable|application) ?.*",),
)
section("control-plane", r"control-plane( host| slot \d+)?", inside=(r"management-interface .+",))
section("virtual-service", r"virtual-service \S+", inside=(r"(profile|activate|ip shared|vnic|guest) ?.*",))
TOP.irrelevant(
    "platform",
    r"(no )?platform .+",
    r"license .+",
    r"diagnostic .+",
    r"subscriber .+",
    r"hw-module .+",
    r"card type .+",
)
TOP.irrelevant(
    "platform",
    r"(no )?mmi .+",
    r"process .+",
    r"(no )?scheduler .+",
    r"(no )?exception .+",
    r"facility-alarm .+",
    r"nvram .+",
)
TOP.irrelevant(
    "platform",
    r"multilink bundle-name .+",
    r"(no )?ipv6 ioam .+",
    r"dot11 .+",
    r"voice-card .+",
    r"transport-map .+",
    r"errdisable .+",
    r"(no )?setup .+",
    r"(no )?network-clock\S* .+",
    r"ethernet lmi .+",
    r"(no )?dying-gasp .+",
    r"(no )?fpd .+",
    r"(no )?system ignore .+",
)
TOP.irrelevant(
    "discovery-protocol",
    r"(no )?(cdp|lldp) (run|timer|holdtime|tlv|advertise-v2|log mismatch duplex|reinit|tlv-select)( .+)?",
)
TOP.irrelevant(
    "host-courtesy",
    r"(no )?ip (icmp|gratuitous-arps|source-route|options|sla enable) ?.*",
    r"ip tcp .+",
    r"ip classless",
    r"(no )?ip subnet-zero",
    r"ip forward-protocol .+",
)
TOP.defaulted(
    "switching-path",
    r"ip cef( distributed)?",
    r"(no )?ipv6 cef( distributed)?",
    r"(no )?ip dhcp (bootp|conflict|use|snooping) .+",
)
TOP.defaulted("platform-default", r"domain default", r"spanning-tree extend system-id")

# --- what is understood and not emulated ---

_EIGRP = r"router (eigrp|rip|odr|mobile|lisp|ospfv3) ?.*"
TOP.unsupported(
    "protocol",
    _EIGRP,
    r"router ospf \d+ vrf .+",
    r"ipv6 router .+",
    r"mpls .+",
    r"ip multicast.*",
    r"ip (pim|msdp|igmp) .+",
)
TOP.unsupported("vrf", r"(ip vrf|vrf definition) \S+", r"ip(v6)? route vrf .+")
TOP.unsupported(
    "feature",
    r"(no )?(class-map|policy-map|track|bfd-template|bfd|key chain|event manager|flow|monitor session|zone|zone-pair|parameter-map|"
    r"ip sla|ip nat|ip dhcp|ip local|ip prefix-list|ip community-list|ip as-path|ip access-list|ip route|ip address-pool|"
    r"ipv6|crypto|spanning-tree|vlan|vtp|l2vpn|bridge|bridge-domain|standby|glbp|fhrp|qos|mls|ip radius|ip tacacs|ip verify|"
    r"ip inspect|ip audit|ip cef load-sharing|cef|object|macro|authentication|dot1x|ipc|lacp|port-channel|udld|rmon|template|"
    r"system mtu|ip accounting|ip routing protocol|ip explicit-path|route-tag|global-address-family|segment-routing|"
    r"performance|avb|ptp|netconf|netconf-yang|restconf|gnxi|telemetry|app-hosting|wsma|sip-ua|dial-peer|voice|gatekeeper|ephone|telephony-service|controller) ?.*",
)
