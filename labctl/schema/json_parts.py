"""The few pieces that JSON Schemas of labctl are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
BOOL: Schema = {"type": "boolean"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}


def object_(
    properties: Mapping[str, Schema], *, optional: tuple[str, ...] = (), extra: bool = False
) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": extra,
    }


def list_(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def versioned(properties: Mapping[str, Schema], *, extra: bool = False) -> Schema:
    return object_({"version": {"const": 1}, **properties}, extra=extra)
