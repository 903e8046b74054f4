"""Awkward moments of the verbs on a real lab: a full disk, a lab that somebody works on, a command that is ended."""

import os
import signal
import subprocess
import sys

import labs
import pytest
from rig import until

from labctl.app import deploy
from labctl.errors import LabctlError
from labctl.linux import cgroup, mounts, proc
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
