"""The pace and the bookkeeping, with flows that answer themselves."""

import os
import selectors
import time

import pytest

from labctl.model.measure import Series
from labctl.probes.sampler import Book, Sampler


class Echo:
    """Answers through a pipe, as a socket would; `script` says what happens to which number."""

    def __init__(self, script=lambda _: "answer"):
        self.series = Series(subject="me -> me")
        self.book = Book()
        self.script = script
        self.closed = 0

    def open(self, selector):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        selector.register(self.reader, selectors.EVENT_READ, self.take)

    def send(self, seq):
        self.book.sent[seq] = time.monotonic()
        match self.script(seq):
            case "answer":
                os.write(self.writer, bytes([seq % 256]))
            case "twice":
                os.write(self.writer, bytes([seq % 256] * 2))
            case "refused":
                self.book.error[seq] = "refused"
            case "hang":
                time.sleep(0.3)
            case "raise":
                raise RuntimeError("no more")

    def take(self):
        for number in os.read(self.reader, 4096):
            self.book.answered(number, 0.001)

    def close(self):
        self.closed += 1
        if self.closed == 1:
            os.close(self.reader)
            os.close(self.writer)


def run(*flows, **more):
    sampler = Sampler(flows, **{"interval_s": 0.005, "late_s": 0.2, "limit_s": 0.3} | more).start()
    sampler._thread.join()
    return sampler.tracks()


def test_it_ends_by_itself_and_closes_what_it_opened():
    flow = Echo()
    (track,) = run(flow)
    assert flow.closed == 1
    assert 2 <= len(track.samples) <= 62
    assert (track.lost, track.open, track.error) == (0, 0, "")


def test_each_of_many_flows_has_its_own_numbers():
    one, other = run(Echo(), Echo())
    for track in (one, other):
        assert [s.seq for s in track.samples] == sorted({s.seq for s in track.samples})
        assert track.samples


def test_what_was_refused_is_lost_at_once_and_says_why():
    (track,) = run(Echo(lambda seq: "refused" if seq == 1 else "answer"))
    assert [(s.seq, s.error) for s in track.samples if s.value is None] == [(1, "refused")]


def test_a_second_answer_is_a_duplicate():
    (track,) = run(Echo(lambda seq: "twice" if seq == 1 else "answer"))
    assert (track.duplicates, track.lost) == (1, 0)


def test_slots_that_were_missed_are_counted_and_not_made_up_for():
    (track,) = run(Echo(lambda seq: "hang" if seq == 1 else "answer"), limit_s=0.6)
    assert track.skipped >= 20
    assert track.skipped + len(track.samples) <= 122
    assert [s.seq for s in track.samples if s.value is None] == [1]


def test_a_flow_that_raises_makes_the_tracks_say_so():
    first, second = run(Echo(lambda seq: "raise" if seq == 2 else "answer"), Echo())
    assert first.error == second.error == "RuntimeError: no more"


def test_what_was_not_yet_answered_at_the_end_says_nothing():
    flow = Echo(lambda _: "silence")
    sampler = Sampler([flow], interval_s=0.01, late_s=5.0, limit_s=60.0).start()
    while len(flow.book.sent) < 3:
        time.sleep(0.01)
    sampler._stop.set()
    flow.book.error[0] = "told at last"
    sampler._late_s = 0.05  # do not wait five seconds in a test; what was sent just now is still open
    sampler._thread.join()
    sampler._late_s = 5.0
    (track,) = sampler.tracks()
    assert [s.seq for s in track.samples] == [0]
    assert track.open == len(flow.book.sent) - 1


def test_what_cannot_be_opened_is_an_error_at_the_start():
    class Broken(Echo):
        def open(self, selector):
            raise FileNotFoundError("no such namespace")

        def close(self):
            self.closed += 1

    good, broken = Echo(), Broken()
    with pytest.raises(FileNotFoundError):
        Sampler([good, broken]).start()
    assert (good.closed, broken.closed) == (1, 1)


def test_stop_before_anything_was_sent():
    (track,) = Sampler([Echo(lambda _: "silence")], interval_s=60.0, late_s=0.05).start().stop()
    assert track.lost + track.open + len(track.samples) <= 2


def test_what_was_sent_lately_can_be_seen_while_it_runs():
    """Only what is old enough that every answer in time is there, and only of the stretch that was asked for."""
    flow = Echo(lambda seq: "answer" if seq % 4 else "lost")
    sampler = Sampler((flow,), interval_s=0.005, late_s=0.1, limit_s=30.0).start()
    try:
        while len(flow.book.sent) < 60:
            time.sleep(0.01)
        time.sleep(0.1)
        now = time.monotonic()
        start = flow.book.sent[9]
        (track,) = sampler.recent(start, now)
        (narrow,) = sampler.recent(now - 0.2, now - 0.15)
        (none,) = sampler.recent(now - 0.05, now)
    finally:
        (whole,) = sampler.stop()
    assert none.samples == ()
    assert all(start <= s.sent <= time.monotonic() - 0.1 for s in track.samples)
    assert track.samples[0].seq == 9
    assert set(narrow.samples) <= set(track.samples) <= set(whole.samples)
    assert [s.seq for s in track.samples] == sorted(s.seq for s in track.samples)
    assert {s.value is None for s in track.samples} == {True, False}
    first, last = track.samples[0].seq, track.samples[-1].seq
    assert {s.seq for s in whole.samples if first <= s.seq <= last} == {s.seq for s in track.samples}
