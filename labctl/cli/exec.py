"""`labctl exec NODE -- COMMAND…`."""

from __future__ import annotations

import typer

from labctl.cli import out


def register(app: typer.Typer) -> None:
    app.command(name="exec")(exec_)


def exec_(
    node: str = typer.Argument(..., help="The node, by its name or its container's."),
    command: list[str] = typer.Argument(..., help="The command and its arguments, after `--`."),
    lab: str | None = out.LAB,
) -> None:
    """Run a command inside a node; the exit status is the command's."""
    from labctl.app import exec as app
    from labctl.runtime.store import Instance

    raise typer.Exit(app.attach(Instance.here().find(lab), node, command))
