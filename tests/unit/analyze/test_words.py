import pytest

from labctl.analyze.words import outage, plural, seconds, share
from labctl.model.measure import LossWindow


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (0.0000391, "39 µs"),
        (0.00341, "3.4 ms"),
        (0.3411, "341 ms"),
        (3.41, "3.4 s"),
        (59.97, "1 min 0 s"),
        (119.8, "2 min 0 s"),
        (184.2, "3 min 4 s"),
        (0.9996, "1.0 s"),
        (0.00999, "10 ms"),
    ],
)
def test_seconds(value, text):
    assert seconds(value) == text


def window(first, last, before, after):
    return LossWindow(first_lost=first, last_lost=last, last_good=before, next_good=after, lost=1)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (window(1.0, 1.3, 0.98, 1.32), "300 to 340 ms"),
        (window(1.0, 1.98, 0.98, 2.0), "980 ms to 1.0 s"),
        (window(1.0, 1.0, 0.98, 1.02), "at most 40 ms"),
        (window(1.0, 3.0, 0.98, None), "at least 2.0 s"),
        (window(1.0, 61.0, 0.99, 61.01), "1 min 0 s"),
    ],
)
def test_an_outage_is_an_interval(seen, text):
    assert outage(seen) == text


def test_share_is_whole_only_when_nothing_is_missing():
    assert share(999_999, 1_000_000) == "99.9 %"
    assert share(5, 5) == "100 %"
    assert share(0, 0) == "none"


def test_plural():
    assert (plural(1, "node"), plural(1200, "node")) == ("1 node", "1,200 nodes")
