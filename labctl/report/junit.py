"""The report as JUnit XML, for the CI systems that draw it: a suite is a run, a case is one thing that was judged.

FAIL is a failure. UNKNOWN is an error: a pipeline that is green must have seen everything hold, and most of them count
a skipped case as green.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from labctl.model.verdict import Finding, Report, Verdict

_TAGS = {Verdict.FAIL: "failure", Verdict.UNKNOWN: "error"}
#: What XML 1.0 cannot hold, however it is escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(report: Report) -> bytes:
    """The document, as bytes."""
    count = {v: sum(f.verdict is v for f in report.findings) for v in Verdict}
    numbers = {
        "tests": str(len(report.findings)),
        "failures": str(count[Verdict.FAIL]),
        "errors": str(count[Verdict.UNKNOWN]),
        "time": f"{report.run.duration_s:.3f}",
    }
    root = ET.Element("testsuites", numbers | {"name": "labctl"})
    suite = ET.SubElement(
        root, "testsuite", numbers | {"name": clean(report.run.title), "timestamp": report.run.started[:19]}
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("verdict", report.verdict.value),
        ("lab", report.run.lab),
        ("runtime", report.run.runtime),
        ("kernel", report.run.kernel),
        ("seed", "" if report.run.seed is None else str(report.run.seed)),
    ):
        ET.SubElement(properties, "property", name=name, value=clean(value))
    for finding in report.findings:
        _case(suite, report, finding)
    ET.SubElement(suite, "system-out").text = clean(report.headline)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: ET.Element, report: Report, finding: Finding) -> None:
    window = finding.window
    took = None if window is None else window.duration
    case = ET.SubElement(
        suite,
        "testcase",
        classname=clean(report.run.title),
        name=clean(finding.subject),
        time=f"{took or 0.0:.3f}",
    )
    if finding.verdict in _TAGS:
        child = ET.SubElement(case, _TAGS[finding.verdict], message=clean(finding.summary))
        child.text = clean("\n".join(finding.seen))
    else:
        ET.SubElement(case, "system-out").text = clean("\n".join((finding.summary, *finding.seen)))


def clean(value: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return _FORBIDDEN.sub("\ufffd", value)
