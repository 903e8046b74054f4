"""Policies that are named and nowhere defined, made explicit where the source vendor permits and FRR would deny."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from labctl.model.config import DeviceConfig
from labctl.model.policy import (
    AccessEntry,
    AccessList,
    Action,
    Afi,
    AsPathEntry,
    AsPathList,
    Match,
    MatchKind,
    PrefixEntry,
    PrefixList,
    RouteMap,
    RouteMapEntry,
)

#: Which list a condition refers to: ("prefix" | "access", family) or the name of the collection.
_REFERS: dict[MatchKind, tuple[str, Afi | None]] = {
    MatchKind.PREFIX_LIST_V4: ("prefix", Afi.IPV4),
    MatchKind.PREFIX_LIST_V6: ("prefix", Afi.IPV6),
    MatchKind.NEXT_HOP_PREFIX_LIST: ("prefix", Afi.IPV4),
    MatchKind.SOURCE_PREFIX_LIST: ("prefix", Afi.IPV4),
    MatchKind.ACCESS_LIST_V4: ("access", Afi.IPV4),
    MatchKind.ACCESS_LIST_V6: ("access", Afi.IPV6),
    MatchKind.NEXT_HOP_ACCESS_LIST: ("access", Afi.IPV4),
    MatchKind.SOURCE_ACCESS_LIST: ("access", Afi.IPV4),
    MatchKind.AS_PATH: ("as-path", None),
    MatchKind.COMMUNITY: ("community", None),
    MatchKind.LARGE_COMMUNITY: ("community", None),
    MatchKind.EXT_COMMUNITY: ("community", None),
}


def define_undefined(config: DeviceConfig) -> DeviceConfig:
    """FRR denies what is undefined; so only what the source vendor permits needs a policy of its own."""
    rules = config.undefined
    if rules.match is Action.PERMIT:
        config = _drop_conditions(config)
    if rules.route_map is Action.PERMIT:
        missing = sorted(_route_maps_used(config) - {m.name for m in config.route_maps})
        config = replace(config, route_maps=config.route_maps + tuple(_permit_map(n) for n in missing))
    if rules.prefix_list is Action.PERMIT:
        used = sorted(_peer_lists(config, "prefix_list") - {(p.afi, p.name) for p in config.prefix_lists})
        config = replace(
            config, prefix_lists=config.prefix_lists + tuple(_permit_prefixes(a, n) for a, n in used)
        )
    if rules.access_list is Action.PERMIT:
        used = sorted(_peer_lists(config, "access_list") - {(a.afi, a.name) for a in config.access_lists})
        config = replace(
            config, access_lists=config.access_lists + tuple(_permit_access(a, n) for a, n in used)
        )
    if rules.as_path_list is Action.PERMIT:
        names = {name for _, name in _peer_lists(config, "as_path_list")}
        missing = sorted(names - {p.name for p in config.as_path_lists})
        config = replace(
            config, as_path_lists=config.as_path_lists + tuple(_permit_paths(n) for n in missing)
        )
    return config


def _drop_conditions(config: DeviceConfig) -> DeviceConfig:
    """A condition on an undefined list holds: leave it out."""
    defined = _defined(config)

    def stays(match: Match) -> bool:
        refers = _REFERS.get(match.kind)
        return refers is None or any((*refers, name) in defined for name in match.values)

    def kept(entry: RouteMapEntry) -> RouteMapEntry:
        return replace(entry, matches=tuple(m for m in entry.matches if stays(m)))

    return replace(
        config,
        route_maps=tuple(replace(m, entries=tuple(kept(e) for e in m.entries)) for m in config.route_maps),
    )


def _defined(config: DeviceConfig) -> set[tuple[str, Afi | None, str]]:
    found: set[tuple[str, Afi | None, str]] = set()
    found.update(("prefix", p.afi, p.name) for p in config.prefix_lists)
    found.update(("access", a.afi, a.name) for a in config.access_lists)
    found.update(("as-path", None, p.name) for p in config.as_path_lists)
    found.update(("community", None, c.name) for c in config.community_lists)
    return found


def _route_maps_used(config: DeviceConfig) -> set[str]:
    names = {fib.route_map for fib in config.fib_policies}
    names |= {entry.call for route_map in config.route_maps for entry in route_map.entries}
    if config.ospf:
        names |= {r.route_map for r in config.ospf.redistribute}
        names |= {config.ospf.default_originate.route_map} if config.ospf.default_originate else set()
    if config.bgp:
        for family in config.bgp.families:
            names |= {r.route_map for r in family.redistribute} | {n.route_map for n in family.networks}
            names |= {a.route_map for a in family.aggregates} | {family.table_map}
        for neighbor in config.bgp.neighbors:
            for settings in neighbor.families:
                names |= {settings.route_map_in, settings.route_map_out, settings.default_originate_map}
    return names - {""}


def _peer_lists(config: DeviceConfig, kind: str) -> set[tuple[Afi, str]]:
    return set(_peer_list_uses(config, kind))


def _peer_list_uses(config: DeviceConfig, kind: str) -> Iterator[tuple[Afi, str]]:
    for neighbor in config.bgp.neighbors if config.bgp else ():
        for family in neighbor.families:
            for way in ("in", "out"):
                if name := getattr(family, f"{kind}_{way}"):
                    yield family.afi, name


def _all(afi: Afi) -> str:
    return "0.0.0.0/0" if afi is Afi.IPV4 else "::/0"


def _permit_map(name: str) -> RouteMap:
    return RouteMap(name=name, entries=(RouteMapEntry(seq=10, action=Action.PERMIT),))


def _permit_prefixes(afi: Afi, name: str) -> PrefixList:
    entry = PrefixEntry(seq=5, action=Action.PERMIT, prefix=_all(afi), le=32 if afi is Afi.IPV4 else 128)
    return PrefixList(name=name, afi=afi, entries=(entry,))


def _permit_access(afi: Afi, name: str) -> AccessList:
    return AccessList(
        name=name, afi=afi, entries=(AccessEntry(seq=5, action=Action.PERMIT, prefix=_all(afi)),)
    )


def _permit_paths(name: str) -> AsPathList:
    return AsPathList(name=name, entries=(AsPathEntry(seq=5, action=Action.PERMIT, regex=".*"),))
