"""`labctl run` on a real lab: FRR reroutes, real pings are lost, and whatever ends a run, nothing is left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from rig import until
from triangle import CUT, running, whole

from labctl.agent import client
from labctl.app import ready
from labctl.cli import main
from labctl.run import rundir
from labctl.schema import json_schema

pytestmark = pytest.mark.root

PROBES = "probes:\n  path: {kind: ping, from: h1, to: h2, every: 20ms}\n"
STEADY = "steady:\n  - {probe: path, loss: 1%}\n"
SURVIVED = f"""\
name: survived
seed: 7
{PROBES}{STEADY}timeline:
  - fault: link.down
    id: cut
    target: {{link: "{CUT}"}}
    for: 8s
expect:
  during:
    - {{probe: path, max_outage: 5s, why: OSPF is to find the other way}}
  after:
    - {{leftovers: none}}
    - {{routes: same}}
    - {{adjacencies: same}}
"""
TOO_SLOW = f"""\
name: too-slow
{PROBES}timeline:
  - fault: link.blackhole
    target: {{link: "{CUT}"}}
    for: 6s
expect:
  during:
    - {{probe: path, max_outage: 100ms}}
"""
POWER = f"""\
name: power
{PROBES}timeline:
  - fault: node.power
    id: power
    target: {{node: r3}}
    for: 3s
  - wait: {{until: settled, timeout: 90s}}
  - check: {{probe: path, loss: 0%}}
expect:
  after:
    - {{adjacencies: same}}
    - {{routes: same}}
"""
LONG = f"""\
name: long
{PROBES}timeline:
  - fault: link.down
    id: alone
    target: {{link: "h1:eth1--r1:eth3"}}
    for: 300s
"""
STOPPED = LONG.replace("name: long", "name: stopped") + (
    'stop_when:\n  - {unless: {probe: path, availability: ">= 50%"}, window: 2s}\n'
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, kind):
    with running(tmp_path_factory, kind) as place:
        assert ready.wait(place, timeout_s=120).settled
        yield place


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(directory, scenario, capsys, *more):
    """Through the command line: exit status, stdout lines, the run's directory."""
    (directory / "scenario.yml").write_text(scenario)
    with pytest.raises(SystemExit) as stop:
        main.run(["run", "scenario.yml", *more])
    said = capsys.readouterr().out.splitlines()
    found = sorted((directory / "reports").iterdir(), key=lambda each: each.stat().st_mtime)
    return int(stop.value.code or 0), said, found[-1]


def test_a_cut_that_routing_survives_passes(lab, directory, capsys):
    status, said, where = run(directory, SURVIVED, capsys)
    assert (status, said[-1]) == (0, "PASS"), said
    whole(lab)
    report = json.loads((where / "report.json").read_text())
    (act,) = report["acts"]
    assert (act["id"], act["on"]) == ("cut", CUT)
    assert act["start"]["requested"] <= act["start"]["applied"] <= act["start"]["read_back"]
    assert 7.5 < act["end"]["applied"] - act["start"]["applied"] < 8.5
    # FRR may be quicker than the probe; that the cable was cut and came back can be seen in the routes
    assert {(c["node"], c["prefix"]) for c in report["convergence"][-1]["route_changes"]} >= {
        ("r1", "10.2.0.0/24")
    }
    assert {each.name for each in where.iterdir()} >= {
        "scenario.yml",
        "plan.json",
        "topology.yml",
        "journal.jsonl",
        "samples.jsonl",
        "report.html",
        "report.txt",
        "junit.xml",
    }


@pytest.mark.soak
def test_judged_again_and_played_again(lab, directory, capsys):
    status, _, where = run(directory, SURVIVED, capsys)
    assert status == 0
    before = (where / "report.json").read_bytes()
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main.run(["report", str(where), "-f", "json"])
    assert int(stop.value.code or 0) == 0
    jsonschema.validate(json.loads(capsys.readouterr().out), json_schema.schema("run"))
    assert (where / "report.json").read_bytes() == before
    with pytest.raises(SystemExit) as stop:
        main.run(["run", "--plan", str(where / "plan.json"), "-o", "again"])
    assert int(stop.value.code or 0) == 0
    (again,) = (directory / "again").iterdir()
    assert (again / "plan.json").read_bytes() == (where / "plan.json").read_bytes()


def test_an_expectation_that_fails_is_exit_1_with_the_figures(lab, directory, capsys):
    status, said, where = run(directory, TOO_SLOW, capsys, "--seed", "5")
    assert (status, said[-1]) == (1, "FAIL"), said
    assert any(
        re.match(r"FAIL +during: h1 → h2: max_outage <= 100ms: longest outage ", line) for line in said
    )
    whole(lab)
    suite = ET.parse(where / "junit.xml").getroot().find("testsuite")
    assert int(suite.get("failures")) >= 1
    assert suite.find("properties/property[@name='seed']").get("value") == "5"
    names = [case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None]
    assert "during: h1 → h2: max_outage <= 100ms" in names


def test_a_stop_rule_ends_it_long_before_its_time(lab, directory, capsys):
    status, said, where = run(directory, STOPPED, capsys)
    assert (status, said[-1]) == (1, "FAIL"), said
    whole(lab)
    report = json.loads((where / "report.json").read_text())
    (act,) = report["acts"]
    assert act["end"]["applied"] - act["start"]["applied"] < 60


@pytest.mark.soak
def test_a_node_that_was_without_power_is_found_again(lab, directory, capsys):
    """Its first process is another one than the run began with; its sessions are asked from that."""
    status, said, where = run(directory, POWER, capsys)
    assert (status, said[-1]) == (0, "PASS"), said
    whole(lab)
    phases = [seen["phase"] for seen in json.loads((where / "report.json").read_text())["convergence"]]
    assert phases == ["before", "after power", "after"]


def test_a_dry_run_touches_nothing(lab, directory, capsys):
    (directory / "scenario.yml").write_text(SURVIVED)
    main.program()(["run", "scenario.yml", "--dry-run"], standalone_mode=False)
    said = capsys.readouterr().out
    assert CUT in said
    assert "nothing is touched" in said
    assert not (directory / "reports").exists()
    whole(lab)


LOSSY = f"""\
name: lossy
seed: 7
{PROBES}timeline:
  - fault: link.degrade
    id: bad
    target: {{link: "{CUT}"}}
    loss: 30%
    rate: 50Mbit
    for: 6s
"""


def tampered(place, what):
    """Undo a fault as somebody would who knows nothing of labctl."""
    inside = ["nsenter", f"--net={place.panel_ns}"]
    device = place.need().devices["r1:eth1"]
    if what == "filter":
        subprocess.run([*inside, "tc", "filter", "del", "dev", device, "ingress", "pref", "40"], check=True)
    elif what == "qdisc":
        subprocess.run([*inside, "tc", "qdisc", "del", "dev", f"{device}t0", "root"], check=True)
    else:
        client.clear(place)


TAMPERED = {
    "filter": "loss is 0.0, not 0.3",
    "qdisc": "nobody is at the end of the detour (kernel/tbf)",
    "lease": "its lease has ended",
    "nothing": "",
}


@pytest.mark.parametrize(
    "what", [pytest.param(w, marks=() if w == "filter" else pytest.mark.soak) for w in sorted(TAMPERED)]
)
def test_a_fault_that_somebody_undid_behind_our_back_is_unknown(lab, directory, capsys, what):
    """Also what is not tampered with is read back and counted: the report has all three figures."""

    def tamper():
        until(lambda: client.leases(lab), "the fault", 60)
        time.sleep(1)
        if what != "nothing":
            tampered(lab, what)

    other = threading.Thread(target=tamper)
    other.start()
    try:
        status, said, where = run(directory, LOSSY, capsys)
    finally:
        other.join()
    whole(lab)
    report = json.loads((where / "report.json").read_text())
    (finding,) = [f for f in report["findings"] if f["subject"] == f"link.degrade: {CUT}"]
    text = (where / "report.txt").read_text()
    if what == "nothing":
        assert (status, said[-1], finding["verdict"]) == (0, "PASS", "PASS"), said
        assert re.search(
            r"30% loss, 50Mbit.*; read back: 30% loss, 50Mbit .*; measured: .* frames lost", text
        )
        return
    assert (status, said[-1], finding["verdict"]) == (4, "UNKNOWN", "UNKNOWN"), said
    assert "was made, but did not stay" in finding["summary"]
    assert TAMPERED[what] in finding["summary"]


def started(directory):
    """A run of its own process, in the middle of its fault."""
    (directory / "scenario.yml").write_text(LONG)
    return subprocess.Popen(
        [sys.executable, "-m", "labctl", "run", "scenario.yml"],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def in_the_middle(place, process):
    def active():
        assert process.poll() is None, process.communicate()
        return [lease["id"] for lease in client.leases(place)]

    until(active, "the fault", 60)


def test_an_interrupt_in_the_middle_heals_and_says_so(lab, directory):
    process = started(directory)
    try:
        in_the_middle(lab, process)
        process.send_signal(signal.SIGINT)
        said, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, (said, told)
    whole(lab)
    (where,) = (directory / "reports").iterdir()
    assert said.splitlines()[-1] == "UNKNOWN"
    assert json.loads((where / "report.json").read_text())["verdict"] == "UNKNOWN"


def test_a_run_that_is_killed_leaves_nothing_and_a_readable_journal(lab, directory):
    process = started(directory)
    try:
        in_the_middle(lab, process)
    finally:
        process.kill()
        process.communicate()
    until(lambda: not client.leases(lab), "the end of the dead owner's leases", 20)
    whole(lab)
    (where,) = (directory / "reports").iterdir()
    report, _ = rundir.report(str(where))
    assert report.verdict.value == "UNKNOWN"
    assert any("killed" in f.summary for f in report.findings)
    assert [act.id for act in report.acts] == ["alone"]


@pytest.mark.soak
def test_a_manual_fault_beside_a_run_stays(lab, directory, capsys):
    from labctl.model.effects import Direction, Effect, HalfCable, Impaired
    from labctl.model.impairment import Impairment

    cable = next(c.id for c in lab.need().lab.cables if str(c.id) == "r1:eth2--r3:eth1")
    slow = Effect(
        id="mine", on=HalfCable(cable, Direction.A_TO_Z), change=Impaired(Impairment(delay_s=0.005))
    )
    client.add(lab, "mine", [slow], 300.0)
    try:
        time.sleep(0.1)
        status, said, where = run(directory, SURVIVED, capsys)
        assert (status, said[-1]) == (0, "PASS"), said
        assert [lease["id"] for lease in client.leases(lab)] == ["mine"]
        assert any("mine" in limit for limit in json.loads((where / "report.json").read_text())["limits"])
    finally:
        client.clear(lab, "mine")
    whole(lab)
