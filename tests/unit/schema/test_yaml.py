"""Reading YAML: the text as it stands, the place of everything, and errors that say where."""

import pytest

from labctl.errors import LabctlError, Span
from labctl.schema import yaml


def read(text):
    return yaml.parse(text, file="f.yml")


def fails(text):
    with pytest.raises(LabctlError) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize(
    "text", ["22:22", "12:34:56:12:34:56", "on", "010", "0x1f", "1_000", "2026-11-20", "1e3", "no"]
)
def test_scalars_keep_their_source_text(text):
    assert yaml.plain(read(f"a: {text}")) == {"a": text}


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL", "# comment"])
def test_null_is_null(text):
    assert yaml.plain(read(f"a: {text}")) == {"a": None}


@pytest.mark.parametrize("text", ['""', '"null"', "'~'", "!!str null"])
def test_text_that_looks_like_null_is_text(text):
    value = read(f"a: {text}").get("a")
    assert isinstance(value, yaml.Scalar)
    assert not value.is_null


def test_number_keys_are_text():
    assert yaml.plain(read("nodes: {1: , 02: x}")) == {"nodes": {"1": None, "02": "x"}}


def test_every_key_and_value_knows_its_place():
    root = read("a: 1\nb:\n  - x\n  - y: z\n")
    assert yaml.at(root, ("b", 1, "y")) == (Span("f.yml", 4, 5), Span("f.yml", 4, 8))
    assert yaml.at(root, ("b", 0)) == (Span("f.yml", 3, 5), Span("f.yml", 3, 5))
    assert yaml.at(root, ("b", 7, "no")) == (Span("f.yml", 2, 1), Span("f.yml", 3, 3))


def test_merge_keys_fill_in_what_is_missing():
    root = read("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nnode:\n  y: own\n  <<: [*b, *m]\n")
    assert yaml.plain(root)["node"] == {"y": "own", "x": "1", "z": "4"}
    assert yaml.at(root, ("node", "z"))[0] == Span("f.yml", 2, 17)


def test_a_quoted_merge_key_is_a_key():
    assert yaml.plain(read('"<<": 1')) == {"<<": "1"}


def test_an_empty_file_is_null():
    assert yaml.plain(read("# nothing\n")) is None


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("a: [1\nb: 2", 2, 2, "did not find expected ',' or ']'"),
        ("a:\n\t- x", 2, 1, "cannot start any token"),
        ("a: b: c", 1, 5, "mapping values are not allowed"),
        ("a: *x", 1, 4, "*x has no &x"),
        ("a: &x [*x]", 1, 8, "inside its own"),
        ("a: 1\n---\nb: 2", 2, 1, "second document"),
        ("a: !vault x", 1, 4, "the tag !vault is not supported"),
        ("? [a]\n: b", 1, 3, "a key must be"),
        ("a: &x [1]\n*x : b", 1, 4, "a key must be"),
        ("a: {<<: 1}", 1, 5, "<< takes a map"),
        ("a: \x07", 1, 0, "U+0007"),
    ],
)
def test_what_is_not_yaml_has_a_place(text, line, column, said):
    error = fails(text)
    assert error.code == "bad-yaml"
    assert error.where == Span("f.yml", line, column)
    assert said in error.message


def test_a_key_twice_is_an_error_that_names_both_places():
    error = fails("a: 1\nb: 2\na: 3\n")
    assert (error.code, error.where, error.hint) == (
        "duplicate-key",
        Span("f.yml", 3, 1),
        "the first one is at line 1",
    )


@pytest.mark.parametrize("text", ["[" * 200_000, "a: " + "[" * 5000 + "]" * 5000, "{a: " * 3000])
def test_deep_nesting_is_refused_without_harm(text):
    error = fails(text)
    assert error.code == "bad-yaml"


def test_aliases_that_multiply_are_refused():
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{i}: &l{i} [" + ", ".join([f"*l{i - 1}"] * 10) + "]" for i in range(1, 9)]
    assert "too often" in fails("\n".join(lines)).message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(LabctlError) as caught:
        yaml.load(tmp_path / "no.yml")
    assert caught.value.code == "file-not-found"
    assert caught.value.message == "cannot read the file: no such file or directory"


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "x.yml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(LabctlError) as caught:
        yaml.load(tmp_path / "x.yml")
    assert (caught.value.code, caught.value.where.line) == ("bad-yaml", 2)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "x.yml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert yaml.plain(yaml.load(tmp_path / "x.yml")) == {"a": "1"}
