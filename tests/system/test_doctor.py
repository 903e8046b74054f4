"""`labctl doctor` on this very machine."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from rig import lab, rig

from labctl.app.doctor import doctor as examine
from labctl.faults.base import FAULTS
from labctl.linux import mounts, pcap
from labctl.runtime.store import Instance

pytestmark = pytest.mark.root

NEEDED = {
    "root",
    "kernel",
    "root directory",
    "network namespaces",
    "veth",
    "stitching",
    "overlay",
    "control groups",
    "runc",
    "buildah",
    "image directory",
    "disk",
}


def doctor(*argv, **env):
    done = subprocess.run(
        [sys.executable, "-m", "labctl", "doctor", *argv],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )
    assert "Traceback" not in done.stderr
    return done


def checks(*argv, **env):
    done = doctor("--format", "json", *argv, **env)
    document = json.loads(done.stdout)
    assert document["ok"] is (done.returncode == 0)
    return done.returncode, {check["name"]: check for check in document["checks"]}


def test_this_machine_is_fit_and_nothing_is_left(tmp_path):
    links = set(os.listdir("/sys/class/net"))
    (tmp_path / "tmp").mkdir()
    code, found = checks(LABCTL_STATE=str(tmp_path / "state"), TMPDIR=str(tmp_path / "tmp"))
    assert {name for name, check in found.items() if check["needed"]} >= NEEDED
    assert {name: c["said"] for name, c in found.items() if c["needed"] and not c["ok"]} == {}
    assert code == 0

    assert sorted(os.listdir(tmp_path)) == ["tmp"]
    assert os.listdir(tmp_path / "tmp") == []
    assert mounts.below(str(tmp_path)) == []
    group = Instance.here(str(tmp_path / "state")).cgroup
    assert [d for d, _, _ in os.walk("/sys/fs/cgroup") if os.path.basename(d).startswith(group)] == []
    appeared = set(os.listdir("/sys/class/net")) - links
    assert appeared & {"a0", "a1", "b0", "b1", "q0", "q1", "eth1", "p0"} == set(), (
        "in the machine's own network"
    )


def test_every_fault_has_its_backend_and_known_error(tmp_path):
    document = json.loads(doctor("--format", "json", LABCTL_STATE=str(tmp_path)).stdout)
    assert {way["fault"] for way in document["faults"]} == set(FAULTS)
    assert all(way["backend"] and way["known_error"] for way in document["faults"] if way["ok"])
    assert [way for way in document["faults"] if not way["ok"] and not way["fault"].startswith("node.")] == []
    assert "conformance suite" in document["figures"]


def test_each_thing_that_is_missing_has_a_command(tmp_path):
    code, found = checks(
        LABCTL_STATE=str(tmp_path), LABCTL_IMAGES=str(tmp_path / "none"), PATH="/nonexistent"
    )
    assert code == 6
    assert found["runc"]["fix"] == "apt-get install runc"
    assert found["buildah"]["fix"] == "apt-get install buildah mmdebstrap"
    assert not found["images"]["ok"]
    assert not found["images"]["needed"], "they can be built"
    assert all(check["fix"] for check in found.values() if not check["ok"])
    assert all(check["fix"] is None for check in found.values() if check["ok"])


def test_a_place_without_room_and_the_command_that_names_another(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounts.mount("tmpfs", str(small), "tmpfs", data="size=1m")
    try:
        code, found = checks(LABCTL_STATE=str(small))
        assert code == 6
        assert not found["disk"]["ok"]
        fix = found["disk"]["fix"]
    finally:
        mounts.unmount(str(small))
    state = fix.removesuffix(" labctl doctor").removeprefix("LABCTL_STATE=")
    if fix.startswith("LABCTL_STATE="):  # no other disk here: then it is one in memory
        assert checks(LABCTL_STATE=state)[1]["disk"]["ok"]


def test_images_that_are_missing_are_built_by_that_command(tmp_path):
    _, found = checks(LABCTL_STATE=str(tmp_path), LABCTL_IMAGES=str(tmp_path / "none"))
    assert not found["images"]["ok"]
    make, _, directory, target = shlex.split(found["images"]["fix"])
    assert (make, target) == ("make", "images")
    assert os.path.samefile(directory, os.path.dirname(os.path.dirname(os.path.dirname(__file__))))


def test_a_lab_whose_agent_is_dead_is_mended_by_the_command(tmp_path):
    with rig(tmp_path / "state", lab(("r1:eth1", "r2:eth1")), agent=False) as running:
        running.release()
        _, found = checks(LABCTL_STATE=str(tmp_path / "state"))
        assert found["labs"]["ok"] is False
        assert found["labs"]["said"] == "the agent of rig is dead"
        words = shlex.split(found["labs"]["fix"])
        subprocess.run(
            [sys.executable, "-m", *words], check=True, capture_output=True,
            env={**os.environ, "LABCTL_STATE": str(tmp_path / "state")},
        )  # fmt: skip
        _, found = checks(LABCTL_STATE=str(tmp_path / "state"))
        assert (found["labs"]["ok"], found["labs"]["said"]) == (True, "1 running")


def test_without_libpcap(monkeypatch):
    monkeypatch.setattr(pcap, "_LIBRARY", "libpcap-that-is-not-there.so")
    pcap._library.cache_clear()
    try:
        found = {each.name: each for each in examine(Instance.here()).checks}["libpcap"]
    finally:
        pcap._library.cache_clear()
    assert found.ok is False
    assert not found.needed
    assert found.fix == "apt-get install libpcap0.8"


def test_a_directory_of_images_that_no_container_can_stand_on(tmp_path):
    here = tmp_path / "a,b"
    here.mkdir()
    code, found = checks(LABCTL_STATE=str(tmp_path / "state"), LABCTL_IMAGES=str(here))
    assert code == 6
    assert found["image directory"]["needed"]
    assert not found["image directory"]["ok"]
    assert f"{here}: overlayfs takes no path with `,`, `:` or a backslash" in found["image directory"]["said"]
    assert found["image directory"]["fix"] == "unset LABCTL_IMAGES"
    _, found = checks(LABCTL_STATE=str(tmp_path / "state"), LABCTL_IMAGES="")
    assert found["image directory"]["ok"]


def test_without_a_directory_of_images_where_we_are_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "a,b").mkdir()
    monkeypatch.chdir(tmp_path / "a,b")
    monkeypatch.delenv("LABCTL_IMAGES", raising=False)
    _, found = checks(LABCTL_STATE=str(tmp_path / "state"))
    assert found["image directory"]["ok"]
    assert found["image directory"]["said"] == str(tmp_path / "state" / "images")


def test_the_table_says_it_in_words(tmp_path):
    done = doctor(LABCTL_STATE=str(tmp_path), PATH="/nonexistent")
    assert done.returncode == 6
    assert "✗ missing" in done.stdout
    assert "✗ absent (optional)" in done.stdout
    assert "✓ works" in done.stdout
    assert "cannot yet run labs with runc" in done.stderr


def test_without_root_what_needs_it_is_not_tried():
    instance = Instance.here()
    child = os.fork()
    if child == 0:
        status = 2  # whatever happens, this process does not go on as a second pytest
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            found = {check.name: check for check in examine(instance).checks}
            as_it_should = found["root"].ok is False and found["veth"].ok is None
            status = 0 if as_it_should and "only root" in found["veth"].said else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_runtime_that_there_is_not_is_a_usage_error():
    done = doctor("--for", "runk")
    assert done.returncode == 2
    assert "did you mean `runc`?" in done.stderr
