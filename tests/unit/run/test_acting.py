"""What takes long to be made holds up nothing else, and nothing is believed of it before it is."""

import json
import signal

import pytest
from test_engine import Story, verdicts
from worlds import FIRST, REQUEST_S, SECOND, Clock, cut, plan

from labctl.analyze import played
from labctl.model.scenario import Expectation, PlannedParallel, PlannedSequence, StopRule, WaitStep
from labctl.model.verdict import Verdict
from labctl.run import journal
from labctl.run import record as reading
from labctl.run.acting import TWICE_S

SLOW_S = 3.0


def clock_at(t):
    return Clock().now() + t


def beside(first, after_s, second):
    return PlannedParallel(steps=(first, PlannedSequence(steps=(WaitStep(for_s=after_s), second))))


def test_a_slow_end_and_a_cut_in_its_middle_do_not_disturb_each_other(tmp_path):
    """One end takes from 2 s to 5 s; the other fault begins and ends meanwhile."""
    both = beside(cut("slow", FIRST, 2.0), 3.0, cut("quick", SECOND, 1.0))
    story = Story(tmp_path, plan(both), slow={"slow": SLOW_S})
    assert story.timeline == [
        (0.0, ("slow",), ()),
        (2.0, (), ("slow",)),
        (3.0, ("quick",), ()),
        (4.0, (), ("quick",)),
    ]
    acts = {act.id: act for act in story.report.acts}
    assert acts["quick"].start.applied - acts["quick"].start.requested == pytest.approx(REQUEST_S, abs=1e-3)
    assert acts["quick"].end.applied - acts["quick"].end.requested == pytest.approx(REQUEST_S, abs=1e-3)
    assert acts["slow"].end.applied - acts["slow"].end.requested == pytest.approx(SLOW_S, abs=1e-3)
    asked = [line["request"] for line in story.lines("asked")]
    made = [line["request"] for line in story.lines("made")]
    assert asked == sorted(asked)
    assert made == [asked[0], asked[2], asked[3], asked[1]]
    assert story.report.verdict is Verdict.PASS


def test_the_run_does_not_go_on_to_recover_before_everything_is_made(tmp_path):
    story = Story(tmp_path, plan(cut("slow", FIRST, 2.0)), slow={"slow": SLOW_S})
    (recovery,) = [line["t"] for line in story.lines("phase") if line["name"] == "recovery"]
    assert recovery - story.lines("asked")[-1]["due"] >= SLOW_S
    assert story.report.verdict is Verdict.PASS


def test_nothing_is_settled_while_something_is_being_made(tmp_path):
    """The end takes longer than routing would have to be quiet."""
    tree = PlannedSequence(
        steps=(cut("slow", SECOND, 2.0), WaitStep(until="settled"), cut("next", FIRST, 1.0))
    )
    story = Story(tmp_path, plan(tree), slow={"slow": 9.0})
    (began,) = [t for t, begin, _ in story.timeline if begin == ("next",)]
    assert began == pytest.approx(2.0 + 9.0 + 5.0, abs=0.2)


@pytest.mark.parametrize("cable", [FIRST, SECOND])
def test_what_is_half_done_is_not_looked_at(tmp_path, cable):
    """Both cables are between the same nodes: while one end is under way, the other fault is not looked at."""
    both = beside(cut("slow", FIRST, 2.0), 1.0, cut("other", cable, 9.0))
    story = Story(tmp_path, plan(both), slow={"slow": SLOW_S})
    zero = story.lines("window")[1]["start"]
    looks = [line["t"] - zero for line in story.lines("looked")]
    assert not [t for t in looks if 2.0 < t < 2.0 + SLOW_S]
    assert [t for t in looks if 2.0 + SLOW_S <= t <= 2.0 + SLOW_S + TWICE_S], "soon afterwards it is"


def test_a_look_that_takes_long_makes_nothing_late(tmp_path):
    """An agent that is busy with others answers a look after a second; faults begin and end in it."""
    both = beside(cut("one", FIRST, 6.0), 0.4, cut("two", SECOND, 1.0))
    story = Story(tmp_path, plan(both), glance_s=1.0)
    assert [t for t, _, _ in story.timeline] == [0.0, 0.4, 1.4, 6.0]
    assert story.lines("looked")[0]["t"] - story.lines("asked")[0]["due"] > 1.0
    assert story.report.verdict is Verdict.PASS


def test_a_stop_rule_strikes_during_a_slow_end(tmp_path):
    rule = StopRule(
        unless=Expectation(measure="availability", op=">=", limit=0.5, probe="ping"), window_s=3.0
    )
    dark = PlannedParallel(steps=(cut("a", FIRST, 2.0), cut("b", SECOND, 2.0)))
    story = Story(tmp_path, plan(dark, stop_when=(rule,)), slow={"a": 30.0})
    assert story.world.active == {}
    assert story.outcome.left == ()
    assert verdicts(story.report)["stop rule"] is Verdict.FAIL
    assert all(act.end is not None and act.end.read_back is not None for act in story.report.acts)
    stopped, recovery = story.lines("stopped")[0]["t"], story.lines("phase")[-1]["t"]
    assert recovery >= stopped
    assert recovery - story.lines("asked")[1]["due"] >= 29.99, "it waits until the slow end is made"


def test_an_interrupt_during_a_slow_end_waits_for_it(tmp_path):
    clock = Clock()
    clock.at = [(clock.now() + 13.0, lambda: signal.raise_signal(signal.SIGINT))]
    story = Story(tmp_path, plan(cut("slow", FIRST, 2.0)), clock, slow={"slow": 20.0})
    assert story.outcome.interrupted
    assert story.world.active == {}
    ended = story.lines("asked")[1]["due"]
    assert story.lines("asked")[2]["t"] == clock_at(13.0) < ended + 19.99 <= story.lines("after")[0]["t"]
    (act,) = story.report.acts
    assert act.end.requested == pytest.approx(ended - story.start)
    assert act.end.applied is not None
    asked = [line["request"] for line in story.lines("asked")]
    assert [line["request"] for line in story.lines("made")] == [asked[0], asked[2]]


def test_who_looked_after_the_opposite_was_asked_for_has_seen_nothing(tmp_path):
    """A process that is to be killed waits for its turn; when that comes it is to live again, and nobody killed it."""
    story = Story(tmp_path, plan(cut("it", FIRST, 2.0)))
    assert story.report.verdict is Verdict.PASS
    lines = list(map(dict, journal.read(story.path)))
    ended = next(line["t"] for line in lines if line["kind"] == "asked" and line["end"])
    begun = next(line for line in lines if line["kind"] == "made")
    begun["readings"] = [
        {**each, "asked": {**each["asked"], "monotonic": ended + 0.5}} for each in begun["readings"]
    ]
    lines.remove(begun)
    lines.insert(
        next(i for i, line in enumerate(lines) if line["kind"] == "asked" and line["end"]) + 1, begun
    )
    numbered = [{**line, "n": n} for n, line in enumerate(lines, start=1)]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in numbered))
    report = played.report(reading.read(str(tmp_path)))
    assert report.verdict is Verdict.UNKNOWN
    (act,) = report.acts
    assert act.start.applied is None


def test_a_journal_without_numbers_is_read_as_it_was_written(tmp_path):
    story = Story(tmp_path, plan(cut("it", FIRST, 2.0)))
    before = story.report
    lines = [{k: v for k, v in line.items() if k != "request"} for line in journal.read(story.path)]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert story.report == before


def test_what_is_asked_for_ahead_of_its_time_is_made_at_it(tmp_path):
    """Flaps are shorter than the lead, so that one is asked for before the last is made."""
    spans = [(0.1 * i, 0.1 * i + 0.02) for i in range(5)]
    both = beside(cut("flap", FIRST, 0.5, spans=spans), 1.0, cut("cut", SECOND, 1.0))
    story = Story(tmp_path, plan(both), lead=0.04)
    asked = story.lines("asked")
    assert [round(line["due"] - line["t"], 3) for line in asked[2:]] == [0.04] * (len(asked) - 2)
    zero = asked[0]["due"]
    due = [round(line["due"] - zero, 3) for line in asked]
    assert due == [*sorted(round(t, 3) for span in spans for t in span), 1.0, 2.0]
    acts = [act for act in story.report.acts if act.id == "flap"]
    assert len(acts) == len(spans)
    for act in story.report.acts:
        assert act.start.applied - act.start.requested == pytest.approx(REQUEST_S, abs=1e-3)
        assert act.end.applied - act.end.requested == pytest.approx(REQUEST_S, abs=1e-3)
    assert story.report.verdict is Verdict.PASS


@pytest.mark.parametrize("lead", [0.0, 0.04])
def test_a_stage_that_takes_the_place_of_the_one_before_proves_its_end(tmp_path, lead):
    story = Story(tmp_path, plan(cut("worse", spans=((0.0, 1.0), (1.0, 3.0)))), lead=lead)
    first, second = story.report.acts
    assert first.end.applied == second.start.applied
    assert first.end.read_back is not None
    assert story.report.verdict is Verdict.PASS
