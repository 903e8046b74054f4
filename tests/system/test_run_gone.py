"""A run whose lab, agent or disk goes away in the middle: what nobody could look at is UNKNOWN and never FAIL."""

import contextlib
import os
import subprocess
import sys

import pytest
from labs import deployed, end, instance, node, nothing_left
from rig import until
from triangle import whole

from labctl.agent import client
from labctl.linux import cgroup
from labctl.model.lab import CableSpec, LabSpec
from labctl.run import rundir

pytestmark = pytest.mark.root

LONG = """\
name: long
probes:
  path: {kind: ping, from: h1, to: h2, every: 20ms}
timeline:
  - fault: link.degrade
    id: slow
    target: {link: "h1:eth1--h2:eth1"}
    delay: 2ms
    for: 6s
expect:
  during:
    - {probe: path, loss: 0%}
  after:
    - {routes: same}
"""
NIGHT = """\
name: night
seed: 1
trials: 2
pool:
  - {fault: link.degrade, id: slow, target: {link: "h1:eth1--h2:eth1"}, delay: 2ms, for: 6s}
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    here = instance(tmp_path / "state", monkeypatch)
    cable = CableSpec(a=end("h1:eth1", "10.0.0.1/24"), z=end("h2:eth1", "10.0.0.2/24"))
    with deployed(here, LabSpec(name="brief", nodes=(node("h1"), node("h2")), cables=(cable,))) as place:
        yield place
    nothing_left(here)


def labctl(directory, *words, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "labctl", *words],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        **more,
    )


def in_the_middle(place, process):
    def active():
        assert process.poll() is None, process.communicate()
        return client.leases(place)

    until(active, "the fault", 60)


def played(lab, directory, disturb):
    """A run that is disturbed in the middle of its fault: exit status, stdout, stderr, report."""
    (directory / "scenario.yml").write_text(LONG)
    process = labctl(directory, "run", "scenario.yml")
    try:
        in_the_middle(lab, process)
        disturb()
        said, told = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    (where,) = (directory / "reports").iterdir()
    return process.returncode, said, told, rundir.report(str(where))[0]


def kill_agent_and_guard(place):
    cgroup.kill(place.agent_cgroup)


def test_agent_and_guard_are_killed_and_the_run_starts_them_again(lab, tmp_path):
    status, said, told, report = played(lab, tmp_path, lambda: kill_agent_and_guard(lab))
    assert (status, said.splitlines()[-1], report.verdict) == (4, "UNKNOWN", "UNKNOWN"), said + told
    whole(lab)
    assert "heal" not in told


@pytest.mark.parametrize("verb", ["run", "campaign"])
def test_a_disk_that_gets_full_under_it_ends_it_with_the_verdict_as_the_last_line(lab, tmp_path, verb):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "labctl-test", str(disk)], check=True)
    try:
        (disk / "played.yml").write_text(LONG if verb == "run" else NIGHT)
        process = labctl(disk, verb, "played.yml", stdin=subprocess.DEVNULL)
        try:
            in_the_middle(lab, process)
            with contextlib.suppress(OSError), open(disk / "full", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            said, told = process.communicate(timeout=120)
        finally:
            process.kill()
            process.communicate()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert process.returncode == 6, said + told
    assert said.splitlines()[-1] == "UNKNOWN"
    assert "error: cannot-write\n" in told
    whole(lab)


def test_a_lab_that_is_destroyed_under_a_run_is_gone_and_needs_no_healing(lab, tmp_path):
    notice = "lab brief: a scenario is being played on it"

    def disturb():
        removing = labctl(tmp_path, "destroy", "brief", "--yes")
        _, told = removing.communicate(timeout=60)
        assert removing.returncode == 0, told
        assert notice in told

    status, said, told, report = played(lab, tmp_path, disturb)
    assert (status, said.splitlines()[-1], report.verdict) == (4, "UNKNOWN", "UNKNOWN"), said + told
    assert "lab 'brief' is gone: it was removed while the scenario was being played" in report.headline
    assert "heal" not in said + told


def test_an_agent_that_cannot_be_had_again_is_unknown_and_dirty(lab, tmp_path):
    def disturb():
        kill_agent_and_guard(lab)
        with open(lab.ledger_file, "r+b") as file:
            file.write(b"damaged")

    status, said, told, report = played(lab, tmp_path, disturb)
    assert (status, said.splitlines()[-1], report.verdict) == (7, "UNKNOWN", "UNKNOWN"), said + told
    (finding,) = (f for f in report.findings if f.subject == "at the end: leftovers == none")
    assert finding.summary.startswith("nobody could look: the agent of lab 'brief' does not answer")
    assert "NOT PUT BACK: nobody could look: " in told
    healed = labctl(tmp_path, "heal", "--lab", "brief")
    healed.communicate(timeout=60)
    assert healed.returncode == 0
    whole(lab)
