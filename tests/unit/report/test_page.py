"""The page as a browser would take it apart: whole, self-contained, and saying what the report says."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import jinja2
import pytest

import reports
from labctl.model.topology import Device
from labctl.model.verdict import Report, worst
from labctl.report import page

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Tree(HTMLParser):
    """Checks the nesting and gathers text, ids, and everything that could reach outside."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.references, self.wrong = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.references += [
            (tag, k, v) for k, v in attrs if k in ("src", "href", "action", "data", "xlink:href", "onload")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.references += [(tag, k, v) for k, v in attrs if k in ("src", "href")]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def parsed(report):
    html = page.write(report).decode()
    tree = Tree()
    tree.feed(html)
    tree.close()
    return html, tree, re.sub(r"\s+", " ", "".join(tree.text))


def test_it_is_one_whole_document_that_loads_nothing():
    html, tree, _ = parsed(reports.report())
    assert tree.wrong == []
    assert tree.open == []
    assert tree.references == []
    assert "<script" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert set(re.findall(r"https?://[^\s\"'<>]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert len(html.encode()) < 250_000


def test_the_verdict_comes_first():
    _, _, text = parsed(reports.report())
    body = text[text.index("PASS", text.index("}")) :]
    order = [
        "PASS",
        "was interrupted for 280 to 320 ms",
        "The network",
        "What was broken",
        "Why we know that a-core1:eth3--a-edge1:eth1",
        "Which traffic was lost",
        "What the routes did",
        "Is the shadow like production?",
        "Every judgement",
        "Under which conditions",
    ]
    places = [body.find(each) for each in order]
    assert -1 not in places
    assert places == sorted(places)


def test_it_says_the_figures():
    _, _, text = parsed(reports.report())
    assert "15 of 1,750pings lost" in text  # a figure and its words, one above the other
    assert "100 % of 224 routes" in text
    assert "a-core1 1.0.8802.1.1.2.1.4.1.1.7.0.3.1" in text
    assert "ospf via 10.1.0.7 on eth3" in text
    assert "20 management, 12 own addresses" in text
    assert "bgp b-edge2 to 10.9.9.9: Active" in text


def test_names_cannot_inject_markup():
    evil = '"><script>alert(1)</script>&amp;'
    topology = reports.topology()
    devices = (*topology.devices, Device(id="x", name=evil, polled=False))
    report = reports.report(
        topology=replace(topology, name=evil, devices=devices),
        tracks=(reports.track(evil, ((70.0, 70.3),)),),
        others=(evil,),
    )
    html, tree, text = parsed(report)
    assert "<script" not in html
    assert tree.wrong == []
    assert text.count(evil) >= 4


def test_a_run_in_which_nothing_was_done_is_a_page_too():
    empty = Report(run=reports.observed().run, verdict=worst(), headline="")
    _, tree, text = parsed(empty)
    assert tree.wrong == []
    assert "UNKNOWN" in text
    assert "Nothing was judged." in text


def test_a_long_list_is_cut_and_says_so():
    phase = reports.cut_phase()
    one = phase.route_changes[1]
    many = replace(phase, route_changes=tuple(replace(one, t=70.0 + i / 10) for i in range(40)))
    html, _, text = parsed(reports.report(convergence=(many,)))
    assert "cable cut: 40 route changes" in text
    assert "and 16 more route changes in report.json" in text
    differences = (reports.DIFFERENCE,) * 55
    comparison = replace(reports.observed().comparison, equal=169, differences=differences)
    _, _, text = parsed(reports.report(comparison=comparison))
    assert "and 15 more in report.json" in text
    assert len(html) < 250_000


def test_prefixes_that_move_together_are_one_row():
    first, *rest = reports.cut_phase().route_changes
    rows = page.grouped((first, *(replace(c, t=70.01) for c in rest), replace(rest[0], t=70.5)))
    assert [(r.node, len(r.prefixes), r.lost) for r in rows] == [
        ("a-edge1", 1, True),
        ("a-core1", 9, False),
        ("a-core1", 1, False),
    ]
    assert rows[1].before == "ospf via 10.1.0.7 on eth3"


def test_a_name_that_the_template_does_not_get_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        page._template().render(report=reports.report())


def test_the_pictures_in_it_are_well_formed():
    html, _, _ = parsed(reports.report())
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        ET.fromstring(drawing)
