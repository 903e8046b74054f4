"""From a draft to the model: FRR's defaults filled in, peer-groups resolved, spellings normalised.

Sources of the numbers: FRR's own `show` output (8.4) and its defaults table, which depends on `frr version` and on
`frr defaults traditional|datacenter`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labctl.errors import Span
from labctl.ingest.frr.draft import BgpDraft, Draft, InterfaceDraft, OspfDraft, Overrides, PeerDraft
from labctl.ingest.frr.interface import kind_of
from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind
from labctl.model.policy import (
    NOWHERE,
    AccessList,
    Action,
    Afi,
    AsPathList,
    CommunityList,
    PrefixList,
    RouteMap,
    UndefinedPolicies,
)
from labctl.model.routing import (
    AreaKind,
    Auth,
    BestPath,
    BgpConfig,
    BgpFamily,
    BgpNeighbor,
    KeyToken,
    NeighborFamily,
    NextHopSelf,
    OspfArea,
    OspfConfig,
    OspfInterface,
    OspfNetworkType,
)

#: FRR denies what it cannot find, and a condition on an undefined list does not hold.
FRR_UNDEFINED = UndefinedPolicies(
    route_map=Action.DENY,
    prefix_list=Action.DENY,
    access_list=Action.DENY,
    as_path_list=Action.DENY,
    match=Action.DENY,
)
#: ECMP width of the builds that Debian and frrouting.org ship.
MULTIPATH = 256

OSPF_INTERFACE: Overrides = {
    "area": None,
    "cost": None,
    "hello_s": 10,
    "dead_s": 40,
    "hello_multiplier": None,
    "retransmit_s": 5,
    "transmit_delay_s": 1,
    "priority": 1,
    "mtu_ignore": False,
    "bfd": False,
}
OSPF_PROCESS: Overrides = {
    "reference_bandwidth_bps": 100_000 * 10**6,
    "spf_delay_ms": 0,
    "spf_hold_ms": 50,
    "spf_max_hold_ms": 5000,
    "distance_intra": 110,
    "distance_inter": 110,
    "distance_external": 110,
    "max_paths": MULTIPATH,
    "passive_default": False,
    "rfc1583": False,
    "default_metric": None,
    "max_metric": False,
}
AREA: Overrides = {"kind": AreaKind.NORMAL, "no_summary": False, "default_cost": 1, "auth": Auth.NONE}
BEST_PATH: Overrides = {
    "always_compare_med": False,
    "compare_router_id": False,
    "ignore_as_path": False,
    "multipath_relax": False,
    "as_path_confed": False,
    "med_missing_as_worst": False,
    "med_confed": False,
}
BGP_PROCESS: Overrides = {
    "cluster_id": None,
    "confederation_id": None,
    "default_local_preference": 100,
    "client_to_client_reflection": True,
    "fast_external_failover": True,
    "graceful_restart": "helper",
    "max_med_on_startup_s": None,
}
BGP_FAMILY: Overrides = {
    "max_paths_ebgp": MULTIPATH,
    "max_paths_ibgp": MULTIPATH,
    "distance_ebgp": 20,
    "distance_ibgp": 200,
    "distance_local": 200,
}
PEER: Overrides = {
    "unnumbered": False,
    "v6_only": False,
    "description": "",
    "shutdown": False,
    "update_source": "",
    "ebgp_multihop": 1,
    "ttl_security_hops": None,
    "connected_check": True,
    "passive": False,
    "advertisement_interval_s": 0,
    "extended_next_hop": False,
    "bfd": False,
    "local_as": None,
    "password": None,
}
PEER_FAMILY: Overrides = {
    "next_hop_self": NextHopSelf.NO,
    "route_reflector_client": False,
    "send_community": True,
    "send_ext_community": True,
    "send_large_community": True,
    "soft_reconfiguration": False,
    "allowas_in": None,
    "as_override": False,
    "remove_private_as": False,
    "default_originate": False,
    "weight": None,
    "maximum_prefix": None,
}


def build(draft: Draft) -> DeviceConfig:
    return DeviceConfig(
        device=draft.device,
        hostname=draft.hostname or draft.device,
        dialect="frr",
        undefined=FRR_UNDEFINED,
        forwarding_v4=draft.forwarding[Afi.IPV4],
        forwarding_v6=draft.forwarding[Afi.IPV6],
        interfaces=_interfaces(draft),
        static_routes=tuple(draft.statics),
        ospf=_ospf(draft, draft.ospf) if draft.ospf else None,
        bgp=_bgp(draft, draft.bgp) if draft.bgp else None,
        fib_policies=tuple(draft.fib_policies),
        outward=tuple(draft.outward),
        where=Span(draft.file),
        **_policies(draft),
    )


def _policies(draft: Draft) -> dict[str, Any]:
    """Route-map entries in order of number; the maps and lists themselves in file order."""
    described = draft.list_descriptions
    return {
        "route_maps": tuple(
            RouteMap(
                name=name, entries=tuple(by_seq[seq] for seq in sorted(by_seq)), where=_first(by_seq.values())
            )
            for name, by_seq in draft.route_maps.items()
        ),
        "prefix_lists": tuple(
            PrefixList(
                name=name,
                afi=afi,
                entries=tuple(entries),
                description=described.get((afi, name), ""),
                where=_first(entries),
            )
            for (afi, name), entries in draft.prefix_lists.items()
        ),
        "access_lists": tuple(
            AccessList(name=name, afi=afi, entries=tuple(entries), where=_first(entries))
            for (afi, name), entries in draft.access_lists.items()
        ),
        "community_lists": tuple(
            CommunityList(name=name, kind=kind, entries=tuple(entries), where=_first(entries))
            for (kind, name), entries in draft.community_lists.items()
        ),
        "as_path_lists": tuple(
            AsPathList(name=name, entries=tuple(entries), where=_first(entries))
            for name, entries in draft.as_path_lists.items()
        ),
    }


def _first(entries: Any) -> Span:
    """Where a policy begins; one whose every entry was wrong has no place, and is not built in the end."""
    first: Span = min((entry.where for entry in entries), default=NOWHERE)
    return first


def _interfaces(draft: Draft) -> tuple[InterfaceConfig, ...]:
    return tuple(_interface(draft, name, found) for name, found in draft.interfaces.items())


def _interface(draft: Draft, name: str, found: InterfaceDraft) -> InterfaceConfig:
    kind = kind_of(name)
    stated = _cleaned(draft, found.set)
    return InterfaceConfig(
        name=name,
        kind=kind,
        ipv4=tuple(dict.fromkeys(found.ipv4)),
        ipv6=tuple(dict.fromkeys(found.ipv6)),
        ospf=_ospf_interface(kind, found, draft.ospf, name) if draft.ospf else None,
        where=found.where,
        **stated,
    )


def _cleaned(draft: Draft, stated: Overrides) -> Overrides:
    """People write keys into descriptions."""
    if "description" not in stated:
        return stated
    return stated | {"description": draft.redactor.clean(stated["description"])}


def _ospf_interface(
    kind: InterfaceKind, found: InterfaceDraft, process: OspfDraft, name: str
) -> OspfInterface:
    stated = dict(found.ospf)
    passive = process.passive.get(name, process.set.get("passive_default", False))
    values = OSPF_INTERFACE | {"network_type": _network_type(kind), "passive": passive} | stated
    keys = tuple(sorted((number, KeyToken(token)) for number, token in found.md5_keys.items()))
    return OspfInterface(**values, md5_keys=keys)


def _network_type(kind: InterfaceKind) -> OspfNetworkType:
    return OspfNetworkType.LOOPBACK if kind is InterfaceKind.LOOPBACK else OspfNetworkType.BROADCAST


def unmentioned(interface: InterfaceConfig, process: OspfConfig) -> InterfaceConfig:
    """An interface that the file does not mention, as FRR's OSPF sees it."""
    values = OSPF_INTERFACE | {
        "network_type": _network_type(interface.kind),
        "passive": process.passive_default,
    }
    return replace(interface, ospf=OspfInterface(**values))


def _ospf(draft: Draft, found: OspfDraft) -> OspfConfig:
    values: Overrides = {"router_id": draft.router_id} | OSPF_PROCESS | found.set
    areas = tuple(
        OspfArea(
            id=name,
            ranges=tuple(area.ranges.values()),
            virtual_links=tuple(area.virtual_links),
            where=area.where,
            **(AREA | area.set),
        )
        for name, area in found.areas.items()
    )
    return OspfConfig(
        networks=tuple(found.networks),
        areas=areas,
        redistribute=tuple(found.redistribute.values()),
        default_originate=found.default,
        where=found.where,
        **values,
    )


# --- BGP ---


def _bgp(draft: Draft, found: BgpDraft) -> BgpConfig:
    datacenter = draft.profile == "datacenter"
    by_version: Overrides = {
        "router_id": draft.router_id,
        "ebgp_requires_policy": not datacenter and draft.version >= (7, 4),
        "network_import_check": datacenter or draft.version >= (7, 4),
        "suppress_duplicates": datacenter or draft.version >= (7, 6),
    }
    families = tuple(
        BgpFamily(
            afi=afi,
            networks=tuple(family.networks.values()),
            aggregates=tuple(family.aggregates.values()),
            redistribute=tuple(family.redistribute.values()),
            **(BGP_FAMILY | family.set),
        )
        for afi, family in found.families.items()
    )
    return BgpConfig(
        asn=found.asn,
        confederation_peers=tuple(dict.fromkeys(found.confederation_peers)),
        bestpath=BestPath(**({"deterministic_med": datacenter} | BEST_PATH | found.bestpath)),
        neighbors=tuple(
            _neighbor(draft, found, name, peer)
            for name, peer in found.peers.items()
            if _stands(draft, name, peer)
        ),
        families=families,
        where=found.where,
        **(by_version | BGP_PROCESS | found.set),
    )


def _stands(draft: Draft, name: str, peer: PeerDraft) -> bool:
    """Whether this is a peer that can come up; one without any remote-as is said to be wrong."""
    assert draft.bgp is not None
    if peer.is_group:
        return False
    group = draft.bgp.peers.get(peer.group)
    if "remote_as" in peer.set or (group and "remote_as" in group.set):
        return True
    draft.problems.add(
        "bad-config", f"peer {name!r} has no remote-as, and neither has its peer-group", where=peer.where
    )
    return False


def _neighbor(draft: Draft, bgp: BgpDraft, name: str, peer: PeerDraft) -> BgpNeighbor:
    group = bgp.peers.get(peer.group)
    datacenter = draft.profile == "datacenter"
    keepalive, hold = bgp.timers or ((3, 9) if datacenter else (60, 180))
    timers: Overrides = {
        "keepalive_s": keepalive,
        "hold_s": hold,
        "connect_retry_s": 10 if datacenter else 120,
        "enforce_first_as": draft.version >= (9, 1),
    }
    stated = _cleaned(draft, (group.set if group else {}) | peer.set)
    return BgpNeighbor(
        peer=name,
        families=tuple(_neighbor_family(bgp, afi, peer, group) for afi in Afi),
        peer_group=peer.group,
        where=peer.where,
        **(PEER | timers | stated),
    )


def _neighbor_family(bgp: BgpDraft, afi: Afi, peer: PeerDraft, group: PeerDraft | None) -> NeighborFamily:
    inherited = group.families.get(afi, {}) if group else {}
    values = PEER_FAMILY | {"activate": bgp.default_families[afi]} | inherited | peer.families.get(afi, {})
    return NeighborFamily(afi=afi, **values)
