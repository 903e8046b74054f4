import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.agent import codec, protocol
from labctl.agent.codec import Lease, Owner
from labctl.errors import LabctlError
from labctl.model.effects import (
    AdminDown,
    ConfigRef,
    Configured,
    CpuLimit,
    Direction,
    Down,
    Effect,
    Frozen,
    HalfCable,
    Killed,
    NodeRef,
    Off,
    PortRef,
    ProcessRef,
    Stopped,
)
from labctl.names import CableId, PortId

names = st.from_regex(r"\A[a-zA-Z0-9][a-zA-Z0-9._|-]{0,12}\Z")
interfaces = st.text(st.characters(codec="utf-8", exclude_characters="/: \n\0"), min_size=1, max_size=15)
ports = st.builds(PortId, names, interfaces)
halves = st.builds(HalfCable, st.builds(CableId.of, ports, ports), st.sampled_from(Direction))


@given(halves)
def test_an_effect_reads_back_whatever_dashes_its_names_hold(half):
    effect = Effect(id="x", on=half, change=Down())
    assert codec.parse_effect("x", json.loads(json.dumps(codec.effect(effect)))) == effect


@given(st.builds(NodeRef, names), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_a_lease_reads_back(node, deadline, owned):
    lease = Lease(
        id="l",
        effects=(Effect(id="l", on=node, change=Frozen()),),
        deadline_boot=deadline,
        deadline_wall=deadline,
        owner=Owner(pid=3, start_ticks=4) if owned else None,
    )
    assert codec.parse_lease(json.loads(json.dumps(codec.lease(lease)))) == lease


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "not an object"),
        ({"node": "r1"}, "change is missing"),
        ({"node": "r1", "change": "gone"}, "unknown change 'gone'"),
        ({"node": "r1", "change": "down"}, "does not apply to r1"),
        ({"a": "r1:e", "z": "r2:e", "direction": "a->z", "change": "frozen"}, "does not apply"),
        ({"a": "r2:e", "z": "r1:e", "direction": "a->z", "change": "down"}, "not in order"),
        ({"a": "r1", "z": "r2:e", "direction": "a->z", "change": "down"}, "'r1' is not a port"),
        ({"a": "r1:e", "z": "r2:e", "direction": "up", "change": "down"}, "not a valid Direction"),
    ],
)
def test_what_is_no_effect_is_refused(value, said):
    with pytest.raises(ValueError, match=said):
        codec.parse_effect("x", value)


@pytest.mark.parametrize("value", ["60", None, True, float("nan"), float("inf")])
def test_a_deadline_is_a_finite_number(value):
    with pytest.raises(ValueError, match="not a number"):
        codec.number({"deadline_boot": value}, "deadline_boot")


def test_a_line_of_another_version_is_refused():
    line = protocol.encode({"op": "status"})
    assert line.endswith(b"\n")
    assert protocol.decode(line) == {"version": protocol.VERSION, "op": "status"}
    for bad in (b"{", b"[]", b'{"version":0}', b"\xff"):
        with pytest.raises(LabctlError) as caught:
            protocol.decode(bad)
        assert caught.value.code == "bad-request"


def test_an_error_travels_as_itself():
    error = LabctlError("effect-not-taken", "no", hint="try")
    back = protocol.raised(protocol.decode(protocol.encode(protocol.failure(error))))
    assert (back.code, back.message, back.hint) == (error.code, error.message, error.hint)


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e6)), max_size=5))
def test_a_lease_that_comes_and_goes_reads_back(spans):
    """Also where adding the machine's uptime has rounded a window away."""
    windows = tuple((start, start + length) for start, length in spans)
    effects = tuple(Effect(id="l", on=ProcessRef("r1", "bgpd"), change=Killed("x")) for _ in windows)
    if not effects:
        return
    lease = Lease(
        id="l", effects=effects, deadline_boot=1.0, deadline_wall=1.0, windows=windows, about="flaps"
    )
    assert codec.parse_lease(json.loads(json.dumps(codec.lease(lease)))) == lease
    for start, end in windows:
        assert len(lease.at(start)) == sum(s <= start < e for s, e in windows)
        assert {start, end} <= lease.edges


@pytest.mark.parametrize(
    ("on", "change"),
    [
        (NodeRef("r1"), Off()),
        (NodeRef("r1"), CpuLimit(0.25)),
        (ProcessRef("r1", "bgpd"), Killed()),
        (ProcessRef("r1", "bgpd"), Killed("bgpd -d")),
        (ProcessRef("r1", "bgpd"), Stopped()),
        (PortRef(PortId("r1", "eth1")), AdminDown()),
        (ConfigRef("r1"), Configured(("router bgp 1", " no x"))),
    ],
)
def test_every_change_reads_back(on, change):
    effect = Effect(id="x", on=on, change=change)
    assert codec.parse_effect("x", json.loads(json.dumps(codec.effect(effect)))) == effect


@pytest.mark.parametrize(
    "value",
    [
        {"node": "r1", "change": "cpu"},
        {"node": "r1", "change": "cpu", "cores": 0},
        {"node": "r1", "change": "killed"},
        {"port": "r1", "change": "admin-down"},
        {"config": "r1", "change": "configured", "lines": "x"},
        {"config": "r1", "change": "configured", "lines": []},
        {"node": "r1", "process": "", "change": "stopped"},
    ],
)
def test_a_change_without_what_it_needs_is_refused(value):
    with pytest.raises(ValueError, match=r"core|process|port|line|missing|apply"):
        codec.parse_effect("x", value)


@pytest.mark.parametrize("windows", [[], [[1.0]], [[2.0, 1.0]], [[0, None]], "x", [[0.0, 1.0], [0.0, 1.0]]])
def test_windows_that_are_none_are_refused(windows):
    with pytest.raises(ValueError, match=r"window|number"):
        codec.parse_windows(windows, 1)
