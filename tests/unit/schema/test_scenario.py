"""Scenario files: what is read, and that every mistake is said with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError, Span
from labctl.faults.base import FAULTS
from labctl.model.measures import MEASURES, PROBE_KINDS, Unit
from labctl.model.scenario import (
    CheckStep,
    Choose,
    Expectation,
    FaultStep,
    Kind,
    Parallel,
    Query,
    Repeat,
    Sequence,
    StopRule,
    WaitStep,
)
from labctl.schema.scenario import load, parse

WHOLE = """\
name: whole
description: |
  Everything at once.
seed: 7
targets:
  wan: {link: "between(a-*, b-*)", pick: 1, allow_empty: true}
probes:
  path: {kind: ping, from: client1, to: 10.2.100.10, every: 50ms, size: 1400}
  app: {kind: http, from: client1, to: web1, port: 8080, path: /health, late: 250ms}
steady:
  - {probe: path, loss: 1%}
timeline:
  - fault: link.degrade
    id: slow
    target: wan
    for: 1m
    loss: 3%
    ramp: {delay: [10ms, 40ms]}
  - wait: 1500ms
  - wait: {for: 2s}
  - wait: {until: settled, timeout: 30s}
  - check: {probe: app, availability: ">= 99.5%", why: SLA}
  - parallel:
      - {fault: node.power, target: {node: "core()"}, for: 5s}
      - sequence: [wait: 1s, check: {routes: same}]
  - repeat: 3
    steps: [{fault: link.admin-down, target: {port: "r1:eth1"}, for: 1s}]
  - choose:
      - {weight: 2.5, wait: 1s}
      - {wait: 2s}
expect:
  during:
    - {probe: path, max_outage: 1500ms}
    - {sessions_down: "<= 2"}
  after:
    - {leftovers: none}
stop_when:
  - {unless: {probe: app, availability: 50%}, window: 10s}
blast_radius: {max_links: 2, max_nodes: 1, max_unreachable_pairs: 0, forbid: [{node: web1}]}
"""


def test_a_whole_file():
    found = parse(WHOLE, file="s.yml")
    assert (found.name, found.description, found.seed, found.source) == (
        "whole",
        "Everything at once.",
        7,
        "s.yml",
    )
    wan = Query(kind=Kind.LINK, expression="between(a-*, b-*)", pick=1, allow_empty=True)
    assert found.targets == {"wan": wan}
    assert found.targets["wan"].where == Span("s.yml", 6, 16)  # behind the quote
    path, app = found.probes
    assert path.settings == {
        "from": "client1",
        "to": "10.2.100.10",
        "size": 1400,
        "every_s": 0.05,
        "late_s": 1.0,
    }
    assert app.settings == {
        "from": "client1",
        "to": "web1",
        "port": 8080,
        "path": "/health",
        "every_s": 0.1,
        "late_s": 0.25,
    }
    slow, wait, for_, until, check, both, again, one = found.timeline.steps
    assert isinstance(slow, FaultStep)
    assert (slow.id, slow.target, slow.for_s) == ("slow", "wan", 60.0)
    assert (slow.fault.kind, slow.fault.loss, slow.fault.delay_s) == ("link.degrade", 0.03, 0.01)
    assert slow.ramp == {"delay_s": (0.01, 0.04)}
    assert (wait, for_) == (WaitStep(for_s=1.5), WaitStep(for_s=2.0))
    assert until == WaitStep(until="settled", timeout_s=30.0)
    assert check == CheckStep(
        expect=Expectation(measure="availability", op=">=", limit=0.995, probe="app", why="SLA")
    )
    assert isinstance(both, Parallel)
    power, inner = both.steps
    assert (power.id, power.target) == ("node.power", Query(kind=Kind.NODE, expression="core()"))
    assert inner == Sequence(
        steps=(
            WaitStep(for_s=1.0),
            CheckStep(expect=Expectation(measure="routes", op="==", limit="same")),
        )
    )
    assert isinstance(again, Repeat)
    assert again.count == 3
    assert one == Choose(options=((2.5, WaitStep(for_s=1.0)), (1.0, WaitStep(for_s=2.0))))
    assert found.steady == (Expectation(measure="loss", limit=0.01, probe="path"),)
    assert found.during == (
        Expectation(measure="max_outage", limit=1.5, probe="path"),
        Expectation(measure="sessions_down", limit=2),
    )
    assert found.after == (Expectation(measure="leftovers", op="==", limit="none"),)
    assert found.stop_when == (
        StopRule(unless=Expectation(measure="availability", op=">=", limit=0.5, probe="app"), window_s=10.0),
    )
    blast = found.blast_radius
    assert (blast.max_links, blast.max_nodes, blast.max_unreachable_pairs) == (2, 1, 0)
    assert blast.forbid == (Query(kind=Kind.NODE, expression="web1"),)


def refused(text):
    with pytest.raises(LabctlError) as caught:
        parse(text, file="s.yml")
    return [(e.code, str(e.where), e.message) for e in caught.value.each]


STEP = "name: t\ntimeline:\n  - %s\n"


@pytest.mark.parametrize(
    ("step", "code", "column", "said"),
    [
        ("{wait: }", "missing-key", 12, "wait has no time"),
        ("{wait: 0s}", "bad-value", 12, "wait must be longer than nothing"),
        ("{wait: {until: quiet, timeout: 5s}}", "bad-value", 20, "until must be settled, not 'quiet'"),
        ("{wait: {for: 1s, until: settled, timeout: 5s}}", "bad-value", 12, None),
        ("{wait: {timeout: 5s}}", "missing-key", 12, None),
        ("wait", "bad-value", 5, "a step must be a map, not 'wait'"),
        ("", "bad-value", None, "a step is empty"),
        ("{weight: 3, wait: 1s}", "unknown-key", 6, "a `wait` step has no key 'weight'"),
        ("{repeat: 0, steps: [wait: 1s]}", "bad-value", 14, "repeat must be from 1 to 10000, not 0"),
        ("{repeat: 2, steps: []}", "bad-value", 24, "`steps` has no steps"),
        ("{sequence: wait}", "bad-value", 16, "sequence must be a list, not 'wait'"),
        ("{choose: []}", "bad-value", 14, "`choose` has no options"),
        ("{choose: [{weight: 0, wait: 1s}]}", "bad-value", 14, "every option of `choose` has the weight 0"),
        ("{check: {loss: 1%}}", "missing-key", 13, "loss is measured by a probe, and none is named"),
        ("{check: {why: x}}", "missing-key", 13, "a check measures nothing"),
        ("{check: {routes: same, adjacencies: same}}", "bad-value", 13, None),
        ("{check: {probe: p, routes: same}}", "bad-value", 21, None),
        ("{check: {routes: '<= same'}}", "bad-value", 22, "routes must be same, not '<= same'"),
        ("{check: {sessions_down: 1.5}}", "bad-value", 29, "sessions_down must be a whole number, not '1.5'"),
        ('{fault: node.hang, target: {node: a}, for: 1s, id: "a\\e[2J"}', "bad-value", 56, None),
        (
            "{fault: link.degrade, target: {link: '*'}, for: 9s, loss: 1%, rate: 0bit}",
            "bad-value",
            73,
            "rate must be more than nothing",
        ),
        (
            "{fault: link.degrade, target: {link: '*'}, for: 9s, loss: 1%, reorder-gap: 5}",
            "bad-value",
            5,
            "link.degrade: reorder-gap needs reorder: by itself it would do nothing",
        ),
        ("{fault: }", "missing-key", 13, "a step names no fault"),
        (
            "{fault: node.hang, target: {}, for: 1s}",
            "missing-key",
            32,
            "the target of node.hang selects nothing",
        ),
        ("{fault: node.hang, target: {node: a, link: b}, for: 1s}", "bad-value", 32, None),
        ("{fault: node.hang, target: {node: a, pick: 0}, for: 1s}", "bad-value", 48, None),
        ("{fault: node.hang, target: {node: a}, for: 1s, id: 'a#2'}", "reserved-name", 56, None),
        ("{fault: node.hang, target: {node: a}, for: 1s, id: node.power}", "reserved-name", 56, None),
        (
            "{fault: link.degrade, target: {link: '*'}, for: 9s, delay: 1ms, ramp: {delay: [1ms, 2ms]}}",
            "bad-value",
            76,
            "delay is both set and ramped",
        ),
    ],
)
def test_what_is_wrong_with_a_step(step, code, column, said):
    ((found, where, message),) = refused(STEP % step)
    assert found == code
    assert where.startswith("s.yml:3:")
    assert column is None or where == f"s.yml:3:{column}"
    assert said is None or message == said


WATCHED = """\
name: t
probes: {p: {kind: ping, from: a, to: b, every: 200ms}}
timeline: [wait: 1s]
%s
"""


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        # judged by the end, these would hold of a failure that they are to forbid
        ("expect: {during: [{routes: same}]}", 20, "routes cannot be judged in `during`"),
        ("expect: {during: [{adjacencies: same}]}", 20, "adjacencies cannot be judged in `during`"),
        ("expect: {during: [{leftovers: none}]}", 20, "leftovers cannot be judged in `during`"),
        # a rule that can never strike is none
        ("stop_when: [{unless: {routes: same}, window: 5s}]", 23, "routes cannot be judged in a stop rule"),
        (
            "stop_when: [{unless: {settled_within: 5s}, window: 5s}]",
            23,
            "settled_within cannot be judged in a stop rule",
        ),
        (
            "stop_when: [{unless: {probe: p, loss: 50%}, window: 1999ms}]",
            53,
            "the window is too short for 10 samples of probe 'p': the rule would never strike",
        ),
        (
            "steady: [{probe: p, loss: 1%, within: 5s}]",
            31,
            "`within` means nothing beside loss in the steady state",
        ),
        (
            "expect: {during: [{probe: p, loss: 1%, within: 5s}]}",
            40,
            "`within` means nothing beside loss in `during`",
        ),
    ],
)
def test_what_could_never_fail_is_refused(text, column, said):
    assert refused(WATCHED % text) == [("bad-value", f"s.yml:4:{column}", said)]


@pytest.mark.parametrize(
    "text",
    [
        "stop_when: [{unless: {probe: p, loss: 50%}, window: 2s}]",
        "expect: {after: [{routes: same, within: 5s}, {leftovers: none}]}",
        "steady: [{routes: same}]",
    ],
)
def test_what_can_fail_where_it_stands_is_read(text):
    parse(WATCHED % text, file="s.yml")


def test_a_check_compares_at_its_moment_and_waits_for_nothing():
    assert refused(STEP % "{check: {routes: same, within: 5s}}") == [
        ("bad-value", "s.yml:3:28", "`within` means nothing beside routes in a check")
    ]
    assert refused(STEP % "{check: {leftovers: none}}") == [
        ("bad-value", "s.yml:3:14", "leftovers cannot be judged in a check")
    ]


def test_ids_are_given_once():
    step = "{fault: node.hang, id: x, target: {node: a}, for: 1s}"
    assert refused(f"name: t\ntimeline: [{step}, {step}]") == [
        ("bad-value", "s.yml:2:90", "the id 'x' is given twice")
    ]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", ["bad-value"]),
        ("- a", ["bad-value"]),
        ("name: t", ["missing-key"]),
        ("timeline: [wait: 1s]", ["missing-key"]),
        ("name: t\ntimeline: 5s", ["bad-value"]),
        ("name: t\ntimeline: {wait: 5s}", ["bad-value"]),
        ("name: t\ntimeline:", ["missing-key"]),
        ("name: t\nseed: -1\nprobes: []\ntargets: x\nexpect: 3\ntimeline: [wait: 1s]", ["bad-value"] * 4),
        ("name: t\nprobes: {p: {kind: ping, from: 'a b', to: x}}\ntimeline: [wait: 1s]", ["bad-value"]),
        ("name: t\nprobes: {p: {kind: ping, from: a}}\ntimeline: [wait: 1s]", ["missing-key"]),
        ("name: t\nprobes: {p: {from: a}}\ntimeline: [wait: 1s]", ["missing-key"]),
        ("name: t\nsteady: {routes: same}\ntimeline: [wait: 1s]", ["bad-value"]),
        ("name: t\nblast_radius: {forbid: {node: x}}\ntimeline: [wait: 1s]", ["bad-value"]),
        ("name: t\nblast_radius: {forbid: [{node: x, pick: 1}]}\ntimeline: [wait: 1s]", ["bad-value"]),
    ],
)
def test_what_is_wrong_with_a_file(text, codes):
    assert [code for code, _, _ in refused(text)] == codes


def test_a_target_that_is_wrong_is_said_once():
    text = "name: t\ntargets: {x: {node: 'a b'}}\ntimeline: [{fault: node.hang, target: x, for: 1s}]"
    assert [code for code, _, _ in refused(text)] == ["bad-query"]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(LabctlError) as caught:
        load(tmp_path / "no.yml")
    assert caught.value.code == "file-not-found"


LIMITS = {Unit.DURATION: "2s", Unit.PERCENT: "3%", Unit.COUNT: "4"}


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_read(name):
    measure = MEASURES[name]
    limit = measure.words[0] if measure.words else LIMITS[measure.unit]
    probe = "probe: p, " if measure.probe else ""
    text = f"""
name: t
probes: {{p: {{kind: ping, from: a, to: b}}}}
timeline: [wait: 1s]
expect: {{after: [{{{probe}{name}: "{measure.op} {limit}"}}, {{{probe}{name}: {limit}}}]}}
"""
    one, other = parse(text, file="s.yml").after
    assert one == other
    assert (one.measure, one.op) == (name, measure.op)


def test_units_of_measures_are_understood():
    for measure in MEASURES.values():
        assert measure.unit in {*LIMITS, Unit.WORD}
        assert bool(measure.words) == (measure.unit is Unit.WORD)
    for settings in PROBE_KINDS.values():
        assert all(s.unit is not Unit.WORD for s in settings.values())


#: Pieces of scenarios, put together at random: whatever comes out is read or refused, with a place.
WORDS = st.sampled_from(
    [
        "x",
        "1",
        "5s",
        "3%",
        "0s",
        "",
        "*",
        "core()",
        "a:1--b:1",
        "settled",
        "same",
        "none",
        "ping",
        "p",
        "null",
    ]
)
KEYS = st.sampled_from(
    [
        *("name", "seed", "targets", "probes", "steady", "timeline", "expect", "stop_when", "blast_radius"),
        *("fault", "id", "target", "for", "ramp", "wait", "check", "sequence", "parallel", "repeat", "steps"),
        *(
            "choose",
            "weight",
            "link",
            "node",
            "pick",
            "kind",
            "from",
            "to",
            "probe",
            "loss",
            "routes",
            "unless",
        ),
        *("window", "delay", "jitter", "until", "timeout", "forbid", "during", "max_links"),
    ]
)
TREES = st.recursive(
    st.one_of(WORDS, st.sampled_from(list(FAULTS))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4), st.just([]), st.just({})
    ),
    max_leaves=14,
)


def flow(tree):
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(flow(v) for v in tree) + "]"
    return f'"{tree}"' if tree != "null" else "null"


@given(
    st.dictionaries(KEYS, TREES, max_size=5), st.lists(st.dictionaries(KEYS, TREES, max_size=5), max_size=3)
)
def test_any_tree_is_read_or_refused(tree, steps):
    errors = []
    try:
        parse(flow({"name": "t", **tree, "timeline": steps}), file="s.yml")
    except LabctlError as error:
        errors = error.each
    assert all(e.where is not None and e.where.line == 1 for e in errors)
