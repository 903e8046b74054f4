"""JSON Schema of scenario files, made from what reads them: every registered fault with its settings, every probe, every
measure. For editors, which then complete `fault: link.` and underline a percentage without its sign.
"""

from __future__ import annotations

from collections.abc import Mapping

from labctl import units
from labctl.faults.base import FAULTS
from labctl.model.measures import MEASURES, PROBE_KINDS, Measure, Unit
from labctl.model.scenario import Fault, Kind
from labctl.schema import faults
from labctl.schema.json_parts import COUNT, TEXT, Schema
from labctl.schema.scenario_expect import LIMIT_OPERATORS

_NUMBER = r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"


def _unit(names: Mapping[str, float]) -> str:
    return rf"{_NUMBER} *({'|'.join(names)})"


_PATTERNS: Mapping[str, str] = {
    "duration": _unit(units.DURATIONS),
    "rate": _unit(units.RATES),
    "size": _unit(units.SIZES),
    "percent": rf"{_NUMBER} *%",
}


def judged() -> Schema:
    """What a scenario and a campaign say alike: what is measured, and what must hold."""
    probes = {"type": "object", "additionalProperties": {"anyOf": [_probe(kind) for kind in PROBE_KINDS]}}
    expectations = {"type": "array", "items": ref("expectation")}
    stop = object_({"unless": ref("expectation"), "window": written("duration")})
    return {
        "probes": probes,
        "steady": expectations,
        "expect": object_({"during": expectations, "after": expectations}, required=()),
        "stop_when": {"type": "array", "items": stop},
    }


def scenario() -> Schema:
    """The whole file, without `$schema` and title."""
    queries = {"type": "object", "additionalProperties": ref("query")}
    blast = object_(
        {
            "max_links": COUNT,
            "max_nodes": COUNT,
            "max_unreachable_pairs": COUNT,
            "forbid": {"type": "array", "items": ref("query")},
        },
        required=(),
    )
    found = object_(
        {
            "name": TEXT,
            "description": TEXT,
            "seed": COUNT,
            "targets": queries,
            "timeline": ref("steps"),
            **judged(),
            "blast_radius": blast,
        },
        required=("name", "timeline"),
    )
    steps = {"type": "array", "items": ref("step"), "minItems": 1}
    return found | {"$defs": {**parts(), "steps": steps, "step": {"anyOf": _steps()}}}


def parts() -> Schema:
    """Definitions that `ref` names, for scenarios and campaigns."""
    return {"query": _query(), "expectation": _expectation()}


def _steps() -> list[Schema]:
    weighted = _verbs({"weight": {"type": "number", "minimum": 0}})
    options = {"type": "array", "items": {"anyOf": [*weighted, ref("step")]}, "minItems": 1}
    return [*_verbs({}), object_({"choose": options})]


def _verbs(beside: Mapping[str, Schema]) -> list[Schema]:
    """Every step but `choose`, which would otherwise stand inside itself here."""
    length = written("duration")
    until = object_({"until": {"const": "settled"}, "timeout": length})
    shapes: list[tuple[Schema, tuple[str, ...]]] = [
        ({"wait": {"anyOf": [length, until, object_({"for": length})]}}, ("wait",)),
        ({"check": ref("expectation")}, ("check",)),
        ({"sequence": ref("steps")}, ("sequence",)),
        ({"parallel": ref("steps")}, ("parallel",)),
        ({"repeat": COUNT | {"minimum": 1}, "steps": ref("steps")}, ("repeat", "steps")),
        # what a fault needs besides may also come from its ramp
        *((_fault(FAULTS[kind]), ("fault", "target", "for")) for kind in FAULTS),
    ]
    return [object_({**shape, **beside}, required=required) for shape, required in shapes]


def _fault(fault: type[Fault]) -> Schema:
    settings = {spec.key: setting(spec) for spec in faults.settings(fault)}
    ramped = {key: {"type": "array", "items": each, "minItems": 2} for key, each in settings.items()}
    return {
        "fault": {"const": fault.kind, "description": (fault.__doc__ or "").strip().split("\n")[0]},
        "id": TEXT,
        "target": {"anyOf": [TEXT, ref("query")]},
        "for": written("duration"),
        "ramp": object_(ramped, required=()),
        **settings,
    }


def setting(spec: faults.SettingSpec) -> Schema:
    if spec.unit in _PATTERNS:
        found = written(spec.unit)
    elif spec.unit == "count":
        found = COUNT | {"minimum": spec.least}
    elif spec.unit == "yes or no":
        found = {"type": "boolean"}
    elif spec.unit == "words":
        found = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
    else:
        found = {"enum": list(spec.choices)} if spec.choices else dict(TEXT)
    said = spec.help + (f" (default {spec.default_text})" if spec.default_text else "")
    return found | ({"description": said} if said else {})


def _query() -> Schema:
    more = {"pick": COUNT | {"minimum": 1}, "allow_empty": {"type": "boolean"}}
    return {"anyOf": [object_({kind.value: TEXT, **more}, required=(kind.value,)) for kind in Kind]}


def _probe(kind: str) -> Schema:
    settings = PROBE_KINDS[kind]
    shapes = {key: _of_unit(each.unit) | {"description": each.about} for key, each in settings.items()}
    required = [key for key, each in settings.items() if each.default is None]
    return object_({"kind": {"const": kind}, **shapes}, required=("kind", *required))


def _expectation() -> Schema:
    return {"anyOf": [_measured(key, measure) for key, measure in MEASURES.items()]}


def _measured(key: str, measure: Measure) -> Schema:
    about = {"description": measure.about}
    if measure.unit is Unit.WORD:
        limit: Schema = {"enum": list(measure.words)}
    elif measure.unit is Unit.COUNT:
        limit = {"anyOf": [COUNT, {"type": "string", "pattern": rf"^({LIMIT_OPERATORS})? *[0-9]+$"}]}
    else:
        limit = {"type": "string", "pattern": rf"^({LIMIT_OPERATORS})? *{_PATTERNS[measure.unit]}$"}
    shape = {key: limit | about, "within": written("duration"), "why": TEXT}
    probe: Schema = {"probe": TEXT} if measure.probe else {}
    return object_({**probe, **shape}, required=(*probe, key))


def _of_unit(unit: Unit) -> Schema:
    if unit in _PATTERNS:
        return written(unit)
    return dict(COUNT) if unit is Unit.COUNT else dict(TEXT)


def written(unit: str) -> Schema:
    return {"type": "string", "pattern": f"^{_PATTERNS[unit]}$"}


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def object_(properties: Mapping[str, Schema], *, required: tuple[str, ...] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties if required is None else required),
        "additionalProperties": False,
    }
