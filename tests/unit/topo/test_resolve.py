"""Ports: each rule that finds one, that it says its name, and that it does not guess."""

import pytest
from production import cables, device, ident, interface, kinds, mac, merge, row

from labctl.model.observation import IdKind, LocalPort
from labctl.model.topology import Role
from labctl.topo.ports import canonical, kind_of

R2 = mac(2)


def rule(topology):
    assert len(topology.links) == 1, topology.conflicts
    return topology.links[0].evidence[0].rule


def heard(remote, kind=IdKind.NAME, *, far, **more):
    """r1:eth1 hears a port of r2, whose walk is `far`."""
    return merge(device(1, 1, [row(101, R2, remote, kind=kind, **more)]), far)


@pytest.mark.parametrize(
    ("remote", "kind", "more", "wanted"),
    [
        ("eth2", IdKind.NAME, {}, "remote lldpLocPortId"),
        (mac(2, 2), IdKind.MAC, {}, "remote ifPhysAddress"),
        ("uplink", IdKind.ALIAS, {}, "remote ifAlias"),
        ("Ethernet 2", IdKind.NAME, {}, "remote ifDescr"),
        ("ETH2", IdKind.NAME, {}, "remote canonical-name"),
        ("slot 7", IdKind.LOCAL, {"port_descr": "eth2"}, "remote portDesc"),
        ("12", IdKind.LOCAL, {}, "remote dot1dBasePort"),
        ("502", IdKind.LOCAL, {}, "remote ifIndex"),
        ("bridge1/eth2", IdKind.NAME, {}, "remote last-component"),
    ],
)
def test_each_rule_finds_the_port_and_says_its_name(remote, kind, more, wanted):
    far = device(
        2,
        2,
        interfaces=(
            interface(501, "eth1", mac=mac(2, 1)),
            interface(502, "eth2", descr="Ethernet 2", alias="uplink", mac=mac(2, 2)),
        ),
        base_ports=((12, 502),),
    )
    topology = heard(remote, kind, far=far, **more)
    assert cables(topology) == ["r1:eth1--r2:eth2"]
    assert rule(topology) == f"local lldpLocPortId; {wanted}"


def test_rules_of_less_trust_give_less_confidence():
    ports = (interface(501, "eth1", mac=R2), interface(502, "eth2", mac=mac(2, 2)))
    far = device(2, 2, interfaces=ports, lldp=False)
    by_name, by_index = heard("eth2", far=far), heard("502", IdKind.LOCAL, far=far)
    assert by_name.links[0].confidence > by_index.links[0].confidence


def test_a_port_number_is_not_an_ifindex():
    """localPortNum 1 is the ifIndex of eth9 here, and of no port that heard anything."""
    ports = (interface(1, "eth9"), interface(501, "eth1"))
    local = (LocalPort(number=1, id=ident("eth1")),)
    one = device(1, 2, [row(1, R2, "eth1")], interfaces=ports, local_ports=local)
    assert cables(merge(one, device(2, 1))) == ["r1:eth1--r2:eth1"]


@pytest.mark.parametrize(
    ("local", "wanted"),
    [
        (LocalPort(number=7, id=ident("eth2", IdKind.LOCAL)), "lldpLocPortId"),
        (LocalPort(number=7, id=ident(mac(1, 2), IdKind.MAC)), "lldpLocPortId"),
        (LocalPort(number=7, id=ident("502", IdKind.LOCAL)), "lldpLocPortId"),
        (LocalPort(number=7, id=ident("p7"), descr="eth2"), "lldpLocPortDesc"),
        (LocalPort(number=8, id=ident("p8")), "dot1dBasePort"),
    ],
)
def test_the_local_port_is_resolved_in_order_of_trust(local, wanted):
    ports = (interface(501, "eth1", mac=mac(1, 1)), interface(502, "eth2", mac=mac(1, 2)))
    one = device(1, 2, [row(7, R2, "eth1")], interfaces=ports, local_ports=(local,), base_ports=((7, 502),))
    topology = merge(one, device(2, 1))
    assert cables(topology) == ["r1:eth2--r2:eth1"]
    assert rule(topology).startswith(f"local {wanted};")


def test_a_mac_that_all_ports_share_falls_back_to_the_description():
    shared = tuple(interface(n, f"eth{n}", mac=mac(2)) for n in (1, 2, 3, 4))
    local = tuple(LocalPort(number=n, id=ident(mac(2), IdKind.MAC)) for n in (1, 2, 3, 4))
    far = device(2, 4, interfaces=shared, local_ports=local)
    topology = heard(mac(2), IdKind.MAC, far=far, port_descr="D-Link DGS-3627G Port 4")
    assert cables(topology) == ["r1:eth1--r2:eth4"]
    assert rule(topology).endswith("portDesc-number")


def test_what_the_tables_do_not_tell_the_way_back_does():
    shared = tuple(interface(n, f"eth{n}", mac=mac(2)) for n in (1, 2))
    far = device(2, 2, [row(102, mac(1), "eth1")], interfaces=shared)
    topology = heard(mac(2), IdKind.MAC, far=far)
    assert cables(topology) == ["r1:eth1--r2:eth2"]
    assert topology.links[0].two_sided
    assert any("remote return-port" in e.rule for e in topology.links[0].evidence)


def test_a_port_that_nothing_tells_is_reported_and_not_guessed():
    shared = tuple(interface(n, f"eth{n}", mac=mac(2)) for n in (1, 2))
    topology = heard(mac(2), IdKind.MAC, far=device(2, 2, interfaces=shared))
    assert cables(topology) == []
    assert kinds(topology) == ["port-unresolved"]


def test_a_row_that_does_not_say_which_port_heard_it_draws_nothing():
    topology = merge(device(1, 1, [row(None, R2, "eth1"), row(None, mac(3), "eth1", rem=2)]), device(2, 1))
    assert cables(topology) == []
    assert topology.segments == ()
    assert kinds(topology) == ["local-port-unknown"]


def test_a_row_without_any_identity_is_reported():
    topology = merge(device(1, 1, [row(101, None, "eth1")]))
    assert (cables(topology), kinds(topology)) == ([], ["neighbour-anonymous"])


def test_a_nameless_cdp_row_belongs_to_the_lldp_neighbour_on_the_same_port():
    rows = [row(101, mac(20), "Ethernet1/49"), row(1, None, "Ethernet1/49", protocol="cdp")]
    topology = merge(device(1, 1, rows))
    assert len(topology.links) == 1
    assert topology.conflicts == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Gi1/0/8", "GigabitEthernet1/0/8"),
        ("gi1/0/28", "gigabitethernet 1/0/28"),
        ("Te1/1/4", "TenGigabitEthernet1/1/4"),
        ("Eth1/1", "Ethernet1/1"),
        ("Po10", "Port-channel10"),
    ],
)
def test_long_and_short_names_are_one(one, other):
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Gi1/0/8", "Gi1/0/80"), ("Gi1/0/8", "Te1/0/8"), ("eth1", "eth11")]
)
def test_different_ports_stay_different(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("name", "if_type", "kind"),
    [
        ("lo", 24, "loopback"),
        ("Loopback0", None, "loopback"),
        ("Port-channel1", 161, "lag"),
        ("bond0", 6, "lag"),
        ("Vlan10", 136, "svi"),
        ("irb.23", None, "svi"),
        ("br0", 6, "bridge"),
        ("Tunnel1", 131, "tunnel"),
        ("eth1.100", 6, "subinterface"),
        ("GigabitEthernet1/0/1", 6, ""),
        ("eth1", 6, ""),
        ("local7", 6, ""),
    ],
)
def test_kinds_of_interfaces(name, if_type, kind):
    assert kind_of(name, if_type, {"eth1"}) == kind


@pytest.mark.parametrize("port", ["mgmt0", "Management1", "fxp0", "me0", "em0", "MgmtEth0/0/0"])
def test_management_by_name(port):
    topology = merge(device(1, [port], [row(101, R2, "mgmt0")]), device(2, ["mgmt0"]))
    assert [link.role for link in topology.links] == [Role.MGMT]


def test_eth0_is_management_where_it_was_polled_through_and_data_elsewhere():
    def pair(**more):
        one = device(1, ["eth0", "eth1"], [row(101, R2, "eth0")], addresses=[(1, "192.0.2.1/24")], **more)
        return merge(one, device(2, ["eth0", "eth1"])).links[0].role

    assert pair() is Role.DATA
    assert pair(address="192.0.2.1") is Role.MGMT


def test_eth0_of_a_network_system_is_management():
    topology = merge(device(1, ["eth0", "Ethernet0"], [row(101, R2, "eth1")]), device(2, 1))
    assert topology.links[0].role is Role.MGMT
