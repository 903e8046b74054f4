"""The schemas are schemas, and what labctl reads and prints is valid against them."""

import csv
import json
import os
from pathlib import Path

import jsonschema
import pytest
import yaml as pyyaml

from labctl.cli import main
from labctl.errors import LabctlError
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Interface, Link, Topology
from labctl.names import PortId
from labctl.schema import clab, clab_keys, clab_out, files, json_schema

CORPUS = Path(os.environ.get("LABCTL_CORPUS", Path(__file__).parents[3] / "../shared/corpus")) / "clab"
ERRORS = Path(__file__).parents[2] / "errors"


def check(name, value):
    jsonschema.validate(value, json_schema.schema(name), jsonschema.Draft202012Validator)


def printed(capsys, *argv):
    with pytest.raises(SystemExit):
        main.run([*argv, "--format", "json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", json_schema.names())
def test_each_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(json_schema.schema(name))


def test_a_name_that_is_none():
    with pytest.raises(LabctlError) as caught:
        json_schema.schema("snapshto")
    assert (caught.value.code, caught.value.hint) == ("unknown-schema", "did you mean `snapshot`?")


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)")
def test_public_lab_files_that_labctl_reads_are_valid():
    with (CORPUS / "index.csv").open() as file:
        paths = [CORPUS / row["repo"].replace("/", "__") / row["path"] for row in csv.DictReader(file)]
    read = 0
    for path in paths:
        try:
            lab = clab.load(path, env={}, notify=lambda _: None)
        except LabctlError:
            continue
        text = path.read_text()
        if "ipv4_subnet" not in text:
            check("lab", pyyaml.safe_load(text))
        check("lab", pyyaml.safe_load(clab_out.dump(lab)))
        read += 1
    assert read >= 28


@pytest.mark.parametrize(
    "stem", ["unknown-key", "unknown-key-old", "missing-key", "unsupported", "unsupported-link"]
)
def test_files_with_the_wrong_keys_are_not_valid(stem):
    with pytest.raises(jsonschema.ValidationError):
        check("lab", pyyaml.safe_load((ERRORS / f"{stem}.clab.yml").read_text()))


def test_a_snapshot_is_valid():
    snapshot = Snapshot(
        topology=Topology(
            name="dc1",
            devices=(Device(id="1", name="r1", polled=True, interfaces=(Interface(name="e1", mtu=1500),)),),
            links=(Link(a=PortId("r1", "e1"), b=PortId("r2", "e1")),),
        )
    )
    check("snapshot", pyyaml.safe_load(files.dump(snapshot)))
    with pytest.raises(jsonschema.ValidationError):
        check("snapshot", {"kind": "snapshot", "version": 1, "topology": {"nam": "dc1"}})


def test_what_validate_prints(capsys):
    names = sorted(str(p) for p in ERRORS.glob("*.yml"))
    shown = printed(capsys, "validate", *names)
    check("validate", shown)
    assert len(shown["files"]) == len(names)


def test_what_schema_prints(capsys):
    assert printed(capsys, "schema") == {"version": 1, "schemas": json_schema.names()}
    assert printed(capsys, "schema", "lab") == json.loads(json.dumps(json_schema.schema("lab")))


@pytest.mark.root
def test_what_doctor_prints(capsys):
    check("doctor", printed(capsys, "doctor"))


def test_the_table_of_keys_is_complete_in_itself():
    for table in (
        clab_keys.TOP,
        clab_keys.MGMT,
        clab_keys.NODE,
        clab_keys.BRIEF,
        clab_keys.VETH,
        clab_keys.END,
    ):
        for name, key in table.items():
            assert key.support is clab_keys.Support.YES or key.note, name
