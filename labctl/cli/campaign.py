"""`labctl campaign CAMPAIGN`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from labctl.cli import complete, out
from labctl.errors import Exit

if TYPE_CHECKING:
    from labctl.app.campaign import DryRun, Request, Result
    from labctl.app.run import UnjudgedError
    from labctl.model.campaign import CampaignReport


def register(app: typer.Typer) -> None:
    app.command(name="campaign")(campaign)


def campaign(
    file: str = typer.Argument(
        ...,
        metavar="CAMPAIGN",
        help="A campaign (scenarios/campaigns/*.yml).",
        autocompletion=complete.campaigns,
    ),
    lab: str | None = out.LAB,
    trials: int | None = typer.Option(None, "--trials", min=1, help="How many trials at most."),
    length: str | None = typer.Option(
        None, "--for", metavar="DURATION", help="No run begins later than that: 2h, 30m."
    ),
    seed: int | None = out.SEED,
    replay: str | None = typer.Option(
        None,
        "--replay",
        metavar="TRIAL",
        help="Play the saved plan of one trial of the latest campaign again (nightly-003; DIR/nightly-003 of another).",
    ),
    coverage: str | None = typer.Option(
        None,
        "--coverage",
        metavar="FILE",
        help="What was failed when, read and kept up to date; default: CAMPAIGN.coverage.json in --out.",
    ),
    dry_run: bool = out.DRY_RUN,
    output: out.Format = out.FORMAT,
    directory: str = typer.Option(
        "reports", "--out", "-o", help="Directory that gets the campaign's directory."
    ),
) -> None:
    """Draw failures by lot, within constraints, and play them one trial after the other; shrink those that fail.

    The same seed, lab and record of coverage give the same trials. --dry-run prints them (and takes a lab file for --lab).
    The last line is the verdict.
    """
    from labctl.app import campaign as app
    from labctl.app.run import UnjudgedError
    from labctl.cli.run import stop_unjudged
    from labctl.runtime.store import Instance
    from labctl.units import duration

    with out.reading("--for"):
        for_s = None if length is None else duration(length)
    request = app.Request(
        file=file,
        lab=lab,
        trials=trials,
        for_s=for_s,
        seed=seed,
        coverage=coverage,
        out=directory,
    )
    if replay is not None:
        if trials is not None or length is not None or seed is not None:
            raise typer.BadParameter("a saved trial has its seed and its length", param_hint="--replay")
        _replay(request, replay, dry_run, output)
        return
    if dry_run:
        _show_drawn(app.dry_run(request, Instance.here()), output)
        return
    with out.Progress() as progress:
        result = _played(request, progress)
    if isinstance(result, UnjudgedError):
        stop_unjudged(result, output)
    _show(result, output)
    if result.left:
        raise typer.Exit(Exit.DIRTY)
    if result.interrupted:
        raise KeyboardInterrupt
    if result.failed is not None:
        raise result.failed
    raise typer.Exit(result.report.verdict.exit if result.report.trials else Exit.NOTHING)


def _played(request: Request, progress: out.Progress) -> Result | UnjudgedError:
    from labctl.app import campaign as app
    from labctl.app.run import UnjudgedError
    from labctl.runtime.store import Instance

    try:
        return app.run(request, Instance.here(), progress)
    except UnjudgedError as error:
        return error


def _replay(request: Request, trial: str, dry_run: bool, output: out.Format) -> None:
    from labctl.app import campaign as app
    from labctl.cli.run import run

    plan = app.saved_plan(request, trial)
    run(
        file=None,
        lab=request.lab,
        plan=plan,
        seed=None,
        dry_run=dry_run,
        output=output,
        directory=request.out,
    )


def _show(result: Result, output: out.Format) -> None:
    out.tell_left(result.left)
    if output is out.Format.JSON:
        out.print_json(summary(result.report) | {"directory": result.directory, "left": list(result.left)})
    else:
        show(result.report, result.files["html"])


def summary(report: CampaignReport) -> dict[str, Any]:
    """What campaign.json holds."""
    from labctl.report import campaign as writing

    return writing.plain(report)


def show(report: CampaignReport, page: str) -> None:
    """Each trial, where the page is, and the verdict as the last line."""
    from labctl.report import campaign as writing

    for line in list(writing.lines(report))[:-1]:
        typer.echo(line)
    typer.echo(f"report   {page}")
    typer.echo(report.verdict)


def _show_drawn(found: DryRun, output: out.Format) -> None:
    from labctl.analyze import campaign as words
    from labctl.schema import plan_file

    if output is out.Format.JSON:
        out.print_json(
            {
                "version": 1,
                "campaign": found.campaign.name,
                "lab": found.lab,
                "seed": found.seed,
                "trials": [
                    {
                        "name": trial.name,
                        "start_s": trial.start_s,
                        "faults": list(words.steps(trial.plan.root)),
                        "predicted": list(words.radius(trial.plan)),
                        "elements": list(trial.elements),
                        "refused": [
                            {"drawn": each.drawn, "rule": each.rule, "why": each.why}
                            for each in trial.refused
                        ],
                        "plan": plan_file.plain(trial.plan),
                    }
                    for trial in found.trials
                ],
                "coverage": {
                    "now": list(found.coverage.now),
                    "before": list(found.coverage.before),
                    "never": list(found.coverage.never),
                },
            }
        )
        return
    typer.echo("nothing is touched")
    for line in words.render(found.campaign, found.lab, found.seed, found.trials, found.coverage):
        typer.echo(line)
