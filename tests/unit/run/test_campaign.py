"""The loop of a campaign, on a virtual clock, with a lab whose answers are written out: when it goes on, when it stops,
what it shrinks to, and what it does not call proven.
"""

import itertools

import pytest
from drawn_labs import LAB
from worlds import Clock

from labctl.errors import LabctlError
from labctl.faults import campaign as drawing
from labctl.faults.reduce import faults
from labctl.model.campaign import Answer
from labctl.model.verdict import Verdict
from labctl.run.campaign import Budget, Ran, campaign
from labctl.schema.campaign import parse
from labctl.topo.query_graph import Graph

POOL = """\
name: night
faults: 3
gap: 5s
pool:
  - {fault: link.down, id: a, target: {link: "r1:2--r2:2"}, for: 10s}
  - {fault: link.down, id: b, target: {link: "r1:3--r2:3"}, for: 10s}
  - {fault: node.hang, id: c, target: {node: r3}, for: 10s}
"""
FAILS, PASSES, UNKNOWN = Verdict.FAIL, Verdict.PASS, Verdict.UNKNOWN


class Lab:
    """Answers to runs by the faults they have. takes: seconds of each run."""

    def __init__(self, clock, answer, takes=20.0):
        self.clock, self.answer, self.takes = clock, answer, takes
        self.runs = []

    def __call__(self, plan, name):
        ids = frozenset(each.id for each in faults(plan.root))
        self.runs.append((name, ids, self.clock.now()))
        self.clock.sleep_until(self.clock.now() + self.takes)
        said = self.answer(ids)
        if isinstance(said, BaseException):
            raise said
        more = said if isinstance(said, dict) else {"verdict": said}
        if more["verdict"] is FAILS:
            more.setdefault("failed", ("during: loss",))
        return Ran(**{"directory": name, "headline": "so it was", "took_s": self.takes} | more)


def play(answer, *, pool=POOL, takes=20.0, **budget):
    clock = Clock()
    lab = Lab(clock, answer, takes)
    kept = []
    done = campaign(
        drawing.trials(parse(pool, file="night.yml"), LAB, 1),
        lab,
        clock,
        graph=Graph(LAB),
        budget=Budget(**({"reruns": 16} | budget)),
        keep=lambda done, result: kept.append((len(done.results), result)),
    )
    return done, lab, kept


def fails_with(*culprits):
    return lambda ids: FAILS if ids.issuperset(culprits) else PASSES


def test_trials_until_the_budget_with_the_gap_between():
    done, lab, kept = play(lambda _: PASSES, trials=3)
    assert [name for name, _, _ in lab.runs] == ["001", "002", "003"]
    starts = [at for _, _, at in lab.runs]
    assert [b - a for a, b in itertools.pairwise(starts)] == [25, 25]
    assert [r.name for r in done.results] == ["night-001", "night-002", "night-003"]
    assert (done.stopped, done.left, done.interrupted, done.failed) == ("", (), False, None)
    assert [count for count, _ in kept] == [1, 2, 3, 3]
    assert kept[-1][1] is None


def test_no_trial_begins_after_the_time():
    assert len(play(lambda _: PASSES, for_s=60)[0].results) == 3
    assert len(play(lambda _: PASSES, for_s=60, trials=2)[0].results) == 2
    assert len(play(lambda _: PASSES, for_s=50)[0].results) == 2, "the pause counts"


def test_what_is_drawn_does_not_depend_on_how_long_runs_take():
    slow, quick = (play(lambda _: PASSES, trials=4, takes=takes)[1].runs for takes in (500.0, 1.0))
    assert [(name, ids) for name, ids, _ in slow] == [(name, ids) for name, ids, _ in quick]


def test_a_failure_is_shrunk_and_proven_and_the_campaign_goes_on():
    done, lab, _ = play(fails_with("a", "c"), trials=2)
    assert [r.verdict for r in done.results] == [FAILS, FAILS]
    for number, result in enumerate(done.results, start=1):
        shrunk = result.shrunk
        assert (set(shrunk.faults), shrunk.proven, shrunk.note) == ({"a", "c"}, True, "")
        assert shrunk.reruns[0].faults == ()
        assert shrunk.reruns[0].answer is Answer.PASSES
        own = next(r for r in shrunk.reruns if set(r.faults) == {"a", "c"})
        assert shrunk.plan == f"{own.directory}/plan.json"
        assert own.directory.startswith(f"{number:03d}/shrink-")
    assert len({name for name, _, _ in lab.runs}) == len(lab.runs)


def test_a_failure_without_any_fault_blames_none():
    (result,) = play(lambda _: FAILS, trials=1)[0].results
    assert (result.shrunk.faults, result.shrunk.proven) == ((), True)
    assert "without any fault" in result.shrunk.note
    assert len(result.shrunk.reruns) == 1


def test_all_of_them_are_played_once_more_when_none_can_go():
    done, lab, _ = play(fails_with("a", "b", "c"), trials=1)
    shrunk = done.results[0].shrunk
    assert (set(shrunk.faults), shrunk.proven) == ({"a", "b", "c"}, True)
    assert lab.runs[-1][1] == {"a", "b", "c"}


def test_what_does_not_fail_again_is_not_proven():
    answers = itertools.chain([FAILS], itertools.repeat(PASSES))
    shrunk = play(lambda _: next(answers), trials=1)[0].results[0].shrunk
    assert set(shrunk.faults) == {"a", "b", "c"}
    assert not shrunk.proven
    assert "did not fail so when it was played again" in shrunk.note


def test_a_run_that_cannot_be_judged_proves_nothing():
    def answer(ids):
        if ids == {"b", "c"}:
            return UNKNOWN
        return FAILS if "a" in ids and ids != {"a"} else PASSES

    shrunk = play(answer, trials=1)[0].results[0].shrunk
    assert "a" in shrunk.faults
    assert len(shrunk.faults) == 2
    assert shrunk.proven  # {a, x} fails, {a} and {x} pass
    shrunk = play(lambda ids: UNKNOWN if not ids else fails_with("a")(ids), trials=1)[0].results[0].shrunk
    assert (shrunk.faults, shrunk.proven) == (("a",), False)
    assert "whether it holds without any fault is not known" in shrunk.note
    only = {frozenset("abc"): FAILS, frozenset(): PASSES}
    shrunk = play(lambda ids: only.get(ids, UNKNOWN), trials=1)[0].results[0].shrunk
    assert not shrunk.proven
    assert shrunk.note.startswith("whether it takes ")


def test_failing_in_another_way_is_not_the_failure():
    def answer(ids):
        other = {"verdict": FAILS, "failed": ("after: routes",)}
        return FAILS if {"a", "b"} <= ids else other if "a" in ids else PASSES

    shrunk = play(answer, trials=1)[0].results[0].shrunk
    assert set(shrunk.faults) == {"a", "b"}
    assert not shrunk.proven
    assert "whether it takes b is not known" in shrunk.note
    assert any(r.why == "failed in another way: after: routes" for r in shrunk.reruns)


def test_reruns_are_limited_and_what_is_left_is_not_proven():
    done, _, _ = play(fails_with("a", "c"), trials=1, reruns=2)
    shrunk = done.results[0].shrunk
    assert len(shrunk.reruns) == 2
    assert not shrunk.proven
    assert "2 reruns that it may take are used up" in shrunk.note
    assert {"a", "c"} <= set(shrunk.faults)
    assert play(fails_with("a"), trials=1, reruns=0)[0].results[0].shrunk is None
    late = play(fails_with("a"), for_s=30)[0].results[0].shrunk
    assert "time is over" in late.note


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ({"verdict": UNKNOWN, "steady": False, "broke": False}, "the steady state did not hold before a run"),
        ({"verdict": FAILS, "unsteady": ("steady again: loss",)}, "did not hold again: steady again: loss"),
        ({"verdict": FAILS, "left": ("r1: frozen",)}, "not put back: r1: frozen"),
        ({"verdict": UNKNOWN, "interrupted": True}, "interrupted"),
    ],
)
def test_it_stops_where_the_lab_is_not_whole(ends, why):
    answers = iter([PASSES, ends])
    done, lab, kept = play(lambda _: next(answers), trials=9)
    assert len(lab.runs) == 2
    assert why in done.stopped
    assert done.left == ends.get("left", ())
    assert done.interrupted == ends.get("interrupted", False)
    assert [r.shrunk for r in done.results] == [None, None]
    assert bool(done.results[1].elements) == ends.get("broke", True)
    assert kept[-1] == (2, None)


def test_it_stops_in_the_middle_of_shrinking_too():
    answers = iter([FAILS, PASSES, {"verdict": UNKNOWN, "steady": False}])
    done, lab, _ = play(lambda _: next(answers), trials=9)
    assert len(lab.runs) == 3
    assert "the steady state did not hold before a run" in done.stopped
    shrunk = done.results[0].shrunk
    assert (len(shrunk.reruns), shrunk.proven) == (2, False)
    assert shrunk.reruns[-1].answer is Answer.UNRESOLVED


def test_what_the_network_does_not_put_back_ends_the_shrinking_and_not_the_campaign():
    lost = {"verdict": FAILS, "failed": ("after: routes == same",), "altered": ("3 routes not as before",)}
    done, lab, _ = play(lambda _: dict(lost), trials=2)
    assert len(lab.runs) == 2
    for result in done.results:
        assert (set(result.shrunk.faults), result.shrunk.proven) == ({"a", "b", "c"}, False)
        assert result.shrunk.note.endswith("begins from another state: 3 routes not as before")
    answers = iter([FAILS, PASSES, {"verdict": PASSES, "altered": ("1 route not as before",)}])
    shrunk = play(lambda _: next(answers), trials=1)[0].results[0].shrunk
    assert (len(shrunk.reruns), shrunk.proven) == (2, False)
    assert "begins from another state" in shrunk.note


def test_errors_and_ctrl_c_between_runs_end_it_with_what_is_there():
    answers = iter([PASSES, LabctlError("no-lab", "no lab is called 'x'")])
    done, _, kept = play(lambda _: next(answers), trials=9)
    assert (done.failed.code, len(done.results)) == ("no-lab", 1)
    assert "no lab is called" in done.stopped
    assert kept[-1] == (1, None)
    answers = iter([PASSES, KeyboardInterrupt()])
    done, _, kept = play(lambda _: next(answers), trials=9)
    assert (done.interrupted, done.stopped, len(done.results)) == (True, "interrupted", 1)
    assert kept[-1] == (1, None)
