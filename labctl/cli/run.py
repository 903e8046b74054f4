"""`labctl run SCENARIO`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import typer

from labctl.cli import complete, out
from labctl.errors import Exit, render

if TYPE_CHECKING:
    from labctl.app.run import Request, Result, UnjudgedError
    from labctl.model.scenario import Plan
    from labctl.model.verdict import Report


def register(app: typer.Typer) -> None:
    app.command(name="run")(run)


def run(
    file: str | None = typer.Argument(
        None, metavar="SCENARIO", help="A scenario (scenarios/*.yml).", autocompletion=complete.scenarios
    ),
    lab: str | None = out.LAB,
    plan: str | None = typer.Option(
        None, "--plan", help="Play the plan.json of an earlier run again, instead of a scenario."
    ),
    seed: int | None = out.SEED,
    dry_run: bool = out.DRY_RUN,
    output: out.Format = out.FORMAT,
    directory: str = typer.Option("reports", "--out", "-o", help="Directory that gets the run's directory."),
) -> None:
    """Break a lab as a scenario says, measure what that does, judge it, put everything back.

    The last line is the verdict. Ctrl-C ends every failure at once and exits with 130.
    """
    from labctl.app import run as app
    from labctl.runtime.store import Instance

    if (file is None) == (plan is None):
        raise typer.BadParameter("give a scenario, or --plan with the plan of an earlier run")
    if plan is not None and seed is not None:
        raise typer.BadParameter("a saved plan has its seed", param_hint="--seed")
    request = app.Request(scenario=file, plan=plan, lab=lab, seed=seed, out=directory)
    if dry_run:
        _show_plan(app.prepare(request, Instance.here())[1], output)
        return
    with out.Progress() as progress:
        found = _played(request, progress)
    if isinstance(found, app.UnjudgedError):
        stop_unjudged(found, output)
    show(found, output)
    stop(found)


def _played(request: Request, progress: out.Progress) -> Result | UnjudgedError:
    from labctl.app import run as app
    from labctl.runtime.store import Instance

    try:
        return app.run(request, Instance.here(), progress)
    except app.UnjudgedError as error:
        return error


def show(result: Result, output: out.Format = out.Format.TABLE) -> None:
    """What was played, judged and left behind."""
    out.tell_left(result.left)
    if output is out.Format.JSON:
        out.print_json(summary(result.report) | {"directory": result.directory, "left": list(result.left)})
        return
    show_report(result.report, result.files["html"])


def stop(result: Result) -> NoReturn:
    """Exit as the contract says: 7 before 130 before the verdict."""
    if result.left:
        raise typer.Exit(Exit.DIRTY)
    if result.interrupted:
        raise KeyboardInterrupt
    raise typer.Exit(result.report.verdict.exit)


def stop_unjudged(error: UnjudgedError, output: out.Format) -> NoReturn:
    """What went wrong, and the verdict as the last line all the same."""
    from labctl.model.verdict import Verdict

    out.tell_left(error.left)
    out.say(render(error))
    if output is out.Format.TABLE:
        typer.echo(Verdict.UNKNOWN)
    raise typer.Exit(Exit.DIRTY if error.left else error.exit)


def show_report(report: Report, page: str) -> None:
    """What was judged, where the page is, and the verdict as the last line."""
    for finding in report.findings:
        typer.echo(f"{finding.verdict:<8} {finding.subject}: {finding.summary}")
    typer.echo()
    typer.echo(report.headline)
    typer.echo(f"report   {page}")
    typer.echo(report.verdict)


def summary(report: Report) -> dict[str, object]:
    """The run without its samples; report.json has them."""
    return {
        "version": 1,
        "scenario": report.run.title,
        "lab": report.run.lab,
        "seed": report.run.seed,
        "verdict": report.verdict.value,
        "headline": report.headline,
        "findings": [
            {"verdict": f.verdict.value, "subject": f.subject, "summary": f.summary, "seen": list(f.seen)}
            for f in report.findings
        ],
    }


def _show_plan(plan: Plan, output: out.Format) -> None:
    from labctl.analyze import dryrun
    from labctl.schema import plan_file

    if output is out.Format.JSON:
        typer.echo(plan_file.dump(plan), nl=False)
        return
    typer.echo("nothing is touched")
    typer.echo(dryrun.render(plan))
