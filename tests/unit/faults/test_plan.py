"""Scenarios become plans: targets, draws, spans, overlaps, the blast radius."""

import pytest
from drawn_labs import CABLES, LAB, faults_of, planned
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.faults import phases
from labctl.model.effects import Down, Effect, HalfCable, settle
from labctl.model.scenario import (
    CheckStep,
    Expectation,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    Targets,
    TimedEffect,
    WaitStep,
)
from labctl.names import CableId, PortId


def refused(timeline, rest="", *, lab=LAB):
    with pytest.raises(LabctlError) as caught:
        planned(timeline, rest, lab=lab)
    return [(e.code, str(e.where), e.message) for e in caught.value.each]


DOWN = "  - {fault: link.down, target: {link: '%s'}, for: %s}\n"


def test_a_plan_resolves_everything():
    found = planned(
        """
  - wait: 2s
  - {fault: link.degrade, id: slow, target: {link: "between(r1, r2)"}, for: 10s, delay: 40ms, loss: 3%}
  - check: {routes: same}
  - wait: {until: settled, timeout: 30s}
"""
    )
    assert isinstance(found.root, PlannedSequence)
    wait, slow, check, until = found.root.steps
    assert wait == WaitStep(for_s=2.0)
    assert slow.id == "slow"
    assert slow.kind == "link.degrade"
    assert slow.said == "40ms, 3% loss on r1:2--r2:2, r1:3--r2:3"
    assert slow.targets == Targets(cables=(CableId.parse("r1:2--r2:2"), CableId.parse("r1:3--r2:3")))
    assert len(slow.spans) == 4
    assert all(s.effect.id == "slow" and (s.start_s, s.end_s) == (0, 10) for s in slow.spans)
    assert str(slow.where) == "s.yml:6:5"
    assert check == CheckStep(expect=Expectation(measure="routes", op="==", limit="same"))
    assert until.until == "settled"
    assert (found.min_s, found.max_s) == (12.0, 42.0)
    assert found.predicted.links == slow.targets.cables
    assert not found.predicted.lost


def test_the_same_seed_gives_the_same_plan_and_another_one_another():
    text = "  - {fault: link.flap, target: {link: 'core()', pick: 1}, for: 30s, jitter: 40%}\n"
    plans = [planned(text, seed=seed) for seed in range(6)]
    assert plans == [planned(text, seed=seed) for seed in range(6)]
    assert len({str(p.root) for p in plans}) == 6


def test_a_step_more_shifts_no_other_draw():
    one = "  - {fault: link.flap, target: {link: 'core()', pick: 1}, for: 30s, jitter: 40%}\n"
    two = "  - {fault: link.down, target: {link: 'core()', pick: 2}, for: 5s}\n"
    alone = faults_of(planned(one).root)[0]
    for timeline in (
        one + two,
        two + one,
        "  - wait: 3s\n" + one,
        "  - sequence:\n" + one.replace("  -", "    -"),
    ):
        flap = next(f for f in faults_of(planned(timeline).root) if f.kind == "link.flap")
        assert (flap.targets, flap.spans) == (alone.targets, alone.spans)


def test_an_id_keeps_the_draws_when_the_settings_change():
    flap = "  - {fault: link.flap, id: f, target: {link: 'core()', pick: 1}, for: %s, jitter: 40%%}\n"
    assert (
        faults_of(planned(flap % "30s").root)[0].targets == faults_of(planned(flap % "31s").root)[0].targets
    )


def test_repetitions_draw_anew_and_named_targets_do_not():
    rounds = "  - {repeat: 12, steps: [{fault: link.down, target: %s, for: 1s}]}\n"
    inline = faults_of(planned(rounds % "{link: 'core()', pick: 1}").root)
    assert [f.id for f in inline[:3]] == ["link.down", "link.down#2", "link.down#3"]
    assert len({f.targets for f in inline}) > 1
    named = faults_of(planned(rounds % "L", "targets: {L: {link: 'core()', pick: 1}}").root)
    assert len(named) == 12
    assert len({f.targets for f in named}) == 1


def test_choose_follows_the_weights():
    text = """
  - choose:
    - {weight: 3, fault: link.down, target: {link: "*", pick: 1}, for: 1s}
    - {weight: 1, wait: 7s}
    - {weight: 0, wait: 9s}
"""
    chosen = [planned(text, seed=seed).root.steps[0] for seed in range(200)]
    assert WaitStep(for_s=9.0) not in chosen
    assert 110 < sum(isinstance(step, PlannedFault) for step in chosen) < 185


def test_a_ramp_is_one_fault_of_many_values():
    text = """
  - fault: link.degrade
    target: {link: "r1:2--r2:2"}
    for: 30s
    ramp: {delay: [10ms, 20ms, 40ms], loss: [0%, 1%, 2%]}
"""
    fault = faults_of(planned(text).root)[0]
    a_to_z = [s for s in fault.spans if s.effect.on.direction == "a->z"]
    assert [(s.start_s, s.end_s) for s in a_to_z] == [(0, 10), (10, 20), (20, 30)]
    impairments = [s.effect.change.impairment for s in a_to_z]
    assert [(i.delay_s, i.loss) for i in impairments] == [(0.01, 0.0), (0.02, 0.01), (0.04, 0.02)]
    assert fault.said == "10ms, then 20ms, 1% loss, then 40ms, 2% loss on r1:2--r2:2"


def test_an_allowed_empty_target_leaves_only_the_time():
    text = "  - {fault: link.down, target: {link: 'x*--*', allow_empty: true}, for: 4s}\n"
    assert planned(text).root == PlannedSequence(steps=(WaitStep(for_s=4.0),))


def test_all_errors_of_a_plan_at_once():
    probes = "probes:\n  p: {kind: ping, from: r8, to: 192.0.2.1}\n  q: {kind: ping, from: r1, to: r7}"
    text = (
        DOWN % ("r1:2--r9:1", "1s")
        + DOWN % ("x*--*", "1s")
        + "  - {fault: node.linecard, target: {node: r3}, ports: [eth9], for: 1s}\n"
    )
    assert refused(text, probes) == [
        ("unknown-node", "s.yml:3:6", "probe p: lab t has no node 'r8'"),
        ("unknown-node", "s.yml:4:6", "probe q: lab t has no node 'r7'"),
        ("unknown-node", "s.yml:6:40", "lab t has no node 'r9'"),
        ("empty-target", "s.yml:7:40", "no link of lab t is 'x*--*'"),
        ("empty-target", "s.yml:8:5", "node.linecard has nothing to break on r3"),
    ]


def test_a_plan_of_too_many_faults_is_refused():
    text = "  - {repeat: 10000, steps: [{repeat: 10000, steps: [{fault: node.hang, target: {node: r3}, for: 1s}]}]}"
    assert refused(text) == [
        ("bad-value", "s.yml:4:53", "the timeline comes to more than 10000 faults"),
    ]


# ---- faults at the same time

UNIFORM = "{fault: link.degrade, target: {link: '%s'}, for: %s, delay: 9ms, jitter: 2ms}"
NORMAL = "{fault: link.degrade, id: n, target: {link: '%s'}, for: %s, delay: 9ms, jitter: 2ms, distribution: normal}"


def test_faults_that_cannot_act_together_are_named_with_both_lines():
    text = f"  - parallel:\n    - {UNIFORM % ('of(r1)', '9s')}\n    - {NORMAL % ('of(r2)', '9s')}\n"
    ((code, where, message),) = refused(text)
    assert (code, where) == ("faults-do-not-compose", "s.yml:6:7")
    assert message.startswith("n cannot act on r1:2--r2:2 a->z beside link.degrade (line 5): ")
    assert "a normal jitter" in message


@pytest.mark.parametrize(
    "text",
    [
        f"  - {UNIFORM % ('of(r1)', '9s')}\n  - {NORMAL % ('of(r1)', '9s')}\n",  # one after the other
        f"  - parallel:\n    - {UNIFORM % ('of(h1)', '9s')}\n    - {NORMAL % ('of(h2)', '9s')}\n",  # elsewhere
        f"  - parallel:\n    - {UNIFORM % ('of(r1)', '9s')}\n    - sequence: [wait: 9s, {NORMAL % ('of(r1)', '9s')}]\n",
    ],
)
def test_faults_that_never_meet_may_be_anything(text):
    assert len(faults_of(planned(text).root)) == 2


def test_faults_that_may_meet_are_refused():
    """Nobody knows when routing settles: the second fault can begin while the first is there."""
    wait = "wait: {until: settled, timeout: 30s}"
    text = f"  - parallel:\n    - {UNIFORM % ('of(r1)', '9s')}\n    - sequence: [{wait}, {NORMAL % ('of(r1)', '9s')}]\n"
    assert [code for code, _, _ in refused(text)] == ["faults-do-not-compose"]


# ---- the blast radius


def test_who_loses_whom_and_when():
    text = DOWN % ("of(r3)", "5s") + DOWN % ("of(h1) or of(h2)", "2s") + DOWN % ("r1:2--r2:2", "1s")
    found = planned(text).predicted
    assert found.links == tuple(sorted(CableId.parse(c) for c in CABLES if c != "r1:3--r2:3"))
    assert [(x.start_s, x.end_s, x.faults, x.parts, x.pairs) for x in found.lost] == [
        (0.0, 5.0, ("link.down",), (("h1", "h2", "r1", "r2"), ("r3",)), 4),
        (5.0, 7.0, ("link.down#2",), (("r1", "r2", "r3"), ("h1",), ("h2",)), 7),
    ]
    assert found.max_unreachable_pairs == 7


def test_a_dead_node_is_nobodys_partner_and_its_cables_are_its_own():
    found = planned("  - {fault: node.power, target: {node: r1}, for: 5s}\n").predicted
    assert (found.links, found.nodes) == ((), ("r1",))
    assert [(x.parts, x.pairs) for x in found.lost] == [((("h2", "r2", "r3"), ("h1",)), 3)]


def test_what_forwards_on_is_no_loss():
    for fault in ("node.hang", "node.slow", "node.reboot, mode: warm", "node.daemon-kill, daemon: bgpd"):
        found = planned(f"  - {{fault: {fault}, target: {{node: r1}}, for: 5s}}\n").predicted
        assert (found.nodes, found.lost) == (("r1",), ())


def test_one_direction_is_enough_to_lose_each_other():
    found = planned("  - {fault: link.oneway, target: {link: 'of(h1)'}, for: 5s}\n").predicted
    assert found.max_unreachable_pairs == 4
    found = planned("  - {fault: link.degrade, target: {link: 'of(h1)'}, loss: 99%, for: 5s}\n").predicted
    assert found.max_unreachable_pairs == 0
    assert any("count as whole" in said for said in found.unknown)


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ("max_links: 1", "2 links would be touched (r1:4--r3:1, r2:4--r3:2), and 1 may be"),
        ("max_nodes: 0", "1 node would be touched (h2), and 0 may be"),
        (
            "max_unreachable_pairs: 3",
            "4 pairs of nodes would lose each other (h1, h2, r1, r2 | r3), and 3 may",
        ),
    ],
)
def test_limits_are_kept(limits, wanted):
    text = DOWN % ("of(r3)", "5s") + "  - {fault: node.hang, target: {node: h2}, for: 1s}\n"
    assert refused(text, f"blast_radius: {{{limits}}}") == [("blast-radius", "s.yml:2:15", wanted)]
    assert planned(text, "blast_radius: {max_links: 2, max_nodes: 1, max_unreachable_pairs: 4}")


def test_forbidden_things_are_named_with_the_step():
    text = DOWN % ("of(r3)", "5s") + "  - {fault: node.power, target: {node: r2}, for: 1s}\n"
    rest = "blast_radius: {forbid: [{link: 'of(h*)'}, {node: r3}, {port: 'r3:2'}]}"
    assert refused(text, rest) == [
        ("blast-radius", "s.yml:4:5", "link.down would touch r2:4--r3:2, which `forbid: r3:2` forbids"),
        ("blast-radius", "s.yml:5:5", "node.power would touch h2:1--r2:1, which `forbid: of(h*)` forbids"),
        ("blast-radius", "s.yml:5:5", "node.power would touch r2:4--r3:2, which `forbid: r3:2` forbids"),
    ]


# ---- phases against a simulation

HALVES = [HalfCable(CableId(PortId("a", str(i)), PortId("b", str(i))), "a->z") for i in range(3)]


@st.composite
def trees(draw, depth=3):
    kind = draw(st.sampled_from(("fault", "wait", "sequence", "parallel") if depth else ("fault", "wait")))
    if kind == "wait":
        return WaitStep(for_s=float(draw(st.integers(1, 3))))
    if kind == "fault":
        length = draw(st.integers(1, 4))
        spans = []
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, length - 1))
            end = draw(st.integers(start + 1, length))
            effect = Effect(
                id=str(draw(st.integers(0, 10**9))), on=draw(st.sampled_from(HALVES)), change=Down()
            )
            spans.append(TimedEffect(start_s=float(start), end_s=float(end), effect=effect))
        return PlannedFault(
            id="f", kind="k", said="", targets=Targets(), spans=tuple(spans), for_s=float(length)
        )
    steps = tuple(draw(st.lists(trees(depth=depth - 1), min_size=1, max_size=3)))
    return PlannedSequence(steps=steps) if kind == "sequence" else PlannedParallel(steps=steps)


def simulate(step, start):
    """(end, [(begin, end, effect)]) by walking the tree with a clock."""
    if isinstance(step, WaitStep):
        return start + step.for_s, []
    if isinstance(step, PlannedFault):
        return start + step.for_s, [(start + s.start_s, start + s.end_s, s.effect) for s in step.spans]
    ends, seen, at = [start], [], start
    for each in step.steps:
        end, found = simulate(each, at)
        seen += found
        ends.append(end)
        if isinstance(step, PlannedSequence):
            at = end
    return max(ends), seen


@given(trees())
def test_phases_are_what_a_clock_would_see(tree):
    end, spans = simulate(tree, 0.0)
    found = phases.course(tree)
    assert (found.min_s, found.max_s) == (end, end)
    for half in range(int(end) * 2):
        at = half / 2 + 0.25
        active = {effect for begin, until, effect in spans if begin <= at < until}
        assert {p.active for p in found.phases if p.start_s <= at < p.end_s} == {frozenset(active)}


def test_what_is_planned_settles():
    """Every effect of a plan is on something that the lab has."""
    found = planned(DOWN % ("*", "5s"))
    effects = [s.effect for s in faults_of(found.root)[0].spans]
    assert all(settle(LAB, effects)[e.on].down for e in effects)


def test_a_partition_from_nobody_is_refused_at_its_step():
    step = "  - {fault: link.partition, target: {node: r1}, against: %s, for: 5s}\n"
    for against, said in (
        ("'zz*'", "link.partition: `against` 'zz*' is no node beside the targets"),
        ("['*', r1]", "link.partition: `against` 'r1' is no node beside the targets"),
    ):
        ((code, where, message),) = refused(step % against)
        assert (code, message) == ("empty-target", said)
        assert where.startswith("s.yml:")
