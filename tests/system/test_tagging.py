"""Sub-interfaces: tagged frames cross the port's cable with all that is done to it, and nothing else is taken apart."""

import contextlib
import subprocess
from dataclasses import replace

import captured
import pytest
from frames import frame, port
from rig import has_offload, ip, lab, mac, rig, until
from test_capture import capture, tcpdump

from labctl.agent import client
from labctl.linux.offload import Offload
from labctl.model.effects import AdminDown, Direction, Down, Effect, HalfCable, Impaired, PortRef
from labctl.model.impairment import Impairment, Match, Protocol
from labctl.model.lab import Over
from labctl.names import CableId, PortId
from labctl.runtime.panel import Panel

pytestmark = pytest.mark.root

QUIET = {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1"}
CABLE = CableId.parse("r1:eth1--r2:eth1")
BROADCAST = "ff:ff:ff:ff:ff:ff"
ENDS = [PortId(node, name) for node in ("r1", "r2") for name in ("eth1", "eth1.10", "eth1.20")]
#: Kept apart by name: whoever stands on eth1 has 10.<tag>.0.0/24.
SUBNETS = {"eth1": 1, "eth1.10": 10, "eth1.20": 20}


def trunk():
    """r1 and r2 with two tags on their cable."""
    cables = [("r1:eth1", "r2:eth1")]
    cables += [(f"{node}:eth1.{tag}", None) for node in ("r1", "r2") for tag in (10, 20)]
    spec = lab(*cables)
    over = [None, *(Over(port="eth1", vlan=tag) for _ in ("r1", "r2") for tag in (10, 20))]
    return replace(
        spec,
        nodes=tuple(replace(node, sysctls=QUIET) for node in spec.nodes),
        cables=tuple(replace(c, over=each, mtu=1500) for c, each in zip(spec.cables, over, strict=True)),
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with rig(tmp_path_factory.mktemp("tagging"), trunk()) as made:
        made.release()
        for number, node in enumerate(("r1", "r2"), start=1):
            for name, subnet in SUBNETS.items():
                ip(made.place, node, "address", "add", f"10.{subnet}.0.{number}/24", "dev", name)
        lit(made)
        yield made


def lit(running, *, ends=ENDS, up=True):
    until(lambda: all(running.link(p.node).link(p.interface).oper_up is up for p in ends), f"carrier: {up}")


def reaches(running, subnet, *more, count=1):
    command = ["ping", "-n", "-q", "-c", str(count), "-i", "0.01", "-W", "1", *more, f"10.{subnet}.0.2"]
    done = subprocess.run(
        ["nsenter", f"--net={running.place.node_ns('r1')}", *command], capture_output=True, check=False
    )
    return done.returncode == 0


@contextlib.contextmanager
def under(running, *changes):
    """While these changes are in force."""
    effects = [Effect(id=f"e{i}", on=on, change=change) for i, (on, change) in enumerate(changes)]
    client.add(running.place, "test", effects, 60)
    try:
        yield
    finally:
        client.clear(running.place, "test")
        lit(running)


def test_each_tag_is_a_network_of_its_own(running):
    assert [reaches(running, subnet) for subnet in SUBNETS.values()] == [True] * 3
    assert reaches(running, 10, "-s", "1472", "-M", "do"), "the tag takes nothing of the MTU"
    with (
        port(running.place.node_ns("r2"), "eth1.20") as other,
        port(running.place.node_ns("r2"), "eth1") as below,
    ):
        sent = frame(BROADCAST, mac(2), b"\x88\xb5only for ten" + bytes(40))
        with (
            port(running.place.node_ns("r1"), "eth1.10") as here,
            port(running.place.node_ns("r2"), "eth1.10") as there,
        ):
            here.send(sent)
            assert there.wait_for(sent)
        for each in (other, below):
            assert sent not in each.frames(0.1)


def test_what_has_another_tag_or_none_goes_to_the_port(running):
    with (
        port(running.place.node_ns("r1"), "eth1") as here,
        port(running.place.node_ns("r2"), "eth1") as there,
    ):
        for tag in (b"", b"\x81\x00\x00\x1e", b"\x88\xa8\x00\x0a"):
            sent = frame(BROADCAST, mac(0), tag + b"\x88\xb5" + bytes(46))
            here.send(sent)
            assert there.wait_for(sent)


def test_a_tag_that_the_sender_made_itself_arrives_at_the_sub_interface(running):
    """Tags stand in the frame here, as those that came through user space do; the priority does not matter."""
    inner = b"\x88\xb5by hand" + bytes(46)
    with (
        port(running.place.node_ns("r1"), "eth1") as here,
        port(running.place.node_ns("r2"), "eth1.10") as there,
    ):
        here.send(frame(BROADCAST, mac(0), b"\x81\x00\xa0\x0a" + inner))
        assert there.wait_for(frame(BROADCAST, mac(0), inner))


def halves(change):
    return [(HalfCable(CABLE, each), change) for each in Direction]


def test_a_cut_takes_carrier_from_every_sub_interface_and_the_end_of_it_gives_it_back(running):
    with under(running, *halves(Down())):
        lit(running, up=False)
        assert not any(running.link(p.node).link(p.interface).carrier for p in ENDS)
    assert [reaches(running, subnet) for subnet in SUBNETS.values()] == [True] * 3


def test_a_port_that_is_shut_takes_its_own_sub_interfaces_and_the_far_ones_along(running):
    far = [each for each in ENDS if each.node == "r2"]
    with under(running, (PortRef(PortId("r1", "eth1")), AdminDown())):
        lit(running, ends=[*far, PortId("r1", "eth1.10"), PortId("r1", "eth1.20")], up=False)
    assert reaches(running, 10)


def test_a_sub_interface_that_is_shut_leaves_the_others_alone(running):
    with under(running, (PortRef(PortId("r1", "eth1.10")), AdminDown())):
        lit(running, ends=[each for each in ENDS if each != PortId("r1", "eth1.10")])
        assert not reaches(running, 10)
        assert reaches(running, 20)
    until(lambda: reaches(running, 10), "it is back")


@pytest.mark.parametrize(
    "impairment",
    [
        Impairment(blackhole=True),
        Impairment(loss=1.0),
        Impairment(delay_s=0.2, loss=1.0),
        Impairment(drops=(Match(protocol=Protocol.ICMP),)),
        Impairment(mtu=1000),
    ],
    ids=["blackhole", "loss", "loss and a detour", "selective", "mtu"],
)
def test_what_impairs_the_cable_impairs_what_crosses_it_with_a_tag(running, impairment):
    with under(running, (HalfCable(CABLE, Direction.A_TO_Z), Impaired(impairment))):
        for subnet in SUBNETS.values():
            assert not reaches(running, subnet, "-s", "1200")
            assert reaches(running, subnet, "-s", "900") is (impairment.mtu is not None)
    assert reaches(running, 10, "-s", "1200")


def test_what_comes_through_a_detour_still_finds_its_sub_interface(running):
    with under(running, *halves(Impaired(Impairment(delay_s=0.02)))):
        assert [reaches(running, subnet, count=3) for subnet in SUBNETS.values()] == [True] * 3
        answers = [port(running.place.node_ns(node), name) for node, name in (("r1", "eth1"), ("r2", "eth1"))]
        with answers[0] as here, answers[1] as there:
            sent = frame(BROADCAST, mac(0), b"\x81\x00\x00\x1e\x88\xb5" + bytes(46))
            here.send(sent)
            assert there.wait_for(sent)


def test_while_frames_are_counted_sub_interfaces_send_them_one_by_one(running):
    def offloads(name):
        return [
            has_offload(running.place.node_ns("r1"), name, each)
            for each in (Offload.TSO, Offload.GSO, Offload.TX_CHECKSUM)
        ]

    before = {name: offloads(name) for name in SUBNETS}
    assert any(map(any, before.values()))
    with under(running, (HalfCable(CABLE, Direction.A_TO_Z), Impaired(Impairment(loss=0.5)))):
        assert {name: any(offloads(name)) for name in SUBNETS} == dict.fromkeys(SUBNETS, False)
    assert {name: offloads(name) for name in SUBNETS} == before


def test_a_capture_of_the_cable_has_the_tags_and_one_of_the_sub_interface_has_none(running, tmp_path):
    file = tmp_path / "tags.pcapng"
    with capture(running, str(CABLE), "-w", str(file), "--filter", "vlan 10 and icmp"):
        assert reaches(running, 10, count=2)
        assert reaches(running, 20)
    seen = captured.read(file.read_bytes())
    assert {(p, d): len(seen.of(p, d)) for p in seen.interfaces for d in ("in", "out")} == {
        (p, d): 2 for p in ("r1:eth1", "r2:eth1") for d in ("in", "out")
    }
    assert seen.of("r1:eth1", "out") == seen.of("r2:eth1", "in")
    assert all("vlan 10" in line for line in tcpdump(file.read_bytes(), "-e"))
    with capture(running, "r1:eth1.10", "-w", str(file), "--filter", "icmp"):
        assert reaches(running, 10, count=2)
    assert len(captured.read(file.read_bytes()).frames) == 4


@pytest.mark.parametrize("lost", ["eth1", "eth1.10"])
def test_a_port_or_sub_interface_that_is_plugged_in_again_is_joined_again(running, lost):
    running.link("r1").delete_link(lost)
    others = [each for each in ENDS if each.node == "r2" and each.interface.startswith(lost)]
    if lost == "eth1":
        lit(running, ends=others, up=False)
    with Panel(running.place, running.spec, running.place.need().devices) as patch:
        patch.plug("r1")
        assert all(patch.stitched(cable) for cable in running.spec.cables)
    subnet = SUBNETS[lost]
    ip(running.place, "r1", "address", "add", f"10.{subnet}.0.1/24", "dev", lost)
    lit(running)
    until(lambda: all(reaches(running, each) for each in SUBNETS.values()), "all of them reach the other end")
