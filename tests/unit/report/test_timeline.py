from dataclasses import replace
from xml.etree import ElementTree as ET

import reports
from labctl.model.measure import Window
from labctl.report import timeline

SVG = "{http://www.w3.org/2000/svg}"


def drawn(report, window, **more):
    return ET.fromstring(timeline.draw(report, window, **more))


def of_class(tree, name):
    return [e for e in tree.iter() if e.get("class") == name]


def test_the_whole_run_and_the_seconds_that_matter():
    report = reports.report()
    whole, onset = timeline.whole(report), timeline.onset(report)
    assert (whole.start, whole.end) == (60.0, 94.98)
    assert onset is not None
    assert onset.start < 70.003
    assert onset.end > 70.35
    assert onset.duration < 2


def test_what_the_healing_changed_is_not_part_of_the_zoom():
    phase = reports.cut_phase()
    late = replace(phase, route_changes=(*phase.route_changes, replace(phase.route_changes[0], t=82.0)))
    onset = timeline.onset(reports.report(convergence=(late,)))
    assert onset is not None
    assert onset.end < 72


def test_no_zoom_into_what_is_nearly_all():
    report = reports.report(tracks=(reports.track("c → w", ((70.0, 81.0),)),))
    assert timeline.onset(report) is None
    assert timeline.onset(reports.report(acts=())) is None


def test_the_band_is_where_the_failure_was_and_the_block_where_traffic_was_lost():
    report = reports.report(tracks=(reports.track("c → w", ((70.0, 75.0),)),))
    tree = drawn(report, Window(start=60.0, end=100.0))
    scale = (timeline.WIDTH - timeline.LEFT - timeline.RIGHT) / 40

    def at(element):
        start = (float(element.get("x")) - timeline.LEFT) / scale + 60
        return start, start + float(element.get("width")) / scale

    (band,) = of_class(tree, "band")
    start, end = at(band.find(f"{SVG}rect"))
    assert abs(start - 70.003) < 0.1
    assert abs(end - 81.002) < 0.1
    (outage,) = of_class(tree, "outage")
    start, end = at(outage)
    assert abs(start - 70.0) < 0.1
    assert abs(end - 75.0) < 0.1


def test_a_short_loss_in_a_long_run_can_still_be_seen():
    report = reports.report(tracks=(reports.track("c → w", ((70.0, 70.02),)),))
    (outage,) = of_class(drawn(report, Window(start=0.0, end=3600.0)), "outage")
    assert float(outage.get("width")) >= 2


def test_single_samples_in_a_short_window():
    report = reports.report()
    tree = drawn(report, timeline.onset(report), zero=70.003)
    ticks = [t.text for t in of_class(tree, "tick")]
    assert "0" in ticks
    assert "+0.1 s" in ticks
    dots, lost = of_class(tree, "dots")[0], of_class(tree, "lost")[0]
    assert dots.get("d").count("M") > 10
    assert lost.get("d").count("M") == 15


def test_a_late_answer_is_neither_an_answer_in_time_nor_a_loss():
    track = reports.track("c → w", ((70.1, 70.2),))
    samples = tuple(replace(s, value=1.5) if 70.3 <= s.sent < 70.39 else s for s in track.samples)
    tree = drawn(reports.report(tracks=(replace(track, samples=samples),)), Window(start=70.0, end=70.5))
    marks = {kind: of_class(tree, kind)[0].get("d").count("M") for kind in ("dots", "late", "lost")}
    assert marks == {"dots": 16, "late": 5, "lost": 5}


def test_every_flow_has_a_row_even_without_samples_there():
    report = reports.report(tracks=(reports.track("a → b"), reports.track("c → d", start=10, end=20)))
    tree = drawn(report, Window(start=60.0, end=90.0))
    assert [n.text for n in of_class(tree, "name")] == ["a → b", "c → d", "routes"]
    assert [n.text for n in of_class(tree, "none")] == ["not measured here"]


def test_an_act_that_never_ended_reaches_to_the_edge():
    act = replace(reports.observed().acts[0], end=None)
    (band,) = of_class(drawn(reports.report(acts=(act,)), Window(start=60.0, end=90.0)), "band")
    rect = band.find(f"{SVG}rect")
    assert float(rect.get("x")) + float(rect.get("width")) == timeline.WIDTH - timeline.RIGHT
