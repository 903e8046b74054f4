"""Parsers: from the text of one device's configuration to the vendor-neutral model and an account of every line.

A parser is a function. It never reads files itself, gives each statement its place, fills in its vendor's defaults, and
hands secrets to the redactor. What it cannot read is in the account; what is wrong is raised, all of it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from labctl.errors import LabctlError, Span
from labctl.ingest.draft import Draft
from labctl.ingest.redact import Redactor
from labctl.model.account import AccountedLine, ConfigAccount
from labctl.model.config import DeviceConfig
from labctl.plugins import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    config: DeviceConfig
    account: ConfigAccount


class Parser(Protocol):
    def __call__(self, text: str, *, file: str, device: str, redactor: Redactor) -> Parsed:
        """`file` is what spans say; `device` is production's name of the device."""
        ...


def complete(text: str, draft: Draft) -> None:
    """Nothing, or `config-truncated`: the output of `show running-config` ends with `end`, as a file need not."""
    if draft.shown and not draft.ended:
        raise LabctlError(
            "config-truncated",
            "the output of `show running-config` breaks off: its last line should be `end`",
            where=Span(draft.file, text.count("\n") + (not text.endswith("\n"))),
            hint="collect it again",
        )


def parsed(draft: Draft, lines: tuple[AccountedLine, ...], build: Callable[[Draft], DeviceConfig]) -> Parsed:
    """What a parser returns when all lines are read: the vendor's `build` of the draft, or all that was wrong with it."""
    config = build(draft)
    draft.problems.stop()
    return Parsed(config=config, account=ConfigAccount(device=draft.device, lines=_judged(lines, draft)))


def _judged(lines: tuple[AccountedLine, ...], draft: Draft) -> tuple[AccountedLine, ...]:
    """The account with what came out about single lines when the file was read to its end."""

    def final(line: AccountedLine) -> AccountedLine:
        if line.where not in draft.verdicts:
            return line
        cls, rule = draft.verdicts[line.where]
        return replace(line, cls=cls, rule=rule)

    return tuple(final(line) for line in lines)


PARSERS: Registry[Parser] = Registry(
    "parser",
    group="labctl.parsers",
    builtin={
        "cumulus": "labctl.ingest.frr.cumulus:parse",
        "eos": "labctl.ingest.eos:parse",
        "frr": "labctl.ingest.frr:parse",
        "ios": "labctl.ingest.ios:parse",
    },
)
