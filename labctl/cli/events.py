"""`labctl events`."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import typer

from labctl.cli import complete, out


def register(app: typer.Typer) -> None:
    app.command(name="events")(events)


def events(
    lab: str | None = typer.Option(
        None,
        "--lab",
        "-l",
        help="Only this lab; default: all of them, also those still to come.",
        envvar="LABCTL_LAB",
        autocompletion=complete.labs,
    ),
    since: str | None = out.SINCE,
    follow: bool = typer.Option(True, "--follow/--no-follow", help="Go on until Ctrl-C, or print what was."),
    output: out.Format = out.FORMAT,
) -> None:
    """Tell what happens to labs: nodes, cables, ports, faults, agents; `--format json` has containerlab's shape.

    Without --since only what happens from now on; with --no-follow everything that is still known. A lab's history is
    bounded, and goes with the lab; following a lab ends with it. Ctrl-C is the end and no error.
    """
    from labctl.app import events as app
    from labctl.runtime.store import Instance

    since_s = out.since(since)
    with contextlib.suppress(KeyboardInterrupt):
        for event in app.events(Instance.here(), lab, since_s=since_s, follow=follow):
            typer.echo(json.dumps(event, ensure_ascii=False) if output is out.Format.JSON else _line(event))


def _line(event: dict[str, Any]) -> str:
    """As Docker and containerlab print one, but for the name, which says more than the number."""
    said = ", ".join(f"{key}={_word(value)}" for key, value in event["attributes"].items())
    return f"{event['timestamp']} {event['type']} {event['action']} {event['actor_name']} ({said})"


def _word(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)
