"""Effects and leases as JSON objects, the same in the ledger and on the agent's socket.

Ports are written `node:interface` and the ends of a cable separately, so every name reads back exactly as it was
written, whatever dashes it holds. Decoding trusts nothing: anything that is not what `encode` writes is a
`ValueError` that says what is wrong with it; the ledger and the server turn it into their own errors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labctl.model import impairment_codec
from labctl.model.effects import (
    ACTS_ON,
    AdminDown,
    Change,
    ConfigRef,
    Configured,
    CpuLimit,
    Direction,
    Down,
    Effect,
    Frozen,
    HalfCable,
    Impaired,
    Killed,
    NodeRef,
    Off,
    PortRef,
    ProcessRef,
    Resource,
    Stopped,
)
from labctl.names import CableId, PortId

_CHANGES: Mapping[str, type[Change]] = {
    "admin-down": AdminDown,
    "configured": Configured,
    "cpu": CpuLimit,
    "down": Down,
    "frozen": Frozen,
    "impaired": Impaired,
    "killed": Killed,
    "off": Off,
    "stopped": Stopped,
}
_NAMES: Mapping[type[Change], str] = {kind: name for name, kind in _CHANGES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process a lease dies with: pid and start time (clock ticks since boot) together never repeat."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The effects of one fault and how long they may last: until the deadline, or the end of their owner.

    about: what the fault is, in words. windows: one (from, until) on CLOCK_BOOTTIME an effect, of a fault that comes and goes; none: all of them, always.
    """

    id: str
    effects: tuple[Effect, ...]
    deadline_boot: float  # CLOCK_BOOTTIME
    deadline_wall: float  # the same instant for people; never compared
    owner: Owner | None = None
    windows: tuple[tuple[float, float], ...] = ()
    about: str = ""

    def at(self, boot: float) -> tuple[Effect, ...]:
        """Those that are there at this moment."""
        if not self.windows:
            return self.effects
        pairs = zip(self.effects, self.windows, strict=True)
        return tuple(effect for effect, (start, end) in pairs if start <= boot < end)

    @property
    def edges(self) -> frozenset[float]:
        """When an effect begins or ends."""
        return frozenset(itertools.chain.from_iterable(self.windows))


def resource(on: Resource) -> dict[str, Any]:
    match on:
        case HalfCable():
            return {"a": str(on.cable.a), "z": str(on.cable.z), "direction": on.direction.value}
        case NodeRef():
            return {"node": on.node}
        case ProcessRef():
            return {"node": on.node, "process": on.name}
        case PortRef():
            return {"port": str(on.port)}
        case ConfigRef():
            return {"config": on.node}


def parse_resource(value: Mapping[str, Any]) -> Resource:
    if "process" in value:
        return ProcessRef(_text(value, "node"), _text(value, "process"))
    if "node" in value:
        return NodeRef(_text(value, "node"))
    if "port" in value:
        return PortRef(_port(_text(value, "port")))
    if "config" in value:
        return ConfigRef(_text(value, "config"))
    a, z = (_port(_text(value, end)) for end in ("a", "z"))
    cable = CableId.of(a, z)
    if cable.a != a:
        raise ValueError(f"the ends of cable {cable} are not in order")
    return HalfCable(cable, Direction(_text(value, "direction")))


def effect(value: Effect) -> dict[str, Any]:
    found = resource(value.on) | {"change": _NAMES[type(value.change)]}
    match value.change:
        case Impaired():
            found["impairment"] = impairment_codec.encode(value.change.impairment)
        case CpuLimit():
            found["cores"] = value.change.cores
        case Killed() if value.change.restart:
            found["restart"] = value.change.restart
        case Configured():
            found["lines"] = list(value.change.lines)
    return found


def parse_effect(lease_id: str, value: Any) -> Effect:
    if not isinstance(value, dict):
        raise ValueError("an effect is not an object")  # noqa: TRY004  (one error type for all bad input)
    name = _text(value, "change")
    if name not in _CHANGES:
        raise ValueError(f"unknown change {name!r}")
    on = parse_resource(value)
    if not isinstance(on, ACTS_ON[_CHANGES[name]]):
        raise ValueError(f"change {name!r} does not apply to {on}")  # noqa: TRY004
    return Effect(id=lease_id, on=on, change=_change(name, value))


def _change(name: str, value: Mapping[str, Any]) -> Change:
    match name:
        case "impaired":
            return Impaired(impairment_codec.decode(value.get("impairment")))
        case "cpu":
            return CpuLimit(number(value, "cores"))
        case "killed":
            return Killed(_text(value, "restart") if "restart" in value else "")
        case "configured":
            lines = value.get("lines")
            if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
                raise ValueError("lines is not a list of texts")
            return Configured(tuple(lines))
        case _:
            return _PLAIN[name]


#: Changes without settings.
_PLAIN: Mapping[str, Change] = {
    "admin-down": AdminDown(),
    "down": Down(),
    "frozen": Frozen(),
    "off": Off(),
    "stopped": Stopped(),
}


def lease(value: Lease) -> dict[str, Any]:
    owner = value.owner
    return {
        "id": value.id,
        "effects": [effect(each) for each in value.effects],
        "deadline_boot": value.deadline_boot,
        "deadline_wall": value.deadline_wall,
        "owner": {"pid": owner.pid, "start_ticks": owner.start_ticks} if owner else None,
    } | {
        key: found
        for key, found in (("windows", [list(each) for each in value.windows]), ("about", value.about))
        if found
    }


def parse_lease(value: Mapping[str, Any]) -> Lease:
    lease_id = _text(value, "id")
    effects = parse_effects(lease_id, value.get("effects"))
    return Lease(
        id=lease_id,
        effects=effects,
        deadline_boot=number(value, "deadline_boot"),
        deadline_wall=number(value, "deadline_wall"),
        owner=parse_owner(value.get("owner")),
        windows=parse_windows(value.get("windows"), len(effects)),
        about=_text(value, "about") if "about" in value else "",
    )


def parse_effects(lease_id: str, value: Any) -> tuple[Effect, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("effects is not a list of at least one")
    return tuple(parse_effect(lease_id, each) for each in value)


def parse_resources(value: Any) -> tuple[Resource, ...]:
    """A list of resources; none when it is missing."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("the resources are not a list of objects")
    return tuple(parse_resource(each) for each in value)


def parse_windows(value: Any, count: int) -> tuple[tuple[float, float], ...]:
    """As many (start, end) as there are effects, or none."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"windows is not a list of {count}")
    found = []
    for each in value:
        if not isinstance(each, list) or len(each) != 2:
            raise ValueError("a window is not [start, end]")
        start, end = (number({"window": edge}, "window") for edge in each)
        if start > end:
            raise ValueError(f"a window from {start} to {end} ends before it begins")
        found.append((start, end))
    return tuple(found)


def parse_owner(value: Any) -> Owner | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(type(value.get(k)) is int for k in ("pid", "start_ticks")):
        raise ValueError("owner is not {pid, start_ticks}")
    return Owner(pid=value["pid"], start_ticks=value["start_ticks"])


def number(value: Mapping[str, Any], key: str) -> float:
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise ValueError(f"{key} is not a number")
    return float(found)


def texts(value: Mapping[str, Any], key: str) -> list[str]:
    found = value.get(key)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{key} is not a list of texts")
    return found


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not found:
        raise ValueError(f"{key} is missing or not a text")
    return found


def _port(text: str) -> PortId:
    node, colon, interface = text.partition(":")
    if not (node and colon and interface):
        raise ValueError(f"{text!r} is not a port")
    return PortId(node, interface)
