"""Stages: waits in a circle are found, others are not; a health check counts as Docker counts."""

import itertools

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from labctl.model.stages import ORDER, Health, Healthcheck, Stage, Wait, awaited, circle, judge

NAMES = ("a", "b", "c")
WAITS = st.builds(
    Wait, stage=st.sampled_from(Stage), node=st.sampled_from(NAMES), until=st.sampled_from(Stage)
)


def wait(stage, node, until):
    return Wait(stage=Stage(stage), node=node, until=Stage(until))


def test_a_chain_is_no_circle_and_two_that_wait_for_each_other_are():
    assert circle({"a": [wait("create", "b", "create")], "b": [wait("create", "c", "healthy")]}) == ()
    # What either waits for comes before what the other waits at.
    crossed = {"a": [wait("create-links", "b", "create")], "b": [wait("create-links", "a", "create")]}
    assert circle(crossed) == ()
    one, other = wait("create", "b", "create-links"), wait("create-links", "a", "create")
    assert set(circle({"a": [one], "b": [other]})) == {one, other}
    alone = wait("configure", "a", "exit")
    assert circle({"a": [alone]}) == (alone,)


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(WAITS, max_size=4)))
def test_a_circle_is_found_exactly_where_the_order_of_all_stages_has_one(waits):
    order = nx.DiGraph()
    for name in NAMES:
        for one, next_ in itertools.pairwise(ORDER):
            order.add_edge((name, one), (name, next_))
    for name, own in waits.items():
        order.add_edges_from(((each.node, each.until), (name, each.stage)) for each in own)
    found = circle(waits)
    assert bool(found) == (not nx.is_directed_acyclic_graph(order))
    for each, following in zip(found, (*found[1:], *found[:1]), strict=True):
        assert following in waits[each.node]
        assert ORDER.index(following.stage) <= ORDER.index(each.until)


def test_what_is_awaited_of_a_node_is_the_last_of_it():
    assert awaited([wait("create", "a", "create"), wait("create", "a", "healthy")]) == {"a": Stage.HEALTHY}


def after(check, answers, *, age_s=100.0):
    health, failing = Health.STARTING, 0
    for ok in answers:
        health, failing = judge(check, health, failing, ok=ok, age_s=age_s)
    return health


def test_health_is_counted_as_docker_counts_it():
    check = Healthcheck(test=("true",), retries=3, start_period_s=10)
    assert after(check, []) is Health.STARTING
    assert after(check, [False, False]) is Health.STARTING
    assert after(check, [False] * 3) is Health.UNHEALTHY
    assert after(check, [False] * 9, age_s=9) is Health.STARTING
    assert after(check, [True], age_s=1) is Health.HEALTHY
    assert after(check, [True, False, False]) is Health.HEALTHY
    assert after(check, [True, False, False, True, False, False]) is Health.HEALTHY
    assert after(check, [False] * 3 + [True]) is Health.HEALTHY
