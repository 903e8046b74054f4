"""Answers as FRR 8.4 prints them (cut to what matters), and what becomes of them."""

import json

import pytest

from labctl.model.routes import NextHop
from labctl.probes import frr
from labctl.schema import frr_answers

OSPF = {
    "neighbors": {
        "10.255.0.2": [
            {
                "priority": 1,
                "state": "Full/-",
                "nbrState": "Full/-",
                "address": "10.0.12.2",
                "ifaceName": "eth2:10.0.12.1",
            },
            {"priority": 1, "state": "ExStart/DR", "nbrState": "ExStart/DR", "ifaceName": "eth3:10.0.99.1"},
        ],
        "10.255.0.4": [
            {
                "nbrState": "2-Way/DROther",
                "ifaceName": "eth4:10.0.14.1",
                "linkStateRetransmissionListCounter": 3,
            }
        ],
    }
}


class Said:
    """Daemons that answer from a table."""

    def __init__(self, **answers):
        self.answers = answers

    def ask(self, daemon, command):
        return self.answers.get(daemon)


def test_ospf_neighbours():
    found = frr_answers.parse_ospf_neighbors("r1", OSPF)
    assert [(a.peer, a.interface, a.state, a.up, a.pending) for a in found] == [
        ("10.255.0.2", "eth2", "Full/-", True, 0),
        ("10.255.0.2", "eth3", "ExStart/DR", False, 0),
        ("10.255.0.4", "eth4", "2-Way/DROther", True, 3),
    ]


def test_ospf6_neighbours():
    said = {
        "neighbors": [
            {"neighborId": "10.255.0.2", "state": "Full", "interfaceName": "eth2"},
            {"neighborId": "10.255.0.3", "state": "Init", "interfaceName": "eth3"},
        ]
    }
    assert [(a.peer, a.up) for a in frr.parse_ospf6_neighbors("r1", said)] == [
        ("10.255.0.2", True),
        ("10.255.0.3", False),
    ]


def test_a_bgp_peer_of_two_address_families_is_one_session():
    said = {
        "ipv4Unicast": {"peers": {"10.0.12.1": {"state": "Established"}, "10.9.9.9": {"state": "Active"}}},
        "ipv6Unicast": {"peers": {"10.0.12.1": {"state": "Established"}}},
    }
    found = frr_answers.parse_bgp_summary("r1", said)
    assert [(a.peer, a.state, a.up) for a in found] == [
        ("10.0.12.1", "Established", True),
        ("10.9.9.9", "Active", False),
    ]


def test_hello_of_passive_interfaces_does_not_count_and_elections_do():
    said = {
        "interfaces": {
            "lo": {"ospfEnabled": True, "state": "Loopback", "timerMsecs": 60000},
            "eth9": {"ospfEnabled": True, "timerPassiveIface": True, "timerMsecs": 60000},
            "eth1": {"ospfEnabled": True, "timerMsecs": 10000, "state": "Waiting"},
            "eth2": {"ospfEnabled": True, "timerMsecs": 1000, "state": "Point-To-Point"},
        }
    }
    assert frr.parse_ospf_interfaces(said) == (10.0, 1)


def test_a_computation_that_is_put_off_is_waited_for():
    for due, waiting in (({}, 0), ({"spfTimerDueInMsecs": 9364}, 1)):
        said = Said(ospfd=json.dumps({"interfaces": {}, "spfLastExecutedMsecs": 635} | due))
        assert frr.ospf_timers(said, {"ospfd"}) == (0.0, waiting)


def test_how_long_bgp_keeps_news_back_from_peers_that_are_up():
    def peer(state, ms):
        return {"bgpState": state, "minBtwnAdvertisementRunsTimerMsecs": ms}

    said = {
        "default": {"vrfId": 0, "10.0.0.1": peer("Established", 30000), "10.0.0.2": peer("Established", 0)},
        "blue": {"10.0.0.3": peer("Active", 60000)},
    }
    assert frr.bgp_interval(Said(bgpd=json.dumps(said))) == 30.0
    assert frr.bgp_interval(Said()) == 0.0


def test_routes_follow_a_recursive_next_hop_to_what_is_in_the_kernel():
    said = {
        "10.2.0.0/16": [
            {
                "protocol": "bgp",
                "selected": True,
                "installed": True,
                "distance": 200,
                "metric": 0,
                "nexthops": [
                    {"ip": "10.1.255.5", "active": True, "recursive": True},
                    {"ip": "10.1.0.11", "interfaceName": "eth2", "active": True, "fib": True},
                    {"ip": "10.1.0.13", "interfaceName": "eth3", "active": True, "fib": True},
                ],
            }
        ],
        "192.0.2.0/24": [
            {"protocol": "static", "selected": True, "nexthops": [{"blackhole": True, "active": True}]}
        ],
    }
    bgp, static = frr_answers.parse_routes(said)
    assert bgp.next_hops == {NextHop("10.1.0.11", "eth2"), NextHop("10.1.0.13", "eth3")}
    assert (bgp.distance, bgp.selected, bgp.installed) == (200, True, True)
    assert (static.kind, static.next_hops) == ("blackhole", frozenset())


def test_a_warning_that_there_is_nothing_is_an_answer_and_an_error_is_none():
    assert frr.said("{}\n", 1) == "{}\n"  # bgpd without `router bgp`
    assert frr.said("% Unknown command\n", 2) is None
    assert frr.said("% View/Vrf x is unknown\n", 1) is None
    assert frr.said("", 0) == ""


def test_a_daemon_that_does_not_answer_is_none_and_one_without_sessions_is_empty():
    found = frr.adjacencies("r1", Said(bgpd="% BGP instance not found"), ["bgpd", "ospfd", "staticd"])
    assert found == {"bgpd": (), "ospfd": None}
    assert frr.routes(Said()) is None


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("bgpd=yes\nospfd=no\nzebra_options='-A'\n", {"bgpd"}),
        ('ospfd="yes"  # inside\n#bgpd=yes\nvtysh_enable=yes\n', {"ospfd"}),
        ("", set()),
    ],
)
def test_daemons_file(text, on):
    assert frr.parse_enabled(text) == on
