"""Scenarios that are disturbed where it hurts: in the middle of an end that takes its time, by each other, by themselves."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
from labs import deployed, instance, nothing_left
from rig import until
from triangle import CUT, triangle

from labctl.agent import client
from labctl.app import ready
from labctl.errors import LabctlError
from labctl.linux import proc
from labctl.run import rundir
from labctl.runtime.base import RUNTIMES, NodeState

pytestmark = pytest.mark.root

#: r3 boots when its power is back: its end is asked for long before it is made.
POWER = """\
name: power
timeline:
  - fault: node.power
    id: power
    target: {node: r3}
    for: 2s
"""
#: The same, and a rule that traffic breaks while r3 boots.
STOPPED = """\
name: stopped
probes:
  path: {kind: ping, from: h1, to: h2, every: 20ms}
timeline:
  - parallel:
      - {fault: node.power, id: power, target: {node: r3}, for: 2s}
      - sequence:
          - wait: 1900ms
          - {fault: link.blackhole, id: dark, target: {link: "h1:eth1--r1:eth3"}, for: 60s}
stop_when:
  - {unless: {probe: path, availability: ">= 90%"}, window: 1s}
"""
#: Two faults on one link with different ends, and a daemon that is killed in a node that loses its power meanwhile.
OVERLAPPING = f"""\
name: overlapping
seed: 3
timeline:
  - parallel:
      - {{fault: link.degrade, id: slow, target: {{link: "{CUT}"}}, delay: 5ms, for: 2s}}
      - {{fault: link.degrade, id: lossy, target: {{link: "{CUT}"}}, loss: 5%, for: 6s}}
      - {{fault: node.daemon-kill, id: killed, target: {{node: r3}}, daemon: ospfd, for: 5s}}
      - sequence:
          - wait: 1s
          - {{fault: node.power, id: power, target: {{node: r3}}, for: 2s}}
"""
BESIDE = """\
name: {name}
timeline:
  - fault: link.degrade
    id: bad
    target: {{link: "{link}"}}
    {setting}
    for: {for_}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if os.geteuid():
        pytest.skip("needs root: deploys a lab")
    with pytest.MonkeyPatch.context() as patch:
        here = instance(tmp_path_factory.mktemp("state"), patch)
        with deployed(here, triangle(tmp_path_factory.mktemp("configs"))) as place:
            assert ready.wait(place, timeout_s=120).settled
            yield place
        nothing_left(here)


class Run:
    """`labctl run` in a process of its own."""

    def __init__(self, directory, scenario, name="scenario"):
        self.directory = directory / name
        self.directory.mkdir()
        (self.directory / "scenario.yml").write_text(scenario)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "labctl", "run", "scenario.yml"],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def lines(self, kind):
        found = []
        for path in self.directory.glob("reports/*/journal.jsonl"):
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError):  # the last one may be half written
                    found.append(json.loads(line))
        return [line for line in found if line["kind"] == kind]

    def ending(self):
        """Wait until the end of a fault was asked for."""

        def asked():
            assert self.process.poll() is None, self.process.communicate()
            return any(line["end"] for line in self.lines("asked"))

        until(asked, "the end of a fault is asked for", 120)

    def finish(self):
        """(exit status, what was said, report)"""
        said, told = self.process.communicate(timeout=240)
        (where,) = (self.directory / "reports").iterdir()
        return self.process.returncode, said + told, rundir.report(str(where))[0]


def whole(place):
    """Nothing is active, nothing off its base, and every node runs, at once: nobody waits here."""
    assert client.leases(place) == []
    assert client.ask(place, "status")["off_base"] == {}
    lab = place.need().lab
    states = {each.node: each.state for each in RUNTIMES["runc"](place.instance).status(lab)}
    assert set(states.values()) == {NodeState.RUNNING}, states


def test_an_interrupt_during_a_slow_end_waits_until_it_is_made(lab, tmp_path):
    with Run(tmp_path, POWER) as run:
        run.ending()
        run.process.send_signal(signal.SIGINT)
        status, said, report = run.finish()
    whole(lab)
    assert status == 130, said
    assert report.verdict == "UNKNOWN"
    (act,) = {act.id: act for act in report.acts if act.on == "r3"}.values()
    assert act.end is not None
    assert act.end.read_back is not None, "its end was heard of, if not by the request that asked for it"


@pytest.mark.soak
def test_an_agent_that_is_killed_during_a_slow_end(lab, tmp_path):
    with Run(tmp_path, POWER) as run:
        run.ending()
        who = proc.identity(client.ask(lab, "status")["pid"])
        proc.kill(who, signal.SIGKILL)
        status, said, report = run.finish()

    def again():
        with contextlib.suppress(LabctlError):
            return client.ask(lab, "status")["pid"] != who.pid
        return False

    until(again, "the guard has started another agent", 30)
    whole(lab)
    assert report.verdict == "UNKNOWN", said
    assert status in (4, 5, 6), said


@pytest.mark.soak
def test_a_stop_rule_that_strikes_during_a_slow_end(lab, tmp_path):
    with Run(tmp_path, STOPPED) as run:
        status, said, report = run.finish()
    whole(lab)
    assert (status, report.verdict) == (1, "FAIL"), said
    assert any(f.subject == "stop rule" for f in report.findings)
    assert all(act.end is not None and act.end.read_back is not None for act in report.acts)


@pytest.mark.soak
def test_faults_that_overlap_on_one_resource_with_different_ends(lab, tmp_path):
    with Run(tmp_path, OVERLAPPING) as run:
        status, said, report = run.finish()
    whole(lab)
    assert (status, report.verdict) == (0, "PASS"), said + str(report.findings)


@pytest.mark.soak
def test_two_scenarios_at_once_on_one_link(lab, tmp_path):
    one = BESIDE.format(name="one", link=CUT, setting="delay: 5ms", for_="4s")
    other = BESIDE.format(name="other", link=CUT, setting="rate: 50Mbit", for_="8s")
    with Run(tmp_path, one, "one") as first, Run(tmp_path, other, "other") as second:
        found = [first.finish(), second.finish()]
    whole(lab)
    for status, said, report in found:
        assert (status, report.verdict) == (0, "PASS"), said + str(report.findings)
