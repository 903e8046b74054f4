"""`labctl compare`: the routes of a lab against those of another, or against a saved state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from labctl.cli import complete, out

if TYPE_CHECKING:
    from labctl.model.routes import RouteComparison


def register(app: typer.Typer) -> None:
    app.command(name="compare")(compare)


def compare(
    source: str | None = typer.Argument(
        None,
        metavar="[LAB]",
        help="The lab; default: the only running one.",
        autocompletion=complete.labs,
    ),
    lab: str | None = out.LAB,
    reference: str | None = typer.Option(
        None,
        "--with",
        metavar="LAB|FILE|SNAPSHOT|INVENTORY",
        help="What to compare with: a running lab, a saved state, a snapshot directory with what production's devices "
        "printed, or an inventory, whose devices are asked over SSH.",
    ),
    start: str | None = typer.Option(
        None,
        "--from",
        metavar="LAB:NODE",
        help="Ask the inventory's devices from inside this node of a lab instead of from this machine.",
    ),
    save: str | None = typer.Option(
        None, "--save", metavar="FILE", help="Save what the lab routes by, to compare with later."
    ),
    same_nodes: bool = typer.Option(
        False, "--same-nodes", help="A node that only one of the two has is a difference, too."
    ),
    output: out.Format = out.FORMAT,
) -> None:
    """Compare a lab's routes with another lab's: prefix, protocol, set of next hops; exit 1 if any differs.

    Against production, recorded or live, the nodes' own addresses and the states of OSPF and BGP sessions as well.
    Nodes that only one of the two has are listed and not compared. Exit 4 if a node that both have could not be read,
    or has routes in VRFs, which labs do not have.
    """
    from labctl.analyze.words import plural
    from labctl.app import compare as app
    from labctl.runtime.store import Instance

    if (reference is None) == (save is None):
        raise typer.BadParameter("give either --with LAB|FILE|SNAPSHOT|INVENTORY or --save FILE")
    instance = Instance.here()
    if save is not None:
        found = app.save(source or lab, save, instance)
        out.say(f"wrote the routes of {plural(len(found.routes), 'node')} to {save}")
        return
    assert reference is not None
    progress = out.Progress()
    try:
        comparison = app.compare(source or lab, reference, instance, start=start, emit=progress)
    finally:
        progress.close()
    verdict = app.verdict(comparison, same_nodes=same_nodes)
    if output is out.Format.JSON:
        out.print_json(app.as_json(comparison, same_nodes=same_nodes))
    elif comparison.differences:
        out.print_table(
            ("NODE", "PREFIX", "DIFFERENCE", "REFERENCE", "LAB", "LIKELY REASON"),
            [
                (d.node, d.prefix, d.kind, d.production or "no route", d.shadow or "no route", d.reason)
                for d in comparison.differences
            ],
        )
    if output is out.Format.TABLE:
        _sessions(comparison)
    for node, vrf, count in comparison.unsupported:
        out.say(f"not compared: {plural(count, 'route')} of {node} in VRF {vrf}: {app.NO_VRFS}")
    for names, what in (
        (comparison.unread, "could not be read in one of the two"),
        (comparison.only_production, "only in the reference, not compared"),
        (comparison.only_shadow, "only in the lab, not compared"),
    ):
        if names:
            out.say(f"{what}: {', '.join(names)}")
    out.say(f"{verdict.value}: {app.summary(comparison)}")
    raise typer.Exit(verdict.exit)


def _sessions(comparison: RouteComparison) -> None:
    if comparison.session_differences:
        out.print_table(
            ("NODE", "SESSION", "REFERENCE", "LAB", "LIKELY REASON"),
            [
                (
                    d.node,
                    f"{d.kind} {d.peer} {d.interface}".rstrip(),
                    d.production or "none",
                    d.shadow or "none",
                    d.reason,
                )
                for d in comparison.session_differences
            ],
        )
    for session in comparison.stuck_alike:
        out.say(f"not up in either: {session}")
