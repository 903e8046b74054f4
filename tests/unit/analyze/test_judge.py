"""Findings on single things: what could not be seen is UNKNOWN, what is wrong is FAIL."""

from dataclasses import replace

import pytest

import reports
from labctl.analyze import judge
from labctl.model.routes import RouteComparison
from labctl.model.verdict import Verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def test_a_failure_that_was_not_read_back_is_unknown_and_one_that_may_still_be_there_fails():
    act = reports.observed().acts[0]

    def verdict(**changes):
        return judge.of_act(replace(act, **changes), ()).verdict

    assert verdict() is PASS
    assert verdict(start=replace(act.start, read_back=None)) is UNKNOWN
    assert verdict(start=replace(act.start, applied=None, read_back=None)) is UNKNOWN
    assert verdict(end=replace(act.end, read_back=None)) is FAIL


def test_routing_that_did_not_settle_is_unknown():
    seen = reports.cut_phase()
    assert judge.of_convergence(seen).verdict is PASS
    assert judge.of_convergence(replace(seen, settled=False)).verdict is UNKNOWN


def test_a_stuck_session_is_listed_and_does_not_fail():
    found = judge.of_convergence(reports.observed().convergence[1])
    assert (found.verdict, found.seen) == (PASS, ("not up: bgp b-edge2 to 10.9.9.9: Active",))


@pytest.mark.parametrize(
    ("comparison", "verdict", "text"),
    [
        (RouteComparison(compared=5, equal=5, nodes=2), PASS, "All 5 routes of 2 nodes are equal."),
        (
            RouteComparison(compared=5, equal=5, nodes=2, unread=("r9",)),
            UNKNOWN,
            "All 5 routes of 2 nodes are equal; 1 node could not be asked.",
        ),
        (
            RouteComparison(compared=5, equal=5, nodes=2, only_production=("r9",)),
            UNKNOWN,
            "All 5 routes of 2 nodes are equal; the shadow lacks 1 node.",
        ),
        (
            RouteComparison(compared=5, equal=5, nodes=2, only_shadow=("nms",)),
            PASS,
            "All 5 routes of 2 nodes are equal.",
        ),
        (RouteComparison(compared=0, equal=0), UNKNOWN, "No route could be compared."),
        (
            RouteComparison(compared=5, equal=4, nodes=2, differences=(reports.DIFFERENCE,)),
            FAIL,
            "80 % of 5 routes are equal; 1 differ.",
        ),
    ],
)
def test_the_comparison_with_production(comparison, verdict, text):
    found = judge.of_comparison(comparison)
    assert (found.verdict, found.summary) == (verdict, text)


@pytest.mark.parametrize(("back_s", "healed"), [(0.3, False), (10.99, False), (11.05, True)])
def test_what_only_the_end_of_the_failure_brought_back(back_s, healed):
    """The cable is cut from 70.003 to 81.002."""
    run = reports.observed(tracks=(reports.track("c → w", ((70.005, 70.0 + back_s),)),))
    (flow,) = reports.played.report(run).flows
    window = judge.worst_window(flow, run.acts)
    assert judge.ended_by_healing(window, run.acts) is healed
