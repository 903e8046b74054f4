"""What goes into the table. That it holds is shown in tests/system/test_guarded.py."""

import json

from labctl.agent import guarded
from labctl.linux import nft
from labctl.model.lab import Bind, CableSpec, End, LabSpec, NodeSpec
from labctl.names import PortId


def test_addresses_known_from_the_labs_files(tmp_path):
    conf = tmp_path / "r1.conf"
    conf.write_text(
        "interface eth1\n ip address 198.51.100.1/24\n ip address 198.51.100.129/25 secondary\n"
        " ipv6 address 2001:DB8::1/64\n ipv6 address fe80::1/64\n"
        "interface lo\n ip address 192.0.2.1/32\n ip address 127.0.0.2/8\n ip address 999.1.1.1/24\n"
        "ip prefix-list p permit 203.0.113.0/24\n"
    )
    other = tmp_path / "hosts"
    other.write_text(" ip address 203.0.113.9/24\n")
    binds = (
        Bind(source=str(conf), target="/etc/frr/frr.conf"),
        Bind(source=str(other), target="/etc/hosts"),
        Bind(source=str(tmp_path / "absent"), target="/other/frr.conf"),
    )
    a = End(port=PortId("r1", "eth2"), mac="02:00:00:00:00:01", ipv4="10.0.0.1/31", ipv6="2001:db8:1::1/127")
    z = End(port=PortId("r2", "eth2"), mac="02:00:00:00:00:02")
    nodes = (
        NodeSpec(name="r1", binds=binds, mgmt_ipv4="172.20.20.2", mgmt_ipv6="3fff::2"),
        NodeSpec(name="r2"),
    )
    lab = LabSpec(name="l", nodes=nodes, cables=(CableSpec(a=a, z=z), CableSpec(a=z, z=None)))
    assert guarded.known(lab) == {
        "198.51.100.1",
        "198.51.100.129",
        "2001:db8::1",
        "192.0.2.1",
        "10.0.0.1",
        "2001:db8:1::1",
        "172.20.20.2",
        "3fff::2",
    }


def test_the_script_replaces_the_table_and_names_nothing_else():
    lines = guarded.script("labctl-x-l", {"2001:db8::1", "198.51.100.2", "198.51.100.1"}).splitlines()
    assert lines[:3] == [
        "add table inet labctl-x-l",
        "delete table inet labctl-x-l",
        "table inet labctl-x-l {",
    ]
    assert lines[-2:] == [
        "add element inet labctl-x-l ipv4 { 198.51.100.1, 198.51.100.2 }",
        "add element inet labctl-x-l ipv6 { 2001:db8::1 }",
    ]
    drops = [line for line in lines if "drop" in line]
    assert len(drops) == 2
    assert all("unreachable" in line and "daddr @" in line and "counter" in line for line in drops)


def test_no_addresses_are_no_elements():
    assert "element" not in guarded.script("t", set())


def test_what_nft_says_is_read():
    said = {
        "nftables": [
            {"metainfo": {"json_schema_version": 1}},
            {"table": {"family": "inet", "name": "t"}},
            {"chain": {"family": "inet", "table": "t", "name": "output", "hook": "output"}},
            {"rule": {"family": "inet", "table": "t", "chain": "output", "expr": []}},
            {"rule": {"family": "inet", "table": "t", "chain": "output", "expr": []}},
            {"set": {"name": "ipv4", "elem": ["192.0.2.1"]}},
            {"set": {"name": "ipv6"}},
            {"counter": {"name": "kept", "packets": 3, "bytes": 9}},
        ]
    }
    assert nft.parse(json.dumps(said)) == nft.Table(
        hooks={"output": "output"},
        rules={"output": 2},
        sets={"ipv4": frozenset({"192.0.2.1"}), "ipv6": frozenset()},
        counters={"kept": 3},
    )
