"""The account of a configuration, after the renderer: what was understood and could not be taken along is lost too.

A parser says what it understood; only the renderer knows what FRR and containers cannot do. So each of its notes that
names a line takes that line's class down, never up: with the whole block below it where the object is left out, the one
line where something else stands for it. What is stripped on purpose (management, outward services) is irrelevant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from labctl.errors import Span
from labctl.model.account import AccountedLine, ConfigAccount, LineClass
from labctl.render.project import Note

_CLASSES = {
    "approximated": LineClass.APPROXIMATED,
    "unsupported": LineClass.UNSUPPORTED,
    "stripped": LineClass.IRRELEVANT,
}
#: Classes that a note can take down, the higher ones first.
_TAKEN = (LineClass.MODELLED, LineClass.DEFAULTED, LineClass.APPROXIMATED)


def with_losses(accounts: Mapping[str, ConfigAccount], notes: Iterable[Note]) -> dict[str, ConfigAccount]:
    """The accounts by device, with what the notes of a render say of their lines."""
    said: dict[str, list[Note]] = {}
    for note in notes:
        if note.kind in _CLASSES and note.where.file:
            said.setdefault(note.device, []).append(note)
    return {name: _lowered(account, said.get(name, ())) for name, account in accounts.items()}


def _lowered(account: ConfigAccount, notes: Iterable[Note]) -> ConfigAccount:
    lines = list(account.lines)
    at = {_place(line.where): number for number, line in enumerate(lines)}
    for note in notes:
        first = at.get(_place(note.where))
        if first is None:
            continue
        for number in _block(lines, first) if note.kind != "approximated" else (first,):
            if lines[number].cls in _TAKEN:
                lines[number] = replace(lines[number], cls=_CLASSES[note.kind], rule=note.text)
    return replace(account, lines=tuple(lines))


def _block(lines: list[AccountedLine], first: int) -> Iterable[int]:
    """A line and those below it."""
    end = first + 1
    while end < len(lines) and lines[end].depth > lines[first].depth:
        end += 1
    return range(first, end)


def _place(where: Span) -> tuple[str, int]:
    return where.file, where.line
