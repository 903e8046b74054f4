"""`labctl schema`: the JSON Schema of a file or an output."""

from __future__ import annotations

import typer

from labctl.cli import complete, out

NAME = typer.Argument(
    None, help="Which one; without it, the list.", autocompletion=complete.schemas, show_default=False
)


def register(app: typer.Typer) -> None:
    app.command(name="schema")(schema)


def schema(
    name: str | None = NAME,
    output: out.Format = out.FORMAT,
) -> None:
    """Print the JSON Schema of a file that labctl reads or of what a verb prints with --format json."""
    from labctl.app import schema as schemas

    if name:
        out.print_json(schemas.schema(name))
    elif output is out.Format.JSON:
        out.print_json({"version": 1, "schemas": schemas.names()})
    else:
        out.print_table(("NAME", "DESCRIBES"), list(schemas.names().items()))
