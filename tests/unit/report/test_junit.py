"""What CI systems make of a run: counts, one case a judgement, and text that XML can hold."""

from xml.etree import ElementTree as ET

from labctl.model.measure import Window
from labctl.model.verdict import Finding, Report, RunMeta, Verdict
from labctl.report import junit


def report(*findings, verdict=Verdict.FAIL):
    run = RunMeta(
        title="core <cut>", lab="dc1", runtime="runc", kernel="Linux", started="2026-11-20T12:00:00+00:00", duration_s=61.5, seed=7
    )  # fmt: skip
    return Report(run=run, verdict=verdict, headline="It failed & fell.", findings=findings)


def finding(verdict, subject="during: h1 → h2: loss <= 1%", summary="2 of 100 lost", **more):
    return Finding(verdict=verdict, subject=subject, summary=summary, **more)


def parsed(found):
    return ET.fromstring(junit.write(found)).find("testsuite")


def test_each_judgement_is_a_case_and_the_counts_add_up():
    suite = parsed(
        report(
            finding(Verdict.PASS, window=Window(start=1.0, end=3.5)),
            finding(Verdict.FAIL, seen=("sender was told: no route",)),
            finding(Verdict.UNKNOWN, summary="too few"),
        )
    )
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert suite.get("name") == "core <cut>"
    good, bad, unknown = suite.findall("testcase")
    assert (good.get("time"), len(good.findall("failure")) + len(good.findall("error"))) == ("2.500", 0)
    assert bad.find("failure").get("message") == "2 of 100 lost"
    assert bad.find("failure").text == "sender was told: no route"
    assert unknown.find("error").get("message") == "too few"
    assert suite.find("properties/property[@name='seed']").get("value") == "7"


def test_what_xml_cannot_hold_is_replaced_and_the_rest_survives():
    case = parsed(report(finding(Verdict.FAIL, summary="a\x00b\x1b[31m <&> → ✓"))).find("testcase/failure")
    assert case.get("message") == "a\ufffdb\ufffd[31m <&> → ✓"


def test_a_report_without_findings_is_an_empty_suite():
    assert parsed(report()).get("tests") == "0"
