import math

import networkx as nx
import pytest

from labctl.topo.layout import aligned, box, layout, off_lines, spread


def multigraph(edges, nodes=()):
    g = nx.MultiGraph()
    g.add_nodes_from(nodes)
    g.add_edges_from(edges)
    return g


RING = [(f"r{i}", f"r{(i + 1) % 8}") for i in range(8)]
FABRIC = [(f"spine{s}", f"leaf{n}") for s in (1, 2) for n in (1, 2, 3)] + [("leaf1", "server1")]


@pytest.mark.parametrize("edges", [RING, FABRIC, [("x", "y")]])
def test_the_order_in_which_a_graph_was_made_does_not_matter(edges):
    one, other = layout(multigraph(edges)), layout(multigraph([(v, u) for u, v in reversed(edges)]))
    assert one == other


def test_no_two_devices_in_one_place():
    g = multigraph([*RING, *FABRIC, ("r0", "spine1")], nodes=["alone"])
    places = layout(g)
    assert set(places) == set(g)
    points = list(places.values())
    assert all(math.dist(p, q) > 0.2 for i, p in enumerate(points) for q in points[i + 1 :])


def test_devices_without_a_link_lie_in_a_row_below():
    places = layout(multigraph([("a", "b")], nodes=["x", "y"]))
    assert places["x"][1] == places["y"][1] > max(places["a"][1], places["b"][1])
    assert layout(multigraph([], nodes=["x", "y"])) == {"x": (0.0, 0.0), "y": (1.0, 0.0)}


def test_a_chain_lies_flat():
    places = layout(multigraph([(f"n{i}", f"n{i + 1}") for i in range(6)]))
    _, _, width, height = box(places.values())
    assert width == pytest.approx(6, abs=0.2)
    assert height < 0.4
    assert sorted(places, key=lambda n: places[n][0]) == [f"n{i}" for i in range(7)]


def test_a_ring_is_round():
    places = layout(multigraph(RING))
    centre = [sum(p[i] for p in places.values()) / len(places) for i in (0, 1)]
    radii = [math.dist(p, centre) for p in places.values()]
    assert max(radii) - min(radii) < 0.1 * max(radii)


def test_a_fabric_is_drawn_in_tiers():
    places = layout(multigraph(FABRIC))
    rows = {
        kind: {places[n][1] for n in places if n.startswith(kind)} for kind in ("spine", "leaf", "server")
    }
    assert [len(r) for r in rows.values()] == [1, 1, 1]
    assert rows["spine"] < rows["leaf"] or max(rows["spine"]) < min(rows["leaf"]) < min(rows["server"])


def test_boxes_are_pushed_apart_and_rows_straightened():
    def size(_):
        return 50.0, 20.0

    apart = spread({"a": (0.0, 0.0), "b": (10.0, 1.0), "c": (12.0, 0.0)}, size, gap=5.0)
    for one, other in (("a", "b"), ("b", "c"), ("a", "c")):
        dx, dy = (abs(apart[one][i] - apart[other][i]) for i in (0, 1))
        assert dx >= 54.9 or dy >= 24.9
    assert aligned({"a": (0.0, 0.0), "b": (100.0, 6.0), "c": (103.0, 90.0)}, within=16) == {
        "a": (0.0, 3.0),
        "b": (101.5, 3.0),
        "c": (101.5, 90.0),
    }


def test_a_box_is_moved_off_a_line_that_passes_behind_it():
    def size(_):
        return 40.0, 20.0

    places = off_lines({"a": (0.0, 0.0), "b": (400.0, 0.0), "c": (200.0, 2.0)}, [("a", "b")], size, gap=4.0)
    assert abs(places["c"][1]) > 13.9
    assert places["a"] == (0.0, 0.0)
