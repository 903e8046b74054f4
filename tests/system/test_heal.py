"""Healing: what each condition of a lab becomes, and what is left alone."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import leftovers
import pytest
from rig import lab, rig, until

from labctl.agent import client, ledger
from labctl.errors import CODES, Exit
from labctl.linux import cgroup, proc
from labctl.model.effects import Direction, Down, Effect, Frozen, HalfCable, NodeRef
from labctl.run import heal
from labctl.runtime.store import Instance, Phase

pytestmark = pytest.mark.root

PAIR = lab(("r1:eth1", "r2:eth1"), name="heal-test")
CUT = [Effect(id="cut", on=HalfCable(PAIR.cables[0].id, d), change=Down()) for d in Direction]


@pytest.fixture
def pair(tmp_path):
    with rig(tmp_path, PAIR) as running:
        yield running


@pytest.fixture
def free(pair):
    """The rig with its lab's lock free, as between two commands."""
    pair.release()
    return pair


def lit(running):
    return all(running.carrier(end.port) for end in PAIR.cables[0].ends)


def labctl(running, *argv):
    env = {**os.environ, "LABCTL_STATE": running.place.instance.root}
    return subprocess.run(
        [sys.executable, "-m", "labctl", *argv], env=env, capture_output=True, text=True, check=False
    )


def nothing_to_do(name=PAIR.name):
    return heal.Healed(lab=name)


def test_a_healthy_lab_needs_nothing(free):
    assert heal.implicit(free.place.instance) == [nothing_to_do()]
    assert heal.heal(free.place) == nothing_to_do()


def test_a_machine_without_labs_needs_nothing(tmp_path):
    assert heal.implicit(Instance.here(str(tmp_path))) == []
    assert os.listdir(tmp_path) == []


def test_only_an_explicit_heal_ends_a_fault_within_its_lease(free):
    client.add(free.place, "cut", CUT, 600)
    assert heal.implicit(free.place.instance) == [nothing_to_do()]
    assert not lit(free)
    assert "fault cut ended" in heal.heal(free.place).put_back
    assert lit(free)
    assert client.leases(free.place) == []


def test_a_dead_agent_is_started_again_and_ends_what_is_over(free):
    client.add(free.place, "cut", CUT, 0.2)
    cgroup.kill(free.place.agent_cgroup)
    time.sleep(0.3)
    assert not client.alive(free.place)
    (healed,) = heal.implicit(free.place.instance)
    assert "agent started again" in healed.put_back
    assert healed.left == ()
    assert client.alive(free.place)
    assert lit(free)


def test_an_agent_that_lives_and_does_not_answer_is_replaced(free, monkeypatch):
    monkeypatch.setattr(client, "ALIVE_S", 0.3)
    stuck = free.agent_pid()
    os.kill(stuck, signal.SIGSTOP)
    (healed,) = heal.implicit(free.place.instance)
    assert "agent started again" in healed.put_back
    assert free.agent_pid() != stuck
    assert proc.start_ticks(stuck) is None


def test_a_damaged_ledger_is_kept_aside_and_everything_is_at_base(free):
    group = free.place.node_cgroup("r1")
    cgroup.create(group)
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        cgroup.attach(group, process.pid)
        client.add(free.place, "cut", CUT, 600)
        client.add(free.place, "freeze", [Effect(id="freeze", on=NodeRef("r1"), change=Frozen())], 600)
        client.stop(free.place)
        with open(free.place.ledger_file, "r+b") as file:
            file.write(b"#")
        (implicit,) = heal.implicit(free.place.instance)
        assert "damaged" in implicit.left[0]
        assert not lit(free), "an implicit heal does not guess what a damaged ledger meant"
        explicit = heal.heal(free.place)
        assert explicit.left == ()
        assert "damaged ledger kept as ledger.jsonl.damaged-1" in explicit.put_back
        assert "node r1" in explicit.put_back
        assert lit(free)
        assert not cgroup.frozen(group)
        assert ledger.read(free.place.ledger_file).active == {}
        with open(free.place.ledger_file + ".damaged-1", "rb") as file:
            assert file.read(1) == b"#"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("phase", [Phase.DEPLOYING, Phase.DESTROYING, None])
@pytest.mark.parametrize("explicit", [False, True])
def test_what_nobody_finishes_is_removed(free, phase, explicit):
    place = free.place
    if phase is None:
        os.unlink(place.record_file)
    else:
        place.write(replace(place.need(), phase=phase))
    healed = heal.heal(place) if explicit else heal.implicit(place.instance)[0]
    assert healed.put_back == ("removed what was left of an unfinished command",)
    assert leftovers.of(place.instance, [PAIR]) == {}


def test_a_lab_that_somebody_is_making_is_left_alone(pair):
    """The rig holds the lock, and this process lives."""
    pair.place.write(replace(pair.place.need(), phase=Phase.DEPLOYING))
    cgroup.kill(pair.place.agent_cgroup)
    assert heal.implicit(pair.place.instance) == [nothing_to_do()]
    assert heal.heal(pair.place) == heal.Healed(lab=PAIR.name, busy=True)
    for argv in (["-l", PAIR.name], ["--all"], []):
        done = labctl(pair, "heal", *argv)
        assert done.returncode == CODES["lab-busy"][0] == Exit.CANNOT, "nothing is dirty: somebody is at work"
        assert done.stderr.startswith("error: lab-busy\n")
        assert done.stdout == ""
    done = labctl(pair, "heal", "-f", "json")
    assert done.returncode == Exit.CANNOT
    assert json.loads(done.stdout)["labs"] == [{"lab": PAIR.name, "put_back": [], "left": [], "busy": True}]
    assert pair.place.need().phase is Phase.DEPLOYING
    assert not client.alive(pair.place)


def test_children_of_a_killed_command_finish_first(free):
    """The lock is inherited: who took it is dead, and its helper still works."""
    place = free.place
    place.write(replace(place.need(), phase=Phase.DEPLOYING))
    done = os.path.join(place.path, "done")
    pid = os.fork()
    if pid == 0:
        fd = os.open(place.lock_file, os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)
        subprocess.Popen(["sh", "-c", f"sleep 0.7; touch {done}; sleep 0.1"], pass_fds=[fd])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not os.path.exists(done)
    began = time.monotonic()
    (healed,) = heal.implicit(place.instance)
    assert time.monotonic() - began > 0.5, "it waited for the helper"
    assert healed.put_back == ("removed what was left of an unfinished command",)
    assert leftovers.of(place.instance, [PAIR]) == {}


def test_a_record_that_cannot_be_read_is_told_and_nothing_is_touched(free):
    before = open_text(free.place.record_file)
    with open(free.place.record_file, "w") as file:
        file.write(before.replace('"version": 1', '"version": 99'))
    agents = cgroup.pids(free.place.agent_cgroup)
    os.kill(agents[-1], signal.SIGKILL)
    done = labctl(free, "heal", "-f", "json")
    assert done.returncode == Exit.DIRTY
    (said,) = json.loads(done.stdout)["labs"]
    assert "version 99 is not 1" in said["left"][0]
    with open(free.place.record_file, "w") as file:
        file.write(before)


def test_the_command_line(free):
    client.add(free.place, "cut", CUT, 600)
    done = labctl(free, "heal", "-f", "json")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert value["version"] == 1
    (said,) = value["labs"]
    assert said["lab"] == PAIR.name
    assert "fault cut ended" in said["put_back"]
    assert said["left"] == []
    again = labctl(free, "heal", "--all")
    assert again.returncode == 0
    assert again.stdout == ""
    assert again.stderr == "Nothing to heal.\n"
    unknown = labctl(free, "heal", "-l", "other")
    assert unknown.returncode == CODES["no-lab"][0]
    assert "error: no-lab" in unknown.stderr


def test_other_commands_heal_first(free):
    free.place.write(replace(free.place.need(), phase=Phase.DEPLOYING))
    done = labctl(free, "exec", "r1", "-l", PAIR.name, "--", "true")
    assert done.returncode != 0
    until(lambda: leftovers.of(free.place.instance, [PAIR]) == {}, "the half-made lab is gone")


def open_text(path):
    with open(path) as file:
        return file.read()
