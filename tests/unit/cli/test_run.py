"""`labctl run` and `labctl report` without a lab: what is refused, and what needs none."""

import json
import os

import pytest
from worlds import Clock, World, cut, plan

from labctl.cli import main
from labctl.model.scenario import Expectation
from labctl.run import engine, journal, rundir, samples


def status(*argv):
    with pytest.raises(SystemExit) as stop:
        main.run(list(argv))
    return int(stop.value.code or 0)


@pytest.mark.parametrize(
    "argv",
    [
        ["run"],
        ["run", "one.yml", "--plan", "plan.json"],
        ["run", "--plan", "plan.json", "--seed", "1"],
        ["report"],
    ],
)
def test_a_command_line_that_says_too_little_or_too_much(argv):
    assert status(*argv) == 2


def test_a_scenario_or_a_plan_or_a_run_that_is_not_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    for argv in (["run", "no.yml", "--dry-run"], ["run", "--plan", "no.json", "--dry-run"], ["report", "no"]):
        assert status(*argv) == 3, argv
        assert "error: file-not-found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("limit", "verdict", "code"), [(5.0, "PASS", 0), (0.1, "FAIL", 1), (0.58, "UNKNOWN", 4)]
)
def test_a_run_is_judged_again_from_its_directory(tmp_path, capsys, limit, verdict, code):
    outage = Expectation(measure="max_outage", limit=limit, probe="ping")
    what, clock = plan(cut("cut"), during=(outage,)), Clock()
    with journal.Journal(str(tmp_path / "journal.jsonl")) as book:
        rundir.head(book, what, t=clock.now(), lab="lab", runtime="scripted")
        outcome = engine.play(what, World(clock), clock, book)
    samples.write(str(tmp_path / "samples.jsonl"), outcome.tracks)
    rundir.report(str(tmp_path))
    before = (tmp_path / "report.json").read_bytes()
    for name in os.listdir(tmp_path):
        if name not in ("journal.jsonl", "samples.jsonl"):
            (tmp_path / name).unlink()
    assert status("report", str(tmp_path)) == code
    assert capsys.readouterr().out.splitlines()[-1] == verdict
    assert (tmp_path / "report.json").read_bytes() == before
    assert json.loads(before)["verdict"] == verdict
    assert "link.down" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    "line", ["", '{"n":1,"v":1}', '{"n":1,"v":1,"kind":"run"}', '{"n":1,"v":1,"kind":["x"]}']
)
def test_a_journal_of_lines_that_say_too_little(tmp_path, capsys, line):
    (tmp_path / "journal.jsonl").write_text(line + "\n" if line else "")
    assert status("report", str(tmp_path)) == 3
    assert "error: bad-journal" in capsys.readouterr().err
