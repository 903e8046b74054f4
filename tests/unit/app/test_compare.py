import json
from dataclasses import replace

import jsonschema
import pytest
import yaml as pyyaml

from labctl.app import compare
from labctl.cli import main
from labctl.errors import LabctlError
from labctl.model.routes import Adjacency, NextHop, Route, RouteComparison, RouteTables
from labctl.model.verdict import Verdict
from labctl.runtime.store import Instance
from labctl.schema import files, json_schema


def route(prefix, *hops, protocol="ospf"):
    return Route(prefix=prefix, protocol=protocol, next_hops=frozenset(NextHop(*h) for h in hops), metric=20)


SAVED = RouteTables(
    routes={
        "r1": (
            route("10.2.0.0/24", ("10.0.12.2", "Gi0/1"), ("10.0.13.3", "Gi0/2")),
            route("10.3.0.0/24", ("10.0.13.3", "Gi0/2")),
        ),
        "r2": None,
    },
    management=("172.20.20.0/24",),
    adjacencies=(
        Adjacency(kind="ospf", node="r1", peer="10.255.0.2", interface="Gi0/1", state="Full/-", up=True),
    ),
)
OTHER = RouteTables(routes={"r1": (route("10.2.0.0/24", ("10.0.12.2", "Gi0/1")),), "r2": ()})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name, tables in (("saved", SAVED), ("other", OTHER)):
        (tmp_path / f"{name}.yml").write_text(files.dump(tables))
    return Instance.here()


def run(capsys, *argv):
    with pytest.raises(SystemExit) as stop:
        main.run(["compare", *argv])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def test_a_saved_state_is_what_was_saved(here):
    assert compare.load("saved.yml", here) == SAVED
    text = files.dump(SAVED)
    jsonschema.Draft202012Validator(json_schema.schema("route-tables")).validate(
        json.loads(json.dumps(pyyaml.safe_load(text)))
    )


def test_differences_exit_1_and_are_a_table(here, capsys):
    code, out, err = run(capsys, "other.yml", "--with", "saved.yml")
    assert code == 1
    assert out.splitlines()[0].split() == [
        "NODE",
        "PREFIX",
        "DIFFERENCE",
        "REFERENCE",
        "LAB",
        "LIKELY",
        "REASON",
    ]
    assert "1 of 2 equal paths missing in the shadow" in out
    assert err.splitlines() == [
        "could not be read in one of the two: r2",
        "FAIL: 0 % of 2 routes on 1 node equal; 1 node could not be read",
    ]


def test_json_is_what_the_schema_says(here, capsys):
    code, out, _ = run(capsys, "other.yml", "--with", "saved.yml", "--format", "json")
    value = json.loads(out)
    jsonschema.validate(value, json_schema.schema("compare"), jsonschema.Draft202012Validator)
    assert (code, value["verdict"], value["equal"], value["unread"]) == (1, "FAIL", 0, ["r2"])
    assert [d["kind"] for d in value["differences"]] == ["next-hops", "missing"]


def test_what_could_not_be_asked_is_unknown(here, capsys):
    code, _, err = run(capsys, "saved.yml", "--with", "saved.yml")
    assert code == 4
    assert err.splitlines()[-1] == "UNKNOWN: 100 % of 2 routes on 1 node equal; 1 node could not be read"


def test_a_node_that_only_one_of_them_has_is_told_and_changes_no_verdict(here, capsys, tmp_path):
    for name, extra in (("more", {"nms": ()}), ("less", {})):
        tables = RouteTables(routes={"r1": SAVED.routes["r1"], **extra})
        (tmp_path / f"{name}.yml").write_text(files.dump(tables))
    code, _, err = run(capsys, "less.yml", "--with", "more.yml")
    assert code == 0
    assert err.splitlines() == [
        "only in the reference, not compared: nms",
        "PASS: 100 % of 2 routes on 1 node equal; 1 node only in the reference",
    ]
    code, out, _ = run(capsys, "more.yml", "--with", "less.yml", "--same-nodes", "-f", "json")
    value = json.loads(out)
    assert (code, value["verdict"], value["only_lab"], value["unread"]) == (1, "FAIL", ["nms"], [])


def test_two_that_have_nothing_in_common(here, capsys, tmp_path):
    (tmp_path / "foreign.yml").write_text(files.dump(RouteTables(routes={"x1": ()})))
    code, _, err = run(capsys, "foreign.yml", "--with", "saved.yml")
    assert code == 4
    assert err.splitlines()[-1].startswith(
        "UNKNOWN: the two have no node in common; 2 nodes only in the reference"
    )


def test_verdicts():
    assert compare.verdict(RouteComparison(compared=3, equal=3)) is Verdict.PASS
    assert compare.verdict(RouteComparison(compared=0, equal=0)) is Verdict.UNKNOWN


def test_some_nodes_of_a_lab_can_be_saved_by_themselves(here):
    compare.save("saved.yml", "some.yml", here, only={"r1"})
    assert compare.load("some.yml", here) == replace(SAVED, routes={"r1": SAVED.routes["r1"]})


def test_one_of_the_two_flags(here, capsys):
    assert run(capsys, "saved.yml")[0] == 2
    assert run(capsys, "saved.yml", "--with", "other.yml", "--save", "x.yml")[0] == 2


def test_a_lab_that_is_not_there(here):
    with pytest.raises(LabctlError) as caught:
        compare.load("dc1", here)
    assert caught.value.code == "no-lab"


def test_validate_knows_the_file(here, capsys):
    with pytest.raises(SystemExit):
        main.run(["validate", "saved.yml"])
    assert "routes of 2 nodes: 2 routes" in capsys.readouterr().out


def test_a_prefix_that_is_none_is_bad_input(here, capsys, tmp_path):
    (tmp_path / "bad.yml").write_text(files.dump(RouteTables(routes={"r1": (route("10.2.0.0/99"),)})))
    code, _, err = run(capsys, "bad.yml", "--with", "saved.yml")
    assert code == 3
    assert "error: bad-address\n  bad.yml  r1: '10.2.0.0/99' is not a prefix" in err
