"""JSON Schema of scenario files, made from what reads them: every registered fault with its settings, every probe, every
measure. For editors, which then complete `fault: link.` and underline a percentage without its sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from labctl import units
from labctl.faults.base import FAULTS
from labctl.model.measures import MEASURES, PROBE_KINDS, Measure, Unit
from labctl.model.scenario import Fault, Kind
from labctl.schema import faults
from labctl.schema.scenario_expect import LIMIT_OPERATORS

Schema: TypeAlias = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER = r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"


def _unit(names: Mapping[str, float]) -> str:
    return rf"{_NUMBER} *({'|'.join(names)})"


_PATTERNS: Mapping[str, str] = {
    "duration": _unit(units.DURATIONS),
    "rate": _unit(units.RATES),
    "size": _unit(units.SIZES),
    "percent": rf"{_NUMBER} *%",
}


def scenario() -> Schema:
    """The whole file, without `$schema` and title."""
    queries = {"type": "object", "additionalProperties": _ref("query")}
    probes = {"type": "object", "additionalProperties": {"anyOf": [_probe(kind) for kind in PROBE_KINDS]}}
    expectations = {"type": "array", "items": _ref("expectation")}
    stop = _object({"unless": _ref("expectation"), "window": _written("duration")})
    blast = _object(
        {
            "max_links": _COUNT,
            "max_nodes": _COUNT,
            "max_unreachable_pairs": _COUNT,
            "forbid": {"type": "array", "items": _ref("query")},
        },
        required=(),
    )
    found = _object(
        {
            "name": _TEXT,
            "description": _TEXT,
            "seed": _COUNT,
            "targets": queries,
            "probes": probes,
            "steady": expectations,
            "timeline": _ref("steps"),
            "expect": _object({"during": expectations, "after": expectations}, required=()),
            "stop_when": {"type": "array", "items": stop},
            "blast_radius": blast,
        },
        required=("name", "timeline"),
    )
    steps = {"type": "array", "items": _ref("step"), "minItems": 1}
    parts = {"query": _query(), "expectation": _expectation(), "steps": steps, "step": {"anyOf": _steps()}}
    return found | {"$defs": parts}


def _steps() -> list[Schema]:
    weighted = _verbs({"weight": {"type": "number", "minimum": 0}})
    options = {"type": "array", "items": {"anyOf": [*weighted, _ref("step")]}, "minItems": 1}
    return [*_verbs({}), _object({"choose": options})]


def _verbs(beside: Mapping[str, Schema]) -> list[Schema]:
    """Every step but `choose`, which would otherwise stand inside itself here."""
    length = _written("duration")
    until = _object({"until": {"const": "settled"}, "timeout": length})
    shapes: list[tuple[Schema, tuple[str, ...]]] = [
        ({"wait": {"anyOf": [length, until, _object({"for": length})]}}, ("wait",)),
        ({"check": _ref("expectation")}, ("check",)),
        ({"sequence": _ref("steps")}, ("sequence",)),
        ({"parallel": _ref("steps")}, ("parallel",)),
        ({"repeat": _COUNT | {"minimum": 1}, "steps": _ref("steps")}, ("repeat", "steps")),
        # what a fault needs besides may also come from its ramp
        *((_fault(FAULTS[kind]), ("fault", "target", "for")) for kind in FAULTS),
    ]
    return [_object({**shape, **beside}, required=required) for shape, required in shapes]


def _fault(fault: type[Fault]) -> Schema:
    settings = {spec.key: _setting(spec) for spec in faults.settings(fault)}
    ramped = {key: {"type": "array", "items": each, "minItems": 2} for key, each in settings.items()}
    return {
        "fault": {"const": fault.kind, "description": (fault.__doc__ or "").strip().split("\n")[0]},
        "id": _TEXT,
        "target": {"anyOf": [_TEXT, _ref("query")]},
        "for": _written("duration"),
        "ramp": _object(ramped, required=()),
        **settings,
    }


def _setting(spec: faults.SettingSpec) -> Schema:
    if spec.unit in _PATTERNS:
        found = _written(spec.unit)
    elif spec.unit == "count":
        found = dict(_COUNT)
    elif spec.unit == "yes or no":
        found = {"type": "boolean"}
    elif spec.unit == "words":
        found = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
    else:
        found = {"enum": list(spec.choices)} if spec.choices else dict(_TEXT)
    said = spec.help + (f" (default {spec.default_text})" if spec.default_text else "")
    return found | ({"description": said} if said else {})


def _query() -> Schema:
    more = {"pick": _COUNT | {"minimum": 1}, "allow_empty": {"type": "boolean"}}
    return {"anyOf": [_object({kind.value: _TEXT, **more}, required=(kind.value,)) for kind in Kind]}


def _probe(kind: str) -> Schema:
    settings = PROBE_KINDS[kind]
    shapes = {key: _of_unit(each.unit) | {"description": each.about} for key, each in settings.items()}
    required = [key for key, each in settings.items() if each.default is None]
    return _object({"kind": {"const": kind}, **shapes}, required=("kind", *required))


def _expectation() -> Schema:
    return {"anyOf": [_measured(key, measure) for key, measure in MEASURES.items()]}


def _measured(key: str, measure: Measure) -> Schema:
    about = {"description": measure.about}
    if measure.unit is Unit.WORD:
        limit: Schema = {"enum": list(measure.words)}
    elif measure.unit is Unit.COUNT:
        limit = {"anyOf": [_COUNT, {"type": "string", "pattern": rf"^({LIMIT_OPERATORS})? *[0-9]+$"}]}
    else:
        limit = {"type": "string", "pattern": rf"^({LIMIT_OPERATORS})? *{_PATTERNS[measure.unit]}$"}
    shape = {key: limit | about, "within": _written("duration"), "why": _TEXT}
    probe: Schema = {"probe": _TEXT} if measure.probe else {}
    return _object({**probe, **shape}, required=(*probe, key))


def _of_unit(unit: Unit) -> Schema:
    if unit in _PATTERNS:
        return _written(unit)
    return dict(_COUNT) if unit is Unit.COUNT else dict(_TEXT)


def _written(unit: str) -> Schema:
    return {"type": "string", "pattern": f"^{_PATTERNS[unit]}$"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Mapping[str, Schema], *, required: tuple[str, ...] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }
