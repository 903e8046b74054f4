"""Limits of a running node: set, kept over a restart, shared with faults, refused when they would kill."""

import contextlib
import subprocess
import time
from dataclasses import replace

import pytest
from labs import deployed, instance, line, node, request
from rig import mount_disk

from labctl.agent import client
from labctl.app import deploy, inspect
from labctl.errors import LabctlError
from labctl.linux import cgroup, disks
from labctl.model.effects import CpuLimit, Effect, NodeRef
from labctl.model.lab import Limits
from labctl.run import apply, limits, observe, restart

pytestmark = [pytest.mark.root, pytest.mark.both]

MIB = 1 << 20
AT_FIRST = Limits(read_bps=8 * MIB, write_iops=500)


@pytest.fixture(scope="module")
def place(tmp_path_factory, kind):
    root = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch, on_a_disk(root):
        here = instance(root, patch, kind)
        with deployed(here, line(node("r1"), node("r2", limits=AT_FIRST), name="limited")) as running:
            yield running


@contextlib.contextmanager
def on_a_disk(directory):
    """Limits of input and output are a disk's; where the directory is in memory (the second kernel) it gets one."""
    if disks.of_files([directory]):
        yield
        return
    mount_disk(directory, 96 * MIB)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


@pytest.fixture(autouse=True)
def unlimited(place):
    yield
    ensure(place, Limits())


def ensure(place, wanted):
    with place.lock():
        return limits.ensure(place, "r1", wanted)


def group_of(place):
    return observe.runtime(place)._group(place, "r1")


def now(place, name="r1"):
    group = observe.runtime(place)._group(place, name)
    (disk,) = observe.runtime(place)._disks(place)
    return Limits(
        cpu=cgroup.cpu_limit(group),
        memory_bytes=cgroup.memory_limit(group),
        pids=cgroup.pids_limit(group),
        **cgroup.io_limits(group, disk.number),
    )


def run(place, *argv):
    return observe.runtime(place).exec(place.need().lab, "r1", argv)


def test_each_is_set_changed_and_lifted_while_the_node_runs(place):
    pid = status(place).pid
    for wanted in (
        Limits(cpu=0.5, memory_bytes=64 * MIB, pids=50),
        Limits(cpu=1.5, memory_bytes=256 * MIB, pids=90),
        Limits(memory_bytes=64 * MIB),
        Limits(pids=70),
        Limits(read_bps=MIB, write_bps=2 * MIB, read_iops=30, write_iops=40),
        Limits(write_bps=3 * MIB),
        Limits(),
    ):
        assert ensure(place, wanted) == wanted
        assert now(place) == wanted
        assert place.need().lab.node("r1").limits == wanted
        assert ensure(place, wanted) == wanted
    assert status(place).pid == pid
    assert now(place) == Limits()


def status(place):
    return next(s for s in observe.runtime(place).status(place.need().lab) if s.node == "r1")


def test_a_node_starts_with_its_limits(place):
    assert now(place, "r2") == AT_FIRST


def test_processes_beyond_the_limit_are_not_started(place):
    ensure(place, Limits(pids=20))
    forks = "i=0; while [ $i -lt 40 ]; do sleep 2 & i=$((i+1)); done"
    said = run(place, "sh", "-c", forks)
    assert "ork" in said.stderr  # "Cannot fork"
    ensure(place, Limits(pids=100))
    assert run(place, "sh", "-c", forks).stderr == ""


def test_a_restarted_node_has_the_new_limits(place):
    wanted = Limits(cpu=0.7, memory_bytes=128 * MIB, pids=60, write_bps=5 * MIB, read_iops=9)
    ensure(place, wanted)
    restart.restart(place, ["r1"])
    assert now(place) == wanted


def test_the_lower_of_limit_and_fault_counts_until_the_fault_ends(place):
    ref = NodeRef("r1")
    effects = [Effect(id="slow", on=ref, change=CpuLimit(0.2))]
    client.add(place, "slow", effects, 60.0)
    assert now(place).cpu == 0.2
    ensure(place, Limits(cpu=0.5))
    assert now(place).cpu == 0.2
    ensure(place, Limits(cpu=0.1))
    assert now(place).cpu == 0.1
    ensure(place, Limits(cpu=0.5))
    client.ask(place, "effects.clear", id="slow")
    assert now(place).cpu == 0.5


@pytest.mark.skipif(cgroup.pins(), reason="control groups here choose processors (test_clab_keys.py)")
def test_processors_that_no_group_can_choose_are_refused_before_anything_is_touched(place):
    spec = line(node("r1", cpus="0"), name="pinned")
    with pytest.raises(
        LabctlError, match="node 'r1' has a `cpu-set`, and control groups here cannot"
    ) as caught:
        deploy.deploy_lab(spec, request(), place.instance)
    assert caught.value.code == "limit-refused"
    assert not place.instance.lab_exists("pinned")


def test_what_ran_out_of_memory_is_told(place):
    ensure(place, Limits(memory_bytes=24 * MIB))
    assert run(place, "tail", "/dev/zero").code == 137
    (found,) = inspect.inspect([place])
    mine = next(each for each in found.containers if each["name"].endswith("-r1"))
    kills = mine["oom_kills"]
    assert kills >= 1
    ended = "a process" if kills == 1 else f"{kills} processes"  # another one, if that is not enough
    said = f"node r1 ran out of its memory limit of 24MiB: the kernel has ended {ended} of it (OOM)"
    assert said in found.notes
    other = next(each for each in found.containers if each["name"].endswith("-r2"))
    assert "oom_kills" not in other


def test_a_limit_below_what_is_in_use_is_refused_and_kills_nobody(place):
    ensure(place, Limits(memory_bytes=256 * MIB))
    assert run(place, "sh", "-c", "head -c 40000000 /dev/zero > /dev/shm/full").code == 0
    assert cgroup.memory_in_use(group_of(place)) > 40e6
    with pytest.raises(LabctlError, match="uses more than 16 MiB") as refused:
        ensure(place, Limits(memory_bytes=16 * MIB))
    assert refused.value.code == "limit-refused"
    assert now(place).memory_bytes == 256 * MIB
    assert place.need().lab.node("r1").limits == Limits(memory_bytes=256 * MIB)
    run(place, "rm", "/dev/shm/full")
    ensure(place, Limits(memory_bytes=16 * MIB))


def test_applying_other_limits_leaves_a_fault_what_it_took(place):
    client.add(place, "slow", [Effect(id="slow", on=NodeRef("r1"), change=CpuLimit(0.2))], 60.0)
    record = place.need()
    wanted = Limits(cpu=0.6, memory_bytes=128 * MIB, pids=64, read_bps=7 * MIB)
    nodes = tuple(replace(n, limits=wanted) if n.name == "r1" else n for n in record.lab.nodes)
    target = replace(record.lab, nodes=nodes)
    pid = status(place).pid
    with place.lock() as held:
        apply.execute(place, record, target, apply.plan(record, target), held=held)
    assert now(place) == replace(wanted, cpu=0.2)
    client.clear(place, "slow")
    assert now(place) == wanted
    assert status(place).pid == pid
    restart.restart(place, ["r1"])
    assert now(place) == wanted


@pytest.mark.parametrize(
    ("wanted", "flags"),
    [
        ({"write_bps": MIB}, "oflag=direct if=/dev/zero of=/root/full"),
        ({"read_bps": MIB}, "iflag=direct if=/root/whole of=/dev/null"),
    ],
)
def test_what_goes_beyond_a_rate_waits(place, wanted, flags):
    """Never sooner than the rate lets it: a bound that no load on the machine can break. Half of it, for bursts."""
    run(place, "dd", "if=/dev/zero", "of=/root/whole", "bs=512K", "count=6", "oflag=direct")
    ensure(place, Limits(**wanted))
    begun = time.monotonic()
    done = run(place, "dd", *flags.split(), "bs=512K", "count=6")
    assert done.code == 0, done.stderr
    assert time.monotonic() - begun > 1.5
