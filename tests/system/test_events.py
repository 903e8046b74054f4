"""`labctl events`: what was done to a lab is told once, in order, by whoever saw it, and to the last line."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading

import jsonschema
import pytest
from labs import deployed, instance, line, node
from rig import hears_exits, lab, rig, until

from labctl.agent import client
from labctl.linux import proc
from labctl.linux.proc import Identity
from labctl.model.effects import CpuLimit, Direction, Down, Effect, Frozen, HalfCable, Impaired, NodeRef
from labctl.model.impairment import Impairment
from labctl.names import PortId
from labctl.run import destroy, observe, restart
from labctl.runtime import eventlog
from labctl.runtime.base import NodeState
from labctl.schema import json_schema

pytestmark = pytest.mark.root


class Told:
    """A running `labctl events -f json`."""

    def __init__(self, root, *argv):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "labctl", "events", "-f", "json", *argv],
            env=os.environ | {"LABCTL_STATE": str(root)},
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._lines = queue.Queue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        for each in self.process.stdout:
            self._lines.put(json.loads(each))

    def until(self, kind, action, **attributes):
        """The events up to the first that is like this."""
        seen = []
        while True:
            try:
                seen.append(self._lines.get(timeout=20))
            except queue.Empty:
                raise AssertionError(f"never {kind} {action} {attributes}: {seen}") from None
            last = seen[-1]
            if (last["type"], last["action"]) == (kind, action) and attributes.items() <= last[
                "attributes"
            ].items():
                return seen

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.over()

    def over(self):
        code = self.process.wait(20)
        self._thread.join()
        self.process.stdout.close()
        return code


@contextlib.contextmanager
def told(root, *argv):
    running = Told(root, *argv)
    try:
        yield running
    finally:
        running.process.kill()
        running.over()


def names(seen):
    return [(each["type"], each["action"]) for each in seen]


def history(place):
    return [(each["type"], each["action"], each["actor_name"]) for each in eventlog.history(place)]


def test_faults_cables_and_ports_of_a_rig(tmp_path):
    with rig(tmp_path, lab(("r1:eth1", "r2:eth1"))) as running, told(tmp_path, "--since", "1h") as events:
        running.release()
        place = running.place
        events.until("agent", "start")
        cable = running.spec.cables[0].id
        half = HalfCable(cable, Direction.A_TO_Z)

        client.add(place, "cut-1", [Effect(id="cut-1", on=half, change=Down())], 60.0, about="a cut")
        seen = events.until("interface", "update", node="r2", ifname="eth1", state="lowerlayerdown")
        (began,) = [each for each in seen if each["type"] == "fault"]
        assert (began["action"], began["actor_id"]) == ("add", "cut-1")
        assert began["attributes"] == {"lab": "rig", "about": "a cut", "on": str(cable)}
        (cut,) = [each for each in seen if each["type"] == "link"]
        assert (cut["action"], cut["actor_name"]) == ("cut", str(cable))
        assert cut["attributes"]["from"] == "r1:eth1"
        client.clear(place, "cut-1")
        seen = events.until("interface", "update", node="r2", state="up")
        assert ("link", "restore") in names(seen)
        assert [each["attributes"]["because"] for each in seen if each["type"] == "fault"] == ["request"]

        lossy = Impaired(Impairment(loss=0.5, seed=1))
        client.add(place, "loss", [Effect(id="loss", on=half, change=lossy)], 60.0)
        (impaired,) = [e for e in events.until("link", "impair") if e["type"] == "link"]
        assert json.loads(impaired["attributes"]["impairment"])["loss"] == 0.5
        client.clear(place, "loss")
        events.until("link", "repair")

        running.set_admin(PortId("r1", "eth1"), up=False)
        seen = events.until("interface", "update", node="r1", state="down")
        seen += events.until("interface", "update", node="r2", state="lowerlayerdown")
        assert "fault" not in {each["type"] for each in seen}

        client.add(place, "short", [Effect(id="short", on=half, change=Down())], 0.3)
        assert events.until("fault", "end")[-1]["attributes"]["because"] == "lease"
        for each in eventlog.history(place):
            jsonschema.validate(each, json_schema.schema("event"), jsonschema.Draft202012Validator)
        assert events.end() == 0


def test_an_agent_that_was_killed_comes_back_and_repeats_nothing(tmp_path):
    with rig(tmp_path, lab(("r1:eth1", "r2:eth1"))) as running:
        running.release()
        place = running.place
        half = HalfCable(running.spec.cables[0].id, Direction.A_TO_Z)
        client.add(place, "cut", [Effect(id="cut", on=half, change=Down())], 60.0)
        until(lambda: ("link", "cut", str(half.cable)) in history(place), "the cut is told")
        pid = running.agent_pid()
        assert proc.kill(Identity(pid, proc.start_ticks(pid)), signal.SIGKILL)
        until(lambda: ("agent", "restart", "agent") in history(place), "the restart is told")
        client.clear(place, "cut")
        until(lambda: ("fault", "end", "cut") in history(place), "the end is told")
        told = [each[:2] for each in history(place) if each[0] in ("fault", "link", "agent")]
        assert sorted(told) == sorted(
            [("agent", "start"), ("agent", "restart"), ("fault", "add"), ("fault", "end"),
             ("link", "cut"), ("link", "restore")]
        )  # fmt: skip


@pytest.mark.both
def test_nodes_of_a_real_lab_from_the_first_to_the_last(tmp_path, monkeypatch, kind):
    here = instance(tmp_path / "state", monkeypatch, kind)
    with told(here.root, "--since", "1h") as everything:
        with deployed(here, line(node("r1"), node("r2"), name="eventful")) as place:
            seen = everything.until("lab", "deploy")
            started = [each for each in seen if (each["type"], each["action"]) == ("container", "start")]
            assert {each["actor_name"] for each in started} == {"clab-eventful-r1", "clab-eventful-r2"}
            runtime = observe.runtime(place)
            ids = {each.container: each.container_id for each in runtime.status(place.need().lab)}
            assert {each["actor_name"]: each["actor_id"] for each in started} == ids

            frozen = [Effect(id="hang", on=NodeRef("r1"), change=Frozen())]
            client.add(place, "hang", frozen, 60.0)
            everything.until("container", "pause", node="r1")
            client.clear(place, "hang")
            everything.until("container", "unpause", node="r1")
            client.add(place, "slow", [Effect(id="slow", on=NodeRef("r1"), change=CpuLimit(0.25))], 60.0)
            everything.until("container", "update", node="r1", cpu="0.25")
            client.clear(place, "slow")

            if hears_exits():
                status = next(s for s in runtime.status(place.need().lab) if s.node == "r2")
                assert status.state is NodeState.RUNNING
                os.kill(status.pid, signal.SIGKILL)
                everything.until("container", "die", node="r2", exitCode="137")
            restart.restart(place, ["r2"])
            everything.until("container", "start", node="r2")
            with told(here.root, "-l", "eventful", "--since", "1h") as one:
                one.until("lab", "deploy")
                destroy.destroy(place)
                one.until("lab", "destroy")
                assert one.over() == 0  # by itself
            everything.until("lab", "destroy")
        assert everything.process.poll() is None
        assert everything.end() == 0


def test_history_is_bounded_and_read_over_the_change_of_files(tmp_path):
    with rig(tmp_path, lab(("r1:eth1", "r2:eth1")), agent=False) as running:
        running.release()
        place = running.place
        follower = eventlog.Follower(place, past=True)
        filler, count, told = "x" * 2000, 0, []
        while not os.path.exists(os.path.join(place.path, "events.1.jsonl")) or count < 2500:
            for _ in range(100):
                eventlog.note(place, [eventlog.about_lab(place, "test", number=str(count), filler=filler)])
                count += 1
            told += [int(each["attributes"]["number"]) for each in follower.read()]
            eventlog.bound(place)
        told += [int(each["attributes"]["number"]) for each in follower.read()]
        follower.close()
        assert told == list(range(count))
        kept = [int(each["attributes"]["number"]) for each in eventlog.history(place)]
        assert kept == list(range(kept[0], count))
        assert kept[0] > 0
        sizes = [os.path.getsize(os.path.join(place.path, n)) for n in ("events.jsonl", "events.1.jsonl")]
        assert sum(sizes) < 6 << 20


def test_what_was_is_printed_and_that_is_all(tmp_path):
    with rig(tmp_path, lab(("r1:eth1", "r2:eth1"))) as running:
        running.release()
        client.ask(running.place, "status")
        environment = os.environ | {"LABCTL_STATE": str(tmp_path)}

        def said(*argv):
            return subprocess.run(
                [sys.executable, "-m", "labctl", "events", *argv],
                env=environment, capture_output=True, text=True, check=True, timeout=30,
            ).stdout.splitlines()  # fmt: skip

        until(lambda: ("interface", "update", "clab-rig-r2") in history(running.place), "light")
        printed = said("--no-follow")
        assert " agent start agent (lab=rig)" in printed[0]
        assert said("--no-follow", "--since", "1ms") == []
        assert said("--no-follow", "--since", "2020-01-01")[: len(printed)] == printed
