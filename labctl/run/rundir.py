"""The directory of a run: everything that went in, everything that happened, and the report made of it.

    scenario.yml plan.json topology.yml     the exact inputs
    journal.jsonl samples.jsonl             what happened and what was measured
    report.html report.json report.txt junit.xml topology.svg

The report is made from the files, never from memory: so `labctl report` on a directory gives the bytes of the day.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import labctl
from labctl.analyze import played
from labctl.analyze.words import plural
from labctl.errors import LabctlError, Span
from labctl.linux import whole
from labctl.model.scenario import Plan
from labctl.model.topology import Topology
from labctl.model.verdict import Report
from labctl.report import folder, junit
from labctl.run import entries, record
from labctl.run.journal import Journal
from labctl.schema import files, infile, plan_file

PLAN = "plan.json"


def create(base: str, scenario: str, now: datetime | None = None) -> str:
    """A new directory `base`/`scenario`-`time`; of several in one second each gets its own."""
    when = (now or datetime.now(UTC).astimezone()).strftime("%Y%m%dT%H%M%S")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", scenario).strip("-.") or "run"
    for number in range(1, 1000):
        path = os.path.join(base, f"{name}-{when}" + (f"-{number}" if number > 1 else ""))
        try:
            os.makedirs(path)
        except FileExistsError:
            continue
        except OSError as error:
            raise LabctlError(
                "cannot-write",
                f"cannot make the directory of the run: {(error.strerror or str(error)).lower()}",
                where=Span(path),
            ) from None
        return path
    raise LabctlError("cannot-write", "there is no free name for the directory of the run", where=Span(base))


def head(
    journal: Journal,
    plan: Plan,
    *,
    t: float,
    lab: str,
    runtime: str,
    command: str = "",
    names: dict[str, str] | None = None,
    started: datetime | None = None,
) -> None:
    """What runs, on what: the first line, but for a run that `started` before it had a lab."""
    kernel = platform.uname()
    journal.write(
        "run",
        t=t,
        sync=True,
        scenario=plan.scenario,
        lab=lab,
        runtime=runtime,
        seed=plan.seed,
        kernel=f"{kernel.system} {kernel.release} {kernel.machine}",
        started=(started or datetime.now(UTC).astimezone()).isoformat(timespec="seconds"),
        command=command,
        versions=[["labctl", labctl.__version__], ["Python", platform.python_version()]],
        steady=[entries.encode_expectation(each) for each in plan.steady],
        during=[entries.encode_expectation(each) for each in plan.during],
        after=[entries.encode_expectation(each) for each in plan.after],
        names=names or {},
        predicted=list(predicted(plan)),
        apart=[{"faults": each.faults, "parts": each.parts} for each in plan.predicted.lost],
        flows={
            each.id: [str(each.settings.get("from", "")), str(each.settings.get("to", ""))]
            for each in plan.probes
        },
    )


def predicted(plan: Plan) -> list[str]:
    """The blast radius on the graph, in words; of a plan that breaks nothing, nothing."""
    found = plan.predicted
    if not (found.links or found.nodes):
        return []
    places = [plural(len(found.links), "link")] * bool(found.links) + [
        plural(len(found.nodes), "node")
    ] * bool(found.nodes)
    cut_off = [
        f"{', '.join(lost.faults)}: {_apart(lost.parts)} ({plural(lost.pairs, 'pair')} of nodes without a way)"
        for lost in found.lost
    ]
    return [
        f"touches {' and '.join(places)}",
        *(cut_off or ["no node that runs is cut off from another"]),
        *(f"not known from the graph: {each}" for each in found.unknown),
    ]


def _apart(parts: Sequence[Sequence[str]]) -> str:
    """The smaller parts by name, the largest as what they are cut off from."""
    small = ["+".join(part[:4]) + (f"+{len(part) - 4} more" if len(part) > 4 else "") for part in parts[1:]]
    return f"{' and '.join(small)} cut off from the rest"


def keep(directory: str, plan: Plan, topology: Topology, scenario: str | None = None) -> None:
    """What went in. `scenario`: the file as it was written; a plan that is played again has none."""
    whole.write(os.path.join(directory, PLAN), plan_file.dump(plan).encode())
    whole.write(os.path.join(directory, record.TOPOLOGY), files.dump(topology).encode())
    if scenario is not None:
        whole.write(os.path.join(directory, "scenario.yml"), infile.read(scenario))


def report(directory: str) -> tuple[Report, dict[str, str]]:
    """Judge what is in the directory and write the report files; they are returned by kind."""
    if not os.path.exists(os.path.join(directory, record.JOURNAL)):
        raise LabctlError(
            "file-not-found",
            "this is not the directory of a run: it has no journal",
            where=Span(directory),
            hint="`labctl run` prints the directory that it writes",
        )
    found = played.report(record.read(directory))
    written = folder.save(found, directory)
    written["junit"] = os.path.join(directory, "junit.xml")
    whole.write(written["junit"], junit.write(found))
    return found, written


def left(directory: str) -> list[str]:
    """What was not at its base state at the end of that run."""
    return list(record.read(directory).left or ())
