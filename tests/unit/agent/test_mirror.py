from dataclasses import replace

from agent_labs import lab

from labctl.agent import mirror
from labctl.model.effects import Direction, Down, Effect, HalfCable, settle
from labctl.model.lab import Over
from labctl.names import PortId

R1, R2 = PortId("r1", "eth1"), PortId("r2", "eth1")


def levels(spec, admin, *effects):
    return mirror.wanted(mirror.sides(spec), admin, settle(spec, effects))


def cut(spec, *directions):
    cable = spec.cables[0].id
    return [Effect(id="cut", on=HalfCable(cable, d), change=Down()) for d in directions]


def test_a_port_has_carrier_while_the_far_interface_is_up():
    spec = lab(("r1:eth1", "r2:eth1"))
    assert levels(spec, {"r1": {"eth1": True}, "r2": {"eth1": True}}) == {R1: True, R2: True}
    assert levels(spec, {"r1": {"eth1": True}, "r2": {"eth1": False}}) == {R1: False, R2: True}
    assert levels(spec, {"r1": {"eth1": False}, "r2": {"eth1": False}}) == {R1: False, R2: False}


def test_an_interface_or_node_that_is_not_there_gives_no_carrier():
    spec = lab(("r1:eth1", "r2:eth1"))
    assert levels(spec, {"r1": {"eth1": True}, "r2": {"eth2": True}}) == {R1: False, R2: True}
    assert levels(spec, {"r1": {"eth1": True}}) == {R1: False, R2: True}
    assert levels(spec, {}) == {R1: False, R2: False}


def test_a_cut_takes_carrier_from_the_receiving_end_only():
    spec = lab(("r1:eth1", "r2:eth1"))
    both = {"r1": {"eth1": True}, "r2": {"eth1": True}}
    assert levels(spec, both, *cut(spec, Direction.A_TO_Z)) == {R1: True, R2: False}
    assert levels(spec, both, *cut(spec, Direction.Z_TO_A)) == {R1: False, R2: True}
    assert levels(spec, both, *cut(spec, *Direction)) == {R1: False, R2: False}


def test_direction_is_of_the_sorted_name_not_of_the_order_in_the_file():
    spec = lab(("r2:eth1", "r1:eth1"))  # the file's `a` is the name's `z`
    both = {"r1": {"eth1": True}, "r2": {"eth1": True}}
    assert levels(spec, both, *cut(spec, Direction.A_TO_Z)) == {R1: True, R2: False}


def test_a_stub_gives_carrier_always_unless_cut():
    spec = lab(("r1:eth1", None))
    cable = spec.cables[0].id
    into = Direction.Z_TO_A if cable.a == R1 else Direction.A_TO_Z
    assert levels(spec, {}) == {R1: True}
    assert levels(spec, {"r1": {"eth1": False}}) == {R1: True}
    assert levels(spec, {}, Effect(id="x", on=HalfCable(cable, into), change=Down())) == {R1: False}


def test_nodes_on_a_bridge_do_not_see_each_other_go_down_but_the_bridge_does():
    spec = lab(("r1:eth1", "sw:p1"), ("r2:eth1", "sw:p2"), bridges=("sw",))
    p1, p2 = PortId("sw", "p1"), PortId("sw", "p2")
    admin = {"r1": {"eth1": False}, "r2": {"eth1": True}}
    assert levels(spec, admin) == {R1: True, R2: True, p1: False, p2: True}
    assert levels(spec, {}, *cut(spec, *Direction)) == {R1: False, R2: True, p1: False, p2: False}
    both = {"r1": {"eth1": True}, "r2": {"eth1": True}}
    assert levels(spec, both, *cut(spec, Direction.A_TO_Z)) == {R1: True, R2: True, p1: False, p2: True}


def test_a_cable_between_two_ports_of_one_node():
    spec = lab(("r1:eth1", "r1:eth2"))
    other = PortId("r1", "eth2")
    assert levels(spec, {"r1": {"eth1": True, "eth2": False}}) == {R1: False, other: True}


def test_a_cable_between_two_bridges_only_effects_take_down():
    spec = lab(("s1:p1", "s2:p1"), ("r1:eth1", "s1:p2"), bridges=("s1", "s2"))
    s1, s2, port = PortId("s1", "p1"), PortId("s2", "p1"), PortId("s1", "p2")
    assert levels(spec, {}) == {s1: True, s2: True, R1: True, port: False}
    assert levels(spec, {}, *cut(spec, Direction.A_TO_Z)) == {s1: True, s2: False, R1: True, port: False}


def test_a_sub_interface_has_the_carrier_of_its_port_and_its_port_must_be_up():
    spec = lab(("r1:eth1", "r2:eth1"), ("r1:eth1.10", None))
    spec = replace(
        spec,
        cables=(spec.cables[0], replace(spec.cables[1], over=Over(port="eth1", vlan=10))),
    )
    sub = PortId("r1", "eth1.10")

    def level(r1, r2, *effects, own=True):
        admin = {"r1": {"eth1": r1, "eth1.10": own}, "r2": {"eth1": r2}}
        found = levels(spec, admin, *effects)
        return found[R1], found[sub]

    assert level(True, True) == (True, True)
    assert level(True, False) == (False, False)
    assert level(False, True) == (True, False)  # the port's carrier is its cable's, whatever its own state
    assert level(True, True, own=False) == (True, True)
    assert level(True, True, *cut(spec, Direction.Z_TO_A)) == (False, False)
    assert level(True, True, *cut(spec, Direction.A_TO_Z)) == (True, True)
    own = Effect(id="own", on=HalfCable(spec.cables[1].id, Direction.Z_TO_A), change=Down())
    assert level(True, True, own) == (True, False)
