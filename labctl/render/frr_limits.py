"""What the model holds and FRR cannot: found before rendering, said with the place, never dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.model.config import DeviceConfig
from labctl.model.policy import Action, OnMatch, RouteMapEntry
from labctl.render.project import Note


def frr_limits(config: DeviceConfig) -> Iterator[Note]:
    for route_map in config.route_maps:
        for entry in route_map.entries:
            for text in _entry(entry):
                said = f"route-map {route_map.name} {entry.seq}: {text}"
                yield Note(kind="unsupported", device=config.device, text=said, where=entry.where)


def _entry(entry: RouteMapEntry) -> Iterator[str]:
    for match in entry.matches:
        if len(match.values) != 1:
            yield f"one value per `match {match.kind}`, not {len(match.values)}"
    if entry.action is Action.DENY and entry.on_match is not OnMatch.STOP:
        yield "an entry that denies cannot go on to another"
