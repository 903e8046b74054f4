"""`labctl apply FILE`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from labctl.cli import complete, out

if TYPE_CHECKING:
    from labctl.app.apply import Applied, Plan


def register(app: typer.Typer) -> None:
    app.command(name="apply")(apply)


def apply(
    file: str = typer.Argument(
        ...,
        help="What the lab is to be: a containerlab topology file (*.clab.yml).",
        autocompletion=complete.lab_files,
    ),
    lab: str | None = out.LAB,
    name: str | None = typer.Option(
        None, "--name", "-n", help="The name it was deployed by, instead of the file's."
    ),
    runtime: str = typer.Option("auto", "--runtime", "-r", help="Must be the one that the lab runs on."),
    image: list[str] = typer.Option(
        [], "--image", help="A=B runs image B where the file says A; repeatable."
    ),
    lenient: bool = typer.Option(False, "--lenient", help="Accept keys of older containerlab versions."),
    template_vars: list[str] = out.VARS,
    wait: str = typer.Option(
        "0s", "--wait", help="How long to wait for the end of a scenario that is being played on the lab."
    ),
    dry_run: bool = out.DRY_RUN,
    output: out.Format = out.FORMAT,
) -> None:
    """Make a running lab what a file says: the plan, with reasons, then the least change.

    What the plan does not name runs on untouched, and active faults stay. Stopped on the way (exit 7), it goes on when
    it is called again. Exit 5 if there is nothing to do.
    """
    from labctl import names, units
    from labctl.app import apply as app
    from labctl.runtime.store import Instance

    with out.reading("--wait"):
        patience = units.duration(wait)
    if name is not None:
        with out.reading("--name"):
            names.check_lab(name)
    request = app.Request(
        file=file,
        lab=lab,
        name=name,
        runtime=runtime,
        images=dict(out.image_pair(each, "A=B") for each in image),
        lenient=lenient,
        variables=tuple(template_vars),
        dry_run=dry_run,
        wait_s=patience,
    )

    def tell(plan: Plan) -> None:
        if output is out.Format.TABLE and plan.steps:
            _show(plan)
        elif not plan.steps and output is out.Format.JSON:
            out.print_json(_json(plan, dry_run, ()))

    with out.Progress() as progress:
        done = app.apply(request, Instance.here(), progress, tell)
    if output is out.Format.JSON:
        out.print_json(_json(done.plan, dry_run, done.ended))
        return
    for each in done.ended:
        out.say(f"fault {each} ended: what it was about is gone")
    if dry_run:
        out.say(f"Would change lab {done.plan.lab}: {_count(done)}. Nothing was changed.")


def _count(done: Applied) -> str:
    count = len(done.plan.steps)
    return f"{count} step{'s' if count > 1 else ''}"


def _show(plan: Plan) -> None:
    if plan.interrupted:
        out.say(f"lab {plan.lab} was being changed and that was not finished; this goes on from there")
    rows = []
    for step in plan.steps:
        for number, reason in enumerate(step.reasons):
            rows.append(("", "", reason) if number else (step.do.value, step.subject, reason))
    out.print_table(("STEP", "ON", "WHY"), rows)


def _json(plan: Plan, dry_run: bool, ended: tuple[str, ...]) -> dict[str, Any]:
    return {
        "version": 1,
        "lab": plan.lab,
        "runtime": plan.runtime,
        "dry_run": dry_run,
        "interrupted_before": plan.interrupted,
        "steps": [
            {
                "do": step.do.value,
                "subject": step.subject,
                "reasons": [
                    {"field": each.field, "old": each.old, "new": each.new, "why": each.why}
                    for each in step.reasons
                ],
            }
            for step in plan.steps
        ],
        "ended_faults": list(ended),
    }
