"""`labctl render`: production's model to a lab file and router configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from labctl.cli import out
from labctl.errors import LabctlError, Span

if TYPE_CHECKING:
    from labctl.app.render import Result


def register(app: typer.Typer) -> None:
    app.command(name="render")(render)


def render(
    file: str = typer.Argument(
        ..., metavar="TOPOLOGY", help="A snapshot of production (topologies/NAME.yml)."
    ),
    where: str = typer.Option(
        "", "--out", "-o", help="Directory, or the lab file (*.yml). Default: beside TOPOLOGY."
    ),
    name: str = typer.Option("", "--name", "-n", help="A name for the lab instead of the topology's."),
    image: list[str] = typer.Option(
        [],
        "--image",
        help="PATTERN=IMAGE: devices whose name matches run IMAGE; repeatable, the last one counts.",
    ),
    env: list[str] = typer.Option(
        [], "--env", help="PATTERN:KEY=VALUE: environment of matching nodes; repeatable."
    ),
    mgmt_subnet: str | None = typer.Option(
        None, "--mgmt-subnet", help="IPv4 subnet of the management network."
    ),
    lenient: bool = typer.Option(
        False, "--lenient", help="Report lines that use unknown interfaces, do not refuse."
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite files that labctl did not write."),
    dry_run: bool = out.DRY_RUN,
    output: out.Format = out.FORMAT,
) -> None:
    """Write the lab of a network: containerlab file, frr.conf of each router, allocation table."""
    from labctl import names
    from labctl.app import render as app

    if name:
        with out.reading("--name"):
            names.check_lab(name)
    if mgmt_subnet is not None:
        _check_subnet(mgmt_subnet)
    request = app.Request(
        file=file,
        out=where,
        name=name,
        images=tuple(out.image_pair(each, "r*=labctl/frr") for each in image),
        env=tuple(_env(each) for each in env),
        mgmt_subnet=mgmt_subnet,
        lenient=lenient,
        force=force,
        dry_run=dry_run,
    )
    progress = out.Progress()
    try:
        result = app.render(request, progress)
    finally:
        progress.close()
    if output is out.Format.JSON:
        out.print_json(as_json(result))
    else:
        _show(result, dry_run=dry_run)


def as_json(result: Result) -> dict[str, Any]:
    return {
        "version": 1,
        "lab": result.lab.name,
        "file": result.file,
        "checked_by": result.checked_by,
        "written": list(result.written),
        "removed": list(result.removed),
        "nodes": [{"name": n.name, "kind": n.kind.value, "image": n.image} for n in result.lab.nodes],
        "cables": [str(cable.id) for cable in result.lab.cables],
        "notes": [
            {"kind": n.kind, "device": n.device, "text": n.text, "where": str(n.where)} for n in result.notes
        ],
    }


def _show(result: Result, *, dry_run: bool) -> None:
    rows = [(n.kind, n.device, n.text, n.where) for n in result.notes]
    if rows:
        out.print_table(("NOTE", "DEVICE", "WHAT", "WHERE"), rows)
    changed = f"{len(result.written)} files {'would change' if dry_run else 'written'}"
    out.say(f"{result.file}: {len(result.lab.nodes)} nodes, {len(result.lab.cables)} cables; {changed}")


def _check_subnet(text: str) -> None:
    from ipaddress import IPv4Network

    try:
        IPv4Network(text)
    except ValueError as error:
        raise LabctlError(
            "bad-option",
            f"{text!r} is not an IPv4 subnet: {error}",
            where=Span("--mgmt-subnet"),
            hint="write it like `--mgmt-subnet 172.20.20.0/24`",
        ) from None


def _env(text: str) -> tuple[str, str, str]:
    pattern, colon, rest = text.partition(":")
    if not colon or not pattern:
        raise LabctlError(
            "bad-option",
            f"{text!r} names no nodes",
            where=Span("--env"),
            hint="write it like `--env web*:LABCTL_START=nginx`",
        )
    key, value = out.pair("--env", rest, "web*:LABCTL_START=nginx")
    return pattern, key, value
