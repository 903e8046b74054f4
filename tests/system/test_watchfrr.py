"""A daemon that a fault killed or hangs stays so although watchfrr looks after it, and afterwards it does so again."""

import os
import signal

import pytest
from labs import deployed, instance, node, nothing_left
from rig import until

from labctl.agent import client
from labctl.app import fault as verb
from labctl.linux import cgroup
from labctl.model.lab import Bind, LabSpec
from labctl.run import heal, observe

pytestmark = pytest.mark.root

CONF = "frr defaults traditional\nhostname r1\nrouter ospf\n ospf router-id 192.0.2.1\nexit\n"
#: It looks every second and waits one second at most between two restarts.
DAEMONS = "ospfd=yes\nwatchfrr_enable=yes\nvtysh_enable=yes\nwatchfrr_options='-i 1 --min-restart-interval 1 --max-restart-interval 1'\n"


class Lab:
    def __init__(self, place):
        self.place = place
        self.spec = place.need().lab
        self.runtime = observe.runtime(place)

    def find(self, name):
        return [each for each in self.runtime.processes(self.spec, "r1") if each.name == name]

    def pids(self, name):
        return [each.handle.pid for each in self.find(name)]

    def add(self, kind, daemon):
        return verb.add(
            self.place,
            verb.Request(
                kind=kind, target="r1", for_="60s", settings={"daemon": daemon}, seed=1, id=f"{kind}-{daemon}"
            ),
        )

    def told(self):
        """What watchfrr says of each daemon."""
        done = self.runtime.exec(self.spec, "r1", ["vtysh", "-d", "watchfrr", "-c", "show watchfrr"])
        lines = [line.split() for line in done.stdout.splitlines()]
        return {words[0]: words[1] for words in lines if len(words) == 2}

    def healthy(self):
        return self.told() == {"zebra": "Up", "staticd": "Up", "ospfd": "Up"}


@pytest.fixture
def lab(tmp_path, monkeypatch, kind):
    here = instance(tmp_path / "state", monkeypatch, kind)
    binds = []
    for name, text in (("frr.conf", CONF), ("daemons", DAEMONS)):
        (tmp_path / name).write_text(text)
        binds.append(Bind(source=str(tmp_path / name), target=f"/etc/frr/{name}"))
    spec = LabSpec(name="watched", nodes=(node("r1", image="labctl/frr", binds=tuple(binds)),), cables=())
    with deployed(here, spec) as place:
        found = Lab(place)
        until(lambda: found.find("watchfrr") and found.healthy(), "watchfrr knows its daemons", 60)
        yield found
    nothing_left(here, [spec])


def restarts_by_itself(lab):
    """What watchfrr is there for: it starts a daemon that died."""
    (before,) = lab.pids("ospfd")
    os.kill(before, signal.SIGKILL)
    until(lambda: lab.pids("ospfd") not in ([], [before]) and lab.healthy(), "watchfrr starts it", 60)


def test_a_killed_daemon_stays_dead_and_is_looked_after_again(lab):
    restarts_by_itself(lab)
    lab.add("node.daemon-kill", "ospfd")
    assert lab.pids("ospfd") == []
    assert [each.stopped for each in lab.find("watchfrr")] == [True]
    lab.add("node.daemon-hang", "zebra")
    verb.clear(lab.place, "node.daemon-kill-ospfd")
    assert len(lab.pids("ospfd")) == 1
    assert [each.stopped for each in lab.find("watchfrr")] == [True], "it would mend zebra"
    verb.clear(lab.place, None)
    zebra, ospfd = lab.pids("zebra"), lab.pids("ospfd")
    until(lab.healthy, "watchfrr has found its daemons again", 60)
    assert (lab.pids("zebra"), lab.pids("ospfd")) == (zebra, ospfd), "and started none of them"
    restarts_by_itself(lab)


def test_a_supervisor_that_hangs_by_a_fault_of_its_own_goes_on_with_the_last_of_them(lab):
    lab.add("node.daemon-hang", "watchfrr")
    lab.add("node.daemon-kill", "ospfd")
    verb.clear(lab.place, "node.daemon-hang-watchfrr")
    assert [each.stopped for each in lab.find("watchfrr")] == [True]
    assert lab.pids("ospfd") == []
    lab.add("node.daemon-hang", "watchfrr")
    verb.clear(lab.place, "node.daemon-kill-ospfd")
    assert [each.stopped for each in lab.find("watchfrr")] == [True]
    verb.clear(lab.place, None)
    until(lab.healthy, "all is as before", 60)


def test_whoever_dies_in_between_it_goes_on(lab):
    lab.add("node.daemon-kill", "ospfd")
    cgroup.kill(lab.place.agent_cgroup)
    assert heal.heal(lab.place).left == ()
    assert client.leases(lab.place) == []
    until(lab.healthy, "all is as before", 60)
