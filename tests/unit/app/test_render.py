"""`labctl render`: the files of a small network as goldens, stable bytes, and nobody else's files overwritten."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from labctl.app.render import Request, render, render_snapshot
from labctl.errors import LabctlError
from labctl.ingest.ios import parse as parse_ios
from labctl.ingest.redact import Redactor
from labctl.model.config import InterfaceConfig
from labctl.model.filters import FilterEntry, PacketFilter
from labctl.model.lab import Over
from labctl.model.policy import Action
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Link, Role, Segment, Topology
from labctl.names import PortId
from labctl.runtime.images import normal
from labctl.runtime.store import Instance
from labctl.schema import clab, files

GOLDENS = Path(__file__).parents[2] / "goldens" / "render"
SMALL = GOLDENS / "small.yml"


@pytest.fixture
def instance(tmp_path):
    return Instance(root=str(tmp_path / "state"), boot="test")


def tree(directory):
    return {
        str(p.relative_to(directory)): p.read_text()
        for p in sorted(Path(directory).rglob("*"))
        if p.is_file()
    }


def test_the_files_of_a_small_network(tmp_path, instance):
    out = tmp_path / "out"
    render(Request(file=str(SMALL), out=str(out)), instance=instance)
    golden = GOLDENS / "small"
    if os.environ.get("LABCTL_UPDATE_GOLDENS") == "1":
        shutil.rmtree(golden, ignore_errors=True)
        shutil.copytree(out, golden)
    assert tree(out) == tree(golden)


def test_what_was_left_out_or_assumed_is_said(tmp_path, instance):
    notes = render(Request(file=str(SMALL), out=str(tmp_path), dry_run=True), instance=instance).notes
    assert [(n.kind, n.device, n.text) for n in notes] == [
        ("skipped", "nms", "it is on the management network only"),
        ("assumed", "printer", "no configuration is known: a host without routing"),
        ("assumed", "core-a", "GigabitEthernet0/2 is a stub: nobody behind it is known"),
        ("assumed", "core-a", "router id 10.255.0.1, by the rule of the highest address"),
        ("stripped", "core-a", "management interface Management0"),
        ("stripped", "core-a", "static route 0.0.0.0/0 through the management network"),
        ("stripped", "core-a", "syslog (points outwards)"),
    ]


def test_the_lab_file_reads_back_to_the_lab(tmp_path, instance):
    result = render(Request(file=str(SMALL), out=str(tmp_path)), instance=instance)
    assert clab.load(result.file) == result.lab


def test_again_changes_nothing(tmp_path, instance):
    request = Request(file=str(SMALL), out=str(tmp_path))
    first = render(request, instance=instance)
    before = tree(tmp_path)
    second = render(request, instance=instance)
    assert len(first.written) == 6
    assert (second.written, second.removed) == ((), ())
    assert tree(tmp_path) == before
    assert second.lab == first.lab


def test_dry_run_writes_nothing(tmp_path, instance):
    result = render(Request(file=str(SMALL), out=str(tmp_path / "out"), dry_run=True), instance=instance)
    assert len(result.written) == 6
    assert not (tmp_path / "out").exists()


def test_the_lab_file_may_be_named(tmp_path, instance):
    result = render(
        Request(file=str(SMALL), out=str(tmp_path / "x.clab.yml"), name="shadow"), instance=instance
    )
    assert (tmp_path / "x.clab.yml").exists()
    assert (tmp_path / "shadow" / "core-a" / "frr.conf").exists()
    assert result.lab.name == "shadow"


def test_a_device_that_is_gone_takes_its_files_and_keeps_its_names(tmp_path, instance):
    request = Request(file=str(SMALL), out=str(tmp_path), name="small")
    snapshot = files.load_snapshot(SMALL)
    first = render_snapshot(snapshot, request, instance=instance)
    topology = snapshot.topology
    smaller = replace(
        snapshot,
        topology=replace(
            topology, devices=tuple(d for d in topology.devices if d.name != "core-b"), links=(), segments=()
        ),
        configs={name: config for name, config in snapshot.configs.items() if name != "core-b"},
    )
    second = render_snapshot(smaller, request, instance=instance)
    assert second.removed == ("small/core-b/daemons", "small/core-b/frr.conf")
    assert not (tmp_path / "small" / "core-b").exists()
    assert second.table.devices["core-b"] == first.table.devices["core-b"]
    third = render_snapshot(snapshot, request, instance=instance)
    assert third.lab == first.lab


def test_a_device_more_changes_no_other_device(tmp_path, instance):
    request = Request(file=str(SMALL), out=str(tmp_path))
    render(request, instance=instance)
    before = tree(tmp_path)
    snapshot = files.load_snapshot(SMALL)
    topology = snapshot.topology
    new = replace(topology.devices[2], id="id-a-new", name="a-new")
    link = Link(a=PortId("a-new", "eth1"), b=PortId("core-b", "GigabitEthernet0/7"))
    config = replace(
        snapshot.configs["web 1"],
        device="a-new",
        interfaces=(InterfaceConfig(name="eth1"),),
        static_routes=(),
    )
    grown = replace(
        snapshot,
        topology=replace(topology, devices=(new, *topology.devices), links=(link, *topology.links)),
        configs={"a-new": config, **snapshot.configs},
    )
    render_snapshot(grown, request, instance=instance)
    after = tree(tmp_path)
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {"small.clab.yml", "small.alloc.yml", "small/rendered.yml"}
    for path in ("small.clab.yml", "small.alloc.yml"):
        kept = iter(after[path].splitlines())
        assert all(line in kept for line in before[path].splitlines())


def test_a_file_that_is_not_ours_stays(tmp_path, instance):
    (tmp_path / "small.clab.yml").write_text("name: mine\n")
    with pytest.raises(LabctlError) as caught:
        render(Request(file=str(SMALL), out=str(tmp_path)), instance=instance)
    assert (caught.value.code, caught.value.where.file) == (
        "would-overwrite",
        str(tmp_path / "small.clab.yml"),
    )
    assert tree(tmp_path) == {"small.clab.yml": "name: mine\n"}
    render(Request(file=str(SMALL), out=str(tmp_path), force=True), instance=instance)
    assert (tmp_path / "small.clab.yml").read_text().startswith("name: small\n")


def test_a_file_that_somebody_edited_stays(tmp_path, instance):
    request = Request(file=str(SMALL), out=str(tmp_path))
    render(request, instance=instance)
    path = tmp_path / "small" / "core-a" / "frr.conf"
    path.write_text(path.read_text() + "! my own line\n")
    with pytest.raises(LabctlError) as caught:
        render(request, instance=instance)
    assert [e.where.file for e in caught.value.each] == [str(path)]
    assert "changed after labctl wrote it" in caught.value.message
    assert path.read_text().endswith("! my own line\n")


def test_names_given_in_the_allocation_table_count(tmp_path, instance):
    request = Request(file=str(SMALL), out=str(tmp_path))
    render(request, instance=instance)
    table = tmp_path / "small.alloc.yml"
    table.write_text(table.read_text().replace("node: web-1", "node: www"))
    result = render(request, instance=instance)
    assert "www" in [node.name for node in result.lab.nodes]


def test_images_and_environment_by_pattern(tmp_path, instance):
    result = render(
        Request(
            file=str(SMALL),
            out=str(tmp_path),
            images=(("*", "labctl/other"), ("core-*", "labctl/frr:9"), ("web 1", "labctl/web")),
            env=(("web-*", "LABCTL_START", "nginx"),),
            dry_run=True,
        ),
        instance=instance,
    )
    assert {n.name: n.image for n in result.lab.nodes if n.image} == {
        "core-a": "labctl/frr:9",
        "core-b": "labctl/frr:9",
        "printer": "labctl/other",
        "web-1": "labctl/web",
    }
    assert {n.name: dict(n.env) for n in result.lab.nodes if n.env} == {"web-1": {"LABCTL_START": "nginx"}}


def test_no_secret_and_no_outward_service_is_written(tmp_path, instance):
    render(Request(file=str(SMALL), out=str(tmp_path)), instance=instance)
    written = "\n".join(tree(tmp_path).values())
    assert "not-for-your-eyes" not in written + SMALL.read_text()
    assert "syslog" not in written
    assert "192.0.2." not in written


def test_a_port_that_is_claimed_twice_gets_one_cable(tmp_path, instance):
    snapshot = files.load_snapshot(SMALL)
    again = Link(a=PortId("core-a", "GigabitEthernet0/0"), b=PortId("printer", "p9"))
    topology = replace(snapshot.topology, links=(*snapshot.topology.links, again))
    result = render_snapshot(
        replace(snapshot, topology=topology),
        Request(file=str(SMALL), out=str(tmp_path), dry_run=True),
        instance=instance,
    )
    ports = [str(end.port) for cable in result.lab.cables for end in cable.ends]
    assert ports.count("core-a:eth1") == 1
    assert any(n.kind == "skipped" and "has a cable already" in n.text for n in result.notes)


def test_a_segment_of_the_management_network_is_left_out(tmp_path, instance):
    snapshot = files.load_snapshot(SMALL)
    ports = (
        PortId("core-a", "GigabitEthernet0/3"),
        PortId("core-b", "GigabitEthernet0/3"),
        PortId("nms", "eth0"),
    )
    segments = (*snapshot.topology.segments, Segment(name="oob", ports=ports, role=Role.MGMT))
    result = render_snapshot(
        replace(snapshot, topology=replace(snapshot.topology, segments=segments)),
        Request(file=str(SMALL), out=str(tmp_path)),
        instance=instance,
    )
    assert [n.name for n in result.lab.nodes if n.kind == "bridge"] == ["10.0.1.0-24"]
    assert "GigabitEthernet0/3" not in (tmp_path / "small" / "core-a" / "frr.conf").read_text()


SWITCHED = """\
hostname {name}
interface Port-channel1
 ip address 10.0.9.{own} 255.255.255.252
interface GigabitEthernet0/3
 channel-group 1 mode active
interface GigabitEthernet0/5
 switchport
interface Vlan20
 ip address 10.0.20.{own} 255.255.255.0
interface GigabitEthernet0/7
 no ip address
interface GigabitEthernet0/7.30
 encapsulation dot1Q 30
 ip address 10.0.30.{own} 255.255.255.0
interface GigabitEthernet0/7.31
 encapsulation dot1Q 30
 ip address 10.0.31.{own} 255.255.255.0
interface GigabitEthernet0/7.32
 encapsulation dot1Q 32 native
 ip address 10.0.32.{own} 255.255.255.0
"""


@pytest.mark.parametrize(
    ("cabled", "said"),
    [
        (
            (),
            [
                ("approximated", "Port-channel1 is a stub: a lag is not emulated"),
                ("approximated", "Vlan20 is a stub: a svi is not emulated"),
                ("assumed", "GigabitEthernet0/7.30 is a stub: nobody behind it is known"),
                ("assumed", "GigabitEthernet0/7.31 is a stub: nobody behind it is known"),
                ("assumed", "GigabitEthernet0/7.32 is a stub: nobody behind it is known"),
            ],
        ),
        (
            ("GigabitEthernet0/3", "GigabitEthernet0/5", "GigabitEthernet0/7"),
            [
                (
                    "unsupported",
                    "Port-channel1 is a stub: it is not joined to its ports that have cables (GigabitEthernet0/3)",
                ),
                (
                    "unsupported",
                    "Vlan20 is a stub: it is not joined to its ports that have cables (GigabitEthernet0/5)",
                ),
                *(
                    (
                        "unsupported",
                        f"GigabitEthernet0/7.{number} is a stub: it is not joined to its ports that have cables (GigabitEthernet0/7)",
                    )
                    for number in (31, 32)  # a tag that another has, and none
                ),
            ],
        ),
    ],
)
def test_what_is_not_joined_to_its_ports_is_said(tmp_path, instance, cabled, said):
    texts = {name: SWITCHED.format(name=name, own=own) for own, name in enumerate(("s1", "s2"), 1)}
    snapshot = Snapshot(
        topology=Topology(
            name="sw",
            devices=tuple(Device(id=name, name=name, polled=True) for name in texts),
            links=tuple(Link(a=PortId("s1", port), b=PortId("s2", port)) for port in cabled),
        ),
        configs={
            name: parse_ios(text, file=name, device=name, redactor=Redactor()).config
            for name, text in texts.items()
        },
    )
    request = Request(file="t.yml", out=str(tmp_path), dry_run=True)
    notes = render_snapshot(snapshot, request, instance=instance).notes
    assert [(n.kind, n.text) for n in notes if n.device == "s1"] == said


def test_a_sub_interface_rides_on_the_cable_of_its_port(tmp_path, instance):
    text = SWITCHED.replace("interface GigabitEthernet0/7\n", "interface GigabitEthernet0/7\n mtu 9000\n")
    ends = [PortId(name, "GigabitEthernet0/7") for name in ("s1", "s2")]
    snapshot = Snapshot(
        topology=Topology(
            name="sw",
            devices=tuple(Device(id=p.node, name=p.node, polled=True) for p in ends),
            links=(Link(a=ends[0], b=ends[1]),),
        ),
        configs={
            p.node: parse_ios(
                text.format(name=p.node, own=own), file=p.node, device=p.node, redactor=Redactor()
            ).config
            for own, p in enumerate(ends, 1)
        },
    )
    lab = render_snapshot(
        snapshot, Request(file="t.yml", out=str(tmp_path), dry_run=True), instance=instance
    ).lab
    cable = next(c for c in lab.cables if c.z)
    found = [c for c in lab.cables if c.over]
    assert [(str(c.a.port), c.over, c.mtu) for c in found] == [
        (f"{p.node}:eth5.30", Over(port="eth5", vlan=30), 9000) for p in ends
    ]
    assert [c.a.mac for c in found] == [cable.a.mac, cable.z.mac]
    assert [c.a.ipv4 for c in found] == ["10.0.30.1/24", "10.0.30.2/24"]
    assert [c.labels["labctl.a"] for c in found] == [f"{p}.30" for p in ends]


def test_filters_that_an_older_image_would_not_load_are_refused(tmp_path, instance, monkeypatch):
    monkeypatch.setenv("LABCTL_IMAGES", str(tmp_path / "images"))
    older(tmp_path / "images")
    snapshot = files.load_snapshot(SMALL)
    config = snapshot.configs["core-b"]
    entries = (FilterEntry(seq=10, action=Action.DENY),)
    filtered = replace(
        config,
        packet_filters=(PacketFilter(name="A", entries=entries),),
        interfaces=tuple(replace(i, filter_in="A") for i in config.interfaces),
    )
    request = Request(file=str(SMALL), out=str(tmp_path / "out"))
    with pytest.raises(LabctlError) as caught:
        render_snapshot(
            replace(snapshot, configs={**snapshot.configs, "core-b": filtered}), request, instance=instance
        )
    assert (caught.value.code, caught.value.hint) == ("filters-not-loaded", "make images")
    assert str(caught.value.where) == str(tmp_path / "out/small/core-b/packets.nft")
    assert not (tmp_path / "out").exists()


def older(images):
    """labctl/frr as it was before it had nft (and, for this test, vtysh)."""
    (images / "0" / "rootfs").mkdir(parents=True)
    (images / "refs").mkdir()
    image = {"ref": "labctl/frr", "digest": "0", "cmd": [], "entrypoint": [], "env": []}
    image |= {"workdir": "/", "user": ""}
    record = {"version": 1, "key": "older", "image": image}
    (images / "refs" / f"{quote(normal('labctl/frr'), safe='')}.json").write_text(json.dumps(record))
