"""`labctl campaign` without a lab: what a command line may say, which saved trial a name means, what is remembered."""

import json
import os

import pytest

from labctl.analyze import campaign as judging
from labctl.app import campaign as app
from labctl.cli import main
from labctl.errors import LabctlError
from labctl.model.campaign import Answer, Coverage, Rerun, Shrunk, TrialResult
from labctl.model.verdict import Verdict
from labctl.report import campaign as writing
from labctl.schema import coverage_file

FILE = 'name: night\nseed: 4\npool:\n  - {fault: node.hang, target: {node: "r*", pick: 1}, for: 5s}\n'
LAB = "name: dc1\ntopology:\n  nodes:\n" + "".join(
    f"    r{n}: {{kind: linux, image: labctl/base}}\n" for n in range(1, 5)
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    (tmp_path / "night.yml").write_text(FILE)
    (tmp_path / "dc1.clab.yml").write_text(LAB)
    return tmp_path


def status(*argv):
    with pytest.raises(SystemExit) as stop:
        main.run(list(argv))
    return int(stop.value.code or 0)


def dry(capsys, *argv):
    main.program()(
        ["campaign", "night.yml", "-l", "dc1.clab.yml", "--dry-run", "-f", "json", *argv],
        standalone_mode=False,
    )
    return json.loads(capsys.readouterr().out)


def played(directory, name="night"):
    """The record of a campaign with a failed trial."""
    rerun = Rerun(
        name=f"{name}-001-shrink-01", faults=(), answer=Answer.PASSES, why="", directory="001/shrink-01"
    )
    shrunk = Shrunk(faults=(), said=(), proven=True, reruns=(rerun,))
    trial = TrialResult(
        name=f"{name}-001",
        verdict=Verdict.FAIL,
        headline="",
        faults=(),
        elements=(),
        directory="001",
        took_s=1.0,
        shrunk=shrunk,
    )
    report = judging.report(
        (trial,),
        campaign=name,
        lab="dc1",
        runtime="runc",
        seed=1,
        started="2026-11-20T02:00:00+00:00",
        duration_s=1.0,
        coverage=Coverage(),
    )
    os.makedirs(directory)
    writing.save(report, str(directory))
    (directory / "campaign.yml").write_text(FILE)


@pytest.mark.parametrize(
    "argv",
    [
        ["campaign"],
        ["campaign", "night.yml", "--trials", "0"],
        ["campaign", "night.yml", "--replay", "1", "--seed", "3"],
        ["campaign", "night.yml", "--replay", "1", "--trials", "3"],
        ["campaign", "night.yml", "--replay", "1", "--for", "3s"],
        ["campaign", "night.yml"],  # no lab is running
    ],
)
def test_a_command_line_that_says_too_little_or_too_much(here, argv):
    assert status(*argv) == 2
    assert not (here / "reports").exists()


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--replay", "1"]])
def test_the_file_is_looked_at_before_anything_else(here, capsys, more):
    (here / "one.yml").write_text("name: one\ntimeline:\n  - wait: 1s\n")
    for file, said in (("no.yml", "error: file-not-found"), ("one.yml", "`labctl campaign` takes campaigns")):
        assert status("campaign", file, *more) == 3
        assert said in capsys.readouterr().err


def test_flags_come_before_the_file_and_the_file_before_chance(here, capsys):
    found = dry(capsys)
    assert (found["seed"], len(found["trials"])) == (4, 10)
    assert found == dry(capsys)
    assert len(dry(capsys, "--trials", "2")["trials"]) == 2
    assert dry(capsys, "--seed", "9")["seed"] == 9
    assert len(dry(capsys, "--for", "20s")["trials"]) == 4
    (here / "night.yml").write_text(FILE.replace("seed: 4", "trials: 3"))
    assert len(dry(capsys)["trials"]) == 3
    assert len({dry(capsys)["seed"] for _ in range(4)}) > 1


def test_what_was_failed_is_an_input(here, capsys):
    first = dry(capsys, "--trials", "1")["trials"][0]["elements"]
    os.makedirs("reports")
    for name, more in (("reports/night.coverage.json", ()), ("mine.json", ("--coverage", "mine.json"))):
        others = [f"node r{n}" for n in range(1, 5) if [f"node r{n}"] != first]
        (here / name).write_text(
            coverage_file.dump("dc1", {e: n for n, e in enumerate([*first, *others], 1)})
        )
        found = dry(capsys, "--trials", "2", *more)
        assert [t["elements"] for t in found["trials"]] == [first, [others[0]]]
        assert found["coverage"]["before"] == sorted(others[1:])
        os.unlink(here / name)


def test_a_trial_by_its_name(here):
    request = app.Request(file="night.yml")
    assert status("campaign", "night.yml", "--replay", "night-001") == 2
    played(here / "reports" / "night-20261120T020000")
    played(here / "reports" / "night-20261119T020000")
    played(here / "reports" / "night-shift-20261121T020000", "night-shift")
    os.utime(here / "reports" / "night-20261119T020000" / "campaign.yml", (1e9, 1e9))
    latest = "reports/night-20261120T020000"
    for name in ("night-001", "001", "1"):
        assert app.saved_plan(request, name) == f"{latest}/001/plan.json"
    for name in ("night-001-shrink-01", "001-shrink-01"):
        assert app.saved_plan(request, name) == f"{latest}/001/shrink-01/plan.json"
    for name in ("night-20261119T020000/night-001", "reports/night-20261119T020000/1"):
        assert app.saved_plan(request, name) == "reports/night-20261119T020000/001/plan.json"
    for name in ("night-002", "2", "", "night-20261118T020000/1", "../night-001"):
        with pytest.raises(LabctlError) as caught:
            app.saved_plan(request, name)
        assert caught.value.code == "unknown-trial", name


def test_a_saved_trial_fits_its_lab_or_says_what_is_away(here, capsys):
    plan = dry(capsys, "--trials", "1")["trials"][0]["plan"]
    (here / "plan.json").write_text(json.dumps(plan))
    assert status("validate", "plan.json", "-l", "dc1.clab.yml") == 0
    (here / "dc1.clab.yml").write_text(
        LAB.partition("    r1")[0] + "    x: {kind: linux, image: labctl/base}\n"
    )
    capsys.readouterr()
    assert status("validate", "plan.json", "-l", "dc1.clab.yml") != 0
    assert "which lab 'dc1' does not have" in capsys.readouterr().err
