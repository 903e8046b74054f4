"""A node whose command has ended is started again if its file says so: after a pause, and against nobody."""

import signal
import time

import pytest
from dockerd import Dockerd
from labs import deployed, instance, line, node, nothing_left, own_instance
from rig import hears_exits, until

from labctl.agent import again, client
from labctl.app import inspect
from labctl.linux import proc
from labctl.model.effects import Effect, Killed, NodeRef, Off, ProcessRef
from labctl.model.lab import Restart
from labctl.run import restart
from labctl.runtime import ended, eventlog
from labctl.runtime.base import RUNTIMES, NodeState

pytestmark = pytest.mark.root
FAILS, ENDS, STAYS = (
    ("sh", "-c", "sleep 0.3; exit 3"),
    ("sh", "-c", "sleep 0.3; exit 0"),
    ("sleep", "600"),
)


@pytest.fixture(scope="module")
def here(tmp_path_factory, kind):
    with own_instance(tmp_path_factory.mktemp("state"), kind) as found:
        yield found


@pytest.fixture(scope="module")
def place(here):
    spec = line(
        node("r1", entrypoint=STAYS, exec=("touch /marked",), restart=Restart.ALWAYS),
        node("r2", entrypoint=FAILS, restart=Restart.ON_FAILURE),
        node("r3", entrypoint=ENDS, restart=Restart.ON_FAILURE),
        node("r4", entrypoint=FAILS),
        node(
            "r5", entrypoint=STAYS, restart=Restart.ALWAYS
        ),  # has not ended before a fault ends it: its pauses are short
        name="again",
    )
    with deployed(here, spec) as running:
        yield running


def of(place, name):
    record = place.need()
    found = RUNTIMES[record.runtime](place.instance).status(record.lab)
    return next(each for each in found if each.node == name)


def end(place, name):
    """The node's command ends by itself, as far as anybody can tell."""
    before = ended.first_process(place, name)
    proc.kill(before, signal.SIGKILL)
    until(lambda: not proc.alive(before), f"{name} ended", 20)
    return before


def runs_anew(place, name, before):
    until(lambda: of(place, name).pid not in (None, before.pid), f"{name} runs again", 40)


def run(place, name, *argv):
    record = place.need()
    return RUNTIMES[record.runtime](place.instance).exec(record.lab, name, argv, timeout_s=20)


def test_it_comes_back_as_it_was(place):
    assert run(place, "r1", "rm", "/marked").code == 0
    port = run(place, "r1", "ip", "-br", "address", "show", "eth2").stdout
    runs_anew(place, "r1", end(place, "r1"))
    until(lambda: run(place, "r1", "ls", "/marked").code == 0, "its exec commands ran again", 20)
    assert run(place, "r1", "ip", "-br", "address", "show", "eth2").stdout == port
    assert again.count(place, "r1").times == 1


def test_with_its_agent_dead_it_is_the_next_one_that_starts_it(place):
    agent = proc.identity(client.ask(place, "status")["pid"])
    proc.kill(agent, signal.SIGSTOP)
    try:
        before = end(place, "r1")
    finally:
        proc.kill(agent, signal.SIGKILL)
    runs_anew(place, "r1", before)


def test_a_fault_is_not_fought(place):
    """While it has no power, or a process of it is to be dead, it stays down; afterwards it runs."""
    times = again.count(place, "r5").times
    for name, on, change in (
        ("power", NodeRef("r5"), Off()),
        ("kill", ProcessRef("r5", "sleep"), Killed()),
    ):
        before = ended.first_process(place, "r5")
        client.add(place, name, [Effect(id=name, on=on, change=change)], 600)
        until(lambda before=before: not proc.alive(before), "r5 is down", 20)
        turn = again.Again(place)
        turn.watch(place.need().lab)
        until(lambda turn=turn: turn.is_due("r5"), "it would be its turn", 70)
        time.sleep(2.5)  # the agent looks once a second
        assert of(place, "r5").state is NodeState.EXITED
        assert again.count(place, "r5").times == times
        client.clear(place, name)
        runs_anew(place, "r5", before)


def test_who_restarts_it_is_not_fought(place):
    times = again.count(place, "r1").times
    before = ended.first_process(place, "r1")
    restart.restart(place, ["r1"])
    assert of(place, "r1").state is NodeState.RUNNING
    assert ended.first_process(place, "r1") != before
    assert again.count(place, "r1").times == times


@pytest.mark.skipif(not hears_exits(), reason="this kernel does not tell how processes end")
@pytest.mark.both
def test_a_command_that_fails_is_started_again_and_again_and_one_that_is_done_is_not(place):
    """The last of this lab: the pauses of r2 pass while the others run."""
    until(lambda: again.count(place, "r2").times >= 3, "r2 was started three times", 60)
    for name in ("r3", "r4"):
        assert of(place, name).state is NodeState.EXITED
        assert again.count(place, name).times == 0
    notes = inspect.inspect([place])[0].notes
    assert any(note.startswith("node r2 has ended and was started again") for note in notes)
    assert any(
        note.startswith("node r4 has ended: exit 3") and "restart-policy" not in note for note in notes
    )
    told = [e for e in eventlog.history(place) if e["type"] == "container" and e["action"] == "restart"]
    assert {e["attributes"]["node"] for e in told} - {"r1", "r5"} == {"r2"}  # the tests above end r1 and r5
    of_r2 = [e["attributes"] for e in told if e["attributes"]["node"] == "r2"]
    assert [each["times"] for each in of_r2][:3] == ["1", "2", "3"]
    assert {each["exitCode"] for each in of_r2} == {"3"}


@pytest.mark.docker
def test_who_stops_a_container_by_hand_is_not_fought(tmp_path, monkeypatch):
    """Until it is started by hand, or, unless the policy is `unless-stopped`, the engine is started anew."""
    spec = line(
        node("r1", entrypoint=STAYS, restart=Restart.ALWAYS),
        node("r2", entrypoint=STAYS, restart=Restart.UNLESS_STOPPED),
        node("r3", entrypoint=STAYS, restart=Restart.ON_FAILURE),
        name="hand",
    )
    names = ("r1", "r2", "r3")
    with Dockerd() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.url)
        here = instance(tmp_path, monkeypatch, "docker")
        with deployed(here, spec) as place:
            for how in ("stop", "kill"):
                pids = {name: of(place, name).pid for name in names}
                engine.docker(how, *(spec.container(name) for name in names))
                until(lambda: all(again.stopped(place, name) for name in names), "the agent has seen it", 30)
                assert [of(place, name).state for name in names] == [NodeState.EXITED] * 3
                assert [again.count(place, name).times for name in names] == [0, int(how == "kill"), 0]
                assert any("somebody has stopped it by hand: `docker start clab-hand-r2`" in note
                           for note in inspect.inspect([place])[0].notes)  # fmt: skip
                if how == "stop":
                    engine.docker("start", *(spec.container(name) for name in names))
                    for name in names:
                        runs_anew(place, name, proc.Identity(pids[name], 0))
                    # What ends by itself after that, its policy starts again.
                    runs_anew(place, "r2", end(place, "r2"))
                    assert again.count(place, "r2").times == 1
            engine.kill()
            engine.start()
            for name in ("r1", "r3"):
                until(lambda name=name: of(place, name).pid is not None, f"{name} runs again", 40)
            assert again.stopped(place, "r2")
            assert of(place, "r2").state is NodeState.EXITED
        nothing_left(here, (spec,))
