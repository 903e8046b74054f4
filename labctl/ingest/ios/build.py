"""IOS's defaults, and what IOS makes of the whole file.

Where they come from. *Recorded*, in the state of real routers that the corpus holds: an undefined route-map at a peer
denies everything; a peer's timers (60 and 180 s) and its advertisement interval (30 s outside, 0 inside). *Documented*
by Cisco, and not contradicted by what was recorded: all other numbers. *Assumed*, from documentation and from what
users tell, and in no recording here: an undefined list lets all through, at a peer and in a condition of a route-map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Interface

from labctl.ingest import standard
from labctl.ingest.assemble import Defaults, assemble
from labctl.ingest.draft import Draft, OspfDraft, Overrides
from labctl.ingest.ios.interface import kind_of, nominal_bps
from labctl.ingest.ios.routes import route_lists
from labctl.model.account import LineClass
from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind
from labctl.model.filters import NatRule, PacketFilter
from labctl.model.policy import Action, UndefinedPolicies
from labctl.model.routing import OspfConfig

#: route_map is recorded, the others are assumed.
IOS_UNDEFINED = UndefinedPolicies(
    route_map=Action.DENY,
    prefix_list=Action.PERMIT,
    access_list=Action.PERMIT,
    as_path_list=Action.PERMIT,
    match=Action.PERMIT,
)
OSPF_PROCESS: Overrides = standard.OSPF_PROCESS | {
    "reference_bandwidth_bps": 100 * 10**6,
    "max_paths": 4,
    "rfc1583": True,
    "cost_rounds_down": True,
}
BGP_PROCESS: Overrides = standard.BGP_PROCESS | {
    "ebgp_requires_policy": False,
    "network_import_check": True,
    "suppress_duplicates": True,
    "graceful_restart": "off",
}
BGP_FAMILY: Overrides = standard.BGP_DISTANCES | {"max_paths_ebgp": 1, "max_paths_ibgp": 1}
PEER: Overrides = standard.PEER | {"enforce_first_as": True}
EXTERNAL_PEER: Overrides = {"advertisement_interval_s": 30}
PEER_FAMILY: Overrides = standard.PEER_FAMILY | {
    "send_community": False,
    "send_ext_community": False,
    "send_large_community": False,
    "addpath_receive": False,
}


def defaults(draft: Draft) -> Defaults:
    """IOS-XE 16 brought quicker SPF timers (documented)."""
    delay, hold, most = (50, 200, 5000) if draft.version >= (16,) else (5000, 10000, 10000)
    return Defaults(
        dialect="ios",
        undefined=IOS_UNDEFINED,
        kind_of=kind_of,
        ospf_interface=standard.OSPF_INTERFACE,
        ospf_process=OSPF_PROCESS | {"spf_delay_ms": delay, "spf_hold_ms": hold, "spf_max_hold_ms": most},
        area=standard.AREA,
        best_path=standard.BEST_PATH,
        bgp_process=BGP_PROCESS,
        bgp_family=BGP_FAMILY,
        peer=PEER,
        external_peer=EXTERNAL_PEER,
        peer_family=PEER_FAMILY,
    )


def build(draft: Draft) -> DeviceConfig:
    """The model of an IOS file."""
    _nominal_speeds(draft)
    bfd = draft.ospf is not None and bool(draft.ospf.set.pop("bfd_everywhere", False))
    config = assemble(draft, defaults(draft))
    return completed(config, draft, bfd=bfd)


def completed(
    config: DeviceConfig, draft: Draft, *, bfd: bool = False, external_metric: int = 20
) -> DeviceConfig:
    """What needs the whole file: areas of interfaces, metrics of redistribution, access lists as route filters."""
    if draft.ospf and config.ospf:
        found = draft.ospf
        config = replace(
            config,
            interfaces=tuple(_placed(i, found, bfd=bfd) for i in config.interfaces),
            ospf=_with_metrics(config.ospf, external_metric),
        )
    filters = tuple(
        PacketFilter(name=name, entries=tuple(entries), where=entries[0].where)
        for name, entries in draft.filters.items()
        if entries
    )
    for name in draft.torn_filters:
        for entry in draft.filters.get(name, ()):
            draft.verdicts[entry.where] = (LineClass.APPROXIMATED, "entry-lost")
    config = replace(config, packet_filters=filters, nat=tuple(_nat(draft)))
    return replace(config, access_lists=(*config.access_lists, *route_lists(config, draft)))


def _nat(draft: Draft) -> Iterator[NatRule]:
    """Pools become addresses; a rule that names a pool which is nowhere defined translates nothing."""
    for rule in draft.nat:
        if rule.outside_first in draft.pools:
            first, last = draft.pools[rule.outside_first]
            yield replace(rule, outside_first=first, outside_last=last)
        elif rule.interface or rule.inside:
            yield rule
        else:
            draft.verdicts[rule.where] = (LineClass.UNSUPPORTED, "nat-pool-undefined")


def _nominal_speeds(draft: Draft) -> None:
    for name, found in draft.interfaces.items():
        speed = nominal_bps(name.partition(".")[0])
        if kind_of(name) is InterfaceKind.LAG:
            members = [n for n, i in draft.interfaces.items() if i.set.get("lag") == name]
            speed = sum(nominal_bps(n) or 0 for n in members) or speed
        found.set["nominal_bps"] = speed


def _placed(interface: InterfaceConfig, process: OspfDraft, *, bfd: bool) -> InterfaceConfig:
    """The area that the `network` lines give: the address' own, the most specific line first."""
    ospf = interface.ospf
    if ospf is None:
        return interface
    area = ospf.area
    for address in interface.ipv4 if area is None else ():
        number = int(IPv4Interface(address).ip)
        fits = [(w.bit_count(), n) for n, (a, w, _) in enumerate(process.wildcards) if number & ~w == a]
        if fits:
            area = process.wildcards[min(fits)[1]][2]
            break
    return replace(interface, ospf=replace(ospf, area=area, bfd=ospf.bfd or (bfd and area is not None)))


def _with_metrics(process: OspfConfig, external: int) -> OspfConfig:
    """What is redistributed without a metric has the process' own, else 1 from BGP and the vendor's from others.

    Documented for IOS (20). For EOS the 1 is recorded, the 10 of other sources is assumed.
    """

    def metric(source: str) -> int:
        return process.default_metric or (1 if source == "bgp" else external)

    sources = tuple(
        replace(r, metric=metric(r.source)) if r.metric is None else r for r in process.redistribute
    )
    return replace(process, redistribute=sources)
