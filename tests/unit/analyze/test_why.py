"""One difference, and the reason that is said for it."""

from dataclasses import replace

from labctl.analyze import routes, why
from labctl.ingest.ios import parse
from labctl.ingest.redact import Redactor
from labctl.model.recorded import BgpPath
from labctl.model.routes import Adjacency, NextHop, Route, RouteTables

R1 = """
hostname r1
interface Loopback0
 ip address 10.255.0.1 255.255.255.255
interface GigabitEthernet0/0
 ip address 10.0.12.1 255.255.255.0
interface GigabitEthernet0/1
 ip address 10.0.13.1 255.255.255.0
router eigrp 1
 network 10.0.13.0
router bgp 1
 aggregate-address 10.8.0.0 255.255.0.0 summary-only
 neighbor 10.0.12.2 remote-as 2
"""
R2 = "hostname r2\ninterface GigabitEthernet0/0\n ip address 10.0.12.2 255.255.255.0\n"


def parsed(name, text):
    return parse(text, file=f"{name}.cfg", device=name, redactor=Redactor())


def route(prefix, protocol, *hops, **more):
    return Route(prefix=prefix, protocol=protocol, next_hops=frozenset(NextHop(*h) for h in hops), **more)


def explained(real, copy, *, paths=(), sessions=((), ()), absent=(), more=((), ())):
    """The one difference of r1's routes, with r2 beside it."""
    devices = {"r1": parsed("r1", R1), "r2": parsed("r2", R2)}
    production = RouteTables(routes={"r1": real, "r2": more[0]}, adjacencies=sessions[0])
    shadow = RouteTables(routes={"r1": copy, "r2": more[1]}, adjacencies=sessions[1])
    known = why.Known(
        production=production,
        shadow=shadow,
        configs={name: each.config for name, each in devices.items()},
        accounts={name: each.account for name, each in devices.items()},
        paths={"r1": paths},
        absent=absent,
    )
    found = why.explained(routes.compare(production, shadow), known).differences
    return next(d for d in found if d.node == "r1")


WAY, OTHER = ("10.0.12.2", "GigabitEthernet0/0"), ("10.0.13.3", "GigabitEthernet0/1")


def test_a_protocol_that_labs_do_not_run():
    found = explained((route("10.3.0.0/24", "eigrp", OTHER),), ())
    assert (found.rule, found.reason) == ("protocol-not-emulated", "EIGRP is not emulated")


def test_a_way_over_a_device_that_the_lab_does_not_have():
    found = explained((route("10.3.0.0/24", "ospf", OTHER),), (), absent=("r3",))
    assert found.rule == "device-not-in-lab"
    assert found.reason == "no device of the lab has 10.0.13.3 (not in the lab: r3)"


def test_a_session_that_is_up_in_production_only():
    up = Adjacency(
        kind="ospf", node="r1", peer="2.2.2.2", interface="GigabitEthernet0/0", state="FULL", up=True
    )
    down = replace(up, state="Init/DROther", up=False)
    found = explained((route("10.3.0.0/24", "ospf", WAY),), (), sessions=((up,), (down,)))
    assert found.rule == "session-down"
    assert "Init/DROther" in found.reason
    assert (
        explained((route("10.3.0.0/24", "ospf", WAY),), (), sessions=((down,), (down,))).rule
        != "session-down"
    )


def test_a_tie_that_the_table_shows():
    real, copy = (
        route("10.3.0.0/24", "bgp", ("10.0.12.2", "")),
        route("10.3.0.0/24", "bgp", ("10.0.12.1", "x")),
    )
    best = BgpPath(prefix="10.3.0.0/24", via="10.0.12.2", best=True, as_path=("2",), origin="i")
    tie = replace(best, via="10.0.12.1", best=False)
    assert explained((real,), (copy,), paths=(best, tie)).rule == "tie-break"
    worse = replace(tie, as_path=("2", "3"))
    assert explained((real,), (copy,), paths=(best, worse)).rule == why.UNEXPLAINED


def test_an_aggregate_that_a_neighbour_has_too():
    real, copy = route("10.8.0.0/16", "bgp", kind="blackhole"), route("10.8.0.0/16", "bgp", WAY)
    assert explained((real,), (copy,)).rule == "frr-aggregate"


def test_a_way_to_the_nodes_own_address():
    copy = route("10.0.12.1/32", "ospf", ("", "Loopback1"))
    shadow = RouteTables(routes={"r1": (copy,)}, own={"r1": (replace(copy, protocol="local"),)})
    production = RouteTables(routes={"r1": ()})
    known = why.Known(production=production, shadow=shadow)
    (found,) = why.explained(routes.compare(production, shadow), known).differences
    assert found.rule == "own-address"


def test_an_address_that_the_configuration_does_not_have():
    found = explained((route("10.7.0.0/24", "connected", ("", "GigabitEthernet0/1")),), ())
    assert (found.rule, found.reason) == (
        "interface",
        "GigabitEthernet0/1 has no address in 10.7.0.0/24 in the configuration that was read",
    )


def test_what_follows_from_another_device_says_what_is_behind_it():
    real = (route("10.3.0.0/24", "ospf", WAY),)
    more = (route("10.3.0.0/24", "eigrp", ("10.9.9.9", "GigabitEthernet0/5")),)
    found = explained((*real,), (), more=(more, ()))
    assert found.rule == "protocol-not-emulated"
    more = (route("10.3.0.0/24", "ospf", ("10.9.9.9", "GigabitEthernet0/5")),)
    found = explained((*real,), (), more=(more, ()), absent=("r9",))
    assert found.rule == "follows"
    assert found.reason == "follows from r2: no device of the lab has 10.9.9.9 (not in the lab: r9)"


def test_two_that_follow_from_each_other_are_unexplained():
    more = (route("10.3.0.0/24", "ospf", ("10.0.12.1", "GigabitEthernet0/0")),)
    found = explained((route("10.3.0.0/24", "ospf", WAY),), (), more=(more, ()))
    assert found.rule == why.UNEXPLAINED


def test_what_no_rule_explains():
    found = explained((route("10.3.0.0/24", "static", ("10.0.12.2", "GigabitEthernet0/0")),), ())
    assert (found.rule, found.reason) == (why.UNEXPLAINED, why.UNEXPLAINED)
