"""What the model holds and FRR cannot: found before rendering, said with the place, never dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.model.config import DeviceConfig, InterfaceConfig
from labctl.model.policy import Action, OnMatch, RouteMapEntry
from labctl.model.routing import AddPath, BgpConfig, Election, Redistribution
from labctl.render.project import Note


def frr_limits(config: DeviceConfig) -> Iterator[Note]:
    for interface in config.interfaces:
        for kind, text in _interface(interface):
            yield Note(kind=kind, device=config.device, text=text, where=interface.where)
    for text, bgp in _paths_per_as(config):
        yield Note(kind="approximated", device=config.device, text=text, where=bgp.where)
    for source, text in _redistribution(config):
        yield Note(kind="approximated", device=config.device, text=text, where=source.where)
    for route_map in config.route_maps:
        for entry in route_map.entries:
            for text in _entry(entry):
                said = f"route-map {route_map.name} {entry.seq}: {text}"
                yield Note(kind="unsupported", device=config.device, text=said, where=entry.where)


def _interface(interface: InterfaceConfig) -> Iterator[tuple[str, str]]:
    for virtual in interface.virtual_routers:
        if virtual.election is Election.HSRP:
            yield (
                "approximated",
                f"{interface.name}: HSRP as group {virtual.group} of VRRP, with the same timers",
            )


def _redistribution(config: DeviceConfig) -> Iterator[tuple[Redistribution, str]]:
    for family in config.bgp.families if config.bgp else ():
        for source in family.redistribute:
            if source.ospf_types:
                kinds = " and ".join(source.ospf_types)
                yield source, f"redistribute ospf into BGP takes all routes, not only {kinds} ones"


def _paths_per_as(config: DeviceConfig) -> Iterator[tuple[str, BgpConfig]]:
    bgp = config.bgp
    if bgp is None or bgp.bestpath.deterministic_med:
        return
    if any(f.addpath_send is AddPath.BEST_PER_AS for n in bgp.neighbors for f in n.families):
        yield "sending the best path of each AS turns deterministic MED on", bgp


def _entry(entry: RouteMapEntry) -> Iterator[str]:
    for match in entry.matches:
        if len(match.values) != 1:
            yield f"one value per `match {match.kind}`, not {len(match.values)}"
    if entry.action is Action.DENY and entry.on_match is not OnMatch.STOP:
        yield "an entry that denies cannot go on to another"
