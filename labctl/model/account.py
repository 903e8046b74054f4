"""What became of every line of a configuration: nothing is lost without being listed.

Each line that is not blank and not a comment gets exactly one class. The text kept here is for people; secrets are
taken out of it before it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    """rule: for all lines but modelled and unknown ones, the kebab-case name of the reason; the renderer gives a sentence.

    depth: how many lines above it the line belongs to; its block is headed by the last line before it that has less.
    """

    where: Span
    text: str
    cls: LineClass
    rule: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigAccount:
    """All lines of one device's files, in order."""

    device: str
    lines: tuple[AccountedLine, ...] = ()

    def of(self, *classes: LineClass) -> tuple[AccountedLine, ...]:
        return tuple(line for line in self.lines if line.cls in classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityAccount:
    """The accounts of all devices of a snapshot, in a file beside it."""

    devices: Mapping[str, ConfigAccount] = field(default_factory=dict)


def counts(lines: Iterable[AccountedLine]) -> dict[LineClass, int]:
    """How many lines of each class, all six of them."""
    found = dict.fromkeys(LineClass, 0)
    for line in lines:
        found[line.cls] += 1
    return found


def score(found: Mapping[LineClass, int]) -> float | None:
    """The share of the lines that matter whose meaning the lab has; None if none matters.

    A line that states a default means what it means in the lab, too, so it counts as modelled; an approximated one does
    not, whatever it is approximated by.
    """
    matter = sum(found.values()) - found[LineClass.IRRELEVANT]
    kept = found[LineClass.MODELLED] + found[LineClass.DEFAULTED]
    return kept / matter if matter else None


def merged(device: str, accounts: Iterable[ConfigAccount]) -> ConfigAccount:
    """One account for a device whose configuration lies in several files."""
    return ConfigAccount(device=device, lines=tuple(line for each in accounts for line in each.lines))
