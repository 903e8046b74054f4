"""From a draft to the model: a vendor's defaults filled in, peer-groups resolved, spellings normalised.

What a file states lies in the draft as overrides by field name; a vendor is a `Defaults`: the values of everything that
is not stated. The rest is the same for every vendor whose peers form groups and whose policies are numbered lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from labctl.errors import Span
from labctl.ingest.draft import BgpDraft, Draft, InterfaceDraft, IsisDraft, OspfDraft, Overrides, PeerDraft
from labctl.model.account import LineClass
from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind
from labctl.model.isis import IsisConfig, IsisInterface, IsisLevel
from labctl.model.policy import (
    NOWHERE,
    AccessList,
    Afi,
    AsPathList,
    CommunityList,
    PrefixList,
    RouteMap,
    UndefinedPolicies,
)
from labctl.model.routing import (
    BestPath,
    BgpConfig,
    BgpFamily,
    BgpNeighbor,
    Election,
    KeyToken,
    NeighborFamily,
    OspfArea,
    OspfConfig,
    OspfInterface,
    OspfNetworkType,
    VirtualRouter,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where a file says nothing. external_peer: over `peer`, for peers of another AS."""

    dialect: str
    undefined: UndefinedPolicies
    kind_of: Callable[[str], InterfaceKind]
    ospf_interface: Overrides
    ospf_process: Overrides
    area: Overrides
    best_path: Overrides
    bgp_process: Overrides
    bgp_family: Overrides
    peer: Overrides
    peer_family: Overrides
    external_peer: Overrides = field(default_factory=dict)
    isis_wide: bool = False
    vlan_of: Callable[[str], int | None] | None = None  # where a sub-interface's name says its tag


def assemble(draft: Draft, defaults: Defaults) -> DeviceConfig:
    return DeviceConfig(
        device=draft.device,
        hostname=draft.hostname or draft.device,
        dialect=defaults.dialect,
        undefined=defaults.undefined,
        forwarding_v4=draft.forwarding[Afi.IPV4],
        forwarding_v6=draft.forwarding[Afi.IPV6],
        interfaces=tuple(
            _interface(draft, defaults, name, found) for name, found in draft.interfaces.items()
        ),
        static_routes=tuple(draft.statics),
        ospf=_ospf(draft, defaults, draft.ospf) if draft.ospf else None,
        isis=_isis(defaults, draft.isis) if draft.isis else None,
        bgp=_bgp(draft, defaults, draft.bgp) if draft.bgp else None,
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


def _interface(draft: Draft, defaults: Defaults, name: str, found: InterfaceDraft) -> InterfaceConfig:
    kind = defaults.kind_of(name)
    stated = _cleaned(draft, found.set)
    if defaults.vlan_of:
        stated.setdefault("vlan", defaults.vlan_of(name))
    ospf = ospf_interface(defaults, kind, found, draft.ospf, name) if draft.ospf else None
    return InterfaceConfig(
        name=name,
        kind=kind,
        ipv4=tuple(dict.fromkeys(found.ipv4)),
        ipv6=tuple(dict.fromkeys(found.ipv6)),
        ospf=ospf,
        isis=_isis_interface(found, draft.isis) if draft.isis else None,
        virtual_routers=tuple(_virtual_routers(found)),
        where=found.where,
        **stated,
    )


#: VRRP and HSRP have the same defaults with every vendor.
_VIRTUAL: dict[Election, Overrides] = {
    Election.VRRP: {"priority": 100, "preempt": True, "advertise_ms": 1000},
    Election.HSRP: {"priority": 100, "preempt": False, "advertise_ms": 3000},
}


def _virtual_routers(found: InterfaceDraft) -> Iterator[VirtualRouter]:
    """Those that have an address: without one a group does nothing."""
    for (election, group), stated in found.virtual.items():
        if stated.get("addresses"):
            yield VirtualRouter(group=group, election=election, **(_VIRTUAL[election] | stated))


def _cleaned(draft: Draft, stated: Overrides) -> Overrides:
    """People write keys into descriptions."""
    if "description" not in stated:
        return stated
    return stated | {"description": draft.redactor.clean(stated["description"])}


def ospf_interface(
    defaults: Defaults, kind: InterfaceKind, found: InterfaceDraft, process: OspfDraft, name: str
) -> OspfInterface:
    passive = process.passive.get(name, process.set.get("passive_default", False))
    computed: Overrides = {"network_type": network_type(kind), "passive": passive}
    keys = tuple(sorted((number, KeyToken(token)) for number, token in found.md5_keys.items()))
    return OspfInterface(**(defaults.ospf_interface | computed | found.ospf), md5_keys=keys)


def network_type(kind: InterfaceKind) -> OspfNetworkType:
    return OspfNetworkType.LOOPBACK if kind is InterfaceKind.LOOPBACK else OspfNetworkType.BROADCAST


def _ospf(draft: Draft, defaults: Defaults, found: OspfDraft) -> OspfConfig:
    values: Overrides = {"router_id": draft.router_id} | defaults.ospf_process | found.set
    areas = tuple(
        OspfArea(
            id=name,
            ranges=tuple(area.ranges.values()),
            virtual_links=tuple(area.virtual_links),
            where=area.where,
            **(defaults.area | area.set),
        )
        for name, area in found.areas.items()
    )
    return OspfConfig(
        networks=tuple(found.networks),
        areas=areas,
        redistribute=tuple(found.redistribute.values()),
        summaries=tuple(found.summaries.values()),
        default_originate=found.default,
        where=found.where,
        **values,
    )


# --- IS-IS; all vendors here have the standard's values for interfaces ---

_ISIS_INTERFACE: Overrides = {
    "ipv4": False,
    "ipv6": False,
    "metric_1": 10,
    "metric_2": 10,
    "point_to_point": False,
    "hello_s": 10,
    "hello_multiplier": 3,
    "priority": 64,
}


def _isis(defaults: Defaults, found: IsisDraft) -> IsisConfig:
    values: Overrides = {"level": IsisLevel.BOTH, "wide": defaults.isis_wide, "overload": False}
    return IsisConfig(tag=found.tag, net=tuple(found.net), where=found.where, **(values | found.set))


def _isis_interface(found: InterfaceDraft, process: IsisDraft) -> IsisInterface | None:
    """An interface is in the levels that both it and the process are in."""
    if not (found.isis.get("ipv4") or found.isis.get("ipv6")):
        return None
    whole: IsisLevel = process.set.get("level", IsisLevel.BOTH)
    own: IsisLevel = found.isis.get("level", IsisLevel.BOTH)
    level = own if whole is IsisLevel.BOTH else whole
    values = _ISIS_INTERFACE | {"passive": process.passive_default} | found.isis | {"level": level}
    return IsisInterface(**values)


# --- BGP ---


def _bgp(draft: Draft, defaults: Defaults, found: BgpDraft) -> BgpConfig:
    families = tuple(
        BgpFamily(
            afi=afi,
            networks=tuple(family.networks.values()),
            aggregates=tuple(family.aggregates.values()),
            redistribute=tuple(family.redistribute.values()),
            **(defaults.bgp_family | family.set),
        )
        for afi, family in found.families.items()
    )
    values: Overrides = {"router_id": draft.router_id} | defaults.bgp_process | found.set
    return BgpConfig(
        asn=found.asn,
        confederation_peers=tuple(dict.fromkeys(found.confederation_peers)),
        bestpath=BestPath(**(defaults.best_path | found.bestpath)),
        neighbors=tuple(
            _neighbor(draft, defaults, found, name, peer)
            for name, peer in found.peers.items()
            if _stands(draft, name, peer)
        ),
        families=families,
        where=found.where,
        **values,
    )


def _stands(draft: Draft, name: str, peer: PeerDraft) -> bool:
    """Whether this is a peer that can come up. FRR takes none without a remote-as; others do, and have no session."""
    assert draft.bgp is not None
    if peer.is_group:
        return False
    if any("remote_as" in each.set for each in (*_behind(draft.bgp, peer), peer)):
        return True
    if draft.open_peers:
        verdict = (LineClass.UNSUPPORTED, "peer-without-remote-as")
        draft.verdicts.update(dict.fromkeys(peer.lines, verdict))
        return False
    draft.problems.add(
        "bad-config", f"peer {name!r} has no remote-as, and neither has its peer-group", where=peer.where
    )
    return False


def _neighbor(draft: Draft, defaults: Defaults, bgp: BgpDraft, name: str, peer: PeerDraft) -> BgpNeighbor:
    behind = list(_behind(bgp, peer))
    stated: Overrides = {}
    for each in (*behind, peer):
        stated |= each.set
    stated = _cleaned(draft, stated)
    external = stated["remote_as"] not in ("internal", bgp.asn)
    values = defaults.peer | (defaults.external_peer if external else {})
    if bgp.timers:
        values |= {"keepalive_s": bgp.timers[0], "hold_s": bgp.timers[1]}
    return BgpNeighbor(
        peer=name,
        families=tuple(_neighbor_family(defaults, bgp, afi, (*behind, peer)) for afi in Afi),
        peer_group=peer.group,
        where=peer.where,
        **(values | stated),
    )


def _behind(bgp: BgpDraft, peer: PeerDraft, seen: tuple[PeerDraft, ...] = ()) -> Iterator[PeerDraft]:
    """What a peer takes settings from, the weakest first: its templates and theirs, then its group."""
    for name in (*peer.templates, peer.group):
        found = bgp.peers.get(name)
        if found and found is not peer and found not in seen:
            yield from _behind(bgp, found, (*seen, peer))
            yield found


def _neighbor_family(
    defaults: Defaults, bgp: BgpDraft, afi: Afi, sources: tuple[PeerDraft, ...]
) -> NeighborFamily:
    values = defaults.peer_family | {"activate": bgp.default_families[afi]} | bgp.families[afi].peers
    for each in sources:
        values |= each.families.get(afi, {})
    return NeighborFamily(afi=afi, **values)
