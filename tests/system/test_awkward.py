"""Awkward moments of the verbs on a real lab: a full disk, a lab that somebody works on, a command that is ended."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import labs
import pytest
from rig import until

from labctl.app import deploy
from labctl.errors import LabctlError, Span
from labctl.linux import cgroup, mounts, proc
from labctl.names import PortId
from labctl.run import destroy
from labctl.runtime.store import Phase

pytestmark = pytest.mark.root


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """An instance on a small file system of its own, and a function that fills it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounts.mount("tmpfs", str(disk), "tmpfs", data="size=1m")
    here = labs.instance(disk / "state", monkeypatch)

    def fill():
        free = os.statvfs(disk)
        (disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize))
        assert os.statvfs(disk).f_bavail == 0

    try:
        yield here, fill
    finally:
        for place in here.labs():
            cgroup.destroy(place.cgroup)
        mounts.unmount_below(str(disk))


def test_a_lab_goes_also_from_a_full_disk(small_disk):
    here, fill = small_disk
    deploy.deploy_lab(labs.line(labs.node("r1")), deploy.Request(file=""), here)
    fill()
    destroy.destroy(here.lab("line"))
    assert here.labs() == []
    labs.nothing_left(here)


def test_a_deploy_finds_the_disk_full_and_leaves_nothing(small_disk):
    here, fill = small_disk
    os.makedirs(here.labs_dir)
    fill()
    with pytest.raises(OSError, match="No space left"):
        deploy.deploy_lab(labs.line(labs.node("r1")), deploy.Request(file=""), here)
    assert here.labs() == []
    labs.nothing_left(here)


def test_a_second_deploy_is_told_that_one_is_at_work(tmp_path, monkeypatch):
    here = labs.instance(tmp_path, monkeypatch)
    lab = labs.line(labs.node("r1"))
    deploy.deploy_lab(lab, deploy.Request(file=""), here)
    place = here.lab("line")
    try:
        with place.lock():
            place.set_phase(Phase.DEPLOYING)
            with pytest.raises(LabctlError) as caught:
                deploy.prepare(lab, deploy.Request(file="", dry_run=True), here)
        assert caught.value.code == "lab-busy"
        with pytest.raises(LabctlError, match="half-made") as caught:
            deploy.prepare(lab, deploy.Request(file="", dry_run=True), here)
        assert caught.value.code == "lab-exists"
    finally:
        destroy.destroy(place)
    labs.nothing_left(here)


def test_exec_and_its_command_end_by_sigterm(tmp_path, monkeypatch):
    here = labs.instance(tmp_path, monkeypatch)
    deploy.deploy_lab(labs.line(labs.node("r1")), deploy.Request(file=""), here)
    group = here.lab("line").node_cgroup("r1")
    try:
        command = [sys.executable, "-m", "labctl", "exec", "r1", "--", "sleep", "7777"]
        running = subprocess.Popen(command)

        def sleepers():
            return [d for pid in cgroup.pids(group) if (d := proc.describe(pid)) and d.argv[-1:] == ("7777",)]

        until(sleepers, "the command runs", 20)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == 130
        until(lambda: not sleepers(), "the command has ended", 20)
    finally:
        destroy.destroy(here.lab("line"))
    labs.nothing_left(here)


def _wrong_port(node):
    """A lab whose kernel part fails after namespaces and a first cable are there."""
    good = labs.line(labs.node("r1"), node)
    (cable,) = good.cables
    twice = replace(cable, a=replace(cable.a, port=PortId("r1", "eth9")), where=Span("dc1.clab.yml", 12, 7))
    return replace(good, cables=(cable, twice))


@pytest.mark.parametrize(
    ("lab", "said"),
    [
        (_wrong_port(labs.node("r2")), r"cable r1:eth9--r2:eth1: its end r2:eth1 cannot be made: .*exists"),
        (
            labs.line(
                labs.node("r1", sysctls={"net.ipv6.conf.default.disable_ipv6": "1"}, where=Span("dc1.clab.yml", 12, 7))
            ),
            r"node 'r1': eth0: .*2.*: Permission denied",
        ),
    ],
    ids=["device", "address"],
)  # fmt: skip
def test_what_the_kernel_refuses_is_named_and_nothing_is_left(tmp_path, monkeypatch, lab, said):
    here = labs.instance(tmp_path, monkeypatch)
    with pytest.raises(LabctlError, match=said) as caught:
        deploy.deploy_lab(lab, deploy.Request(file=""), here)
    assert (caught.value.code, str(caught.value.where)) == ("not-wired", "dc1.clab.yml:12:7")
    assert here.labs() == []
    labs.nothing_left(here, [lab])
