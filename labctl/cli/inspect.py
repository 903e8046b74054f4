"""`labctl inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from labctl.cli import out


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


if TYPE_CHECKING:
    from labctl.runtime.docker_attached import Attached
    from labctl.runtime.store import LabDir


def register(app: typer.Typer) -> None:
    app.command(name="inspect")(inspect)


def inspect(
    lab: str | None = out.LAB,
    everything: bool = typer.Option(
        False, "--all", "-a", help="Every lab of this machine and boot, also containerlab's."
    ),
    output: Format = typer.Option(
        Format.TABLE, "--format", "-f", help="A table for people, or json or csv in containerlab's shapes."
    ),
) -> None:
    """Show the nodes of a lab; `--format json` and `csv` have containerlab's shapes."""
    from labctl.app import attached
    from labctl.runtime.store import Instance

    instance = Instance.here()
    show(attached.every(instance) if everything else [attached.find(instance, lab)], output)


def show(places: Sequence[LabDir | Attached], output: StrEnum) -> None:
    """Print these labs; what is not as it should be goes to stderr."""
    from labctl.app import inspect as app

    found = app.inspect(places)
    if output == Format.CSV:
        typer.echo(app.as_csv(found), nl=False)
    elif output == Format.JSON:
        out.print_json({each.lab: list(each.containers) for each in found})
    else:
        rows = [
            (
                c["lab_name"],
                c["name"],
                c["kind"],
                c["image"],
                c["state"],
                c["ipv4_address"],
                c["ipv6_address"],
            )
            for each in found
            for c in each.containers
        ]
        out.print_table(("LAB", "NAME", "KIND", "IMAGE", "STATE", "IPV4", "IPV6"), rows)
    for each in found:
        for note in each.notes:
            out.say(f"lab {each.lab}: {note}")
