import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.model.topology import Link, Segment, Topology
from labctl.names import CableId, PortId
from labctl.topo.cuts import cuts, unreachable
from labctl.topo.graph import graph


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
    return network(*(f"{a}:{i}--{b}:x{i}" for i, (a, b) in enumerate(pairs)))


@settings(max_examples=150, deadline=None)
@given(networks())
def test_by_trying(g):
    """The definition itself: take each away and count the parts."""
    found = cuts(g)
    whole = nx.number_connected_components(g)
    for name in g:
        rest = nx.number_connected_components(g.subgraph(set(g) - {name}))
        isolated = len(g[name]) == 0 or set(g[name]) == {name}
        assert (name in {c.what for c in found.devices}) == (rest > whole - isolated)
    for u, v, key in list(g.edges(keys=True)):
        without = g.copy()
        without.remove_edge(u, v, key)
        assert (key in {c.what for c in found.links}) == (nx.number_connected_components(without) > whole)
    for cut in found.links:
        assert cut.cuts_off == unreachable(g, frozenset({cut.what}))
