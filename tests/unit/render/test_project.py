"""What changes between production's configuration and the lab's, and that it is said."""

from dataclasses import replace

import pytest

from labctl.errors import LabctlError, Problems
from labctl.ingest.frr import parse
from labctl.ingest.ios import parse as parse_ios
from labctl.ingest.redact import Redactor
from labctl.model.policy import Action
from labctl.render.project import Surroundings, project, router_id
from labctl.topo.domains import area_of

TEXT = """
log syslog
interface eth0
 ip address 192.0.2.5/24
interface Loopback0
 ip address 10.255.0.1/32
interface Loopback1
 ip address 10.255.1.1/24
interface Ethernet1/1
 description to r2
 ip address 10.0.0.1/24
interface Ethernet1/2
 ip address 10.0.1.1/24
 ip ospf cost 7
ip route 0.0.0.0/0 192.0.2.1
ip route 10.9.0.0/16 10.0.0.2 Ethernet1/1
router ospf
 network 10.0.0.0/8 area 0
router bgp 65001
 neighbor 10.0.0.2 remote-as 65002
 neighbor 10.0.0.2 update-source Loopback0
 neighbor Ethernet1/2 interface remote-as external
route-map M permit 10
 match interface Ethernet1/1
route-map M permit 20
 match interface Ethernet9
"""
NAMES = {"Loopback0": "lo", "Loopback1": "eth1", "Ethernet1/1": "eth2", "Ethernet1/2": "eth3"}


def config(text=TEXT):
    return parse(text, file="r1.conf", device="r1", redactor=Redactor()).config


def projected(found, *, speeds=None, names=NAMES, mgmt=("eth0",)):
    notes, problems = [], Problems()
    around = Surroundings(names=names, mgmt=mgmt, speeds_bps=speeds or {})
    result = project(found, around, notes, problems)
    problems.stop()
    return result, notes


def test_names_are_the_labs_everywhere():
    found, _ = projected(config())
    assert [i.name for i in found.interfaces] == ["lo", "eth1", "eth2", "eth3"]
    assert [i.description for i in found.interfaces] == ["", "Loopback1", "Ethernet1/1 to r2", "Ethernet1/2"]
    assert found.static_routes[0].interface == "eth2"
    assert [(n.peer, n.update_source) for n in found.bgp.neighbors] == [("10.0.0.2", "lo"), ("eth3", "")]
    values = [entry.matches[0].values for entry in found.route_maps[0].entries]
    assert values == [("eth2",), ("Ethernet9",)]


def test_management_is_taken_out_and_said():
    found, notes = projected(config())
    assert [r.prefix for r in found.static_routes] == ["10.9.0.0/16"]
    assert [(n.kind, n.text, n.where.line) for n in notes if n.kind == "stripped"] == [
        ("stripped", "management interface eth0", 3),
        ("stripped", "static route 0.0.0.0/0 through the management network", 15),
        ("stripped", "syslog (points outwards)", 2),
    ]


def test_networks_of_ospf_become_areas_and_never_take_the_labs_management_in():
    found, notes = projected(config())
    assert found.ospf.networks == ()
    assert [i.ospf.area for i in found.interfaces] == ["0.0.0.0"] * 4
    assert [n.text for n in notes if n.kind == "approximated"] == []

    two = TEXT.replace(" ip ospf cost 7", " ip address 192.0.2.129/25")
    _, notes = projected(config(two))
    assert [n.text for n in notes if n.kind == "approximated"] == [
        "192.0.2.129/25 of Ethernet1/2 is in OSPF too, whose networks do not name it"
    ]


def test_router_ids_are_written_down():
    found, notes = projected(config())
    assert (found.ospf.router_id, found.bgp.router_id) == ("10.255.1.1", "10.255.1.1")
    assert [n.text for n in notes if n.kind == "assumed"] == [
        "router id 10.255.1.1, by the rule of the highest address"
    ]
    stated = config(TEXT.replace("router ospf", "router ospf\n ospf router-id 1.1.1.1"))
    found, _ = projected(stated)
    assert (found.ospf.router_id, found.bgp.router_id) == ("1.1.1.1", "10.255.1.1")


def test_router_id_without_a_loopback_is_the_highest_address_that_is_up():
    interfaces = config(
        "interface eth1\n ip address 10.0.0.9/24\ninterface eth2\n ip address 10.9.0.1/24\n shutdown\n"
    )
    assert router_id(interfaces.interfaces) == "10.0.0.9"
    assert router_id(()) is None


def test_costs_follow_from_productions_speed_unless_stated():
    found, _ = projected(config(), speeds={"Ethernet1/1": 1e9, "Ethernet1/2": 1e9, "Loopback0": 1e9})
    assert [i.ospf.cost for i in found.interfaces] == [None, None, 100, 7]
    slow = config(TEXT.replace("description to r2", "bandwidth 10"))
    found, _ = projected(slow, speeds={"Ethernet1/1": 1e9})
    assert found.interfaces[2].ospf.cost == 10000


def test_a_second_loopback_stays_quiet_and_is_announced_as_a_host_route():
    found, notes = projected(config())
    lo, second = found.interfaces[:2]
    assert (lo.ospf.network_type, lo.ospf.passive) == ("loopback", False)
    assert (second.ospf.network_type, second.ospf.passive) == ("point-to-multipoint", True)
    assert [n.text for n in notes if n.kind == "approximated"] == []


def test_areas_in_both_places_become_areas_of_interfaces():
    both = config(
        TEXT.replace("ip ospf cost 7", "ip ospf area 5").replace(
            "area 0", "area 0\n network 10.0.0.0/24 area 3"
        )
    )
    found, _ = projected(both)
    assert found.ospf.networks == ()
    assert [i.ospf.area for i in found.interfaces] == ["0.0.0.0", "0.0.0.0", "0.0.0.3", "0.0.0.5"]
    assert area_of(both.interface("eth0"), both.ospf) is None


def test_an_interface_that_the_device_does_not_have():
    text = "ip route 10.0.0.0/8 eth9\nrouter bgp 1\n neighbor 10.0.0.2 remote-as 2\n neighbor 10.0.0.2 update-source eth8\n"
    with pytest.raises(LabctlError) as caught:
        projected(config(text), names={})
    assert [(e.code, e.where.line) for e in caught.value.each] == [
        ("undefined-interface", 1),
        ("undefined-interface", 3),
    ]


UNDEFINED = """
router bgp 1
 neighbor 10.0.0.2 remote-as 2
 neighbor 10.0.0.2 route-map GONE in
 neighbor 10.0.0.2 prefix-list PGONE out
 neighbor 10.0.0.2 filter-list AGONE out
 neighbor 10.0.0.2 route-map HERE out
route-map HERE permit 10
 match ip address prefix-list MGONE
 match tag 5
"""


def test_what_a_missing_policy_does_is_the_source_vendors_choice():
    denies = config(UNDEFINED)
    found, _ = projected(denies, names={})
    assert found.route_maps == denies.route_maps  # FRR denies by itself
    rules = replace(
        denies.undefined,
        route_map=Action.PERMIT,
        prefix_list=Action.PERMIT,
        as_path_list=Action.PERMIT,
        match=Action.PERMIT,
    )
    found, _ = projected(replace(denies, undefined=rules), names={})
    maps = {m.name: m.entries for m in found.route_maps}
    assert maps["GONE"][0].action is Action.PERMIT
    assert [m.kind for m in maps["HERE"][0].matches] == ["tag"]
    assert [(p.name, p.entries[0].prefix, p.entries[0].le) for p in found.prefix_lists] == [
        ("PGONE", "0.0.0.0/0", 32)
    ]
    assert [(a.name, a.entries[0].regex) for a in found.as_path_lists] == [("AGONE", ".*")]


def test_groups_of_hsrp_become_numbers_that_vrrp_has():
    text = (
        "interface GigabitEthernet0/0\n ip address 10.0.0.2 255.255.255.0\n standby ip 10.0.0.1\n standby 999 ip 10.0.0.3\n"
        " vrrp 7 ip 10.0.0.4\n standby 7 ip 10.0.0.5\n"
        "interface GigabitEthernet0/1\n ip address 10.1.0.2 255.255.255.0\n standby 12 ip 10.1.0.1\n"
    )
    found = parse_ios(text, file="r1.cfg", device="r1", redactor=Redactor()).config
    names = {"GigabitEthernet0/0": "eth1", "GigabitEthernet0/1": "eth2"}
    found, notes = projected(found, names=names, mgmt=())
    one, other = found.interfaces
    assert {v.addresses: v.group for v in one.virtual_routers} == {
        ("10.0.0.4",): 7,
        ("10.0.0.1",): 255,
        ("10.0.0.5",): 8,
        ("10.0.0.3",): 234,
    }
    assert [v.group for v in other.virtual_routers] == [12]
    assert [n.text for n in notes if n.kind == "approximated"] == [
        "GigabitEthernet0/0: HSRP group 0 is VRRP group 255",
        "GigabitEthernet0/0: HSRP group 7 is VRRP group 8",
        "GigabitEthernet0/0: HSRP group 999 is VRRP group 234",
    ]
