"""The report for a terminal or a log: what was found, one line each, and the verdict as the last line."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.analyze import took
from labctl.model.verdict import Report, Verdict

MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.UNKNOWN: "?"}


def write(report: Report) -> bytes:
    """The lines, as bytes."""
    return ("\n".join(lines(report)) + "\n").encode()


def lines(report: Report) -> Iterator[str]:
    yield f"{report.run.title}: lab {report.run.lab} on {report.run.runtime}, {report.run.started}"
    width = max((len(f.subject) for f in report.findings), default=0)
    width = min(width, 44)
    for finding in report.findings:
        yield (
            f"  {MARKS[finding.verdict]} {finding.verdict.value:<7}  {finding.subject:<{width}}  {finding.summary}"
        )
        for seen in finding.seen[:5]:
            yield f"      {seen}"
        if len(finding.seen) > 5:
            yield f"      and {len(finding.seen) - 5} more"
    for act in report.acts:
        said = [act.said or act.what]
        said += [f"read back: {found}" for found in [took.found(act)] if found]
        said += [f"measured: {measured}" for measured in [took.measured(act)] if measured]
        yield f"  {act.id} on {act.on}: {'; '.join(said)}"
    for row in report.reach:
        mark = {None: "?", True: "as foretold", False: "otherwise than foretold"}[row.agrees]
        yield f"  {row.flow}: foretold: {row.predicted}; measured: {row.measured} ({mark})"
    for limit in report.limits:
        yield f"  note: {limit}"
    yield report.headline
    yield f"verdict: {report.verdict.value}"
