"""A run that passes, and what has to be different for another verdict. The engine's part is tests/unit/run's."""

from dataclasses import replace

import pytest

import reports
from labctl.model.routes import RouteChange, RouteComparison
from labctl.model.verdict import Verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def finding(report, subject):
    (found,) = [f for f in report.findings if f.subject == subject]
    return found


def test_a_failure_that_routing_got_around_passes():
    report = reports.report()
    assert report.verdict is PASS, report.findings
    assert report.headline == (
        "core-cut: cable cut (a-core1:eth3--a-edge1:eth1); client1 → web1 was interrupted for 280 to 320 ms, "
        "as allowed."
    )
    cut = finding(report, "cable cut: a-core1:eth3--a-edge1:eth1")
    assert [e.source for e in cut.because] == ["lldp", "lldp"]


@pytest.mark.parametrize(("limit", "verdict"), [(0.25, FAIL), (0.3, UNKNOWN), (0.5, PASS)])
def test_a_limit_between_what_is_sure_and_what_is_possible_cannot_be_judged(limit, verdict):
    """The outage lasted between 280 and 320 ms."""
    report = reports.report(limit, tracks=(reports.track("c → w", ((70.005, 70.31),)),))
    assert finding(report, f"during: c → w: max_outage <= {round(limit * 1000)}ms").verdict is verdict
    assert report.verdict is verdict


def test_traffic_that_only_the_end_of_the_failure_brought_back_is_said_to_be():
    report = reports.report(20.0, tracks=(reports.track("c → w", ((70.0, 81.05),)),))
    assert report.verdict is PASS
    assert "c → w was cut off until the failure was over, 11.0 to 11.1 s, as allowed." in report.headline


def test_of_several_flows_the_headline_is_about_the_one_that_was_measured_best():
    slow = reports.track("c → http://w/", ((70.0, 70.9),), interval=0.1, metric="http")
    report = reports.report(tracks=(slow, reports.track("c → w", ((70.005, 70.31),))))
    assert "c → w was interrupted for 280 to 320 ms" in report.headline


def test_traffic_that_did_not_come_back_fails():
    report = reports.report(tracks=(reports.track("c → w", ((70.0, 1000),)),))
    assert finding(report, "during: c → w: max_outage <= 1s").verdict is FAIL
    assert finding(report, "steady again: c → w: loss <= 1%").verdict is FAIL
    assert "did not come back" in report.headline


def test_nothing_lost():
    report = reports.report(tracks=(reports.track("c → w"),))
    assert report.verdict is PASS
    assert report.headline.endswith("no traffic was lost.")


def test_loss_before_the_failure_is_a_steady_state_that_did_not_hold():
    report = reports.report(tracks=(reports.track("c → w", ((65.0, 65.3), (70.0, 70.3))),))
    assert finding(report, "before: c → w: loss <= 1%").verdict is FAIL


def test_a_probe_that_failed_or_saw_too_little_is_unknown():
    broken = reports.report(tracks=(reports.track("c → w", error="OSError: no"),))
    assert finding(broken, "during: c → w: max_outage <= 1s").verdict is UNKNOWN
    short = reports.report(tracks=(reports.track("c → w", start=70, end=70.1),))
    assert finding(short, "during: c → w: max_outage <= 1s").verdict is UNKNOWN
    assert (broken.verdict, short.verdict) == (UNKNOWN, UNKNOWN)


def test_a_lab_that_was_built_for_the_run_and_had_not_settled_is_unknown():
    (ready,) = reports.observed().ready
    report = reports.report(ready=(replace(ready, settled=False),))
    assert finding(report, "routing, shadow").verdict is UNKNOWN
    assert report.verdict is UNKNOWN


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        (None, PASS),
        (RouteComparison(compared=5, equal=5, nodes=2), PASS),
        (RouteComparison(compared=0, equal=0), UNKNOWN),
        (RouteComparison(compared=5, equal=4, nodes=2, differences=(reports.DIFFERENCE,)), FAIL),
    ],
)
def test_a_lab_that_does_not_route_as_it_is_to_spoils_the_run(comparison, verdict):
    report = reports.report(comparison=comparison)
    assert report.verdict is verdict
    assert report.comparison == comparison


def test_routes_that_did_not_come_back_fail():
    lost = RouteChange(t=90.0, node="r1", prefix="10.0.0.0/8", before=reports.route("10.0.0.0/8"), after=None)
    assert finding(reports.report(changed=(lost,)), "at the end: routes == same").verdict is FAIL
    assert finding(reports.report(changed=None), "at the end: routes == same").verdict is UNKNOWN


def test_a_run_that_ended_before_anything_began_is_unknown():
    report = reports.report(
        acts=(), tracks=(), ready=(), convergence=(), comparison=None, before=None, during=None, after=None,
        changed=None, left=None, ended=False, failed="no node answers",
    )  # fmt: skip
    assert report.verdict is UNKNOWN
    assert "ended by an error: no node answers" in report.headline
