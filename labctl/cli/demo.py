"""`labctl demo`."""

from __future__ import annotations

import typer

from labctl.cli import out


def register(app: typer.Typer) -> None:
    app.command(name="demo")(demo)


def demo(
    directory: str = typer.Option(".", "--out", "-o", help="Directory that gets topologies/ and reports/."),
    scenario: str | None = typer.Option(
        None, "--scenario", help="What to play on the shadow; default: the library's core-cut.yml."
    ),
) -> None:
    """Discover a small production stand-in, build its shadow, play a scenario on it (a cable is cut), report.

    Takes about three minutes as root. Leaves both labs running (`labctl destroy --all` removes them) and a page
    under reports/.
    """
    from labctl.app import demo as app
    from labctl.cli.run import show, stop
    from labctl.linux import whole
    from labctl.runtime.store import Instance

    whole.check_directory(directory)
    request = app.Request(out=directory, scenario=scenario)
    with out.Progress() as progress:
        result = app.demo(request, Instance.here(), progress)
    typer.echo(f"topology   {result.topology}")
    typer.echo(f"lab file   {result.lab_file}")
    typer.echo(f"routes     {result.routes}")
    if "svg" in result.played.files:
        typer.echo(f"picture    {result.played.files['svg']}")
    typer.echo("next       labctl inspect --all · labctl run SCENARIO -l demo · labctl destroy --all")
    show(result.played)
    stop(result.played)
