"""What a file is, and what a verb says of one that is not for it."""

import os

import pytest

from labctl.app import kinds
from labctl.app.kinds import Kind
from labctl.errors import LabctlError

LAB = "name: t\ntopology: {nodes: {a: {kind: linux, image: i}}}\n"


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        (LAB, "x.yml", Kind.LAB),
        ("{name: t, topology: {}}", "x.yml", Kind.LAB),
        ('"name": t\n"topology": {}\n', "x.yml", Kind.LAB),
        ("name: t\n", "x.clab.yml", Kind.LAB),
        ("topology:\n{{ range }}\n", "x.yml", Kind.LAB),
        ("name: x\ntimeline: []\n", "x.yml", Kind.SCENARIO),
        ("kind: snapshot\nversion: 1\ntopology: {name: dc1}\n", "x.yml", Kind.SNAPSHOT),
        ("kind: allocation-table\nversion: 1\n", "x.yml", Kind.ALLOCATION),
        ("kind: topology\nname: x\n", "topology.yml", Kind.TOPOLOGY),
        ("kind: manifest\nlab: x\n", "rendered.yml", Kind.MANIFEST),
        ("devices:\n  r1: {address: 192.0.2.1}\n", "x.yml", Kind.INVENTORY),
        ('{\n "kind": "plan",\n "version": 1}\n', "plan.json", Kind.PLAN),
        ('{"version": 1, "kind": "report"}', "report.json", Kind.REPORT),
        ("1.3.6.1.2.1.1.5.0|4|core1\n", "core1.snmprec", Kind.WALK),
        ("frr version 8.4.4\nhostname r1\n", "r1.conf", Kind.CONFIG),
        ("a: 1", "x.yml", None),
        ("", "x.yml", None),
        ("- topology", "x.yml", None),
        ("{" * 5000, "x.yml", None),
        ("kind: zebra", "x.yml", None),
        ("Dear diary\n", "notes.txt", None),
    ],
)
def test_by_content(tmp_path, text, name, kind):
    (tmp_path / name).write_text(text)
    assert kinds.what(str(tmp_path / name)) is kind


def test_what_is_not_there_and_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for name in ("pipe", "binary", "none"):
        assert kinds.what(str(tmp_path / name)) is None


def test_a_run_is_a_directory_with_a_journal(tmp_path):
    assert kinds.what(str(tmp_path)) is Kind.DIRECTORY
    for name in ("journal.jsonl", "report.html"):
        (tmp_path / name).write_text("")
        assert kinds.what(str(tmp_path / name)) is Kind.RUN_FILE
    assert kinds.what(str(tmp_path)) is Kind.RUN


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_name_and_a_way(kind):
    name, way = kinds._SAID[kind]
    assert name
    assert way.format(file="F", directory="D")


def test_the_answer_names_the_verb(tmp_path):
    path = tmp_path / "dc1.yml"
    path.write_text("kind: snapshot\nversion: 1\ntopology: {name: dc1}\n")
    kinds.need(str(path), "render", Kind.SNAPSHOT)
    with pytest.raises(LabctlError) as stop:
        kinds.need(str(path), "deploy", Kind.LAB)
    assert stop.value.code == "wrong-file"
    assert f"`labctl render {path}`" in str(stop.value.hint)
