"""Which records are one device, and what stops being an identity."""

from dataclasses import replace

from production import cables, config, device, ident, kinds, mac, merge, row

from labctl.model.observation import IdKind


def names(topology):
    return [d.name for d in topology.devices]


def test_a_box_that_was_walked_twice_is_one_device():
    once = device(1, 4, serials=("SN-1234",))
    again = replace(once, key="old-name", where="old-name.snmprec", sys_name="old-name")
    topology = merge(once, again)
    assert names(topology) == ["r1"]
    assert topology.devices[0].sources == ("snmprec r1.snmprec", "snmprec old-name.snmprec")


def test_a_serial_on_two_boxes_with_different_ports_identifies_neither():
    topology = merge(device(1, 4, serials=("SN-1234",)), device(2, 4, serials=("SN-1234",)))
    assert names(topology) == ["r1", "r2"]
    shared = [c for c in topology.conflicts if c.kind == "identity-shared"]
    assert [c.subject for c in shared] == ["serial SN-1234"]
    assert len({d.id for d in topology.devices}) == 2


def test_a_chassis_mac_that_two_boxes_share_draws_no_link():
    twin = mac(9)
    one = device(1, 2, chassis=ident(twin, IdKind.MAC))
    two = device(2, 2, chassis=ident(twin, IdKind.MAC))
    three = device(3, 1, [row(101, twin, "eth1")])
    topology = merge(one, two, three)
    assert [c.subject for c in topology.conflicts if c.kind == "identity-shared"] == [f"mac {twin}"]
    assert cables(topology) == []
    assert "neighbour-anonymous" in kinds(topology)


def test_virtual_router_macs_are_no_identity():
    vrrp = "00:00:5e:00:01:0a"
    one = device(
        1, 1, interfaces=(*device(1, 1).interfaces, replace(device(1, 1).interfaces[0], index=9, mac=vrrp))
    )
    two = device(
        2, 1, interfaces=(*device(2, 1).interfaces, replace(device(2, 1).interfaces[0], index=9, mac=vrrp))
    )
    topology = merge(one, two)
    assert kinds(topology) == []
    assert all(vrrp not in identity for d in topology.devices for identity in d.identities)


def test_two_boxes_of_one_name_keep_their_own_files_names():
    topology = merge(device(1, 1, name="switch"), device(2, 1, name="switch"))
    assert names(topology) == ["r1", "r2"]
    assert kinds(topology) == ["name-shared"]


def test_the_id_survives_a_rename_and_follows_the_hardware():
    before = merge(device(1, 2, serials=("SN-1",), name="old")).devices[0]
    after = merge(device(1, 2, serials=("SN-1",), name="new")).devices[0]
    assert (before.name, after.name) == ("old", "new")
    assert before.id == after.id


def test_a_configuration_joins_the_walk_of_its_name():
    topology = merge(device(1, 1), configs=[config("r1", eth1="10.0.0.1/31")])
    assert names(topology) == ["r1"]
    assert topology.devices[0].interfaces[0].addresses == ("10.0.0.1/31",)
    assert topology.devices[0].interfaces[0].mac == mac(1, 1)


def test_a_configuration_joins_by_short_name_when_that_is_unique():
    topology = merge(device(1, 1, name="r1.example.net"), configs=[config("r1", eth1="10.0.0.1/31")])
    assert names(topology) == ["r1.example.net"]


def test_a_configuration_joins_by_its_addresses():
    walked = device(1, 2, name="renamed", addresses=[(1, "10.0.0.1/31"), (2, "10.0.0.3/31")])
    topology = merge(walked, configs=[config("r9", eth1="10.0.0.1/31", eth2="10.0.0.3/31")])
    assert names(topology) == ["renamed"]


def test_an_address_that_two_boxes_have_is_reported():
    topology = merge(
        device(1, 1, addresses=[(1, "192.0.2.1/24")]), device(2, 1, addresses=[(1, "192.0.2.1/24")])
    )
    assert "address-shared" in kinds(topology)


def test_strangers_of_one_name_and_two_macs_are_two_devices():
    camera = [row(101, mac(20), "eth0", sys_name="axis"), row(102, mac(21), "eth0", sys_name="axis")]
    topology = merge(device(1, 2, camera))
    assert names(topology) == ["r1", "axis", f"axis-{mac(21).replace(':', '')}"]
    assert len(cables(topology)) == 2


def test_a_stranger_without_a_name_is_called_by_its_mac():
    assert names(merge(device(1, 1, [row(101, mac(20), "eth0")])))[1] == "aa00.0000.1400"


def test_cdp_and_lldp_rows_of_one_stranger_are_one_device():
    rows = [
        row(101, mac(20), "Gi1/0/8", sys_name="sw1.example.net"),
        row(1, None, "GigabitEthernet1/0/8", protocol="cdp", sys_name="sw1.example.net"),
    ]
    topology = merge(device(1, 1, rows))
    assert names(topology) == ["r1", "sw1.example.net"]
    assert cables(topology) == ["r1:eth1--sw1.example.net:GigabitEthernet1/0/8"]
    assert {e.source for e in topology.links[0].evidence} == {"lldp", "cdp"}


def test_a_row_is_not_recognised_by_an_address_of_a_box_with_other_hardware():
    """Redacted walks and factory defaults: everybody has 10.1.1.1."""
    heard = row(101, mac(20), "eth0", addresses=("10.1.1.1",))
    topology = merge(device(1, 1, [heard], addresses=[(1, "10.1.1.1/24")]), device(2, 1))
    assert cables(topology) == ["aa00.0000.1400:eth0--r1:eth1"]


def test_mac_and_name_that_point_at_two_devices_are_reported_and_the_mac_counts():
    topology = merge(device(1, 1, [row(101, mac(2), "eth1", sys_name="r3")]), device(2, 1), device(3, 1))
    assert cables(topology) == ["r1:eth1--r2:eth1"]
    assert "identity-disagrees" in kinds(topology)
