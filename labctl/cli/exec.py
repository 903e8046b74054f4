"""`labctl exec NODE -- COMMAND…`.

Flags may stand before and after NODE, so without `--` those of the command would be taken for labctl's: `ls -l` would
name a lab. Such a line is refused, and the answer says how to type it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from labctl.cli import complete, out
from labctl.errors import LabctlError

_LAB = ("-l", "--lab")


class _Exec(TyperCommand):
    """Looks at the words before they are parsed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            refuse_flags_of_the_command(args)
        return super().parse_args(ctx, args)


def refuse_flags_of_the_command(args: Sequence[str]) -> None:
    """`bad-option` if a flag follows the command's first word and no `--` says whose it is."""
    flags: list[str] = []
    words: list[str] = []
    rest = iter(args[: args.index("--")] if "--" in args else args)
    for word in rest:
        if len(words) < 2 and word.startswith("-"):
            flags += [word, *([next(rest, "")] if word in _LAB else [])]
            continue
        words.append(word)
    eaten = next((w for w in words[2:] if len(w) > 1 and w.startswith("-") and not _is_lab(w)), None)
    if eaten is None:
        return
    raise LabctlError(
        "bad-option",
        f"`{eaten}` follows the command, and without `--` it would be a flag of labctl itself",
        hint=f"type `{shlex.join(['labctl', 'exec', *flags, words[0], '--', *words[1:]])}`"
        + ("; a lab is named before NODE" if eaten == "-l" else ""),
    )


def _is_lab(word: str) -> bool:
    return word == "--lab" or word.startswith("--lab=")


def register(app: typer.Typer) -> None:
    app.command(name="exec", cls=_Exec)(exec_)


def exec_(
    node: str = typer.Argument(
        ..., help="The node, by its name or its container's.", autocompletion=complete.nodes
    ),
    command: list[str] = typer.Argument(..., help="The command and its arguments, after `--`."),
    lab: str | None = out.LAB,
) -> None:
    """Run a command inside a node; the exit status is the command's."""
    from labctl.app import attached
    from labctl.app import exec as app
    from labctl.runtime.store import Instance

    raise typer.Exit(app.attach(attached.find(Instance.here(), lab), node, command))
