"""A lab that containerlab deployed: labctl finds it by its labels, looks into it, listens, runs commands, and changes nothing.

The lab is as containerlab deploys it: containers with its labels on an engine, and veth pairs between their namespaces.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import captured
import pytest
from labs import deployed, instance, node, nothing_left
from rig import until

from labctl.app import graph
from labctl.cli import main
from labctl.linux import netns
from labctl.linux.netlink import Netlink, VethEnd
from labctl.model.lab import LabSpec
from labctl.model.topology import Role

pytestmark = [pytest.mark.root, pytest.mark.docker]

ERRORS = pathlib.Path(__file__).parents[1] / "errors"
IMAGE = "labctl/base:latest"
LABELS = json.loads((ERRORS / "attached-lab.json").read_text())
TALKS = "echo good morning; echo to you; exec sleep 600"
OWN = """
name: mine
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
"""


@pytest.fixture(scope="module")
def here(dockerd, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("cwd"))
        patch.setenv("DOCKER_HOST", dockerd.url)
        yield instance(tmp_path_factory.mktemp("state"), patch, "docker")


@pytest.fixture(scope="module")
def theirs(here, dockerd):
    """a, b and p in a row; g in a's network; `gone` ended at once. Node -> process."""
    with deployed(here, LabSpec(name="seed", nodes=(node("r1"),))):
        pass  # the engine has the image now
    pids = {}
    made = []

    def run(name, *more):
        made.append(f"clab-theirs-{name}")
        labels = LABELS | {"clab-node-name": name, "clab-node-longname": made[-1]}
        given = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        dockerd.docker(
            "run", "-d", "--cap-add", "NET_ADMIN", "--name", made[-1], "--env", f"WHO={name}", *given, *more
        )
        pids[name] = int(dockerd.docker("inspect", "-f", "{{.State.Pid}}", made[-1]))

    try:
        run("a", "--network", "none", "--hostname", "a", IMAGE)
        run("b", "--network", "none", "--hostname", "b", IMAGE)
        run("p", "--network", "none", "--tty", "--entrypoint", "sh", IMAGE, "-c", TALKS)
        run("g", "--network", "container:clab-theirs-a", IMAGE)
        run("gone", "--network", "none", "--entrypoint", "true", IMAGE)
        join((pids["a"], "eth1", "10.9.0.1/30"), (pids["b"], "eth1", "10.9.0.2/30"))
        join((pids["b"], "eth2", "10.9.0.5/30"), (pids["p"], "eth1", "10.9.0.6/30"))
        yield pids
    finally:
        dockerd.docker("rm", "-f", *made, check=False)


def join(*ends):
    """A veth pair between the networks of two processes, up; each end is (process, device, address)."""
    paths = [f"/proc/{pid}/ns/net" for pid, _, _ in ends]
    with netns.opened(paths[0]) as a, netns.opened(paths[1]) as b, Netlink(paths[0]) as inside:
        veth = [
            VethEnd(name=name, netns_fd=fd, mtu=9500) for fd, (_, name, _) in zip((a, b), ends, strict=True)
        ]
        inside.create_veth(*veth)
    for path, (_, name, address) in zip(paths, ends, strict=True):
        with Netlink(path) as inside:
            inside.set_link(name, up=True)
            inside.add_address(inside.index(name), address)


def labctl(*argv, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "labctl", *map(str, argv)],
        check=False, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"labctl {argv}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def known(dockerd):
    """All that the engine knows of their containers."""
    return dockerd.docker("inspect", *(each for each in dockerd.containers() if "theirs" in each))


@contextlib.contextmanager
def capturing(*argv):
    """A capture that has begun; what it said until its end is there when the block is left."""
    with subprocess.Popen(
        [sys.executable, "-m", "labctl", "capture", *argv],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            process.said = process.stderr.readline()
            assert process.said.startswith("capturing "), process.said
            yield process
            process.said += process.communicate(timeout=60)[1]
        finally:
            process.kill()


def test_it_is_looked_at_and_never_touched(here, dockerd, theirs, tmp_path):
    before = known(dockerd)
    shown = labctl("inspect", "-l", "theirs", "-f", "json")
    (a, b, *_, gone, p) = json.loads(shown.stdout)["theirs"]
    assert (a["name"], a["state"], a["kind"], a["owner"]) == ("clab-theirs-a", "running", "linux", "somebody")
    assert (b["absLabPath"], b["ipv4_address"]) == ("/srv/theirs.clab.yml", "N/A")
    assert (gone["state"], p["state"]) == ("exited", "running")
    assert "never removes it" in shown.stderr
    assert labctl("exec", "-l", "theirs", "a", "--", "sh", "-c", "echo $WHO; hostname").stdout == "a\na\n"
    pinged = labctl("exec", "clab-theirs-b", "--", "ping", "-c1", "-W5", "10.9.0.1")
    assert pinged.returncode == 0, "the only lab"
    assert labctl("exec", "a", "--", "sh", "-c", "exit 5", check=False).returncode == 5

    file = tmp_path / "mine.clab.yml"
    file.write_text(OWN)
    labctl("deploy", file)
    listed = json.loads(labctl("inspect", "--all", "-f", "json").stdout)
    assert {lab: len(nodes) for lab, nodes in listed.items()} == {"mine": 1, "theirs": 5}
    labctl("destroy", "--all", "--yes")
    labctl("heal", "--all")
    assert known(dockerd) == before
    nothing_left(here)


REFUSED = [
    ("fault", "add", "link.cut", "a:eth1--b:eth1", "--for", "5s", "-l", "theirs"),
    ("fault", "add", "link.cut", "a:eth1--b:eth1", "--for", "5s"),
    ("fault", "list", "-l", "theirs"),
    ("fault", "clear", "--all", "-l", "theirs"),
    ("apply", "FILE"),
    ("destroy", "theirs", "--yes"),
    ("heal", "-l", "theirs"),
    ("run", "SCENARIO", "-l", "theirs"),
    ("run", "SCENARIO", "-l", "theirs", "--dry-run"),
    ("campaign", "CAMPAIGN", "-l", "theirs"),
    ("compare", "theirs", "--with", "theirs"),
    ("events", "-l", "theirs"),
    ("validate", "SCENARIO", "--lab", "theirs"),
    ("discover", "SCENARIO", "--from", "theirs:a"),
]


def test_what_would_change_it_is_refused(here, dockerd, theirs, tmp_path, capfd):
    root = pathlib.Path(__file__).parents[2]
    (tmp_path / "theirs.clab.yml").write_text(OWN.replace("mine", "theirs"))
    stands = {
        "FILE": tmp_path / "theirs.clab.yml",
        "SCENARIO": root / "scenarios/core-cut.yml",
        "CAMPAIGN": root / "scenarios/campaigns/nightly.yml",
    }
    before = known(dockerd)
    said = {}
    for argv in REFUSED:
        with pytest.raises(SystemExit) as stop:
            main.run([str(stands.get(word, word)) for word in argv])
        said[argv] = (stop.value.code, *capfd.readouterr())
    assert said == dict.fromkeys(REFUSED, (2, "", (ERRORS / "attached-lab.txt").read_text()))
    assert known(dockerd) == before
    assert here.labs() == []


def test_frames_of_a_cable_and_of_a_port_are_captured(theirs, tmp_path):
    cable, port = tmp_path / "cable.pcapng", tmp_path / "port.pcapng"
    with (
        capturing("a:eth1--b:eth1", "-l", "theirs", "-w", str(cable), "--filter", "icmp", "-c", "12") as one,
        capturing("g:eth1", "-w", str(port), "--filter", "icmp", "--direction", "out", "-c", "3") as other,
    ):
        labctl("exec", "a", "--", "ping", "-q", "-c3", "-i0.1", "-W5", "10.9.0.2")
    assert "12 frames, 0 dropped; 12 frames" in one.said
    seen = captured.read(cable.read_bytes())
    assert seen.interfaces == ["a:eth1", "b:eth1"]
    assert {(p, d): len(seen.of(p, d)) for p in seen.interfaces for d in ("in", "out")} == dict.fromkeys(
        [(p, d) for p in seen.interfaces for d in ("in", "out")], 3
    )
    assert seen.of("a:eth1", "out") == seen.of("b:eth1", "in")
    assert [(e.interface, e.direction) for e in seen.frames[:2]] == [("a:eth1", "out"), ("b:eth1", "in")]
    assert "3 frames, 0 dropped" in other.said
    assert captured.read(port.read_bytes()).of("a:eth1") == seen.of("a:eth1", "out"), (
        "a guest's port is its host's"
    )


def test_what_is_not_there_to_be_captured(theirs):
    said = labctl("capture", "a:eth7", "-w", "x.pcapng", check=False)
    assert (said.returncode, "has no cable or port 'a:eth7'" in said.stderr) == (2, True), said.stderr
    assert "did you mean `a:eth1`" in said.stderr
    said = labctl("capture", "gone:eth1", "-w", "x.pcapng", check=False)
    assert "node 'gone' is exited" in said.stderr
    assert not os.path.exists("x.pcapng") or not os.path.getsize("x.pcapng")


def test_its_picture_is_what_the_kernel_has(here, theirs):
    """Also a bridge of the machine; here "the machine" is a namespace, as the machine's own is left alone."""
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as holder:
        home = f"/proc/{holder.pid}/ns/net"
        try:
            until(lambda: netns.inode(home) != netns.inode(), "it has a network of its own")
            with (
                netns.opened(home) as there,
                netns.opened(f"/proc/{theirs['a']}/ns/net") as a,
                Netlink(home) as machine,
            ):
                for device, port, bridge in (("far", "eth9", "br-theirs"), ("mgmt", "eth0", "br-mgmt")):
                    machine.create_veth(VethEnd(name=device, netns_fd=there), VethEnd(name=port, netns_fd=a))
                    machine.create_bridge(bridge)
                    machine.enslave(machine.index(device), machine.index(bridge))
            with netns.inside(home):
                found = graph.load("theirs", here)
        finally:
            holder.kill()
    assert [each.name for each in found.devices] == ["a", "b", "g", "gone", "p"]
    assert [str(each.id) for each in found.links] == ["a:eth1--b:eth1", "b:eth2--p:eth1"]
    assert {s.name: (s.role, list(map(str, s.ports))) for s in found.segments} == {
        "br-theirs": (Role.DATA, ["a:eth9"]),
        "br-mgmt": (Role.MGMT, ["a:eth0"]),
        "network of a": (Role.DATA, ["a:lo", "g:lo"]),
    }
    until(
        lambda: "eth9" not in labctl("exec", "a", "--", "ls", "/sys/class/net").stdout,
        "the namespace is gone",
    )
    drawn = json.loads(labctl("graph", "theirs", "-f", "json").stdout)
    assert drawn["parts"] == [["a", "b", "g", "p"], ["gone"]]


def test_its_logs_and_the_end_of_a_node(dockerd, theirs, tmp_path):
    """Of a node with a terminal, as containerlab gives it. Whoever listens lets go of what has ended."""
    assert labctl("logs", "p", "-l", "theirs").stdout.splitlines() == ["good morning", "to you"]
    assert labctl("logs", "clab-theirs-p", "--tail", "1").stdout.splitlines() == ["to you"]
    assert labctl("logs", "q", check=False).stderr.startswith("error: unknown-node")
    argv = [sys.executable, "-m", "labctl", "logs", "p", "-f"]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as following,
        capturing("b:eth2--p:eth1", "-w", str(tmp_path / "p.pcapng")) as process,
    ):
        try:
            assert following.stdout.readline().strip() == "good morning"
            dockerd.docker("kill", "clab-theirs-p")
            assert following.stdout.read().strip() == "to you"
            assert following.wait(60) == 0
        finally:
            following.kill()
    assert "0 dropped; node p has ended" in process.said
    assert process.returncode == 0
    captured.read((tmp_path / "p.pcapng").read_bytes())
    with Netlink(f"/proc/{theirs['b']}/ns/net") as inside:
        until(lambda: inside.link("eth2") is None, "its cable is gone with it")


def test_an_engine_that_does_not_answer_hides_no_other_error(here, dockerd, theirs, monkeypatch):
    os.kill(dockerd.process.pid, signal.SIGSTOP)
    try:
        said = labctl("fault", "list", "-l", "theirs", check=False)
    finally:
        os.kill(dockerd.process.pid, signal.SIGCONT)
    assert (said.returncode, said.stderr.startswith("error: no-lab")) == (2, True), said.stderr
