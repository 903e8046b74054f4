"""`labctl report RUN_DIR`."""

from __future__ import annotations

import typer

from labctl.cli import out


def register(app: typer.Typer) -> None:
    app.command(name="report")(report)


def report(
    directory: str = typer.Argument(
        ..., metavar="RUN_DIR", help="The directory that `labctl run` or `labctl campaign` wrote."
    ),
    output: out.Format = out.FORMAT,
) -> None:
    """Judge a run again from its journal and samples, and write its report files anew. Needs no lab.

    Of a campaign, the report files of the whole are written anew from its record.
    """
    from labctl.app import kinds
    from labctl.cli.run import show_report, summary
    from labctl.run import rundir

    kinds.need(directory, "report", kinds.Kind.RUN, kinds.Kind.CAMPAIGN_RUN)
    if kinds.what(directory) is kinds.Kind.CAMPAIGN_RUN:
        _campaign(directory, output)
    found, files = rundir.report(directory)
    if output is out.Format.JSON:
        out.print_json(summary(found) | {"directory": directory, "left": rundir.left(directory)})
    else:
        show_report(found, files["html"])
    raise typer.Exit(found.verdict.exit)


def _campaign(directory: str, output: out.Format) -> None:
    from labctl.app import campaign
    from labctl.cli.campaign import show, summary

    found, files = campaign.report(directory)
    if output is out.Format.JSON:
        out.print_json(summary(found) | {"directory": directory, "left": []})
    else:
        show(found, files["html"])
    raise typer.Exit(found.verdict.exit)
