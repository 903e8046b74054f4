"""The engine on a virtual clock: what it asks of the world and when, and what comes of it however the run ends."""

import errno
import json
import os
import signal
from dataclasses import replace
from itertools import pairwise

import pytest
from worlds import (
    EVERY_S,
    FIRST,
    LATE_S,
    PING,
    QUIET_S,
    REQUEST_S,
    REROUTE_S,
    SECOND,
    Clock,
    World,
    cut,
    plan,
)

from labctl.analyze import played
from labctl.analyze.expect import MIN_SAMPLES
from labctl.errors import LabctlError
from labctl.model.scenario import (
    CheckStep,
    Expectation,
    PlannedParallel,
    PlannedSequence,
    StopRule,
    WaitStep,
)
from labctl.model.verdict import Verdict
from labctl.report import record as as_json
from labctl.run import engine, journal, rundir, samples
from labctl.run import record as reading

OUTAGE = Expectation(measure="max_outage", limit=1.0, probe="ping")
LOSS = Expectation(measure="loss", limit=0.01, probe="ping")
SAME = Expectation(measure="routes", op="==", limit="same")


class Story:
    """A plan played to its end (or not), and what was written down."""

    def __init__(self, directory, what, clock=None, kind=World, **world):
        self.clock = clock or Clock()
        self.world = kind(self.clock, **world)
        self.directory = directory
        self.path = str(directory / "journal.jsonl")
        self.events = []
        with journal.Journal(self.path) as book:
            self.start = self.clock.now()
            rundir.head(book, what, t=self.start, lab="lab", runtime="scripted")
            self.outcome = engine.play(what, self.world, self.clock, book, emit=self.events.append)
        samples.write(str(directory / "samples.jsonl"), self.outcome.tracks)

    @property
    def report(self):
        return played.report(reading.read(str(self.directory)))

    def lines(self, kind):
        return [line for line in journal.read(self.path) if line["kind"] == kind]

    @property
    def timeline(self):
        """When each request went out, counted from the beginning of the timeline."""
        zero = self.lines("window")[1]["start"]
        return [(round(t - zero, 2), began, ended) for t, began, ended in self.world.requests]


def verdicts(report):
    return {f.subject: f.verdict for f in report.findings}


def test_one_cut_that_is_survived(tmp_path):
    story = Story(tmp_path, plan(cut("cut"), during=(OUTAGE,), steady=(LOSS,)))
    assert story.timeline == [(0.0, ("cut",), ()), (10.0, (), ("cut",))]
    assert set(story.world.prepared) == {"cut"}
    report = story.report
    assert report.verdict is Verdict.PASS, report.findings
    assert [(a.id, str(a.cable)) for a in report.acts] == [("cut", str(FIRST))]
    assert report.acts[0].start.applied - report.acts[0].start.requested == pytest.approx(REQUEST_S, abs=1e-6)
    assert report.acts[0].window.duration == pytest.approx(10.0, abs=0.01)
    assert "h1 → h2 was interrupted for" in report.headline


def test_an_expectation_that_does_not_hold_fails_the_run(tmp_path):
    tight = Expectation(measure="max_outage", limit=0.1, probe="ping", why="BFD is on")
    report = Story(tmp_path, plan(cut("cut"), during=(tight,))).report
    assert report.verdict is Verdict.FAIL
    found = next(f for f in report.findings if f.verdict is Verdict.FAIL)
    assert found.subject == "during: h1 → h2: max_outage <= 100ms"
    assert "wanted because: BFD is on" in found.seen


def test_an_outage_that_the_probe_cannot_tell_from_the_limit_is_unknown(tmp_path):
    close = Expectation(measure="max_outage", limit=REROUTE_S - 0.02, probe="ping")
    report = Story(tmp_path, plan(cut("cut"), during=(close,))).report
    assert report.verdict is Verdict.UNKNOWN


def test_nothing_is_broken_where_the_steady_state_does_not_hold(tmp_path):
    story = Story(tmp_path, plan(cut("cut"), steady=(LOSS,)), lossy=True)
    assert story.world.requests == []
    assert story.report.verdict is Verdict.UNKNOWN
    assert story.report.headline.startswith("test: nothing was broken, the steady state did not hold: ")


@pytest.mark.parametrize(("every_s", "waits"), [(EVERY_S, False), (1.0, True)])
def test_the_steady_state_is_measured_in_the_quiet_and_longer_only_where_it_needs_more(
    tmp_path, every_s, waits
):
    slow = replace(PING, settings={**PING.settings, "every_s": every_s})
    story = Story(tmp_path, replace(plan(cut("cut"), steady=(LOSS,)), probes=(slow,)))
    window, settled = story.lines("window")[0], story.lines("settled")[0]
    quiet_from = settled["seen"]["start"] + settled["seen"]["took_s"]
    assert quiet_from <= window["start"]
    assert window["end"] - window["start"] >= max(3.0, MIN_SAMPLES * every_s)
    over = story.lines("window")[1]["start"]
    assert over >= window["end"] + LATE_S
    assert (over > quiet_from + QUIET_S + 1) == waits


@pytest.mark.parametrize("world", [{"restless": True}, {"sticky": ("r1 is frozen",)}])
def test_nothing_is_broken_in_a_lab_that_is_not_at_rest_or_not_at_its_base(tmp_path, world):
    story = Story(tmp_path, plan(cut("cut")), **world)
    assert story.world.requests == []
    assert story.report.verdict is not Verdict.PASS


def test_a_tree_of_steps_keeps_its_times(tmp_path):
    tree = PlannedSequence(
        steps=(
            WaitStep(for_s=1.0),
            PlannedParallel(
                steps=(
                    cut("a", FIRST, 4.0),
                    PlannedSequence(steps=(WaitStep(for_s=2.0), cut("b", SECOND, 5.0))),
                )
            ),
            cut("c", FIRST, 1.0),
        )
    )
    story = Story(tmp_path, plan(tree))
    assert story.timeline == [
        (1.0, ("a",), ()),
        (3.0, ("b",), ()),
        (5.0, (), ("a",)),
        (8.0, ("c",), ("b",)),
        (9.0, (), ("c",)),
    ]


def test_times_do_not_drift_over_a_long_flap(tmp_path):
    spans = [(i * 2.0, i * 2.0 + 1.0) for i in range(50)]
    story = Story(tmp_path, plan(cut("flap", for_s=100.0, spans=spans)))
    assert [t for t, _, _ in story.timeline] == [float(i) for i in range(100)]
    assert len(story.report.acts) == 50


def test_faults_that_begin_together_are_one_request(tmp_path):
    story = Story(tmp_path, plan(PlannedParallel(steps=(cut("a", FIRST, 2.0), cut("b", SECOND, 2.0)))))
    assert story.timeline == [(0.0, ("a", "b"), ()), (2.0, (), ("a", "b"))]


def test_waiting_until_settled_goes_on_when_it_is_and_is_reported(tmp_path):
    tree = PlannedParallel(
        steps=(
            cut("a", FIRST, 20.0),
            PlannedSequence(steps=(WaitStep(until="settled"), cut("b", SECOND, 1.0))),
        )
    )
    story = Story(tmp_path, plan(tree))
    began = next(t for t, begin, _ in story.timeline if begin == ("b",))
    assert began == pytest.approx(REROUTE_S + 5.0, abs=0.15)
    waits = [c for c in story.report.convergence if c.phase == "with a"]
    assert waits[0].took_s == pytest.approx(REROUTE_S, abs=0.05)


def test_a_lease_outlives_its_fault_by_the_grace_and_no_more(tmp_path):
    story = Story(tmp_path, plan(cut("cut", for_s=7.0)))
    assert story.world.leases["cut"] == pytest.approx(17.0, abs=0.01)


def test_a_stop_rule_ends_the_run_and_fails_it(tmp_path):
    both = PlannedParallel(steps=(cut("a", FIRST, 60.0), cut("b", SECOND, 60.0)))
    rule = StopRule(
        unless=Expectation(measure="availability", op=">=", limit=0.5, probe="ping"), window_s=4.0
    )
    story = Story(tmp_path, plan(both, stop_when=(rule,)))
    (_, _, _), (when, begun, ended) = story.timeline
    assert (begun, set(ended)) == ((), {"a", "b"})
    # half of four seconds are lost two seconds after the cut, known when their answers are overdue
    assert 2.0 + LATE_S <= when <= 2.0 + LATE_S + 1.0
    assert story.report.verdict is Verdict.FAIL
    assert verdicts(story.report)["stop rule"] is Verdict.FAIL
    assert story.world.active == {}


def test_a_stop_rule_that_holds_changes_nothing(tmp_path):
    rule = StopRule(
        unless=Expectation(measure="availability", op=">=", limit=0.5, probe="ping"), window_s=4.0
    )
    story = Story(tmp_path, plan(cut("cut"), stop_when=(rule,)))
    assert story.timeline == [(0.0, ("cut",), ()), (10.0, (), ("cut",))]
    assert story.report.verdict is Verdict.PASS


def test_an_effect_that_does_not_take_makes_the_run_unknown_and_ends_it(tmp_path):
    both = PlannedParallel(steps=(cut("a", FIRST, 60.0), cut("b", SECOND, 60.0)))
    story = Story(tmp_path, plan(both), refuse=("b",))
    assert [t for t, _, _ in story.timeline] == [0.0, 0.0]
    assert story.world.active == {}
    assert story.report.verdict is Verdict.UNKNOWN
    assert verdicts(story.report)["fault b"] is Verdict.UNKNOWN
    assert verdicts(story.report)[f"link.down: {FIRST}"] is Verdict.PASS  # it was made, and ended


def test_a_check_compares_routes_and_sessions_with_those_before_at_its_moment(tmp_path):
    dark = PlannedParallel(
        steps=(cut("cut", FIRST, 10.0), PlannedSequence(steps=(WaitStep(for_s=5.0), CheckStep(expect=SAME))))
    )
    tree = PlannedSequence(steps=(dark, WaitStep(for_s=10.0), CheckStep(expect=SAME)))
    story = Story(tmp_path, plan(tree), back_s=6.0)
    found = [f for f in story.report.findings if f.subject.startswith("check at ")]
    assert [f.verdict for f in found] == [Verdict.FAIL, Verdict.PASS], found


def test_a_check_is_judged_at_its_moment(tmp_path):
    dark = PlannedParallel(steps=(cut("a", FIRST, 5.0), cut("b", SECOND, 5.0)))
    some = Expectation(measure="availability", op=">=", limit=0.5, probe="ping")
    tree = PlannedSequence(steps=(dark, CheckStep(expect=some), WaitStep(for_s=5.0), CheckStep(expect=some)))
    found = [f for f in Story(tmp_path, plan(tree)).report.findings if f.subject.startswith("check at ")]
    assert [f.verdict for f in found] == [Verdict.FAIL, Verdict.PASS]


def test_what_may_take_time_after_the_last_fault_is_judged_from_then_on(tmp_path):
    tree = PlannedParallel(steps=(cut("a", FIRST, 5.0), cut("b", SECOND, 5.0)))
    after = Expectation(measure="loss", limit=0.0, probe="ping", within_s=30.0)
    story = Story(tmp_path, plan(tree, after=(after,)))
    found = next(f for f in story.report.findings if f.subject.startswith("after: "))
    assert found.verdict is Verdict.PASS
    assert found.window.duration == pytest.approx(3.0)
    assert found.window.start == pytest.approx(story.report.acts[0].end.requested + 30.0, abs=0.01)


@pytest.mark.parametrize(
    ("back_s", "verdict", "waited_s"), [(0.0, "PASS", 5.0), (20.0, "PASS", 20.0), (40.0, "FAIL", 30.0)]
)
def test_routes_that_may_take_time_are_waited_for_and_no_longer_than_needed(
    tmp_path, back_s, verdict, waited_s
):
    """Routing is quiet after 5 s; then the routes are looked at every second."""
    same = Expectation(measure="routes", op="==", limit="same", within_s=30.0)
    story = Story(tmp_path, plan(cut("cut"), after=(same,)), back_s=back_s)
    assert verdicts(story.report)["after: routes == same within 30s"] == verdict
    ended = story.report.acts[0].end.requested
    (window,) = (w for w in story.lines("window") if w["which"] == "after")
    assert window["end"] - story.start - ended == pytest.approx(waited_s + 3.0, abs=1.2)


def test_leftovers_fail_the_run(tmp_path):
    clock = Clock()
    story = Story(tmp_path, plan(cut("cut")), clock=clock)
    assert verdicts(story.report)["at the end: leftovers == none"] is Verdict.PASS
    lines = list(map(dict, journal.read(story.path)))
    for line in lines:
        if line["kind"] == "after":
            line["left"] = ["r1 is frozen"]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert story.report.verdict is Verdict.FAIL


@pytest.mark.parametrize("when", [2.0, 8.0, 12.0, 22.0])
def test_an_interrupt_at_any_time_leaves_nothing(tmp_path, when):
    clock = Clock()
    clock.at = [(clock.now() + when, lambda: signal.raise_signal(signal.SIGINT))]
    story = Story(tmp_path, plan(cut("cut", for_s=10.0)), clock=clock)
    assert story.outcome.interrupted
    assert story.world.active == {}
    assert story.outcome.left == ()
    assert story.report.verdict is Verdict.UNKNOWN
    assert verdicts(story.report)["run"] is Verdict.UNKNOWN


def test_a_world_that_fails_in_the_middle_ends_the_run_with_its_reason(tmp_path):
    clock = Clock()

    def fail():
        raise LabctlError("agent-unreachable", "the agent does not answer")

    clock.at = [(clock.now() + 12.0, fail)]
    story = Story(tmp_path, plan(cut("cut")), clock=clock)
    assert story.world.active == {}
    assert story.report.verdict is Verdict.UNKNOWN
    assert "the agent does not answer" in story.report.headline


@pytest.mark.parametrize(
    ("what", "why", "dirty"),
    [
        ("dead", "nobody answers", ("nobody could look: nobody answers",)),
        ("gone", "the lab is gone", ()),
    ],
)
@pytest.mark.parametrize("when", [4.0, 13.0])
def test_nobody_could_look_is_unknown_and_never_a_failure(tmp_path, what, why, dirty, when):
    """The route stays as it was in the failure: nobody knows whether that is over."""
    clock = Clock()
    world = {}

    def end():
        setattr(world["it"], what, True)
        raise LabctlError("agent-unreachable", why)

    class Kept(World):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            world["it"] = self

    clock.at = [(clock.now() + when, end)]
    never = Expectation(measure="loss", limit=0.0, probe="ping")
    story = Story(
        tmp_path, plan(cut("cut"), during=(never,), after=(SAME,)), clock=clock, kind=Kept, back_s=1e6
    )
    assert story.report.verdict is Verdict.UNKNOWN, story.report.findings
    found = {f.subject: f for f in story.report.findings}["at the end: leftovers == none"]
    assert (found.verdict, found.summary) == (Verdict.UNKNOWN, f"nobody could look: {why}")
    assert (story.outcome.left, story.outcome.dirty) == ((), dirty)


def test_a_stop_rule_does_not_strike_because_the_lab_is_gone(tmp_path):
    clock = Clock()
    rule = StopRule(unless=Expectation(measure="loss", limit=0.0, probe="ping"), window_s=2.0)
    story = Story(tmp_path, plan(cut("cut"), stop_when=(rule,)), clock=clock, kind=Vanishing)
    assert story.lines("stopped") == []
    assert story.report.verdict is Verdict.UNKNOWN
    assert "the lab is gone" in story.report.headline


@pytest.mark.parametrize("line", range(3, 18))
def test_a_disk_that_is_full_from_any_line_on_ends_the_run_and_every_effect(tmp_path, monkeypatch, line):
    lines, real = [], os.write

    def write(fd, data):
        lines.append(fd)
        if len(lines) > line:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    story = Story(tmp_path, plan(cut("cut")))
    monkeypatch.undo()
    assert len(lines) == line + 1, "nothing is written after what did not fit"
    assert story.world.active == {}
    assert story.world.ended is not None
    assert story.outcome.unwritten.code == "cannot-write"
    assert "no space left on device" in story.outcome.unwritten.message
    assert story.report.verdict is Verdict.UNKNOWN, story.report.findings
    assert len(list(journal.read(story.path))) == line


class Vanishing(World):
    """It is removed as soon as something in it is broken, and its probes lose everything."""

    def change(self, *args):
        self.gone = True
        super().change(*args)

    def answered(self, t):
        return not self.gone and super().answered(t)


def test_a_bug_is_raised_when_everything_is_whole_again(tmp_path):
    clock = Clock()

    def fail():
        raise ZeroDivisionError

    clock.at = [(clock.now() + 12.0, fail)]
    with pytest.raises(ZeroDivisionError):
        Story(tmp_path, plan(cut("cut")), clock=clock)
    kinds = [line["kind"] for line in journal.read(str(tmp_path / "journal.jsonl"))]
    assert kinds[-1] == "end"
    assert "failed" in kinds


def test_faults_of_others_are_said(tmp_path):
    report = Story(tmp_path, plan(cut("cut")), others=("manual-1",)).report
    assert any("manual-1" in limit for limit in report.limits)


def test_judged_again_the_run_gives_the_same_bytes(tmp_path):
    story = Story(tmp_path, plan(cut("cut"), during=(OUTAGE,), steady=(LOSS,), after=(LOSS,)))
    assert as_json.write(story.report) == as_json.write(story.report)
    assert story.report.flows[0].track.samples[0].sent >= 0


def test_a_run_that_was_killed_is_unknown_and_can_be_read(tmp_path):
    moved = Expectation(measure="route_changes", op=">=", limit=1.0)
    stable = Expectation(measure="sessions_down", limit=0.0)
    story = Story(tmp_path, plan(cut("cut"), during=(moved, stable)))
    assert story.report.verdict is Verdict.PASS
    data = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(data[: len(data) // 2])  # in the middle of a line
    (tmp_path / "samples.jsonl").unlink()
    assert story.report.verdict is Verdict.UNKNOWN
    assert any("killed" in f.summary for f in story.report.findings)
    assert {f.verdict for f in story.report.findings if f.subject.startswith("during")} == {Verdict.UNKNOWN}


def test_time_in_the_journal_goes_forward(tmp_path):
    story = Story(tmp_path, plan(cut("cut")))
    times = [line["t"] for line in journal.read(story.path)]
    assert all(one <= other for one, other in pairwise(times))
    assert [line["n"] for line in journal.read(story.path)] == list(range(1, len(times) + 1))


def test_a_damaged_journal_is_an_error_with_its_line(tmp_path):
    story = Story(tmp_path, plan(cut("cut")))
    lines = (tmp_path / "journal.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(LabctlError, match="journal is damaged") as error:
        list(journal.read(story.path))
    assert error.value.where.line == 3


# -- what was made has to stay ------------------------------------------------------------------------------------


def test_active_faults_are_looked_at_soon_now_and_then_and_last(tmp_path):
    story = Story(tmp_path, plan(PlannedSequence(steps=(cut("it"),))))
    zero = story.lines("asked")[0]["due"]
    at = [round(line["t"] - zero, 1) for line in story.lines("looked")]
    assert at[0] == 0.0
    assert at[-1] == 9.9
    assert all(later - one <= 2.2 for one, later in pairwise(at))
    (act,) = story.report.acts
    assert len(act.looks) == 2 * len(at), "both directions"
    assert story.report.verdict is Verdict.PASS


def test_looking_makes_nothing_late(tmp_path):
    """Two faults, one of which begins while the other is to be looked at the last time."""
    steps = PlannedParallel(
        steps=(cut("one", for_s=3.0), PlannedSequence(steps=(WaitStep(for_s=2.94), cut("two", SECOND, 1.0))))
    )
    story = Story(tmp_path, plan(steps))
    times = [t for t, _, _ in story.timeline]
    assert times == [0.0, 2.94, 3.0, 3.94]


def test_what_somebody_else_undid_is_unknown_and_says_since_when(tmp_path):
    clock = Clock()
    story = Story(tmp_path, plan(cut("it")), clock, strays={"it": clock.now() + 14})
    (finding,) = [f for f in story.report.findings if f.subject.startswith("link.down")]
    assert finding.verdict is story.report.verdict is Verdict.UNKNOWN
    assert "did not stay" in finding.summary
    assert "somebody raised it" in finding.summary


def test_one_look_that_nobody_can_take_is_taken_again(tmp_path):
    story = Story(tmp_path, plan(cut("it")), deaf=1)
    assert [line["looks"][0]["note"] for line in story.lines("looked")][:2] == ["nobody could look: gone", ""]
    assert story.report.verdict is Verdict.PASS
    (tmp_path / "silent").mkdir()
    silent = Story(tmp_path / "silent", plan(cut("it")), deaf=10**6)
    assert silent.report.verdict is Verdict.UNKNOWN
    assert any("nobody could look: gone" in f.summary for f in silent.report.findings)
