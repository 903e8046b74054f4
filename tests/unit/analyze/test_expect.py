"""Each measure on tracks that are written out: what holds, what does not, and what nobody can say."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.analyze import expect
from labctl.model.measure import Sample, Series, Track, Window
from labctl.model.measures import MEASURES
from labctl.model.routes import AdjacencyChange, Convergence, RouteChange
from labctl.model.scenario import Expectation
from labctl.model.verdict import Verdict

ALL = Window(start=0.0, end=1000.0)
PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def track(values, *, interval=0.1, late=1.0, errors=None, error=""):
    """One sample every interval; None was never answered."""
    return Track(
        series=Series(subject="h1 → h2"),
        interval_s=interval,
        late_s=late,
        samples=tuple(
            Sample(seq=i, sent=i * interval, value=v, error=(errors or {}).get(i, ""))
            for i, v in enumerate(values)
        ),
        error=error,
    )


def found(measure, limit, values, op=None, window=ALL, **more):
    wanted = Expectation(measure=measure, op=op or MEASURES[measure].op, limit=limit, probe="p")
    seen = expect.Seen(tracks={"p": values if isinstance(values, Track) else track(values, **more)})
    return expect.judge(wanted, seen, window, "during")


def lost(count, of=100, at=20):
    """`count` samples lost in a row."""
    return [None if at <= i < at + count else 0.01 for i in range(of)]


@pytest.mark.parametrize(
    ("measure", "limit", "values", "verdict"),
    [
        ("loss", 0.05, lost(5), PASS),
        ("loss", 0.05, lost(6), FAIL),
        ("loss", 0.0, lost(0), PASS),
        ("availability", 0.95, lost(5), PASS),
        ("availability", 0.95, lost(6), FAIL),
        ("late", 0.01, [2.0] + [0.01] * 99, PASS),
        ("late", 0.01, [2.0] * 2 + [0.01] * 98, FAIL),
        ("availability", 1.0, [2.0] * 100, PASS),  # late is not lost
        ("rtt_median", 0.02, [0.01] * 60 + [0.5] * 40, PASS),
        ("rtt_median", 0.02, [0.01] * 40 + [0.5] * 60, FAIL),
        ("rtt_p95", 0.02, [0.01] * 96 + [0.5] * 4, PASS),
        ("rtt_p95", 0.02, [0.01] * 94 + [0.5] * 6, FAIL),
        ("rtt_p99", 0.02, [0.01] * 98 + [0.5] * 2, FAIL),
        ("rtt_p99", 0.02, [None] * 100, UNKNOWN),
        # ten lost in a row: between 0.9 s (first lost to last) and 1.1 s (last good to first good)
        ("max_outage", 1.1, lost(10), PASS),
        ("max_outage", 1.0, lost(10), UNKNOWN),
        ("max_outage", 0.8, lost(10), FAIL),
        ("max_outage", 0.1, lost(0), PASS),
        ("max_outage", 60.0, lost(10, at=90), UNKNOWN),  # it had not come back: nobody knows how long
        ("max_outage", 0.5, lost(10, at=90), FAIL),
        ("total_outage", 2.2, lost(10) + lost(10), PASS),
        ("total_outage", 2.0, lost(10) + lost(10), UNKNOWN),
        ("total_outage", 1.7, lost(10) + lost(10), FAIL),
    ],
)
def test_measures_of_a_probe(measure, limit, values, verdict):
    assert found(measure, limit, values).verdict is verdict


def test_too_few_samples_are_unknown_whatever_they_say():
    for values in ([0.01] * 9, [None] * 9, []):
        assert found("loss", 1.0, values).verdict is UNKNOWN


def test_a_probe_that_failed_or_is_not_there_is_unknown():
    assert found("loss", 1.0, track([0.01] * 50, error="boom")).verdict is UNKNOWN
    wanted = Expectation(measure="loss", limit=1.0, probe="other")
    assert expect.judge(wanted, expect.Seen(), ALL, "x").verdict is UNKNOWN


def test_only_samples_of_the_window_count():
    values = lost(10, of=200)
    assert found("loss", 0.0, values, window=Window(start=0.0, end=1.95)).verdict is PASS
    assert found("loss", 0.0, values, window=Window(start=1.95, end=5.0)).verdict is FAIL
    assert found("loss", 0.0, values, window=Window(start=3.0, end=None)).verdict is PASS


def test_an_outage_that_begins_in_the_window_is_judged_whole():
    half = found("max_outage", 0.5, lost(20), window=Window(start=0.0, end=2.3))
    assert half.verdict is FAIL
    assert half.window == Window(start=pytest.approx(2.0), end=pytest.approx(4.0))


def test_what_the_sender_was_told_is_in_the_finding():
    errors = {20: "no route to host", 21: "no route to host"}
    assert found("loss", 0.0, track(lost(2), errors=errors)).seen == ("sender was told: no route to host",)


@pytest.mark.parametrize(
    ("op", "verdict"), [("<", FAIL), ("<=", PASS), (">", FAIL), (">=", PASS), ("==", PASS)]
)
def test_operators_at_their_limit(op, verdict):
    assert found("loss", 0.05, lost(5), op=op).verdict is verdict


def convergence(*, settled=True, took=1.0, waited=6.0):
    return Convergence(phase="after", settled=settled, start=0.0, took_s=took, waited_s=waited, quiet_s=5.0)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (None, UNKNOWN),
        (convergence(took=1.9), PASS),
        (convergence(took=2.1), FAIL),
        (convergence(settled=False, took=1.0, waited=120.0), UNKNOWN),
        (convergence(settled=False, took=110.0, waited=120.0), FAIL),  # still changing long after the limit
    ],
)
def test_settled_within(seen, verdict):
    wanted = Expectation(measure="settled_within", limit=2.0)
    assert expect.judge(wanted, expect.Seen(convergence=seen), ALL, "after").verdict is verdict


def session(t, before, after):
    return AdjacencyChange(t=t, node="r1", kind="bgp", peer="10.0.0.2", before=before, after=after)


def test_sessions_that_go_down_are_counted_once_each():
    changes = (
        session(5.0, "Established", "Idle"),
        session(6.0, "Idle", "Active"),
        session(7.0, "Active", "Established"),
        session(8.0, "Full/DR", None),
        session(9.0, "Full/DR", "Full/Backup"),
        session(2000.0, "Established", None),
    )
    seen = expect.Seen(adjacency_changes=changes)
    for limit, verdict in ((2, PASS), (1, FAIL)):
        wanted = Expectation(measure="sessions_down", limit=limit)
        assert expect.judge(wanted, seen, ALL, "during").verdict is verdict


def test_route_changes_are_counted_in_the_window():
    changes = tuple(
        RouteChange(t=float(t), node="r1", prefix="10.0.0.0/8", before=None, after=None) for t in range(10)
    )
    wanted = Expectation(measure="route_changes", limit=3)
    seen = expect.Seen(route_changes=changes)
    assert expect.judge(wanted, seen, Window(start=0.0, end=2.0), "x").verdict is PASS
    assert expect.judge(wanted, seen, Window(start=0.0, end=3.0), "x").verdict is FAIL


@pytest.mark.parametrize(
    ("measure", "field", "bad"),
    [
        ("leftovers", "left", ("r1 is frozen",)),
        ("adjacencies", "lost_sessions", ("ospf r1 to 10.0.0.2",)),
        ("routes", "changed", (RouteChange(t=0.0, node="r1", prefix="10.0.0.0/8", before=None, after=None),)),
    ],
)
def test_what_is_to_be_as_before(measure, field, bad):
    wanted = Expectation(measure=measure, op="==", limit=MEASURES[measure].words[0])
    for value, verdict in ((None, UNKNOWN), ((), PASS), (bad, FAIL)):
        assert expect.judge(wanted, expect.Seen(**{field: value}), ALL, "after").verdict is verdict


def test_every_measure_of_the_vocabulary_can_be_judged():
    full = expect.Seen(
        tracks={"p": track([0.01] * 100)},
        convergence=convergence(),
        route_changes=(),
        adjacency_changes=(),
        changed=(),
        lost_sessions=(),
        left=(),
    )
    for name, measure in MEASURES.items():
        limit = measure.words[0] if measure.words else 1e6 if measure.op == "<=" else 0.0
        wanted = Expectation(measure=name, op=measure.op, limit=limit, probe="p" if measure.probe else "")
        assert expect.judge(wanted, full, ALL, "x").verdict is PASS, name
        assert expect.judge(wanted, expect.Seen(), ALL, "x").verdict is UNKNOWN, f"{name}, nobody looked"


def test_a_measure_that_nobody_knows_is_unknown():
    assert expect.judge(Expectation(measure="luck", limit=1.0), expect.Seen(), ALL, "x").verdict is UNKNOWN


@given(
    values=st.lists(st.one_of(st.none(), st.floats(0.001, 3.0)), min_size=10, max_size=60),
    tight=st.floats(0.0, 1.0),
    more=st.floats(0.0, 1.0),
    measure=st.sampled_from(["loss", "late", "rtt_median", "rtt_p99", "max_outage", "total_outage"]),
)
def test_a_wider_limit_never_turns_a_pass_into_a_fail(values, tight, more, measure):
    rank = {FAIL: 0, UNKNOWN: 1, PASS: 2}
    narrow, wide = (found(measure, limit, values).verdict for limit in (tight, tight + more))
    assert rank[narrow] <= rank[wide]


def test_what_may_have_been_lost_while_nothing_was_sent_is_unknown():
    """A probe that stood still for two seconds did not see that nothing was lost."""
    whole = track([0.01] * 100)
    pause = replace(whole, samples=tuple(s for s in whole.samples if not 3.0 < s.sent < 5.0))
    assert found("max_outage", 1.0, whole).verdict is PASS
    assert found("max_outage", 0.0, whole).verdict is PASS
    unsure = found("max_outage", 1.0, pause)
    assert unsure.verdict is UNKNOWN
    assert "nothing was sent for 2.0 s" in unsure.summary
    assert found("total_outage", 1.0, pause).verdict is UNKNOWN
    assert found("max_outage", 2.5, pause).verdict is PASS
    assert found("max_outage", 1.0, pause, window=Window(start=6.0, end=9.0)).verdict is PASS
    assert found("loss", 0.01, pause).verdict is PASS


def test_a_share_of_fewer_than_half_of_the_sends_that_were_due_is_unknown():
    whole = track([0.01] * 100)
    few = replace(whole, samples=whole.samples[:15] + whole.samples[-15:])
    assert found("loss", 0.01, few).verdict is UNKNOWN
    assert found("availability", 0.5, few).verdict is UNKNOWN


def test_the_longest_outage_is_at_most_as_long_as_any_may_have_been():
    """0.9 s for certain and 1.1 at most, beside one of 0.4 s whose next send came late: 2.5 s at most."""
    whole = track([None if 20 <= i < 30 or 50 <= i < 55 else 0.01 for i in range(100)])
    late = replace(whole, samples=tuple(s for s in whole.samples if not 5.45 < s.sent < 7.35))
    assert found("max_outage", 1.5, whole).verdict is PASS
    assert found("max_outage", 1.5, late).verdict is UNKNOWN


def test_in_words():
    wanted = Expectation(measure="loss", limit=0.005, probe="p", within_s=30.0)
    assert expect.words(wanted, {"p": "h1 → h2"}) == "h1 → h2: loss <= 0.5% within 30s"
    assert expect.words(Expectation(measure="routes", op="==", limit="same"), {}) == "routes == same"
