import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError, Span
from labctl.faults.draw import Draw
from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.model.scenario import Kind, Query
from labctl.names import CableId, PortId
from labctl.topo.query import FUNCTIONS, Graph, check, select
from labctl.topo.query_functions import Words

WHERE = Span("s.yml", 3, 10)


def lab_of(*cables, nodes=(), bridges=(), groups=None, labels=None):
    """`"a:1--b:1"` each; a second end of "" is a stub."""
    specs, names = [], set(nodes)
    for text in cables:
        one, _, other = text.partition("--")
        ports = [PortId.parse(p) for p in (one, other) if p]
        names |= {p.node for p in ports}
        ends = [End(port=p, mac="02:00:00:00:00:01") for p in ports]
        specs.append(
            CableSpec(a=ends[0], z=ends[1] if len(ends) > 1 else None, labels=(labels or {}).get(text, {}))
        )
    made = tuple(
        NodeSpec(
            name=n,
            kind=NodeKind.BRIDGE if n in bridges else NodeKind.LINUX,
            group=(groups or {}).get(n, ""),
            labels=(labels or {}).get(n, {}),
        )
        for n in sorted(names)
    )
    return LabSpec(name="t", nodes=made, cables=tuple(specs))


#: h1 - r1 = r2 - h2, with r3 beside: a triangle of routers with a double link.
LAB = lab_of(
    "h1:1--r1:1",
    "r1:2--r2:2",
    "r1:3--r2:3",
    "r1:4--r3:1",
    "r2:4--r3:2",
    "r2:1--h2:1",
    groups={"r1": "site-a", "r2": "site-b", "r3": "site-b", "h2": "site-b"},
    labels={"r1": {"role": "core"}, "r1:2--r2:2": {"srlg": "duct7"}},
)


def found(expression, kind="link", lab=LAB, seed=1, **more):
    query = Query(kind=Kind(kind), expression=expression, where=WHERE, **more)
    targets = select(query, Graph(lab), Draw(seed=seed))
    return [str(each) for each in (*targets.cables, *targets.nodes, *targets.ports)]


def refused(expression, kind="link", **more):
    with pytest.raises(LabctlError) as caught:
        found(expression, kind, **more)
    return caught.value


@pytest.mark.parametrize(
    ("expression", "kind", "wanted"),
    [
        ("r1:2--r2:2", "link", ["r1:2--r2:2"]),
        ("r2:2--r1:2", "link", ["r1:2--r2:2"]),  # from the other end
        ("r2:*--r1:*", "link", ["r1:2--r2:2", "r1:3--r2:3"]),
        ("r1:[23]--*", "link", ["r1:2--r2:2", "r1:3--r2:3"]),
        ("h*", "node", ["h1", "h2"]),
        ("'h1' or \"h2\"", "node", ["h1", "h2"]),
        ("r1:?", "port", ["r1:1", "r1:2", "r1:3", "r1:4"]),
        ("* and not h*", "node", ["r1", "r2", "r3"]),
        ("not (h1 or r1) and r*", "node", ["r2", "r3"]),
        ("not not r1", "node", ["r1"]),
        ("h1 or r1 and r2", "node", ["h1"]),  # `and` binds closer
        ("core()", "node", ["r1", "r2", "r3"]),
        ("edge()", "node", ["h1", "h2"]),
        ("edge()", "link", ["h1:1--r1:1", "h2:1--r2:1"]),
        ("bridge()", "link", ["h1:1--r1:1", "h2:1--r2:1"]),
        ("bridge()", "node", ["r1", "r2"]),
        ("of(r3)", "link", ["r1:4--r3:1", "r2:4--r3:2"]),
        ("of(r3)", "port", ["r3:1", "r3:2"]),
        ("ends(of(r3)) and of(r1)", "port", ["r1:4"]),
        ("near(r3)", "node", ["r1", "r2"]),
        ("between(r1, r2)", "link", ["r1:2--r2:2", "r1:3--r2:3"]),
        ("path(h1, h2)", "node", ["r1", "r2"]),
        ("path(h1, h2)", "link", ["h1:1--r1:1", "h2:1--r2:1", "r1:2--r2:2", "r1:3--r2:3"]),
        ("cut(r1, r3)", "link", ["r1:4--r3:1", "r2:4--r3:2"]),
        ("cut(h1, h2)", "node", ["r2"]),
        ("cut(h1, r2)", "node", ["r1"]),
        ("group(site-b)", "node", ["h2", "r2", "r3"]),
        ("group(site-b)", "link", ["h2:1--r2:1", "r2:4--r3:2"]),
        ("label(role=core)", "node", ["r1"]),
        ("label(srlg=duct*)", "link", ["r1:2--r2:2"]),
        ("label(srlg=duct7)", "port", ["r1:2", "r2:2"]),
    ],
)
def test_what_a_query_selects(expression, kind, wanted):
    assert found(expression, kind) == wanted


def test_segments_carry_paths_and_are_no_targets():
    lan = lab_of("a:1--lan:1", "b:1--lan:2", bridges=("lan",))
    assert found("*", "node", lan) == ["a", "b"]
    assert found("path(a, b)", "link", lan) == ["a:1--lan:1", "b:1--lan:2"]
    assert refused("lan", "node", lab=lan).code == "empty-target"


def test_stubs_can_be_hit_and_lead_nowhere():
    lab = lab_of("a:1--b:1", "a:9--")
    assert found("a:9--stub:*", lab=lab) == ["a:9--stub:a.9"]
    assert found("bridge()", lab=lab) == ["a:1--b:1"]


@pytest.mark.parametrize(
    ("expression", "kind", "code", "column", "said"),
    [
        ("core(", "node", "bad-query", 15, "a name or a function is missing"),
        ("core() edge()", "node", "bad-query", 17, "`edge` is too much here"),
        ("cor()", "node", "bad-query", 10, "there is no function 'cor'"),
        ("r1 and near(r1)", "link", "bad-query", 10, "'r1' names no link"),
        ("near(r1)", "link", "bad-query", 10, "near() selects nodes, not links"),
        ("of(r1, r2)", "link", "bad-query", 10, "of() takes nodes"),
        ("label(role)", "node", "bad-query", 10, "label() takes key=value"),
        ("label(role=)", "node", "bad-query", 21, "a value is missing after `role=`"),
        ("(r1", "node", "bad-query", 13, "`)` is missing"),
        ("'r1", "node", "bad-query", 10, "a quote is opened and never closed"),
        ("r1:1", "node", "bad-query", 10, "'r1:1' names no node"),
        ("r1", "port", "bad-query", 10, "'r1' names no port"),
        ("r1 or", "node", "bad-query", 15, "a name or a function is missing"),
        ("of(r9)", "link", "unknown-node", 13, "lab t has no node 'r9'"),
        ("r1:1--r9:1", "link", "unknown-node", 10, "lab t has no node 'r9'"),
        ("r1:2--r2:9", "link", "empty-target", 10, "lab t has no link 'r1:2--r2:9'"),
        ("core() and edge()", "node", "empty-target", 10, "no node of lab t is 'core() and edge()'"),
        ("x*", "node", "empty-target", 10, "no node of lab t is 'x*'"),
    ],
)
def test_errors_have_the_column(expression, kind, code, column, said):
    error = refused(expression, kind)
    assert (error.code, str(error.where), error.message) == (code, f"s.yml:3:{column}", said)


def test_nothing_may_be_selected_where_that_is_allowed():
    assert found("x*", "node", allow_empty=True) == []
    assert found("h*", "node", allow_empty=True, pick=9) == ["h1", "h2"]
    assert "3 of 'h*' are to be picked" in refused("h*", "node", pick=3).message


def test_deep_nesting_is_an_error_and_not_a_crash():
    assert "levels deep" in refused("(" * 5000 + "r1" + ")" * 5000, "node").message
    assert found("not " * 5000 + "r1", "node") == ["r1"]


def test_a_pick_is_a_function_of_the_seed_and_not_of_the_crowd():
    picked = {seed: found("*", "node", seed=seed, pick=2) for seed in range(40)}
    assert all(len(each) == 2 for each in picked.values())
    assert {name for each in picked.values() for name in each} == {"h1", "h2", "r1", "r2", "r3"}
    more = lab_of(*(str(c.id) for c in LAB.cables), nodes=("zz",))
    for seed, before in picked.items():
        after = found("*", "node", more, seed=seed, pick=2)
        assert set(after) <= {*before, "zz"}


@st.composite
def labs(draw):
    names = "abcdef"
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=12))
    return lab_of(*(f"{a}:{i}--{b}:x{i}" for i, (a, b) in enumerate(pairs)), nodes=names)


nodes = st.sampled_from(["a", "b", "[cd]", "*", "core()", "edge()", "bridge()", "near(a)", "path(a, b)"])


def expressions(atoms):
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda p: f"({p[0]} and {p[1]})"),
            st.tuples(inner, inner).map(lambda p: f"({p[0]} or {p[1]})"),
            inner.map(lambda i: f"not ({i})"),
        ),
        max_leaves=5,
    )


@given(labs(), expressions(nodes), expressions(nodes))
def test_the_laws_of_sets(lab, p, q):
    def of(expression):
        return set(found(expression, "node", lab, allow_empty=True))

    everything = of("*")
    assert of(f"({p}) and ({q})") == of(p) & of(q)
    assert of(f"({p}) or ({q})") == of(p) | of(q)
    assert of(f"not ({p})") == everything - of(p)
    assert of(f"not (({p}) and ({q}))") == of(f"not ({p}) or not ({q})")


@given(labs(), st.sampled_from("abcdef"), st.sampled_from("abcdef"))
def test_a_cut_separates_and_is_smallest(lab, one, other):
    graph = Graph(lab)
    cut = set(found(f"cut({one}, {other})", "link", lab, allow_empty=True))
    left = nx.MultiGraph(graph.multi)
    left.remove_edges_from([e for e in graph.multi.edges(keys=True) if str(e[2]) in cut])
    if one == other:
        assert not cut
        return
    assert not nx.has_path(left, one, other)
    flow = nx.DiGraph()
    flow.add_nodes_from(graph.multi)
    for u, v in graph.simple.edges:
        for edge in ((u, v), (v, u)):
            flow.add_edge(*edge, capacity=graph.multi.number_of_edges(u, v))
    assert len(cut) == nx.maximum_flow_value(flow, one, other)


@given(labs(), st.sampled_from("abcdef"), st.sampled_from("abcdef"))
def test_a_path_is_what_all_shortest_paths_use(lab, one, other):
    graph = Graph(lab).simple
    wanted = set()
    if one != other and nx.has_path(graph, one, other):
        for path in nx.all_shortest_paths(graph, one, other):
            wanted |= set(path[1:-1])
    assert set(found(f"path({one}, {other})", "node", lab, allow_empty=True)) == wanted


@given(labs())
def test_a_bridge_is_what_alone_splits(lab):
    graph = Graph(lab)
    bridges = set(found("bridge()", "link", lab, allow_empty=True))
    before = nx.number_connected_components(graph.multi)
    for u, v, key in graph.multi.edges(keys=True):
        left = nx.MultiGraph(graph.multi)
        left.remove_edge(u, v, key)
        assert (nx.number_connected_components(left) > before) == (str(key) in bridges)


@given(st.text(alphabet="ab()*,='\" \tnotandor[:-", max_size=30), st.sampled_from(list(Kind)))
def test_any_text_is_a_query_or_an_error_with_a_place(text, kind):
    errors = []
    try:
        check(Query(kind=kind, expression=text, where=WHERE))
    except LabctlError as error:
        errors = [(error.code, error.where.line, 10 <= error.where.column <= 10 + len(text))]
    assert errors in ([], [("bad-query", 3, True)])


def test_functions_say_what_they_are():
    for name, function in FUNCTIONS.items():
        assert name.islower()
        assert function.about
        assert function.of
        assert all(isinstance(t, Kind | Words) for t in function.takes)
    assert list(FUNCTIONS) == sorted(FUNCTIONS)


def test_cable_names_are_read_from_both_ends():
    graph = Graph(LAB)
    assert CableId.parse("r2:4--r3:2") in graph.cables
