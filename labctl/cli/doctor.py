"""`labctl doctor`: what this machine can do, each thing tried, and the command that fixes it."""

from __future__ import annotations

import typer

from labctl.cli import out
from labctl.errors import Exit, LabctlError, did_you_mean


def register(app: typer.Typer) -> None:
    app.command(name="doctor")(doctor)


def doctor(
    runtime: str = typer.Option("runc", "--for", help="The runtime that the machine is to be fit for."),
    output: out.Format = out.FORMAT,
) -> None:
    """Try what labs need on this machine; exit 6 if something is missing, with the command that fixes it."""
    from dataclasses import asdict

    from labctl.app.doctor import Check
    from labctl.app.doctor import doctor as examine
    from labctl.app.doctor_faults import ways
    from labctl.runtime.base import RUNTIMES
    from labctl.runtime.impair import figures
    from labctl.runtime.store import Instance

    if runtime not in RUNTIMES:
        raise LabctlError(
            "unknown-plugin", f"no runtime is called {runtime!r}", hint=did_you_mean(runtime, RUNTIMES)
        )
    checkup = examine(Instance.here(), runtime)
    found = ways({check.name: check.ok for check in checkup.checks})
    if output is out.Format.JSON:
        out.print_json(
            {
                "version": 1,
                "runtime": checkup.runtime,
                "ok": checkup.ok,
                "checks": [asdict(check) for check in checkup.checks],
                "faults": [asdict(way) for way in found],
                "figures": figures.SOURCE,
            }
        )
    else:

        def mark(check: Check) -> str:
            if check.ok:
                return "✓ works"
            return (
                ("✗ missing" if check.needed else "✗ absent (optional)")
                if check.ok is False
                else "- not tried"
            )

        rows = [(mark(check), check.name, check.said, check.fix) for check in checkup.checks]
        out.print_table(("", "WHAT", "SEEN", "FIX"), rows)
        said = [(w.fault, w.setting, w.backend or "-", w.known_error if w.ok else w.why) for w in found]
        out.print_table(("FAULT", "SETTING", "DONE BY", "KNOWN ERROR"), said)
        out.say(f"Known errors: {figures.SOURCE}.")
        verdict = "can" if checkup.ok else "cannot yet"
        out.say(f"This machine {verdict} run labs with {checkup.runtime}.")
    if not checkup.ok:
        raise typer.Exit(Exit.CANNOT)
