"""A Cumulus switch in one file: its name, `/etc/network/interfaces`, `ports.conf`, and FRR's configuration.

ifupdown's stanzas come before FRR's lines; addresses stand only there.
"""

from __future__ import annotations

import re
from typing import Final

from labctl.errors import Span
from labctl.ingest.commands import Commands, Verdict, walk
from labctl.ingest.draft import Draft, InterfaceDraft, with_length
from labctl.ingest.frr.build import build
from labctl.ingest.frr.interface import here
from labctl.ingest.frr.top import TOP as FRR_TOP
from labctl.ingest.parsers import Parsed, parsed
from labctl.ingest.redact import Redactor
from labctl.model.account import LineClass
from labctl.model.policy import Afi

_STANZA: Final = re.compile(rb"(?m)^iface \S+")

TOP = Commands("top", base=FRR_TOP)
IFACE = Commands("iface")


def is_cumulus(head: bytes) -> bool:
    return b"\0" not in head and _STANZA.search(head) is not None and b"ports.conf" in head


def parse(text: str, *, file: str, device: str, redactor: Redactor) -> Parsed:
    """The model and the account of every line; all errors of the file at once."""
    draft = Draft(file=file, device=device, redactor=redactor, where=Span(file))
    return parsed(draft, walk(text, TOP, draft), build)


@TOP.on(r"iface (?P<name>\S+)( inet6?)?( (?P<how>static|loopback|dhcp|manual|auto))?")
def _iface(draft: Draft, match: re.Match[str]) -> Commands:
    draft.interface = draft.interfaces.setdefault(match["name"], InterfaceDraft(where=draft.where))
    if match["how"] == "dhcp":
        draft.interface.set["mgmt"] = True
    return IFACE


@IFACE.on(r"address (?P<address>\S+/\d+)")
def _address(draft: Draft, match: re.Match[str]) -> None:
    afi = Afi.IPV6 if ":" in match["address"] else Afi.IPV4
    found = with_length(draft, match["address"], afi)
    (here(draft).ipv6 if afi is Afi.IPV6 else here(draft).ipv4).append(found)


@IFACE.on(r"mtu (?P<mtu>\d+)")
def _mtu(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["mtu"] = int(match["mtu"])


@IFACE.on(r"alias (?P<text>.+)")
def _alias(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set.setdefault("description", match["text"])


@IFACE.on(r"link-down yes")
def _down(draft: Draft, _match: re.Match[str]) -> None:
    here(draft).set["shutdown"] = True


@TOP.on(r"[A-Za-z][\w.-]*")
def _name(draft: Draft, match: re.Match[str]) -> None:
    """A word alone in the first line is the switch's name."""
    if draft.where.line != 1:
        raise Verdict("", LineClass.UNKNOWN)
    draft.hostname = match[0]


@TOP.on(r"hostname (?P<name>\S+)")
def _hostname(draft: Draft, match: re.Match[str]) -> None:
    """FRR may call itself something else; the switch's own name counts."""
    draft.hostname = draft.hostname or match["name"]


TOP.defaulted("ifupdown", r"auto \S+", r"allow-hotplug \S+")
TOP.irrelevant("ifupdown", r"source /etc/network/interfaces\.d/\S+")
IFACE.irrelevant("ifupdown", r"link-(speed|duplex|autoneg) \S+")
IFACE.unsupported(
    "interface-feature",
    r"(bridge|bond|clag|vlan|vxlan|vrf|mstpctl|hwaddress|address-virtual|gateway|up|down|pre-up|post-up|post-down|ip)[-\w]* .+",
)
