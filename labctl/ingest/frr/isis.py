"""`router isis`, and what IS-IS does on an interface."""

from __future__ import annotations

import re

from labctl.ingest.commands import Commands
from labctl.ingest.draft import Draft, InterfaceDraft, IsisDraft
from labctl.model.isis import IsisLevel

ISIS = Commands("isis")

LEVELS = {
    "level-1": IsisLevel.ONE,
    "level-2": IsisLevel.TWO,
    "level-2-only": IsisLevel.TWO,
    "level-1-2": IsisLevel.BOTH,
}


def open_isis(draft: Draft, tag: str) -> Commands:
    draft.isis = draft.isis or IsisDraft(where=draft.where, tag=tag)
    return ISIS


def _here(draft: Draft) -> IsisDraft:
    assert draft.isis is not None
    return draft.isis


@ISIS.on(r"net (?P<net>[\da-fA-F]{2}(\.[\da-fA-F]{4})*(\.[\da-fA-F]{4}){3}\.00)")
def _net(draft: Draft, match: re.Match[str]) -> None:
    _here(draft).net.append(match["net"].lower())


@ISIS.on(r"is-type (?P<level>level-1|level-1-2|level-2-only)")
def _level(draft: Draft, match: re.Match[str]) -> None:
    _here(draft).set["level"] = LEVELS[match["level"]]


@ISIS.on(r"metric-style (?P<style>narrow|wide)")
def _style(draft: Draft, match: re.Match[str]) -> None:
    _here(draft).set["wide"] = match["style"] == "wide"


@ISIS.on(r"(?P<no>no )?set-overload-bit")
def _overload(draft: Draft, match: re.Match[str]) -> None:
    _here(draft).set["overload"] = not match["no"]


@ISIS.on(r"(?P<no>no )?passive-interface (?P<name>\S+)")
def _passive(draft: Draft, match: re.Match[str]) -> None:
    """Cisco's: an interface that is passive takes part, also without `ip router isis`."""
    if match["name"] == "default":
        _here(draft).passive_default = not match["no"]
        return
    found = draft.interfaces.setdefault(match["name"], InterfaceDraft(where=draft.where))
    found.isis |= {"ipv4": True, "passive": True} if not match["no"] else {"passive": False}


ISIS.irrelevant("logging", r"(no )?log-adjacency-changes( all)?", r"(no )?hostname dynamic", r"log-pdu-drops")
ISIS.unsupported(
    "isis-feature",
    r"(no )?(redistribute|default-information|area-password|domain-password|authentication|lsp-\S+|spf-\S+|prc-interval|"
    r"max-lsp-lifetime|maximum-paths|address-family|multi-topology|metric|metric-style|topology|segment-routing|mpls|"
    r"summary-address|set-overload-bit|set-attached-bit|attached-bit|nsf|fast-flood|bfd|distance|ispf|fast-reroute|"
    r"advertise|protocol|is-hostname|purge-originator|adjacency-check|exit-address-family|distribute-list) ?.*",
)


def add_interface(interface: Commands) -> None:
    """Put the interface's commands into its context."""

    def here(draft: Draft) -> InterfaceDraft:
        assert draft.interface is not None
        return draft.interface

    @interface.on(r"(?P<afi>ip|ipv6) router isis( (?P<tag>\S+))?")
    def runs(draft: Draft, match: re.Match[str]) -> None:
        here(draft).isis["ipv6" if match["afi"] == "ipv6" else "ipv4"] = True

    @interface.on(r"isis circuit-type (?P<level>level-1|level-1-2|level-2(-only)?)")
    def circuit(draft: Draft, match: re.Match[str]) -> None:
        here(draft).isis["level"] = LEVELS[match["level"]]

    @interface.on(r"isis metric (?P<metric>\d+)( (?P<level>level-[12]))?")
    @interface.on(r"isis metric (?P<level>level-[12]) (?P<metric>\d+)")
    def metric(draft: Draft, match: re.Match[str]) -> None:
        levels = [match["level"]] if match["level"] else ["level-1", "level-2"]
        here(draft).isis |= {f"metric_{level[-1]}": int(match["metric"]) for level in levels}

    @interface.on(r"isis network point-to-point")
    def point_to_point(draft: Draft, _match: re.Match[str]) -> None:
        here(draft).isis["point_to_point"] = True

    @interface.on(r"(?P<no>no )?isis passive")
    def passive(draft: Draft, match: re.Match[str]) -> None:
        here(draft).isis["passive"] = not match["no"]

    for words, key in (
        ("hello-interval", "hello_s"),
        ("hello-multiplier", "hello_multiplier"),
        ("priority", "priority"),
    ):
        _number(interface, words, key)


def _number(interface: Commands, words: str, key: str) -> None:
    @interface.on(rf"isis {words} (?P<value>\d+)")
    def act(draft: Draft, match: re.Match[str]) -> None:
        assert draft.interface is not None
        draft.interface.isis[key] = int(match["value"])
