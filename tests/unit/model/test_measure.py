from labctl.model.measure import LossWindow, Sample, Series, Track, Window, shift


def track(*values, late_s=0.5):
    samples = tuple(Sample(seq=i, sent=i * 0.1, value=v) for i, v in enumerate(values))
    return Track(series=Series(subject="a -> b"), interval_s=0.1, late_s=late_s, samples=samples)


def test_a_late_reply_is_not_a_lost_one():
    seen = track(0.001, None, 0.7, None, 0.5)
    assert (seen.lost, seen.late) == (2, 1)


def test_shift_moves_every_sample_and_nothing_else():
    seen = track(0.001, None)
    moved = shift(seen, -10.0)
    assert [s.sent for s in moved.samples] == [-10.0, -9.9]
    assert [s.value for s in moved.samples] == [0.001, None]
    assert shift(moved, 10.0).samples[0] == seen.samples[0]


def test_an_outage_that_was_not_seen_to_end_has_no_upper_bound():
    open_end = LossWindow(first_lost=1.0, last_lost=2.0, last_good=0.9, next_good=None, lost=11)
    assert open_end.at_least_s == 1.0
    assert open_end.at_most_s is None
    assert not open_end.recovered
    assert Window(start=1.0, end=None).duration is None
