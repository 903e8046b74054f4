"""A campaign's report in four forms: they say the same, escape what they print, and come back from the record."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from labctl.analyze import campaign as judging
from labctl.errors import LabctlError
from labctl.model.campaign import Answer, Coverage, Rerun, Shrunk, TrialResult
from labctl.model.verdict import Verdict
from labctl.report import campaign as writing
from labctl.schema import json_schema

PASSED = TrialResult(
    name="night-001",
    verdict=Verdict.PASS,
    headline="",
    faults=("carrier loss on r1:eth1--r2:eth1",),
    elements=("link r1:eth1--r2:eth1",),
    directory="001",
    took_s=20.5,
)
SHRUNK = Shrunk(
    faults=("cut",),
    said=("carrier loss on <b>&",),
    proven=True,
    plan="002/shrink-02/plan.json",
    reruns=(
        Rerun(name="night-002-shrink-01", faults=(), answer=Answer.PASSES, why="", directory="002/shrink-01"),
        Rerun(
            name="night-002-shrink-02",
            faults=("cut",),
            answer=Answer.FAILS,
            why="during: loss",
            directory="002/shrink-02",
        ),
    ),
)
FAILED = replace(
    PASSED, name="night-002", verdict=Verdict.FAIL, directory="002", failed=("during: <loss>",), shrunk=SHRUNK
)
DOUBTFUL = replace(
    PASSED, name="night-003", verdict=Verdict.UNKNOWN, directory="003", unknown=("settled: \x00 no",)
)


def report(*results, stopped=""):
    return judging.report(
        results,
        campaign="night",
        lab="dc1",
        runtime="runc",
        seed=7,
        started="2026-11-20T02:00:00+00:00",
        duration_s=61.5,
        coverage=Coverage(now=("link a",), before=("link b",), never=("node <c>",)),
        stopped=stopped,
        command="labctl campaign night.yml",
    )


class Page(HTMLParser):
    """Tags that are opened are closed; what is written, and where links lead."""

    def __init__(self, text):
        super().__init__()
        self.open, self.said, self.links = [], "", []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said += data


def test_the_verdict_is_the_worst_and_the_headline_names_what_it_takes():
    assert report(PASSED).verdict is Verdict.PASS
    assert report(PASSED, DOUBTFUL).verdict is Verdict.UNKNOWN
    found = report(PASSED, FAILED, DOUBTFUL)
    assert found.verdict is Verdict.FAIL
    assert found.headline == (
        "night: 3 trials, 1 PASS, 1 FAIL, 1 UNKNOWN. night-002 fails with carrier loss on <b>&."
    )
    nothing = report(stopped="interrupted")
    assert (nothing.verdict, nothing.headline) == (
        Verdict.UNKNOWN,
        "night: nothing was played. Ended early: interrupted.",
    )


def test_every_form_says_it(tmp_path):
    found = report(PASSED, FAILED, DOUBTFUL, stopped="not put back: r1")
    written = writing.save(found, str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["campaign.json", "report.html", "report.txt", "junit.xml"]
    )
    text = (tmp_path / "report.txt").read_text()
    assert text.splitlines()[-1] == "verdict: FAIL"
    assert "it takes carrier loss on <b>&: proven in 2 reruns" in text
    assert "coverage of 3 elements: 1 in this campaign, 1 only in earlier ones, 1 never" in text
    page = Page((tmp_path / "report.html").read_text())
    assert page.links == [
        *(f"00{n}/report.html" for n in (1, 2, 3)),
        *(f"002/shrink-0{n}/report.html" for n in (1, 2)),
    ]
    for said in ("night-002", "during: <loss>", "carrier loss on <b>&: proven in 2 reruns", "node <c>"):
        assert said in page.said
    assert "not put back: r1" in page.said
    suite = ET.parse(written["junit"]).getroot().find("testsuite")
    assert [suite.get(k) for k in ("tests", "failures", "errors")] == ["4", "1", "2"]
    cases = {c.get("name"): [child.tag for child in c] for c in suite.findall("testcase")}
    assert cases == {
        "night-001": ["system-out"],
        "night-002": ["failure"],
        "night-003": ["error"],
        "the campaign came to its end": ["error"],
    }


def test_the_record_is_valid_and_comes_back(tmp_path):
    from labctl.app import campaign

    found = report(PASSED, FAILED, DOUBTFUL)
    written = writing.save(found, str(tmp_path))
    record = json.loads((tmp_path / "campaign.json").read_text())
    jsonschema.validate(record, json_schema.schema("campaign-report"), jsonschema.Draft202012Validator)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again, files = campaign.report(str(tmp_path))
    assert again == found
    assert files == written
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "campaign-report", "version": 2}', '{"a": 1'])
def test_what_is_no_record_is_refused(tmp_path, text):
    from labctl.app import campaign

    (tmp_path / "campaign.json").write_text(text)
    with pytest.raises(LabctlError) as caught:
        campaign.report(str(tmp_path))
    assert caught.value.code == "bad-value"


def test_nothing_played_is_a_page_too():
    assert "none was played" in Page(writing.html(report()).decode()).said
