"""A report as a folder of files: the page for people, the record for programs, the picture by itself."""

from __future__ import annotations

import os

from labctl.linux import whole
from labctl.model.verdict import Report
from labctl.report import svg
from labctl.report.page import marks
from labctl.report.writers import WRITERS


def save(report: Report, directory: str) -> dict[str, str]:
    """Write report.html, report.json, report.txt and topology.svg; returns kind -> path."""
    written = {}
    for kind in WRITERS:
        written[kind] = os.path.join(directory, f"report.{kind}")
        whole.write(written[kind], WRITERS[kind](report))
    if report.topology:
        written["svg"] = os.path.join(directory, "topology.svg")
        whole.write(written["svg"], svg.draw(report.topology, marks(report)).encode())
    return written
