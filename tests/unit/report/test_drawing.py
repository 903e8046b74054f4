import json
from dataclasses import replace

import jsonschema

import reports
from labctl.model.topology import Device, Segment
from labctl.names import PortId
from labctl.report import drawing
from labctl.schema import json_schema

DEMO = reports.topology()

PICTURE = """\
                          [a-core1]─────[a-edge1]─────[b-edge1]─────[b-core1]
                         ···· │             │             │             │ ····
                     ····     │             │             │             │     ····
  [client1]────[a-acc1*]      │             │             │             │      [b-acc1*]─────[web1]
                     ····     │             │             │             │     ····
                         ···· │             │             │             │ ····
                          [a-core2]─────[a-edge2]─────[b-edge2]─────[b-core2]"""


def test_the_picture():
    assert drawing.picture(DEMO) == PICTURE.splitlines()


def test_the_terminal_says_what_a_reader_would_have_to_find():
    text = drawing.terminal(DEMO)
    assert text.startswith("demo: 12 devices, 16 links; 2 devices and 2 links whose loss splits it\n")
    assert "  device  a-acc1  cuts off client1\n" in text
    assert "  link    b-acc1:eth1--web1:eth1  cuts off web1\n" in text
    assert "  a-core1:eth3 ── a-edge1:eth1\n" in text
    assert text.count(" ── ") == 16


def test_what_does_not_fit_is_listed_only():
    assert drawing.picture(DEMO, width=50) == [] or all(len(x) <= 52 for x in drawing.picture(DEMO, width=50))
    mesh = [f"n{i}:{j}--n{j}:{i}" for i in range(8) for j in range(i)]
    assert drawing.picture(reports.topology(mesh)) == []
    assert drawing.terminal(reports.topology(mesh)).count(" ── ") == 28


def test_what_is_doubtful_is_said():
    one = replace(DEMO.links[0], two_sided=False)
    alone = Device(id="z", name="spare", polled=True)
    topology = replace(DEMO, links=(one, *DEMO.links[1:]), devices=(*DEMO.devices, alone))
    text = drawing.terminal(topology)
    assert "(1 known from one side only)" in text
    assert "spare without a link" in text


def test_json_is_what_the_schema_says():
    lan = Segment(name="lan", ports=(PortId("a-acc1", "x"), PortId("b-acc1", "x")))
    value = json.loads(json.dumps(drawing.as_json(replace(DEMO, segments=(lan,)))))
    jsonschema.validate(value, json_schema.schema("graph"), jsonschema.Draft202012Validator)
    plain = drawing.as_json(DEMO)
    assert [d["name"] for d in plain["devices"] if d["single_point_of_failure"]] == ["a-acc1", "b-acc1"]
    assert [x["cuts_off"] for x in plain["links"] if x["single_point_of_failure"]] == [["client1"], ["web1"]]


def test_dot_and_mermaid_hold_every_device_and_link_whatever_they_are_called():
    odd = replace(
        DEMO, name='a "quoted" name', devices=(*DEMO.devices, Device(id="q", name='x"]y', polled=True))
    )
    dot, mermaid = drawing.dot(odd), drawing.mermaid(odd)
    assert dot.count(" -- ") == 16
    assert dot.startswith('graph "a \\"quoted\\" name" {')
    assert '"x\\"]y"' in dot
    assert mermaid.count("---") == 16
    assert "x#34;#93;y" in mermaid
    assert mermaid.splitlines()[0] == "graph LR"
