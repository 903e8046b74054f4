"""`labctl graph`: a picture of what is connected, with the single points of failure in it."""

from __future__ import annotations

from enum import StrEnum

import typer

from labctl.cli import complete, out


class Format(StrEnum):
    TABLE = "table"
    SVG = "svg"
    DOT = "dot"
    MERMAID = "mermaid"
    JSON = "json"


def register(app: typer.Typer) -> None:
    app.command(name="graph")(graph)


def graph(
    source: str | None = typer.Argument(
        None,
        metavar="[FILE|LAB]",
        help="A snapshot, a lab file, or a running lab; default: the only one.",
        autocompletion=complete.labs,
    ),
    lab: str | None = out.LAB,
    output: Format = typer.Option(
        Format.TABLE, "--format", "-f", help="A drawing in the terminal, or svg, dot, mermaid, json."
    ),
    to: str | None = typer.Option(None, "--out", "-o", metavar="FILE", help="Write it there, not on stdout."),
) -> None:
    """Draw a topology; devices and links whose loss alone splits it are marked."""
    import json
    import shutil

    from labctl.app import graph as app
    from labctl.linux import whole
    from labctl.report import drawing, svg
    from labctl.runtime.store import Instance

    if to is not None:
        whole.check(to)
    topology = app.load(source or lab, Instance.here())
    if output is Format.SVG and len(topology.devices) > svg.LARGE:
        out.say(f"{len(topology.devices):,} devices are too many for a layout: they are drawn in rows")
    match output:
        case Format.TABLE:
            text = drawing.terminal(topology, width=min(140, shutil.get_terminal_size((100, 24)).columns - 4))
        case Format.SVG:
            text = svg.draw(topology)
        case Format.DOT:
            text = drawing.dot(topology)
        case Format.MERMAID:
            text = drawing.mermaid(topology)
        case Format.JSON:
            text = json.dumps(drawing.as_json(topology), indent=2, ensure_ascii=False) + "\n"
    if to is None:
        typer.echo(text, nl=False)
    else:
        whole.write(to, text.encode())
        out.say(f"wrote {to}")
