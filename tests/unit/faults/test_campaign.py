"""Trials are drawn: by weight, least recently failed first, within constraints; the same inputs give the same trials."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from drawn_labs import lab_of
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.faults import campaign as drawing
from labctl.faults.reduce import faults
from labctl.model.campaign import How, PoolFault, Spread
from labctl.model.scenario import Kind, PlannedParallel, Query
from labctl.names import CableId
from labctl.schema import plan_file
from labctl.schema.campaign import parse

#: A ring of four with a client on r1 and a server on r3; r5 hangs on r4.
RING = ("r1:1--r2:1", "r2:2--r3:1", "r3:2--r4:1", "r4:2--r1:2")
LAB = lab_of(*RING, "c:1--r1:9", "s:1--r3:9", "r4:5--r5:1")
NEVER = "constraints:\n  - never_cut: {from: c, to: s}\n"
DOWN = '  - {fault: link.down, target: {link: "*", pick: 1}, for: 10s}\n'
CORE = DOWN.replace('"*"', '"core()"')


def campaign(pool, rest=""):
    return parse(f"name: night\n{rest}\npool:\n{pool}", file="night.yml")


def drawn(pool, rest="", *, count=8, seed=1, lab=LAB, history=None):
    found = drawing.trials(campaign(pool, rest), lab, seed, history)
    return list(itertools.islice(found, count))


def where(trial):
    """What the faults of a trial are on."""
    return [str(each) for f in faults(trial.plan.root) for each in (*f.targets.cables, *f.targets.nodes)]


def link(text):
    return f"link {CableId.parse(text)}"


MIXED = """
  - {weight: 4, fault: link.degrade, target: {link: "core()", pick: 1}, for: {uniform: [10s, 20s]}, loss: {loguniform: [0.1%, 10%]}, delay: {uniform: [5ms, 80ms]}, direction: {choice: [both, a->z]}}
  - {weight: 2, fault: link.down, target: {link: "*", pick: 1}, for: {uniform: [10s, 20s]}}
  - {weight: 1, fault: node.hang, id: hang, target: {node: "r*", pick: 2}, for: 10s}
  - {weight: 1, fault: link.flap, target: {link: "core()", pick: 1}, for: 30s, jitter: 40%}
"""
RULES = f"faults: {{min: 1, max: 3}}\nspread: 5s\ngap: 3s\ncooldown: {{link: 40s, node: 2m}}\n{NEVER}"


# ---- the same again


def test_the_same_inputs_give_the_same_trials_to_the_byte():
    one, other = (drawn(MIXED, RULES, seed=5) for _ in range(2))
    assert one == other
    assert [plan_file.dump(t.plan) for t in one] == [plan_file.dump(t.plan) for t in other]
    assert drawn(MIXED, RULES, seed=6) != one
    assert [t.name for t in one][:2] == ["night-001", "night-002"]


def test_a_plan_of_a_trial_comes_back_from_its_file_to_the_byte():
    for trial in drawn(MIXED, RULES, count=20):
        text = plan_file.dump(trial.plan)
        assert plan_file.dump(plan_file.parse(text, file="plan.json")) == text


def test_more_trials_are_the_same_and_then_more():
    assert drawn(MIXED, RULES, count=3) == drawn(MIXED, RULES, count=12)[:3]


ENTRY = st.sampled_from(
    [
        PoolFault(id="", kind="link.down", target=Query(kind=Kind.LINK, expression="*", pick=1), for_s=1.0),
        PoolFault(id="x", kind="node.power", target=Query(kind=Kind.NODE, expression="r2"), for_s=5.0),
        # a twin of one that is there
        campaign(MIXED).pool[3],
    ]
)


@given(ENTRY, st.integers(0, 4), st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_an_entry_of_weight_0_changes_nothing(entry, at, seed):
    plain = campaign(MIXED, RULES)
    more = (*plain.pool[:at], replace(entry, weight=0.0), *plain.pool[at:])
    one = itertools.islice(drawing.trials(plain, LAB, seed), 5)
    other = itertools.islice(drawing.trials(replace(plain, pool=more), LAB, seed), 5)
    assert list(one) == list(other)


@given(st.permutations(range(4)), st.integers(0, 2**31))
@settings(max_examples=6, deadline=None)
def test_the_order_of_the_pool_changes_nothing(order, seed):
    plain = campaign(MIXED, RULES)
    turned = replace(plain, pool=tuple(plain.pool[i] for i in order))
    one = list(itertools.islice(drawing.trials(plain, LAB, seed), 4))
    assert one == list(itertools.islice(drawing.trials(turned, LAB, seed), 4))


def test_an_entry_more_changes_only_the_trials_that_it_wins():
    plain = campaign(MIXED, "coverage: random")
    extra = replace(campaign(CORE).pool[0], id="more", weight=1.0)
    one = list(itertools.islice(drawing.trials(plain, LAB, 3), 60))
    other = list(itertools.islice(drawing.trials(replace(plain, pool=(*plain.pool, extra)), LAB, 3), 60))
    won = [i for i, t in enumerate(other) if next(faults(t.plan.root)).id == "more"]
    assert 1 <= len(won) <= 20
    assert all((one[i].plan == other[i].plan) == (i not in won) for i in range(60))


# ---- by weight


def test_entries_are_drawn_by_weight():
    """5 sigma about the binomial's mean."""
    rest = "coverage: random"
    kinds = Counter(next(faults(t.plan.root)).kind for t in drawn(MIXED, rest, count=800, seed=11))
    for entry in campaign(MIXED).pool:
        share = entry.weight / 8
        assert abs(kinds[entry.kind] - 800 * share) <= 5 * (800 * share * (1 - share)) ** 0.5, kinds


def test_values_are_drawn_within_their_range_and_can_be_said():
    spreads = {
        "loss": Spread(how=How.LOGUNIFORM, values=(0.001, 0.1)),
        "delay_s": Spread(how=How.UNIFORM, values=(0.005, 0.08)),
    }
    entry = campaign(MIXED).pool[0]
    assert {name: entry.settings[name] for name in spreads} == spreads
    lengths, said = set(), ""
    low = 0
    for trial in drawn(MIXED, "coverage: random", count=300):
        for fault in (f for f in faults(trial.plan.root) if f.kind == "link.degrade"):
            impairment = fault.spans[0].effect.change.impairment
            assert 0.001 <= impairment.loss <= 0.1
            assert 0.005 <= impairment.delay_s <= 0.08
            assert 10 <= fault.for_s <= 20
            lengths.add(len(fault.spans))
            low += impairment.loss < 0.01
            said = fault.said
            assert len(said.partition(" on ")[0]) < 40, said
    assert lengths == {1, 2}  # one way, or both
    assert 30 < low < 130  # about half of some 150: each order of magnitude is as likely as the next


def test_at_least_and_at_most_so_many_faults_within_the_spread():
    counts = Counter()
    for trial in drawn(MIXED, RULES.replace("cooldown: {link: 40s, node: 2m}\n", ""), count=40):
        found = list(faults(trial.plan.root))
        counts[len(found)] += 1
        (first, _) = trial.plan.root.steps
        if len(found) > 1:
            assert isinstance(first, PlannedParallel)
            starts = [getattr(b, "steps", (None,))[0] for b in first.steps]
            waits = [getattr(s, "for_s", 0.0) for s in starts if s is not None]
            assert all(0 < wait <= 5 for wait in waits)
    assert counts.keys() == {1, 2, 3}


# ---- coverage


def test_what_was_failed_least_recently_comes_first():
    order = [where(t)[0] for t in drawn(CORE, count=8)]
    assert set(order[:4]) == set(map(str, map(CableId.parse, RING)))
    assert order[4:] == order[:4], "and then in the same order again"


def test_a_history_goes_on():
    first = drawn(CORE, count=3)
    history = {each: n for n, t in enumerate(first, start=1) for each in t.elements}
    rest = drawn(CORE, count=4, seed=99, history=history)
    assert not {e for t in first for e in t.elements} & set(rest[0].elements), "the one that is left"
    assert [t.elements for t in rest[1:]] == [t.elements for t in first]


def test_by_lot_it_is_not():
    order = [where(t)[0] for t in drawn(CORE, "coverage: random", count=40)]
    assert any(one == other for one, other in itertools.pairwise(order))


def test_what_the_pool_reaches():
    found = drawing.reach(campaign(CORE + '  - {fault: node.hang, target: {node: "r5"}, for: 1s}\n'), LAB)
    assert set(found) == {*(link(each) for each in RING), "node r5"}


# ---- constraints


def test_never_cut_refuses_what_alone_cuts_and_says_so():
    trials = drawn(DOWN, NEVER, count=12)
    hit = {each for t in trials for each in where(t)}
    assert not hit & {"c:1--r1:9", "r3:9--s:1"}
    refused = {(r.rule, r.drawn.rpartition(" ")[2], r.why) for t in trials for r in t.refused}
    assert refused == {
        ("never cut c from s", "c:1--r1:9", "c and s would have no way left during link.down"),
        ("never cut c from s", "r3:9--s:1", "c and s would have no way left during link.down"),
    }


def test_never_cut_refuses_a_second_fault_that_cuts_together_with_the_first():
    for trial in drawn(CORE, f"faults: 2\n{NEVER}", count=30, seed=3):
        pair = set(where(trial))
        assert pair in ({"r1:1--r2:1", "r2:2--r3:1"}, {"r1:2--r4:2", "r3:2--r4:1"}), "one side of the ring"
    loose = [set(where(t)) for t in drawn(CORE, "faults: 2", count=30, seed=3)]
    assert {"r1:1--r2:1", "r1:2--r4:2"} in loose


def test_cuts_one_after_the_other_cut_nothing_together():
    """One of 1 s, the other 5 s later: both are within the constraint although both at once would not be."""
    pool = CORE.replace("10s", "1s")
    found = [set(where(t)) for t in drawn(pool, f"faults: 2\nspread: 5s\n{NEVER}", count=60)]
    assert {"r1:1--r2:1", "r3:2--r4:1"} in found


def test_an_end_without_power_is_cut_off_and_so_is_what_is_behind_a_node():
    pool = '  - {fault: node.power, target: {node: "*", pick: 1}, for: 5s}\n'
    assert {n for t in drawn(pool, NEVER, count=12) for n in where(t)} == {"r2", "r4", "r5"}


def test_never_touch_not_together_and_limits():
    rest = 'constraints:\n  - {never_touch: {link: "of(r1)"}}\n'
    hit = {each for t in drawn(DOWN, rest, count=12) for each in where(t)}
    assert hit == {"r2:2--r3:1", "r3:2--r4:1", "r3:9--s:1", "r4:5--r5:1"}
    rest = 'faults: 3\nconstraints:\n  - {not_together: {link: "of(r1)"}, why: one at a time}\n'
    for trial in drawn(DOWN, rest, count=20):
        assert sum("r1:" in each for each in where(trial)) <= 1
    assert any(r.why.endswith("(one at a time)") for t in drawn(DOWN, rest, count=20) for r in t.refused)
    rest = "faults: 3\nconstraints:\n  - {max_unreachable_pairs: 0}\n"
    for trial in drawn(DOWN, rest, count=20):
        assert trial.plan.predicted.max_unreachable_pairs == 0
    rest = "faults: 3\nconstraints:\n  - {max_links: 2}\n"
    assert {len(t.plan.predicted.links) for t in drawn(DOWN, rest, count=20)} == {2}


@given(st.integers(0, 2**31))
@settings(max_examples=8, deadline=None)
def test_no_trial_breaks_a_constraint_and_no_fault_is_beside_itself(seed):
    for trial in drawn(MIXED, RULES, count=6, seed=seed):
        judge = drawing.Judge(campaign(MIXED, RULES).constraints, drawing.Graph(LAB))
        assert judge.refusal(trial.plan) is None
        found = [(f.kind, f.targets) for f in faults(trial.plan.root)]
        assert len(found) == len(set(found))


def test_faults_that_do_not_compose_are_not_drawn_together():
    pool = """
  - {fault: link.degrade, id: a, target: {link: "r1:1--r2:1"}, delay: 9ms, jitter: 3ms, for: 9s}
  - {fault: link.degrade, id: b, target: {link: "r1:1--r2:1"}, delay: 9ms, jitter: 3ms, distribution: normal, for: 9s}
"""
    for trial in drawn(pool, "faults: 2", count=6):
        assert len(where(trial)) == 1
        assert [r.rule for r in trial.refused] == ["faults-do-not-compose"]


# ---- cool-downs


def test_an_element_is_left_alone_for_its_cooldown():
    trials = drawn(CORE, "cooldown: 25s\ncoverage: random\ngap: 1s", count=40)
    ends = {}
    for trial in trials:
        for each in trial.elements:
            assert trial.start_s - ends.get(each, -25.0) >= 25
            ends[each] = trial.start_s + trial.plan.min_s
    assert any(r.rule == "cooldown" for t in trials for r in t.refused)
    assert all(t.pause_s >= 1 for t in trials[1:])


def test_where_only_cooldowns_are_in_the_way_it_waits():
    trials = drawn(DOWN.replace('"*", pick: 1', '"r1:1--r2:1"'), "cooldown: {link: 1m}\ngap: 5s", count=3)
    assert [t.pause_s for t in trials] == [0, 60, 60]
    assert [t.start_s for t in trials] == [0, 70, 140]


# ---- scenarios


@pytest.fixture
def with_scenario(tmp_path):
    (tmp_path / "one.yml").write_text(
        "name: one\nprobes:\n  p: {kind: ping, from: c, to: s}\nsteady:\n  - {probe: p, loss: 1%}\n"
        'timeline:\n  - {fault: link.down, target: {link: "*", pick: 1}, for: 3s}\n  - wait: 2s\n'
    )
    return str(tmp_path / "night.yml")


def test_a_scenario_is_a_trial_of_its_own(with_scenario):
    text = (
        "name: night\nfaults: 3\nprobes:\n  q: {kind: ping, from: s, to: c}\nsteady:\n  - {probe: q, loss: 2%}\n"
        f"{NEVER}pool:\n  - {{scenario: one.yml}}\n"
    )
    found = parse(text, file=with_scenario)
    trials = list(itertools.islice(drawing.trials(found, LAB, 1), 30))
    for trial in trials:
        assert len(where(trial)) == 1
        assert trial.plan.scenario == trial.name
        assert [p.id for p in trial.plan.probes] == ["p", "q"]
        assert [e.probe for e in trial.plan.steady] == ["p", "q"]
    assert len({where(t)[0] for t in trials}) > 2, "each with a seed of its own"
    assert not {where(t)[0] for t in trials} & {"c:1--r1:9", "r3:9--s:1"}, "and within the constraints"


# ---- nothing to draw


def refused(pool, rest=""):
    with pytest.raises(LabctlError) as caught:
        drawn(pool, rest)
    return [(e.code, str(e.where)) for e in caught.value.each], caught.value


def test_a_pool_that_constraints_leave_empty():
    codes, error = refused(DOWN, 'constraints:\n  - {never_touch: {link: "*"}}\n')
    assert codes == [("empty-pool", "night.yml:6:5")]
    assert "never touch link * (7): link.down carrier loss on " in error.message
    assert refused(
        '  - {fault: link.down, target: {link: "of(r1) and of(r3)", allow_empty: true}, for: 1s}\n'
    )[0] == [("empty-pool", "night.yml:4:5")]


def test_mistakes_are_said_before_anything_is_drawn_and_all_at_once():
    pool = DOWN + "  - {fault: node.hang, target: {node: r9}, for: 1s}\n"
    pool += '  - {fault: link.down, target: {link: "of(r1) and of(r3)"}, for: 1s}\n'
    pool += '  - {fault: link.down, target: {link: "core()", pick: 9}, for: 1s}\n'
    assert refused(pool, "constraints: [{never_cut: {from: c, to: t}}]")[0] == [
        ("unknown-node", "night.yml:2:41"),
        ("unknown-node", "night.yml:5:39"),
        ("empty-target", "night.yml:6:40"),
        ("empty-target", "night.yml:7:40"),
    ]
