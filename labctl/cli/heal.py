"""`labctl heal [-l LAB]`."""

from __future__ import annotations

import typer

from labctl.cli import out
from labctl.errors import Exit, render


def register(app: typer.Typer) -> None:
    app.command(name="heal")(heal)


def heal(
    lab: str | None = out.LAB,
    everything: bool = typer.Option(False, "--all", "-a", help="Every lab of this machine and boot."),
    output: out.Format = out.FORMAT,
) -> None:
    """Put a lab back to its base state: end all faults, restart a dead agent, remove half-made labs."""
    from labctl.app import destroy
    from labctl.app import heal as app
    from labctl.runtime.store import Instance

    instance = Instance.here()
    healed = app.heal(instance, lab, everything=everything)
    gone = [] if lab else destroy.gone(instance)
    if output is out.Format.JSON:
        labs = [
            {"lab": e.lab, "put_back": list(e.put_back), "left": list(e.left), "busy": e.busy} for e in healed
        ]
        out.print_json({"version": 1, "labs": labs, "gone": gone})
    else:
        rows = [(e.lab, "put back", line) for e in healed for line in e.put_back]
        rows += [(e.lab, "NOT PUT BACK", line) for e in healed for line in e.left]
        if rows:
            out.print_table(("LAB", "STATE", "WHAT"), rows)
        elif not any(e.busy for e in healed):
            out.say("Nothing to heal.")
        for line in gone:
            out.say(line)
    busy = app.busy(instance, healed)
    if app.dirty(healed):
        if busy is not None:
            out.say(render(busy))
        raise typer.Exit(Exit.DIRTY)
    if busy is not None:
        raise busy
