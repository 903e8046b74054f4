"""Units: what people write is what the core gets, and what is printed is read back the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl import units
from labctl.errors import LabctlError, Span


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.duration, "250ms", 0.25),
        (units.duration, "1.5 min", 90.0),
        (units.duration, "2h", 7200.0),
        (units.rate, "10Mbit", 1e7),
        (units.rate, "1e3 kbit", 1e6),
        (units.size, "64MiB", 64 * 2**20),
        (units.size, "1.5kB", 1500),
        (units.percent, "3%", 0.03),
        (units.percent, "100 %", 1.0),
        (units.percent, " 16.7% ", 0.167),
    ],
)
def test_what_people_write(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (units.duration, "20", "no unit"),
        (units.duration, "2 parsecs", "unknown unit 'parsecs'"),
        (units.duration, "-1s", "is not a duration"),
        (units.duration, "", "is not a duration"),
        (units.duration, "1e99s", "is too long"),
        (units.duration, "24001h", "is too long"),
        (units.rate, "10 mbit", "unknown unit 'mbit'"),
        (units.size, "many", "is not a size"),
        (units.size, "1e308GB", "too large"),
        (units.rate, "1e999Gbit", "too large"),
        (units.percent, "101%", "above 100%"),
        (units.percent, "0.5", "no unit"),
    ],
)
def test_what_is_refused(parse, text, said):
    with pytest.raises(LabctlError, match=said) as caught:
        parse(text, where=Span("f.yml", 3, 4))
    assert (caught.value.code, caught.value.where) == ("bad-unit", Span("f.yml", 3, 4))
    assert caught.value.hint


POSITIVE = st.floats(0, 1e15, allow_nan=False) | st.integers(0, 10**9).map(lambda n: n / 1000)


@given(st.floats(0, 86_400_000) | st.integers(0, 10**9).map(lambda n: n / 1000))
def test_durations_are_read_back(seconds):
    assert units.duration(units.format_duration(seconds)) == seconds


@given(POSITIVE)
def test_rates_are_read_back(bps):
    assert units.rate(units.format_rate(bps)) == bps


@given(st.integers(0, 2**50) | st.integers(0, 2**20).map(lambda n: n << 20))
def test_sizes_are_read_back(count):
    assert units.size(units.format_size(count)) == count


@given(st.floats(0, 1) | st.integers(0, 1000).map(lambda n: n / 1000))
def test_percentages_are_read_back(fraction):
    assert units.percent(units.format_percent(fraction)) == fraction


def test_what_is_too_long_to_be_read_can_be_printed():
    """Sums of what was read are printed, too."""
    assert units.format_duration(9000 * 900 * 86400.0) == "699840000000s"
    assert units.format_duration(1e308) == "1e+308s"


def test_the_shortest_form_is_printed():
    assert [units.format_duration(s) for s in (0, 0.25, 1, 90, 1e-6)] == ["0s", "250ms", "1s", "90s", "1us"]
    assert [units.format_rate(r) for r in (1e7, 1500.0, 3.0)] == ["10Mbit", "1.5kbit", "3.0bit"]
    sizes = (0, 1, 64 << 20, 10**9, 4097, 3 << 29)
    assert [units.format_size(n) for n in sizes] == ["0B", "1B", "64MiB", "1GB", "4097B", "1536MiB"]
    assert [units.format_percent(p) for p in (0.03, 1.0, 0.125)] == ["3%", "100%", "12.5%"]
