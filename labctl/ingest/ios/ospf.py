"""`router ospf` as IOS has it."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from labctl.ingest.commands import Approximated, Commands, Unsupported
from labctl.ingest.draft import Draft, area, host, prefix
from labctl.ingest.frr import ospf as frr_ospf
from labctl.ingest.frr.ospf import OSPF as FRR_OSPF
from labctl.ingest.frr.ospf import area_here, here
from labctl.model.policy import Afi
from labctl.model.routing import AreaKind, OspfRange, Redistribution

OSPF = Commands("ospf", base=FRR_OSPF)


def open_ospf(draft: Draft, process: str) -> Commands:
    """The first process is the one that is emulated: for a second one, FRR would need a second daemon."""
    if draft.ospf_process not in ("", process):
        raise Unsupported("second-ospf-process")
    draft.ospf_process = process
    frr_ospf.open_ospf(draft)
    return OSPF


@OSPF.on(r"network (?P<address>[\d.]+) (?P<wildcard>[\d.]+) area (?P<area>\S+)")
def _network(draft: Draft, match: re.Match[str]) -> None:
    """Kept with its mask, which may have holes; `build` finds out which interfaces are meant."""
    address, wildcard = (int(IPv4Address(host(draft, match[g], Afi.IPV4))) for g in ("address", "wildcard"))
    here(draft).wildcards.append((address & ~wildcard, wildcard, area(draft, match["area"])))


@OSPF.on(
    r"redistribute (?P<source>connected|static|rip|bgp \d+|isis( (?!subnets|metric|route-map|level)\S+)?)"
    r"(?P<options>( subnets| metric \d+| metric-type [12]| tag \d+| route-map \S+| level-[12]| level-1-2)*)"
)
def _redistribute(draft: Draft, match: re.Match[str]) -> None:
    source, words = match["source"].split()[0], match["options"].split()
    here(draft).redistribute[source] = Redistribution(
        source=source,
        metric=int(_after(words, "metric")) if "metric" in words else None,
        metric_type=int(_after(words, "metric-type") or 2),
        route_map=_after(words, "route-map"),
        classful="subnets" not in words,
        where=draft.where,
    )
    if "tag" in words:
        raise Approximated("redistribution-tag")


def _after(words: list[str], word: str) -> str:
    return words[words.index(word) + 1] if word in words else ""


@OSPF.on(
    r"area (?P<area>\S+) range (?P<address>[\d.]+) (?P<mask>[\d.]+)(?P<options>( advertise| not-advertise| cost \d+)*)"
)
def _range(draft: Draft, match: re.Match[str]) -> None:
    found = prefix(draft, f"{match['address']}/{match['mask']}", Afi.IPV4)
    words = match["options"].split()
    ranges = area_here(draft, match["area"]).ranges
    ranges[found] = OspfRange(
        prefix=found,
        advertise="not-advertise" not in words,
        cost=int(_after(words, "cost")) if "cost" in words else None,
        where=draft.where,
    )


@OSPF.on(r"summary-address (?P<address>[\d.]+) (?P<mask>[\d.]+)(?P<not> not-advertise)?( tag (?P<tag>\d+))?")
def _summary(draft: Draft, match: re.Match[str]) -> None:
    found = prefix(draft, f"{match['address']}/{match['mask']}", Afi.IPV4)
    here(draft).summaries[found] = OspfRange(prefix=found, advertise=not match["not"], where=draft.where)
    if match["tag"]:
        raise Approximated("summary-tag")


@OSPF.on(
    r"area (?P<area>\S+) nssa(?P<options>( no-summary| default-information-originate| no-redistribution)+)"
)
def _nssa(draft: Draft, match: re.Match[str]) -> None:
    found, words = area_here(draft, match["area"]), match["options"].split()
    found.set["kind"] = AreaKind.NSSA
    if "no-summary" in words:
        found.set["no_summary"] = True
    if words != ["no-summary"]:
        raise Approximated("nssa-option")


@OSPF.on(r"max-metric router-lsa")
def _max_metric(draft: Draft, _match: re.Match[str]) -> None:
    here(draft).set["max_metric"] = True


@OSPF.on(r"bfd all-interfaces")
def _bfd(draft: Draft, _match: re.Match[str]) -> None:
    here(draft).set["bfd_everywhere"] = True


@OSPF.on(r"area (?P<area>\S+) default-cost (?P<cost>\d+)")
def _default_cost(draft: Draft, match: re.Match[str]) -> None:
    found = area_here(draft, match["area"])
    found.set = found.set | {"default_cost": int(match["cost"])}


OSPF.defaulted(
    "ospf-default", r"no (auto-cost|compatible rfc1583|ispf|capability vrf-lite)", r"discard-route( .+)?"
)
OSPF.irrelevant("logging", r"(no )?log-adjacency-changes( detail)?", r"event-log .+")
OSPF.unsupported(
    "ospf-feature",
    r"redistribute .+",
    r"(no )?(ispf|nsf|nsr|prefix-suppression|snmp|fast-reroute|microloop|mpls|max-lsa|queue-depth|local-rib-criteria|"
    r"discard-route|limit|traffic-share|domain-id|domain-tag|priority|adjacency|interface-id|shutdown) ?.*",
)
