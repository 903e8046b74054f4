"""`labctl validate`: read files as the other verbs would, and say everything that is wrong with them.

What a file is comes from its content: `topology:` makes a lab file, `kind: snapshot` a snapshot, `devices:` an
inventory. Nothing outside the files is looked at: whether images and bind sources exist is for `deploy`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.errors import LabctlError, Problems, Span
from labctl.model.event import Emit, Event, ignore
from labctl.schema import clab, yaml
from labctl.schema.clab_read import Notice, Notify

_KEY = re.compile(r"^([A-Za-z_-]+)[ \t]*:(?:[ \t]+['\"]?([a-z-]+))?", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """One file. `kind` is empty if it could not be told; `summary` says what a good file holds."""

    file: str
    kind: str = ""
    summary: str = ""
    notices: tuple[Notice, ...] = ()
    errors: tuple[LabctlError, ...] = ()


def validate(paths: Sequence[str], *, lenient: bool = False, emit: Emit = ignore) -> tuple[Validated, ...]:
    """Every file, in the order given."""
    found = []
    for done, path in enumerate(paths, start=1):
        found.append(_validate(path, lenient))
        emit(Event(kind="file-read", text=f"read {path}", subject=path, done=done, total=len(paths)))
    return tuple(found)


def failures(results: Sequence[Validated]) -> Problems:
    """All errors of all files."""
    problems = Problems()
    for result in results:
        for error in result.errors:
            problems.extend(error)
    return problems


def as_json(results: Sequence[Validated]) -> dict[str, Any]:
    """What `--format json` prints."""
    return {
        "version": 1,
        "ok": not any(result.errors for result in results),
        "files": [
            {
                "file": result.file,
                "kind": result.kind,
                "summary": result.summary,
                "errors": [
                    {"code": e.code, "where": _where(e.where), "message": e.message, "hint": e.hint}
                    for e in result.errors
                ],
                "warnings": [{"where": _where(n.where), "message": n.text} for n in result.notices],
            }
            for result in results
        ],
    }


def _where(span: Span | None) -> dict[str, Any] | None:
    return None if span is None else {"file": span.file, "line": span.line, "column": span.column}


def _validate(path: str, lenient: bool) -> Validated:
    notices: list[Notice] = []
    kind = ""
    try:
        kind = kind_of(yaml.read_text(path), path)
        summary = _READERS[kind](path, lenient, notices.append)
    except LabctlError as error:
        return Validated(file=path, kind=kind, notices=tuple(notices), errors=error.each)
    return Validated(file=path, kind=kind, summary=summary, notices=tuple(notices))


def kind_of(text: str, path: str) -> str:
    """lab, inventory or one of labctl's own kinds, by the first top-level key that tells."""
    keys = {match[1]: match[2] for match in _KEY.finditer(text)}
    if not keys.keys() & {"kind", "topology", "devices"}:
        root = yaml.parse(text, file=path)  # a file in flow style, or none of ours
        if isinstance(root, yaml.Map):
            keys = {e.key: e.value.text if isinstance(e.value, yaml.Scalar) else None for e in root}
    if (keys.get("kind") or "") in _READERS:
        return str(keys["kind"])
    if "topology" in keys or path.endswith((".clab.yml", ".clab.yaml")):
        return "lab"
    if "devices" in keys:
        return "inventory"
    raise LabctlError(
        "bad-value",
        "this is no file that labctl knows",
        where=Span(path),
        hint="a lab file has `topology:`, an inventory `devices:`, a snapshot `kind: snapshot`",
    )


def _lab(path: str, lenient: bool, notify: Notify) -> str:
    lab = clab.load(path, lenient=lenient, notify=notify)
    return f"lab {lab.name}: {_count(len(lab.nodes), 'node')}, {_count(len(lab.cables), 'link')}"


def _snapshot(path: str, _lenient: bool, _notify: Notify) -> str:
    from labctl.schema import files

    topology = files.load_snapshot(path).topology
    devices, links = len(topology.devices), len(topology.links)
    return f"snapshot {topology.name}: {_count(devices, 'device')}, {_count(links, 'link')}"


def _allocation_table(path: str, _lenient: bool, _notify: Notify) -> str:
    from labctl.render.allocation import AllocationTable
    from labctl.schema import files

    table = files.load(AllocationTable, path)
    return f"allocation table: {_count(len(table.devices), 'device')}"


def _inventory(path: str, _lenient: bool, _notify: Notify) -> str:
    from labctl.ingest import inventory

    return f"inventory: {_count(len(inventory.load(path, keys=False)), 'device')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tables(path: str, _lenient: bool, _notify: Notify) -> str:
    from labctl.model.routes import RouteTables
    from labctl.schema import files

    routes = files.load(RouteTables, path).routes
    count = sum(len(each or ()) for each in routes.values())
    return f"routes of {_count(len(routes), 'node')}: {_count(count, 'route')}"


_READERS: Mapping[str, Callable[[str, bool, Notify], str]] = {
    "allocation-table": _allocation_table,
    "inventory": _inventory,
    "lab": _lab,
    "route-tables": _tables,
    "snapshot": _snapshot,
}
