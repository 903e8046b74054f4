"""What a person sees: tables on stdout, what was read and what is doubtful on stderr, and the exit status."""

import json
import os
from pathlib import Path

import pytest

from labctl.cli import main
from labctl.errors import Exit

WALKS = Path(__file__).parents[1] / "ingest" / "walks"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("r1", "r2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "frr.conf").write_text(
            f"frr defaults traditional\nhostname {name}\ninterface eth1\n ip address 10.0.0.{name[1]}/30\n"
        )
    return tmp_path


def run(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main.run(["discover", *words])
    said = capsys.readouterr()
    return stop.value.code or 0, said.out, said.err


def test_tables_and_a_summary(here, capsys):
    status, out, err = run(capsys, str(WALKS), "r1", "r2", "-n", "all")
    assert status == Exit.PASS
    assert "box1    yes     2" in out
    assert "box1:eth1  box2:eth1  data  confirmed  1.00" in out
    assert "r1:eth1    r2:eth1    data  inferred   0.80        subnet 10.0.0.0/30" in out
    assert err.endswith(
        "read 2 snmpwalk, 2 frr: 2 neighbour rows; 4 devices and 0 known only from others; "
        "1 link confirmed by both ends, 0 by one, 1 inferred; 0 segments; 0 conflicts\nwrote topologies/all.yml\n"
    )
    assert (here / "topologies" / "all.yml").is_file()


def test_json_and_nothing_else_on_stdout(capsys):
    status, out, err = run(capsys, str(WALKS), "-f", "json", "--dry-run")
    assert status == Exit.PASS
    assert [link["two_sided"] for link in json.loads(out)["links"]] == [True]
    assert "wrote" not in err


def test_a_device_that_was_not_read_is_exit_4(here, capsys):
    (here / "inventory.yml").write_text(
        "devices:\n  r9: {address: 127.0.0.1, snmp: {community: c, port: 1, timeout: 0.1, retries: 0}}\n"
    )
    status, out, err = run(capsys, "inventory.yml", "r1", "r2", "-n", "all")
    assert status == Exit.UNKNOWN
    assert "r1:eth1" in out
    assert "error: device-unreachable\n  inventory.yml:2:3  r9 did not answer" in err


def test_a_lenient_run_warns(here, capsys):
    (here / "walk.snmprec").write_text("1.3.6.1.2.1.1.5.0|4|sw\nnonsense\n")
    status, _, err = run(capsys, "walk.snmprec", "-n", "sw")
    assert status == Exit.BAD_INPUT
    assert "error: bad-snmp-row\n  walk.snmprec:2  not `OID|TAG|VALUE`: 'nonsense'\n" in err
    status, out, err = run(capsys, "walk.snmprec", "-n", "sw", "--lenient")
    assert status == Exit.PASS
    assert "sw" in out
    assert "warning: bad-snmp-row\n  walk.snmprec:2  " in err
    assert "1 row rejected:\n  walk.snmprec:2  " in err


def test_long_lists_are_cut_and_say_where_the_rest_is(here, capsys):
    rows = "".join(f"1.0.8802.1.1.2.1.4.1.1.7.0.{n}.1|4|eth{n}\n" for n in range(1, 31))
    (here / "walk.snmprec").write_text(f"1.3.6.1.2.1.1.5.0|4|sw\n{rows}")
    _, _, err = run(capsys, "walk.snmprec", "--dry-run", "--lenient")
    assert "1 conflict:\n  neighbour-anonymous: sw: the row says nothing that identifies a device" in err


def test_lines_of_configurations_that_no_lab_will_have_are_listed(here, capsys):
    with (here / "r1" / "frr.conf").open("a") as file:
        file.write("router rip\n version 2\n")
    _, _, err = run(capsys, "r1", "--dry-run")
    assert "configuration lines that no lab will have:\n  r1/frr.conf:" in err


def test_a_snapshot_is_called_as_a_lab_can_be_called(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r\N{LATIN SMALL LETTER E WITH ACUTE}seau 1").mkdir()
    path = tmp_path / "r\N{LATIN SMALL LETTER E WITH ACUTE}seau 1" / "core1.snmprec"
    path.write_text("1.3.6.1.2.1.1.5.0|4|core1\n1.3.6.1.2.1.2.2.1.2.1|4|eth1\n")
    with pytest.raises(SystemExit) as stop:
        main.run(["discover", str(path.parent)])
    assert not stop.value.code
    assert os.listdir("topologies") == ["r-seau-1.yml"]
    with pytest.raises(SystemExit) as stop:
        main.run(["discover", str(path.parent), "-n", "../../etc/x"])
    assert stop.value.code == 2
    assert "bad-option\n  --name" in capsys.readouterr().err


def test_the_summary_can_be_walked_back(here, capsys):
    _, out, _ = run(capsys, str(WALKS), "r1", "r2", "-f", "json", "--dry-run")
    said = json.loads(out)
    summary = said["summary"]
    assert summary["links"] == {"confirmed": 1, "one_sided": 0, "inferred": 1}
    assert summary["devices"]["polled"] == 4
    assert summary["rows"]["neighbours"] == sum(each["neighbours"] for each in summary["files"]) == 2
    assert {each["source"] for each in summary["files"]} == {"snmpwalk", "frr"}
    assert all(each["lines"] for each in summary["files"] if each["source"] == "frr")
    paths = {each["path"] for each in summary["files"]}
    rows = [e["where"] for link in said["links"] for e in link["evidence"] if e["source"] == "lldp"]
    assert {where.rpartition(":")[0] for where in rows} <= paths


def test_an_explanation(here, capsys):
    status, out, _ = run(capsys, "r1", "r2", "--explain", "r1:eth1", "r2:eth1")
    assert status == Exit.PASS
    assert out.startswith("r1:eth1 and r2:eth1 are joined by a link\n")
    assert "confidence 0.80 (subnet 0.80), chosen" in out
    assert not (here / "topologies").exists()
    _, out, _ = run(capsys, "r1", "r2", "--explain", "r1:eth1", "r2:eth1", "-f", "json")
    assert json.loads(out)["explanation"]["verdict"] == "link"


def test_lint_finds_and_says_so_with_its_status(here, capsys):
    status, out, _ = run(capsys, "r1", "r2", "--lint", "--dry-run")
    assert status == Exit.PASS
    (here / "r2" / "frr.conf").write_text(
        "frr defaults traditional\nhostname r2\ninterface eth1\n ip address 10.0.0.1/30\n"
    )
    status, out, _ = run(capsys, "r1", "r2", "--lint", "--dry-run")
    assert status == Exit.FAIL
    assert "address-shared: 10.0.0.1/30" in out


def test_hosts_are_counted_and_drawn_on_request(here, capsys):
    (here / "macs.csv").write_text("device,port,mac\nsw1,Gi0/1,00:11:22:33:44:55\n")
    _, out, err = run(capsys, "macs.csv", "--dry-run")
    assert "1 host known only by address: drawn with --hosts" in err
    assert "00-11-22" not in out
    _, out, _ = run(capsys, "macs.csv", "--dry-run", "--hosts")
    assert "00-11-22-33-44-55:nic" in out


def test_a_box_in_this_directory_is_called_like_the_directory(tmp_path, monkeypatch, capsys):
    (tmp_path / "web1").mkdir()
    (tmp_path / "web1" / "ip-addr.json").write_text("[]")
    monkeypatch.chdir(tmp_path / "web1")
    with pytest.raises(SystemExit):
        main.run(["discover", ".", "--dry-run", "-f", "json"])
    assert [d["name"] for d in json.loads(capsys.readouterr().out)["devices"]] == ["web1"]


def test_a_lab_that_cannot_be_written_is_no_bug(tmp_path, capsys):
    (tmp_path / "dc1.yml").write_text(
        "kind: snapshot\nversion: 1\ntopology: {name: dc1, devices: [{id: a, name: a, polled: true}]}\n"
    )
    with pytest.raises(SystemExit) as stop:
        main.run(["render", "dc1.yml", "-o", "/proc/labctl-test"])
    assert stop.value.code == 6
    assert "error: cannot-write" in capsys.readouterr().err


def test_what_a_device_calls_itself_does_not_act_on_the_terminal(here, capsys):
    (here / "n.csv").write_text(
        'device,port,neighbour,neighbour_port\n"\x1b[31mred",e1,"b\x1b]0;title\x07",e1\n', encoding="utf-8"
    )
    for more in ((), ("--lint",), ("--explain", "\x1b[31mred:e1", "b\x1b]0;title\x07:e1")):
        _, out, err = run(capsys, "n.csv", "--dry-run", *more)
        assert not set(out + err) & {"\x1b", "\x07"}
    assert "\N{REPLACEMENT CHARACTER}[31mred" in out
