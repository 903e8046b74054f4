"""`router ospf`."""

from __future__ import annotations

import re
from dataclasses import replace

from labctl.ingest.commands import Commands, Unsupported
from labctl.ingest.draft import AreaDraft, Draft, InterfaceDraft, OspfDraft, area, host, masked, prefix
from labctl.model.policy import Afi
from labctl.model.routing import AreaKind, Auth, OspfDefault, OspfNetwork, OspfRange, Redistribution

OSPF = Commands("ospf")

PROTOCOLS = (
    r"kernel|connected|static|rip|ripng|ospf|ospf6|isis|bgp|eigrp|table|vnc|nhrp|openfabric|babel|sharp"
)


def open_ospf(draft: Draft) -> Commands:
    draft.ospf = draft.ospf or OspfDraft(where=draft.where)
    return OSPF


def here(draft: Draft) -> OspfDraft:
    assert draft.ospf is not None
    return draft.ospf


def area_here(draft: Draft, text: str) -> AreaDraft:
    return here(draft).areas.setdefault(area(draft, text), AreaDraft(where=draft.where))


@OSPF.on(r"(ospf )?router-id (?P<id>\S+)")
def _router_id(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["router_id"] = host(draft, match["id"], Afi.IPV4)


@OSPF.on(r"network (?P<prefix>\S+)( (?P<wildcard>[\d.]+))? area (?P<area>\S+)")
def _network(draft: Draft, match: re.Match[str]) -> None:
    if match["wildcard"]:
        found = masked(draft, match["prefix"], match["wildcard"])
        if found is None:
            raise Unsupported("mask-with-holes")
    else:
        found = prefix(draft, match["prefix"], Afi.IPV4)
    here(draft).networks.append(OspfNetwork(prefix=found, area=area(draft, match["area"]), where=draft.where))


@OSPF.on(r"(?P<no>no )?passive-interface (?P<name>\S+)")
def _passive(draft: Draft, match: re.Match[str]) -> None:
    if match["name"] == "default":
        here(draft).set["passive_default"] = not match["no"]
    else:
        here(draft).passive[match["name"]] = not match["no"]
        draft.interfaces.setdefault(match["name"], InterfaceDraft(where=draft.where))


@OSPF.on(r"auto-cost reference-bandwidth (?P<mbit>\d+)")
def _reference(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["reference_bandwidth_bps"] = int(match["mbit"]) * 10**6


@OSPF.on(r"timers throttle spf (?P<delay>\d+) (?P<hold>\d+) (?P<max>\d+)")
def _spf(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set |= {
        "spf_delay_ms": int(match["delay"]),
        "spf_hold_ms": int(match["hold"]),
        "spf_max_hold_ms": int(match["max"]),
    }


@OSPF.on(r"distance (?P<all>\d+)")
def _distance(draft: Draft, match: re.Match[str]) -> None:
    for kind in ("intra", "inter", "external"):
        here(draft).set.setdefault(f"distance_{kind}", int(match["all"]))


@OSPF.on(r"distance ospf(?P<kinds>( (intra-area|inter-area|external) \d+)+)")
def _distances(draft: Draft, match: re.Match[str]) -> None:
    words = match["kinds"].split()
    for kind, value in zip(words[::2], words[1::2], strict=True):
        here(draft).set[f"distance_{kind.removesuffix('-area')}"] = int(value)


@OSPF.on(r"maximum-paths (?P<paths>\d+)")
def _max_paths(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["max_paths"] = int(match["paths"])


@OSPF.on(r"default-metric (?P<metric>\d+)")
def _default_metric(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["default_metric"] = int(match["metric"])


@OSPF.on(r"(?P<no>no )?(ospf rfc1583compatibility|compatible rfc1583)")
def _rfc1583(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["rfc1583"] = not match["no"]


@OSPF.on(r"(?P<no>no )?max-metric router-lsa administrative")
def _max_metric(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["max_metric"] = not match["no"]


_OPTIONS = r"(?P<options>( metric \d+| metric-type [12]| route-map \S+)*)"


def _options(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


@OSPF.on(rf"redistribute (?P<source>{PROTOCOLS}){_OPTIONS}")
def _redistribute(draft: Draft, match: re.Match[str]) -> None:
    options = _options(match["options"])
    here(draft).redistribute[match["source"]] = Redistribution(
        source=match["source"],
        metric=int(options["metric"]) if "metric" in options else None,
        metric_type=int(options.get("metric-type", 2)),
        route_map=options.get("route-map", ""),
        where=draft.where,
    )


@OSPF.on(rf"default-information originate(?P<always> always)?{_OPTIONS}")
def _default(draft: Draft, match: re.Match[str]) -> None:
    options = _options(match["options"])
    here(draft).default = OspfDefault(
        always=bool(match["always"]),
        metric=int(options["metric"]) if "metric" in options else None,
        metric_type=int(options.get("metric-type", 2)),
        route_map=options.get("route-map", ""),
        where=draft.where,
    )


@OSPF.on(r"area (?P<area>\S+) (?P<kind>stub|nssa)(?P<no_summary> no-summary)?")
def _kind(draft: Draft, match: re.Match[str]) -> None:
    found = area_here(draft, match["area"])
    found.set["kind"] = AreaKind(match["kind"])
    if match["no_summary"]:
        found.set["no_summary"] = True


@OSPF.on(r"area (?P<area>\S+) default-cost (?P<cost>\d+)")
def _default_cost(draft: Draft, match: re.Match[str]) -> None:
    area_here(draft, match["area"]).set["default_cost"] = int(match["cost"])


@OSPF.on(r"area (?P<area>\S+) authentication(?P<md5> message-digest)?")
def _authentication(draft: Draft, match: re.Match[str]) -> None:
    area_here(draft, match["area"]).set["auth"] = Auth.MD5 if match["md5"] else Auth.TEXT


@OSPF.on(
    r"area (?P<area>\S+) range (?P<prefix>\S+)(?P<not> not-advertise)?( (advertise ?)?(cost (?P<cost>\d+))?)?"
    r"( ?substitute (?P<instead>\S+))?"
)
def _range(draft: Draft, match: re.Match[str]) -> None:
    ranges = area_here(draft, match["area"]).ranges
    found = prefix(draft, match["prefix"], Afi.IPV4)
    known = ranges.get(found) or OspfRange(prefix=found, where=draft.where)
    if match["not"]:
        known = replace(known, advertise=False)
    if match["cost"]:
        known = replace(known, cost=int(match["cost"]))
    if match["instead"]:
        known = replace(known, substitute=prefix(draft, match["instead"], Afi.IPV4))
    ranges[found] = known


@OSPF.on(r"summary-address (?P<prefix>\S+/\d+)(?P<not> no-advertise)?")
def _summary(draft: Draft, match: re.Match[str]) -> None:
    found = prefix(draft, match["prefix"], Afi.IPV4)
    here(draft).summaries[found] = OspfRange(prefix=found, advertise=not match["not"], where=draft.where)


@OSPF.on(r"area (?P<area>\S+) filter-list prefix (?P<name>\S+) (?P<way>in|out)")
def _filter(draft: Draft, match: re.Match[str]) -> None:
    area_here(draft, match["area"]).set[f"filter_{match['way']}"] = match["name"]


@OSPF.on(r"area (?P<area>\S+) virtual-link (?P<peer>[\d.]+)")
def _virtual_link(draft: Draft, match: re.Match[str]) -> None:
    area_here(draft, match["area"]).virtual_links.append(host(draft, match["peer"], Afi.IPV4))


OSPF.irrelevant("logging", r"log-adjacency-changes( detail)?", r"no log-adjacency-changes.*")
OSPF.irrelevant(
    "default-kept", r"no (capability opaque|mpls-te.*|router-info.*)", r"ospf send-extra-data zebra"
)
OSPF.unsupported(
    "ospf-feature",
    r"area \S+ (virtual-link|shortcut|export-list|import-list|nssa|flood-reduction|range|filter-list) .*",
    r"(ospf )?(abr-type|opaque-lsa|write-multiplier|graceful-restart|capability opaque).*",
    r"(capability|mpls-te|router-info|segment-routing|graceful-restart|neighbor|refresh|timers|distribute-list|max-metric|"
    r"write-multiplier|summary-address|aggregation|proactive-arp|fast-reroute|flood-reduction|maximum-paths|bfd|"
    r"distance|redistribute|passive-interface|network|default-information|aggregation|mpls) ?.*",
)
