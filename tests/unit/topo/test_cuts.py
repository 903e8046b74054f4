from itertools import pairwise

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.model.topology import Link, Segment, Topology
from labctl.names import CableId, PortId
from labctl.topo.cuts import cuts, unreachable
from labctl.topo.graph import SEGMENT, graph


def network(*cables, segments=()):
    links = tuple(Link(a=c.a, b=c.z) for c in map(CableId.parse, cables))
    return graph(Topology(name="t", links=links, segments=segments))


CHAIN = ("a:1--b:1", "b:2--c:1", "c:2--d:1", "d:2--e:1", "e:2--c:3")


def test_a_chain_into_a_ring():
    found = cuts(network(*CHAIN))
    assert [(c.what, c.cuts_off) for c in found.devices] == [("c", ("a", "b")), ("b", ("a",))]
    assert [(c.what, c.cuts_off) for c in found.links] == [("b:2--c:1", ("a", "b")), ("a:1--b:1", ("a",))]
    assert found.parts == (("a", "b", "c", "d", "e"),)


def test_a_second_cable_is_a_second_way():
    assert [c.what for c in cuts(network("a:1--b:1", "a:2--b:2", "b:3--c:1")).links] == ["b:3--c:1"]


def test_a_cable_to_oneself_is_no_way_anywhere():
    assert [c.what for c in cuts(network("a:1--a:2", "a:3--b:1")).links] == ["a:3--b:1"]


def test_a_segment_is_a_way_but_no_device():
    lan = Segment(name="lan", ports=(PortId("a", "9"), PortId("b", "9"), PortId("c", "9")))
    found = cuts(network("c:1--d:1", segments=(lan,)))
    assert [c.what for c in found.devices] == ["c"]
    assert found.devices[0].cuts_off == ("d",)
    assert found.parts == (("a", "b", "c", "d"),)


def test_parts_with_no_way_between_them():
    assert cuts(network("a:1--b:1", "c:1--d:1", "d:2--e:1")).parts == (("c", "d", "e"), ("a", "b"))
    assert cuts(graph(Topology(name="empty"))).parts == ()


def test_what_a_break_leaves_unreachable():
    g = network(*CHAIN)
    assert unreachable(g, frozenset({"b:2--c:1"})) == ("a", "b")
    assert unreachable(g, frozenset({"b:2--c:1"}), from_="a") == ("c", "d", "e")
    assert unreachable(g, frozenset({"c:2--d:1"})) == ()
    assert unreachable(g, frozenset({"c:2--d:1", "d:2--e:1"})) == ("d",)


@st.composite
def networks(draw):
    names = "abcdefg"
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=14))
    on_the_lan = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    lan = Segment(name="lan", ports=tuple(PortId(name, "9") for name in on_the_lan))
    cables = (f"{a}:{i}--{b}:x{i}" for i, (a, b) in enumerate(pairs))
    return network(*cables, segments=(lan,) if on_the_lan else ())


def devices_in(part):
    return [name for name in part if not name.startswith(SEGMENT)]


def test_a_long_chain_names_the_first_hundred_and_counts_all():
    names = [f"r{i:04}" for i in range(3001)]
    found = cuts(network(*(f"{a}:1--{b}:2" for a, b in pairwise(names))))
    assert (found.devices[0].what, found.devices[0].count) == ("r1500", 1500)
    assert found.devices[0].cuts_off == tuple(names[:100])
    assert (found.links[0].count, len(found.links), len(found.devices)) == (1500, 3000, 2999)


@settings(max_examples=150, deadline=None)
@given(networks())
def test_by_trying(g):
    """The definition itself: take each away and count the parts."""
    found = cuts(g)
    whole = nx.number_connected_components(g)
    for name in devices_in(g):
        rest = nx.number_connected_components(g.subgraph(set(g) - {name}))
        isolated = len(g[name]) == 0 or set(g[name]) == {name}
        assert (name in {c.what for c in found.devices}) == (rest > whole - isolated)
    for cut in found.devices:
        around = nx.node_connected_component(g, cut.what) - {cut.what}
        rest = [(devices_in(p), min(p)) for p in nx.connected_components(g.subgraph(around))]
        rest.remove(max(rest, key=lambda side: (len(side[0]), side[1])))
        lost = tuple(sorted(name for side, _ in rest for name in side))
        assert (cut.cuts_off, cut.count) == (lost, len(lost))
    for u, v, key in list(g.edges(keys=True)):
        without = g.copy()
        without.remove_edge(u, v, key)
        assert (key in {c.what for c in found.links}) == (nx.number_connected_components(without) > whole)
    for cut in found.links:
        assert cut.count == len(cut.cuts_off)
        assert cut.cuts_off == unreachable(g, frozenset({cut.what}))
