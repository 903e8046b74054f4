import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

import reports
from labctl.model.topology import Link, Segment, Topology
from labctl.names import CableId, PortId
from labctl.report.svg import Marks, draw, short

SVG = "{http://www.w3.org/2000/svg}"


def drawn(topology, marks=None):
    return ET.fromstring(draw(topology, marks or Marks()))


def classes(tree, attribute):
    return {e.get(attribute): set(e.get("class").split()) for e in tree.iter() if e.get(attribute)}


def test_every_device_and_every_link_is_there_and_inside_the_frame():
    topology = reports.topology()
    tree = drawn(topology)
    assert set(classes(tree, "data-device")) == {d.name for d in topology.devices}
    assert set(classes(tree, "data-link")) == {str(link.id) for link in topology.links}
    assert len([e for e in tree.iter() if e.get("class") == "port"]) == 2 * len(topology.links)
    _, _, width, height = map(float, tree.get("viewBox").split())
    boxes = [e for e in tree.iter(f"{SVG}rect") if e.get("rx") == "8"]
    assert len(boxes) == len(topology.devices)
    for box in boxes:
        x, y, w, h = (float(box.get(k)) for k in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height


def test_boxes_do_not_lie_on_each_other():
    tree = drawn(reports.topology())
    boxes = [
        tuple(float(e.get(k)) for k in ("x", "y", "width", "height"))
        for e in tree.iter(f"{SVG}rect")
        if e.get("rx") == "8"
    ]
    for i, (x1, y1, w1, h1) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[i + 1 :]:
            assert x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1


def test_single_points_of_failure_are_marked_and_nothing_else():
    tree = drawn(reports.topology())
    marked = {n for n, c in classes(tree, "data-device").items() if "articulation" in c}
    assert marked == {"a-acc1", "b-acc1"}
    bridges = {n for n, c in classes(tree, "data-link").items() if "bridge" in c}
    assert bridges == {"a-acc1:eth1--client1:eth1", "b-acc1:eth1--web1:eth1"}


def test_the_broken_cable_is_red_with_a_cross_and_what_it_cuts_off_is_grey():
    broken = frozenset({"b-acc1:eth1--web1:eth1"})
    tree = drawn(reports.topology(), Marks(broken=broken))
    assert {n for n, c in classes(tree, "data-link").items() if "broken" in c} == broken
    assert {n for n, c in classes(tree, "data-device").items() if "off" in c} == {"web1"}
    assert len([e for e in tree.iter() if e.get("class") == "cross-back"]) == 1
    whole = drawn(reports.topology())
    assert not [e for e in whole.iter() if e.get("class") == "cross"]


def test_it_refers_to_nothing_outside():
    text = draw(reports.topology())
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text
    assert "@import" not in text


def test_the_same_topology_gives_the_same_bytes_in_any_order():
    topology = reports.topology()
    turned = replace(topology, devices=topology.devices[::-1], links=topology.links[::-1])
    assert draw(topology) == draw(turned)


def test_parallel_links_do_not_lie_on_each_other_and_segments_are_joints():
    links = tuple(Link(a=c.a, b=c.z) for c in map(CableId.parse, ("a:1--b:1", "a:2--b:2")))
    lan = Segment(name="lan", ports=(PortId("a", "9"), PortId("b", "9"), PortId("c", "9")))
    tree = drawn(Topology(name="t", links=links, segments=(lan,)))
    paths = [e.get("d") for e in tree.iter() if e.get("data-link")]
    assert len(paths) == len(set(paths)) == 5
    assert len([e for e in tree.iter() if e.get("class") == "segment"]) == 1


@pytest.mark.parametrize("count", [0, 1, 60])
def test_sizes(count):
    names = [f"pop{i:02d}-core-router" for i in range(count)]
    pairs = [(i, (i * 7 + 1) % count) for i in range(count)] + [(i, i + 1) for i in range(count - 1)]
    links = tuple(
        Link(a=PortId(names[a], f"xe-0/0/{i}"), b=PortId(names[b], f"xe-1/0/{i}"))
        for i, (a, b) in enumerate(pairs)
        if a != b
    )
    tree = drawn(Topology(name="big", links=links, devices=reports.topology(("x:1--y:1",)).devices))
    assert len(classes(tree, "data-link")) == len(links)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GigabitEthernet0/0/1", "Gi0/0/1"),
        ("Ethernet49/1", "Et49/1"),
        ("eth1", "eth1"),
        ("xe-0/0/1", "xe-0/0/1"),
    ],
)
def test_ports_are_called_as_people_call_them(name, said):
    assert short(name) == said
