"""Management addresses: kept when given, lowest free otherwise, the same every time."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.model.lab import LabSpec, MgmtSpec, NodeKind, NodeSpec
from labctl.runtime import mgmt


def lab(*nodes, **subnets):
    return LabSpec(name="x", nodes=tuple(nodes), mgmt=MgmtSpec(**subnets))


def addresses(spec):
    return {node.name: (node.mgmt_ipv4, node.mgmt_ipv6) for node in mgmt.assign(spec).nodes}


def test_the_first_is_dot_two_and_given_ones_are_left_out():
    found = addresses(
        lab(NodeSpec(name="a"), NodeSpec(name="b", mgmt_ipv4="172.20.20.2"), NodeSpec(name="c"))
    )
    assert found == {
        "a": ("172.20.20.3", "3fff:172:20:20::2"),
        "b": ("172.20.20.2", "3fff:172:20:20::3"),
        "c": ("172.20.20.4", "3fff:172:20:20::4"),
    }


def test_bridges_and_nodes_without_the_network_get_none():
    found = addresses(lab(NodeSpec(name="a", network_mode="none"), NodeSpec(name="s", kind=NodeKind.BRIDGE)))
    assert set(found.values()) == {(None, None)}


@given(st.integers(0, 200), st.sets(st.integers(2, 254), max_size=40))
def test_no_two_nodes_share_an_address(count, given_hosts):
    given_nodes = [NodeSpec(name=f"g{h}", mgmt_ipv4=f"10.0.0.{h}") for h in given_hosts]
    spec = lab(*(NodeSpec(name=f"n{i}") for i in range(count)), *given_nodes, ipv4_subnet="10.0.0.0/23")
    found = [ipv4 for ipv4, _ in addresses(spec).values()]
    assert len(set(found)) == len(found)
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network("10.0.0.0/23") for each in found)


def test_a_subnet_that_is_too_small_is_an_error():
    with pytest.raises(LabctlError, match="no address left"):
        mgmt.assign(lab(*(NodeSpec(name=f"n{i}") for i in range(6)), ipv4_subnet="10.0.0.0/29"))


def test_the_broadcast_address_is_nobodys():
    found = addresses(lab(*(NodeSpec(name=f"n{i}") for i in range(5)), ipv4_subnet="10.0.0.0/29"))
    assert [ipv4 for ipv4, _ in found.values()] == [f"10.0.0.{i}" for i in range(2, 7)]


def test_the_mac_depends_on_names_alone_and_is_locally_administered():
    a, b = NodeSpec(name="a"), NodeSpec(name="b")
    assert mgmt.mac(lab(a), a) == mgmt.mac(lab(a, b), a) != mgmt.mac(lab(b), b)
    assert int(mgmt.mac(lab(a), a)[:2], 16) & 0b11 == 0b10


def test_addresses_come_from_the_range_and_never_the_gateways():
    found = addresses(
        lab(
            *(NodeSpec(name=name) for name in "ab"),
            ipv4_subnet="10.0.0.0/24",
            ipv4_range="10.0.0.252/30",
            ipv4_gateway="10.0.0.253",
            ipv6_gateway="3fff:172:20:20::2",
        )
    )
    assert found == {"a": ("10.0.0.252", "3fff:172:20:20::3"), "b": ("10.0.0.254", "3fff:172:20:20::4")}
