"""Discovery from files: what is written, what is refused, and that nothing is half-done."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labctl.app import discover as use_case
from labctl.app.discovered import as_json
from labctl.errors import LabctlError, render
from labctl.schema import files

WALKS = Path(__file__).parents[1] / "ingest" / "walks"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
R1 = """frr version 8.4.4
frr defaults traditional
hostname r1
password login-geheim
enable password enable-geheim
!
interface eth1
 ip address 10.0.0.0/31
 ip ospf message-digest-key 1 md5 ospf-geheim
!
router bgp 65001
 neighbor 10.0.0.1 remote-as 65002
 neighbor 10.0.0.1 password bgp-geheim
!
snmp-server community snmp-geheim RO
"""
R2 = "frr version 8.4.4\nfrr defaults traditional\nhostname r2\n!\ninterface eth1\n ip address 10.0.0.1/31\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configs(here):
    for name, text in (("r1", R1), ("r2", R2)):
        (here / "site" / name).mkdir(parents=True)
        (here / "site" / name / "frr.conf").write_text(text)
    return "site"


def refused(*paths, **more):
    with pytest.raises(LabctlError) as error:
        use_case.discover(paths, **more)
    return render(error.value)


def test_walks_and_configurations_in_any_mixture(here, configs):
    (here / "walks").symlink_to(WALKS)
    result = use_case.discover([configs, "walks/box1.snmpwalk", str(WALKS / "box2.snmpwalk")], name="mix")
    topology = result.snapshot.topology
    assert [str(link.id) for link in topology.links] == ["box1:eth1--box2:eth1", "r1:eth1--r2:eth1"]
    assert [link.two_sided for link in topology.links] == [True, False]
    assert (result.inputs, result.rows) == ({"frr": 2, "snmpwalk": 2}, 2)
    assert sorted(result.snapshot.configs) == ["r1", "r2"]
    assert files.load_snapshot("topologies/mix.yml") == result.snapshot


def test_the_name_comes_from_the_first_path(configs):
    result = use_case.discover([configs])
    assert (result.snapshot.topology.name, result.path) == ("site", "topologies/site.yml")


def test_no_secret_is_written_or_said(here, configs):
    said = []
    result = use_case.discover([configs], emit=said.append)
    printed = json.dumps(as_json(result.snapshot.topology)) + repr(result) + repr(said)
    written = "".join(p.read_text() for p in (here / "topologies").rglob("*") if p.is_file())
    assert "65002" in written
    for secret in ("login-geheim", "enable-geheim", "ospf-geheim", "bgp-geheim", "snmp-geheim"):
        assert secret not in printed
        assert secret not in written


def test_the_shape_of_the_json(configs):
    said = as_json(use_case.discover([configs]).snapshot.topology)
    assert list(said) == ["version", "devices", "links", "segments", "conflicts"]
    (link,) = said["links"]
    assert list(link) == ["a", "b", "role", "two_sided", "confidence", "evidence"]
    assert link["a"] == {"device": "r1", "port": "eth1"}
    assert (link["role"], link["two_sided"], link["evidence"][0]["source"]) == ("data", False, "subnet")
    assert {"id", "name", "polled"} <= said["devices"][0].keys()
    assert json.dumps(said)


def test_the_same_input_gives_the_same_bytes(here, configs):
    use_case.discover([configs], now=NOON)
    first = (here / "topologies" / "site.yml").read_bytes()
    use_case.discover([configs], now=NOON)
    assert (here / "topologies" / "site.yml").read_bytes() == first


def test_a_dry_run_writes_nothing(here, configs):
    result = use_case.discover([configs], write=False)
    assert result.path is None
    assert len(result.snapshot.topology.links) == 1
    assert not (here / "topologies").exists()


BAD = {
    "rows.snmprec": "1.3.6.1.2.1.1.5.0|4|r1\n1.3.6.1.2.1.2.2.1.4.1|2|many\nnonsense\n",
    "cut.snmprec": "1.3.6.1.2.1.1.5.0|4|r1\n1.3.6.1.2.1.2.2.1.4",
    "gave-up.txt": ".1.3.6.1.2.1.1.5.0 = STRING: r1\nTimeout: No Response from 192.0.2.1\n",
}


def test_bad_rows_and_cut_walks_stop_the_run_with_every_place(here):
    (here / "bad").mkdir()
    for name, text in BAD.items():
        (here / "bad" / name).write_text(text)
    said = refused("bad")
    for place in (
        "bad/rows.snmprec:2  ",
        "bad/rows.snmprec:3  ",
        "bad/cut.snmprec:2  ",
        "bad/gave-up.txt:2  ",
    ):
        assert place in said
    assert not (here / "topologies").exists()


def test_a_lenient_run_goes_on_without_them_and_says_so(here):
    (here / "bad").mkdir()
    for name, text in BAD.items():
        (here / "bad" / name).write_text(text)
    result = use_case.discover(["bad"], lenient=True)
    assert [w.code for w in result.warnings] == [
        "walk-truncated",
        "walk-truncated",
        "bad-snmp-row",
        "bad-snmp-row",
    ]
    assert len(result.rejected) == 2
    assert len(result.snapshot.topology.devices) == 3


def test_a_file_that_labctl_did_not_write_is_not_overwritten(here, configs):
    (here / "notes.yml").write_text("- mine\n")
    assert refused(configs, out="notes.yml").startswith("error: would-overwrite\n")
    assert (here / "notes.yml").read_text() == "- mine\n"


def test_a_device_that_no_source_mentions_any_more_goes_and_is_named(here, configs):
    use_case.discover([configs])
    result = use_case.discover(["site/r1"], name="site")
    assert result.gone == ("r2",)
    assert [d.name for d in files.load_snapshot("topologies/site.yml").topology.devices] == ["r1"]


def test_nothing_answers_nothing_changes(here, configs):
    use_case.discover([configs], name="net", now=NOON)
    before = (here / "topologies" / "net.yml").read_bytes()
    (here / "inventory.yml").write_text(
        "devices:\n  r1: {address: 127.0.0.1, snmp: {community: c, port: 1, timeout: 0.1, retries: 0}}\n"
    )
    assert refused("inventory.yml", name="net").startswith(
        "error: device-unreachable\n  inventory.yml:2:3  r1 "
    )
    assert (here / "topologies" / "net.yml").read_bytes() == before


def test_what_was_not_reached_is_kept_beside_what_was(here, configs):
    """r1's configuration is gone from the files, and its box does not answer: nothing of it is lost."""
    use_case.discover([configs], name="net", now=NOON)
    (here / "inventory.yml").write_text(
        "devices:\n  r1: {address: 127.0.0.1, snmp: {community: c, port: 1, timeout: 0.1, retries: 0}}\n"
    )
    result = use_case.discover(["inventory.yml", "site/r2"], name="net", now=NOON)
    after = files.load_snapshot("topologies/net.yml")
    assert [str(link.id) for link in after.topology.links] == ["r1:eth1--r2:eth1"]
    assert after.topology.device("r1").stale_since == "2026-11-20T12:00:00Z"
    assert sorted(after.configs) == ["r1", "r2"]
    assert [u.error.code for u in result.unread] == ["device-unreachable"]


@pytest.mark.parametrize(
    ("start", "code"), [("nms", "bad-option"), ("lab:", "bad-option"), ("lab:nms", "no-lab")]
)
def test_from_names_a_node_of_a_lab(start, code, here, monkeypatch):
    monkeypatch.setenv("LABCTL_STATE", str(here))
    with pytest.raises(LabctlError) as error:
        use_case.namespace(start)
    assert error.value.code == code
