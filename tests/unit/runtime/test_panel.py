"""Names in the panel: short, unique, and stable when a lab grows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.names import PortId
from labctl.runtime.panel import MGMT_BRIDGE, allocate, mgmt_key


def lab(size, bridges=1):
    nodes = [NodeSpec(name=f"r{i}") for i in range(size)]
    nodes += [NodeSpec(name=f"sw{i}", kind=NodeKind.BRIDGE) for i in range(bridges)]
    cables = [
        CableSpec(
            a=End(port=PortId(f"r{i}", "eth1"), mac=""), z=End(port=PortId(f"r{i + 1}", "eth2"), mac="")
        )
        for i in range(size - 1)
    ]
    return LabSpec(name="x", nodes=tuple(nodes), cables=tuple(cables))


@given(st.integers(1, 40), st.integers(0, 4))
def test_every_port_bridge_and_leg_has_a_name_of_its_own_that_fits(size, bridges):
    spec = lab(size, bridges)
    names = allocate(spec)
    assert len(set(names.values())) == len(names) == 1 + bridges + size + 2 * (size - 1)
    assert all(len(name) <= 15 for name in names.values())
    assert allocate(spec) == names


@given(st.integers(1, 20), st.integers(0, 20))
def test_a_lab_that_grows_renames_nothing(size, more):
    before = allocate(lab(size))
    after = allocate(lab(size + more), before)
    assert {key: after[key] for key in before} == before
    assert len(set(after.values())) == len(after)


def test_names_that_fell_free_are_used_again():
    spec = lab(3)
    before = allocate(spec)
    smaller = replace(spec, cables=spec.cables[1:])
    fewer = allocate(smaller, before)
    again = allocate(spec, fewer)
    assert sorted(again.values()) == sorted(before.values())


def test_a_cable_at_eth0_is_not_the_management_leg():
    spec = LabSpec(
        name="x",
        nodes=(NodeSpec(name="a"), NodeSpec(name="b", network_mode="none")),
        cables=(CableSpec(a=End(port=PortId("b", "eth0"), mac=""), z=None),),
    )
    names = allocate(spec)
    assert set(names) == {MGMT_BRIDGE, mgmt_key("a"), "b:eth0"}


def test_a_lab_without_management_has_no_bridge_for_it():
    assert allocate(LabSpec(name="x", nodes=(NodeSpec(name="b", network_mode="none"),))) == {}
