"""A plan as a file: saved beside a run, and what replays it.

JSON with `kind: plan`, because a program writes it and programs read it; every float comes back to the last bit, so a
replay does what the first run did.
"""

from __future__ import annotations

import json
import os
from typing import Any

from labctl.errors import LabctlError, Span
from labctl.faults.base import FAULTS
from labctl.faults.reduce import faults
from labctl.model.scenario import Plan
from labctl.schema import tagged, yaml

KIND, VERSION = "plan", 1


def dump(plan: Plan) -> str:
    """The same plan gives the same text."""
    return json.dumps(plain(plan), indent=1) + "\n"


def plain(plan: Plan) -> dict[str, Any]:
    """What the file holds."""
    return {"kind": KIND, "version": VERSION, **tagged.encode(plan, Plan)}


def load(path: str | os.PathLike[str]) -> Plan:
    return parse(yaml.read_text(path), file=os.fspath(path))


def parse(text: str, *, file: str) -> Plan:
    """The plan of a text; `bad-value` with its place if it is none."""
    data = _json(text, file)
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise LabctlError("bad-value", "this is no plan: it has no `kind: plan`", where=Span(file))
    if data.get("version") != VERSION:
        said = f"this labctl reads plans of version {VERSION}, not {data.get('version')!r}"
        raise LabctlError("bad-value", said, where=Span(file), hint="it was written by another version")
    body = {key: value for key, value in data.items() if key not in ("kind", "version")}
    try:
        return _played(tagged.decode(body, Plan))
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise LabctlError("bad-value", f"this is no plan: {said}", where=Span(file)) from None


def _played(plan: Plan) -> Plan:
    """A plan that somebody edited: what no run could do as it says is a ValueError."""
    for fault in faults(plan.root):
        if fault.kind not in FAULTS:
            raise ValueError(f"{fault.id!r} is a fault of no known kind: {fault.kind!r}")
        if not fault.for_s > 0:
            raise ValueError(f"{fault.id!r} lasts {fault.for_s:g} s")
        for span in fault.spans:
            if not 0 <= span.start_s < span.end_s <= fault.for_s:
                raise ValueError(
                    f"{fault.id!r} lasts {fault.for_s:g} s and has an effect from {span.start_s:g} s to {span.end_s:g} s"
                )
    return plan


def _json(text: str, file: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = Span(file, error.lineno, error.colno)
        raise LabctlError("bad-value", f"this is not JSON: {error.msg}", where=where) from None
    except RecursionError:
        raise LabctlError("bad-value", "this is no plan: it is nested too deeply", where=Span(file)) from None
