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
from labctl.ingest.frr.top import TOP as FRR_TOP
from labctl.ingest.parsers import Parsed
from labctl.ingest.redact import Redactor
from labctl.model.account import ConfigAccount, LineClass
from labctl.model.policy import Afi

_STANZA: Final = re.compile(rb"(?m)^iface \S+")

TOP = Commands("top", base=FRR_TOP)
IFACE = Commands("iface")


def is_cumulus(head: bytes) -> bool:
    return b"\0" not in head and _STANZA.search(head) is not None and b"ports.conf" in head


def parse(text: str, *, file: str, device: str, redactor: Redactor) -> Parsed:
    """The model and the account of every line; all errors of the file at once."""
    draft = Draft(file=file, device=device, redactor=redactor, where=Span(file))
    lines = walk(text, TOP, draft)
    config = build(draft)
    draft.problems.stop()
    return Parsed(config=config, account=ConfigAccount(device=device, lines=lines))


@TOP.on(r"iface (?P<name>\S+)( inet6?)?( (?P<how>static|loopback|dhcp|manual|auto))?")
def _iface(draft: Draft, match: re.Match[str]) -> Commands:
    draft.interface = draft.interfaces.setdefault(match["name"], InterfaceDraft(where=draft.where))
    if match["how"] == "dhcp":
        draft.interface.set["mgmt"] = True
    return IFACE


def _here(draft: Draft) -> InterfaceDraft:
    assert draft.interface is not None
    return draft.interface


@IFACE.on(r"address (?P<address>\S+/\d+)")
def _address(draft: Draft, match: re.Match[str]) -> None:
    afi = Afi.IPV6 if ":" in match["address"] else Afi.IPV4
    found = with_length(draft, match["address"], afi)
    (_here(draft).ipv6 if afi is Afi.IPV6 else _here(draft).ipv4).append(found)


@IFACE.on(r"mtu (?P<mtu>\d+)")
def _mtu(draft: Draft, match: re.Match[str]) -> None:
    _here(draft).set["mtu"] = int(match["mtu"])


@IFACE.on(r"alias (?P<text>.+)")
def _alias(draft: Draft, match: re.Match[str]) -> None:
    _here(draft).set.setdefault("description", match["text"])


@IFACE.on(r"link-down yes")
def _down(draft: Draft, _match: re.Match[str]) -> None:
    _here(draft).set["shutdown"] = True


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
