from dataclasses import replace

from labctl.analyze.converge import State, adjacency_changes, blind, changes, describe, settled, up
from labctl.model.routes import Adjacency, NextHop, Route

QUIET = State(start=100.0, last_change=103.0, quiet_s=10.0, up=4)


def route(prefix, *vias, protocol="ospf", metric=20):
    hops = frozenset(NextHop(v, "eth1") for v in vias)
    return {(prefix, metric): Route(prefix=prefix, protocol=protocol, next_hops=hops, metric=metric)}


def session(peer, state, kind="bgp"):
    return Adjacency(kind=kind, node="r1", peer=peer, state=state, up=state == "Established")


def test_settled_needs_the_whole_quiet_time():
    assert not settled(QUIET, now=112.9, grace_s=30)
    assert settled(QUIET, now=113.0, grace_s=30)


def test_a_stuck_session_does_not_hold_the_wait():
    assert settled(replace(QUIET, stuck=(session("10.0.0.1", "Active"),)), now=113.0, grace_s=30)


def test_time_in_which_nobody_looked_is_no_quiet():
    assert not settled(replace(QUIET, blind_s=60.0), now=172.9, grace_s=30)
    assert settled(replace(QUIET, blind_s=60.0), now=173.0, grace_s=30)


def test_what_of_a_gap_between_looks_counts():
    gaps = [(10.0, 11.5), (90.0, 150.0), (200.0, 203.0)]
    assert blind(gaps, since=100.0, patience_s=1.0) == (150.0 - 100.0 - 1.0) + (203.0 - 200.0 - 1.0)
    assert blind([(10.0, 10.4)], since=0.0, patience_s=1.0) == 0.0


def test_an_election_and_a_node_that_was_never_asked_do():
    assert not settled(replace(QUIET, waiting=1), now=1000, grace_s=30)
    assert not settled(replace(QUIET, polled=False), now=1000, grace_s=30)


def test_a_silent_daemon_gets_time_to_start():
    silent = replace(QUIET, silent=("r1: ospfd",))
    assert not settled(silent, now=132.9, grace_s=30)
    assert settled(silent, now=133.0, grace_s=30)


def test_describe_says_what_is_waited_for():
    text = describe(replace(QUIET, waiting=2, silent=("r1: ospfd",)), now=107.0)
    assert (
        text
        == "routing: 4 adjacencies up, 2 OSPF exchanges unfinished, 1 daemons not answering yet, quiet 4 of 10 s"
    )


def test_route_changes_by_prefix_with_the_time_of_their_own_announcement():
    before = (
        route("10.0.1.0/24", "10.0.0.1") | route("10.0.2.0/24", "10.0.0.1") | route("10.0.9.0/24", "10.0.0.1")
    )
    after = (
        route("10.0.1.0/24", "10.0.0.2") | route("10.0.3.0/24", "10.0.0.1") | route("10.0.9.0/24", "10.0.0.1")
    )
    found = changes("r1", before, after, since=5.0, announced={"10.0.1.0/24": 5.25})
    assert [(c.prefix, c.what, c.t) for c in found] == [
        ("10.0.1.0/24", "moved", 5.25),
        ("10.0.2.0/24", "vanished", 5.0),
        ("10.0.3.0/24", "appeared", 5.0),
    ]


def test_only_the_route_that_the_kernel_uses_counts():
    backup = route("10.0.1.0/24", "10.0.0.9", metric=200)
    before = route("10.0.1.0/24", "10.0.0.1", metric=20) | backup
    assert (
        changes("r1", before, before | route("10.0.1.0/24", "10.0.0.8", metric=200), since=1, announced={})
        == ()
    )
    (moved,) = changes("r1", before, backup, since=1, announced={})
    assert (moved.what, moved.after and moved.after.next_hops) == ("moved", {NextHop("10.0.0.9", "eth1")})


def test_a_metric_or_the_order_of_paths_is_no_change():
    one = route("10.0.1.0/24", "10.0.0.1", "10.0.0.2", metric=20)
    other = route("10.0.1.0/24", "10.0.0.2", "10.0.0.1", metric=30)
    assert changes("r1", one, other, since=1, announced={}) == ()


def test_link_local_prefixes_are_left_out():
    assert (
        changes("r1", {}, route("fe80::/64", "", protocol="connected", metric=256), since=1, announced={})
        == ()
    )


def test_sessions_that_cycle_without_coming_up_are_logged_but_never_up():
    before, after = {"bgpd": (session("10.0.0.1", "Active"),)}, {"bgpd": (session("10.0.0.1", "Connect"),)}
    (change,) = adjacency_changes(before, after, t=3.0)
    assert (change.before, change.after) == ("Active", "Connect")
    assert up(before) == up(after) == frozenset()
    assert up({"bgpd": (session("10.0.0.1", "Established"),)})
