"""The patch panel against the kernel: what crosses a cable, what the panel says by itself, what a re-plug restores."""

import contextlib
import os
from dataclasses import replace

import pytest
from frames import frame, port
from rig import lab, mac, rig, until

from labctl.agent import mirror
from labctl.errors import LabctlError
from labctl.linux import netns, tc
from labctl.linux.netlink import Netlink
from labctl.model.lab import NodeKind
from labctl.names import PortId
from labctl.runtime import panel

pytestmark = pytest.mark.root

A, B = mac(0), mac(1)
BROADCAST = "ff:ff:ff:ff:ff:ff"
LLC = b"\x42\x42\x03"
FRAMES = {
    "stp": frame("01:80:c2:00:00:00", A, b"\x00\x26" + LLC + bytes(35)),
    "pause": frame("01:80:c2:00:00:01", A, b"\x88\x08\x00\x01\xff\xff" + bytes(42)),
    "lacp": frame("01:80:c2:00:00:02", A, b"\x88\x09\x01\x01" + bytes(108)),
    "eapol": frame("01:80:c2:00:00:03", A, b"\x88\x8e\x01\x01" + bytes(44)),
    "lldp": frame("01:80:c2:00:00:0e", A, b"\x88\xcc\x02\x07\x04" + bytes(60)),
    "cdp": frame("01:00:0c:cc:cc:cc", A, b"\x00\x28\xaa\xaa\x03\x00\x00\x0c\x20\x00" + bytes(38)),
    "is-is": frame("01:80:c2:00:00:14", A, b"\x05\xdc\xfe\xfe\x03\x83" + bytes(1496)),
    "802.1q": frame(BROADCAST, A, b"\x81\x00\x00\x2a\x88\xb5" + bytes(44)),
    "qinq": frame(BROADCAST, A, b"\x88\xa8\x00\x07\x81\x00\x00\x2a\x88\xb5" + bytes(44)),
    "mpls": frame(B, A, b"\x88\x47\x00\x06\x41\x40" + bytes(46)),
    "arp": frame(BROADCAST, A, b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + bytes(38)),
    "ipv6-nd": frame("33:33:00:00:00:01", A, b"\x86\xdd\x60" + bytes(5) + b"\x3a\xff" + bytes(56)),
    "9000 bytes": frame(B, A, b"\x88\xb5" + bytes(8986)),
    "nothing but a header": frame(B, A, b"\x88\xb5"),
}
#: Nodes that are silent by themselves, so that every frame seen is the panel's.
QUIET = {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1"}


def quiet(spec):
    return replace(spec, nodes=tuple(replace(node, sysctls=QUIET) for node in spec.nodes))


@contextlib.contextmanager
def wired(root, spec):
    """The rig with every cable lit, and its panel."""
    with (
        rig(root, spec, agent=False) as running,
        panel.Panel(running.place, spec, panel.allocate(spec)) as patch,
    ):
        light(running, patch)
        yield running, patch


def light(running, patch):
    """Bring every panel side to its level and wait until the kernel has acted on it; frames sent before are lost."""
    spec = running.spec
    patch.settle(mirror.wanted(mirror.sides(spec), patch.admin(), {}))
    bridged = [
        panel.bridge_port(running.place.need().devices[str(end.port)])
        for cable in spec.cables
        for end in cable.ends
        if spec.node(end.port.node).kind is NodeKind.BRIDGE
    ]
    for name in bridged:
        until(lambda name=name: running.link("panel").link(name).oper_up, f"{name} forwards")
    ends = [end.port for cable in spec.cables for end in cable.ends if end.port.node in patch.admin()]
    until(lambda: all(running.link(p.node).link(p.interface).oper_up for p in ends), "all ports are up")


@pytest.fixture(scope="module")
def cable(tmp_path_factory):
    with wired(tmp_path_factory.mktemp("cable"), quiet(lab(("r1:eth1", "r2:eth1")))) as (running, _):
        place = running.place
        with port(place.node_ns("r1"), "eth1") as here, port(place.node_ns("r2"), "eth1") as there:
            yield here, there


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_crosses_a_cable_unchanged_in_both_directions(cable, name):
    here, there = cable
    sent = FRAMES[name]
    here.send(sent)
    assert there.wait_for(sent)
    there.send(sent)
    assert here.wait_for(sent)


@pytest.fixture(scope="module")
def segment(tmp_path_factory):
    spec = quiet(lab(*((f"r{i}:eth1", f"sw:p{i}") for i in (1, 2, 3)), bridges=("sw",)))
    with wired(tmp_path_factory.mktemp("segment"), spec) as (running, _), contextlib.ExitStack() as stack:
        yield [stack.enter_context(port(running.place.node_ns(f"r{i}"), "eth1")) for i in (1, 2, 3)]


@pytest.mark.parametrize("name", [name for name in FRAMES if name != "pause"])
def test_a_segment_floods_group_frames_to_every_port(segment, name):
    here, *others = segment
    here.send(FRAMES[name])
    for there in others:
        assert there.wait_for(FRAMES[name])


def test_the_management_network_is_a_switch_and_keeps_link_local_frames(tmp_path):
    """Two nodes that hear each other's LLDP on eth0 would be taken for neighbours by a cable."""
    with wired(tmp_path, quiet(lab(("r1:eth1", "r2:eth1"), mgmt=True))) as (running, _):
        ends = [running.link(name) for name in ("r1", "r2")]
        until(lambda: all(each.link("eth0").oper_up for each in ends), "both have a management network")
        place = running.place
        with port(place.node_ns("r1"), "eth0") as here, port(place.node_ns("r2"), "eth0") as there:

            def crosses():
                here.send(FRAMES["arp"])
                return there.wait_for(FRAMES["arp"], timeout_s=0.2)

            until(crosses, "the switch forwards")
            for name in ("lldp", "lacp", "eapol"):
                here.send(FRAMES[name])
                assert not there.wait_for(FRAMES[name], timeout_s=0.2), name
            assert crosses()


def test_two_segments_joined_by_a_cable_are_one(tmp_path):
    spec = quiet(lab(("r1:eth1", "s1:p1"), ("s1:p9", "s2:p9"), ("s2:p1", "r2:eth1"), bridges=("s1", "s2")))
    with wired(tmp_path, spec) as (running, patch):
        place = running.place
        assert [patch.stitched(each) for each in spec.cables] == [True] * 3
        with port(place.node_ns("r1"), "eth1") as here, port(place.node_ns("r2"), "eth1") as there:

            def crosses():
                here.send(FRAMES["lldp"])
                return there.wait_for(FRAMES["lldp"], timeout_s=0.2)

            # The kernel may take a second to tell a bridge that its trunk has carrier.
            until(crosses, "a frame crosses both segments")


def test_the_panel_says_nothing_by_itself_and_answers_nothing(tmp_path):
    spec = quiet(
        lab(
            ("r1:eth1", "r2:eth1"),
            ("r1:eth2", None),
            ("r1:eth3", "sw:a"),
            ("r2:eth3", "sw:b"),
            bridges=("sw",),
            mgmt=True,
        )
    )
    with wired(tmp_path, spec) as (running, patch), contextlib.ExitStack() as stack:
        place = running.place
        inside = stack.enter_context(port(place.panel_ns, outgoing=True))
        r1 = {i: stack.enter_context(port(place.node_ns("r1"), i)) for i in ("eth0", "eth1", "eth2", "eth3")}
        for up in (False, True, False, True):
            for each in patch.sides():
                patch.set_side(each, up)
        assert inside.frames(2.5) == []  # longer than DAD, MLD and STP's hello take

        # Whom a stack would answer: everybody, by ARP, by ping, by neighbour solicitation.
        asked = [
            frame(
                BROADCAST, A, bytes.fromhex("0806000108000604000102005e0000000a000001000000000000ffffffff")
            ),
            frame(BROADCAST, A, _ping("10.0.0.1", "255.255.255.255")),
            frame("01:00:5e:00:00:01", A, _ping("10.0.0.1", "224.0.0.1")),
            FRAMES["ipv6-nd"],
        ]
        for each in r1.values():
            for question in asked:
                each.send(question)
        # Proof that the capture sees: each question once where it comes in, and never anything new.
        seen = inside.frames(1.5)
        assert set(seen) == set(asked)
        assert [found for each in r1.values() for found in each.frames(0.1)] == []


def _ping(source, destination):
    packed = bytes(map(int, source.split("."))) + bytes(map(int, destination.split(".")))
    header = bytes.fromhex("4500001c000100004001") + b"\0\0" + packed
    total = sum(int.from_bytes(header[i : i + 2], "big") for i in range(0, 20, 2))
    total = ~(total + (total >> 16)) & 0xFFFF
    return (
        b"\x08\x00" + header[:10] + total.to_bytes(2, "big") + header[12:] + bytes.fromhex("0800f7fd00010001")
    )


def test_panel_ends_are_as_they_must_be(tmp_path):
    spec = lab(("r1:eth1", "r2:eth1"), ("r1:eth2", "sw:a"), ("r1:eth3", None), bridges=("sw",), mgmt=True)
    with wired(tmp_path, spec) as (running, _):
        links = [link for link in running.link("panel").links() if link.name != "lo"]
        assert {link.mtu for link in links} == {panel.PANEL_MTU}
        assert all(link.flags & 0x80 for link in links), "a panel end would do ARP"
        # No device has an address of any kind: neither the panel nor a bridge in it can be spoken to.
        assert running.link("panel").addresses() == []
        lo = running.link("panel").link("lo")
        assert not lo.up
        inside = running.link("r1").link("eth1")
        assert (inside.mtu, inside.mac) == (9500, spec.cables[0].a.mac)


def test_nothing_of_a_lab_shows_in_the_machines_own_namespace(tmp_path):
    with Netlink() as own:
        before = {link.index for link in own.links()}
        with wired(tmp_path, lab(("r1:eth1", "r2:eth1"), mgmt=True)):
            assert {link.index for link in own.links()} <= before


def addressed(spec):
    first = spec.cables[0]
    given = replace(
        first,
        a=replace(first.a, ipv4="10.9.0.1/30", ipv6="2001:db8:9::1/64"),
        z=replace(first.z, ipv4="10.9.0.2/30", ipv6="2001:db8:9::2/64"),
    )
    return replace(spec, cables=(given, *spec.cables[1:]))


@pytest.mark.parametrize("loss", ["one interface", "all interfaces", "the panel side", "the namespace"])
def test_a_replug_restores_mac_addresses_and_both_filters(tmp_path, loss):
    spec = addressed(
        lab(("r1:eth1", "r2:eth1"), ("r1:eth2", "sw:a"), ("r1:eth3", None), bridges=("sw",), mgmt=True)
    )
    with wired(tmp_path, spec) as (running, patch):
        place, cable = running.place, spec.cables[0]
        match loss:
            case "one interface":
                running.link("r1").delete_link("eth1")
            case "all interfaces":
                for name in ("eth0", "eth1", "eth2", "eth3"):
                    running.link("r1").delete_link(name)
            case "the panel side":
                running.link("panel").delete_link(patch.devices["r1:eth1"])
            case "the namespace":
                running.close()
                running._sockets.clear()
                patch.close()
                netns.delete(place.node_ns("r1"))
        if loss != "the namespace":
            assert not patch.stitched(cable)
        untouched = running.link("r2").link("eth1").index

        patch.plug("r1")

        assert patch.stitched(cable)
        assert patch.sides()[PortId("r1", "eth1")] is False, "a new panel side is dark until the mirror says"
        light(running, patch)
        inside = running.link("r1").link("eth1")
        assert inside.mac == cable.a.mac
        assert inside.carrier
        assert inside.mtu == cable.mtu
        assert {"10.9.0.1/30", "2001:db8:9::1/64"} <= {
            a for _, a in running.link("r1").addresses(inside.index)
        }
        assert running.link("r2").link("eth1").index == untouched
        with port(place.node_ns("r1"), "eth1") as here, port(place.node_ns("r2"), "eth1") as there:
            for one, other in ((here, there), (there, here)):
                one.send(FRAMES["lldp"])
                assert other.wait_for(FRAMES["lldp"])


def test_a_replug_of_a_whole_node_changes_nothing(tmp_path):
    spec = addressed(lab(("r1:eth1", "r2:eth1"), mgmt=True))

    def devices():
        found = [link for node in ("r1", "r2", "panel") for link in running.link(node).links()]
        return [
            (link.name, link.index, link.mac, link.mtu, link.up, link.peer, link.master) for link in found
        ]

    with wired(tmp_path, spec) as (running, patch):
        before = devices()
        patch.plug("r1")
        patch.plug("r2")
        assert devices() == before
        assert patch.stitched(spec.cables[0])


def test_carrier_loss_reaches_the_node_at_once(tmp_path):
    # For a veth whose ifindex equals its peer's the kernel waits up to a second: so no two are ever equal.
    spec = lab(*((f"r1:eth{i}", f"r2:eth{i}") for i in range(1, 20)), mgmt=True)
    with wired(tmp_path, spec) as (running, _):
        for node in ("r1", "r2"):
            ports = [link for link in running.link(node).links() if link.name != "lo"]
            assert len(ports) == 20
            assert all(link.peer != link.index for link in ports)


def test_a_port_keeps_its_ifindex_over_a_replug(tmp_path):
    spec = lab(("r1:eth1", "r2:eth1"), mgmt=True)
    with wired(tmp_path, spec) as (running, patch):
        before = {link.name: link.index for link in running.link("r1").links()}
        running.link("r1").delete_link("eth0")
        running.link("r1").delete_link("eth1")
        patch.plug("r1")
        assert {link.name: link.index for link in running.link("r1").links()} == before


def test_a_renamed_interface_is_replaced_by_the_one_of_the_file(tmp_path):
    spec = lab(("r1:eth1", "r2:eth1"))
    with wired(tmp_path, spec) as (running, patch):
        os.system(
            f"nsenter --net={running.place.node_ns('r1')} sh -c 'ip link set eth1 down; ip link set eth1 name x'"
        )
        patch.plug("r1")
        assert {link.name for link in running.link("r1").links()} == {"lo", "eth1"}
        assert patch.stitched(spec.cables[0])


def test_redirects_read_back_exactly(tmp_path):
    spec = lab(("r1:eth1", "r2:eth1"))
    with wired(tmp_path, spec) as (running, patch):
        one, other = (running.link("panel").index(patch.devices[str(e.port)]) for e in spec.cables[0].ends)
        found = tc.filters(running.link("panel"), one)
        assert [(f.kind, f.preference, f.redirect) for f in found] == [("u32", tc.STITCH_PREFERENCE, other)]
        assert tc.filters(running.link("panel"), one, parent=tc.EGRESS) == []
        assert tc.remove_filter(running.link("panel"), one, preference=tc.STITCH_PREFERENCE)
        assert not tc.remove_filter(running.link("panel"), one, preference=tc.STITCH_PREFERENCE)
        assert not patch.stitched(spec.cables[0])


def test_a_sysctl_that_the_kernel_refuses_names_itself(tmp_path):
    spec = lab(("r1:eth1", "r2:eth1"))
    spec = replace(
        spec, nodes=tuple(replace(n, sysctls={"net.ipv4.conf.eth9.rp_filter": "1"}) for n in spec.nodes)
    )
    with pytest.raises(LabctlError, match=r"net\.ipv4\.conf\.eth9\.rp_filter=1"), wired(tmp_path, spec):
        pass


def test_a_nodes_sysctls_reach_its_devices(tmp_path):
    spec = lab(("r1:eth1", "r2:eth1"))
    wanted = {"net.ipv4.ip_forward": "0", "net.ipv4.conf.eth1.rp_filter": "2"}
    spec = replace(spec, nodes=tuple(replace(n, sysctls=wanted) for n in spec.nodes))
    with wired(tmp_path, spec) as (running, _):
        for key, value in wanted.items():
            assert netns.read_sysctl(running.place.node_ns("r1"), key) == value


def test_bridge_nodes_have_no_namespace(tmp_path):
    spec = lab(("r1:eth1", "sw:a"), bridges=("sw",))
    assert spec.node("sw").kind is NodeKind.BRIDGE
    with wired(tmp_path, spec) as (running, _):
        assert not os.path.exists(running.place.node_ns("sw"))
