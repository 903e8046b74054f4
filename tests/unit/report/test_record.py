import json

import jsonschema

import reports
from labctl.report import record, text
from labctl.report.folder import save
from labctl.schema import json_schema


def test_equal_reports_are_equal_bytes():
    assert record.write(reports.report()) == record.write(reports.report())


def test_everything_is_in_it_once_in_plain_json():
    value = json.loads(record.write(reports.report()))
    assert (value["version"], value["kind"], value["verdict"]) == (1, "report", "PASS")
    jsonschema.validate(value, json_schema.schema("report"), jsonschema.Draft202012Validator)
    assert value["acts"][0]["cable"] == "a-core1:eth3--a-edge1:eth1"
    samples = value["flows"][0]["track"]["samples"]
    assert len(samples["seq"]) == len(samples["sent"]) == len(samples["value"]) == 1750
    assert samples["value"].count(None) == 15
    hops = value["convergence"][1]["route_changes"][1]["before"]["next_hops"]
    assert hops == [{"via": "10.1.0.7", "interface": "eth3"}]
    assert value["topology"]["links"][0]["evidence"][0]["source"] == "lldp"


def test_the_text_ends_with_the_verdict():
    lines = text.write(reports.report()).decode().splitlines()
    assert lines[-1] == "verdict: PASS"
    assert lines[-2].startswith(
        "core-cut: cable cut (a-core1:eth3--a-edge1:eth1); client1 → web1 was interrupted"
    )
    assert "  ✓ PASS     during: client1 → web1: max_outage <= 1s      longest outage 280 to 320 ms" in lines


def test_a_folder_holds_them_all(tmp_path):
    written = save(reports.report(), str(tmp_path / "reports" / "demo"))
    assert sorted(written) == ["html", "json", "svg", "txt"]
    assert all(
        (tmp_path / "reports" / "demo").joinpath(p.rpartition("/")[2]).stat().st_size
        for p in written.values()
    )
    assert sorted(p.name for p in (tmp_path / "reports" / "demo").iterdir()) == [
        "report.html",
        "report.json",
        "report.txt",
        "topology.svg",
    ]
