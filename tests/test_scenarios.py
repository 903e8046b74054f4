"""The library of scenarios: every file says what one learns, fits the demo lab, and every fault has one.

Playing them on containers is `tests/system/test_scenario_library.py`'s.
"""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml as pyyaml

from labctl.analyze import dryrun
from labctl.app.validate import validate
from labctl.faults.base import FAULTS
from labctl.faults.plan import plan
from labctl.model.measures import MEASURES, PROBE_KINDS
from labctl.model.scenario import FaultStep
from labctl.schema import clab, json_schema, plan_file, scenario
from labctl.schema.scenario import BLAST_KEYS, KEYS
from labctl.schema.scenario_steps import VERBS
from labctl.topo.query import FUNCTIONS, usage

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "scenarios").glob("*.yml"))
DEMO = ROOT / "topologies" / "demo" / "production.clab.yml"
DOC = (ROOT / "docs" / "scenarios.md").read_text()


@pytest.fixture(scope="module")
def demo():
    return clab.load(str(DEMO))


def faults_of(step):
    """Every fault that is written in the step, drawn or not."""
    if isinstance(step, FaultStep):
        return {step.fault.kind}
    inner = [*getattr(step, "steps", ()), *(s for _, s in getattr(step, "options", ()))]
    inner += [step.step] if hasattr(step, "step") else []
    return {kind for each in inner for kind in faults_of(each)}


def test_every_fault_has_a_scenario():
    assert len(LIBRARY) >= 20
    used = {kind for path in LIBRARY for kind in faults_of(scenario.load(path).timeline)}
    assert set(FAULTS) - used == set()


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_it_fits_the_demo_lab(path, demo):
    found = scenario.load(path)
    assert found.name == path.stem
    for seed in range(5):
        made = plan(found, demo, seed)
        assert made.predicted.links or made.predicted.nodes
        assert plan_file.parse(plan_file.dump(made), file="plan.json") == made
        assert dryrun.render(made).startswith(f"scenario {path.stem} on lab {demo.name}, seed {seed}, ")


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_it_says_what_one_learns_and_what_must_hold(path):
    comment = re.match(r"(?:#.*\n)+", path.read_text())
    assert comment
    assert "What you learn: " in comment[0]
    found = scenario.load(path)
    assert found.steady
    assert found.during
    assert {"leftovers", "settled_within", "adjacencies"} <= {e.measure for e in found.after}
    assert found.blast_radius.max_unreachable_pairs is not None


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_it_is_valid_against_the_schema(path):
    value = pyyaml.safe_load(path.read_text())
    jsonschema.validate(value, json_schema.schema("scenario"), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loss: 1%", "loss: 1"),
        ("for: 15s", "for: 15"),
        ("fault: link.down", "fault: link.dwon"),
        ("target: ", "targett: "),
        ("kind: ping", "kind: pong"),
        ("name: wan-cut\n", ""),
    ],
)
def test_the_schema_refuses_what_labctl_refuses(old, new, tmp_path):
    text = (ROOT / "scenarios" / "wan-cut.yml").read_text()
    broken = text.replace(old, new, 1)
    assert broken != text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            pyyaml.safe_load(broken), json_schema.schema("scenario"), jsonschema.Draft202012Validator
        )
    (tmp_path / "s.yml").write_text(broken)
    assert validate([str(tmp_path / "s.yml")])[0].errors


def test_validate_plans_on_a_lab(tmp_path):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_file.dump(plan(scenario.load(LIBRARY[0]), clab.load(str(DEMO)), 5)))
    (result,) = validate([str(saved)])
    assert (result.kind, result.summary) == (
        "plan",
        f"plan of {LIBRARY[0].stem} for lab demo-production, seed 5",
    )
    paths = [str(p) for p in LIBRARY]
    results = validate(paths, lab=str(DEMO))
    assert [r.kind for r in results] == ["scenario"] * len(LIBRARY)
    assert all(not r.errors and "of lab demo-production" in r.summary for r in results)
    (tmp_path / "s.yml").write_text("name: t\ntimeline: [{fault: node.hang, target: {node: r77}, for: 1s}]\n")
    assert not validate([str(tmp_path / "s.yml")])[0].errors
    (error,) = validate([str(tmp_path / "s.yml")], lab=str(DEMO))[0].errors
    assert (error.code, error.where.line) == ("unknown-node", 2)


# ---- docs/scenarios.md


def test_the_page_has_every_word_of_the_language():
    for name, function in FUNCTIONS.items():
        kinds = ", ".join(f"{kind}s" for kind in function.of)
        assert f"| `{usage(name)}` | {kinds} | {function.about} |" in DOC
    for key in (*KEYS, *VERBS, *BLAST_KEYS):
        assert f"| `{key}` | " in DOC, key
    for name, measure in MEASURES.items():
        row = next((line for line in DOC.splitlines() if line.startswith(f"| `{name}` | ")), "")
        assert row.endswith(f"| {measure.about} |"), name
    for kind, settings in PROBE_KINDS.items():
        for key, setting in settings.items():
            assert f"| `{kind}` | `{key}` | {setting.about} (" in DOC


def test_the_examples_of_the_page_fit_the_demo_lab(demo):
    blocks = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        assert plan(scenario.parse(block, file="docs/scenarios.md"), demo, 1).predicted.links
        jsonschema.validate(
            pyyaml.safe_load(block), json_schema.schema("scenario"), jsonschema.Draft202012Validator
        )
    queries = re.findall(
        r"^\| `([^`]+)` \| (?:one link|links|nodes, links or ports|the ports)", DOC, re.MULTILINE
    )
    assert len(queries) >= 5
