import itertools

import pytest

from labctl.errors import Exit
from labctl.model.verdict import Act, Stamps, Verdict, worst


def test_a_failure_is_never_hidden_by_something_unknown():
    assert worst(Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL) is Verdict.FAIL
    assert worst(Verdict.PASS, Verdict.UNKNOWN) is Verdict.UNKNOWN
    assert worst(Verdict.PASS, Verdict.PASS) is Verdict.PASS


def test_nothing_judged_is_not_a_pass():
    assert worst() is Verdict.UNKNOWN


@pytest.mark.parametrize("verdicts", list(itertools.permutations(Verdict)))
def test_the_order_does_not_matter(verdicts):
    assert worst(*verdicts) is Verdict.FAIL


def test_each_verdict_has_its_exit_status():
    assert [v.exit for v in Verdict] == [Exit.PASS, Exit.FAIL, Exit.UNKNOWN]


def test_an_act_lasts_from_where_it_was_made_to_where_its_end_was_made():
    act = Act(
        id="1",
        what="cable cut",
        on="a--b",
        start=Stamps(requested=1.0, applied=1.2, read_back=1.3),
        end=Stamps(requested=9.0, applied=9.1),
    )
    assert (act.window.start, act.window.end) == (1.2, 9.1)
