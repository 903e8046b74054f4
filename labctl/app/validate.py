"""`labctl validate`: read files as the other verbs would, and say everything that is wrong with them.

What a file is comes from its content (`app.kinds`). Nothing outside the files is looked at, but for the scenarios that a
campaign names: whether images and bind sources exist is for `deploy`. Given a lab or its file, scenarios are also planned on
that lab, campaigns drawn and saved plans compared with it: everything that a run does before it touches anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from labctl.app import kinds
from labctl.app.kinds import Kind
from labctl.errors import LabctlError, Problems, Span
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec
from labctl.schema import clab, yaml
from labctl.schema.clab_read import Notice, Notify


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How lab files are read."""

    lenient: bool = False
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """One file. `kind` is empty if it could not be told; `summary` says what a good file holds."""

    file: str
    kind: str = ""
    summary: str = ""
    notices: tuple[Notice, ...] = ()
    errors: tuple[LabctlError, ...] = ()


def validate(
    paths: Sequence[str],
    *,
    lenient: bool = False,
    variables: Sequence[str] = (),
    lab: str | None = None,
    emit: Emit = ignore,
) -> tuple[Validated, ...]:
    """Every file, in the order given. lab: the lab, or lab file, on which scenarios are planned; variables: files of
    what the templates of lab files name.
    """
    on = cache(lambda: lab_of(lab, lenient)) if lab else None
    how = How(lenient=lenient, variables=tuple(variables))
    found = []
    for done, path in enumerate(paths, start=1):
        found.append(_validate(path, how, on))
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


def _validate(path: str, how: How, lab: Callable[[], LabSpec] | None) -> Validated:
    notices: list[Notice] = []
    kind: Kind | None = None
    try:
        kind = _kind_of(path)
        on_lab = _ON_A_LAB.get(kind)
        summary = on_lab(path, lab) if on_lab else _READERS[kind](path, how, notices.append)
    except LabctlError as error:
        return Validated(file=path, kind=kind or "", notices=tuple(notices), errors=error.each)
    return Validated(file=path, kind=kind, summary=summary, notices=tuple(notices))


def _kind_of(path: str) -> Kind:
    found = kinds.what(path)
    if found is not None and (found in _ON_A_LAB or found in _READERS):
        return found
    text = "" if found else yaml.read_text(path)
    kinds.need(path, "validate", Kind.LAB, Kind.SCENARIO, Kind.CAMPAIGN, Kind.SNAPSHOT, Kind.INVENTORY)
    yaml.parse(text, file=path)
    raise LabctlError(
        "bad-value",
        "this is no file that labctl knows",
        where=Span(path),
        hint="a lab file has `topology:`, a scenario `timeline:`, a campaign `pool:`, "
        "an inventory `devices:`, a snapshot `kind: snapshot`",
    )


def _lab(path: str, how: How, notify: Notify) -> str:
    """Whether the lab can be deployed here is for `deploy`, as it is for containerlab's."""
    lab = clab.load(path, lenient=how.lenient, variables=how.variables, notify=notify, deferred=notify)
    return f"lab {lab.name}: {_count(len(lab.nodes), 'node')}, {_count(len(lab.cables), 'link')}"


def lab_of(name_or_file: str, lenient: bool) -> LabSpec:
    """A lab file, or what a running lab was made from."""
    if os.path.exists(name_or_file) or name_or_file.endswith((".yml", ".yaml")):
        kinds.need(name_or_file, "validate --lab", Kind.LAB)
        return clab.load(name_or_file, lenient=lenient, notify=lambda _: None)
    from labctl.app import attached
    from labctl.runtime.store import Instance

    return attached.own(Instance.here(), name_or_file).need().lab


def _scenario(path: str, on: Callable[[], LabSpec] | None) -> str:
    from labctl.faults.plan import plan
    from labctl.schema import scenario

    found = scenario.load(path)
    if on is None:
        return f"scenario {found.name}: {_count(len(found.probes), 'probe')}"
    lab = on()
    planned = plan(found, lab, found.seed or 0)
    links, nodes = len(planned.predicted.links), len(planned.predicted.nodes)
    touched = f"{_count(links, 'link')} and {_count(nodes, 'node')}"
    return f"scenario {found.name}: touches {touched} of lab {lab.name}"


def _campaign(path: str, on: Callable[[], LabSpec] | None) -> str:
    from labctl.faults import campaign as drawing
    from labctl.schema import campaign

    found = campaign.load(path)
    if on is None:
        return f"campaign {found.name}: {_count(len(found.pool), 'pool entry', 'pool entries')}"
    lab = on()
    next(drawing.trials(found, lab, found.seed or 0))
    elements = len(drawing.reach(found, lab))
    return f"campaign {found.name}: reaches {_count(elements, 'element')} of lab {lab.name}"


def _plan(path: str, on: Callable[[], LabSpec] | None) -> str:
    from labctl.app.run import fits
    from labctl.schema import plan_file

    found = plan_file.load(path)
    if on is not None:
        fits(found, on(), path)
    return f"plan of {found.scenario} for lab {found.lab}, seed {found.seed}"


def _snapshot(path: str, _how: How, _notify: Notify) -> str:
    from labctl.schema import files

    topology = files.load_snapshot(path).topology
    devices, links = len(topology.devices), len(topology.links)
    return f"snapshot {topology.name}: {_count(devices, 'device')}, {_count(links, 'link')}"


def _allocation_table(path: str, _how: How, _notify: Notify) -> str:
    from labctl.render.allocation import AllocationTable
    from labctl.schema import files

    table = files.load(AllocationTable, path)
    return f"allocation table: {_count(len(table.devices), 'device')}"


def _inventory(path: str, _how: How, _notify: Notify) -> str:
    from labctl.ingest import inventory

    return f"inventory: {_count(len(inventory.load(path, keys=False)), 'device')}"


def _count(number: int, noun: str, many: str = "") -> str:
    return f"{number} {noun if number == 1 else many or noun + 's'}"


def _tables(path: str, _how: How, _notify: Notify) -> str:
    from labctl.app import compare

    routes = compare.read(path).routes
    count = sum(len(each or ()) for each in routes.values())
    return f"routes of {_count(len(routes), 'node')}: {_count(count, 'route')}"


def _topology(path: str, _how: How, _notify: Notify) -> str:
    from labctl.model.topology import Topology
    from labctl.schema import files

    found = files.load(Topology, path)
    return (
        f"topology {found.name}: {_count(len(found.devices), 'device')}, {_count(len(found.links), 'link')}"
    )


_READERS: Mapping[Kind, Callable[[str, How, Notify], str]] = {
    Kind.ALLOCATION: _allocation_table,
    Kind.INVENTORY: _inventory,
    Kind.LAB: _lab,
    Kind.ROUTES: _tables,
    Kind.SNAPSHOT: _snapshot,
    Kind.TOPOLOGY: _topology,
}

#: What may also be laid on a lab.
_ON_A_LAB: Mapping[Kind, Callable[[str, Callable[[], LabSpec] | None], str]] = {
    Kind.CAMPAIGN: _campaign,
    Kind.PLAN: _plan,
    Kind.SCENARIO: _scenario,
}
