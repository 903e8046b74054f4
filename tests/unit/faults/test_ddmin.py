"""Delta debugging: the smallest set that fails, whatever fails, and nothing called proven that is not."""

from hypothesis import given
from hypothesis import strategies as st

from labctl.faults.ddmin import Minimal, ddmin
from labctl.model.campaign import Answer


def run(items, answer):
    """What ddmin comes to, and what it asked."""
    asked = []
    asking = ddmin(items)
    try:
        ask = next(asking)
        while True:
            asked.append(ask)
            ask = asking.send(answer(frozenset(ask.items)))
    except StopIteration as stop:
        return stop.value, asked


def fails_with(*culprits):
    return lambda items: Answer.FAILS if items.issuperset(culprits) else Answer.PASSES


ITEMS = st.integers(1, 12).flatmap(
    lambda count: st.tuples(st.just(tuple(range(count))), st.sets(st.integers(0, count - 1), min_size=1))
)


def test_one_of_eight():
    found, asked = run(range(8), fails_with(6))
    assert found == Minimal(items=(6,), doubtful=())
    assert len(asked) <= 6  # halves: 4, 4, 2, 2, 1


def test_two_that_are_far_apart():
    assert run(range(8), fails_with(0, 7))[0] == Minimal(items=(0, 7), doubtful=())


def test_a_single_item_is_not_asked_about():
    assert run(("a",), fails_with("a")) == (Minimal(items=("a",), doubtful=()), [])


@given(ITEMS)
def test_what_more_faults_never_cure_comes_to_exactly_the_culprits(case):
    items, culprits = case
    found, asked = run(items, fails_with(*culprits))
    assert set(found.items) == culprits
    assert found.doubtful == ()
    sets = [frozenset(ask.items) for ask in asked]
    assert len(sets) == len(set(sets)), "no set is played twice"
    assert frozenset() not in sets
    assert frozenset(items) not in sets


@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_any_answers_at_all(count, random):
    """Sets that pass, fail or cannot be judged at will: what is returned fails, and the doubt is exactly where it is."""
    answers = {frozenset(range(count)): Answer.FAILS, frozenset(): Answer.PASSES}

    def answer(items):
        return answers.setdefault(items, random.choice(list(Answer)))

    found, asked = run(range(count), answer)
    assert answers[frozenset(found.items)] is Answer.FAILS
    for each in found.items:
        without = answers[frozenset(found.items) - {each}]
        assert without is not Answer.FAILS, "a smaller set was known to fail"
        assert (each in found.doubtful) == (without is Answer.UNRESOLVED)
    for ask in asked:
        assert answers[frozenset(ask.smallest)] is Answer.FAILS
        assert set(ask.items) < set(ask.smallest)


def test_what_cannot_be_judged_leads_nowhere_and_is_said():
    def answer(items):
        if items == {1, 2}:
            return Answer.FAILS
        return Answer.UNRESOLVED if items == {1} else Answer.PASSES

    assert run((0, 1, 2), answer)[0] == Minimal(items=(1, 2), doubtful=(2,))
