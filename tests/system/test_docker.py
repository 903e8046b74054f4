"""What is Docker's own: its containers as others see them, and what happens when the engine or somebody else interferes."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from labs import deployed, instance, line, node, nothing_left
from rig import until

from labctl.app import deploy
from labctl.errors import LabctlError, render
from labctl.linux import cgroup
from labctl.model.lab import Bind, LabSpec, Limits
from labctl.run import destroy, limits
from labctl.run.restart import restart
from labctl.runtime import docker_engine
from labctl.runtime.base import NodeState
from labctl.runtime.docker import DockerRuntime

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


def labctl(*argv, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "labctl", *map(str, argv)],
        check=False, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"labctl {argv}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


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


def test_an_image_that_nobody_has(here, file):
    file.write_text(FILE.replace("labctl/base", "example/none:7"))
    said = labctl("deploy", file, "--dry-run", check=False)
    assert said.returncode == 3
    assert "neither in the Docker engine at unix://" in said.stderr
    assert here.labs() == []


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


def test_an_engine_that_dies_half_way_through_a_deploy(here, dockerd, tmp_path):
    with deployed(here, LabSpec(name="seed", nodes=(node("r1"),))):
        pass
    with subprocess.Popen(
        [sys.executable, "-m", "labctl", "deploy", str(big(tmp_path))],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            until(lambda: len(dockerd.containers()) >= 2, "it has begun")
            dockerd.kill()
            said = process.communicate(timeout=200)[1]
        finally:
            dockerd.start()
    assert (process.returncode, "error: engine-unreachable" in said) == (6, True), said
    labctl("heal")
    assert dockerd.containers() == []
    nothing_left(here)


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
