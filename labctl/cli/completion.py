"""`labctl completion SHELL`."""

from __future__ import annotations

from enum import StrEnum

import typer

from labctl.cli.complete import SCRIPTS


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    app.command(name="completion")(completion)


def completion(shell: Shell = typer.Argument(..., help="The shell that is to complete.")) -> None:
    """Print a script that makes a shell complete verbs, flags, labs, nodes, cables, faults and files of labctl.

    `source <(labctl completion bash)` in ~/.bashrc; the same for zsh; `labctl completion fish | source` for fish.
    """
    typer.echo(SCRIPTS[shell], nl=False)
