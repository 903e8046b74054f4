"""`labctl destroy [LAB|FILE]`."""

from __future__ import annotations

import sys

import typer

from labctl.cli import complete, out
from labctl.errors import Exit


def register(app: typer.Typer) -> None:
    app.command(name="destroy")(destroy)


def destroy(
    lab: str | None = typer.Argument(
        None,
        help="A lab, or the file it was deployed from.",
        envvar="LABCTL_LAB",
        autocompletion=complete.labs,
    ),
    lab_flag: str | None = typer.Option(
        None, "--lab", "-l", help="The lab, as a flag.", autocompletion=complete.labs
    ),
    everything: bool = typer.Option(False, "--all", "-a", help="Every lab of this machine and boot."),
    yes: bool = out.YES,
    dry_run: bool = out.DRY_RUN,
) -> None:
    """Remove a lab: every process, namespace, cable, mount, control group and file of it."""
    from labctl.app import destroy as app
    from labctl.runtime.store import Instance

    instance = Instance.here()
    places = app.targets(instance, lab or lab_flag, everything=everything)
    if not places:
        out.say("\n".join(["No lab is running.", *app.gone(instance)]))
        return
    for line in app.played(places):
        out.say(line)
    names = ", ".join(place.name for place in places)
    if dry_run:
        out.say(f"Would remove: {names}. Nothing was changed.")
        return
    if not yes:
        if not sys.stdin.isatty():
            out.say(f"error: would remove {names}; say --yes to do it without a question")
            raise typer.Exit(Exit.USAGE)
        typer.confirm(f"Remove {names}?", abort=True, err=True)
    with out.Progress() as progress:
        removed = app.destroy(places, progress)
    out.print_table(
        ("REMOVED", "NODES", "PROCESSES", "MOUNTS"),
        [(each.lab, each.nodes, each.processes, each.mounts) for each in removed],
    )
