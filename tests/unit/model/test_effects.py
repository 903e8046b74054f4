"""The laws of settle: order-free, idempotent, and nothing broken is the base state."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.model.effects import (
    ACTS_ON,
    BASE,
    AdminDown,
    ConfigRef,
    Configured,
    CpuLimit,
    Direction,
    Down,
    Effect,
    Frozen,
    HalfCable,
    Impaired,
    Killed,
    NodeRef,
    Off,
    PortRef,
    ProcessRef,
    Setting,
    Stopped,
    bases,
    exists,
    resources,
    settle,
)
from labctl.model.impairment import Distribution, Impairment, Jitter
from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.names import PortId


def lab(*cables):
    ends = [[PortId.parse(port) for port in pair] for pair in cables]
    names = sorted({port.node for pair in ends for port in pair})
    return LabSpec(
        name="t",
        nodes=tuple(NodeSpec(name=name) for name in names),
        cables=tuple(
            CableSpec(a=End(port=a, mac="02:00:00:00:00:01"), z=End(port=z, mac="02:00:00:00:00:02"))
            for a, z in ends
        ),
    )


LAB = lab(("r1:eth1", "r2:eth1"), ("r2:eth2", "r3:eth1"))
NODES = st.sampled_from([node.name for node in LAB.nodes])
halves = st.sampled_from([HalfCable(c.id, d) for c in LAB.cables for d in Direction])
changes = st.one_of(
    st.tuples(halves, st.just(Down())),
    st.tuples(
        halves,
        st.builds(Impaired, st.builds(Impairment, delay_s=st.floats(0, 1), loss=st.floats(0, 1))),
    ),
    st.tuples(st.builds(NodeRef, NODES), st.sampled_from([Frozen(), Off()])),
    st.tuples(st.builds(NodeRef, NODES), st.builds(CpuLimit, st.floats(0.01, 4))),
    st.tuples(
        st.builds(ProcessRef, NODES, st.sampled_from(["bgpd", "ospfd"])),
        st.sampled_from([Killed(), Killed("bgpd -d"), Stopped()]),
    ),
    st.tuples(st.sampled_from([PortRef(e.port) for c in LAB.cables for e in c.ends]), st.just(AdminDown())),
    st.tuples(
        st.builds(ConfigRef, NODES),
        st.builds(Configured, st.tuples(st.sampled_from(["ip route 1.0.0.0/8 blackhole", "hostname x"]))),
    ),
)
effects = st.builds(
    lambda name, pair: Effect(id=name, on=pair[0], change=pair[1]), st.sampled_from("abc"), changes
)


def test_a_cable_is_impaired_by_its_lab_and_by_faults_together():
    first, second = LAB.cables
    half = HalfCable(first.id, Direction.A_TO_Z)
    base = {half.direction.value: Impairment(delay_s=0.02, loss=0.1)}
    impaired = replace(LAB, cables=(replace(first, impaired=base), second))
    fault = Effect(id="f", on=half, change=Impaired(Impairment(delay_s=0.03, loss=0.5)))
    whole = settle(impaired, [])
    assert {on for on, each in whole.items() if each != BASE} == {half}
    assert whole == settle(LAB, [], bases(impaired))
    broken = settle(impaired, [fault])[half].impairment
    assert (broken.delay_s, broken.loss) == (pytest.approx(0.05), pytest.approx(0.55))
    assert settle(impaired, [fault], {}) == settle(LAB, [fault])


def test_a_base_state_that_faults_have_no_meaning_with_waits_for_their_end():
    half = HalfCable(LAB.cables[0].id, Direction.A_TO_Z)
    normal, uniform = (
        Impairment(delay_s=0.02, jitter=Jitter(spread_s=0.001, distribution=shape))
        for shape in (Distribution.NORMAL, Distribution.UNIFORM)
    )
    base = {half: Setting(impairment=normal)}
    faults = [
        Effect(id=name, on=half, change=Impaired(each)) for name, each in (("u", uniform), ("n", normal))
    ]
    assert settle(LAB, faults[:1], base)[half].impairment == uniform
    assert settle(LAB, [], base)[half].impairment == normal
    with pytest.raises(LabctlError, match="jitter"):
        settle(LAB, faults, base)


@given(st.lists(effects, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_effects_does_not_matter(active, random):
    shuffled = random.sample(active, len(active))
    assert settle(LAB, shuffled) == settle(LAB, active)


@given(st.lists(effects.filter(lambda e: not isinstance(e.change, Impaired)), max_size=12))
def test_the_same_effects_twice_are_the_same_effects(active):
    """(A second cable in a row delays twice: impairments compose and do not repeat.)"""
    assert settle(LAB, [*active, *active]) == settle(LAB, active)


def test_nothing_broken_is_the_base_state():
    assert settle(LAB, []) == dict.fromkeys(resources(LAB), BASE)


@given(st.lists(effects, max_size=8), effects)
def test_an_effect_changes_its_own_resource_only(active, one):
    before, after = settle(LAB, active), settle(LAB, [*active, one])
    for on in before.keys() | after.keys():
        if on != one.on:
            assert before.get(on, BASE) == after.get(on, BASE)


@given(st.lists(effects, max_size=8), effects)
def test_what_ends_leaves_what_was_there_without_it(active, one):
    assert settle(LAB, [e for e in [*active, one] if e is not one]) == settle(LAB, active)


@given(effects)
def test_each_change_acts_on_its_kind_of_resource(one):
    assert isinstance(one.on, ACTS_ON[type(one.change)])


def test_the_hardest_limit_counts_and_death_keeps_its_remedy():
    node, process = NodeRef("r1"), ProcessRef("r1", "bgpd")
    wanted = settle(
        LAB,
        [
            Effect(id="a", on=node, change=CpuLimit(0.5)),
            Effect(id="b", on=node, change=CpuLimit(0.1)),
            Effect(id="a", on=process, change=Killed()),
            Effect(id="b", on=process, change=Killed("bgpd -d")),
            Effect(id="c", on=process, change=Stopped()),
        ],
    )
    assert wanted[node].cpu == 0.1
    assert (wanted[process].killed, wanted[process].restart, wanted[process].stopped) == (
        True,
        "bgpd -d",
        True,
    )


def test_configurations_unite():
    on = ConfigRef("r1")
    one, two = ("hostname x",), ("router bgp 1", "no neighbor 10.0.0.1")
    active = [
        Effect(id=i, on=on, change=Configured(lines)) for i, lines in (("a", two), ("b", one), ("c", two))
    ]
    assert settle(LAB, active)[on].config == (one, two)


def test_what_the_lab_does_not_have_is_ignored():
    gone = [
        Effect(id="a", on=NodeRef("r9"), change=Frozen()),
        Effect(id="a", on=ProcessRef("r9", "bgpd"), change=Stopped()),
        Effect(id="a", on=PortRef(PortId("r1", "eth7")), change=AdminDown()),
    ]
    assert settle(LAB, gone) == settle(LAB, [])
    assert not any(exists(each.on, resources(LAB)) for each in gone)
    assert exists(ProcessRef("r1", "anything"), resources(LAB))


def test_nothing_of_the_machine_is_for_an_effect_but_the_cable_that_ends_there():
    ends = [End(port=PortId(node, "eth1"), mac="") for node in ("r1", "host", "self")]
    cables = tuple(CableSpec(a=ends[0], z=end) for end in ends[1:])
    spec = LabSpec(
        name="x", nodes=(NodeSpec(name="r1"), NodeSpec(name="self", kind=NodeKind.HOST)), cables=cables
    )
    assert resources(spec) == {
        NodeRef("r1"), ConfigRef("r1"), PortRef(PortId("r1", "eth1")), *(HalfCable(c.id, d) for c in cables for d in Direction),
    }  # fmt: skip


@pytest.mark.parametrize("cores", [0, 0.001, -1, float("nan")])
def test_a_cpu_limit_is_at_least_what_the_kernel_counts(cores):
    with pytest.raises(ValueError, match="of a core"):
        CpuLimit(cores)


def test_a_configuration_has_a_line():
    with pytest.raises(ValueError, match="without a line"):
        Configured(("", "  "))
