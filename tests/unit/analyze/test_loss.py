import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.analyze import loss
from labctl.model.measure import Sample, Series, Track


def track(pattern, step=0.1):
    """`.` answered, `x` lost, `~` late."""
    value = {".": 0.001, "x": None, "~": 2.0}
    samples = tuple(Sample(seq=i, sent=round(i * step, 6), value=value[c]) for i, c in enumerate(pattern))
    return Track(series=Series(subject="a -> b"), interval_s=step, late_s=1.0, samples=samples)


def test_a_window_lies_between_its_last_lost_and_its_next_good_sample():
    (window,) = loss.windows(track("...xxx.."))
    assert (window.first_lost, window.last_lost, window.last_good, window.next_good) == (0.3, 0.5, 0.2, 0.6)
    assert round(window.at_least_s, 6) == 0.2
    assert window.at_most_s is not None
    assert round(window.at_most_s, 6) == 0.4


def test_windows_that_reach_the_edge_of_the_measurement_have_no_upper_bound():
    first, last = loss.windows(track("xx..xx"))
    assert (first.last_good, first.at_most_s, first.recovered) == (None, None, True)
    assert (last.next_good, last.at_most_s, last.recovered) == (None, None, False)


def test_a_late_reply_ends_a_window():
    assert [w.lost for w in loss.windows(track("..xx~xx.."))] == [2, 2]
    flow = loss.flow(track("..xx~xx.."))
    assert (flow.sent, flow.lost, flow.late) == (9, 4, 1)


def test_the_longest_window_is_the_one_with_most_certain_loss():
    longest = loss.longest(loss.flow(track(".x..xxx..xx.")))
    assert longest is not None
    assert longest.lost == 3
    assert loss.longest(loss.flow(track("....."))) is None


@pytest.mark.parametrize(
    ("n", "share", "rank"),
    [(100, 0.99, 99), (101, 0.99, 100), (10, 0.5, 5), (9, 0.5, 5), (100, 0.07, 7), (1, 0.0, 1), (5, 1.0, 5)],
)
def test_a_quantile_is_the_value_of_the_nearest_rank(n, share, rank):
    assert loss.quantile(list(range(1, n + 1)), share) == rank


def test_no_samples_are_no_figures():
    flow = loss.flow(track(""))
    assert (flow.sent, flow.rtt_median_s, flow.windows) == (0, None, ())


@given(st.text(alphabet=".x~", max_size=60))
def test_windows_account_for_every_lost_sample_once(pattern):
    windows = loss.windows(track(pattern))
    assert sum(w.lost for w in windows) == pattern.count("x")
    assert [w.lost for w in windows] == [len(run) for run in pattern.replace("~", ".").split(".") if run]
    for window in windows:
        assert window.at_least_s >= 0
        assert window.at_most_s is None or window.at_most_s > window.at_least_s
