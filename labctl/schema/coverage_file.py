"""What a campaign remembers from one night to the next: which element of which lab was last failed at which turn.

A turn is a trial that was played; turns only count up, so "least recently" needs no clock. JSON, one line an element, for a
person who wants to forget something by deleting it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from labctl.errors import LabctlError, Span
from labctl.schema import yaml

KIND, VERSION = "coverage", 1


def dump(lab: str, turns: Mapping[str, int]) -> str:
    """The same turns give the same text."""
    head = {"kind": KIND, "version": VERSION, "lab": lab}
    return json.dumps(head | {"failed": dict(sorted(turns.items()))}, indent=1, ensure_ascii=False) + "\n"


def load(path: str | os.PathLike[str], lab: str) -> dict[str, int]:
    """The turns of a file for this lab; of a file that is not there, none."""
    if not os.path.exists(path):
        return {}
    where = Span(os.fspath(path))
    try:
        data = json.loads(yaml.read_text(path))
    except json.JSONDecodeError as error:
        there = Span(where.file, error.lineno, error.colno)
        raise LabctlError("bad-value", f"this is not JSON: {error.msg}", where=there) from None
    except RecursionError:
        data = None
    if not isinstance(data, dict) or (data.get("kind"), data.get("version")) != (KIND, VERSION):
        raise LabctlError(
            "bad-value",
            "this is no record of coverage",
            where=where,
            hint="move it away, or name another file",
        )
    if data.get("lab") != lab:
        said = f"this is the coverage of lab {data.get('lab')!r}, not of {lab!r}"
        raise LabctlError("bad-value", said, where=where, hint="name another file with --coverage")
    failed = data.get("failed")
    if not isinstance(failed, dict) or not all(type(turn) is int and turn > 0 for turn in failed.values()):
        raise LabctlError("bad-value", "`failed` must be a map of elements to turns", where=where)
    return failed
