import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.agent import codec, protocol
from labctl.agent.codec import Lease, Owner
from labctl.errors import LabctlError
from labctl.model.effects import Direction, Down, Effect, Frozen, HalfCable, NodeRef
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
