"""`labctl campaign` on a real lab: FRR loses its way for a reason that no graph knows, and the campaign finds out which."""

import json
import os
import signal
import subprocess
import sys
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from labs import deployed, instance, nothing_left
from rig import until
from triangle import CUT, running, whole

from labctl.agent import client
from labctl.app import ready
from labctl.cli import main
from labctl.schema import json_schema

pytestmark = pytest.mark.root

HEAD = """\
name: night
seed: 3
settle: 60s
probes:
  path: {kind: ping, from: h1, to: h2, every: 20ms}
steady:
  - {probe: path, loss: 1%}
constraints:
  - never_cut: {from: h1, to: h2}
expect:
  during:
    - {probe: path, max_outage: 3s}
  after:
    - {adjacencies: same}
    - {leftovers: none}
"""
#: A hole that swallows everything for less than OSPF's dead interval: nobody looks for another way. Beside it a link that is
#: a little slow, and that nobody should blame.
HOLE = f"""\
{HEAD}faults: 2
trials: 1
pool:
  - {{fault: link.blackhole, id: hole, target: {{link: "{CUT}"}}, for: 2s}}
  - {{fault: link.degrade, id: slow, target: {{link: "r2:eth2--r3:eth2"}}, delay: 2ms, for: 2s}}
""".replace("3s}", "1s}")
#: One way is cut, and on the other one the only daemon that knows of it dies: on the graph there is a way.
DOOMED = f"""\
{HEAD}faults: 3
pool:
  - {{fault: link.down, id: cut, target: {{link: "{CUT}"}}, for: 6s}}
  - {{fault: node.daemon-kill, id: kill, target: {{node: r3}}, daemon: ospfd, for: 6s}}
  - {{fault: link.degrade, id: slow, target: {{link: "r2:eth2--r3:eth2"}}, delay: 2ms, for: 6s}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running(tmp_path_factory) as place:
        assert ready.wait(place, timeout_s=120).settled
        yield place


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def labctl(capsys, *argv):
    """Exit status, and stdout."""
    with pytest.raises(SystemExit) as stop:
        main.run(list(argv))
    return int(stop.value.code or 0), capsys.readouterr().out


def played(directory):
    """The directory of the only campaign, and its record."""
    (where,) = (directory / "reports").glob("night-*/")
    record = json.loads((where / "campaign.json").read_text())
    jsonschema.validate(record, json_schema.schema("campaign-report"), jsonschema.Draft202012Validator)
    return where, record


def test_a_failing_trial_is_shrunk_to_what_it_takes(lab, directory, capsys):
    (directory / "night.yml").write_text(HOLE)
    status, said = labctl(capsys, "campaign", "night.yml")
    assert (status, said.splitlines()[-1]) == (1, "FAIL"), said
    whole(lab)
    where, record = played(directory)
    (trial,) = record["trials"]
    assert set(trial["elements"]) == {f"link {CUT}", "link r2:eth2--r3:eth2"}
    assert trial["failed"] == ["during: h1 → h2: max_outage <= 1s"]
    shrunk = trial["shrunk"]
    assert (shrunk["faults"], shrunk["proven"], shrunk["note"]) == (["hole"], True, ""), shrunk
    assert shrunk["reruns"][0]["faults"] == []
    assert shrunk["reruns"][0]["answer"] == "passes"
    assert record["ended"]
    assert not record["stopped"]
    # every run is a run directory of its own, and the page of the whole leads there
    for each in (trial, *shrunk["reruns"]):
        assert json.loads((where / each["directory"] / "report.json").read_text())["verdict"]
        assert f'href="{each["directory"]}/report.html"' in (where / "report.html").read_text()
    suite = ET.parse(where / "junit.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
    seen = json.loads((directory / "reports" / "night.coverage.json").read_text())
    assert seen["failed"] == dict.fromkeys(trial["elements"], 1)
    assert json.loads((where / "coverage.json").read_text())["failed"] == {}
    # what was drawn is what was saved, and what a replay would play, to the byte
    least = (where / shrunk["plan"]).read_text()
    assert labctl(capsys, "run", "--plan", str(where / shrunk["plan"]), "--dry-run", "-f", "json")[1] == least
    first = (where / "001" / "plan.json").read_text()
    assert labctl(capsys, "campaign", "night.yml", "--replay", "1", "--dry-run", "-f", "json")[1] == first
    again = labctl(
        capsys, "campaign", "night.yml", "--coverage", str(where / "coverage.json"), "--dry-run", "-f", "json"
    )
    (drawn,) = json.loads(again[1])["trials"]
    assert json.dumps(drawn["plan"], indent=1) + "\n" == first
    # and the report of the whole is made again from its record
    before = {path.name: path.read_bytes() for path in where.glob("*.*")}
    assert labctl(capsys, "report", str(where))[0] == 1
    assert {path.name: path.read_bytes() for path in where.glob("*.*")} == before


@pytest.mark.soak
def test_a_failure_that_no_graph_knows_is_shrunk_to_the_two_that_make_it(lab, directory, capsys):
    (directory / "night.yml").write_text(DOOMED)
    status, said = labctl(capsys, "campaign", "night.yml", "--trials", "2")
    assert (status, said.splitlines()[-1]) == (1, "FAIL"), said
    whole(lab)
    where, record = played(directory)
    assert len(record["trials"]) == 2
    for trial in record["trials"]:
        assert (set(trial["shrunk"]["faults"]), trial["shrunk"]["proven"]) == ({"cut", "kill"}, True), trial
    before = (where / "002" / "plan.json").read_bytes()
    status, said = labctl(capsys, "campaign", "night.yml", "--replay", "night-002", "-o", "reports")
    assert (status, said.splitlines()[-1]) == (1, "FAIL"), said
    (again,) = (directory / "reports").glob("night-002-*/")
    assert (again / "plan.json").read_bytes() == before
    whole(lab)


@pytest.mark.soak
def test_an_interrupt_in_the_middle_of_a_trial_ends_it_whole_and_written(lab, directory):
    (directory / "night.yml").write_text(HOLE.replace("for: 2s", "for: 60s"))
    process = subprocess.Popen(
        [sys.executable, "-m", "labctl", "campaign", "night.yml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        until(lambda: client.leases(lab), "the fault", 60)
        process.send_signal(signal.SIGINT)
        said, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, said.splitlines()[-1]) == (130, "UNKNOWN"), (said, told)
    whole(lab)
    where, record = played(directory)
    assert (record["stopped"], record["ended"]) == ("interrupted", True)
    (trial,) = record["trials"]
    assert (trial["verdict"], trial["shrunk"]) == ("UNKNOWN", None)
    seen = json.loads((directory / "reports" / "night.coverage.json").read_text())["failed"]
    assert seen.keys() == set(trial["elements"])
    assert json.loads((where / "001" / "report.json").read_text())["verdict"] == "UNKNOWN"


@pytest.mark.soak
def test_the_nightly_campaign_of_the_library(tmp_path_factory, capsys):
    from test_scenario_library import ROOT, SEED, spec

    with pytest.MonkeyPatch.context() as patch:
        here = instance(tmp_path_factory.mktemp("state"), patch)
        out = str(tmp_path_factory.mktemp("out"))
        file = str(ROOT / "scenarios" / "campaigns" / "nightly.yml")
        with deployed(here, spec()) as place:
            assert ready.wait(place, timeout_s=180).settled
            status, said = labctl(
                capsys, "campaign", file, "-l", place.name, "-o", out, "--trials", "3", "--seed", str(SEED)
            )
            assert (status, said.splitlines()[-1]) == (0, "PASS"), said
            whole(place)
        nothing_left(here)
