"""What other vendors say in one line and FRR in several."""

from labctl.ingest.eos import parse as parse_eos
from labctl.ingest.frr import parse as parse_frr
from labctl.ingest.ios import parse as parse_ios
from labctl.ingest.redact import Redactor
from labctl.model.policy import Action, Afi, OnMatch
from labctl.render.plain import (
    classful_sources,
    connected_of_ospf,
    contributors,
    single_values,
    without_lab_network,
)


def ios(text):
    return parse_ios(text, file="r.cfg", device="r", redactor=Redactor()).config


def entries(config, name):
    found = next(m for m in config.route_maps if m.name == name)
    return [(e.seq, [m.values for m in e.matches], e.on_match, e.goto) for e in found.entries]


def test_each_value_gets_an_entry_and_the_others_keep_their_order():
    text = (
        "route-map A permit 10\n match ip address 1 2\n match tag 5\n continue\n"
        "route-map A deny 20\n match as-path 7\nroute-map A permit 30\n continue 40\nroute-map A permit 40\n"
        "route-map B permit 10\n match ip address 1\n"
    )
    found = single_values(ios(text))
    assert entries(found, "A") == [
        (1, [("1",), ("5",)], OnMatch.GOTO, 3),
        (2, [("2",), ("5",)], OnMatch.NEXT, None),
        (3, [("7",)], OnMatch.STOP, None),
        (4, [], OnMatch.GOTO, 5),
        (5, [], OnMatch.STOP, None),
    ]
    assert entries(found, "B") == [(10, [("1",)], OnMatch.STOP, None)]


def test_entries_with_numbers_that_frr_does_not_have_are_numbered_anew():
    text = "route-map A permit 10\n   continue 70000\nroute-map A deny 50000\nroute-map A permit 70000\n"
    found = single_values(parse_eos(text, file="r.cfg", device="r", redactor=Redactor()).config)
    assert [(e.seq, str(e.action), e.goto) for e in found.route_maps[0].entries] == [
        (1, "permit", 3),
        (2, "deny", None),
        (3, "permit", None),
    ]


def test_without_subnets_only_classful_networks_are_redistributed():
    found = classful_sources(
        ios(
            "router ospf 1\n redistribute static route-map S\n redistribute connected subnets\n redistribute rip\n"
            "route-map S permit 10\n"
        )
    )
    assert {r.source: (r.route_map, r.classful) for r in found.ospf.redistribute} == {
        "static": ("labctl-classful-S", False),
        "connected": ("", False),
        "rip": ("labctl-classful", False),
    }
    assert {m.name: m.entries[0].call for m in found.route_maps} == {
        "S": "",
        "labctl-classful-S": "S",
        "labctl-classful": "",
    }
    (classes,) = found.prefix_lists
    assert [(e.prefix, e.ge, e.le) for e in classes.entries] == [
        ("0.0.0.0/1", 8, 8),
        ("128.0.0.0/2", 16, 16),
        ("192.0.0.0/3", 24, 24),
    ]


def test_without_subnets_a_map_that_is_nowhere_defined_lets_nothing_through():
    found = classful_sources(ios("router ospf 1\n redistribute static route-map NOWHERE\n"))
    (made,) = found.route_maps
    assert [(e.action, e.call) for e in made.entries] == [(Action.DENY, "")]


GUARDED = """\
router bgp 1
 redistribute connected route-map M
 redistribute static
 redistribute kernel
router ospf
 redistribute connected
 redistribute kernel route-map NOWHERE
route-map M permit 10
route-map labctl-data deny 5
"""


def test_what_only_the_lab_has_is_redistributed_nowhere():
    found = without_lab_network(
        parse_frr(GUARDED, file="r.conf", device="r", redactor=Redactor()).config, "eth0"
    )
    (v4, *_) = found.bgp.families
    assert {r.source: r.route_map for r in v4.redistribute} == {
        "connected": "labctl-data-M",
        "static": "",
        "kernel": "labctl-data-",  # production has a map of the shorter name
    }
    assert {r.source: r.route_map for r in found.ospf.redistribute} == {
        "connected": "labctl-data-",
        "kernel": "labctl-data-NOWHERE",
    }
    maps = {
        m.name: [(str(e.action), [x.values for x in e.matches], e.call) for e in m.entries]
        for m in found.route_maps
    }
    assert maps["labctl-data-M"] == [("deny", [("eth0",)], ""), ("permit", [], "M")]
    assert maps["labctl-data-"] == [("deny", [("eth0",)], ""), ("permit", [], "")]
    assert maps["labctl-data-NOWHERE"] == [("deny", [("eth0",)], "")], "nothing passes an undefined map"
    assert maps["labctl-data"] == [("deny", [], "")]


def test_what_an_aggregate_is_made_of_is_in_bgp_and_told_to_nobody():
    text = "router bgp 1\n   aggregate-address 10.0.0.0/16 summary-only\n   redistribute connected\nrouter ospf 1\n"
    found = contributors(parse_eos(text, file="r.cfg", device="r", redactor=Redactor()).config)
    v4 = found.bgp.family(Afi.IPV4)
    assert {r.source: r.route_map for r in v4.redistribute} == {
        "connected": "",
        "static": "labctl-contributors-ipv4",
        "ospf": "labctl-contributors-ipv4",
    }
    (inside,) = found.prefix_lists
    assert [(e.prefix, e.ge, e.le) for e in inside.entries] == [("10.0.0.0/16", 17, 32)]
    assert found.route_maps[0].entries[0].sets[0].values == ("no-advertise",)
    assert not v4.aggregates[0].of_table


INTERFACES = (
    "interface GigabitEthernet1\n ip address 10.0.1.1 255.255.255.0\n"
    "interface GigabitEthernet2\n ip address 10.0.2.1 255.255.255.0\n"
    "router ospf 1\n network 10.0.1.0 0.0.0.255 area 0\n"
)


def announced(bgp):
    found = connected_of_ospf(ios(f"{INTERFACES}router bgp 1\n{bgp}"))
    return found, {n.prefix: n.route_map for n in found.bgp.family(Afi.IPV4).networks}


def test_ospf_brings_the_networks_of_its_own_interfaces_into_bgp():
    found, networks = announced(
        " redistribute ospf 1 metric 7 route-map M\n redistribute connected route-map C\nroute-map M permit 10\n"
    )
    assert networks == {"10.0.1.0/24": "labctl-ospf-connected"}
    made = next(m for m in found.route_maps if m.name == "labctl-ospf-connected").entries[0]
    assert made.call == "M"
    assert [(s.kind, s.values) for s in made.sets] == [("origin", ("incomplete",)), ("metric", ("7",))]


def test_what_bgp_announces_by_itself_stays_as_it_is():
    _, networks = announced(" network 10.0.1.0 mask 255.255.255.0\n redistribute ospf 1\n")
    assert networks == {"10.0.1.0/24": ""}


def test_where_ospf_brings_no_connected_networks():
    assert announced(" redistribute ospf 1\n redistribute connected\n")[1] == {}, "they are there"
    assert announced(" redistribute ospf 1 match external\n")[1] == {}, "they are internal"
    assert announced(" redistribute ospf 1 route-map NOWHERE\n")[1] == {}, "an undefined route-map denies"
    assert announced(" redistribute isis\n")[1] == {}, "only OSPF does"
