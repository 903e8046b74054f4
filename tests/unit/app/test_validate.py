"""What kind of file it is, what it holds, and everything that is wrong with all of them."""

import json

import pytest

from labctl.app.validate import as_json, failures, validate
from labctl.errors import LabctlError

LAB = "name: t\ntopology: {nodes: {a: {kind: linux, image: i, position: left}}}\n"
SNAPSHOT = "kind: snapshot\nversion: 1\ntopology: {name: dc1}\n"
INVENTORY = "devices:\n  r1: {address: 192.0.2.1, snmp: {version: 2c, community: x}}\n"

TABLE = "kind: allocation-table\nversion: 1\nlab: t\nmgmt_subnet: 172.20.20.0/24\n"


@pytest.mark.parametrize("text", ["a: 1", "", "- topology", "kind: zebra"])
def test_no_file_of_ours(tmp_path, text):
    (tmp_path / "x.yml").write_text(text)
    (result,) = validate([str(tmp_path / "x.yml")])
    assert [error.message for error in result.errors] == ["this is no file that labctl knows"]


def test_good_files_say_what_they_hold(tmp_path):
    names = []
    for name, text in (("a.yml", LAB), ("b.yml", SNAPSHOT), ("c.yml", INVENTORY), ("d.yml", TABLE)):
        (tmp_path / name).write_text(text)
        names.append(str(tmp_path / name))
    events = []
    results = validate(names, emit=events.append)
    assert [r.summary for r in results] == [
        "lab t: 1 node, 0 links",
        "snapshot dc1: 0 devices, 0 links",
        "inventory: 1 device",
        "allocation table: 0 devices",
    ]
    assert len(results[0].notices) == 1
    assert not failures(results)
    assert [(e.done, e.total) for e in events] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert json.loads(json.dumps(as_json(results)))["ok"] is True


def test_the_errors_of_all_files_come_together(tmp_path):
    (tmp_path / "a.yml").write_text("name: a b\ntopology: {}\n")
    (tmp_path / "b.yml").write_text("name: t\ntopolgy: {}\ntopology: {}\n")
    results = validate([str(tmp_path / n) for n in ("a.yml", "b.yml", "c.yml")])
    with pytest.raises(LabctlError) as caught:
        failures(results).stop()
    assert [e.code for e in caught.value.each] == ["bad-name", "unknown-key", "file-not-found"]
    shown = as_json(results)
    assert shown["ok"] is False
    assert shown["files"][1]["errors"] == [
        {
            "code": "unknown-key",
            "where": {"file": str(tmp_path / "b.yml"), "line": 2, "column": 1},
            "message": "the file has no key 'topolgy'",
            "hint": "did you mean `topology`?",
        }
    ]
