"""`labctl logs NODE`."""

from __future__ import annotations

import contextlib

import typer

from labctl.cli import complete, out


def register(app: typer.Typer) -> None:
    app.command(name="logs")(logs)


def logs(
    node: str = typer.Argument(
        ..., help="The node, by its name or its container's.", autocompletion=complete.nodes
    ),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until Ctrl-C or the lab's end."),
    tail: int | None = typer.Option(None, "--tail", "-n", min=0, help="Only the last lines, so many."),
    since: str | None = out.SINCE,
    lab: str | None = out.LAB,
) -> None:
    """Print what a node's command and daemons wrote to their standard output and error, also before a restart.

    The last 4 to 8 MiB are kept. When something was printed is known to about a second, and not at all while the lab's
    agent was dead: --since rather prints too much than too little. Ctrl-C is the end and no error.
    """
    from labctl.app import attached
    from labctl.app import logs as app
    from labctl.runtime.store import Instance

    since_s = out.since(since)
    place = attached.find(Instance.here(), lab)
    with contextlib.suppress(KeyboardInterrupt), out.binary() as stdout:
        for data in app.logs(place, node, since_s=since_s, tail=tail, follow=follow):
            stdout.write(data)
            stdout.flush()
