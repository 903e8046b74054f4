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

SMALL = Snapshot(
    topology=Topology(
        name="dc1",
        devices=(
            Device(id="1", name="r1", polled=True, interfaces=(Interface(name="e1", mtu=1500),)),
            Device(id="2", name="r2", polled=True, interfaces=(Interface(name="e1"),)),
        ),
        links=(Link(a=PortId("r1", "e1"), b=PortId("r2", "e1"), two_sided=True, confidence=0.9),),
    )
)


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
    check("snapshot", pyyaml.safe_load(files.dump(SMALL)))
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


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)")
def test_what_discover_prints(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    walks = CORPUS.resolve().parent / "snmp" / "eltex-stadium"
    shown = printed(capsys, "discover", "--dry-run", str(walks))
    check("discover", shown)
    assert shown["links"]


def test_what_render_prints(capsys, tmp_path):
    (tmp_path / "dc1.yml").write_text(files.dump(SMALL))
    shown = printed(capsys, "render", str(tmp_path / "dc1.yml"), "--out", str(tmp_path / "out"))
    check("render", shown)
    assert len(shown["cables"]) == 1
    check("lab", pyyaml.safe_load(Path(shown["file"]).read_text()))
    (table,) = (tmp_path / "out").rglob("*.alloc.yml")
    check("allocation-table", pyyaml.safe_load(table.read_text()))


@pytest.mark.root
def test_what_the_verbs_of_a_lab_print(capsys, tmp_path, monkeypatch):
    """Deployed and removed by the real runtime."""
    store = os.environ.get("LABCTL_IMAGES") or f"{os.environ.get('LABCTL_STATE', '/var/lib/labctl')}/images"
    monkeypatch.setenv("LABCTL_IMAGES", store)
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    if not (Path(store) / "refs").is_dir():
        pytest.skip(f"needs the images of `make images` (none in {store})")
    file = tmp_path / "schemas.clab.yml"
    file.write_text(
        "name: schemas\ntopology:\n  nodes:\n    r1: {kind: linux, image: labctl/base, group: g, cmd: sleep infinity}\n"
        "    br1: {kind: bridge}\n  links:\n    - endpoints: ['r1:eth1', 'br1:p1']\n"
    )
    check("plan", printed(capsys, "deploy", "--dry-run", str(file)))
    try:
        check("inspect", printed(capsys, "deploy", str(file)))
        file.write_text(file.read_text().replace("group: g", "group: h"))
        for more in (("--dry-run",), ()):
            shown = printed(capsys, "apply", str(file), *more)
            check("apply", shown)
            assert [(step["do"], step["subject"]) for step in shown["steps"]] == [("change-node", "r1")]
        shown = printed(capsys, "inspect")
        check("inspect", shown)
        assert shown["schemas"][0]["state"] == "running"
        added = printed(capsys, "fault", "add", "node.hang", "r1", "--for", "60s")
        check("fault-add", added)
        check("fault-list", printed(capsys, "fault", "list"))
        check("fault-clear", printed(capsys, "fault", "clear", added["id"]))
        check("fault-kinds", printed(capsys, "fault", "kinds"))
        check("heal", printed(capsys, "heal"))
    finally:
        with pytest.raises(SystemExit):
            main.run(["destroy", "schemas", "--yes"])


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
