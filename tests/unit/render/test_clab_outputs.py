"""containerlab's files for other tools: their shapes, and that any reader takes them for what they say."""

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.names import PortId
from labctl.render import clab_outputs

A = NodeSpec(name="a", image="i:1", group="edge", labels={"ansible-group": "spine", "nornir-group": "x"}, mgmt_ipv4="172.20.20.2", mgmt_ipv6="3fff:172:20:20::2")  # fmt: skip
B = NodeSpec(name="b", image="i:1", labels={"ansible-no-host-var": "true", "nornir-group-2": "z", "nornir-group-1": "y"}, mgmt_ipv4="172.20.20.3")  # fmt: skip
C = NodeSpec(name="c", image="i:1", network_mode="none")
S = NodeSpec(name="sw", kind=NodeKind.BRIDGE)


def end(port, **more):
    return End(port=PortId.parse(port), mac="aa:c1:ab:00:00:01", **more)


LAB = LabSpec(
    name="dc1",
    nodes=(A, B, C, S),
    cables=(
        CableSpec(a=end("a:eth1", ipv4="10.0.0.1/30"), z=end("sw:p1")),
        CableSpec(a=end("a:eth2"), z=None),
    ),
    source="/labs/dc1.clab.yml",
)


def test_topology_data():
    data = json.loads(clab_outputs.texts(LAB, "/labs/clab-dc1", "me")["topology-data.json"])
    assert list(data) == ["name", "type", "clab", "ssh-pub-keys", "nodes", "links"]
    assert (data["name"], data["type"], data["clab"]["config"]["prefix"]) == ("dc1", "clab", "clab")
    assert data["clab"]["config"]["mgmt"]["ipv4-subnet"] == "172.20.20.0/24"
    assert data["nodes"]["b"] == {
        "index": "1",
        "shortname": "b",
        "longname": "clab-dc1-b",
        "fqdn": "b.dc1.io",
        "group": "",
        "labdir": "/labs/clab-dc1/b",
        "kind": "linux",
        "image": "i:1",
        "mgmt-net": "clab",
        "mgmt-intf": "eth0",
        "mgmt-ipv4-address": "172.20.20.3",
        "mgmt-ipv4-prefix-length": 24,
        "mgmt-ipv6-address": "",
        "mgmt-ipv6-prefix-length": 0,
        "mac-address": "",
        "labels": B.labels
        | {
            "containerlab": "dc1",
            "clab-node-name": "b",
            "clab-node-longname": "clab-dc1-b",
            "clab-node-kind": "linux",
            "clab-node-type": "",
            "clab-node-group": "",
            "clab-node-lab-dir": "/labs/clab-dc1/b",
            "clab-topo-file": "/labs/dc1.clab.yml",
            "clab-mgmt-net-bridge": "panel",
            "clab-owner": "me",
            "tool-type": "labctl",
        },
        "port-bindings": [],
    }
    mac = "aa:c1:ab:00:00:01"
    assert data["links"] == [
        {
            "endpoints": {
                "a": {"node": "a", "interface": "eth1", "mac": mac, "ipv4": "10.0.0.1/30", "peer": "z"},
                "z": {"node": "sw", "interface": "p1", "mac": mac, "peer": "a"},
            }
        },
        {"endpoints": {"a": {"node": "a", "interface": "eth2", "mac": mac, "peer": "dummy"}}},
    ]


def test_the_inventory_for_ansible():
    assert clab_outputs.ansible(LAB) == (
        "all:\n"
        "  vars:\n"
        "    # used on the machine of the lab, so through no proxy\n"
        "    ansible_httpapi_use_proxy: false\n"
        "  children:\n"
        "    linux:\n"
        "      hosts:\n"
        "        clab-dc1-a:\n"
        "          ansible_host: 172.20.20.2\n"
        "        clab-dc1-b:\n"
        "        clab-dc1-c:\n"
        "    spine:\n"
        "      hosts:\n"
        "        clab-dc1-a:\n"
        "          ansible_host: 172.20.20.2\n"
    )


def test_the_inventory_for_nornir():
    assert yaml.safe_load(clab_outputs.nornir(LAB)) == {
        "a": {
            "username": None,
            "password": None,
            "platform": "linux",
            "hostname": "172.20.20.2",
            "groups": ["x"],
        },
        "b": {
            "username": None,
            "password": None,
            "platform": "linux",
            "hostname": "172.20.20.3",
            "groups": ["y", "z"],
        },
        "c": {"username": None, "password": None, "platform": "linux", "hostname": None},
    }


def test_lines_for_a_hosts_file():
    assert clab_outputs.hosts_block(LAB) == (
        "###### CLAB-dc1-START ######\n"
        "172.20.20.2\tclab-dc1-a a.dc1.io\n"
        "172.20.20.3\tclab-dc1-b b.dc1.io\n"
        "3fff:172:20:20::2\tclab-dc1-a a.dc1.io\n"
        "###### CLAB-dc1-END ######\n"
    )


NAMES = st.from_regex(r"[a-z0-9][a-zA-Z0-9._-]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(st.dictionaries(NAMES, st.tuples(VALUES, VALUES), max_size=4))
def test_names_stay_what_they_are_for_any_reader(found):
    nodes = tuple(
        NodeSpec(name=name, labels={"ansible-group": group, "nornir-group": other}, mgmt_ipv4="10.0.0.1")
        for name, (group, other) in sorted(found.items())
    )
    lab = LabSpec(name="t", prefix="", nodes=nodes)
    hosts = (yaml.safe_load(clab_outputs.ansible(lab))["all"]["children"] or {}).get("linux", {"hosts": {}})
    assert set(hosts["hosts"]) >= set(found)
    nornir = yaml.safe_load(clab_outputs.nornir(lab)) or {}
    assert {name: each["groups"] for name, each in nornir.items()} == {
        name: [other] for name, (_, other) in found.items()
    }
