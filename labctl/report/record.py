"""The report as JSON: everything the page shows and every sample behind it, versioned.

Written by walking the dataclasses, so a new field of a `Report` is in the record the day it exists. Names of enums
and ids are their text; sets are sorted, so equal reports are equal bytes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from labctl.model.measure import Track
from labctl.model.verdict import Report
from labctl.names import CableId, PortId

VERSION = 1


def write(report: Report) -> bytes:
    """The record, as bytes."""
    return (json.dumps(plain_report(report), ensure_ascii=False, indent=1) + "\n").encode()


def plain_report(report: Report) -> dict[str, Any]:
    return {"version": VERSION, "kind": "report", **plain(report)}


def plain(value: Any) -> Any:  # noqa: PLR0911  (one line for each kind of value)
    """Dataclasses to dicts, ids to text, samples to columns (a million rows of keys help nobody)."""
    if isinstance(value, Track):
        return {
            **{
                f.name: plain(getattr(value, f.name))
                for f in dataclasses.fields(value)
                if f.name != "samples"
            },
            "samples": {
                "seq": [s.seq for s in value.samples],
                "sent": [round(s.sent, 6) for s in value.samples],
                "value": [None if s.value is None else round(s.value, 9) for s in value.samples],
                "error": {str(s.seq): s.error for s in value.samples if s.error},
            },
        }
    if isinstance(value, (PortId, CableId, Enum)):
        return value.value if isinstance(value, Enum) else str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return [plain(v) for v in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value
