"""A plan with fewer faults: what stays does not move."""

from drawn_labs import LAB, faults_of, planned

from labctl.faults.phases import course
from labctl.faults.reduce import faults, reduced
from labctl.topo.query_graph import Graph

TEXT = """
  - parallel:
      - {fault: link.flap, id: one, target: {link: "core()", pick: 1}, for: 30s, jitter: 40%}
      - sequence:
          - wait: 5s
          - {fault: link.down, id: two, target: {link: "h1:*--r1:*"}, for: 10s}
  - repeat: 2
    steps:
      - {fault: node.hang, id: three, target: {node: r1}, for: 4s}
"""


def test_faults_in_the_order_of_the_file():
    assert [each.id for each in faults(planned(TEXT).root)] == ["one", "two", "three", "three#2"]


def test_everything_is_the_plan_under_another_name():
    plan = planned(TEXT)
    same = reduced(plan, ["one", "two", "three", "three#2"], Graph(LAB), "again")
    assert (same.scenario, same.root, same.predicted) == ("again", plan.root, plan.predicted)


def test_what_stays_keeps_its_targets_draws_and_times():
    plan = planned(TEXT)
    for keep in ((), ("one",), ("two", "three#2"), ("one", "three")):
        less = reduced(plan, keep, Graph(LAB), "less")
        wanted = [each for each in faults_of(plan.root) if each.id in keep]
        assert faults_of(less.root) == wanted
        before = {p.start_s: p for p in course(plan.root).phases}
        assert (course(less.root).min_s, course(less.root).max_s) == (plan.min_s, plan.max_s)
        for phase in course(less.root).phases:
            if phase.start_s in before:
                kept = {e for e in before[phase.start_s].active if e.id in keep}
                assert phase.active == kept


def test_the_blast_radius_is_that_of_what_stays():
    plan = planned(TEXT)
    assert plan.predicted.max_unreachable_pairs
    assert reduced(plan, ["one"], Graph(LAB), "x").predicted.max_unreachable_pairs == 0
    nothing = reduced(plan, [], Graph(LAB), "x").predicted
    assert (nothing.links, nothing.nodes, nothing.lost) == ((), (), ())
