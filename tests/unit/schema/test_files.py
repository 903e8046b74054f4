"""labctl's own files: read back the same, stable, and every mistake has its line."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Interface
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError, Problems, Span, render
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Evidence, Interface, Link, Topology
from labctl.names import CableId, PortId
from labctl.schema import files, yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAME = st.text("abcXYZ019/.-", min_size=1, max_size=6)
PORT = st.builds(PortId, NAME, st.text("eth/.:0", min_size=1, max_size=6))
SPAN = st.builds(Span, st.sampled_from(["", "a.conf", "dir/r1:x.cfg"])) | st.builds(
    Span, st.just("a.conf"), st.integers(1, 99), st.integers(0, 9)
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)  # nothing of the model is infinite
SLOW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking something this large takes minutes
)


@pytest.fixture(scope="module", autouse=True)
def what_values_look_like():
    """For `st.from_type` here; afterwards as usual again."""
    for kind, strategy in ((str, TEXT), (float, FINITE), (PortId, PORT), (Span, SPAN)):
        st.register_type_strategy(kind, strategy)
    yield
    for kind, strategy in ((str, st.text()), (float, st.floats())):
        st.register_type_strategy(kind, strategy)


SMALL = Snapshot(
    topology=Topology(
        name="dc1",
        devices=(
            Device(
                id="mac:1",
                name="r1",
                polled=True,
                interfaces=(
                    Interface(name="Gi0/1", addresses=("10.0.0.1/30",), admin_up=True, speed_bps=1e9),
                ),
            ),
            Device(id="mac:2", name="r2", polled=False),
        ),
        links=(
            Link(
                a=PortId("r1", "Gi0/1"),
                b=PortId("r2", "on"),
                two_sided=True,
                confidence=0.9,
                evidence=(Evidence(source="lldp", where="r1.walk:17", said="r2 on"),),
            ),
        ),
    )
)
SMALL_TEXT = """\
kind: snapshot
version: 1
topology:
  name: dc1
  devices:
    - id: "mac:1"
      name: r1
      polled: true
      interfaces:
        - name: Gi0/1
          addresses: [10.0.0.1/30]
          speed_bps: 1000000000
          admin_up: true
    - id: "mac:2"
      name: r2
      polled: false
  links:
    - a: "r1:Gi0/1"
      b: "r2:on"
      two_sided: true
      confidence: 0.9
      evidence:
        - source: lldp
          where: "r1.walk:17"
          said: r2 on
"""


def errors(kind, text):
    with pytest.raises(LabctlError) as caught:
        files.parse(kind, text, file="t.yml")
    return [(e.code, e.where.line, e.where.column) for e in caught.value.each], render(caught.value)


def test_the_form_of_a_snapshot():
    assert files.dump_snapshot(SMALL) == SMALL_TEXT


def test_a_snapshot_on_disk(tmp_path):
    path = tmp_path / "dc1.yml"
    path.write_text(files.dump_snapshot(SMALL))
    assert files.load_snapshot(path) == SMALL


@SLOW
@given(data=st.data())
def test_any_snapshot_is_read_back_the_same(data):
    snapshot = data.draw(st.from_type(Snapshot))  # here: the fixture above has run
    text = files.dump(snapshot)
    again = files.parse(Snapshot, text, file="t.yml")
    assert again == snapshot
    assert files.dump(again) == text  # also what equality does not see: places


def test_maps_are_written_in_the_order_of_their_keys():
    @dataclass(frozen=True)
    class Table:
        rows: dict[str, int]

    assert files.dump(Table({"b": 1, "a": 2})) == files.dump(Table({"a": 2, "b": 1}))


def test_every_mistake_of_a_file_is_told_with_its_place():
    found, text = errors(
        Snapshot,
        "kind: snapshot\nversion: 1\ntopology:\n  name: x\n  devices:\n"
        "    - {id: a, name: b, polled: true, interfacs: []}\n"
        "    - {id: a, name: b}\n"
        "    - {id: a, name: b, polled: true, interfaces: [{name: e, mtu: big, role: dat}]}\n"
        "  links:\n"
        "    - {a: r1, b: 'r2:x'}\n",
    )
    assert found == [
        ("unknown-key", 6, 38),
        ("missing-key", 7, 7),
        ("bad-value", 8, 66),
        ("bad-value", 8, 77),
        ("bad-name", 10, 11),
    ]
    assert "did you mean `interfaces`?" in text
    assert "topology.devices.2.interfaces.0.mtu: input should be a valid integer" in text


@pytest.mark.parametrize("word", ["on", "yes", "1", "True", "t"])
def test_only_true_and_false_are_booleans(word):
    text = SMALL_TEXT.replace("two_sided: true", f"two_sided: {word}")
    assert errors(Snapshot, text)[0] == [("bad-value", 20, 18)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", [("missing-key", 1, 1), ("missing-key", 1, 1)]),
        ("kind: lab\nversion: 1\n", [("bad-value", 1, 7)]),
        ("kind: snapshot\nversion: 2\n", [("bad-value", 2, 10)]),
    ],
)
def test_the_header(header, expected):
    assert errors(Snapshot, header + "topology: {name: x}\n")[0] == expected


@pytest.mark.parametrize("text", ["[]", "", "kind: [snapshot]\nversion: 1\ntopology: {name: x}"])
def test_not_a_file_of_ours(text):
    assert {e[0] for e in errors(Snapshot, text)[0]} == {"bad-value"}


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    kind: Literal["circle"] = "circle"
    radius: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    kind: Literal["square"] = "square"
    side: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingBoard:
    shapes: tuple[Circle | Square, ...] = ()
    cable: CableId | None = None
    colour: Colour = Colour.RED
    names: frozenset[str] = frozenset()
    address: IPv4Interface | None = None
    labels: dict[str, str] = field(default_factory=dict)


BOARD = DrawingBoard(
    shapes=(Square(), Circle(radius=2)),
    cable=CableId.of(PortId("a", "1"), PortId("b", "2")),
    names=frozenset({"b", "a"}),
    address=IPv4Interface("10.0.0.1/24"),
    labels={"on": "22:22"},
)


def test_unions_keep_their_tag():
    text = files.dump(BOARD)
    assert text == (
        "kind: drawing-board\nversion: 1\nshapes:\n  - kind: square\n  - kind: circle\n    radius: 2\n"
        'cable: "a:1--b:2"\nnames: [a, b]\naddress: 10.0.0.1/24\nlabels:\n  "on": "22:22"\n'
    )
    assert files.parse(DrawingBoard, text, file="t.yml") == BOARD


def test_a_key_that_no_member_of_a_union_has():
    found, text = errors(
        DrawingBoard, "kind: drawing-board\nversion: 1\nshapes: [{kind: circle, radios: 1}]\n"
    )
    assert ("unknown-key", 3, 25) in found
    assert "did you mean `radius`?" in text


def test_the_schema_has_the_header():
    schema = files.json_schema(DrawingBoard)
    assert schema["properties"]["kind"] == {"const": "drawing-board"}
    assert schema["additionalProperties"] is False


def test_spans_are_text():
    problems = Problems()
    assert not problems.stop()
    for span in (Span(""), Span("a"), Span("a", 3), Span("a:b", 3, 4)):
        assert files._span(str(span)) == span
    assert yaml.plain(yaml.parse("a: 1", file="x")) == {"a": "1"}
