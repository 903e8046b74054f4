"""`router bgp` and `router ospf` as EOS has them."""

from __future__ import annotations

import re

from labctl.ingest import obfuscated
from labctl.ingest.commands import Approximated, Commands, Unsupported
from labctl.ingest.draft import Draft, area, host, prefix
from labctl.ingest.frr.bgp import here, peer_here
from labctl.ingest.frr.ospf import here as ospf_here
from labctl.ingest.ios import bgp as ios_bgp
from labctl.ingest.ios import ospf as ios_ospf
from labctl.ingest.ios.bgp import BGP as IOS_BGP
from labctl.ingest.ios.bgp import FAMILY as IOS_FAMILY
from labctl.ingest.ios.bgp import OTHER_FAMILY
from labctl.ingest.ios.ospf import OSPF as IOS_OSPF
from labctl.model.policy import Afi
from labctl.model.routing import BgpAggregate, OspfNetwork, Redistribution

BGP = Commands("bgp", base=IOS_BGP)
FAMILY = Commands("bgp-family", base=IOS_FAMILY)
OSPF = Commands("ospf", base=IOS_OSPF)

_PEER = r"neighbor (?P<peer>\S+)"


def open_bgp(draft: Draft, asn: int) -> Commands:
    ios_bgp.open_bgp(draft, asn)
    return BGP


def open_ospf(draft: Draft, process: str) -> Commands:
    ios_ospf.open_ospf(draft, process)
    return OSPF


# --- BGP ---


@BGP.on(r"(no )?neighbor (default|interface) .+")
@FAMILY.on(r"(no )?neighbor (default|interface) .+")
def _no_peer(_draft: Draft, match: re.Match[str]) -> None:
    """Words that stand where a peer's name would."""
    raise Unsupported("dynamic-peers" if match[2] == "interface" else "bgp-feature")


@BGP.on(rf"{_PEER} password (?P<type>\d\w?) (?P<secret>\S+)")
def _password(draft: Draft, match: re.Match[str]) -> None:
    """What EOS shows depends on the peer's name."""
    secret: str = match["secret"]
    if match["type"] == "7":
        secret = obfuscated.arista(secret, (f"{match['peer']}_passwd",))
    peer_here(draft, match["peer"]).set["password"] = draft.redactor.token(secret)


@BGP.on(r"address-family (?P<afi>ipv4|ipv6)")
def _family(draft: Draft, match: re.Match[str]) -> Commands:
    draft.afi = Afi(match["afi"])
    return FAMILY


BGP.unsupported("address-family", r"(vrf|vlan|vlan-aware-bundle) .+", act=lambda _draft, _match: OTHER_FAMILY)


@BGP.on(r"router-id (?P<id>\S+)")
def _router_id(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["router_id"] = host(draft, match["id"], Afi.IPV4)


@BGP.on(rf"{_PEER} peer group (?P<group>\S+)")
def _member(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["group"]).is_group = True
    peer_here(draft, match["peer"]).group = match["group"]


@BGP.on(rf"{_PEER} peer group")
def _group(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).is_group = True


@BGP.on(
    rf"{_PEER} maximum-(routes|accepted-routes) (?P<value>\d+)(?P<warning> warning-only| warning-limit .+)?"
)
@FAMILY.on(
    rf"{_PEER} maximum-(routes|accepted-routes) (?P<value>\d+)(?P<warning> warning-only| warning-limit .+)?"
)
def _maximum_routes(draft: Draft, match: re.Match[str]) -> None:
    """0: as many as there are."""
    if match["warning"]:
        raise Unsupported("maximum-prefix-warning")
    peer_here(draft, match["peer"]).family(draft.afi)["maximum_prefix"] = int(match["value"]) or None


@BGP.on(rf"{_PEER} send-community(?P<kinds>( standard| extended| large)*)")
def _send_community(draft: Draft, match: re.Match[str]) -> None:
    kinds = match["kinds"].split() or ["standard", "extended", "large"]
    words = {"standard": "send_community", "extended": "send_ext_community", "large": "send_large_community"}
    for afi in Afi:
        peer_here(draft, match["peer"]).family(afi).update({words[kind]: True for kind in kinds})


@BGP.on(r"maximum-paths (?P<paths>\d+)( ecmp \d+)?")
def _max_paths(draft: Draft, match: re.Match[str]) -> None:
    """One number for all peers, in all families."""
    for family in here(draft).families.values():
        family.set |= {"max_paths_ebgp": int(match["paths"]), "max_paths_ibgp": int(match["paths"])}


@BGP.on(r"distance bgp (?P<ebgp>\d+)( (?P<ibgp>\d+) (?P<local>\d+))?")
def _distance(draft: Draft, match: re.Match[str]) -> None:
    for family in here(draft).families.values():
        family.set |= {
            f"distance_{kind}": int(match[kind] or match["ebgp"]) for kind in ("ebgp", "ibgp", "local")
        }


@BGP.on(
    r"redistribute (?P<source>connected|static|ospf( match internal)?|isis)( include leaked)?( route-map (?P<map>\S+))?"
)
@FAMILY.on(
    r"redistribute (?P<source>connected|static|ospf( match internal)?|isis)( include leaked)?( route-map (?P<map>\S+))?"
)
def _redistribute(draft: Draft, match: re.Match[str]) -> None:
    source, *types = match["source"].split()
    here(draft).families[draft.afi].redistribute[source] = Redistribution(
        source=source,
        route_map=match["map"] or "",
        ospf_types=("internal",) if types else (),
        where=draft.where,
    )


@BGP.on(r"aggregate-address (?P<prefix>\S+/\d+)(?P<options>( as-set| summary-only| attribute-map \S+)*)")
@FAMILY.on(r"aggregate-address (?P<prefix>\S+/\d+)(?P<options>( as-set| summary-only| attribute-map \S+)*)")
def _aggregate(draft: Draft, match: re.Match[str]) -> None:
    found, words = prefix(draft, match["prefix"], draft.afi), match["options"].split()
    here(draft).families[draft.afi].aggregates[found] = BgpAggregate(
        prefix=found,
        as_set="as-set" in words,
        summary_only="summary-only" in words,
        route_map=words[words.index("attribute-map") + 1] if "attribute-map" in words else "",
        of_table=True,
        where=draft.where,
    )


for _context in (BGP, FAMILY):
    _context.defaulted(
        "bgp-default", r"(no )?bgp default ipv4-unicast transport ipv6", r"no bgp additional-paths .+"
    )
    _context.unsupported(
        "bgp-feature",
        r"(update|ucmp|graceful-restart|rpki|monitoring|dynamic|bgp|neighbor|route|shutdown|address|link-state) ?.*",
    )


# --- OSPF ---


@OSPF.on(r"network (?P<prefix>\S+/\d+) area (?P<area>\S+)")
def _network(draft: Draft, match: re.Match[str]) -> None:
    found = OspfNetwork(
        prefix=prefix(draft, match["prefix"], Afi.IPV4), area=area(draft, match["area"]), where=draft.where
    )
    ospf_here(draft).networks.append(found)


@OSPF.on(r"redistribute (?P<source>connected|static|bgp|isis)( include leaked)?( route-map (?P<map>\S+))?")
def _redistribute_ospf(draft: Draft, match: re.Match[str]) -> None:
    ospf_here(draft).redistribute[match["source"]] = Redistribution(
        source=match["source"], metric_type=2, route_map=match["map"] or "", where=draft.where
    )


@OSPF.on(r"bfd default")
def _bfd(draft: Draft, _match: re.Match[str]) -> None:
    ospf_here(draft).set["bfd_everywhere"] = True


@OSPF.on(r"timers (spf delay initial|throttle spf) (?P<first>\d+) (?P<hold>\d+) (?P<most>\d+)")
def _timers(draft: Draft, match: re.Match[str]) -> None:
    ospf_here(draft).set |= {
        "spf_delay_ms": int(match["first"]),
        "spf_hold_ms": int(match["hold"]),
        "spf_max_hold_ms": int(match["most"]),
    }


@OSPF.on(r"max-metric router-lsa( .+)")
def _max_metric(_draft: Draft, _match: re.Match[str]) -> None:
    raise Unsupported("max-metric-when")


@OSPF.on(r"point-to-point routes")
def _routes(_draft: Draft, _match: re.Match[str]) -> None:
    raise Approximated("ospf-default")


OSPF.irrelevant("overload-guard", r"max-lsa \d+.*")
