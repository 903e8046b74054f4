"""The allocation table: what it gives once it keeps, and a device more changes no other line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.names import IFNAMSIZ, NODE
from labctl.render.allocation import Ports, allocate, node_name, port_names
from labctl.schema import files

port_texts = st.sampled_from(
    (
        "lo",
        "eth0",
        "eth1",
        "eth2",
        "Ethernet1/1",
        "GigabitEthernet0/0/0/1",
        "swp1",
        "xe-0/0/1.100",
        "Loopback0",
        "Gi0/1",
    )
)
device_texts = st.sampled_from(
    ("r1", "R1", "r1.example.com", "core switch", "ä", "x" * 70, "stub", "r-2", "leaf_1")
)
devices = st.lists(
    st.builds(
        Ports,
        device=device_texts,
        ports=st.lists(port_texts, unique=True, max_size=6).map(tuple),
        lo=st.sampled_from(("", "lo", "Loopback0")),
    ),
    unique_by=lambda d: d.device,
    max_size=6,
)


@settings(deadline=None)
@given(devices, st.lists(st.sampled_from(("seg a", "seg-a", "r1")), unique=True))
def test_names_are_valid_and_unique(found, segments):
    table = allocate("lab", found, segments)
    nodes = [entry.node for entry in table.devices.values()] + list(table.segments.values())
    assert len({node.lower() for node in nodes}) == len(nodes)
    assert all(NODE.fullmatch(node) and len(node) <= 48 and node != "stub" for node in nodes)
    addresses = [entry.mgmt_ipv4 for entry in table.devices.values()]
    assert len(set(addresses)) == len(addresses)
    macs = [port.mac for entry in table.devices.values() for port in entry.ports.values()]
    assert len(set(macs)) == len(macs)
    for device in found:
        ports = table.devices[device.device].ports
        names = [port.name for name, port in ports.items()]
        assert len(set(names)) == len(names)
        assert set(ports) == set(device.ports)
        for production, port in ports.items():
            assert (port.name == "lo") == (production == device.lo)
            assert port.name != "eth0"
            assert len(port.name.encode()) <= IFNAMSIZ
            assert "/" not in port.name


@settings(deadline=None)
@given(devices, st.integers(0, 10))
def test_a_device_more_changes_no_other_line(found, at):
    new = Ports(device="new one", ports=("Ethernet1", "lo"), lo="lo")
    before = allocate("lab", found)
    grown = [*found[: at % (len(found) + 1)], new, *found[at % (len(found) + 1) :]]
    after = allocate("lab", grown, known=before)
    assert {name: entry for name, entry in after.devices.items() if name != "new one"} == dict(before.devices)
    old_lines = files.dump(before).splitlines()
    new_lines = files.dump(after).splitlines()
    kept = iter(new_lines)
    assert all(
        line in kept for line in old_lines if line != "devices: {}"
    )  # the same lines, in the same order


@settings(deadline=None)
@given(devices)
def test_the_same_again_is_the_same(found):
    table = allocate("lab", found)
    assert allocate("lab", found, known=table) == table
    assert allocate("lab", found[:1], known=table).devices == table.devices  # who is gone keeps his names
    assert allocate("lab", found) == table


def test_a_port_more_keeps_the_others():
    before = allocate("lab", [Ports(device="r1", ports=("Gi0/0", "Gi0/1"))])
    after = allocate("lab", [Ports(device="r1", ports=("Gi0/9", "Gi0/0", "Gi0/1"))], known=before)
    names = {port: found.name for port, found in after.devices["r1"].ports.items()}
    assert names == {"Gi0/0": "eth1", "Gi0/1": "eth2", "Gi0/9": "eth3"}


def test_all_ports_are_counted_connected_or_not():
    found = port_names(("Loopback0", "Gi0/0/0/1", "Gi0/0/0/2", "Gi0/0/0/3"), "Loopback0", {})
    assert found == {"Loopback0": "lo", "Gi0/0/0/1": "eth1", "Gi0/0/0/2": "eth2", "Gi0/0/0/3": "eth3"}


def test_names_that_linux_allows_stay_and_nobody_takes_them():
    found = port_names(("eth0", "eth1", "Ethernet1/1", "swp1", "aVeryLongPortName0"), "", {})
    assert found == {
        "eth0": "eth2",  # the management interface of a lab node
        "eth1": "eth1",
        "Ethernet1/1": "eth3",
        "swp1": "swp1",
        "aVeryLongPortName0": "eth5",
    }


def test_node_names():
    assert node_name("core switch/1", ()) == "core-switch-1"
    assert node_name("stub", ()) == "stub-2"
    assert node_name("R1", ("r1",)) == "R1-2"
    assert len(node_name("x" * 90, ())) == 48


def test_a_subnet_that_is_too_small():
    with pytest.raises(LabctlError) as caught:
        allocate("lab", [Ports(device=f"r{n}", ports=()) for n in range(3)], mgmt_subnet="10.0.0.0/30")
    assert caught.value.code == "no-address-left"


def test_a_larger_network_gets_a_larger_subnet_and_keeps_it():
    many = [Ports(device=f"r{n:04}", ports=()) for n in range(1000)]
    table = allocate("lab", many)
    assert table.mgmt_subnet == "172.20.16.0/20"
    assert allocate("lab", many[:3], known=table).mgmt_subnet == "172.20.16.0/20"
    assert allocate("lab", many[:3]).mgmt_subnet == "172.20.20.0/24"


def test_another_subnet_moves_addresses_and_nothing_else():
    before = allocate("lab", [Ports(device="r1", ports=("e/1",))])
    after = allocate("lab", [Ports(device="r1", ports=("e/1",))], known=before, mgmt_subnet="10.9.0.0/24")
    assert after.devices["r1"].mgmt_ipv4 == "10.9.0.2"
    assert after.devices["r1"].ports == before.devices["r1"].ports
