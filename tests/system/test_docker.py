"""What is Docker's own: its containers as others see them, and what happens when the engine or somebody else interferes."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import leftovers
import pytest
from crashing import struck
from dockerd import Dockerd
from labs import deployed, instance, labctl, line, node, nothing_left
from rig import until

from labctl.app import deploy
from labctl.errors import CODES, LabctlError, render
from labctl.linux import cgroup, mounts
from labctl.model.lab import Bind, LabSpec, Limits
from labctl.run import deploy as making
from labctl.run import destroy, limits
from labctl.run.restart import restart
from labctl.runtime import docker_engine
from labctl.runtime.base import NodeState
from labctl.runtime.docker import DockerRuntime
from labctl.runtime.store import Instance

ERRORS = pathlib.Path(__file__).parents[1] / "errors"
IMAGE = "labctl/base:latest"


def test_the_text_of_a_refusal():
    answer = (ERRORS / "engine-refused.json").read_bytes()
    refusal = docker_engine.refused("create the container", docker_engine.said(answer))
    assert render(refusal) + "\n" == (ERRORS / "engine-refused.txt").read_text()


pytestmark = [pytest.mark.root, pytest.mark.docker]

FILE = """
name: two
topology:
  defaults: {kind: linux, image: labctl/base}
  nodes:
    r1: {exec: ["sh -c 'echo one > /root/order'"], group: core, labels: {site: a}}
    r2: {mgmt-ipv4: 172.20.20.77}
    sw: {kind: bridge}
    h1: {network-mode: none}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
      ipv4: [10.2.0.1/30, 10.2.0.2/30]
    - endpoints: ["r1:eth2", "sw:p1"]
    - endpoints: ["h1:eth0", "sw:p2"]
"""


@pytest.fixture
def here(dockerd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", dockerd.url)
    return instance(tmp_path / "state", monkeypatch, "docker")


@pytest.fixture
def file(tmp_path, here):
    path = tmp_path / "two.clab.yml"
    path.write_text(FILE)
    return path


def told(stem, done, **places):
    """The command ended with this error, its golden text, and nothing else; what differs from run to run has a name there."""
    text = done.stderr[done.stderr.index("error: ") :]
    for name, value in places.items():
        text = text.replace(str(value), f"${name}")
    text = re.sub(r"(?m)write /\S+: no space", "write FILE: no space", text.replace("write $DATA", "write "))
    golden = ERRORS / f"{stem}.txt"
    if os.environ.get("LABCTL_UPDATE_GOLDENS") == "1":
        golden.write_text(text)
    assert text == golden.read_text()
    code = text.partition("\n")[0].removeprefix("error: ")
    assert done.returncode == CODES[code][0]


def state(runtime, lab, name):
    return next(each for each in runtime.status(lab) if each.node == name)


def test_every_verb_on_docker(here, file, dockerd, monkeypatch):
    monkeypatch.setenv("LABCTL_RUNTIME", "auto")
    made = labctl("deploy", file)
    assert "runtime docker: an engine answers (Docker " in made.stderr
    assert dockerd.containers() == ["clab-two-h1", "clab-two-r1", "clab-two-r2"]
    shown = {each["name"]: each for each in json.loads(labctl("inspect", "-f", "json").stdout)["two"]}
    assert {each["state"] for each in shown.values()} == {"running"}
    for name, each in shown.items():
        assert dockerd.docker("inspect", "-f", "{{.Id}}", name).startswith(each["container_id"])
    assert labctl("exec", "r1", "--", "ping", "-c1", "-W5", "10.2.0.2").returncode == 0
    assert labctl("exec", "r1", "--", "sh", "-c", "exit 9", check=False).returncode == 9
    assert labctl("exec", "clab-two-r1", "--", "cat", "/root/order").stdout == "one\n"
    recorded = file.parent / "icmp.pcapng"
    with subprocess.Popen(
        [sys.executable, "-m", "labctl", "capture", "r1:eth1--r2:eth1", "-c", "4", "--filter", "icmp", "-w", recorded],
        stderr=subprocess.DEVNULL,
    ) as capturing:  # fmt: skip
        while capturing.poll() is None:
            labctl("exec", "r1", "--", "ping", "-c1", "-W5", "10.2.0.2")
    assert recorded.stat().st_size > 4 * 98
    ids = {name: each["container_id"] for name, each in shown.items()}
    file.write_text(FILE.replace("mgmt-ipv4: 172.20.20.77", "mgmt-ipv4: 172.20.20.77, memory: 200MB, cpu: 0.5")
                    .replace("h1: {", "h1: {env: {A: B}, "))  # fmt: skip
    assert labctl("apply", file).returncode == 0
    host = json.loads(dockerd.docker("inspect", "clab-two-r2"))[0]["HostConfig"]
    assert (host["Memory"], host["CpuQuota"]) == (200_000_000, 50_000)
    changed = {
        each["name"]: each["container_id"]
        for each in json.loads(labctl("inspect", "-f", "json").stdout)["two"]
    }
    assert {name for name in ids if ids[name] != changed[name]} == {"clab-two-h1"}
    told = labctl("events", "--no-follow", "--since", "1h").stdout
    assert " lab deploy two " in told
    assert " lab apply two " in told
    labctl("fault", "add", "node.hang", "r1", "--for", "120s")
    assert "paused" in labctl("inspect").stdout
    labctl("fault", "add", "node.power", "r2", "--for", "120s")
    assert "exited" in labctl("inspect").stdout
    assert "fault node.hang-1 ended" in labctl("heal").stdout
    assert labctl("exec", "r1", "--", "ping", "-c1", "-W5", "10.2.0.2").returncode == 0
    assert labctl("destroy", "--all", "--yes").stdout.split()[4:6] == ["two", "3"]
    assert dockerd.containers() == []
    nothing_left(here)


def test_names_and_labels_are_containerlabs(here, file, dockerd):
    labctl("deploy", file)
    try:
        (said,) = json.loads(dockerd.docker("inspect", "clab-two-r1"))
        labels = said["Config"]["Labels"]
        assert {key: labels[key] for key in ("containerlab", "clab-node-name", "clab-node-longname")} == {
            "containerlab": "two", "clab-node-name": "r1", "clab-node-longname": "clab-two-r1",
        }  # fmt: skip
        assert (labels["clab-node-kind"], labels["clab-node-group"], labels["site"]) == ("linux", "core", "a")
        assert labels["clab-topo-file"] == str(file)
        assert labels["labctl-instance"] == here.tag
        assert said["HostConfig"]["Privileged"] is False
        inside = dockerd.docker("exec", "clab-two-r1", "ls", "/sys/class/net").split()
        assert inside == ["eth0", "eth1", "eth2", "lo"], "also what the engine starts sees the node's network"
    finally:
        labctl("destroy", "two", "--yes")


def test_no_command_of_a_node_sees_its_network_half_built(here):
    """Its first look at the network is the last one, at the start and at every other start."""
    look = "ip -br address > /root/seen; exec sleep 300"
    spec = line(node("r1", entrypoint=(), cmd=("sh", "-c", look)), node("r2"), name="first")
    with deployed(here, spec) as place:
        runtime, lab = DockerRuntime(here), place.need().lab
        for _ in range(2):
            until(lambda: runtime.exec(lab, "r1", ["test", "-s", "/root/seen"]).code == 0, "it has looked")
            seen = runtime.exec(lab, "r1", ["cat", "/root/seen"]).stdout
            assert "10.1.0.1/30" in seen
            assert "172.20.20.2/24" in seen
            runtime.exec(lab, "r1", ["rm", "/root/seen"])
            restart(place, ["r1"])


def test_what_a_node_prints_is_followed_over_a_restart_to_the_labs_end(here):
    talks = ("sh", "-c", "echo good morning; echo to you; exec sleep 300")
    with deployed(here, LabSpec(name="talks", nodes=(node("r1", entrypoint=(), cmd=talks),))) as place:
        assert labctl("logs", "r1").stdout == "good morning\nto you\n"
        assert labctl("logs", "r1", "--tail", "1").stdout == "to you\n"
        argv = [sys.executable, "-m", "labctl", "logs", "r1", "-f"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as following:
            try:
                assert following.stdout.readline() == "good morning\n"
                restart(place, ["r1"])
                again = [following.stdout.readline() for _ in range(3)]
                assert again == ["to you\n", "good morning\n", "to you\n"]
                destroy.destroy(place)
                assert following.communicate(timeout=60)[0] == ""
            finally:
                following.kill()


# -- images and users that only the engine has ------------------------------------------------------------------


def test_an_image_that_only_the_engine_has(here, dockerd):
    with deployed(here, LabSpec(name="seed", nodes=(node("r1"),))):  # labctl/base is there
        dockerd.docker("tag", IMAGE, "example/web:1")
    spec = LabSpec(
        name="engine",
        nodes=(
            node("r1", image="example/web:1", user="www-data", entrypoint=(), cmd=("sleep", "300")),
            node("r2", image="example/web:1"),
        ),
    )
    try:
        with deployed(here, spec) as place:
            runtime, lab = DockerRuntime(here), place.need().lab
            assert runtime.exec(lab, "r1", ["id", "-un"]).stdout == "www-data\n"
            status = runtime.exec(lab, "r2", ["cat", "/proc/1/status"]).stdout
            assert "Uid:\t0" in status
            (first,) = [p for p in runtime.processes(lab, "r1") if p.name == "sleep"]
            with open(f"/proc/{first.handle.pid}/status") as file:
                said = file.read()
            assert "Uid:\t33\t33\t33\t33" in said
            assert "CapEff:\t0000000000000000" in said
        wrong = LabSpec(name="engine", nodes=(node("r1", image="example/web:1", user="nobody-here"),))
        with pytest.raises(LabctlError, match="has no user or group 'nobody-here'"), deployed(here, wrong):
            pass
        assert dockerd.containers() == []
        nothing_left(here, [spec])
    finally:
        dockerd.docker("rmi", "example/web:1")


def test_an_image_that_nobody_has(here, dockerd, tmp_path):
    """Only looked for: a deploy would ask a registry for it."""
    file = copied("image-not-found-docker", tmp_path)
    told("image-not-found-docker", labctl("deploy", file.name, "--dry-run", check=False), ENGINE=dockerd.url)
    assert here.labs() == []
    assert dockerd.containers() == []
    nothing_left(here)


def copied(stem, tmp_path):
    file = tmp_path / "dc1.clab.yml"
    file.write_text((ERRORS / f"{stem}.lab").read_text())
    return file


@pytest.mark.parametrize(
    ("wrong", "code", "says"),
    [
        (node("x", binds=(Bind(source="/etc", target="/x", options=("noexec",)),)), "unsupported", "noexec"),
        (node("a|b"), "bad-name", "clab-line-a|b"),
    ],
)
def test_what_docker_cannot_do_is_found_before_anything_is_touched(here, dockerd, wrong, code, says):
    with pytest.raises(LabctlError) as caught:
        DockerRuntime(here).check(LabSpec(name="line", nodes=(wrong,)))
    assert (caught.value.code, says in caught.value.message) == (code, True)
    assert dockerd.containers() == []


def test_a_container_of_that_name_is_somebody_elses_and_stays(here, file, dockerd):
    with deployed(here, LabSpec(name="seed", nodes=(node("r1"),))):
        pass
    dockerd.docker("create", "--name", "clab-two-r2", "--network", "none", IMAGE)
    try:
        said = labctl("deploy", file, check=False)
        assert said.returncode == 2
        assert "has a container 'clab-two-r2' already: labctl did not make it" in said.stderr
        labctl("destroy", "--all", "--yes")
        assert dockerd.containers() == ["clab-two-r2"]
    finally:
        dockerd.docker("rm", "-f", "clab-two-r2")


# -- somebody interferes -----------------------------------------------------------------------------------------


def test_a_container_that_somebody_starts_again_is_in_its_network(here, dockerd):
    """With the limits that it has by now: the engine knows those of input and output that it was created with."""
    spec = line(node("r1", limits=Limits(read_iops=100)), node("r2"), name="again")
    now = Limits(write_bps=9 << 20)
    with deployed(here, spec) as place:
        runtime, lab = DockerRuntime(here), place.need().lab
        before = state(runtime, lab, "r1").pid
        with place.lock():
            limits.ensure(place, "r1", now)
        dockerd.docker("restart", "-t", "0", "clab-again-r1")
        until(lambda: state(runtime, lab, "r1").state is NodeState.RUNNING, "it runs again")
        assert state(runtime, lab, "r1").pid != before
        assert runtime.exec(lab, "r1", ["ping", "-c1", "-W5", "10.1.0.2"]).code == 0
        (disk,) = runtime._disks(place)
        assert cgroup.io_limits(runtime._group(place, "r1"), disk.number) == now.rates


def test_a_container_that_somebody_ends_or_removes(here, dockerd):
    spec = line(node("r1"), node("r2"), node("r3"), name="gone")
    with deployed(here, spec) as place:
        runtime, lab = DockerRuntime(here), place.need().lab
        dockerd.docker("kill", "clab-gone-r1")
        dockerd.docker("rm", "-f", "clab-gone-r2")
        assert state(runtime, lab, "r1").state is NodeState.EXITED
        assert state(runtime, lab, "r1").exit_code == 137
        assert state(runtime, lab, "r2").state is NodeState.ABSENT
        assert state(runtime, lab, "r3").state is NodeState.RUNNING
        restart(place, ["r1", "r2"])
        assert runtime.exec(lab, "r2", ["ping", "-c1", "-W5", "10.1.0.1"]).code == 0
    assert dockerd.containers() == []
    nothing_left(here, [spec])


def big(tmp_path):
    nodes = "".join(f"    r{i}: {{}}\n" for i in range(6))
    links = "".join(f'    - endpoints: ["r{i}:eth1", "r{(i + 1) % 6}:eth2"]\n' for i in range(6))
    path = tmp_path / "big.clab.yml"
    path.write_text(
        f"name: big\ntopology:\n  defaults: {{kind: linux, image: labctl/base}}\n  nodes:\n{nodes}  links:\n{links}"
    )
    return path


def test_an_engine_that_is_killed_leaves_a_lab_that_works_and_goes_when_it_is_back(here, dockerd):
    spec = line(node("r1"), node("r2"), name="orphan")
    deploy.deploy_lab(spec, deploy.Request(file="", runtime="docker"), here)
    runtime, place = DockerRuntime(here), here.lab("orphan")
    lab = place.need().lab
    dockerd.kill()
    try:
        assert runtime.exec(lab, "r1", ["ping", "-c1", "-W5", "10.1.0.2"]).code == 0
        assert {each.state for each in runtime.status(lab)} == {NodeState.RUNNING}
        labctl("fault", "add", "node.hang", "r1", "--for", "120s")
        assert {each.node for each in runtime.status(lab) if each.state is NodeState.FROZEN} == {"r1"}
        labctl("heal")
        said = labctl("destroy", "orphan", "--yes", check=False)
        assert said.returncode == 6
        assert "error: engine-unreachable" in said.stderr
        assert "`labctl destroy orphan --yes` removes the rest" in said.stderr
        assert place.exists(), "what is left is known"
    finally:
        dockerd.start()
        left = labctl("heal").stdout
    assert "removed what was left" in left
    assert dockerd.containers() == []
    nothing_left(here, [spec])


#: What is typed, and from which of its functions on there is no engine.
HALF_WAY = {
    "deploy": (["dc1.clab.yml"], "docker_start.py:_pass_the_gate"),
    "destroy": (["dc1", "--yes"], "docker_engine.py:remove_all"),
    "apply": (["dc1.clab.yml"], "docker_start.py:_create"),
}


@pytest.mark.parametrize("doing", HALF_WAY)
def test_an_engine_that_dies_half_way(here, dockerd, tmp_path, doing):
    """The text says what is to be done, and when that is done nothing is left; `apply` goes on where it was."""
    file = copied("engine-unreachable-half-way", tmp_path)
    if doing != "deploy":
        labctl("deploy", file.name)
    with deployed(here, LabSpec(name="seed", nodes=(node("r1"),))):  # the engine has the image
        pass
    if doing == "apply":
        file.write_text(file.read_text().replace("r1: {}", "r1: {env: {A: b}}, r9: {}"))
    what, at = HALF_WAY[doing]
    argv = [
        sys.executable, os.path.join(os.path.dirname(__file__), "stepkill.py"), "1+1", "steps",
        f"runtime/{at}", "--", doing, *what,
    ]  # fmt: skip
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as done:
        assert struck(done, "steps", lambda _: dockerd.kill() or True)
        said = done.stderr.read()
    done = subprocess.CompletedProcess(argv, done.returncode, stderr=said)
    stem = "engine-unreachable-half-way" if doing != "apply" else "half-applied-docker"
    try:
        told(stem, done, ENGINE=dockerd.url, LAB=here.lab("dc1").path)
    finally:
        dockerd.start(live_restore=True)
    if doing == "apply":
        labctl("apply", file.name)
        assert labctl("exec", "r9", "--", "true").returncode == 0
        labctl("destroy", "dc1", "--yes")
    else:
        labctl("destroy", "dc1", "--yes")
    assert dockerd.containers() == []
    nothing_left(here)


@pytest.mark.parametrize("pause", [0, *(pytest.param(s, marks=pytest.mark.soak) for s in (0.2, 0.8))])
def test_two_deploys_of_one_lab_at_once(here, dockerd, tmp_path, pause):
    """One wins; the other is told so, and has touched nothing of it."""
    file = big(tmp_path)
    both = [started("deploy", file)]
    time.sleep(pause)
    both.append(started("deploy", file))
    said = [each.communicate(timeout=200)[1] for each in both]
    winner, loser = sorted(range(2), key=lambda i: both[i].returncode)
    try:
        assert both[winner].returncode == 0, said
        place = here.lab("big")
        texts = {render(each): each.exit for each in (place.busy(), making.already(place.need()))}
        text = said[loser][said[loser].index("error: ") :].rstrip("\n")
        assert text in texts, said
        assert both[loser].returncode == texts[text]
        assert len(dockerd.containers()) == 6
        assert labctl("exec", "r1", "--", "ping", "-c1", "-W5", "r4").returncode == 0
    finally:
        labctl("destroy", "--all", "--yes")
    assert dockerd.containers() == []
    nothing_left(here)


def started(*argv):
    return subprocess.Popen(
        [sys.executable, "-m", "labctl", *map(str, argv)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_an_engine_whose_disk_is_full(here, dockerd, tmp_path, monkeypatch):
    """While it takes the image in, and while it makes containers; a lab goes from it, and with room all is well."""
    file = copied("engine-refused-full", tmp_path)
    with Dockerd(data_bytes=512 << 20) as small:
        monkeypatch.setenv("DOCKER_HOST", small.url)
        fill(small.data, keep=20 << 20)
        told(
            "engine-refused-full-image",
            labctl("deploy", file.name, check=False),
            ENGINE=small.url,
            DATA=small.data,
        )
        assert small.docker("images", "--quiet") == ""
        nothing_left(here)
        make_room(small.data)
        labctl("deploy", file.name)
        fill(small.data)
        labctl("destroy", "dc1", "--yes")
        fill(small.data)
        told(
            "engine-refused-full", labctl("deploy", file.name, check=False), ENGINE=small.url, DATA=small.data
        )
        assert small.containers() == []
        nothing_left(here)
        make_room(small.data)
        labctl("deploy", file.name)
        labctl("destroy", "dc1", "--yes")
        assert small.containers() == []
    nothing_left(here)


def fill(disk, keep=0):
    """All but `keep` bytes of it."""
    free = os.statvfs(disk)
    with open(os.path.join(disk, f"ballast-{time.monotonic_ns()}"), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - keep)


def make_room(disk):
    for each in pathlib.Path(disk).glob("ballast-*"):
        each.unlink()


def test_a_full_disk_under_the_state_of_labs(here, dockerd, tmp_path, monkeypatch):
    """With no room, and with so little that only the agent finds none: nothing stays, also in the engine."""
    file = copied("engine-refused-full", tmp_path)
    labctl("deploy", file.name)  # the engine has the image
    labctl("destroy", "dc1", "--yes")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounts.mount("tmpfs", str(disk), "tmpfs", data="size=1m")
    monkeypatch.setenv("LABCTL_STATE", str(disk / "state"))
    try:
        small = Instance.here()
        os.makedirs(small.labs_dir)
        for room in (0, 16 << 10):
            fill(disk, keep=room)
            done = labctl("deploy", file.name, check=False)
            make_room(disk)
            assert "error: cannot-write\n" in done.stderr, done.stderr
            assert done.stderr.endswith(
                ": no space left on device\nhint: make room on that file system, then repeat\n"
            )
            assert done.returncode == CODES["cannot-write"][0]
            assert dockerd.containers() == []
            nothing_left(small)
        labctl("deploy", file.name)
        fill(disk)
        labctl("destroy", "dc1", "--yes")
        assert dockerd.containers() == []
        nothing_left(small)
    finally:
        for place in Instance.here().labs():
            cgroup.destroy(place.cgroup)
        mounts.unmount_below(str(disk))


def test_the_engine_of_tests_that_are_killed_goes(tmp_path):
    """Also by SIGKILL: there is a sweeper."""
    script = "import dockerd, time; d = dockerd.Dockerd(); d.start(); print(d.directory, flush=True); time.sleep(600)"
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        directory = tests.stdout.readline().strip()
        assert os.path.isdir(directory)
        tests.kill()
    until(lambda: not os.path.exists(directory), "its directory is gone", 90)
    assert [line for _, line in leftovers.all_mounts() if directory in line] == []


def test_an_engine_that_hangs_is_told_from_one_that_is_not_there(here, dockerd):
    os.kill(dockerd.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LabctlError, match="it does not answer in time") as caught:
            docker_engine.answers(dockerd.url)
        assert caught.value.code == "engine-unreachable"
    finally:
        os.kill(dockerd.process.pid, signal.SIGCONT)


def test_the_engine_of_a_lab_is_the_one_it_was_deployed_on(here, dockerd, monkeypatch):
    spec = LabSpec(name="kept", nodes=(node("r1"),))
    with deployed(here, spec) as place:
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        destroy.destroy(place)
        assert dockerd.containers() == []
        nothing_left(here, [spec])
