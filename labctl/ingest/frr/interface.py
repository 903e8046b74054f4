"""`interface NAME`: addresses, and what OSPF does there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from labctl.ingest.commands import Commands
from labctl.ingest.draft import Draft, InterfaceDraft, Overrides, area, host, with_length
from labctl.ingest.frr import isis
from labctl.model.config import InterfaceKind
from labctl.model.policy import Afi
from labctl.model.routing import Auth, OspfNetworkType

INTERFACE = Commands("interface")

_KINDS = (
    (r"lo|Loopback.*|dummy\S*", InterfaceKind.LOOPBACK),
    (r"(bond|team|po|Port-?Channel|PortChannel)\S*\d+", InterfaceKind.LAG),
    (r"(?i)vlan\S*\d+", InterfaceKind.SVI),
    (r".+\.\d+", InterfaceKind.SUBINTERFACE),
    (r"(br|bridge|docker|virbr)[-\d]\S*|bridge", InterfaceKind.BRIDGE),
    (r"(tun|tap|gre|vxlan|sit|vti|wg|ipip)\S*", InterfaceKind.TUNNEL),
)


def kind_of(name: str) -> InterfaceKind:
    """What a Linux box means by an interface name."""
    return kind_in(_KINDS, name)


def vlan_of(name: str) -> int | None:
    """The tag of a sub-interface, by the name that every tool on Linux gives it: `eth1.10`."""
    tag = name.rpartition(".")[2]
    wanted = kind_of(name) is InterfaceKind.SUBINTERFACE and len(tag) <= len("4094")
    return int(tag) if wanted and 1 <= int(tag) <= 4094 else None


def kind_in(table: Iterable[tuple[str, InterfaceKind]], name: str) -> InterfaceKind:
    """The kind of the first pattern that fits the whole name; what fits none is an Ethernet port."""
    for pattern, kind in table:
        if re.fullmatch(pattern, name):
            return kind
    return InterfaceKind.ETHERNET


def open_interface(draft: Draft, name: str) -> Commands:
    draft.interface = draft.interfaces.setdefault(name, InterfaceDraft(where=draft.where))
    return INTERFACE


def here(draft: Draft) -> InterfaceDraft:
    assert draft.interface is not None
    return draft.interface


@INTERFACE.on(r"description (?P<text>.+)")
def _description(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["description"] = match["text"]


@INTERFACE.on(r"(?P<no>no )?shutdown")
def _shutdown(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["shutdown"] = not match["no"]


@INTERFACE.on(r"bandwidth (?P<mbit>\d+)")
def _bandwidth(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["bandwidth_bps"] = int(match["mbit"]) * 10**6


@INTERFACE.on(r"ip address (?P<address>\S+)( label \S+)?")
def _ipv4(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ipv4.append(with_length(draft, match["address"], Afi.IPV4))


@INTERFACE.on(r"ipv6 address (?P<address>\S+)")
def _ipv6(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ipv6.append(with_length(draft, match["address"], Afi.IPV6))


def _ospf_number(pattern: str, key: str) -> None:
    @INTERFACE.on(rf"ip ospf {pattern} (?P<value>\d+)")
    def act(draft: Draft, match: re.Match[str]) -> None:
        here(draft).ospf[key] = int(match["value"])


for _pattern, _field in (
    ("cost", "cost"),
    ("hello-interval", "hello_s"),
    ("retransmit-interval", "retransmit_s"),
    ("transmit-delay", "transmit_delay_s"),
    ("priority", "priority"),
):
    _ospf_number(_pattern, _field)


def _ospf_flag(word: str, key: str) -> None:
    @INTERFACE.on(rf"(?P<no>no )?ip ospf {word}")
    def act(draft: Draft, match: re.Match[str]) -> None:
        here(draft).ospf[key] = not match["no"]


for _pattern, _field in (("mtu-ignore", "mtu_ignore"), ("bfd", "bfd"), ("passive", "passive")):
    _ospf_flag(_pattern, _field)


@INTERFACE.on(r"ip ospf dead-interval (?P<value>\d+)")
def _dead(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ospf |= {"dead_s": int(match["value"]), "hello_multiplier": None}


@INTERFACE.on(r"ip ospf dead-interval minimal hello-multiplier (?P<value>\d+)")
def _fast(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ospf |= {"dead_s": 1, "hello_multiplier": int(match["value"])}


@INTERFACE.on(r"ip ospf network (?P<kind>broadcast|non-broadcast|point-to-point|point-to-multipoint)")
def _network(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ospf["network_type"] = OspfNetworkType(match["kind"])


@INTERFACE.on(r"ip ospf area (?P<area>\S+)")
def _area(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ospf["area"] = area(draft, match["area"])


@INTERFACE.on(r"ip ospf authentication(?P<how> message-digest| null)?")
def _authentication(draft: Draft, match: re.Match[str]) -> None:
    how: dict[Any, Auth] = {None: Auth.TEXT, " message-digest": Auth.MD5, " null": Auth.NONE}
    here(draft).ospf["auth"] = how[match["how"]]


@INTERFACE.on(r"ip ospf authentication-key (?P<secret>\S+)")
def _text_key(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ospf["text_key"] = draft.redactor.token(match["secret"])


@INTERFACE.on(r"ip ospf message-digest-key (?P<id>\d+) md5 (?P<secret>\S+)")
def _md5_key(draft: Draft, match: re.Match[str]) -> None:
    here(draft).md5_keys[int(match["id"])] = draft.redactor.token(match["secret"])


# --- VRRP; FRR counts its interval in milliseconds ---


@INTERFACE.on(r"vrrp (?P<group>\d+)( version (?P<version>[23]))?")
def _vrrp(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(int(match["group"]))["version"] = int(match["version"] or 3)


@INTERFACE.on(r"vrrp (?P<group>\d+) ip (?P<address>\S+)")
def _vrrp_address(draft: Draft, match: re.Match[str]) -> None:
    add_virtual_address(draft, here(draft).virtual_router(int(match["group"])), match["address"])


def add_virtual_address(draft: Draft, group: Overrides, address: str) -> None:
    """One more IPv4 address of a group, in the order of the file."""
    group["addresses"] = (*group.get("addresses", ()), host(draft, address, Afi.IPV4))


@INTERFACE.on(r"vrrp (?P<group>\d+) priority (?P<value>\d+)")
def _vrrp_priority(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(int(match["group"]))["priority"] = int(match["value"])


@INTERFACE.on(r"(?P<no>no )?vrrp (?P<group>\d+) preempt")
def _vrrp_preempt(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(int(match["group"]))["preempt"] = not match["no"]


@INTERFACE.on(r"vrrp (?P<group>\d+) advertisement-interval (?P<ms>\d+)")
def _vrrp_interval(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(int(match["group"]))["advertise_ms"] = int(match["ms"])


isis.add_interface(INTERFACE)
INTERFACE.irrelevant(
    "link-detection", r"(no )?link-detect", r"(no )?multicast( enable)?", r"(no )?ipv6 nd \S.*"
)
INTERFACE.unsupported(
    "interface-feature",
    r"(ip|ipv6) (ospf6?|pim|igmp|rip|router|nhrp|eigrp|mroute) ?.*",
    r"ipv6 ospf6 .*",
    r"(no )?mpls .*",
    r"isis .*",
    r"(no )?vrrp .*",
    r"bfd.*",
    r"link-params",
    r"evpn .*",
    r"babel .*",
    r"ip address \S+ peer \S+.*",
)
