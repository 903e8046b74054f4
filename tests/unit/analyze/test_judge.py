"""The demo's run, and what has to be different for another verdict."""

from dataclasses import replace

import pytest

import reports
from labctl.analyze.judge import Expect
from labctl.model.routes import RouteChange, RouteComparison
from labctl.model.verdict import Verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def finding(report, subject):
    (found,) = [f for f in report.findings if f.subject == subject]
    return found


def test_a_failure_that_routing_got_around_passes():
    report = reports.report()
    assert report.verdict is PASS
    assert report.headline == (
        "Cable cut (a-core1:eth3--a-edge1:eth1): client1 → web1 was interrupted for 280 to 320 ms, "
        "then took another way."
    )
    cut = finding(report, "cable cut: a-core1:eth3--a-edge1:eth1")
    assert [e.source for e in cut.because] == ["lldp", "lldp"]


@pytest.mark.parametrize(("limit", "verdict"), [(None, PASS), (0.25, FAIL), (0.3, UNKNOWN), (0.5, PASS)])
def test_a_limit_between_what_is_sure_and_what_is_possible_cannot_be_judged(limit, verdict):
    """The outage lasted between 280 and 320 ms."""
    report = reports.report(Expect(max_outage_s=limit), tracks=(reports.track("c → w", ((70.005, 70.31),)),))
    assert finding(report, "c → w").verdict is verdict


def test_traffic_that_only_the_healing_brought_back_fails():
    report = reports.report(tracks=(reports.track("c → w", ((70.0, 81.05),)),))
    assert report.verdict is FAIL
    assert "no other way until the healing" in finding(report, "c → w").summary
    assert "cut off until the healing" in report.headline


def test_traffic_that_did_not_come_back_fails():
    report = reports.report(tracks=(reports.track("c → w", ((70.0, 1000),)),))
    assert finding(report, "c → w").verdict is FAIL
    assert "did not come back" in report.headline


def test_nothing_lost():
    report = reports.report(tracks=(reports.track("c → w"),))
    assert report.verdict is PASS
    assert report.headline.endswith("no traffic was lost.")


def test_loss_before_the_failure_spoils_the_measurement():
    report = reports.report(tracks=(reports.track("c → w", ((65.0, 65.1), (70.0, 70.3))),))
    verdicts = [f.verdict for f in report.findings if f.subject == "c → w"]
    assert verdicts == [UNKNOWN, PASS]
    assert report.verdict is UNKNOWN


def test_a_probe_that_failed_or_saw_too_little_is_unknown():
    broken = reports.report(tracks=(reports.track("c → w", error="OSError: no"),))
    assert finding(broken, "c → w").verdict is UNKNOWN
    short = reports.report(tracks=(reports.track("c → w", start=70, end=70.1),))
    assert finding(short, "c → w").verdict is UNKNOWN


def test_a_failure_that_was_not_read_back_is_unknown_and_one_that_may_still_be_there_fails():
    act = reports.observed().acts[0]

    def verdict(**changes):
        return finding(reports.report(acts=(replace(act, **changes),)), f"cable cut: {act.on}").verdict

    assert verdict(start=replace(act.start, read_back=None)) is UNKNOWN
    assert verdict(start=replace(act.start, applied=None, read_back=None)) is UNKNOWN
    assert verdict(end=replace(act.end, read_back=None)) is FAIL


def test_routing_that_did_not_settle_is_unknown():
    seen = reports.observed().convergence
    report = reports.report(convergence=(seen[0], replace(seen[1], settled=False)))
    assert finding(report, "routing, cable cut").verdict is UNKNOWN
    assert report.verdict is UNKNOWN


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        (RouteComparison(compared=5, equal=5, nodes=2), PASS),
        (RouteComparison(compared=5, equal=5, nodes=2, unread=("r9",)), UNKNOWN),
        (RouteComparison(compared=5, equal=5, nodes=2, only_production=("r9",)), UNKNOWN),
        (RouteComparison(compared=5, equal=5, nodes=2, only_shadow=("nms",)), PASS),
        (RouteComparison(compared=0, equal=0), UNKNOWN),
        (RouteComparison(compared=5, equal=4, nodes=2, differences=(reports.DIFFERENCE,)), FAIL),
    ],
)
def test_the_comparison_with_production(comparison, verdict):
    report = reports.report(comparison=comparison)
    assert finding(report, "shadow against production").verdict is verdict
    assert report.verdict is verdict


def test_routes_that_did_not_come_back_fail():
    lost = RouteChange(t=90.0, node="r1", prefix="10.0.0.0/8", before=reports.route("10.0.0.0/8"), after=None)
    report = reports.report(changed_after=(lost,))
    assert finding(report, "routing, restored").verdict is FAIL
    assert [f.subject for f in reports.report(changed_after=None).findings].count("routing, restored") == 0


def test_loss_without_any_failure_fails():
    report = reports.report(acts=(), tracks=(reports.track("c → w", ((65.0, 65.1),)),))
    assert finding(report, "c → w").verdict is FAIL


def test_a_stuck_session_is_listed_and_does_not_fail():
    report = reports.report()
    assert finding(report, "routing, after healing").seen == ("not up: bgp b-edge2 to 10.9.9.9: Active",)
