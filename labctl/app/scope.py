"""`labctl render --around` and `--scope`: the part of production that a lab is of, and whether it can be judged by it.

An unsafe boundary is a warning: the lab is still of use for what stays inside. `--safe` refuses it, and one of which
it is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from labctl.errors import LabctlError, Span
from labctl.faults.draw import Draw
from labctl.model.event import Emit, Event
from labctl.model.snapshot import Snapshot
from labctl.render.project import Note
from labctl.render.speakers import with_speakers
from labctl.topo.boundary import Boundary, Safety, boundary
from labctl.topo.scope import Scope, around, queried, scope_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """around, depth: devices and how many cables from them; query: a target query over nodes. Both: together."""

    around: tuple[str, ...] = ()
    depth: int | None = None
    query: str = ""
    safe: bool = False

    @property
    def everything(self) -> bool:
        return not self.around and not self.query


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoped:
    """`snapshot`: what is rendered; the rest is None if everything was asked for."""

    snapshot: Snapshot
    scope: Scope | None = None
    boundary: Boundary | None = None
    notes: tuple[Note, ...] = ()

    @property
    def speakers(self) -> frozenset[str]:
        return frozenset(self.scope.edge) if self.scope else frozenset()


def scoped(snapshot: Snapshot, ask: Ask, emit: Emit) -> Scoped:
    check(ask)
    if ask.everything:
        return Scoped(snapshot=snapshot)
    inside = around(snapshot, ask.around, ask.depth or 0) if ask.around else frozenset[str]()
    if ask.query:
        inside |= queried(snapshot, ask.query, Draw(seed=0))
    scope = scope_of(snapshot, inside)
    verdict = boundary(snapshot, scope)
    _tell(verdict, ask, emit)
    part, notes = with_speakers(snapshot, scope)
    return Scoped(snapshot=part, scope=scope, boundary=verdict, notes=notes)


def check(ask: Ask) -> None:
    if (ask.depth is not None) != bool(ask.around):
        missing = "--around" if ask.depth is not None else "--depth"
        given = "--depth" if ask.depth is not None else "--around"
        raise LabctlError(
            "bad-option",
            f"{given} means nothing without {missing}",
            where=Span(given),
            hint="write it like `--around core1 --depth 2`",
        )
    if ask.safe and ask.everything:
        raise LabctlError(
            "bad-option",
            "--safe judges a boundary, and the whole of production has none",
            where=Span("--safe"),
            hint="give a scope, like `--around core1 --depth 2`",
        )


def _tell(verdict: Boundary, ask: Ask, emit: Emit) -> None:
    if verdict.safety is Safety.SAFE:
        emit(Event(kind="boundary", text="the boundary is safe: no change inside comes back from outside"))
        return
    said = [
        f"{part.reason}: {' -> '.join(part.witness)}"
        for part in verdict.parts
        if part.safety is not Safety.SAFE
    ]
    code = "boundary-unsafe" if verdict.safety is Safety.UNSAFE else "boundary-unknown"
    head = (
        "the boundary is not safe"
        if verdict.safety is Safety.UNSAFE
        else "it is not known whether the boundary is safe"
    )
    hint = f"take these inside as well: {', '.join(verdict.add)}"
    if ask.safe:
        raise LabctlError(code, f"{head}: {'; '.join(said)}", where=Span("--safe"), hint=hint)
    for text in said:
        emit(Event(kind="boundary", text=f"warning: {head}: {text}"))
    emit(Event(kind="boundary", text=f"hint: {hint}"))
