import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.ingest import snmprec


def read(tmp_path, text):
    path = tmp_path / "walk.snmprec"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return snmprec.read(path, named="walk.snmprec")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("1.3.6.1.2.1.1.5.0|4|r1", b"r1"),
        ("1.3.6.1.2.1.1.5.0|4|a|b", b"a|b"),
        ("1.3.6.1.2.1.1.5.0|4x|00ff", b"\x00\xff"),
        ("1.3.6.1.2.1.1.5.0|4x|", b""),
        ("1.3.6.1.2.1.1.5.0|4e|a\\x0ab", b"a\nb"),
        ("1.3.6.1.2.1.2.2.1.4.1|2|1500", 1500),
        ("1.3.6.1.2.1.2.2.1.4.1|2|-1", -1),
        ("1.3.6.1.2.1.2.2.1.10.1|65:numeric|initial=7,rate=2", 7),
        ("1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.8072", (1, 3, 6, 1, 4, 1, 8072)),
        ("1.3.6.1.2.1.4.20.1.1.10.0.0.1|64|10.0.0.1", b"\x0a\x00\x00\x01"),
        ("1.3.6.1.2.1.4.20.1.1.10.0.0.1|64x|0a000001", b"\x0a\x00\x00\x01"),
    ],
)
def test_values_of_every_type(tmp_path, line, value):
    result = read(tmp_path, line + "\n")
    assert (result.rejected, result.truncated) == ([], "")
    assert [(c.value, c.where) for c in result.cells] == [(value, "walk.snmprec:1")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("garbage", "not `OID|TAG|VALUE`: 'garbage'"),
        ("1.3.x.6|4|r1", "not an OID: '1.3.x.6'"),
        ("1.3.6.1|4x|0g", "not hexadecimal: '0g'"),
        ("1.3.6.1|4x|123", "not hexadecimal: '123'"),
        ("1.3.6.1|2|many", "not a number: 'many'"),
        ("1.3.6.1|77|x", "unknown type tag 77"),
        ("1.3.6.1|abc|x", "unknown type tag 'abc'"),
        ("1.3.6.1|65:numeric|rate=2", "a varying value without an initial one"),
    ],
)
def test_lines_that_are_no_cells_are_rejected_with_their_place(tmp_path, line, reason):
    result = read(tmp_path, f"1.3.6.1.2.1.1.5.0|4|r1\n{line}\n1.3.6.1.2.1.1.6.0|4|x\n")
    assert [(r.where, r.reason) for r in result.rejected] == [("walk.snmprec:2", reason)]
    assert len(result.cells) == 2


def test_comments_blank_lines_and_absent_values_are_nothing(tmp_path):
    result = read(tmp_path, "# recorded\n\n1.3.6.1.2.1.1.5.0|129|\n1.3.6.1.2.1.1.6.0|5|\r\n")
    assert (result.cells, result.rejected) == ([], [])


def test_a_file_that_ends_in_the_middle_of_a_line_is_truncated(tmp_path):
    result = read(tmp_path, "1.3.6.1.2.1.1.5.0|4|r1\n1.3.6.1.2.1.2.2.1.4")
    assert (result.truncated, result.truncated_at) == (
        "the file ends in the middle of a line",
        "walk.snmprec:2",
    )
    assert len(result.cells) == 1


def test_a_file_that_ends_inside_a_column_is_truncated(tmp_path):
    lines = [f"1.3.6.1.2.1.2.2.1.2.{n}|4|eth{n}\n" for n in range(1, 5)]
    lines += [f"1.3.6.1.2.1.2.2.1.4.{n}|2|1500\n" for n in range(1, 3)]
    result = read(tmp_path, "".join(lines))
    assert (result.truncated[:31], result.truncated_at) == (
        "it ends in column 4 of ifTable,",
        "walk.snmprec:6",
    )


def test_what_is_a_snmprec_file():
    assert snmprec.sniff(b"1.3.6.1.2.1.1.5.0|4|r1\n")
    assert not snmprec.sniff(b"devices:\n  r1: {}\n")
    assert not snmprec.sniff(b"")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.snmprec"
    path.write_bytes(content)
    result = snmprec.read(path)
    lines = [n for n, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    assert len(result.cells) + len(result.rejected) <= len(lines)
