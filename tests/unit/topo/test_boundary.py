"""Safe and unsafe boundaries by hand, and random ones against an enumeration of every walk."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speaking import Builder

from labctl.topo.boundary import Safety, boundary
from labctl.topo.domains import Kind, sessions
from labctl.topo.scope import devices_of, scope_of


def judged(snapshot, *inside):
    return boundary(snapshot, scope_of(snapshot, inside))


def triangle(a, b, out, **cables):
    """Two inside devices and one outside, in these systems; the inside ones have OSPF with each other."""
    made = Builder().device("a", a).device("b", b).device("out", out)
    return made.cable("a", "b", ospf=True).cable("a", "out", **cables).cable("b", "out", **cables).made()


def test_one_attachment_is_safe():
    snapshot = Builder().device("a", 1).device("out", 2).cable("a", "out", bgp=True).made()
    found = judged(snapshot, "a")
    assert (found.safety, found.parts[0].reason) == (Safety.SAFE, "a alone has sessions with it")


def test_inside_ends_of_one_as_are_safe():
    found = judged(triangle(1, 1, 2, bgp=True), "a", "b")
    assert found.safety is Safety.SAFE
    assert "all inside ends are in AS 1" in found.parts[0].reason


def test_inside_ends_of_two_systems_are_not():
    found = judged(triangle(1, 3, 2, bgp=True), "a", "b")
    assert found.safety is Safety.UNSAFE
    assert found.parts[0].witness == ("a", "out", "b")
    assert found.add == ("out",)


def test_a_loop_check_that_is_switched_off_protects_nobody():
    made = Builder().device("a", 1).device("b", 1, bgp=["neighbor 10.0.1.1 allowas-in"]).device("out", 2)
    snapshot = made.cable("a", "out", bgp=True).cable("b", "out", bgp=True).made()
    assert judged(snapshot, "a", "b").safety is Safety.UNSAFE


def test_ibgp_does_not_pass_on_unless_it_reflects():
    assert judged(triangle(1, 1, 1, bgp=True), "a", "b").safety is Safety.SAFE
    made = Builder().device("a", 1).device("b", 1).device("rr", 1)
    snapshot = made.cable("a", "rr", bgp=True, client="a").cable("b", "rr", bgp=True, client="b").made()
    found = judged(snapshot, "a", "b")
    assert (found.safety, found.parts[0].witness) == (Safety.UNSAFE, ("a", "rr", "b"))


def test_ospf_through_one_speaker_is_the_speakers_own_doing():
    assert judged(triangle(None, None, None, ospf=True), "a", "b").safety is Safety.SAFE


def test_ospf_through_two_removed_devices_is_not():
    made = Builder().device("a").device("b").device("x").device("y")
    made.cable("a", "x", ospf=True).cable("x", "y", ospf=True).cable("y", "b", ospf=True)
    found = judged(made.made(), "a", "b")
    assert found.parts[0].witness == ("a", "x", "y", "b")
    assert found.add == ("x", "y")


def test_ospf_around_a_speaker_is_not_its_own_doing():
    made = Builder().device("a").device("b").device("x").device("y")
    made.cable("a", "x", ospf=True).cable("b", "x", ospf=True)
    made.cable("a", "y", ospf=True).cable("y", "x", ospf=True)
    assert judged(made.made(), "a", "b").parts[0].witness == ("a", "y", "x", "b")


def test_redistribution_forgets_the_as_path():
    made = Builder().device("a", 1).device("b", 1)
    made.device("x", 2, ospf=["redistribute bgp"]).device("y", 3, bgp=["redistribute ospf"])
    made.cable("a", "x", bgp=True).cable("x", "y", ospf=True).cable("y", "b", bgp=True)
    found = judged(made.made(), "a", "b")
    assert found.parts[0].witness == ("a", "x", "y", "b")


def test_a_speaker_does_not_redistribute_what_others_did():
    made = Builder().device("a", 1).device("b", 3).device("x", 2).device("y", 2, bgp=["redistribute ospf"])
    made.cable("a", "x", ospf=True).cable("x", "y", ospf=True).cable("y", "x", bgp=True)
    found = judged(made.cable("x", "b", bgp=True).made(), "a", "b")
    assert found.parts[0].witness == ("a", "x", "y", "x", "b")


def test_an_aggregate_of_the_inside_comes_back_with_a_path_of_its_own():
    made = (
        Builder()
        .device("a", 1, bgp=["network 10.0.0.0/31"])
        .device("out", 2, bgp=["aggregate-address 10.0.0.0/8"])
    )
    found = judged(made.cable("a", "out", bgp=True).made(), "a")
    assert (found.safety, found.parts[0].witness) == (Safety.UNSAFE, ("a", "out", "a"))


def test_a_device_without_configuration_makes_it_unknown():
    made = Builder().device("a", 1).device("b", 1).blind("x").cable("a", "x").cable("b", "x")
    found = judged(made.made(), "a", "b")
    assert found.safety is Safety.UNKNOWN
    assert found.parts[0].reason == "no configuration of x is known: it may pass routes on"
    assert found.add == ("x",)


def test_a_host_on_one_cable_passes_nothing_on():
    """Hosts have no configuration; those behind one removed switch do not make everything unknown."""
    made = Builder().device("a", 1).device("b", 1).device("leaf", 2).blind("h").blind("i")
    made.cable("a", "leaf", bgp=True).cable("b", "leaf", bgp=True).cable("leaf", "h").cable("h", "i")
    assert judged(made.made(), "a", "b").safety is Safety.SAFE
    made.cable("leaf", "i")
    assert judged(made.made(), "a", "b").safety is Safety.SAFE
    made.cable("b", "i")
    assert judged(made.made(), "a", "b").parts[0].witness == ("a", "leaf", "i", "b")


def test_nothing_removed_is_safe():
    snapshot = triangle(1, 3, 2, bgp=True)
    found = judged(snapshot, *devices_of(snapshot))
    assert (found.safety, found.parts) == (Safety.SAFE, ())


# --- random networks ---

NAMES = "abcdef"


@st.composite
def networks(draw):
    made = Builder()
    systems = {}
    most = draw(st.integers(1, 3))
    for name in NAMES[: draw(st.integers(3, 6))]:
        systems[name] = draw(st.integers(1, most))
        bgp = draw(st.sampled_from([[], [], ["redistribute ospf"]]))
        ospf = draw(st.sampled_from([[], [], ["redistribute bgp"]]))
        made.device(name, systems[name], bgp=bgp, ospf=ospf)
    pairs = [(a, b) for a in systems for b in systems if a < b]
    kinds = draw(st.sampled_from([["bgp"], ["ospf"], ["bgp", "bgp", "ospf"]]))
    for a, b in draw(st.lists(st.sampled_from(pairs), min_size=2, max_size=9, unique=True)):
        kind = draw(st.sampled_from(kinds))
        client = draw(st.sampled_from(["", a, b])) if kind == "bgp" and systems[a] == systems[b] else ""
        made.cable(a, b, bgp=kind == "bgp", ospf=kind == "ospf", client=client)
    inside = draw(st.sets(st.sampled_from(sorted(systems)), min_size=2, max_size=3))
    return made.made(), inside


def passes(config, last, out):
    if out.kind is Kind.OSPF:
        return last.kind is Kind.OSPF or any(r.source == "bgp" for r in config.ospf.redistribute)
    if last.kind is Kind.OSPF:
        return any(r.source == "ospf" for f in config.bgp.families for r in f.redistribute)
    return Kind.EBGP in (last.kind, out.kind) or last.from_client or out.client


def walks_back(snapshot, inside, loop_checked):
    """Every walk of a route, one device after the other, by the protocols' rules written down once more.

    loop_checked: the systems whose routers look for themselves in AS paths.
    """
    told = sessions(snapshot)
    configs = snapshot.configs
    asn = {name: config.bgp.asn for name, config in configs.items()}

    def goes(walk, path):
        last = walk[-1]
        for out in told:
            been = any(
                (s.hears, s.kind, s.from_client) == (out.hears, out.kind, out.from_client) for s in walk
            )
            if out.tells != last.hears or been or not passes(configs[out.tells], last, out):
                continue
            arrived = on_path(out, path)
            if arrived is None:
                continue
            if out.hears not in inside:
                if goes([*walk, out], arrived):
                    return True
            elif out.hears != walk[0].tells and not (len(walk) == 1 and last.kind is Kind.OSPF is out.kind):
                return True
        return False

    def on_path(session, path):
        if session.kind is Kind.OSPF:
            return ()
        further = (*path, asn[session.tells]) if session.kind is Kind.EBGP else path
        refused = (
            session.kind is Kind.EBGP and asn[session.hears] in further and asn[session.hears] in loop_checked
        )
        return None if refused else further

    first = [s for s in told if s.tells in inside and s.hears not in inside]
    return any((path := on_path(s, ())) is not None and goes([s], path) for s in first)


@settings(max_examples=300, deadline=None)
@given(networks())
def test_the_verdict_is_that_of_walking_every_way(made):
    """Sound: what production's rules let back in is never called safe. Tight: unsafe needs such a way, if only the
    systems of the inside look at AS paths.
    """
    snapshot, inside = made
    unsafe = judged(snapshot, *inside).safety is Safety.UNSAFE
    systems = {config.bgp.asn for config in snapshot.configs.values()}
    ours = {snapshot.configs[name].bgp.asn for name in inside}
    if walks_back(snapshot, inside, systems):
        assert unsafe
    if unsafe:
        assert walks_back(snapshot, inside, ours)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_what_it_says_to_add_makes_it_safe(made):
    snapshot, inside = made
    found = judged(snapshot, *inside)
    again = judged(snapshot, *inside, *found.add)
    assert again.safety is Safety.SAFE
    assert (found.safety is Safety.SAFE) == (not found.add)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_witness_is_a_way_of_sessions(name):
    snapshot = triangle(1, 3, 2, bgp=True)
    found = judged(snapshot, name, "b" if name == "a" else "a")
    pairs = {(s.tells, s.hears) for s in sessions(snapshot)}
    witness = found.parts[0].witness
    assert all(pair in pairs for pair in pairwise(witness))
