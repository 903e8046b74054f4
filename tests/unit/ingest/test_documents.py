"""Cables that somebody wrote down: Batfish's layer-1 file, lab files; and what a Linux host's lldpd prints."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from labctl.errors import LabctlError, render
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import SOURCES, Context, Reading, recognise
from labctl.model.observation import Found
from labctl.topo.merge import merge

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("LABCTL_CORPUS", ROOT / "../shared/corpus"))
corpus = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)"),
]


def edge(a, a_port, z, z_port):
    return {
        "node1": {"hostname": a, "interfaceName": a_port},
        "node2": {"hostname": z, "interfaceName": z_port},
    }


def read(*paths):
    reading = Reading()
    for each in recognise([str(path) for path in paths])[0]:
        reading.add(SOURCES[each.source].read(each.path, Context(redactor=Redactor())))
    return reading


def topology(reading):
    return merge(
        "t",
        Found(
            observations=tuple(reading.observations),
            configs=tuple(reading.configs),
            cables=tuple(reading.cables),
        ),
    )


def frr(name, address):
    return f"frr version 8.4\nfrr defaults traditional\nhostname {name}\n!\ninterface eth1\n ip address {address}\n"


def test_a_batfish_snapshot_is_read_as_it_is(tmp_path):
    for below in ("configs", "batfish", "show/r1"):
        (tmp_path / below).mkdir(parents=True)
    (tmp_path / "configs" / "r1.cfg").write_text(frr("r1", "10.0.0.1/24"))
    (tmp_path / "configs" / "r2.cfg").write_text(frr("r2", "10.0.0.2/24"))
    (tmp_path / "show" / "r1" / "run.txt").write_text(frr("wrong", "10.0.0.3/24"))
    both = [edge("r1", "eth1", "R2", "e1"), edge("R2", "e1", "r1", "eth1")]
    (tmp_path / "batfish" / "layer1_topology.json").write_text(json.dumps({"edges": both}, indent=1))
    found = topology(read(tmp_path))
    assert [device.name for device in found.devices] == ["r1", "r2"]
    (link,) = found.links
    assert (str(link.id), link.two_sided, link.confidence) == ("r1:eth1--r2:eth1", False, 0.906)
    assert [(e.source, e.rule) for e in link.evidence] == [("layer1", "ifName; abbreviation"), ("subnet", "")]
    assert link.evidence[0].where == f"{tmp_path}/batfish/layer1_topology.json:3"


def test_an_frr_conf_need_not_name_every_interface(tmp_path):
    for name, text in (
        ("r1", frr("r1", "10.0.0.1/24")),
        ("r2", "frr version 8.4\nhostname r2\nrouter bgp 1\n"),
    ):
        (tmp_path / f"{name}.conf").write_text(text)
    (tmp_path / "layer1_topology.json").write_text(json.dumps({"edges": [edge("r1", "eth1", "r2", "eth7")]}))
    found = topology(read(tmp_path))
    assert [str(link.id) for link in found.links] == ["r1:eth1--r2:eth7"]
    assert "eth7" in [i.name for i in found.device("r2").interfaces]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"edges": 1}', "bad-row\n  FILE:1  there is no list of edges"),
        ('{"edges": [\n', "bad-json\n  FILE:2:1  this is not JSON: expecting value"),
        ('{"edges": [\n{"node1": {"hostname": "r1"}}]}', "bad-row\n  FILE:2  an edge needs hostname and"),
    ],
)
def test_a_bad_layer_1_file_has_its_place(tmp_path, text, said):
    path = tmp_path / "layer1_topology.json"
    path.write_text(text)
    try:
        errors = read(path).broken
    except LabctlError as error:
        errors = [error]
    assert said.replace("FILE", str(path)) in "\n".join(map(render, errors))


LAB = """name: small
topology:
  nodes:
    r1: {kind: linux, image: x, binds: ["r1:/etc/frr"]}
    r2: {kind: linux, image: x}
    r3: {kind: linux, image: x}
    hub: {kind: bridge}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
    - endpoints: ["r1:eth2", "hub:p1"]
    - endpoints: ["r2:eth2", "hub:p2"]
    - endpoints: ["r3:eth2", "hub:p3"]
"""


def test_a_lab_file_is_a_document_with_configurations(tmp_path):
    (tmp_path / "small.clab.yml").write_text(LAB)
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1" / "frr.conf").write_text(frr("r1", "10.0.0.1/24"))
    found = topology(read(tmp_path / "small.clab.yml"))
    assert [(device.name, device.polled) for device in found.devices] == [
        ("r1", True),  # its configuration is
        ("r2", False),
        ("r3", False),
    ]
    (link,) = found.links
    assert (str(link.id), link.confidence) == ("r1:eth1--r2:eth1", 0.85)
    assert link.evidence[0].where == f"{tmp_path}/small.clab.yml:9"
    (segment,) = found.segments
    assert [str(port) for port in segment.ports] == ["r1:eth2", "r2:eth2", "r3:eth2"]


def test_what_a_device_hears_wins_over_a_lab_file(tmp_path):
    (tmp_path / "small.clab.yml").write_text(LAB)
    (tmp_path / "n.csv").write_text(
        "device,port,neighbour,neighbour_port\nr1,eth1,r3,eth9\nr3,eth9,r1,eth1\n"
    )
    found = topology(read(tmp_path / "small.clab.yml", tmp_path / "n.csv"))
    assert [str(link.id) for link in found.links] == ["r1:eth1--r3:eth9"]
    (conflict,) = [c for c in found.conflicts if c.kind == "record-differs"]
    assert (conflict.subject, conflict.resolution) == (
        "r1:eth1--r2:eth1",
        "stronger evidence for r1:eth1--r3:eth9",
    )


@pytest.mark.parametrize("lab", ["eos_ospf_bgp", "eos_ibgp_local_preference", "sonic_bgp_lab"])
@pytest.mark.parametrize("mark", [pytest.param("", marks=corpus)])
def test_layer_1_files_of_others(lab, mark):
    path = CORPUS / "lab-validation" / lab / "batfish" / "layer1_topology.json"
    pairs = {
        frozenset(((n1["hostname"], n1["interfaceName"]), (n2["hostname"], n2["interfaceName"])))
        for n1, n2 in ((each["node1"], each["node2"]) for each in json.loads(path.read_text())["edges"])
    }
    found = topology(read(path))
    assert {
        frozenset(((link.a.node, link.a.interface), (link.b.node, link.b.interface))) for link in found.links
    } == pairs


# -- lldpd ------------------------------------------------------------------------------------------------------


def sh(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def ask(sock, *what):
    """Empty while lldpd is not ready."""
    return subprocess.run(["lldpcli", "-u", sock, *what], check=False, capture_output=True, text=True).stdout


def hear_each_other(socks):
    for _ in range(150):
        time.sleep(0.2)
        if all('"rid"' in ask(sock, "-f", "json", "show", "neighbors") for sock in socks):
            return
    pytest.fail("the two lldpd do not hear each other")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Two namespaces, a cable, and a real lldpd in each: what `lldpcli` prints, as files."""
    if os.geteuid() != 0 or not shutil.which("lldpd"):
        pytest.skip("needs root and lldpd")
    out = tmp_path_factory.mktemp("hosts")
    state = Path(tempfile.mkdtemp(prefix="labctl-lldpd-"))
    state.chmod(0o755)  # lldpd gives up root before it opens its socket
    names, running = [f"labctl-lldp{n}-{os.getpid()}" for n in (1, 2)], []
    socks = [str(state / f"{n}.sock") for n in (1, 2)]
    try:
        for name in names:
            sh("ip", "netns", "add", name)
        ends = ["name", "e1", "netns", names[0], "type", "veth", "peer", "name", "e2", "netns", names[1]]
        sh("ip", "link", "add", *ends)
        for n, (name, sock) in enumerate(zip(names, socks, strict=True), 1):
            sh("ip", "-n", name, "link", "set", f"e{n}", "up")
            command = ["ip", "netns", "exec", name, "lldpd", "-d", "-I", f"e{n}", "-u", sock]
            with open(state / f"{n}.log", "w") as log:
                running.append(
                    subprocess.Popen([*command, "-p", str(state / f"{n}.pid")], stdout=log, stderr=log)
                )
        hear_each_other(socks)
        for form in ("json", "json0"):
            (out / form).mkdir()
            for n, sock in enumerate(socks, 1):
                (out / form / f"host{n}.json").write_text(ask(sock, "-f", form, "show", "neighbors"))
                (out / form / f"host{n}-interfaces.json").write_text(
                    ask(sock, "-f", form, "show", "interfaces")
                )
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait(10)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        shutil.rmtree(state)
    return out


@pytest.mark.root
@pytest.mark.parametrize("form", ["json", "json0"])
def test_two_hosts_with_lldpd(hosts, form):
    found = topology(read(hosts / form))
    (link,) = found.links
    assert link.two_sided
    assert {end.interface for end in (link.a, link.b)} == {"e1", "e2"}
    assert [device.polled for device in found.devices] == [True, True]
    assert {Path(e.where.rpartition(":")[0]).name for e in link.evidence} == {"host1.json", "host2.json"}
