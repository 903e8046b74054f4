"""JSON Schema of campaign files: as scenarios, with a weight beside each fault and a draw wherever a value may stand."""

from __future__ import annotations

from labctl.faults.base import FAULTS
from labctl.model.campaign import How, Measured
from labctl.model.scenario import Fault
from labctl.schema import faults
from labctl.schema.campaign import COOLDOWN_KEYS, COVERAGE
from labctl.schema.json_parts import COUNT, TEXT, Schema
from labctl.schema.scenario_schema import judged, object_, parts, ref, setting, written

_WEIGHT: Schema = {"type": "number", "minimum": 0}
_SOME: Schema = COUNT | {"minimum": 1}
_NUMBERS = frozenset({"duration", "rate", "size", "percent", "count"})


def campaign() -> Schema:
    """The whole file, without `$schema` and title."""
    length = written("duration")
    cooldown = {"anyOf": [length, object_(dict.fromkeys(COOLDOWN_KEYS, length), required=())]}
    entries = [*(_fault(FAULTS[kind]) for kind in FAULTS), _scenario()]
    found = object_(
        {
            "name": TEXT,
            "description": TEXT,
            "seed": COUNT,
            "trials": _SOME,
            "for": length,
            "faults": {"anyOf": [_SOME, object_({"min": _SOME, "max": _SOME}, required=("max",))]},
            "spread": length,
            "settle": length,
            "gap": length,
            "cooldown": cooldown,
            "coverage": {"enum": list(COVERAGE)},
            "shrink": COUNT,
            **judged(),
            "pool": {"type": "array", "items": {"anyOf": entries}, "minItems": 1},
            "constraints": {"type": "array", "items": {"anyOf": _constraints()}},
        },
        required=("name", "pool"),
    )
    return found | {"$defs": parts()}


def _fault(fault: type[Fault]) -> Schema:
    settings = {
        spec.key: _drawn(setting(spec), ranged=spec.unit in _NUMBERS) for spec in faults.settings(fault)
    }
    required = [spec.key for spec in faults.settings(fault) if spec.required]
    shape = {
        "fault": {"const": fault.kind, "description": (fault.__doc__ or "").strip().split("\n")[0]},
        "id": TEXT,
        "weight": _WEIGHT,
        "target": ref("query"),
        "for": _drawn(written("duration"), ranged=True),
        **settings,
    }
    return object_(shape, required=("fault", "target", "for", *required))


def _scenario() -> Schema:
    return object_({"scenario": TEXT, "id": TEXT, "weight": _WEIGHT}, required=("scenario",))


def _drawn(value: Schema, *, ranged: bool) -> Schema:
    """A value, or how it is drawn."""
    some = object_({How.CHOICE.value: {"type": "array", "items": value, "minItems": 1}})
    two = {"type": "array", "items": value, "minItems": 2, "maxItems": 2}
    ranges = [object_({how.value: two}) for how in (How.UNIFORM, How.LOGUNIFORM)] if ranged else []
    return {"anyOf": [value, some, *ranges]}


def _constraints() -> list[Schema]:
    ends = object_({"from": TEXT, "to": TEXT})
    shapes: list[Schema] = [
        {"never_cut": ends},
        {"never_touch": ref("query")},
        {"not_together": ref("query")},
        *({each.value: COUNT} for each in Measured),
    ]
    return [object_({**shape, "why": TEXT}, required=tuple(shape)) for shape in shapes]
