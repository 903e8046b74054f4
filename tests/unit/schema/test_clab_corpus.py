"""Public lab files (LABCTL_CORPUS): each resolves to the nodes and links it is known to have, or is refused for a
reason that is written here. What is refused is a strict xfail, so the day it works this list gets shorter. What only a
deploy must not meet (topo6 uses three interfaces twice, topo10 names files that are not there) is told, not refused.
"""

import csv
import os
from pathlib import Path

import pytest

from labctl.app import validate
from labctl.errors import LabctlError
from labctl.schema import clab, clab_out

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("LABCTL_CORPUS", ROOT / "../shared/corpus")) / "clab"

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)"),
]

NEEDS_LENIENT = {"1-starter-topologies/sonic-8000e/5-node/clab-5-node-8000e.yml"}
#: Variables of templates that have no values of their own.
VARIABLES = {"clos3.clab.gotmpl": "sflow: {sampling: 1000, polling: 5}\nleaves: {num: 1}\nspines: {num: 1}\n"}
REFUSED = {}


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
def test_a_public_lab_file_is_read_and_written(row, tmp_path):
    path = file_of(row)
    quiet = {"env": {}, "notify": lambda _: None, "deferred": lambda _: None}
    (tmp_path / "vars.yml").write_text(VARIABLES.get(row["path"], ""))
    lab = clab.load(
        path, lenient=row["path"] in NEEDS_LENIENT, variables=[str(tmp_path / "vars.yml")], **quiet
    )
    assert (len(lab.nodes), len(lab.cables)) == (int(row["nodes"]), int(row["links"]))
    again = clab.parse(clab_out.dump(lab, relative_to=str(path.parent)), file=str(path), **quiet)
    assert again == lab


def test_the_template_without_its_variables_is_refused_at_the_first_one():
    if not CORPUS.is_dir():
        return
    with pytest.raises(LabctlError) as caught:
        clab.load(CORPUS / "sflow-rt__containerlab/clos3.clab.gotmpl", env={})
    found = caught.value
    assert (found.code, found.where.line, found.where.column) == ("missing-variable", 12, 20)
    assert found.message == "the template needs the variable `sflow.sampling`, which nothing sets"


@pytest.mark.parametrize("row", [case(row) for row in rows()])
def test_validate_says_what_the_corpus_is_known_to_be(row):
    """Without --lenient and --vars: all are good but the two that need these."""
    found = validate.validate([str(file_of(row))])[0]
    codes = {error.code for error in found.errors}
    if row["path"] in NEEDS_LENIENT:
        assert codes == {"unknown-key"}
        found = validate.validate([str(file_of(row))], lenient=True)[0]
        codes = {error.code for error in found.errors}
    if row["path"] in VARIABLES:
        assert codes == {"missing-variable"}
    else:
        assert (codes, found.kind) == (set(), "lab")


def test_how_many_of_the_corpus_are_read(capsys):
    total = len(rows())
    with capsys.disabled():
        print(
            f" [{total - len(REFUSED)} of {total} public lab files are read; {len(REFUSED)} refused] ", end=""
        )
    assert {row["path"] for row in rows()} >= set(REFUSED)
