"""`labctl render`: production's model to a lab file and router configurations."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from labctl.cli import out
from labctl.errors import LabctlError, Span

if TYPE_CHECKING:
    from labctl.app.render import Result

MAX_LOST = 20


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
    around: list[str] = typer.Option(
        [],
        "--around",
        metavar="DEVICE",
        help="Only this device and what is --depth cables from it; repeatable.",
    ),
    depth: int | None = typer.Option(None, "--depth", min=0, help="How many cables from --around."),
    scope: str = typer.Option(
        "",
        "--scope",
        metavar="QUERY",
        help="Only these devices: a target query over nodes (docs/scenarios.md).",
    ),
    safe: bool = typer.Option(
        False, "--safe", help="Refuse a scope whose boundary is not known to be safe, do not only warn."
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite files that labctl did not write."),
    min_fidelity: str | None = typer.Option(
        None,
        "--min-fidelity",
        metavar="PERCENT",
        help="Exit 1 and write nothing if less of the configuration lines is in the lab (like 90%).",
    ),
    annotated: str = typer.Option(
        "", "--annotated", metavar="DIR", help="Write each configuration with what became of every line."
    ),
    dry_run: bool = out.DRY_RUN,
    output: out.Format = out.FORMAT,
) -> None:
    """Write the lab of a network: containerlab file, frr.conf of each router, allocation table.

    Prints what became of the configurations' lines: how many are in the lab, and those that are not, the widest blast
    radius first (how many other devices are reached through what the line touches).
    """
    from labctl import names
    from labctl.app import render as app
    from labctl.app.scope import Ask
    from labctl.model.verdict import Verdict

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
        least=_share(min_fidelity) if min_fidelity is not None else None,
        annotated=annotated,
        scope=Ask(around=tuple(around), depth=depth, query=scope, safe=safe),
    )
    with out.Progress() as progress:
        result = app.render(request, progress)
    if output is out.Format.JSON:
        out.print_json(as_json(result))
    else:
        _show(result, dry_run=dry_run)
    if result.gate is not Verdict.PASS:
        told = _percent(result.fidelity.score)
        out.say(f"{result.gate.value}: fidelity {told}, and {min_fidelity} is asked for; nothing is written")
        raise typer.Exit(result.gate.exit)


def as_json(result: Result) -> dict[str, Any]:
    from labctl.app import fidelity

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
        "fidelity": fidelity.as_json(result.fidelity),
        "verdict": result.gate.value,
        "scope": _scope(result),
    }


def _scope(result: Result) -> dict[str, Any] | None:
    """None: the whole of production."""
    if result.scope is None or result.boundary is None:
        return None
    return {
        "inside": list(result.scope.inside),
        "speakers": list(result.scope.edge),
        "left_out": list(result.scope.out),
        "boundary": {
            "safety": str(result.boundary.safety),
            "add": list(result.boundary.add),
            "parts": [asdict(part) for part in result.boundary.parts],
        },
    }


def _show(result: Result, *, dry_run: bool) -> None:
    rows = [(n.kind, n.device, n.text, n.where) for n in result.notes]
    if rows:
        out.print_table(("NOTE", "DEVICE", "WHAT", "WHERE"), rows)
    _account(result)
    if result.scope is not None and result.boundary is not None:
        parts = [(p.safety, " ".join(p.attached), len(p.devices), p.reason) for p in result.boundary.parts]
        if parts:
            out.print_table(("BOUNDARY", "ATTACHED", "REMOVED", "WHY"), parts)
        counts = f"{len(result.scope.inside)} inside, {len(result.scope.edge)} static speakers"
        out.say(f"scope: {counts}, {len(result.scope.out)} left out; boundary {result.boundary.safety}")
    changed = f"{len(result.written)} files {'would change' if dry_run else 'written'}"
    out.say(f"{result.file}: {len(result.lab.nodes)} nodes, {len(result.lab.cables)} cables; {changed}")


def _account(result: Result) -> None:
    """Lines by class and device, then those that are lost."""
    from labctl.model.account import LineClass, counts, score

    found = result.fidelity
    if found.accounts:
        rows = [
            (name, *(counts(a.lines)[c] for c in LineClass), _percent(score(counts(a.lines))))
            for name, a in found.accounts.items()
        ]
        total = ("all", *found.counts.values(), _percent(found.score))
        header = ("DEVICE", *(c.value.upper() for c in LineClass), "FIDELITY")
        out.print_table(header, [*rows, total] if len(rows) > 1 else rows)
    if found.lost:
        shown = found.lost[:MAX_LOST]
        out.print_table(
            ("RADIUS", "DEVICE", "LOST LINE", "CLASS", "WHY", "WHERE"),
            [(len(e.reaches), e.device, e.line.text, e.line.cls, e.line.rule, e.line.where) for e in shown],
        )
        if len(found.lost) > MAX_LOST:
            out.say(
                f"{len(found.lost) - MAX_LOST} more lost lines: --format json or --annotated has them all"
            )
    if found.unaccounted:
        out.say(
            f"no account of the configuration lines of {', '.join(found.unaccounted)}: discover them again"
        )


def _percent(value: float | None) -> str:
    """Rounded down: 100 % only when nothing is lost."""
    return "unknown" if value is None else f"{int(value * 1000) / 10:g} %"


def _share(text: str) -> float:
    number = text.strip().removesuffix("%").strip()
    try:
        value = float(number) / 100
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise LabctlError(
            "bad-option",
            f"{text!r} is no share of the lines",
            where=Span("--min-fidelity"),
            hint="write it like `--min-fidelity 90%`",
        )
    return value


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
