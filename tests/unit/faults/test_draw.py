import statistics

import pytest

from labctl.faults.draw import Draw


def test_the_same_path_draws_the_same_and_another_one_does_not():
    one = Draw(seed=7).at("a").at("b")
    assert one.uniform("x", 0, 1) == Draw(seed=7, path=("a", "b")).uniform("x", 0, 1)
    others = [
        Draw(seed=8).at("a").at("b").uniform("x", 0, 1),
        Draw(seed=7).at("ab").uniform("x", 0, 1),
        Draw(seed=7).at("a").at("b").uniform("y", 0, 1),
        Draw(seed=7).at("a").uniform("bx", 0, 1),
        Draw(seed=7).at("a").at("b").at("x").uniform("", 0, 1),
    ]
    assert len({one.uniform("x", 0, 1), *others}) == 6


def test_draws_of_a_seed_never_change():
    """Saved seeds must mean the same tomorrow."""
    draw = Draw(seed=20261120, path=("core-flap", "step"))
    assert [draw.integer(str(i), 1000) for i in range(6)] == [114, 920, 869, 546, 912, 515]
    assert draw.uniform("x", 2, 3) == 2.6920395805075685


def test_draws_are_spread_evenly():
    draws = [Draw(seed=1).uniform(str(i), 2, 4) for i in range(4000)]
    assert 2 <= min(draws) < 2.01
    assert 3.99 < max(draws) < 4
    assert abs(statistics.mean(draws) - 3) < 5 * (2 / 12**0.5) / 4000**0.5
    counts = [0] * 5
    for i in range(5000):
        counts[Draw(seed=2).integer(str(i), 5)] += 1
    assert all(abs(c - 1000) < 5 * (5000 * 0.2 * 0.8) ** 0.5 for c in counts)


def test_nothing_cannot_be_drawn_from():
    with pytest.raises(ValueError, match="nothing can be drawn"):
        Draw(seed=1).integer("x", 0)
