"""Probes and expectations of a scenario: `{probe: path, max_outage: 1500ms}`, `{routes: same, within: 30s}`.

The words are those of `labctl.model.measures`; an expectation has exactly one of them, and a limit may say which way it
holds: `availability: ">= 99%"`.
"""

from __future__ import annotations

import re
from typing import cast

from labctl import units
from labctl.analyze.expect import MIN_SAMPLES
from labctl.errors import did_you_mean
from labctl.model.measures import MEASURES, OPERATORS, PROBE_KINDS, Measure, Place, ProbeSetting, Unit
from labctl.model.scenario import Expectation, ProbeSpec, StopRule
from labctl.names import NODE, is_address
from labctl.schema import fields
from labctl.schema.scenario_read import Reading
from labctl.schema.yaml import Map, Scalar, Value

LIMIT_OPERATORS = "|".join(OPERATORS)  # longest first
_LIMIT = re.compile(rf"\s*(?P<op>{LIMIT_OPERATORS})?\s*(?P<limit>.*?)\s*")
EXPECTATION_KEYS = ("probe", "within", "why")


# ---- probes


def read_probes(value: Value | None, reading: Reading) -> tuple[ProbeSpec, ...]:
    """A map of ids to probes."""
    found = []
    for entry in fields.mapping(value, "probes", reading.problems) or ():
        reading.probes[entry.key] = entry.span
        probe = _probe(entry.key, entry.value, reading)
        if probe is not None:
            found.append(probe)
            reading.paces[probe.id] = cast("float", probe.settings["every_s"])
    return tuple(found)


def _probe(name: str, value: Value, reading: Reading) -> ProbeSpec | None:
    what = f"probe {name}"
    given = fields.mapping(value, what, reading.problems)
    kind_at = reading.required(given, "kind", what) if given is not None else None
    kind = reading.text(kind_at, f"{what}: kind")
    if given is None or kind_at is None or kind is None:
        return None
    if kind not in PROBE_KINDS:
        said, hint = f"there is no probe of kind {kind!r}", did_you_mean(kind, PROBE_KINDS)
        reading.add("unknown-probe", said, kind_at.span, hint)
        return None
    known = PROBE_KINDS[kind]
    fields.unknown_keys(given, ("kind", *known), what, reading.problems)
    settings: dict[str, object] = {}
    for key, setting in known.items():
        at = given.get(key) if setting.default is not None else reading.required(given, key, what)
        found = None if at is None else _setting(at, f"{what}: {key}", setting, reading)
        settings[setting.name] = setting.default if found is None else found
    return ProbeSpec(id=name, kind=kind, settings=settings, where=given.span)


def _setting(value: Value, key: str, setting: ProbeSetting, reading: Reading) -> object:
    match setting.unit:
        case Unit.DURATION:
            return reading.duration(value, key)
        case Unit.COUNT:
            return reading.count(value, key, low=1, high=65535)
        case Unit.NODE | Unit.HOST:
            return _host(value, key, setting.unit, reading)
        case _:
            return reading.text(value, key)


def _host(value: Value, key: str, unit: Unit, reading: Reading) -> str | None:
    said = reading.text(value, key)
    if said is None or (unit is Unit.HOST and is_address(said)) or NODE.fullmatch(said):
        return said
    wanted = "a node" if unit is Unit.NODE else "a node or an address"
    reading.add("bad-value", f"{key} must be {wanted}, not {said!r}", value.span)
    return None


# ---- expectations


def read_expectations(
    value: Value | None, what: str, place: Place, reading: Reading
) -> tuple[Expectation, ...]:
    each = (
        read_expectation(item, f"an expectation of {what}", place, reading)
        for item in reading.items(value, what)
    )
    return tuple(found for found in each if found is not None)


def read_expectation(value: Value, what: str, place: Place, reading: Reading) -> Expectation | None:
    given = reading.mapping(value, what, (*EXPECTATION_KEYS, *MEASURES))
    if given is None:
        return None
    measures = [entry for entry in given if entry.key in MEASURES]
    if len(measures) != 1:
        if not measures and all(entry.key in EXPECTATION_KEYS for entry in given):
            said = f"{what} measures nothing"
            reading.add("missing-key", said, given.span, "write it like `{probe: path, loss: 1%}`")
        elif measures:
            names = ", ".join(entry.key for entry in measures)
            reading.add(
                "bad-value", f"{what} measures several things: {names}", given.span, "write one of each"
            )
        return None
    entry = measures[0]
    measure = MEASURES[entry.key]
    probe = _of_probe(given, entry.key, measure, reading)
    limit = _limit(entry.value, entry.key, measure, reading)
    within = reading.duration(given.get("within"), f"{what}: within")
    if place not in measure.places:
        places = " or ".join(each for each in Place if each in measure.places)
        reading.add(
            "bad-value", f"{entry.key} cannot be judged in {place}", entry.span, f"it can in {places}"
        )
        return None
    if within is not None and not _waits(place, measure):
        said = f"`within` means nothing beside {entry.key} in {place}"
        reading.add("bad-value", said, given.entries["within"].span, _WITHIN)
        return None
    if limit is None or probe is None:
        return None
    return Expectation(
        measure=entry.key,
        op=limit[0],
        limit=limit[1],
        probe=probe,
        within_s=within,
        why=reading.text(given.get("why"), f"{what}: why") or "",
        where=given.span,
    )


_WITHIN = "it is the time that an expectation of `after` is given until it must hold"


def _waits(place: Place, measure: Measure) -> bool:
    """Whether `within` has a meaning: the time until it must hold, or the stretch that a check looks back on."""
    return place is Place.AFTER or (place is Place.CHECK and measure.unit is not Unit.WORD)


def _of_probe(given: Map, key: str, measure: Measure, reading: Reading) -> str | None:
    """The probe's id, empty for what concerns the lab; None if that is wrong."""
    at = given.get("probe")
    said = reading.text(at, "probe")
    if not measure.probe:
        if at is not None:
            reading.add("bad-value", f"{key} is about the whole lab and takes no `probe`", at.span)
            return None
        return ""
    if at is None or said is None:
        reading.add("missing-key", f"{key} is measured by a probe, and none is named", given.span)
        return None
    if said not in reading.probes:
        hint = did_you_mean(said, reading.probes) or "define it under `probes`"
        reading.add("unknown-probe", f"the scenario has no probe {said!r}", at.span, hint)
        return None
    return said


def _limit(value: Value, key: str, measure: Measure, reading: Reading) -> tuple[str, float | str] | None:
    said = reading.text(value, key)
    if said is None:
        if isinstance(value, Scalar):
            reading.add("missing-key", f"{key} has no limit", value.span)
        return None
    match = _LIMIT.fullmatch(said)
    assert match is not None
    operator, limit = match["op"] or measure.op, match["limit"]
    if measure.unit is Unit.WORD:
        if limit not in measure.words or operator != "==":
            reading.add("bad-value", f"{key} must be {' or '.join(measure.words)}, not {said!r}", value.span)
            return None
        return operator, limit
    found: float | None
    match measure.unit:
        case Unit.PERCENT:
            found = reading.try_(lambda: units.percent(limit, where=value.span))
        case Unit.DURATION:
            found = reading.try_(lambda: units.duration(limit, where=value.span))
        case _:
            found = reading.count(Scalar(limit, plain=True, span=value.span), key)
    return None if found is None else (operator, found)


def read_stop_rules(value: Value | None, reading: Reading) -> tuple[StopRule, ...]:
    rules = []
    for item in reading.items(value, "stop_when"):
        given = reading.mapping(item, "a stop rule", ("unless", "window"))
        if given is None:
            continue
        unless = reading.required(given, "unless", "a stop rule")
        window = reading.required(
            given, "window", "a stop rule", "over which time it is judged: `window: 10s`"
        )
        expect = None if unless is None else read_expectation(unless, "a stop rule", Place.STOP, reading)
        window_s = reading.duration(window, "a stop rule: window")
        if expect is not None and window_s is not None and window is not None:
            least_s = MIN_SAMPLES * reading.paces.get(expect.probe, 0.0)
            if window_s < least_s:
                said = (
                    f"the window is too short for {MIN_SAMPLES} samples of probe {expect.probe!r}: "
                    "the rule would never strike"
                )
                reading.add("bad-value", said, window.span, f"at least {units.format_duration(least_s)}")
                continue
            rules.append(StopRule(unless=expect, window_s=window_s))
    return tuple(rules)
