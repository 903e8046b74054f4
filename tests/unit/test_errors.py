"""The one shape of errors: what is printed, in which order, with which exit status."""

import pytest

from labctl.errors import Exit, LabctlError, LabctlErrors, Problems, Span, did_you_mean, render


def test_the_shape():
    error = LabctlError(
        "unknown-node", "there is no node 'x'", where=Span("a.yml", 7, 11), hint="did you mean `y`?"
    )
    assert render(error) == (
        "error: unknown-node\n  a.yml:7:11  there is no node 'x'\nhint: did you mean `y`?"
    )
    assert (error.exit, str(error), error.each) == (Exit.BAD_INPUT, "there is no node 'x'", (error,))


def test_without_place_and_hint():
    assert render(LabctlError("no-root", "no")) == "error: no-root\n  no"


@pytest.mark.parametrize(
    ("span", "text"),
    [(Span("a"), "a"), (Span("a", 3), "a:3"), (Span("a", 3, 4), "a:3:4"), (Span("a", 0, 4), "a")],
)
def test_places(span, text):
    assert str(span) == text


def test_a_code_that_is_not_listed_is_a_mistake_of_ours():
    with pytest.raises(AssertionError, match=r"not in labctl\.errors\.CODES"):
        LabctlError("made-up", "x")


def test_a_stage_tells_everything_in_file_order():
    problems = Problems()
    problems.stop()
    problems.add("no-root", "last: it has no place")
    problems.add("bad-value", "second", where=Span("a", 9, 1))
    problems.add("unknown-key", "first", where=Span("a", 2, 5))
    problems.extend(LabctlErrors([LabctlError("bad-name", "third", where=Span("b", 1))]))
    assert len(problems) == 4
    with pytest.raises(LabctlErrors) as caught:
        problems.stop()
    assert [e.message for e in caught.value.each] == ["first", "second", "third", "last: it has no place"]
    assert (caught.value.code, caught.value.exit) == ("unknown-key", Exit.BAD_INPUT)


def test_one_problem_is_raised_as_itself():
    problems = Problems()
    problems.add("no-root", "alone")
    with pytest.raises(LabctlError) as caught:
        problems.stop()
    assert not isinstance(caught.value, LabctlErrors)


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("lnux", ["linux", "bridge"], "did you mean `linux`?"),
        ("eth1", ["eth2", "eth3"], "did you mean `eth3` or `eth2`?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("zzz", [str(i) for i in range(13)], None),
        ("zzz", [], None),
    ],
)
def test_hints_for_mistyped_names(word, known, hint):
    assert did_you_mean(word, known) == hint
