"""`labctl discover`: production, read and merged into one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from labctl.cli import out
from labctl.errors import Exit

if TYPE_CHECKING:
    from labctl.app.discover import Discovered

PATHS = typer.Argument(
    ...,
    metavar="PATH...",
    help="Inventories, SNMP walks (snmprec, snmpwalk), device configurations, or directories of them.",
)
NAME = typer.Option(None, "--name", "-n", help="Name of the snapshot; default: that of the first path.")
OUT = typer.Option(None, "--out", "-o", help="File to write; default: topologies/NAME.yml.")
FROM = typer.Option(
    None,
    "--from",
    metavar="LAB:NODE",
    help="Ask from inside this node of a lab instead of from this machine.",
)
LENIENT = typer.Option(
    False, "--lenient", help="Leave out rows that cannot be decoded and take walks that break off."
)
MAX_SAID = 10


def register(app: typer.Typer) -> None:
    app.command(name="discover")(discover)


def discover(
    paths: list[str] = PATHS,
    name: str | None = NAME,
    file: str | None = OUT,
    start: str | None = FROM,
    lenient: bool = LENIENT,
    dry_run: bool = out.DRY_RUN,
    output: out.Format = out.FORMAT,
) -> None:
    """Discover a production network: links by LLDP and CDP over SNMP, configurations over SSH, or all from files.

    Exit 4 if a device could not be read: what was known of it is kept and marked stale.
    """
    from labctl import names
    from labctl.app import discover as use_case

    if name is not None:
        with out.reading("--name"):
            names.check_lab(name)

    progress = out.Progress()
    try:
        result = use_case.discover(
            paths,
            name=name,
            out=file,
            inside=use_case.namespace(start) if start else None,
            lenient=lenient,
            write=not dry_run,
            emit=progress,
        )
    finally:
        progress.close()
    if output is out.Format.JSON:
        out.print_json(use_case.as_json(result.snapshot.topology))
    else:
        _print_tables(result)
    _summary(result)
    if result.unread:
        raise typer.Exit(Exit.UNKNOWN)


def _print_tables(result: Discovered) -> None:
    topology = result.snapshot.topology
    out.print_table(
        ("DEVICE", "POLLED", "PORTS", "CONFIG", "STALE SINCE"),
        [
            (
                d.name,
                "yes" if d.polled else "no",
                len(d.interfaces),
                result.snapshot.configs.get(d.name) and "yes",
                d.stale_since,
            )
            for d in topology.devices
        ],
    )
    if topology.links:
        typer.echo("")
        out.print_table(
            ("LINK", "", "ROLE", "SIDES", "CONFIDENCE"),
            [
                (link.a, link.b, link.role, 2 if link.two_sided else 1, f"{link.confidence:.2f}")
                for link in topology.links
            ],
        )
    if topology.segments:
        typer.echo("")
        out.print_table(
            ("SEGMENT", "PORTS"), [(s.name, ", ".join(map(str, s.ports))) for s in topology.segments]
        )


def _summary(result: Discovered) -> None:
    """What a person wants to know first, on stderr: how much was read, what it came to, and what is doubtful."""
    from labctl.errors import render
    from labctl.model.account import LineClass

    topology = result.snapshot.topology
    for warning in result.warnings:
        out.say(render(warning).replace("error: ", "warning: ", 1))
    for unread in result.unread:
        out.say(render(unread.error))
    _some("row", "rejected", [f"{row.where}  {row.reason}" for row in result.rejected])
    lost = [
        line for account in result.accounts for line in account.of(LineClass.UNSUPPORTED, LineClass.UNKNOWN)
    ]
    _some(
        "configuration line", "that no lab will have", [f"{each.where}  {each.text.strip()}" for each in lost]
    )
    _some("conflict", "", [f"{c.kind}: {c.subject}: {c.resolution}" for c in topology.conflicts])
    if result.gone:
        out.say(f"no longer in any source, removed: {', '.join(result.gone)}")
    stale = [device.name for device in topology.devices if device.stale_since]
    if stale:
        out.say(f"kept from before, stale: {', '.join(stale)}")
    sources = ", ".join(f"{count} {name}" for name, count in result.inputs.items())
    polled = sum(device.polled for device in topology.devices)
    both = sum(link.two_sided for link in topology.links)
    out.say(
        f"read {sources}: {_count(result.rows, 'neighbour row')}; {_count(polled, 'device')} and "
        f"{len(topology.devices) - polled} known only from them; {_count(both, 'link')} confirmed by both ends, "
        f"{len(topology.links) - both} by one; {_count(len(topology.segments), 'segment')}; "
        f"{_count(len(topology.conflicts), 'conflict')}"
    )
    if result.passed_over:
        out.say(f"passed over {_count(len(result.passed_over), 'file')} that no source knows")
    if result.path:
        out.say(f"wrote {result.path}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _some(noun: str, which: str, lines: list[str]) -> None:
    """The first lines of a list, under how many there are."""
    if not lines:
        return
    out.say(f"{_count(len(lines), noun)} {which}".rstrip() + ":")
    for line in lines[:MAX_SAID]:
        out.say(f"  {line}")
    if len(lines) > MAX_SAID:
        out.say(f"  … and {len(lines) - MAX_SAID} more")
