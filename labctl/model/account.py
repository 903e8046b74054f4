"""What became of every line of a configuration: nothing is lost without being listed.

Each line that is not blank and not a comment gets exactly one class. The text kept here is for people; secrets are
taken out of it before it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from labctl.errors import Span


class LineClass(StrEnum):
    MODELLED = "modelled"
    DEFAULTED = "defaulted"  # states what would hold without it
    APPROXIMATED = "approximated"  # emulated by something that is not quite the same; `rule` says by what
    IRRELEVANT = "irrelevant"  # does not bear on forwarding; `rule` says why
    UNSUPPORTED = "unsupported"  # understood, and not emulated
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountedLine:
    """rule: for all lines but modelled and unknown ones, the kebab-case name of the reason."""

    where: Span
    text: str
    cls: LineClass
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigAccount:
    """All lines of one device's files, in order."""

    device: str
    lines: tuple[AccountedLine, ...] = ()

    def of(self, *classes: LineClass) -> tuple[AccountedLine, ...]:
        return tuple(line for line in self.lines if line.cls in classes)


def merged(device: str, accounts: Iterable[ConfigAccount]) -> ConfigAccount:
    """One account for a device whose configuration lies in several files."""
    return ConfigAccount(device=device, lines=tuple(line for each in accounts for line in each.lines))
