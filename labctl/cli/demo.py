"""`labctl demo`."""

from __future__ import annotations

import typer

from labctl.cli import out


def register(app: typer.Typer) -> None:
    app.command(name="demo")(demo)


def demo(
    directory: str = typer.Option(".", "--out", "-o", help="Directory that gets topologies/ and reports/."),
    cable: str | None = typer.Option(
        None, "--cut", help="Cable of the shadow to cut; default: one of the core."
    ),
) -> None:
    """Discover a small production stand-in, build its shadow, cut a cable, report.

    Takes two to three minutes as root. Leaves both labs running (`labctl destroy --all` removes them) and a page
    under reports/.
    """
    from labctl.app import demo as app
    from labctl.runtime.store import Instance

    request = app.Request(out=directory) if cable is None else app.Request(out=directory, cable=cable)
    progress = out.Progress()
    try:
        result = app.demo(request, Instance.here(), progress)
    finally:
        progress.close()
    report = result.report
    for finding in report.findings:
        typer.echo(f"{finding.verdict:<8} {finding.subject}: {finding.summary}")
    typer.echo()
    typer.echo(report.headline)
    typer.echo(f"report    {result.page}")
    typer.echo(f"picture   {result.picture}")
    typer.echo(f"topology  {result.topology}")
    typer.echo(f"lab file  {result.lab_file}")
    typer.echo(
        "next      labctl inspect --all · labctl exec -l demo client1 -- ip route · labctl destroy --all"
    )
    typer.echo(report.verdict)
    raise typer.Exit(report.verdict.exit)
