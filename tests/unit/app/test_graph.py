import json
from itertools import pairwise

import pytest

from labctl.app import graph
from labctl.cli import main
from labctl.errors import LabctlError
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Link, Topology
from labctl.names import PortId
from labctl.runtime.store import Instance
from labctl.schema import files

LAB = """\
name: two
topology:
  nodes:
    r1: {kind: linux, image: frr}
    r2: {kind: linux, image: frr}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.clab.yml").write_text(LAB)
    topology = Topology(
        name="dc1",
        devices=tuple(Device(id=n, name=n, polled=True) for n in ("a", "b")),
        links=(Link(a=PortId("a", "1"), b=PortId("b", "1"), two_sided=True),),
    )
    (tmp_path / "dc1.yml").write_text(files.dump_snapshot(Snapshot(topology=topology)))
    return Instance.here()


def run(capsys, *argv):
    with pytest.raises(SystemExit) as stop:
        main.run(["graph", *argv])
    said = capsys.readouterr()
    return stop.value.code or 0, said.out, said.err


def test_a_lab_file_and_a_snapshot(here):
    assert [str(link.id) for link in graph.load("two.clab.yml", here).links] == ["r1:eth1--r2:eth1"]
    assert graph.load("dc1.yml", here).name == "dc1"


def test_a_name_is_a_lab_and_an_unknown_one_says_so(here):
    with pytest.raises(LabctlError) as caught:
        graph.load("dc2", here)
    assert caught.value.code == "no-lab"


def test_an_inventory_has_no_links(here, tmp_path):
    (tmp_path / "inventory.yml").write_text("devices:\n  r1: {host: 10.0.0.1}\n")
    with pytest.raises(LabctlError) as caught:
        graph.load("inventory.yml", here)
    assert (caught.value.code, str(caught.value.where)) == ("wrong-file", "inventory.yml")


@pytest.mark.parametrize(
    ("output", "begin"),
    [
        ("table", "two: 2 devices, 1 link"),
        ("svg", "<svg "),
        ("dot", 'graph "two" {'),
        ("mermaid", "graph LR"),
        ("json", "{"),
    ],
)
def test_each_format_on_stdout(here, capsys, output, begin):
    code, out, err = run(capsys, "two.clab.yml", "-f", output)
    assert (code, err) == (0, "")
    assert out.startswith(begin)


def test_out_writes_the_file_and_nothing_on_stdout(here, capsys, tmp_path):
    code, out, err = run(capsys, "two.clab.yml", "-f", "json", "-o", "pictures/two.json")
    assert (code, out, err) == (0, "", "wrote pictures/two.json\n")
    assert json.loads((tmp_path / "pictures" / "two.json").read_text())["name"] == "two"


def test_a_file_that_cannot_be_written(here, capsys, tmp_path):
    (tmp_path / "pictures").write_text("in the way")
    code, _, err = run(capsys, "two.clab.yml", "-f", "svg", "-o", "pictures/two.svg")
    assert code == 6
    assert "error: cannot-write\n  pictures/two.svg  " in err


def test_what_is_too_much_for_a_terminal_or_a_layout_is_said(here, capsys, tmp_path):
    names = [f"r{i}" for i in range(1202)]
    links = tuple(Link(a=PortId(a, "1"), b=PortId(b, "2"), two_sided=True) for a, b in pairwise(names))
    devices = tuple(Device(id=n, name=n, polled=True) for n in names)
    topology = Topology(name="chain", devices=devices, links=links)
    (tmp_path / "chain.yml").write_text(files.dump_snapshot(Snapshot(topology=topology)))
    _, out, _ = run(capsys, "chain.yml")
    assert "  … and 201 more, which `--format json` lists" in out.splitlines()
    assert "cuts off r0, r1, r10, r100, r101, r102 and 594 more" in out
    _, out, err = run(capsys, "chain.yml", "-f", "svg")
    assert err == "1,202 devices are too many for a layout: they are drawn in rows\n"
    assert out.count('<g class="device') == 1202 + 1  # and one in the legend
