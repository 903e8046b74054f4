"""`labctl validate`: what is wrong with these files, all of it at once."""

from __future__ import annotations

import typer

from labctl.cli import out

FILES = typer.Argument(..., metavar="FILE...", help="Lab files, scenarios, snapshots, inventories.")


def register(app: typer.Typer) -> None:
    app.command(name="validate")(validate)


def validate(
    files: list[str] = FILES,
    lenient: bool = typer.Option(False, "--lenient", help="Accept containerlab's old keys, with a warning."),
    template_vars: list[str] = out.VARS,
    lab: str | None = typer.Option(
        None, "--lab", "-l", help="A lab or a lab file, to plan scenarios on it, too."
    ),
    output: out.Format = out.FORMAT,
) -> None:
    """Check files without touching anything; exit 3 with file:line for every mistake."""
    from labctl.app.validate import as_json, failures
    from labctl.app.validate import validate as check

    results = check(files, lenient=lenient, variables=template_vars, lab=lab)
    for result in results:
        for notice in result.notices:
            out.say(f"warning: {notice}")
    if output is out.Format.JSON:
        out.print_json(as_json(results))
    else:
        rows = [(r.file, r.kind, r.summary) for r in results if not r.errors]
        if rows:
            out.print_table(("FILE", "KIND", "HOLDS"), rows)
    failures(results).stop()
