"""The fidelity account as a file: JSON, one line of text for each configuration line, because there are many of them."""

from __future__ import annotations

import json
from typing import Any, Final

from labctl.errors import LabctlError, Span
from labctl.model.account import AccountedLine, ConfigAccount, FidelityAccount, LineClass

KIND: Final = "fidelity-account"
VERSION: Final = 1


def dump(found: FidelityAccount) -> str:
    """The text of the file; the same account gives the same text."""
    devices = []
    for name, account in found.devices.items():
        rows = ",\n".join("   " + json.dumps(_row(line), ensure_ascii=False) for line in account.lines)
        devices.append(f"  {json.dumps(name, ensure_ascii=False)}: [\n{rows}\n  ]")
    body = ",\n".join(devices)
    return f'{{"kind": "{KIND}", "version": {VERSION}, "devices": {{\n{body}\n}}}}\n'


def _row(line: AccountedLine) -> list[Any]:
    return [line.where.file, line.where.line, line.cls.value, line.rule, line.depth, line.text]


def parse(text: str, *, file: str) -> FidelityAccount:
    """The account; `wrong-file` if it is none, or of another version."""
    try:
        said = json.loads(text)
        _check(said["kind"], said["version"])
        devices = {name: _account(name, rows) for name, rows in said["devices"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabctlError(
            "wrong-file",
            f"this is no account of configuration lines: {error}",
            where=Span(file),
            hint="`labctl discover` writes it beside the snapshot; remove it, and discover again",
        ) from None
    return FidelityAccount(devices=devices)


def _check(kind: object, version: object) -> None:
    if (kind, version) != (KIND, VERSION):
        raise ValueError(f"it is {kind!r} of version {version!r}")


def _account(name: str, rows: list[list[Any]]) -> ConfigAccount:
    return ConfigAccount(device=name, lines=tuple(map(_line, rows)))


def _line(row: list[Any]) -> AccountedLine:
    file, number, cls, rule, depth, text = row
    where = Span(str(file), int(number))
    return AccountedLine(where=where, text=str(text), cls=LineClass(cls), rule=str(rule), depth=int(depth))
