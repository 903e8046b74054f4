"""What a path holds, and what became of each file."""

import os

import pytest

from labctl.errors import LabctlError, render
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import SOURCES, Context, recognise

FILES = {
    "r1.snmprec": "1.3.6.1.2.1.1.5.0|4|r1\n",
    "r2.txt": '.1.3.6.1.2.1.1.5.0 = STRING: "r2"\n',
    "r3/frr.conf": "frr version 8.4.4\nfrr defaults traditional\nhostname r3\n!\nrouter bgp 1\n",
    "r3/daemons": "bgpd=yes\n",
    "r4/ip-addr.json": '[{"ifname": "eth1", "flags": ["UP"], "addr_info": []}]',
    "r4/frr.conf": "frr defaults traditional\nhostname r4\n",
    "inventory.yml": "defaults: {}\ndevices: {r5: {address: 127.0.0.1, snmp: {community: c, port: 1, timeout: 0.1, retries: 0}}}\n",
    "lab.clab.yml": "name: x\ntopology: {nodes: {r9: {kind: linux, image: i}}}\n",
    ".hidden.snmprec": "1.3.6.1.2.1.1.5.0|4|hidden\n",
    "binary": "\0\1\2",
}


@pytest.fixture
def site(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_each_file_goes_to_the_source_that_claims_it(site):
    inputs, passed_over = recognise([str(site)])
    assert {i.path.removeprefix(f"{site}/"): i.source for i in inputs} == {
        "inventory.yml": "inventory",
        "lab.clab.yml": "clab",
        "r1.snmprec": "snmprec",
        "r2.txt": "snmpwalk",
        "r3/frr.conf": "frr",
        "r4/ip-addr.json": "linux",
    }
    assert sorted(p.removeprefix(f"{site}/") for p in passed_over) == [
        "binary",
        "r3/daemons",
        "r4/frr.conf",
    ]


def test_files_can_be_named_one_by_one(site):
    inputs, _ = recognise([str(site / "r2.txt"), str(site / "r1.snmprec")])
    assert [i.source for i in inputs] == ["snmpwalk", "snmprec"]


@pytest.mark.parametrize(("name", "code"), [("binary", "unknown-source"), ("nowhere", "file-not-found")])
def test_a_path_that_holds_nothing_is_an_error(site, name, code):
    with pytest.raises(LabctlError) as error:
        recognise([str(site / "r1.snmprec"), str(site / name)])
    assert render(error.value).startswith(f"error: {code}\n  {site / name}  ")


def test_every_source_reads_what_it_claims(site):
    inputs, _ = recognise([str(site)])
    context = Context(redactor=Redactor())
    read = {i.source: SOURCES[i.source].read(i.path, context) for i in inputs}
    assert [o.key for o in read["snmprec"].observations] == ["r1"]
    assert [o.sys_name for o in read["snmpwalk"].observations] == ["r2"]
    assert [key for key, _ in read["frr"].configs] == ["r3"]
    assert [(key, c.dialect) for key, c in read["linux"].configs] == [("r4", "frr")]
    assert [each.name for each in read["inventory"].unread] == ["r5"]  # nobody listens there


def test_a_walk_with_a_bad_row_is_not_complete(site):
    (site / "r1.snmprec").write_text("1.3.6.1.2.1.1.5.0|4|r1\nnonsense\n")
    reading = SOURCES["snmprec"].read(str(site / "r1.snmprec"), Context(redactor=Redactor()))
    assert [(e.code, str(e.where)) for e in reading.broken] == [("bad-snmp-row", f"{site}/r1.snmprec:2")]
    assert not reading.observations[0].complete


def test_many_bad_rows_are_summed_up(site):
    (site / "r1.snmprec").write_text("1.3.6.1.2.1.1.5.0|4|r1\n" + "nonsense\n" * 50)
    reading = SOURCES["snmprec"].read(str(site / "r1.snmprec"), Context(redactor=Redactor()))
    assert len(reading.broken) == 21
    assert reading.broken[-1].message == "30 more such rows"


def test_what_is_no_file_in_a_directory_is_passed_over(tmp_path):
    (tmp_path / "core1.snmprec").write_text("1.3.6.1.2.1.1.5.0|4|core1\n")
    os.mkfifo(tmp_path / "control")
    (tmp_path / "gone").symlink_to("nowhere")
    inputs, passed_over = recognise([str(tmp_path)])
    assert [each.source for each in inputs] == ["snmprec"]
    assert passed_over == [str(tmp_path / "control"), str(tmp_path / "gone")]


def test_a_snapshot_is_no_lab_file_although_it_has_a_topology(tmp_path):
    (tmp_path / "dc1.yml").write_text("kind: snapshot\nversion: 1\ntopology: {name: dc1}\n")
    (tmp_path / "dc1.clab.yml").write_text("name: dc1\ntopology: {nodes: {}}\n")
    inputs, passed_over = recognise([str(tmp_path)])
    assert [each.source for each in inputs] == ["clab"]
    assert passed_over == [str(tmp_path / "dc1.yml")]
