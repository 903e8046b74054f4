"""`labctl fault`: one fault beside whatever else runs, by hand; what is active; and its end.

A fault is resolved like a step of a scenario (the same settings, the same target queries) and handed to the lab's agent
with all its times, so it comes, flaps and goes by itself, whether or not anybody waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.agent import client
from labctl.errors import LabctlError, Problems, Span, did_you_mean, on_command_line
from labctl.faults.base import FAULTS
from labctl.faults.draw import Draw
from labctl.model.scenario import Fault, Query, Targets
from labctl.names import check_fault
from labctl.run import heal
from labctl.runtime.store import LabDir
from labctl.schema import faults as fault_settings
from labctl.schema.faults import SettingSpec
from labctl.topo import query
from labctl.units import duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`settings`: as given by flags. `for_`: with its unit. `seed`: of every random choice."""

    kind: str
    target: str
    for_: str | None
    settings: Mapping[str, str | list[str]]
    seed: int
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """One resource: what is wanted of it since when, when it was read back, and what was read if it is not so."""

    on: str
    applied_ms: float  # after the request
    read_ms: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A fault that took."""

    id: str
    kind: str
    about: str
    seed: int
    for_s: float
    touched: tuple[Touched, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """A fault that the agent knows. `effects`: (resource, change, whether it is there now)."""

    id: str
    about: str
    remaining_s: float
    until: float  # wall clock
    effects: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What ended, and what of it is not as before."""

    ids: tuple[str, ...]
    put_back: tuple[Touched, ...]

    @property
    def dirty(self) -> tuple[Touched, ...]:
        return tuple(each for each in self.put_back if each.note)


def kinds() -> tuple[tuple[type[Fault], tuple[SettingSpec, ...]], ...]:
    """Every fault with its settings."""
    return tuple((FAULTS[name], fault_settings.settings(FAULTS[name])) for name in FAULTS)


def add(place: LabDir, request: Request) -> Added:
    """Apply a fault; it is there and was read back when this returns. `effect-not-taken` if it is not."""
    fault, for_s = _read(request)
    if request.id is not None:
        check_fault(request.id, where=Span("--id"))
    heal.implicit(place.instance)
    lab = place.need().lab
    draw = Draw(seed=request.seed)
    asked = Query(kind=fault.on, expression=request.target, where=Span("TARGET"))
    targets = query.select(asked, query.Graph(lab), draw.at("target"))
    fault_id = request.id or _free_id(place, fault.kind)
    spans = fault.spans(fault_id, lab, targets, for_s, draw.at("fault"))
    if not spans:
        raise LabctlError(
            "empty-target", f"{fault.kind} touches nothing of {request.target!r} in lab {lab.name}"
        )
    about = f"{fault.said()} on {_names(targets)}"
    begun = time.monotonic()
    always = all(each.start_s == 0 and each.end_s >= for_s for each in spans)
    reply = client.add(
        place,
        fault_id,
        [each.effect for each in spans],
        for_s,
        windows=() if always else [(each.start_s, each.end_s) for each in spans],
        about=about,
    )
    return Added(
        id=fault_id,
        kind=fault.kind,
        about=about,
        seed=request.seed,
        for_s=for_s,
        touched=_touched(reply["readings"], begun),
    )


def active(place: LabDir) -> tuple[Active, ...]:
    """The faults that the lab has now, also those of a scenario that runs."""
    heal.implicit(place.instance)
    return tuple(_active(lease) for lease in client.leases(place))


def clear(place: LabDir, fault_id: str | None) -> Cleared:
    """End a fault, or all of them; everything is put back when this returns."""
    heal.implicit(place.instance)
    there = [str(lease["id"]) for lease in client.leases(place)]
    if fault_id is not None and fault_id not in there:
        raise LabctlError(
            "unknown-resource",
            f"no fault {fault_id!r} is active in lab {place.name!r}",
            hint=did_you_mean(fault_id, there) or "`labctl fault list` shows them",
        )
    begun = time.monotonic()
    reply = client.clear(place, fault_id)
    return Cleared(ids=tuple(reply["cleared"]), put_back=_touched(reply["readings"], begun))


def _read(request: Request) -> tuple[Fault, float]:
    """The fault and how long it lasts; what is wrong with them is wrong with the command line."""
    try:
        return _parsed(request)
    except LabctlError as error:
        raise on_command_line(error) from None


def _parsed(request: Request) -> tuple[Fault, float]:
    problems = Problems()
    if request.kind not in FAULTS:
        raise LabctlError(
            "unknown-fault",
            f"there is no fault {request.kind!r}",
            hint=did_you_mean(request.kind, FAULTS) or "`labctl fault kinds` lists them",
        )
    kind = FAULTS[request.kind]
    given = fault_settings.flags(request.settings)
    fault = fault_settings.read(kind, given, problems, also=("for",))
    for_s = 0.0
    if request.for_ is None:
        problems.add(
            "missing-key", "how long it lasts is missing", hint="every fault ends by itself: `--for 60s`"
        )
    else:
        try:
            for_s = duration(request.for_, where=Span("--for"))
        except LabctlError as error:
            problems.add(error.code, error.message, where=error.where, hint=error.hint)
        else:
            if not for_s:
                problems.add("bad-value", "a fault of no length is none", where=Span("--for"))
    problems.stop()
    if fault is None:
        raise AssertionError("a fault that could not be read has a problem")
    return fault, for_s


def _free_id(place: LabDir, kind: str) -> str:
    there = {str(lease["id"]) for lease in client.leases(place)}
    return next(f"{kind}-{n}" for n in range(1, len(there) + 2) if f"{kind}-{n}" not in there)


def _names(targets: Targets) -> str:
    names = [str(each) for each in (*targets.cables, *targets.nodes, *targets.ports)]
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _touched(readings: Sequence[Mapping[str, Any]], begun: float) -> tuple[Touched, ...]:
    return tuple(
        Touched(
            on=resource_text(each),
            applied_ms=round((each["applied"]["monotonic"] - begun) * 1000, 3),
            read_ms=round((each["read"]["monotonic"] - begun) * 1000, 3),
            note="" if each["taken"] else each["note"],
        )
        for each in readings
    )


def _active(lease: Mapping[str, Any]) -> Active:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    windows = lease.get("windows") or [[0.0, lease["deadline_boot"]]] * len(lease["effects"])
    return Active(
        id=lease["id"],
        about=lease.get("about") or "",
        remaining_s=lease["remaining_s"],
        until=lease["deadline_wall"],
        effects=tuple(
            (resource_text(each), each["change"], start <= now < end)
            for each, (start, end) in zip(lease["effects"], windows, strict=True)
        ),
    )


def resource_text(value: Mapping[str, Any]) -> str:
    """A resource of the agent's replies, in words."""
    from labctl.agent import codec

    return str(codec.parse_resource(value))
