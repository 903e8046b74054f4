"""From a node to `config.json`: what it runs, as whom, with what, and what is kept from it."""

import pytest

from labctl.model.lab import Bind, CableSpec, End, LabSpec, Limits, NodeKind, NodeSpec
from labctl.names import PortId
from labctl.runtime import bundle, mgmt
from labctl.runtime.images import Image

IMAGE = Image(
    ref="x", digest="0", rootfs="/", cmd=("serve", "--all"), entrypoint=("/init",),
    env=(("PATH", "/opt/bin"), ("A", "image")), workdir="/srv",
)  # fmt: skip


def config(node, **more):
    values = {
        "who": bundle.User(), "rootfs": "/r", "netns": "/n", "cgroup": "labctl-0/x/r1",
        "nofile": 1024, "tun": True, "held": (1 << 41) - 1,
    } | more  # fmt: skip
    return bundle.config(LabSpec(name="x", nodes=(node,)), node, IMAGE, **values)


@pytest.mark.parametrize(
    ("node", "argv"),
    [
        (NodeSpec(name="r"), ("/init", "serve", "--all")),
        (NodeSpec(name="r", cmd=("sh",)), ("/init", "sh")),
        (NodeSpec(name="r", entrypoint=("/mine",)), ("/mine",)),
        (NodeSpec(name="r", entrypoint=(), cmd=("sh", "-c", "x")), ("sh", "-c", "x")),
    ],
)
def test_entrypoint_and_command_combine_as_in_docker(node, argv):
    assert bundle.argv(node, IMAGE) == argv


def test_environment_of_image_containerlab_and_node():
    node = NodeSpec(name="r1", env={"A": "node"}, labels={"my.label-x": "1"})
    cables = (
        CableSpec(a=End(port=PortId("r1", "eth1"), mac=""), z=End(port=PortId("r1", "eth2"), mac="")),
        CableSpec(a=End(port=PortId("r2", "eth1"), mac=""), z=None),
    )
    env = bundle.environment(LabSpec(name="x", nodes=(node,), cables=cables), node, IMAGE)
    no_proxy = "localhost,127.0.0.1,::1,*.local,172.20.20.0/24,3fff:172:20:20::/64,r1"
    assert env == {
        "PATH": "/opt/bin", "HOSTNAME": "r1", "CLAB_INTFS": "2", "CLAB_LABEL_MY_LABEL_X": "1", "A": "node",
        "NO_PROXY": no_proxy, "no_proxy": no_proxy,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("env", "first"),
    [
        ({}, "localhost,127.0.0.1,::1,*.local"),
        ({"NO_PROXY": "x.example"}, "x.example,localhost,127.0.0.1,::1,*.local"),
        ({"NO_PROXY": "x.example", "no_proxy": "y"}, "y,localhost,127.0.0.1,::1,*.local"),
        ({"no_proxy": "::1,my-localhost"}, "::1,my-localhost,127.0.0.1,*.local"),
        ({"no_proxy": ""}, "localhost,127.0.0.1,::1,*.local"),
    ],
)
def test_what_needs_no_proxy_is_as_containerlab_says(env, first):
    spec = LabSpec(
        name="x",
        nodes=(
            NodeSpec(name="a", env=env),
            NodeSpec(name="b", mgmt_ipv6="3fff:172:20:20::9"),
            NodeSpec(name="c", mgmt_ipv4="172.20.20.9"),
            NodeSpec(name="s", kind=NodeKind.BRIDGE),
        ),
    )
    rest = "172.20.20.0/24,172.20.20.9,3fff:172:20:20::/64,3fff:172:20:20::9,a,b,c,s"
    for lab in (spec, mgmt.assign(spec), mgmt.assign(mgmt.keep(spec, mgmt.assign(spec)))):
        told = bundle.told(lab, lab.node("a"))
        assert told["no_proxy"] == told["NO_PROXY"] == f"{first},{rest}", (
            "addresses that labctl chose are not named"
        )


@pytest.fixture
def rootfs(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/root:/bin/sh\nfrr:x:101:102:FRR:/var:/bin/false\nbroken\n"
    )
    (tmp_path / "etc/group").write_text("root:x:0:\nfrr:x:102:\nfrrvty:x:103:frr,other\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "who"),
    [
        ("", bundle.User()),
        ("root", bundle.User()),
        ("frr", bundle.User(uid=101, gid=102, groups=(103,))),
        ("101", bundle.User(uid=101, gid=102, groups=(103,))),
        ("frr:frrvty", bundle.User(uid=101, gid=103)),
        ("4000:5000", bundle.User(uid=4000, gid=5000)),
        ("4000", bundle.User(uid=4000)),
    ],
)
def test_users_are_the_images(rootfs, wanted, who):
    assert bundle.user(wanted, rootfs) == who


@pytest.mark.parametrize("wanted", ["nobody", "frr:nogroup"])
def test_unknown_users_are_an_error(rootfs, wanted):
    with pytest.raises(KeyError):
        bundle.user(wanted, rootfs)


def test_what_leads_out_of_a_node_is_kept_from_it():
    spec = config(NodeSpec(name="r1"))
    bounding = set(spec["process"]["capabilities"]["bounding"])
    out = {"SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "SYS_TIME", "DAC_READ_SEARCH", "SYSLOG", "MAC_ADMIN"}
    assert bounding.isdisjoint(f"CAP_{name}" for name in out)
    assert {"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"} <= bounding
    assert {"type": "network", "path": "/n"} in spec["linux"]["namespaces"]
    assert {"type": "cgroup"} in spec["linux"]["namespaces"]
    assert not [m for m in spec["mounts"] if m["type"] == "bind"]
    assert spec["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    # The command that enters later has the same limits as the node's own processes.
    assert set(bundle.dropped(NodeSpec(name="r1"))) == set(range(41)) - {
        bundle.CAPABILITIES[name] for name in bounding
    }


def test_capabilities_that_labctl_itself_lacks_are_not_asked_for():
    held = (1 << 41) - 1 & ~(1 << bundle.CAPABILITIES["CAP_SYS_RESOURCE"])
    capabilities = config(NodeSpec(name="r1"), held=held)["process"]["capabilities"]
    assert "CAP_SYS_RESOURCE" not in capabilities["bounding"]


def test_another_user_starts_without_capabilities():
    spec = config(NodeSpec(name="r1"), who=bundle.User(uid=101))
    assert spec["process"]["capabilities"]["effective"] == []


def test_binds_limits_and_sysctls():
    node = NodeSpec(
        name="r1",
        binds=(Bind(source="/a", target="/b", options=("ro", "Z")),),
        limits=Limits(cpu=0.5, memory_bytes=1 << 20, pids=64),
        sysctls={"net.ipv4.ip_forward": "1", "kernel.msgmax": "65536"},
    )
    spec = config(node)
    assert spec["mounts"][-1] == {
        "destination": "/b", "type": "bind", "source": "/a", "options": ["rbind", "rprivate", "ro"],
    }  # fmt: skip
    resources = spec["linux"]["resources"]
    assert resources["cpu"] == {"quota": 50_000, "period": 100_000}
    assert resources["memory"] == {"limit": 1 << 20, "swap": 1 << 20}
    assert resources["pids"] == {"limit": 64}
    assert spec["linux"]["sysctl"] == {"kernel.msgmax": "65536"}, "the panel writes those of the network"


def test_limits_of_input_and_output_are_per_disk():
    limits = Limits(read_bps=1 << 20, write_iops=9)
    throttled = bundle.limited(limits, ("8:0", "254:16"))["blockIO"]
    assert throttled == {
        "throttleReadBpsDevice": [
            {"major": 8, "minor": 0, "rate": 1 << 20},
            {"major": 254, "minor": 16, "rate": 1 << 20},
        ],
        "throttleWriteIOPSDevice": [
            {"major": 8, "minor": 0, "rate": 9},
            {"major": 254, "minor": 16, "rate": 9},
        ],
    }
    assert "blockIO" not in bundle.limited(limits)
    assert "blockIO" not in bundle.limited(Limits(), ("8:0",))


def test_hosts_name_every_managed_node_and_the_node_itself():
    a, b, c = NodeSpec(name="a", hostname="edge"), NodeSpec(name="b"), NodeSpec(name="c", network_mode="none")
    spec = mgmt.assign(LabSpec(name="x", nodes=(a, b, c)))
    assert bundle.hosts(spec, spec.node("a")).splitlines() == [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        "172.20.20.2 a clab-x-a a.x.io edge",
        "3fff:172:20:20::2 a clab-x-a a.x.io edge",
        "172.20.20.3 b clab-x-b b.x.io",
        "3fff:172:20:20::3 b clab-x-b b.x.io",
    ]
    assert "127.0.1.1 c" in bundle.hosts(spec, spec.node("c"))


def test_guests_of_a_nodes_network_are_known_by_its_address():
    nodes = (
        NodeSpec(name="a", aliases=("www",)),
        NodeSpec(name="b", network_mode="container:a", aliases=("db",)),
        NodeSpec(name="br0|a", kind=NodeKind.BRIDGE, network_mode="container:a"),
    )
    spec = mgmt.assign(LabSpec(name="x", nodes=nodes))
    assert "172.20.20.2 a clab-x-a a.x.io www b db" in bundle.hosts(spec, spec.node("b")).splitlines()
