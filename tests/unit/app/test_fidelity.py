"""The account on its way: written by discovery, lowered and printed by a render, and a gate."""

import json

import jsonschema
import pytest

from labctl.app import fidelity
from labctl.app.discover import discover
from labctl.cli import main
from labctl.errors import LabctlError
from labctl.model.account import FidelityAccount, LineClass
from labctl.schema import account_file, json_schema

R1 = """\
version 15.2
hostname r1
username admin password 7 0822455D0A16
interface GigabitEthernet0/0
 ip address 10.0.12.1 255.255.255.0
interface GigabitEthernet0/1
 ip address 10.0.1.1 255.255.255.0
router eigrp 1
 network 10.0.0.0
router ospf 1
 network 10.0.12.0 0.0.0.255 area 0
end
"""
R2 = R1.replace("r1", "r2").replace("10.0.12.1", "10.0.12.2").replace("10.0.1.1", "10.0.2.1")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    (tmp_path / "in").mkdir()
    for name, text in (("r1", R1), ("r2", R2)):
        (tmp_path / "in" / f"{name}.cfg").write_text(text)
    discover(["in"], name="net", out="net.yml")
    return tmp_path


def run(capsys, *argv):
    with pytest.raises(SystemExit) as stop:
        main.run(["render", "net.yml", *argv])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def test_the_account_is_printed_by_device_and_by_blast_radius(here, capsys):
    code, out, _ = run(capsys, "-o", "out", "-f", "json")
    value = json.loads(out)
    jsonschema.validate(value, json_schema.schema("render"), jsonschema.Draft202012Validator)
    found = value["fidelity"]
    assert (code, value["verdict"], found["unaccounted"]) == (0, "PASS", [])
    assert sum(found["counts"].values()) == 2 * len(R1.splitlines())
    assert found["score"] == 8 * 2 / (10 * 2)
    assert [(e["device"], e["text"], e["blast_radius"]) for e in found["lost"]][:2] == [
        ("r1", "router eigrp 1", 1),
        ("r1", "network 10.0.0.0", 1),
    ]
    assert "FIDELITY" in run(capsys, "-o", "out")[1]


def test_a_gate_writes_nothing(here, capsys):
    code, _, err = run(capsys, "-o", "out", "--min-fidelity", "80.1%", "--annotated", "told")
    assert code == 1
    assert "FAIL: fidelity 80 %, and 80.1% is asked for; nothing is written" in err
    assert not (here / "out").exists()
    assert not (here / "told").exists()
    assert run(capsys, "-o", "out", "--min-fidelity", "80")[0] == 0


def test_without_an_account_the_fidelity_is_unknown(here, capsys):
    (here / "net.account.json").unlink()
    code, _, err = run(capsys, "-o", "out", "--min-fidelity", "1%")
    assert code == 4
    assert "no account of the configuration lines of r1, r2" in err
    assert not (here / "out").exists()


def test_a_share_that_is_none(here, capsys):
    assert run(capsys, "--min-fidelity", "ninety")[0] == 2
    assert run(capsys, "--min-fidelity", "101%")[0] == 2


def test_annotated_configurations_hold_every_line_and_no_secret(here, capsys):
    code, _, _ = run(capsys, "-o", "out", "--annotated", "told")
    text = (here / "told" / "r1.txt").read_text()
    assert code == 0
    assert "0822455D0A16" not in text + (here / "net.account.json").read_text()
    assert "     8  unsupported   router eigrp 1  <- protocol\n" in text
    assert "     5  modelled       ip address 10.0.12.1 255.255.255.0\n" in text
    assert len([line for line in text.splitlines() if line[:6].strip().isdecimal()]) == len(R1.splitlines())
    assert run(capsys, "-o", "out", "--annotated", "told")[0] == 0
    (here / "told" / "r9.txt").write_text("mine")
    assert run(capsys, "-o", "out", "--annotated", "told")[0] == 2


def test_the_account_of_a_device_that_stays_is_kept(here):
    (here / "in" / "r2.cfg").unlink()
    before = fidelity.load("net.yml")
    snapshot = discover(["in"], name="net", out="net.yml").snapshot
    assert list(fidelity.load("net.yml").devices) == ["r1"]
    only = FidelityAccount(devices={"r1": before.devices["r1"]})
    assert fidelity.kept({}, snapshot, before) == only


def test_the_file_reads_back_and_nothing_else_does():
    with pytest.raises(LabctlError, match="no account"):
        account_file.parse('{"kind": "snapshot", "version": 1, "devices": {}}', file="x.json")
    for broken in ("", "[]", '{"kind": "fidelity-account", "version": 1, "devices": {"r1": [[1]]}}'):
        with pytest.raises(LabctlError) as error:
            account_file.parse(broken, file="x.json")
        assert error.value.code == "wrong-file"


def test_dump_and_parse_are_inverse(here):
    found = fidelity.load("net.yml")
    assert account_file.parse(account_file.dump(found), file="x") == found
    assert {line.cls for line in found.devices["r1"].lines} >= {LineClass.MODELLED, LineClass.UNSUPPORTED}
