"""docs/discovery.md says what the code does: every rule with its trust, every weight, every kind of conflict."""

import re
from pathlib import Path

import pytest

from labctl.topo.links import WEIGHTS
from labctl.topo.ports import FACTORS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "discovery.md").read_text()


@pytest.mark.parametrize("rule", FACTORS)
def test_every_rule_is_documented_with_its_trust(rule):
    row = next(line for line in PAGE.splitlines() if line.lstrip().startswith("|") and f"`{rule}`" in line)
    assert float(row.split("|")[2]) == FACTORS[rule]


def test_every_weight_is_documented():
    table = PAGE.partition("| evidence | weight |")[2].partition("\n\n")[0]
    said = {float(number) for number in re.findall(r"\| (0\.\d+)", table)}
    assert said == set(WEIGHTS.values())


def test_every_kind_of_conflict_is_documented():
    said = set(re.findall(r"`([a-z-]+)`", PAGE.partition("## Conflicts")[2].partition("Each has")[0]))
    source = "".join(
        path.read_text()
        for path in (ROOT / "labctl" / "topo").glob("*.py")
        if not path.stem.startswith("lint")
    )
    used = set(
        re.findall(
            r'"((?:[a-z]+-)+(?:mismatch|shared|twice|itself|sided|cable|down|disagrees|anonymous|unknown|unresolved|rejected|differs|unconfirmed))"',
            source,
        )
    )
    assert used - {"two-sided"} == said


def test_every_finding_of_lint_is_documented():
    page = PAGE.partition("## What does not fit together")[2].partition("## ")[0]
    source = (ROOT / "labctl" / "topo" / "lint.py").read_text().partition("def lint")[2]
    source += (ROOT / "labctl" / "topo" / "lint_wires.py").read_text()
    used = set(re.findall(r'"((?:[a-z]+-)+(?:mismatch|shared|sided))"', source))
    assert used == set(re.findall(r"`([a-z-]+-(?:mismatch|shared|sided))`", page))
