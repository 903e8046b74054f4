"""Public lab files (LABCTL_CORPUS): each resolves to the nodes and links it is known to have, or is refused for a
reason that is written here. What is refused is a strict xfail, so the day it works this list gets shorter.
"""

import csv
import os
from pathlib import Path

import pytest

from labctl.schema import clab, clab_out

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("LABCTL_CORPUS", ROOT / "../shared/corpus")) / "clab"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)"),
]

NEEDS_LENIENT = {"1-starter-topologies/sonic-8000e/5-node/clab-5-node-8000e.yml"}
TEMPLATE = "a Go template; labctl does not render templates yet"
REFUSED = {
    "clos3.clab.gotmpl": TEMPLATE,
    "tests/01-smoke/30-bridge-reconcile.clab.yml": TEMPLATE,
    "core/test_data/topo6.yml": "uses three interfaces twice; containerlab refuses it too",
    "core/test_data/topo10.yml": "env-files are not emulated yet",
    "vrrpv2/topology.yml": "has a link to `host:`",
    "vrrpv3-ipv6/topology.yml": "has a link to `host:`",
    "tests/01-smoke/24-bridge-in-ns.clab.yaml": "a bridge inside another node's namespace",
    "tests/01-smoke/netmodes.clab.yml": "network-mode container:",
    "tests/06-ext-container/02-shared-namespace.clab.yaml": "network-mode container:",
    "tests/01-smoke/stages.clab.yml": "stages",
    "tests/08-vxlan/vxlan-stitch-linux.clab.yml": "vxlan-stitch",
}


def rows():
    if not CORPUS.is_dir():
        return []
    with (CORPUS / "index.csv").open() as file:
        return list(csv.DictReader(file))


def file_of(row):
    return CORPUS / row["repo"].replace("/", "__") / row["path"]


def case(row):
    marks = [pytest.mark.xfail(reason=REFUSED[row["path"]], strict=True)] if row["path"] in REFUSED else []
    return pytest.param(row, id=row["path"], marks=marks)


@pytest.mark.parametrize("row", [case(row) for row in rows()])
def test_a_public_lab_file_is_read_and_written(row):
    path = file_of(row)
    quiet = {"env": {}, "notify": lambda _: None}
    lab = clab.load(path, lenient=row["path"] in NEEDS_LENIENT, **quiet)
    assert (len(lab.nodes), len(lab.cables)) == (int(row["nodes"]), int(row["links"]))
    again = clab.parse(clab_out.dump(lab, relative_to=str(path.parent)), file=str(path), **quiet)
    assert again == lab


def test_how_many_of_the_corpus_are_read(capsys):
    total = len(rows())
    with capsys.disabled():
        print(
            f" [{total - len(REFUSED)} of {total} public lab files are read; {len(REFUSED)} refused] ", end=""
        )
    assert {row["path"] for row in rows()} >= set(REFUSED)
