"""Power, freezer and CPU quota of a node, on either version of control groups: tests/system/test_agent_uml.py runs this
under the second kernel, which has version 2.
"""

import contextlib
import os
import signal
import time

import pytest
from labs import deployed, instance, line, node, nothing_left
from rig import until

from labctl.agent import client
from labctl.errors import LabctlError
from labctl.linux import cgroup
from labctl.model.effects import CpuLimit, Effect, Frozen, Killed, NodeRef, Off, ProcessRef
from labctl.run import heal, observe

pytestmark = pytest.mark.root


class Lab:
    def __init__(self, place):
        self.place = place
        self.spec = place.need().lab
        self.runtime = observe.runtime(place)

    @property
    def group(self):
        return self.runtime._group(self.place, "r1")

    def add(self, change, lease_s=60, name=None):
        lease = name or type(change).__name__.lower()
        return client.add(self.place, lease, [Effect(id=lease, on=NodeRef("r1"), change=change)], lease_s)

    def clear(self, name=None):
        return client.clear(self.place, name)

    def found(self):
        return self.runtime.read(self.spec, NodeRef("r1"))

    def spawn(self, script):
        handle = self.runtime.spawn(self.spec, "r1", ["sh", "-c", script])
        return f"/proc/{handle.pid}/root/tmp/ticks"

    def used_s(self):
        """CPU time that all processes of the node have had, as the kernel's accounting of each says."""
        ticks = 0
        for pid in cgroup.pids(self.group):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one that has ended meanwhile
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def lab(tmp_path_factory, kind):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("effects")
        here = instance(root / "state", patch, kind)
        spec = line(node("r1"), node("r2"), name="effects")
        with deployed(here, spec) as place:
            yield Lab(place)
        nothing_left(here, [spec])


@pytest.fixture(autouse=True)
def whole(lab):
    yield
    heal.heal(lab.place)
    assert client.ask(lab.place, "status")["off_base"] == {}


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def test_this_is_the_version_that_was_asked_for():
    if os.environ.get("LABCTL_TEST_UML"):
        assert cgroup.unified()


def test_a_frozen_node_stands_still_and_goes_on_where_it_was(lab):
    ticks = lab.spawn("while :; do echo >> /tmp/ticks; sleep 0.02; done")
    until(lambda: size(ticks) > 2, "it ticks")
    lab.add(Frozen())
    assert lab.found().frozen
    before = size(ticks)
    time.sleep(0.3)
    assert size(ticks) == before
    lab.clear()
    assert not lab.found().frozen
    until(lambda: size(ticks) > before + 2, "it goes on")


def test_no_more_cpu_than_the_quota_and_the_smaller_of_two_holds(lab):
    lab.add(CpuLimit(0.5), name="half")
    lab.add(CpuLimit(0.2), name="fifth")
    assert lab.found().cpu == 0.2
    lab.spawn("while :; do :; done")
    lab.spawn("while :; do :; done")
    time.sleep(0.2)
    began, used = time.monotonic(), lab.used_s()
    time.sleep(1.0)
    used = lab.used_s() - used
    elapsed = time.monotonic() - began
    assert 0 < used <= 0.2 * elapsed + 2 * cgroup.PERIOD_US * 1e-6
    lab.clear("fifth")
    assert lab.found().cpu == 0.5
    lab.clear("half")
    assert lab.found().cpu is None


def test_without_power_nothing_runs_and_with_it_the_node_has_its_cables(lab):
    lab.add(Off())
    assert cgroup.pids(lab.group) == []
    assert lab.found().off
    lab.clear()
    assert not lab.found().off
    done = lab.runtime.exec(lab.spec, "r1", ["ip", "-o", "link", "show", "eth2"])
    assert "LOWER_UP" in done.stdout


def test_what_boots_has_the_faults_that_are_still_active(lab):
    lab.add(CpuLimit(0.3))
    lab.add(Off())
    lab.add(Frozen())
    assert lab.found().off
    lab.clear("off")
    found = lab.found()
    assert (found.off, found.frozen, found.cpu) == (False, True, 0.3)
    lab.clear("frozen")
    assert lab.found().cpu == 0.3


@pytest.mark.parametrize("change", [Frozen(), CpuLimit(0.3), Off()])
def test_a_killed_agent_keeps_the_fault_until_its_lease_is_over(lab, change):
    lab.add(change, lease_s=3)
    base = type(lab.found())()
    broken = lab.found()
    assert broken != base
    os.kill(client.ask(lab.place, "status")["pid"], signal.SIGKILL)
    until(lambda: client.alive(lab.place), "the guard starts another")
    until(lambda: lab.found() == base, "the lease is over")
    assert client.leases(lab.place) == []


def test_agent_and_guard_killed_in_between_are_healed(lab):
    lab.add(Frozen())
    lab.add(CpuLimit(0.3))
    cgroup.kill(lab.place.agent_cgroup)
    assert heal.heal(lab.place).left == ()
    assert lab.found() == type(lab.found())()


def test_who_has_no_power_has_none_to_lose(lab):
    lab.add(Off(), name="one")
    lab.add(Off(), name="two")
    lab.clear("one")
    assert lab.found().off
    lab.clear("two")
    assert not lab.found().off
    with pytest.raises(LabctlError, match="has no 'r9'"):
        client.add(lab.place, "x", [Effect(id="x", on=NodeRef("r9"), change=Off())], 60)


@pytest.mark.parametrize("name", ["tini", "sleep"])
def test_what_the_node_ends_with_is_not_killed_as_a_daemon(lab, name):
    """Nothing would start the node again: tini is its first process, `sleep` what it runs."""
    effect = Effect(id="x", on=ProcessRef("r1", name), change=Killed())
    with pytest.raises(LabctlError, match=f"the node ends with {name}") as caught:
        client.add(lab.place, "x", [effect], 60)
    assert caught.value.code == "effect-not-taken"
    assert not lab.found().off
