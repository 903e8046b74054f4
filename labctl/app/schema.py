"""`labctl schema`: the JSON Schemas of files and outputs."""

from __future__ import annotations

from typing import Any

from labctl.schema import json_schema


def names() -> dict[str, str]:
    """name -> what it describes."""
    return json_schema.names()


def schema(name: str) -> dict[str, Any]:
    """The schema of that name; `unknown-schema` if there is none."""
    return json_schema.schema(name)
