"""What other vendors say in one line and FRR in several.

A condition with several values becomes one entry for each value; redistribution of classful networks alone becomes a
route-map in front of the source's own; what calls an aggregate into being elsewhere than in BGP is brought into BGP, and
told to nobody; networks that OSPF's interfaces have come into BGP with OSPF's routes one by one. And what a lab has that
production has not, its management network, is kept out of what is redistributed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from ipaddress import ip_network
from itertools import product
from typing import Final

from labctl.model.config import DeviceConfig
from labctl.model.policy import (
    Action,
    Afi,
    Match,
    MatchKind,
    OnMatch,
    PrefixEntry,
    PrefixList,
    RouteMap,
    RouteMapEntry,
    SetAction,
    SetKind,
)
from labctl.model.routing import BgpFamily, BgpNetwork, Redistribution

_CLASSFUL = "labctl-classful"
_CLASSES = (("0.0.0.0/1", 8), ("128.0.0.0/2", 16), ("192.0.0.0/3", 24))


def single_values(config: DeviceConfig) -> DeviceConfig:
    """Route-maps as FRR can hold them: one value to a condition, numbers that it has. Only maps that need it get new ones."""
    return replace(config, route_maps=tuple(_single(m) for m in config.route_maps))


MOST_ENTRIES: Final = 65535  # the highest number of an entry in FRR; EOS has higher ones


def _single(found: RouteMap) -> RouteMap:
    single = all(len(m.values) == 1 for entry in found.entries for m in entry.matches)
    if single and all(entry.seq <= MOST_ENTRIES for entry in found.entries):
        return found
    numbers: dict[int, int] = {}  # the old number -> that of its first entry
    spread: list[tuple[RouteMapEntry, bool]] = []
    for entry in found.entries:
        variants = list(_variants(entry))
        numbers[entry.seq] = len(spread) + 1
        spread += [(each, each is variants[-1]) for each in variants]
    entries = [
        _went_on(replace(entry, seq=number), spread, numbers) for number, (entry, _) in enumerate(spread, 1)
    ]
    return replace(found, entries=tuple(entries))


def _variants(entry: RouteMapEntry) -> Iterator[RouteMapEntry]:
    choices = [[replace(m, values=(value,)) for value in m.values] for m in entry.matches]
    for matches in product(*choices):
        yield replace(entry, matches=matches)


def _went_on(
    entry: RouteMapEntry, spread: list[tuple[RouteMapEntry, bool]], numbers: dict[int, int]
) -> RouteMapEntry:
    """Where an entry went on to the next or to a number, it still does: past its own variants."""
    if entry.on_match is OnMatch.GOTO and entry.goto is not None:
        behind = [new for old, new in numbers.items() if old >= entry.goto]
        return replace(entry, goto=min(behind, default=len(spread) + 1))
    if entry.on_match is OnMatch.NEXT:
        last = next(n for n in range(entry.seq, len(spread) + 1) if spread[n - 1][1])
        return replace(entry, on_match=OnMatch.GOTO, goto=last + 1) if last > entry.seq else entry
    return entry


def classful_sources(config: DeviceConfig) -> DeviceConfig:
    """Redistribution into OSPF without `subnets`."""
    process = config.ospf
    if process is None or not any(r.classful for r in process.redistribute):
        return config
    lists = tuple(
        PrefixEntry(seq=n, action=Action.PERMIT, prefix=prefix, ge=length, le=length)
        for n, (prefix, length) in enumerate(_CLASSES, 1)
    )
    defined = {found.name for found in config.route_maps}
    maps = [_classful_map(r, defined) for r in process.redistribute if r.classful]
    sources = tuple(
        replace(r, route_map=_map_name(r), classful=False) if r.classful else r for r in process.redistribute
    )
    known = PrefixList(name=_CLASSFUL, afi=Afi.IPV4, entries=lists)
    return replace(
        config,
        ospf=replace(process, redistribute=sources),
        prefix_lists=(*config.prefix_lists, known),
        route_maps=(*config.route_maps, *{m.name: m for m in maps}.values()),
    )


_DATA = "labctl-data"
_LAB_OWN = ("connected", "kernel")


def without_lab_network(config: DeviceConfig, interface: str) -> DeviceConfig:
    """Routes of the lab's management `interface` are redistributed nowhere; all others as before.

    A route-map in front of the source's own, which is called. FRR lets a call of a map that is nowhere defined pass, where
    the same map at the source itself lets nothing through: then the one in front lets nothing through.
    """
    defined = {found.name for found in config.route_maps}
    made: dict[str, RouteMap] = {}

    def guarded(sources: tuple[Redistribution, ...]) -> tuple[Redistribution, ...]:
        return tuple(one(source) if source.source in _LAB_OWN else source for source in sources)

    def one(source: Redistribution) -> Redistribution:
        name = f"{_DATA}-{source.route_map}" if source.route_map else _DATA
        while name in defined:
            name += "-"
        made[name] = _data_map(name, source.route_map, interface, defined)
        return replace(source, route_map=name)

    ospf, bgp = config.ospf, config.bgp
    if ospf:
        ospf = replace(ospf, redistribute=guarded(ospf.redistribute))
    if bgp:
        families = tuple(replace(f, redistribute=guarded(f.redistribute)) for f in bgp.families)
        bgp = replace(bgp, families=families)
    return replace(config, ospf=ospf, bgp=bgp, route_maps=(*config.route_maps, *made.values()))


def _data_map(name: str, called: str, interface: str, defined: Collection[str]) -> RouteMap:
    ours = (Match(kind=MatchKind.INTERFACE, values=(interface,)),)
    entries = [RouteMapEntry(seq=10, action=Action.DENY, matches=ours)]
    if not called or called in defined:
        entries.append(RouteMapEntry(seq=20, action=Action.PERMIT, call=called))
    return RouteMap(name=name, entries=tuple(entries))


def _map_name(source: Redistribution) -> str:
    return f"{_CLASSFUL}-{source.route_map}" if source.route_map else _CLASSFUL


def _classful_map(source: Redistribution, defined: Collection[str]) -> RouteMap:
    """A map that is nowhere defined lets nothing through, and must not be called (see `without_lab_network`)."""
    entry = RouteMapEntry(
        seq=10,
        action=Action.PERMIT if not source.route_map or source.route_map in defined else Action.DENY,
        matches=(Match(kind=MatchKind.PREFIX_LIST_V4, values=(_CLASSFUL,)),),
        call=source.route_map if source.route_map in defined else "",
        where=source.where,
    )
    return RouteMap(name=_map_name(source), entries=(entry,), where=source.where)


_OF_OSPF = "labctl-ospf-connected"


def connected_of_ospf(config: DeviceConfig) -> DeviceConfig:
    """Where `redistribute ospf` means the networks of OSPF's interfaces too, as networks that BGP announces.

    Not as connected routes: those may be redistributed as well, by rules of their own, and either way is enough.
    """
    if config.bgp is None:
        return config
    found = {family.afi: source for family in config.bgp.families for source in _wanted(family, config)}
    families = tuple(
        _with_networks(f, found[f.afi], config) if f.afi in found else f for f in config.bgp.families
    )
    return replace(
        config,
        bgp=replace(config.bgp, families=families),
        route_maps=(*config.route_maps, *(_as_redistributed(each) for each in found.values())),
    )


def _wanted(family: BgpFamily, config: DeviceConfig) -> tuple[Redistribution, ...]:
    """A route-map that is nowhere defined lets nothing through; all connected routes have these among them."""
    if any(source.source == "connected" and not source.route_map for source in family.redistribute):
        return ()
    known = {"", *(found.name for found in config.route_maps)}
    return tuple(s for s in family.redistribute if s.with_connected and s.route_map in known)


def _with_networks(family: BgpFamily, source: Redistribution, config: DeviceConfig) -> BgpFamily:
    there = {network.prefix for network in family.networks}
    found = dict.fromkeys(
        str(ip_network(address, strict=False))
        for interface in config.interfaces
        if interface.ospf and interface.ospf.area is not None
        for address in interface.ipv4
    )
    more = tuple(
        BgpNetwork(prefix=prefix, route_map=_OF_OSPF, where=source.where)
        for prefix in found
        if prefix not in there
    )
    return replace(family, networks=(*family.networks, *more))


def _as_redistributed(source: Redistribution) -> RouteMap:
    """What BGP announces itself has an origin and a metric of its own."""
    sets = [SetAction(kind=SetKind.ORIGIN, values=("incomplete",))]
    if source.metric is not None:
        sets.append(SetAction(kind=SetKind.METRIC, values=(str(source.metric),)))
    entry = RouteMapEntry(
        seq=10, action=Action.PERMIT, sets=tuple(sets), call=source.route_map, where=source.where
    )
    return RouteMap(name=_OF_OSPF, entries=(entry,), where=source.where)


_CONTRIBUTORS = "labctl-contributors"
_SOURCES = ("connected", "static", "ospf", "isis")


def contributors(config: DeviceConfig) -> DeviceConfig:
    """Routes of the table inside an aggregate, in BGP with the community that keeps them there."""
    if config.bgp is None:
        return config
    wanted = {
        family.afi: [a.prefix for a in family.aggregates if a.of_table] for family in config.bgp.families
    }
    names = {afi: f"{_CONTRIBUTORS}-{afi}" for afi, prefixes in wanted.items() if prefixes}
    families = tuple(
        _with_contributors(family, config, names[family.afi]) if family.afi in names else family
        for family in config.bgp.families
    )
    return replace(
        config,
        bgp=replace(config.bgp, families=families),
        prefix_lists=(*config.prefix_lists, *(_inside(n, afi, wanted[afi]) for afi, n in names.items())),
        route_maps=(*config.route_maps, *(_silent(n, afi) for afi, n in names.items())),
    )


def _with_contributors(family: BgpFamily, config: DeviceConfig, name: str) -> BgpFamily:
    there = {source.source for source in family.redistribute}
    more = tuple(
        Redistribution(source=source, route_map=name)
        for source in _SOURCES
        if source not in there and _runs(config, source)
    )
    aggregates = tuple(replace(a, of_table=False) for a in family.aggregates)
    return replace(family, redistribute=(*family.redistribute, *more), aggregates=aggregates)


def _inside(name: str, afi: Afi, prefixes: list[str]) -> PrefixList:
    """Everything that is longer than one of these and inside it."""
    longest = 32 if afi is Afi.IPV4 else 128
    lengths = [(prefix, int(prefix.partition("/")[2]) + 1) for prefix in prefixes]
    entries = tuple(
        PrefixEntry(seq=number, action=Action.PERMIT, prefix=prefix, ge=shortest, le=longest)
        for number, (prefix, shortest) in enumerate(lengths, 1)
        if shortest <= longest
    )
    return PrefixList(name=name, afi=afi, entries=entries)


def _runs(config: DeviceConfig, source: str) -> bool:
    return {"ospf": config.ospf, "isis": config.isis}.get(source, True) is not None


def _silent(name: str, afi: Afi) -> RouteMap:
    kind = MatchKind.PREFIX_LIST_V4 if afi is Afi.IPV4 else MatchKind.PREFIX_LIST_V6
    entry = RouteMapEntry(
        seq=10,
        action=Action.PERMIT,
        matches=(Match(kind=kind, values=(name,)),),
        sets=(SetAction(kind=SetKind.COMMUNITY, values=("no-advertise",)),),
    )
    return RouteMap(name=name, entries=(entry,))
