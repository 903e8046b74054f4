"""Printing: data on stdout, everything else on stderr, progress only on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, BinaryIO, Final, Self

import typer

from labctl.cli import complete
from labctl.errors import LabctlError, Span, on_command_line
from labctl.model.event import Event


class Format(StrEnum):
    """`--format`, the same everywhere."""

    TABLE = "table"
    JSON = "json"


FORMAT = typer.Option(
    Format.TABLE, "--format", "-f", help="Output on stdout: a table for people or JSON for programs."
)
LAB = typer.Option(
    None,
    "--lab",
    "-l",
    help="The lab; default: the only running one.",
    envvar="LABCTL_LAB",
    autocompletion=complete.labs,
)
YES = typer.Option(False, "--yes", "-y", help="Do not ask.")
DRY_RUN = typer.Option(False, "--dry-run", help="Say what would be done; change nothing.")
VARS = typer.Option(
    [],
    "--vars",
    metavar="FILE",
    help="A YAML or JSON file of variables for the lab file's template; repeatable, later ones win.",
)
SEED = typer.Option(
    None, "--seed", help="Seed of every random choice; printed, and the same seed repeats the run."
)
SINCE = typer.Option(
    None, "--since", help="From then on: a time ago (`10m`), or an instant (`2026-11-20T17:00:00Z`)."
)


@contextlib.contextmanager
def reading(flag: str) -> Iterator[None]:
    """What is wrong in here is wrong with this flag or argument: usage, exit 2."""
    try:
        yield
    except LabctlError as error:
        raise on_command_line(error, flag) from None


def since(text: str | None) -> float | None:
    """What `--since` means, in seconds since 1970. An instant without a zone is in the machine's."""
    if text is None:
        return None
    from datetime import datetime

    from labctl.units import duration

    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text).timestamp()
    with reading("--since"):
        return time.time() - duration(text)


def pair(flag: str, text: str, example: str) -> tuple[str, str]:
    """The two sides of `A=B`."""
    before, sign, after = text.partition("=")
    if not sign or not before.strip() or not after.strip():
        raise LabctlError(
            "bad-option",
            f"{text!r} is not a pair",
            where=Span(flag),
            hint=f"write it like `{flag} {example}`",
        )
    return before, after


def image_pair(text: str, example: str) -> tuple[str, str]:
    """The two sides of an `--image`; the second is a reference."""
    from labctl.names import check_image

    before, after = pair("--image", text, example)
    with reading("--image"):
        check_image(after)
    return before, after


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A plain aligned table: readable in a terminal, in a log file and without colour."""
    cells = [
        [str(c) for c in columns],
        *[["" if c is None else visible(str(c)) for c in row] for row in rows],
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say(text: str) -> None:
    """A line for the person at the keyboard."""
    typer.echo(_lines(text), err=True)


def tell(text: str) -> None:
    """Lines for people on stdout that quote what was read."""
    typer.echo(_lines(text))


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


#: What would act on a terminal instead of being seen: names come from files and devices that anybody may have written.
_ACTING: Final = dict.fromkeys((*range(9), *range(10, 32), *range(127, 160)), "�")


def visible(text: str) -> str:
    """One line of text without control characters but tabs."""
    return text.translate(_ACTING)


def tell_left(left: Iterable[str]) -> None:
    """What a run left off its base state, and who puts it back."""
    for each in left:
        say(f"NOT PUT BACK: {each} (`labctl heal`)")


class Progress:
    """An `Emit` that keeps one line up to date on a terminal and prints each step's end elsewhere.

    Elsewhere a passing event is said only if the last line is `QUIET_S` old, so a log shows that work goes on. A line that
    stands open when the `with` is left, however it is left, is ended.
    """

    QUIET_S = 10.0

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._open = False
        self._said = time.monotonic()

    def __call__(self, event: Event) -> None:
        count = f" {event.done}/{event.total}" if event.total is not None else ""
        text = f"{event.text}{count}"
        ends = not event.passing and (event.total is None or event.done == event.total)
        if self._tty:
            sys.stderr.write(f"\r\x1b[K{text}")
            self._open = not ends
            if ends:
                sys.stderr.write("\n")
            sys.stderr.flush()
        elif ends or (event.passing and time.monotonic() - self._said >= self.QUIET_S):
            say(text)
            self._said = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._open:
            sys.stderr.write("\n")
            self._open = False


def binary(where: Span | None = None) -> BinaryIO:
    """Stdout for bytes: a descriptor of our own, in which nobody finds something unwritten after the reader has left."""
    if sys.stdout is None:
        raise LabctlError("cannot-write", "stdout is closed", where=where)
    return os.fdopen(os.dup(1), "wb")
