"""`interface NAME` as EOS has it."""

from __future__ import annotations

import re
from typing import Final

from labctl.ingest import obfuscated
from labctl.ingest.commands import Commands, Unsupported
from labctl.ingest.draft import Draft, InterfaceDraft
from labctl.ingest.frr.interface import add_virtual_address, here, kind_in
from labctl.ingest.ios.interface import INTERFACE as IOS_INTERFACE
from labctl.ingest.ios.interface import put_ipv4, put_vrf
from labctl.model.config import InterfaceKind

INTERFACE = Commands("interface", base=IOS_INTERFACE)

_KINDS: Final = (
    (r"Loopback\d+", InterfaceKind.LOOPBACK),
    (r".+\.\d+", InterfaceKind.SUBINTERFACE),
    (r"Port-Channel\d+", InterfaceKind.LAG),
    (r"Vlan\d+", InterfaceKind.SVI),
    (r"(Tunnel|Vxlan)\d+", InterfaceKind.TUNNEL),
)


def kind_of(name: str) -> InterfaceKind:
    return kind_in(_KINDS, name)


def open_interface(draft: Draft, name: str) -> Commands:
    draft.interface = draft.interfaces.setdefault(name, InterfaceDraft(where=draft.where))
    if re.fullmatch(r"Management\d\S*", name):
        draft.interface.set["mgmt"] = True
    elif re.fullmatch(r"(Ethernet|Port-Channel)[\d/]+", name):
        draft.interface.set.setdefault("switched", True)
    return INTERFACE


@INTERFACE.on(r"ip address (?P<address>[\d.]+/\d+)(?P<second> secondary)?")
def _ipv4(draft: Draft, match: re.Match[str]) -> None:
    put_ipv4(draft, match["address"], secondary=bool(match["second"]))


@INTERFACE.on(r"ip ospf authentication-key (?P<type>\d\w?) (?P<secret>\S+)")
def _text_key(draft: Draft, match: re.Match[str]) -> None:
    here(draft).ospf["text_key"] = draft.redactor.token(_clear(draft, match, "_passwd"))


@INTERFACE.on(r"ip ospf message-digest-key (?P<id>\d+) md5 (?P<type>\d\w?) (?P<secret>\S+)")
def _md5_key(draft: Draft, match: re.Match[str]) -> None:
    number = int(match["id"])
    here(draft).md5_keys[number] = draft.redactor.token(_clear(draft, match, f"md5Key{number}"))


def _clear(draft: Draft, match: re.Match[str], ending: str) -> str:
    """The key itself: what EOS shows depends on the interface, so that no two look alike."""
    secret: str = match["secret"]
    if match["type"] != "7":
        return secret
    names = (name for name, each in draft.interfaces.items() if each is draft.interface)
    return obfuscated.arista(secret, (name + ending for name in names))


@INTERFACE.on(r"isis .+")
def _isis(_draft: Draft, _match: re.Match[str]) -> None:
    raise Unsupported("protocol")


@INTERFACE.on(r"ip address (virtual|unnumbered) .+")
def _other_address(_draft: Draft, match: re.Match[str]) -> None:
    raise Unsupported("virtual-address" if match[1] == "virtual" else "unnumbered")


@INTERFACE.on(r"vrf (?P<vrf>\S+)")
def _vrf(draft: Draft, match: re.Match[str]) -> None:
    put_vrf(draft, match["vrf"])


@INTERFACE.on(r"channel-group (?P<number>\d+)( mode (active|passive|on))?")
def _lag(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["lag"] = f"Port-Channel{match['number']}"
    raise Unsupported("link-aggregation")  # who is plugged into whom takes part in discovery all the same


@INTERFACE.on(r"encapsulation dot1q vlan (?P<vlan>\d+)")
def _vlan(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["vlan"] = int(match["vlan"])


@INTERFACE.on(r"speed (forced |auto )?(?P<value>\d+)(?P<giga>g|gfull|full)?")
def _speed(draft: Draft, match: re.Match[str]) -> None:
    unit = 10**9 if (match["giga"] or "").startswith("g") else 10**6
    here(draft).set["speed_bps"] = int(match["value"]) * unit


@INTERFACE.on(r"ip ospf neighbor bfd")
def _bfd(draft: Draft, _match: re.Match[str]) -> None:
    here(draft).ospf["bfd"] = True


@INTERFACE.on(r"vrrp (?P<group>\d+) ipv4 (?P<address>[\d.]+)( secondary)?")
def _vrrp_address(draft: Draft, match: re.Match[str]) -> None:
    add_virtual_address(draft, here(draft).virtual_router(int(match["group"])), match["address"])


@INTERFACE.on(r"vrrp (?P<group>\d+) priority-level (?P<value>\d+)")
def _vrrp_priority(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(int(match["group"]))["priority"] = int(match["value"])


@INTERFACE.on(r"vrrp (?P<group>\d+) advertisement interval (?P<seconds>\d+)")
def _vrrp_interval(draft: Draft, match: re.Match[str]) -> None:
    here(draft).virtual_router(int(match["group"]))["advertise_ms"] = int(match["seconds"]) * 1000


INTERFACE.defaulted("interface-default", r"no (lldp|shutdown) .+", r"speed auto", r"ip proxy-arp")
INTERFACE.irrelevant("cabling", r"(no )?transceiver .+", r"error-correction .+", r"phy .+")
INTERFACE.unsupported(
    "interface-feature",
    r"ip virtual-router .+",
    r"(vxlan|mlag|pim|ptp|sflow|tcam|qos|priority-flow-control|arp|evpn|link-debounce|multicast|l2|isis|vrrp|traffic-policy|queue-monitor) .+",
)
