"""`router bgp` as IOS has it."""

from __future__ import annotations

import re
from collections.abc import Callable

from labctl.ingest.commands import Act, Approximated, Commands, Unsupported
from labctl.ingest.draft import Draft, host, prefix
from labctl.ingest.frr import bgp as frr_bgp
from labctl.ingest.frr.bgp import BGP as FRR_BGP
from labctl.ingest.frr.bgp import FAMILY as FRR_FAMILY
from labctl.ingest.frr.bgp import family_here, here, in_family, peer_here
from labctl.ingest.ios.interface import clear
from labctl.model.account import LineClass
from labctl.model.policy import Afi
from labctl.model.routing import AddPath, BgpAggregate, BgpNetwork, LocalAs, Redistribution

BGP = Commands("bgp", base=FRR_BGP)
FAMILY = Commands("bgp-family", base=FRR_FAMILY)
#: VPN, multicast and layer-2 families, and those of a VRF.
OTHER_FAMILY = Commands("address-family", swallow=LineClass.UNSUPPORTED)
TEMPLATE = Commands("bgp-template")

_PEER = r"neighbor (?P<peer>\S+)"
_NO_PEER = r"(?P<no>no )?neighbor (?P<peer>\S+)"


def open_bgp(draft: Draft, asn: int) -> Commands:
    frr_bgp.open_bgp(draft, asn)
    return BGP


def both(pattern: str) -> Callable[[Act], Act]:
    """Old configurations have the IPv4 family directly below `router bgp`."""

    def add(act: Act) -> Act:
        return FAMILY.on(pattern)(BGP.on(pattern)(act))

    return add


# --- contexts ---


@BGP.on(r"address-family (?P<afi>ipv4|ipv6)( unicast)?")
def _open_family(draft: Draft, match: re.Match[str]) -> Commands:
    draft.afi = Afi(match["afi"])
    return FAMILY


BGP.unsupported("address-family", r"address-family .+", act=lambda _draft, _match: OTHER_FAMILY)


@BGP.on(r"template peer-(?P<kind>session|policy) (?P<name>\S+)")
def _template(draft: Draft, match: re.Match[str]) -> Commands:
    name = _template_name(match["kind"], match["name"])
    peer_here(draft, name).is_group = True
    draft.entry = name, 0
    draft.afi = Afi.IPV4
    return TEMPLATE


def _template_name(kind: str, name: str) -> str:
    return f"{kind}/{name}"


@TEMPLATE.on(r"inherit peer-(?P<kind>session|policy) (?P<name>\S+)( \d+)?")
def _template_inherits(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, draft.entry[0]).templates.append(_template_name(match["kind"], match["name"]))


@TEMPLATE.on(r"(?P<no>no )?(?P<line>(?!neighbor|inherit|exit)\S.*)")
def _template_line(draft: Draft, match: re.Match[str]) -> None:
    """A template's line is a peer's without the words `neighbor X`."""
    line = f"{match['no'] or ''}neighbor {draft.entry[0]} {match['line']}"
    for rule, found in filter(None, (FAMILY.find(line), BGP.find(line))):
        if rule.cls is LineClass.MODELLED:
            rule.act(draft, found)
            return
    raise Unsupported("template-setting")


# --- peers ---


@both(rf"{_PEER} inherit peer-(?P<kind>session|policy) (?P<name>\S+)( \d+)?")
def _inherit(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).templates.append(_template_name(match["kind"], match["name"]))


@both(rf"{_PEER} peer-group (?P<group>\S+)")
def _member(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["group"]).is_group = True
    peer_here(draft, match["peer"]).group = match["group"]


@both(rf"{_PEER} peer-group")
def _group(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).is_group = True


@BGP.on(rf"{_PEER} remote-as (?P<asn>\d+)")
def _remote_as(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["remote_as"] = int(match["asn"])


@BGP.on(rf"{_PEER} password( (?P<type>\d))? (?P<secret>\S+)")
def _password(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["password"] = draft.redactor.token(clear(match))


@BGP.on(rf"{_PEER} timers (?P<keepalive>\d+) (?P<hold>\d+)( \d+)?")
def _timers(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set |= {
        "keepalive_s": int(match["keepalive"]),
        "hold_s": int(match["hold"]),
    }


@BGP.on(r"(?P<no>no )?bgp fast-external-fallover")
def _fast_fallover(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["fast_external_failover"] = not match["no"]


@BGP.on(rf"{_PEER} fall-over bfd( (single|multi)-hop)?")
def _bfd(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["bfd"] = True


@BGP.on(rf"{_PEER} transport connection-mode (?P<mode>active|passive)")
def _passive(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["passive"] = match["mode"] == "passive"


@BGP.on(
    rf"{_PEER} local-as (?P<asn>\d+)(?P<no_prepend> no-prepend)?(?P<replace> replace-as)?(?P<dual> dual-as)?"
)
def _local_as(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["local_as"] = LocalAs(
        asn=int(match["asn"]), no_prepend=bool(match["no_prepend"]), replace_as=bool(match["replace"])
    )
    if match["dual"]:
        raise Approximated("dual-as")


@both(
    rf"{_PEER} maximum-(prefix|routes) (?P<value>\d+)( (?P<percent>\d+))?(?P<warning> warning-only)?( restart \d+)?"
)
def _maximum_prefix(draft: Draft, match: re.Match[str]) -> None:
    if match["warning"]:
        raise Unsupported("maximum-prefix-warning")
    in_family(draft, match)["maximum_prefix"] = int(match["value"])


@both(rf"{_PEER} remove-private-[aA][sS] all( replace-[aA][sS])?")
def _remove_private(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match)["remove_private_as"] = True
    raise Approximated("remove-private-as-all")


@both(rf"{_PEER} advertise additional-paths (?P<which>all|best \d+|group-best)( .+)?")
def _advertise_paths(draft: Draft, match: re.Match[str]) -> None:
    all_of_them = match["which"] == "all"
    in_family(draft, match)["addpath_send"] = AddPath.ALL if all_of_them else AddPath.BEST_PER_AS
    if not all_of_them:
        raise Approximated("add-path-selection")


@both(rf"{_PEER} additional-paths (?P<what>disable|send|receive|send receive)")
def _peer_paths(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match)["addpath_receive"] = "receive" in match["what"]


@both(r"bgp additional-paths (?P<what>send|receive|send receive)")
def _family_paths(draft: Draft, match: re.Match[str]) -> None:
    family_here(draft).peers["addpath_receive"] = "receive" in match["what"]


@both(r"bgp additional-paths select (?P<which>all|best \d+|group-best|backup)( .+)?")
def _select_paths(_draft: Draft, match: re.Match[str]) -> None:
    """Which paths are candidates for being sent: what is sent of them stands at each peer."""
    if match["which"] != "all":
        raise Approximated("add-path-selection")


# --- what the process originates ---


@both(
    r"network (?P<address>[\d.]+)( mask (?P<mask>[\d.]+))?( route-map (?P<map>\S+))?(?P<backdoor> backdoor)?"
)
def _network(draft: Draft, match: re.Match[str]) -> None:
    if match["backdoor"]:
        raise Unsupported("backdoor")
    length = match["mask"] or _class_length(host(draft, match["address"], Afi.IPV4))
    found = prefix(draft, f"{match['address']}/{length}", Afi.IPV4)
    family_here(draft).networks[found] = BgpNetwork(
        prefix=found, route_map=match["map"] or "", where=draft.where
    )


def _class_length(address: str) -> int:
    """The length that a network has by its class, where no mask is given."""
    first = int(address.partition(".")[0])
    return 8 if first < 128 else 16 if first < 192 else 24


@both(
    r"aggregate-address (?P<address>[\d.]+) (?P<mask>[\d.]+)"
    r"(?P<options>( as-set| summary-only| (route|attribute|suppress|advertise)-map \S+)*)"
)
def _aggregate(draft: Draft, match: re.Match[str]) -> None:
    found, words = prefix(draft, f"{match['address']}/{match['mask']}", Afi.IPV4), match["options"].split()

    def after(*keys: str) -> str:
        return next((words[words.index(key) + 1] for key in keys if key in words), "")

    family_here(draft).aggregates[found] = BgpAggregate(
        prefix=found,
        as_set="as-set" in words,
        summary_only="summary-only" in words,
        route_map=after("route-map", "attribute-map"),
        suppress_map=after("suppress-map"),
        where=draft.where,
    )
    if "advertise-map" in words:
        raise Approximated("advertise-map")


@both(
    r"redistribute (?P<source>connected|static|rip|ospf \d+|isis( (?!metric|route-map|level|clns|ip)\S+)?)"
    r"(?P<options>( metric \d+| route-map \S+| match( internal| external( [12])?| nssa-external( [12])?)+| level-[12]| level-1-2)*)"
)
def _redistribute(draft: Draft, match: re.Match[str]) -> None:
    """Of OSPF, IOS takes internal routes unless told, and with them the networks that its interfaces have there.

    That is documented, for IPv4; IPv6 has `include-connected` for it. No recording here shows it or speaks against it.
    """
    source, words = match["source"].split()[0], match["options"].split()

    def after(word: str) -> str:
        return words[words.index(word) + 1] if word in words else ""

    types = tuple(
        dict.fromkeys(
            w.removeprefix("nssa-") for w in words if w in ("internal", "external", "nssa-external")
        )
    )
    ospf = source == "ospf"
    family_here(draft).redistribute[source] = Redistribution(
        source=source,
        metric=int(after("metric")) if "metric" in words else None,
        route_map=after("route-map"),
        ospf_types=() if set(types) == {"internal", "external"} else (types or ("internal",)) if ospf else (),
        with_connected=ospf and draft.afi is Afi.IPV4 and "internal" in (types or ("internal",)),
        where=draft.where,
    )


@both(r"maximum-paths (?P<which>ibgp |eibgp )?(?P<paths>\d+)( import \d+)?")
def _max_paths(draft: Draft, match: re.Match[str]) -> None:
    which = (match["which"] or "ebgp").strip()
    for kind in ("ebgp", "ibgp") if which == "eibgp" else (which,):
        family_here(draft).set[f"max_paths_{kind}"] = int(match["paths"])


for _context in (BGP, FAMILY):
    _context.defaulted(
        "bgp-default",
        r"no (auto-summary|synchronization)",
        rf"{_PEER} version 4",
        rf"{_PEER} transport path-mtu-discovery( disable)?",
        r"bgp (client-to-client reflection|enforce-first-as)",
    )
    _context.irrelevant("logging", r"(no )?bgp log-neighbor-changes( detail)?")
    _context.unsupported(
        "bgp-feature",
        r"(auto-summary|synchronization)",
        r"(redistribute|network|aggregate-address|maximum-paths|default-information|default-metric|distance|neighbor|"
        r"table-map|snmp|scope|import|export|bgp|no bgp|no neighbor|distribute-list|timers) ?.*",
    )
