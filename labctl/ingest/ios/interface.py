"""`interface NAME` as IOS has it."""

from __future__ import annotations

import re
from typing import Final

from labctl.ingest import obfuscated
from labctl.ingest.commands import Approximated, Commands, Unsupported
from labctl.ingest.draft import Draft, InterfaceDraft, Overrides, area, with_length
from labctl.ingest.frr.interface import INTERFACE as FRR_INTERFACE
from labctl.ingest.frr.interface import add_virtual_address, here, kind_in
from labctl.model.config import InterfaceKind
from labctl.model.policy import Afi
from labctl.model.routing import Election

INTERFACE = Commands("interface", base=FRR_INTERFACE)

_KINDS: Final = (
    (r"Loopback\d+", InterfaceKind.LOOPBACK),
    (r".+\.\d+", InterfaceKind.SUBINTERFACE),
    (r"Port-channel\d+", InterfaceKind.LAG),
    (r"(Vlan|BDI|BVI)\d+", InterfaceKind.SVI),
    (r"(Tunnel|Virtual-Template|Virtual-Access|Dialer|nve)\d+", InterfaceKind.TUNNEL),
    (r"(Null|Embedded|VirtualPortGroup|Multilink|LISP)\S*", InterfaceKind.OTHER),
)
#: Line rate by the beginning of the name; the first that fits.
_SPEEDS: Final = (
    ("HundredGig", 100 * 10**9),
    ("FortyGig", 40 * 10**9),
    ("TwentyFiveGig", 25 * 10**9),
    ("TenGig", 10 * 10**9),
    ("FiveGig", 5 * 10**9),
    ("TwoGig", 2_500 * 10**6),
    ("GigabitEthernet", 10**9),
    ("FastEthernet", 100 * 10**6),
    ("Ethernet", 10 * 10**6),
    ("Port-channel", 10**9),
    ("Vlan", 10**9),
    ("BDI", 10**9),
    ("Serial", 1_544_000),
    ("Tunnel", 100_000),
)


def kind_of(name: str) -> InterfaceKind:
    return kind_in(_KINDS, name)


def nominal_bps(name: str) -> int | None:
    return next((speed for start, speed in _SPEEDS if name.startswith(start)), None)


def open_interface(draft: Draft, name: str) -> Commands:
    draft.interface = draft.interfaces.setdefault(name, InterfaceDraft(where=draft.where))
    return INTERFACE


@INTERFACE.on(r"ip address (?P<address>[\d.]+) (?P<mask>[\d.]+)(?P<second> secondary)?")
def _ipv4(draft: Draft, match: re.Match[str]) -> None:
    put_ipv4(draft, f"{match['address']}/{match['mask']}", secondary=bool(match["second"]))


def put_ipv4(draft: Draft, address: str, *, secondary: bool) -> None:
    """The primary address comes first, wherever it stands."""
    found = with_length(draft, address, Afi.IPV4)
    if secondary:
        here(draft).ipv4.append(found)
    else:
        here(draft).ipv4.insert(0, found)


@INTERFACE.on(r"ipv6 address (?P<address>\S+/\d+)(?P<how> eui-64| anycast)?")
def _ipv6(draft: Draft, match: re.Match[str]) -> None:
    if match["how"]:
        raise Unsupported("address-from-mac" if "eui" in match["how"] else "anycast-address")
    here(draft).ipv6.append(with_length(draft, match["address"], Afi.IPV6))


@INTERFACE.on(r"ip address (dhcp|negotiated|pool|slarp)( .+)?")
@INTERFACE.on(r"ipv6 address (autoconfig|auto-config|dhcp)( .+)?")
def _dynamic(_draft: Draft, _match: re.Match[str]) -> None:
    raise Unsupported("dynamic-address")


@INTERFACE.on(r"(ip )?mtu (?P<mtu>\d+)")
def _mtu(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["mtu"] = min(int(match["mtu"]), here(draft).set.get("mtu", 65535))


@INTERFACE.on(r"bandwidth (?P<kbit>\d+)")
def _bandwidth(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["bandwidth_bps"] = int(match["kbit"]) * 1000


@INTERFACE.on(r"speed (?P<mbit>\d+)")
def _speed(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["speed_bps"] = int(match["mbit"]) * 10**6


@INTERFACE.on(r"encapsulation dot1[qQ] (?P<vlan>\d+)(?P<native> native)?")
def _vlan(draft: Draft, match: re.Match[str]) -> None:
    if match["native"]:
        raise Unsupported("untagged-sub-interface")  # its frames are the port's own
    here(draft).set["vlan"] = int(match["vlan"])


@INTERFACE.on(r"channel-group (?P<number>\d+)( mode (active|passive|on|auto|desirable))?")
def _lag(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["lag"] = f"Port-channel{match['number']}"
    raise Unsupported("link-aggregation")  # who is plugged into whom takes part in discovery all the same


@INTERFACE.on(r"(ip )?vrf forwarding (?P<vrf>\S+)")
def _vrf(draft: Draft, match: re.Match[str]) -> None:
    put_vrf(draft, match["vrf"])


def put_vrf(draft: Draft, name: str) -> None:
    """A VRF that is called after management makes the port one of management; others are not emulated."""
    here(draft).set["vrf"] = name
    if not re.search(r"(?i)mgmt|management", name):
        raise Unsupported("vrf")
    here(draft).set["mgmt"] = True


@INTERFACE.on(r"ip ospf (?P<process>\d+) area (?P<area>\S+)( secondaries none)?")
def _ospf_area(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ospf["area"] = area(draft, match["area"])


@INTERFACE.on(r"ip ospf authentication-key( (?P<type>\d))? (?P<secret>\S+)")
def _text_key(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ospf["text_key"] = draft.redactor.token(clear(match))


@INTERFACE.on(r"ip ospf message-digest-key (?P<id>\d+) md5( (?P<type>\d))? (?P<secret>\S+)")
def _md5_key(draft: Draft, match: re.Match[str]) -> None:
    here(draft).md5_keys[int(match["id"])] = draft.redactor.token(clear(match))


def clear(match: re.Match[str]) -> str:
    """The key that a line states, also where it is obfuscated: two devices never show one key alike."""
    secret: str = match["secret"]
    return obfuscated.cisco(secret) if match["type"] == "7" else secret


@INTERFACE.on(r"ip access-group (?P<name>\S+) (?P<way>in|out)")
def _filter(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set[f"filter_{match['way']}"] = match["name"]


@INTERFACE.on(r"ip nat (?P<side>inside|outside)")
def _nat(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["nat"] = match["side"]


# --- VRRP and HSRP ---

VRRP_FAMILY = Commands("vrrp")


def _virtual(draft: Draft, match: re.Match[str]) -> Overrides:
    hsrp = match["kind"] == "standby"
    group = int(match["group"] or 0)
    return here(draft).virtual_router(group, Election.HSRP if hsrp else Election.VRRP)


def _done(match: re.Match[str]) -> None:
    if match["kind"] == "standby":
        raise Approximated("hsrp-as-vrrp")


@INTERFACE.on(r"(?P<kind>vrrp|standby)( (?P<group>\d+))? ip (?P<address>[\d.]+)( secondary)?")
def _virtual_address(draft: Draft, match: re.Match[str]) -> None:
    add_virtual_address(draft, _virtual(draft, match), match["address"])
    _done(match)


@INTERFACE.on(r"(?P<kind>vrrp|standby)( (?P<group>\d+))? priority (?P<value>\d+)")
def _virtual_priority(draft: Draft, match: re.Match[str]) -> None:
    _virtual(draft, match)["priority"] = int(match["value"])
    _done(match)


@INTERFACE.on(r"(?P<no>no )?(?P<kind>vrrp|standby)( (?P<group>\d+))? preempt(?P<delay> delay .+)?")
def _virtual_preempt(draft: Draft, match: re.Match[str]) -> None:
    _virtual(draft, match)["preempt"] = not match["no"]
    if match["delay"]:
        raise Approximated("preempt-delay")
    _done(match)


@INTERFACE.on(r"(?P<kind>vrrp)( (?P<group>\d+))? timers advertise (?P<msec>msec )?(?P<value>\d+)")
@INTERFACE.on(r"(?P<kind>standby)( (?P<group>\d+))? timers (?P<msec>msec )?(?P<value>\d+) (msec )?\d+")
def _virtual_timer(draft: Draft, match: re.Match[str]) -> None:
    _virtual(draft, match)["advertise_ms"] = int(match["value"]) * (1 if match["msec"] else 1000)
    _done(match)


@INTERFACE.on(r"vrrp (?P<group>\d+) address-family ipv4")
def _virtual_family(draft: Draft, match: re.Match[str]) -> Commands:
    draft.entry = "vrrp", int(match["group"])
    here(draft).virtual_router(draft.entry[1])["version"] = 3
    return VRRP_FAMILY


@VRRP_FAMILY.on(r"address (?P<address>[\d.]+)( primary| secondary)?")
def _family_address(draft: Draft, match: re.Match[str]) -> None:
    add_virtual_address(draft, here(draft).virtual_router(draft.entry[1]), match["address"])


@VRRP_FAMILY.on(r"priority (?P<value>\d+)")
def _family_priority(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(draft.entry[1])["priority"] = int(match["value"])


@VRRP_FAMILY.on(r"(?P<no>no )?preempt")
def _family_preempt(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(draft.entry[1])["preempt"] = not match["no"]


@VRRP_FAMILY.on(r"timers advertise (?P<value>\d+)")
def _family_timer(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(draft.entry[1])["advertise_ms"] = int(match["value"])


VRRP_FAMILY.irrelevant("description", r"description .+")
VRRP_FAMILY.unsupported("vrrp-option", r"(track|match-address|vrrpv2|vrrs|preempt|shutdown) ?.*")
INTERFACE.irrelevant("description", r"(vrrp|standby)( \d+)? (description|name) .+")
INTERFACE.irrelevant("wire-format", r"standby version [12]")


@INTERFACE.on(r"switchport")
def _switchport(draft: Draft, _match: re.Match[str]) -> None:
    here(draft).set["switched"] = True
    raise Unsupported("switching")


@INTERFACE.on(r"no switchport")
def _no_switchport(draft: Draft, _match: re.Match[str]) -> None:
    here(draft).set["switched"] = False


@INTERFACE.on(r"switchport (?P<kind>access|trunk native) vlan (?P<vlan>\d+)")
def _untagged(draft: Draft, match: re.Match[str]) -> None:
    """No lab has it, but the two ends of a cable should agree."""
    here(draft).vlans["access" if match["kind"] == "access" else "native"] = int(match["vlan"])
    _put_untagged(here(draft))
    raise Unsupported("switching")


@INTERFACE.on(r"switchport mode (?P<mode>\S.*)")
def _mode(draft: Draft, match: re.Match[str]) -> None:
    here(draft).trunk = match["mode"] == "trunk"
    _put_untagged(here(draft))
    raise Unsupported("switching")


def _put_untagged(found: InterfaceDraft) -> None:
    """What is stated for another mode is left over."""
    found.set["untagged_vlan"] = found.vlans.get("native" if found.trunk else "access")


def _duplex(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["duplex"] = match["duplex"]


@INTERFACE.on(r"ip unnumbered (?P<name>\S+)")
def _unnumbered(_draft: Draft, _match: re.Match[str]) -> None:
    raise Unsupported("unnumbered")


INTERFACE.defaulted(
    "interface-default",
    r"no ip(v6)? address",
    r"negotiation auto",
    r"(duplex|speed) auto",
    r"no switchport (mode|access|trunk).*",
    r"ip (redirects|unreachables|proxy-arp|split-horizon)",
    r"arp timeout 14400",
    r"no (ip )?(mroute-cache|route-cache.*)",
)
INTERFACE.irrelevant("cabling", r"duplex (?P<duplex>half|full)", act=_duplex)
INTERFACE.irrelevant("cabling", r"media-type \S+", r"(no )?keepalive( \d+)*", r"(no )?mdix auto")
INTERFACE.irrelevant(
    "cpu-path", r"(no )?ip route-cache( (cef|flow|same-interface|policy))?", r"(no )?mop (enabled|sysid)"
)
INTERFACE.irrelevant(
    "discovery-protocol",
    r"(no )?cdp (enable|log mismatch duplex|tlv \S+)",
    r"(no )?lldp (transmit|receive|med-tlv-select .+)",
)
INTERFACE.irrelevant(
    "statistics",
    r"load-interval \d+",
    r"(no )?snmp trap .+",
    r"(no )?logging event .+",
    r"(no )?ip flow .+",
    r"hold-queue \d+ (in|out)",
    r"carrier-delay (msec )?\d+",
    r"delay \d+",
)
INTERFACE.irrelevant(
    "host-courtesy",
    r"no ip (redirects|unreachables|proxy-arp|mask-reply|directed-broadcast)",
    r"no ipv6 (redirects|unreachables)",
)
INTERFACE.unsupported("link-local-address", r"ipv6 address \S+ link-local", r"ipv6 enable")
INTERFACE.unsupported(
    "switching", r"switchport .+", r"(no )?spanning-tree .+", r"(no )?vlan .+", r"(no )?storm-control .+"
)
INTERFACE.unsupported("tunnel", r"tunnel .+", r"(no )?nhrp .+", r"ip nhrp .+")
INTERFACE.unsupported("dhcp-relay", r"ip helper-address .+", r"(ip|ipv6) dhcp .+")
INTERFACE.unsupported("policy-routing", r"(ip|ipv6) policy route-map .+")
INTERFACE.unsupported("anti-spoofing", r"ip(v6)? verify .+")
INTERFACE.unsupported("multicast", r"ip (pim|igmp|mroute|multicast) .+")
INTERFACE.unsupported(
    "quality-of-service",
    r"service-policy .+",
    r"(fair-queue|random-detect|tx-ring-limit|priority-queue|mls qos)( .+)?",
)
INTERFACE.unsupported("tcp-mss", r"ip(v6)? tcp adjust-mss .+")
INTERFACE.unsupported(
    "interface-feature",
    r"(no )?(ip|ipv6) (ospf|rip|eigrp|router|nat|access-group|traffic-filter|summary-address|hello-interval|hold-time|authentication|bandwidth-percent) ?.+",
    r"ospfv3 .+",
    r"(no )?(crypto|zone-member|mpls|isis|bfd|standby|vrrp|glbp|xconnect|encapsulation|clock|ppp|dialer|channel-group|lacp|udld|authentication|dot1x|mab|platform|power|flowcontrol|speed|bridge-group|track|mka|macsec|cts|nve|member|source-interface)( .+)?",
)
