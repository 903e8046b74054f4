"""A campaign's report: the record (JSON), the lines for a terminal, JUnit for a CI system, and a page.

In JUnit a suite is the campaign and a case is one trial. As with a run, UNKNOWN is an error and never green. Paths in all of
them are relative to the campaign's directory, so it can be moved.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

import jinja2

import labctl
from labctl.analyze.campaign import coverage_lines, shrunk_words
from labctl.analyze.words import plural, seconds
from labctl.linux import whole
from labctl.model.campaign import CampaignReport, TrialResult
from labctl.model.verdict import Verdict
from labctl.report import page, record
from labctl.report.junit import clean
from labctl.report.text import MARKS

RECORD, KIND, VERSION = "campaign.json", "campaign-report", 1


def save(report: CampaignReport, directory: str) -> dict[str, str]:
    """Write campaign.json, report.html, report.txt and junit.xml; returns kind -> path."""
    files = {
        "json": (RECORD, _json(report)),
        "html": ("report.html", html(report)),
        "txt": ("report.txt", ("\n".join(lines(report)) + "\n").encode()),
        "junit": ("junit.xml", junit(report)),
    }
    written = {}
    for kind, (name, data) in files.items():
        written[kind] = os.path.join(directory, name)
        whole.write(written[kind], data)
    return written


def plain(report: CampaignReport) -> dict[str, Any]:
    """What `campaign.json` holds and `--format json` prints."""
    return {"version": VERSION, "kind": KIND, **record.plain(report)}


def _json(report: CampaignReport) -> bytes:
    return (json.dumps(plain(report), ensure_ascii=False, indent=1) + "\n").encode()


# ---- text


def lines(report: CampaignReport) -> Iterator[str]:
    yield f"{report.campaign}: lab {report.lab} on {report.runtime}, seed {report.seed}, {report.started}"
    for trial in report.trials:
        yield from trial_lines(trial)
    yield from (f"  {line}" for line in coverage_lines(report.coverage))
    yield report.headline
    yield f"verdict: {report.verdict.value}"


def trial_lines(trial: TrialResult) -> Iterator[str]:
    """A trial in a line, and what was wrong with it below."""
    what = "; ".join(trial.faults)
    yield f"  {MARKS[trial.verdict]} {trial.verdict.value:<7}  {trial.name}  {what}  ({trial.directory})"
    for subject in (*trial.failed, *trial.unknown)[:5]:
        yield f"      {subject}"
    if trial.shrunk:
        yield f"      it takes {shrunk_words(trial.shrunk)}"
        yield f"      its plan: {trial.shrunk.plan}"


# ---- JUnit

_TAGS = {Verdict.FAIL: "failure", Verdict.UNKNOWN: "error"}


def junit(report: CampaignReport) -> bytes:
    """The document, as bytes. A campaign that ended early has a case more that says so."""
    extra = int(bool(report.stopped))
    numbers = {
        "tests": str(len(report.trials) + extra),
        "failures": str(sum(each.verdict is Verdict.FAIL for each in report.trials)),
        "errors": str(sum(each.verdict is Verdict.UNKNOWN for each in report.trials) + extra),
        "time": f"{report.duration_s:.3f}",
    }
    root = ET.Element("testsuites", numbers | {"name": "labctl"})
    suite = ET.SubElement(
        root, "testsuite", numbers | {"name": clean(report.campaign), "timestamp": report.started[:19]}
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (("verdict", report.verdict.value), ("lab", report.lab), ("seed", str(report.seed))):
        ET.SubElement(properties, "property", name=name, value=clean(value))
    for trial in report.trials:
        case = _case(suite, report, trial.name, trial.took_s)
        text = clean("\n".join(trial_lines(trial)))
        if trial.verdict in _TAGS:
            ET.SubElement(case, _TAGS[trial.verdict], message=clean(trial.headline)).text = text
        else:
            ET.SubElement(case, "system-out").text = text
    if report.stopped:
        case = _case(suite, report, "the campaign came to its end", 0.0)
        ET.SubElement(case, "error", message=clean(report.stopped))
    ET.SubElement(suite, "system-out").text = clean(report.headline)
    ET.indent(root)
    text_: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text_ + b"\n"


def _case(suite: ET.Element, report: CampaignReport, name: str, took_s: float) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname=clean(report.campaign), name=clean(name), time=f"{took_s:.3f}"
    )


# ---- the page


def html(report: CampaignReport) -> bytes:
    """The page, as bytes."""
    text = _template().render(
        report=report,
        version=labctl.__version__,
        style=page.style(),
        facts=list(_facts(report)),
        coverage=list(coverage_lines(report.coverage)),
    )
    return text.encode()


def _facts(report: CampaignReport) -> Iterator[tuple[str, str]]:
    for verdict in Verdict:
        count = sum(each.verdict is verdict for each in report.trials)
        if count:
            yield str(count), f"{'trial' if count == 1 else 'trials'} {verdict.value}"
    yield str(len(report.coverage.now)), "elements failed in this campaign"
    yield str(len(report.coverage.never)), "in reach and never failed"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(seconds=seconds, plural=plural, shrunk=shrunk_words)
    return environment.from_string(page.source("campaign.html.j2"))
