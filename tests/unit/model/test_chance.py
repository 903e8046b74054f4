import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.model import chance
from labctl.model.impairment import Distribution


def test_draws_are_those_of_splitmix64():
    """The published sequence of the generator seeded with 1234567: the mixing must never change, or old seeds lie."""
    found = [chance.mix(1234567 + n * chance.GOLDEN) for n in range(1, 4)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(0, chance.USES - 1))
def test_a_draw_has_32_bits_and_is_the_same_every_time(seed, number, use):
    drawn = chance.draw(seed, number, use)
    assert 0 <= drawn < 2**32
    assert chance.draw(seed, number, use) == drawn


def test_a_fraction_of_draws_is_below_its_threshold():
    n, p = 50_000, 0.03
    hits = sum(chance.draw(7, i, 0) < chance.threshold(p) for i in range(n))
    assert abs(hits - n * p) < 5 * (n * p * (1 - p)) ** 0.5


def test_never_is_never_and_always_is_always():
    assert chance.threshold(0) == 0
    assert all(chance.draw(1, i, 0) < chance.threshold(1) for i in range(1000))


def test_two_uses_of_one_frame_are_independent():
    n = 20_000
    both = sum(chance.draw(3, i, 0) < 2**31 and chance.draw(3, i, 1) < 2**31 for i in range(n))
    assert abs(both - n / 4) < 5 * (n * 3 / 16) ** 0.5


@pytest.mark.parametrize("shape", list(Distribution))
def test_a_table_has_mean_0_and_unit_spread(shape):
    table = chance.quantiles(shape)
    assert len(table) == chance.TABLE
    assert list(table) == sorted(table)
    assert statistics.fmean(table) == pytest.approx(0, abs=0.002)
    if shape is Distribution.UNIFORM:
        assert (min(table), max(table)) == (pytest.approx(-1, abs=0.001), pytest.approx(1, abs=0.001))
    else:
        assert statistics.pstdev(table) == pytest.approx(1, abs=0.01)
        assert max(map(abs, table)) <= 4.001


def test_the_shapes_differ_where_they_should():
    """A Pareto delay is often a little early and sometimes very late; a normal one is even."""
    normal, pareto = chance.quantiles(Distribution.NORMAL), chance.quantiles(Distribution.PARETO)
    middle = chance.TABLE // 2
    assert normal[middle] == pytest.approx(0, abs=0.01)
    assert pareto[middle] < -0.1
    assert min(pareto) > -1
