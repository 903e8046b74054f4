"""Walks of real devices that nobody here recorded (LABCTL_CORPUS): read without exception, and nothing invented."""

import json
import os
import re
from pathlib import Path

import pytest

from labctl.ingest import mib_tables, mibs, snmprec
from labctl.model.observation import Found
from labctl.topo.identity import identify
from labctl.topo.merge import merge
from labctl.topo.resolve import resolve

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("LABCTL_CORPUS", ROOT / "../shared/corpus")) / "snmp"
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)"),
]
WALKS = sorted(CORPUS.glob("*/*.snmprec"))


def observe(path):
    read = snmprec.read(path)
    assert (read.rejected, read.truncated) == ([], "")
    return mibs.decode(read.cells, key=path.stem, source="snmprec", where=path.name)


def test_the_stadium_has_exactly_the_cables_that_it_has():
    walks = sorted((CORPUS / "eltex-stadium").glob("*.snmprec"))
    topology = merge("stadium", Found(observations=tuple(map(observe, walks))))
    polled = {device.name for device in topology.devices if device.polled}
    assert len(polled) == len(walks) == 6
    inside = [link for link in topology.links if {link.a.node, link.b.node} <= polled]
    expected = json.loads((CORPUS / "eltex-stadium" / "expected-links.json").read_text())

    def pair(link):
        return frozenset(end.node.rpartition("_")[2] for end in (link.a, link.b))

    counted = {}
    for link in inside:
        if link.two_sided:
            counted[pair(link)] = counted.get(pair(link), 0) + 1
    assert counted == {frozenset(key.split("--")): n for key, n in expected["two_sided"].items()}
    one_sided = [
        {f"{end.node.rpartition('_')[2]} {end.interface}" for end in (link.a, link.b)}
        for link in inside
        if not link.two_sided
    ]
    assert one_sided == [set(key.split(" -> ")) for key in expected["one_sided"]]
    assert topology.segments == ()
    assert {link.confidence for link in inside if link.two_sided} == {0.99}


@pytest.mark.parametrize("path", WALKS, ids=lambda p: p.stem)
def test_every_row_is_kept_or_its_rejection_explained(path):
    indices = {
        tuple(mib_tables.oid(match[1]))
        for line in path.read_bytes().decode("latin-1").splitlines()
        if (match := re.match(r"1\.0\.8802\.1\.1\.2\.1\.4\.1\.1\.\d+\.([\d.]+)\|", line))
    }
    seen = observe(path)
    kept = {row.index for row in seen.neighbours if row.protocol == "lldp"}
    rejected = " ".join(row.reason for row in seen.rejected)
    explained = {index for index in indices - kept if f"lldp row {mib_tables.dotted(index)} " in rejected}
    later = {(i[-2:], i) for i in kept}  # the same row under an earlier timeMark
    replaced = {i for i in indices - kept - explained if any(k == i[-2:] and j > i for k, j in later)}
    assert indices - kept - explained - replaced == set()
    assert all(row.where for row in seen.rejected)


@pytest.mark.parametrize("path", WALKS, ids=lambda p: p.stem)
def test_every_walk_merges_and_every_claim_is_placed_or_reported(path):
    found = Found(observations=(observe(path),))
    resolved = resolve(identify(found))
    topology = merge(path.stem, found)
    placed = {e.where for link in topology.links for e in link.evidence}
    placed |= {e.where for segment in topology.segments for e in segment.evidence}
    said = {e.where for conflict in topology.conflicts for e in conflict.said}
    assert {claim.evidence.where for claim in resolved.claims} <= placed | said
    ends = [end for link in topology.links for end in (link.a, link.b)]
    assert len(ends) == len(set(ends))


def test_how_many_rows_resolve_to_a_port(capsys):
    rows = resolved = 0
    for path in WALKS:
        for claim in resolve(identify(Found(observations=(observe(path),)))).claims:
            rows += 1
            resolved += claim.port is not None
    with capsys.disabled():
        print(f"\nneighbour rows of the corpus: {resolved} of {rows} have a local port")
    assert rows - resolved == 9  # routeros_rb760igs does not say which port heard them
