"""`labctl discover`: production, read and merged into one snapshot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from labctl.cli import out
from labctl.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.app.discovered import Discovered
    from labctl.model.topology import Conflict, Evidence
    from labctl.topo.explain import Explanation

PATHS = typer.Argument(
    ...,
    metavar="PATH...",
    help="Inventories, SNMP walks, tables, configurations, lab files, snapshots of Batfish, or directories of them.",
)
NAME = typer.Option(None, "--name", "-n", help="Name of the snapshot; default: that of the first path.")
OUT = typer.Option(None, "--out", "-o", help="File to write; default: topologies/NAME.yml.")
FROM = typer.Option(
    None,
    "--from",
    metavar="LAB:NODE",
    help="Ask from inside this node of a lab instead of from this machine.",
)
LINT = typer.Option(
    False, "--lint", help="Print settings that do not fit together between two ends; exit 1 if there are any."
)
HOSTS = typer.Option(False, "--hosts", help="Draw hosts that only forwarding and ARP tables know.")
EXPLAIN = typer.Option(
    None,
    "--explain",
    metavar="A:PORT B:PORT",
    help="Say why there is a link between two ports or none, and write nothing.",
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
    lint: bool = LINT,
    hosts: bool = HOSTS,
    explain: tuple[str, str] | None = EXPLAIN,
    dry_run: bool = out.DRY_RUN,
    output: out.Format = out.FORMAT,
) -> None:
    """Discover a production network: links by LLDP and CDP over SNMP, configurations over SSH, or all from files.

    Exit 4 if a device could not be read: what was known of it is kept and marked stale.
    """
    from labctl import names
    from labctl.app import discover as use_case
    from labctl.app import discovered

    if name is not None:
        with out.reading("--name"):
            names.check_lab(name)

    with out.Progress() as progress:
        result = use_case.discover(
            paths,
            name=name,
            out=file,
            inside=use_case.namespace(start) if start else None,
            lenient=lenient,
            write=not dry_run,
            lint=lint,
            hosts=hosts,
            explain=explain,
            emit=progress,
        )
    if output is out.Format.JSON:
        out.print_json(discovered.printed(result))
    elif result.explanation is not None:
        _print_explanation(result.explanation)
    elif result.lint is not None:
        _print_findings(result.lint)
    else:
        _print_tables(result)
    _summary(result)
    if result.unread:
        raise typer.Exit(Exit.UNKNOWN)
    if result.lint:
        raise typer.Exit(Exit.FAIL)


def _print_tables(result: Discovered) -> None:
    from labctl.app.discovered import how

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
            ("LINK", "", "ROLE", "KNOWN", "CONFIDENCE", "EVIDENCE"),
            [
                (link.a, link.b, link.role, how(link), f"{link.confidence:.2f}", _first(link.evidence))
                for link in topology.links
            ],
        )
    if topology.segments:
        typer.echo("")
        out.print_table(
            ("SEGMENT", "PORTS"), [(s.name, ", ".join(map(str, s.ports))) for s in topology.segments]
        )


def _first(evidence: Sequence[Evidence]) -> str:
    """The first row that says so, and how many more there are."""
    if not evidence:
        return ""
    more = f" and {len(evidence) - 1} more" if len(evidence) > 1 else ""
    return f"{evidence[0].source} {evidence[0].where}{more}"


def _print_findings(findings: Sequence[Conflict]) -> None:
    out.print_table(("FINDING", "SUBJECT", "MEANING"), [(f.kind, f.subject, f.resolution) for f in findings])
    for finding in findings:
        out.tell(f"\n{finding.kind}: {finding.subject}")
        for each in finding.said:
            out.tell(f"  {each.where}  {each.said}")


def _print_explanation(found: Explanation) -> None:
    said = {
        "link": "are joined by a link",
        "segment": "are on one segment",
        "lost": "are not joined: better evidence joins one of them to another port",
        "nothing": "are not joined: nothing says that they are",
    }[found.verdict]
    out.tell(f"{found.a} and {found.b} {said}")
    for candidate in (*([found.asked] if found.asked else []), *found.competing):
        weights = ", ".join(f"{kind} {weight:.2f}" for kind, weight in candidate.weights)
        state = "chosen" if candidate.chosen else "not chosen"
        out.tell(f"\n{candidate.cable}  confidence {candidate.confidence:.2f} ({weights}), {state}")
        for each in candidate.evidence:
            rule = f"  [{each.rule}]" if each.rule else ""
            out.tell(f"  {each.source}  {each.where}  {each.said}{rule}")
    if found.notes:
        typer.echo("")
    for note in found.notes:
        out.tell(note)
    for conflict in found.conflicts:
        out.tell(f"conflict {conflict.kind}: {conflict.subject}: {conflict.resolution}")


def _summary(result: Discovered) -> None:
    """What a person wants to know first, on stderr: how much was read, what it came to, and what is doubtful."""
    from labctl.app.discovered import how
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
    ways = [how(link) for link in topology.links]
    out.say(
        f"read {sources}: {_count(result.rows, 'neighbour row')}; {_count(polled, 'device')} and "
        f"{len(topology.devices) - polled} known only from others; {_count(ways.count('confirmed'), 'link')} "
        f"confirmed by both ends, {ways.count('one-sided')} by one, {ways.count('inferred')} inferred; {_count(len(topology.segments), 'segment')}; "
        f"{_count(len(topology.conflicts), 'conflict')}"
    )
    if result.hidden_hosts:
        out.say(f"{_count(result.hidden_hosts, 'host')} known only by address: drawn with --hosts")
    if result.passed_over:
        names = [os.path.relpath(path) for path in result.passed_over]
        more = f", and {len(names) - MAX_SAID} more" if len(names) > MAX_SAID else ""
        out.say(
            f"passed over {_count(len(names), 'file')} that no source knows: {', '.join(names[:MAX_SAID])}{more}"
        )
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
