"""Campaign files: what is read, what is refused and where, and that the JSON Schema agrees."""

from pathlib import Path

import jsonschema
import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.model.campaign import (
    AtMost,
    How,
    Measured,
    NeverCut,
    NeverTouch,
    NotTogether,
    PoolScenario,
    Spread,
)
from labctl.model.scenario import Kind
from labctl.schema import campaign, coverage_file, json_schema

NIGHTLY = Path(__file__).parents[3] / "scenarios" / "campaigns" / "nightly.yml"
VALIDATOR = jsonschema.Draft202012Validator(json_schema.schema("campaign"))
POOL = 'pool:\n  - {fault: link.down, target: {link: "*", pick: 1}, for: 10s}\n'


def parse(text):
    return campaign.parse(text, file="c.yml")


def refused(text):
    with pytest.raises(LabctlError) as caught:
        parse(text)
    return [(e.code, str(e.where)) for e in caught.value.each]


def valid(text):
    return VALIDATOR.is_valid(pyyaml.safe_load(text))


def test_everything_that_can_be_said():
    text = """\
name: c
description: all of it
seed: 7
trials: 5
for: 2h
faults: {min: 1, max: 3}
spread: 5s
settle: 90s
gap: 10s
cooldown: {link: 1m}
coverage: random
shrink: 4
probes: {p: {kind: ping, from: a, to: b}}
steady: [{probe: p, loss: 1%}]
expect: {during: [{probe: p, max_outage: 5s}], after: [{routes: same}]}
stop_when: [{unless: {probe: p, availability: 10%}, window: 9s}]
pool:
  - weight: 2.5
    fault: link.degrade
    id: worn
    target: {link: "core()", pick: 1}
    for: {uniform: [10s, 20s]}
    delay: {uniform: [5ms, 80ms]}
    loss: {loguniform: [0.1%, 10%]}
    direction: {choice: [a->z, z->a]}
    rate: 10Mbit
constraints:
  - {never_cut: {from: "c*", to: s}, why: because}
  - never_touch: {port: "r1:eth1"}
  - not_together: {link: "of(r1)"}
  - max_links: 3
  - max_nodes: 2
  - max_unreachable_pairs: 0
"""
    assert valid(text)
    found = parse(text)
    assert (found.trials, found.for_s, found.faults, found.reruns) == (5, 7200.0, (1, 3), 4)
    assert (found.spread_s, found.settle_s, found.gap_s, found.least_recent) == (5.0, 90.0, 10.0, False)
    assert found.cooldown_s == {Kind.LINK: 60.0}
    (entry,) = found.pool
    assert (entry.id, entry.weight) == ("worn", 2.5)
    assert entry.for_s == Spread(how=How.UNIFORM, values=(10.0, 20.0))
    assert entry.settings["delay_s"] == Spread(how=How.UNIFORM, values=(0.005, 0.08))
    assert entry.settings["loss"] == Spread(how=How.LOGUNIFORM, values=(0.001, 0.1))
    assert entry.settings["direction"].values == ("a->z", "z->a")
    assert entry.settings["rate_bps"] == 1e7
    kinds = [type(each) for each in found.constraints]
    assert kinds == [NeverCut, NeverTouch, NotTogether, AtMost, AtMost, AtMost]
    assert [each.what for each in found.constraints[3:]] == list(Measured)
    assert [each.words for each in found.constraints[:3]] == [
        "never cut c* from s",
        "never touch port r1:eth1",
        "not together link of(r1)",
    ]


def test_what_is_not_said():
    found = parse(f"name: c\n{POOL}")
    assert (found.trials, found.for_s, found.seed, found.faults) == (None, None, None, (1, 1))
    assert (found.spread_s, found.gap_s, dict(found.cooldown_s), found.least_recent) == (0.0, 0.0, {}, True)
    assert parse(f"name: c\ncooldown: 5s\n{POOL}").cooldown_s == {Kind.LINK: 5.0, Kind.NODE: 5.0}
    assert parse(f"name: c\nfaults: 2\n{POOL}").faults == (2, 2)


def entry(text):
    return f"name: c\npool:\n  - {{{text}}}\n"


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("name: c\n", "missing-key", "c.yml:1:1"),
        ("name: c\npool: []\n", "bad-value", "c.yml:2:7"),
        (f"name: c\ntrials: 0\n{POOL}", "bad-value", "c.yml:2:9"),
        (f"name: c\nfor: 20\n{POOL}", "bad-unit", "c.yml:2:6"),
        (f"name: c\ncoverage: most-recent\n{POOL}", "bad-value", "c.yml:2:11"),
        (f"name: c\ncooldown: {{port: 5s}}\n{POOL}", "unknown-key", "c.yml:2:12"),
        (f"name: c\nconstraint: []\n{POOL}", "unknown-key", "c.yml:2:1"),
        (f"name: c\nconstraints: [{{never_cut: {{from: a}}}}]\n{POOL}", "missing-key", "c.yml:2:27"),
        (f"name: c\nconstraints: [{{why: so}}]\n{POOL}", "bad-value", "c.yml:2:15"),
        (f"name: c\nconstraints: [{{max_links: 1, max_nodes: 1}}]\n{POOL}", "bad-value", "c.yml:2:15"),
        (entry("weight: 2"), "missing-key", "c.yml:3:5"),
        (entry("fault: node.hang, scenario: x.yml"), "bad-value", "c.yml:3:5"),
        (entry("scenario: x.yml, for: 3s"), "unknown-key", "c.yml:3:23"),
        (entry("fault: node.hang, target: {node: r1}"), "missing-key", "c.yml:3:5"),
        (entry("fault: node.hang, target: wan, for: 1s"), "bad-value", "c.yml:3:32"),
        (entry("fault: node.daemon-kill, target: {node: r1}, for: 1s"), "missing-key", "c.yml:3:5"),
        (entry("fault: node.hang, target: {node: r1}, for: {uniform: [1s, 2]}"), "bad-unit", "c.yml:3:64"),
        (entry("fault: node.hang, target: {node: r1}, for: {choice: []}"), "bad-value", "c.yml:3:58"),
        (entry("fault: node.hang, target: {node: r1}, for: {}"), "bad-value", "c.yml:3:49"),
        (entry("fault: node.hang, target: {node: r1}, for: 1s, ramp: {}"), "unknown-key", "c.yml:3:53"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_the_schema_refuses_it_too(text, code, where):
    assert (code, where) in refused(text)
    assert not valid(text)


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (f"name: c d\n{POOL}", "bad-name", "c.yml:1:7"),
        (
            f"name: c\nconstraints: [{{never_touch: {{link: '*', pick: 1}}}}]\n{POOL}",
            "bad-value",
            "c.yml:2:29",
        ),
        (entry("scenario: x.yml"), "file-not-found", "c.yml:3:16"),
        (entry("fault: node.hang, target: {link: '*'}, for: 1s"), "bad-value", "c.yml:3:32"),
        (entry("fault: node.hang, target: {node: r1}, for: 1s, weight: 0"), "bad-value", "c.yml:3:3"),
    ],
)
def test_what_no_schema_can_know(text, code, where):
    assert (code, where) in refused(text)
    assert valid(text)


def test_a_mistake_in_a_scenario_is_said_at_its_place(tmp_path):
    (tmp_path / "one.yml").write_text(
        "name: one\ntimeline:\n  - {fault: node.hnag, target: {node: r1}, for: 1s}\n"
    )
    (tmp_path / "two.yml").write_text(
        "name: two\nprobes: {p: {kind: ping, from: a, to: c}}\ntimeline:\n  - wait: 1s\n"
    )
    text = "name: c\nprobes: {p: {kind: ping, from: a, to: b}}\npool:\n  - {scenario: one.yml}\n  - {scenario: two.yml}\n"
    with pytest.raises(LabctlError) as caught:
        campaign.parse(text, file=str(tmp_path / "c.yml"))
    assert [(e.code, str(e.where).rpartition("/")[2]) for e in caught.value.each] == [
        ("bad-value", "c.yml:5:5"),
        ("unknown-fault", "one.yml:3:13"),
    ]


def test_the_nightly_campaign_is_valid_and_read():
    text = NIGHTLY.read_text()
    assert valid(text)
    found = campaign.load(NIGHTLY)
    assert found.name == NIGHTLY.stem
    assert any(isinstance(each, PoolScenario) for each in found.pool)


PIECES = st.recursive(
    st.sampled_from(["link.down", "1s", "2%", "*", "core()", -1, 0, 3, None, True, "a->z", "never", "x:y"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *campaign.KEYS,
                    *campaign.FAULT_KEYS,
                    *campaign.CONSTRAINTS,
                    *(how.value for how in How),
                    "scenario",
                    "min",
                    "link",
                    "from",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(campaign.KEYS), PIECES, max_size=6))
@settings(max_examples=100, deadline=None)
def test_whatever_is_written_is_read_or_refused_with_a_place(value):
    try:
        found = parse(pyyaml.safe_dump(value))
    except LabctlError as error:
        places = [e.where for e in error.each]
    else:
        places = [found.pool[0].where]
    assert None not in places


# ---- the record of coverage


def test_coverage_comes_back(tmp_path):
    path = tmp_path / "c.json"
    assert coverage_file.load(path, "dc1") == {}
    turns = {"link r1:eth1--r2:eth1": 3, "node é": 1}
    path.write_text(coverage_file.dump("dc1", turns))
    assert coverage_file.load(path, "dc1") == turns


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"kind": "coverage", "version": 2, "lab": "dc1", "failed": {}}']
    + [
        f'{{"kind": "coverage", "version": 1, "lab": "dc1", "failed": {x}}}'
        for x in ("[]", '{"a": 0}', '{"a": true}')
    ]
    + ['{"kind": "coverage", "version": 1, "lab": "dc2", "failed": {}}', "[" * 100_000],
)
def test_what_is_no_coverage_is_refused(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(LabctlError) as caught:
        coverage_file.load(path, "dc1")
    assert caught.value.code == "bad-value"
    assert str(path) in str(caught.value.where)
