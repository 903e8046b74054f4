"""The campaigns of the library fit the demo lab, and docs/campaigns.md says what there is to say."""

import itertools
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml as pyyaml

from labctl.cli import main
from labctl.faults.campaign import reach, trials
from labctl.faults.reduce import faults
from labctl.model.campaign import How
from labctl.schema import campaign, clab, json_schema, plan_file

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "scenarios" / "campaigns").glob("*.yml"))
DEMO = ROOT / "topologies" / "demo" / "production.clab.yml"
DOC = (ROOT / "docs" / "campaigns.md").read_text()


@pytest.fixture(scope="module")
def demo():
    return clab.load(str(DEMO))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_it_fits_the_demo_lab_and_says_what_one_learns(path, demo):
    found = campaign.load(path)
    assert found.name == path.stem
    comment = re.match(r"(?:#.*\n)+", path.read_text())
    assert comment
    assert "What you learn: " in comment[0]
    kinds = set()
    touched = set()
    for trial in itertools.islice(trials(found, demo, 20261120), 60):
        assert plan_file.parse(plan_file.dump(trial.plan), file="plan.json") == trial.plan
        kinds |= {each.kind for each in faults(trial.plan.root)}
        touched |= set(trial.elements)
    assert kinds >= {each.kind for each in found.pool if hasattr(each, "kind")}
    assert touched >= set(reach(found, demo)), "everything has its turn"


def test_a_dry_run_on_a_lab_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    argv = ["campaign", str(LIBRARY[0]), "-l", str(DEMO), "--dry-run", "--seed", "1", "-o", str(tmp_path)]
    main.program()([*argv, "--trials", "4"], standalone_mode=False)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "nothing is touched"
    assert said[1].startswith("campaign nightly on lab demo-production, seed 1, 4 trials, at least ")
    assert sum(line.startswith("nightly-00") for line in said) == 4
    assert sum(line.startswith("  touches ") for line in said) == 4
    assert any(line.startswith("  refused by max_nodes 1: ") for line in said)
    assert any(line.startswith("coverage of 22 elements: ") for line in said)
    main.program()([*argv, "--trials", "4", "-f", "json"], standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)
    jsonschema.validate(printed, json_schema.schema("campaign-trials"), jsonschema.Draft202012Validator)
    assert [each["name"] for each in printed["trials"]] == [f"nightly-00{n}" for n in range(1, 5)]
    main.program()([*argv, "--for", "30s", "-f", "json"], standalone_mode=False)
    begun = json.loads(capsys.readouterr().out)["trials"]
    assert begun == [each for each in printed["trials"] if each["start_s"] < 30]
    assert len(begun) < 4
    assert list(tmp_path.iterdir()) == []


# ---- docs/campaigns.md


def test_the_page_has_every_word_of_the_language():
    words = (*campaign.KEYS, "fault", "scenario", *(how.value for how in How), *campaign.CONSTRAINTS)
    for word in words:
        assert f"| `{word}` | " in DOC, word


def test_the_example_of_the_page_fits_the_demo_lab(demo):
    (block,) = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)
    assert len(list(itertools.islice(trials(campaign.parse(block, file="c.yml"), demo, 1), 12))) == 12
    jsonschema.validate(
        pyyaml.safe_load(block), json_schema.schema("campaign"), jsonschema.Draft202012Validator
    )
