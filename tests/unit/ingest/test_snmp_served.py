"""Recorded walks served over UDP by snmpsim, a foreign agent: the same topology as from the files (LABCTL_CORPUS).

`make test` serves the stadium without its large tables (forwarding, ARP, stacking); `make soak` all of it, and every
single walk. Small walks are asked with SNMPv3 and a context, the stadium with v2c.
"""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from snmpsim_agent import Simulator

from labctl.app.discover import discover
from labctl.schema import files

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("LABCTL_CORPUS", ROOT / "../shared/corpus")) / "snmp"
STADIUM = sorted((CORPUS / "eltex-stadium").glob("*.snmprec"))
SINGLE = sorted((CORPUS / "single").glob("*.snmprec"))
#: system, ifDescr, ifType, ifPhysAddress, ifName, the bridge, LLDP, CDP.
SMALL = re.compile(
    rb"1\.3\.6\.1\.2\.1\.(1|2\.2\.1\.[236]|31\.1\.1\.1\.1|17\.1)\.|1\.0\.8802\.1\.1\.2\.|1\.3\.111\.|1\.3\.6\.1\.4\.1\.9\.9\.23\."
)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)"),
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(walks, directory):
    """The walks without their large tables."""
    directory.mkdir()
    for path in walks:
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if SMALL.match(line)]
        (directory / path.name).write_bytes(b"".join(lines))
    return sorted(directory.glob("*.snmprec"))


def facts(topology):
    """All but where it was read."""
    return (
        [(str(link.id), link.two_sided, link.confidence, link.role) for link in topology.links],
        [(segment.name, segment.ports) for segment in topology.segments],
        [(d.name, d.id, d.polled, d.interfaces, d.identities) for d in topology.devices],
        [(c.kind, c.subject, c.resolution) for c in topology.conflicts if c.kind != "rows-rejected"],
    )


def same(walks, here, version):
    with Simulator(walks, here) as simulator:
        live = discover([simulator.inventory(here / "inventory.yml", version=version)], write=False, name="x")
    assert live.unread == ()
    saved = discover([str(path) for path in walks], write=False, name="x")
    assert facts(live.snapshot.topology) == facts(saved.snapshot.topology)
    return live.snapshot.topology


@pytest.mark.parametrize("version", [2, pytest.param(3, marks=pytest.mark.soak)])
def test_the_stadium_over_udp_is_the_stadium_of_the_files(here, version):
    topology = same(small(STADIUM, here / "small"), here, version)
    polled = {device.name for device in topology.devices if device.polled}
    inside = [link for link in topology.links if {link.a.node, link.b.node} <= polled]
    assert sorted(link.two_sided for link in inside) == [False] + [True] * 12


def test_the_simulator_dies_in_the_middle_and_nothing_is_removed(here):
    walks = small(STADIUM, here / "small")
    before = discover([str(path) for path in walks], name="net", now=NOON)
    with Simulator(walks, here) as simulator:
        inventory = simulator.inventory(here / "inventory.yml", version=2, timeout=1, retries=0)

        def die(event):
            if event.kind == "device-asked":
                simulator.kill()

        after = discover([inventory], name="net", now=NOON, emit=die)
    unread = {each.name for each in after.unread}
    assert unread
    assert unread < {path.stem for path in walks}  # the first had answered
    topology = files.load_snapshot("topologies/net.yml").topology
    stale = {device.name for device in topology.devices if device.stale_since}
    assert stale == unread
    assert {d.stale_since for d in topology.devices if d.name in stale} == {"2026-11-20T12:00:00Z"}

    def links(found):
        return [(str(link.id), link.two_sided) for link in found.links]

    assert links(topology) == links(before.snapshot.topology)
    assert after.gone == ()


@pytest.mark.parametrize("path", [p for p in SINGLE if p.stat().st_size < 140_000], ids=lambda p: p.stem)
def test_small_walks_over_udp(path, here):
    same(small([path], here / "small"), here, 3)


@pytest.mark.soak
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    "walks", [STADIUM, *([path] for path in SINGLE)], ids=lambda w: w[0].stem if w else "none"
)
def test_all_walks_whole_over_udp(walks, version, here):
    same(walks, here, version)
