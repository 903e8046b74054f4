"""What an engine is asked for, and what is made of its answers; no engine is needed."""

import doctest
import os
import shutil
import sys

import pytest

from labctl.errors import LabctlError
from labctl.model.lab import Bind, LabSpec, Limits, NodeSpec
from labctl.runtime import docker_container, docker_engine, docker_gate, docker_images, docker_look
from labctl.runtime.bundle import User
from labctl.runtime.images import Image

IMAGE = Image(ref="labctl/base", digest="ab", rootfs="", entrypoint=("/start",), env=(("A", 'a "b"'),))


@pytest.mark.parametrize("module", [docker_engine, docker_images])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def body(node, who=User(), **more):  # noqa: B008
    lab = LabSpec(name="dc1", nodes=(node,), source="/srv/dc1.clab.yml")
    given = {
        "reference": "labctl/base:latest", "who": who, "program": "/start", "home": "/home/r1", "netns": "/ns/r1",
        "gate": "/bin/busybox", "cgroup_parent": "/labctl-1/dc1/r1", "tag": "1234abcd", "owner": "me",
        "nofile": 1024, "held": (1 << 41) - 1, "tun": False,
    }  # fmt: skip
    return docker_container.body(lab, node, IMAGE, **(given | more))


def test_the_gate_stands_before_the_command():
    asked = body(NodeSpec(name="r1", cmd=("-x",)))
    assert asked["Entrypoint"] == ["/dev/labctl/busybox", "nsenter", "--net=/dev/labctl/net", "--"]
    assert asked["Cmd"] == ["/start", "-x"]
    assert asked["User"] == "0:0"
    binds = {each["Target"]: each["Source"] for each in asked["HostConfig"]["Mounts"]}
    assert binds["/dev/labctl/net"] == "/ns/r1"
    assert asked["HostConfig"]["NetworkMode"] == "none"


def test_another_user_is_become_behind_the_gate():
    asked = body(NodeSpec(name="r1"), User(uid=101, gid=102, groups=(7, 8)))
    assert asked["Entrypoint"][3:] == ["-S", "101", "--"]
    assert (asked["User"], asked["HostConfig"]["GroupAdd"]) == ("0:102", ["7", "8"])


def test_a_nodes_own_binds_and_tmpfs_replace_ours():
    bind = Bind(source="/srv/hosts", target="/etc/hosts", options=("ro",))
    asked = body(NodeSpec(name="r1", binds=(bind,), tmpfs={"/run": "size=1m"}))
    binds = [each for each in asked["HostConfig"]["Mounts"] if each["Target"] in ("/etc/hosts", "/run")]
    assert [(each["Source"], each["ReadOnly"]) for each in binds] == [("/srv/hosts", True)]
    assert asked["HostConfig"]["Tmpfs"]["/run"] == "size=1m"


def test_no_node_is_privileged_nor_has_what_its_maker_lacks():
    host = body(NodeSpec(name="r1"), held=1 << 12)["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["CAP_NET_ADMIN"])
    assert "Privileged" not in host
    assert "CAP_SYS_MODULE" not in body(NodeSpec(name="r1"))["HostConfig"]["CapAdd"]
    assert "CAP_BPF" not in body(NodeSpec(name="r1"))["HostConfig"]["CapAdd"]


def test_labels_are_containerlabs_and_one_is_ours():
    found = body(NodeSpec(name="r1", labels={"site": "a", "containerlab": "other"}))["Labels"]
    assert found["containerlab"] == "dc1", "a label of a node cannot hide its container from clean-up"
    assert (found["clab-node-longname"], found["labctl-instance"], found["site"]) == (
        "clab-dc1-r1",
        "1234abcd",
        "a",
    )


def test_limits():
    limits = Limits(cpu=0.5, memory_bytes=1 << 26, pids=7)
    assert docker_container.limited(limits) == {
        "CpuPeriod": 100_000, "CpuQuota": 50_000, "Memory": 1 << 26, "MemorySwap": 1 << 26, "PidsLimit": 7,
    }  # fmt: skip
    rates = docker_container.throttled(Limits(write_bps=5000), ("/dev/sda",))
    assert rates == {"BlkioDeviceWriteBps": [{"Path": "/dev/sda", "Rate": 5000}]}
    lifted = docker_container.limited(Limits(), there=True)
    assert lifted.pop("Memory") > 1 << 62, "engines refuse -1 here"
    assert {v for k, v in lifted.items() if k != "CpuPeriod"} == {-1}


def test_an_image_is_described_as_a_dockerfile_would():
    assert docker_images.instructions(IMAGE) == [
        "LABEL labctl-digest=ab", "WORKDIR /", 'ENV A="a \\"b\\""', 'ENTRYPOINT ["/start"]',
    ]  # fmt: skip


def test_a_program_is_found_as_execvp_finds_it(tmp_path):
    for name in ("usr/local/bin/sh", "usr/bin/sh"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    (tmp_path / "usr/bin/sh").chmod(0o755)
    (tmp_path / "bin").symlink_to("/usr/bin")  # as its own root sees it
    image = Image(ref="x", digest="", rootfs=str(tmp_path), env=(("PATH", "/usr/local/bin:/bin"),))
    made = []

    def make(who, program):
        made.append((who, program))
        return "id"

    def create(node):
        lab = LabSpec(name="dc1", nodes=(node,))
        return docker_look.create(None, lab, node, image, home="", make=make)  # type: ignore[arg-type]

    assert create(NodeSpec(name="r1", user="0:0", cmd=("sh",))) == ("id", User())
    create(NodeSpec(name="r1", user="0:0", cmd=("/any/where",)))
    create(NodeSpec(name="r1", user="0:0", cmd=("tool",), binds=(Bind(source="/x", target="/bin/tool"),)))
    assert [program for _, program in made] == ["/bin/sh", "/any/where", "/bin/tool"]
    with pytest.raises(LabctlError, match="has no 'vtysh' in its PATH"):
        create(NodeSpec(name="r1", user="0:0", cmd=("vtysh",)))


def test_a_dynamic_busybox_is_no_gate(tmp_path, monkeypatch):
    shutil.copy(os.path.realpath(sys.executable), tmp_path / "busybox")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabctlError) as caught:
        docker_gate.program()
    assert (caught.value.code, caught.value.hint) == ("tool-missing", "apt-get install busybox-static")


def test_a_network_address_is_no_engine_of_this_machine():
    with pytest.raises(LabctlError) as caught:
        docker_engine.answers("ssh://host")
    assert caught.value.code == "engine-unfit"
