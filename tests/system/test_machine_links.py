"""Links to the machine itself and out of it, where "the machine" is a namespace that each test makes.

A process that enters it is labctl on a machine with that network; so nothing here touches the network of the machine
that runs the tests, and a tunnel leads from one such machine to another.
"""

import contextlib
import json
import random
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from frames import frame, port
from labs import instance, nothing_left
from rig import lab, mac, rig, until

from labctl.agent import client, mirror
from labctl.errors import LabctlError
from labctl.linux import netns
from labctl.linux.netlink import Netlink, VethEnd
from labctl.model.effects import AdminDown, Direction, Down, Effect, HalfCable, PortRef
from labctl.model.lab import LabSpec, Macvlan, MacvlanMode, NodeKind, NodeSpec, Vxlan
from labctl.names import PortId
from labctl.runtime import machine_check, panel
from labctl.runtime.store import Instance
from labctl.schema import clab

pytestmark = pytest.mark.root

QUIET = {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1"}
BROADCAST = "ff:ff:ff:ff:ff:ff"
FOREIGN = "eno1"


@contextlib.contextmanager
def machine(path):
    """A namespace with a foreign interface that has carrier and the address 198.18.0.1/24; its far end is `far`."""
    at, beyond = str(path / "machine"), str(path / "beyond")
    with contextlib.ExitStack() as stack:
        for each in (at, beyond):
            netns.create(each)
            stack.callback(netns.delete, each)
        with Netlink(at) as kernel, Netlink(beyond) as other:
            join(kernel, FOREIGN, beyond, "far")
            other.set_link("far", up=True)
            kernel.add_address(kernel.index(FOREIGN), "198.18.0.1/24")
            other.add_address(other.index("far"), "198.18.0.2/24")
        yield at, beyond


def join(kernel, name, path, far):
    with netns.opened(path) as fd:
        kernel.create_veth(VethEnd(name=name), VethEnd(name=far, netns_fd=fd), up=True)


def fingerprint(path):
    """Every interface of a namespace with its addresses."""
    with Netlink(path) as kernel:
        links = [
            (each.index, each.name, each.mac, each.mtu, each.up, each.master, each.kind)
            for each in kernel.links()
        ]
        return links, sorted(kernel.addresses())


def linked(*cables, **more):
    """As `rig.lab`, but ends at `host` and `mgmt-net` are no nodes."""
    spec = lab(*cables, **more)
    kept = tuple(replace(n, sysctls=QUIET) for n in spec.nodes if n.name not in ("host", "mgmt-net"))
    return replace(spec, nodes=kept)


def leading_out(name="rig", **way):
    """One node whose eth1 leads out."""
    spec = linked(("r1:eth1", None), name=name)
    return replace(spec, cables=(replace(spec.cables[0], mtu=1400, **way),))


@contextlib.contextmanager
def running(root, at, spec, *, agent=False):
    with netns.inside(at), rig(root, spec, agent=agent) as made:
        made.release()
        with panel.Panel(made.place, spec, made.place.need().devices) as patch:
            patch.settle(mirror.wanted(mirror.sides(spec), patch.admin(), {}))
            yield made, patch


def crosses(one, other, data):
    """A frame that one end sends again and again arrives at the other."""

    def sent():
        one.send(data)
        return other.wait_for(data, timeout_s=0.2)

    until(sent, "a frame crosses")


def test_an_interface_of_the_machine_is_the_far_end_of_a_cable(tmp_path):
    spec = linked(("r1:eth1", "host:lab0"))
    with machine(tmp_path) as (at, _):
        before = fingerprint(at)
        with running(tmp_path / "state", at, spec, agent=True) as (made, patch):
            with Netlink(at) as kernel:
                inside = kernel.link("lab0")
            assert (inside.mac, inside.mtu, inside.up) == (spec.cables[0].z.mac, 9500, True)
            assert patch.stitched(spec.cables[0])
            with port(made.place.node_ns("r1"), "eth1") as here, port(at, "lab0") as there:
                for data in (frame(BROADCAST, mac(0), b"\x88\xb5" + bytes(60)),
                             frame("01:80:c2:00:00:0e", mac(0), b"\x88\xcc" + bytes(60)),
                             frame(mac(1), mac(0), b"\x88\xb5" + bytes(8986))):  # fmt: skip
                    crosses(here, there, data)
                    crosses(there, here, data)
            # Its admin state is mirrored as that of a node's port is.
            with Netlink(at) as kernel:
                kernel.set_link("lab0", up=False)
                until(lambda: not made.carrier(PortId("r1", "eth1")), "the node's port is dark")
                kernel.set_link("lab0", up=True)
                until(lambda: made.carrier(PortId("r1", "eth1")), "the node's port has light")
                # And a fault cuts the cable, not the machine's interface.
                into = HalfCable(spec.cables[0].id, Direction.Z_TO_A)  # of host:lab0--r1:eth1
                effect = Effect(id="cut", on=into, change=Down())
                client.add(made.place, "cut", [effect], 60)
                assert not kernel.link("lab0").carrier
                assert made.carrier(PortId("r1", "eth1"))
                assert kernel.link("lab0").up
            assert panel.withdraw(made.place) == 1
            assert fingerprint(at) == before
            assert panel.withdraw(made.place) == 0


def addresses(kernel, index):
    return {address for _, address in kernel.addresses(index)}


def test_the_machines_side_is_plugged_again_and_what_somebody_put_on_it_stays(tmp_path):
    spec = linked(("r1:eth1", "host:lab0"))
    spec = replace(spec, cables=(replace(spec.cables[0], z=replace(spec.cables[0].z, ipv4="198.18.9.1/30")),))
    with (
        machine(tmp_path) as (at, _),
        running(tmp_path / "state", at, spec) as (made, patch),
        Netlink(at) as kernel,
    ):
        index = kernel.index("lab0")
        assert "198.18.9.1/30" in addresses(kernel, index)
        kernel.add_address(index, "198.18.10.1/30")
        made.link("r1").delete_link("eth1")
        patch.plug("r1")
        assert {"198.18.9.1/30", "198.18.10.1/30"} <= addresses(kernel, index)
        assert patch.stitched(spec.cables[0])

        # Somebody else's interface of that name is not removed for it.
        kernel.delete_link("lab0")
        kernel.create_veth(VethEnd(name="lab0"), VethEnd(name="foreign0"))
        foreign = kernel.index("lab0")
        with pytest.raises(LabctlError, match="File exists"):
            patch.plug("r1")
        assert kernel.index("lab0") == foreign


def test_what_is_there_already_and_what_is_missing_is_said_with_its_place(tmp_path):
    spec = linked(("r1:eth1", f"host:{FOREIGN}"), ("r1:eth2", None), ("r1:eth3", None), ("r1:eth4", None))
    first, macvlan, one, other = spec.cables
    tunnel = Vxlan(remote="198.18.0.2", vni=7)
    cables = (
        first,
        replace(macvlan, macvlan=Macvlan(parent="eno9")),
        replace(one, vxlan=tunnel),
        replace(other, vxlan=replace(tunnel, remote="172.20.20.9")),
    )
    with machine(tmp_path) as (at, _), netns.inside(at):
        before = fingerprint(at)
        wrong = [str(each) for each in machine_check.wrong(replace(spec, cables=cables))]
        assert fingerprint(at) == before
    assert [text for text in wrong if "has an interface 'eno1' already" in text]
    assert [text for text in wrong if "no interface 'eno9'" in text]
    assert [text for text in wrong if "172.20.20.9 is in the lab's management network" in text]
    assert [text for text in wrong if "VNI 7 on port 14789 is another tunnel's" in text]
    assert len(wrong) == 4


def test_no_command_runs_on_the_machine():
    spec = LabSpec(name="x", nodes=(NodeSpec(name="h", kind=NodeKind.HOST, exec=("touch /x",)),))
    (wrong,) = machine_check.wrong(spec)
    assert "runs no command on the machine" in str(wrong)


def test_a_fault_does_not_touch_an_interface_of_the_machine(tmp_path):
    spec = linked(("r1:eth1", "host:lab0"))
    with machine(tmp_path) as (at, _), running(tmp_path / "state", at, spec, agent=True) as (made, _):
        effect = Effect(id="shut", on=PortRef(PortId("host", "lab0")), change=AdminDown())
        with pytest.raises(LabctlError, match="the machine itself"):
            client.add(made.place, "shut", [effect], 60)
        with Netlink(at) as kernel:
            assert kernel.link("lab0").up


def test_a_link_into_the_management_network(tmp_path):
    spec = linked(("r1:eth1", "mgmt-net:m0"), ("r2:eth1", None), mgmt=True)
    with machine(tmp_path) as (at, _):
        before = fingerprint(at)
        with running(tmp_path / "state", at, spec) as (made, patch):
            assert fingerprint(at) == before
            assert patch.stitched(spec.cables[0])
            place = made.place
            with port(place.node_ns("r1"), "eth1") as here, port(place.node_ns("r2"), "eth0") as there:
                data = frame(BROADCAST, mac(0), b"\x88\xb5" + bytes(60))
                crosses(here, there, data)
                crosses(there, here, data)
                here.send(frame("01:80:c2:00:00:0e", mac(0), b"\x88\xcc" + bytes(60)))
                assert not there.wait_for(frame("01:80:c2:00:00:0e", mac(0), b"\x88\xcc" + bytes(60)), 0.2)


@pytest.mark.parametrize("mode", list(MacvlanMode))
def test_a_macvlan_leads_out_over_an_interface_of_the_machine(tmp_path, mode):
    spec = leading_out(macvlan=Macvlan(parent=FOREIGN, mode=mode))
    with machine(tmp_path) as (at, beyond):
        before = [link[1] for link in fingerprint(at)[0]]
        with running(tmp_path / "state", at, spec, agent=True) as (made, patch):
            assert [link[1] for link in fingerprint(at)[0]] == before
            assert patch.stitched(spec.cables[0])
            shown = subprocess.run(
                ["nsenter", f"--net={made.place.panel_ns}", "ip", "-d", "-j", "link", "show", "type", "macvlan"],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            (device,) = json.loads(shown.stdout)
            assert device["linkinfo"]["info_data"]["mode"] == mode.value
            with port(made.place.node_ns("r1"), "eth1") as here, port(beyond, "far") as there:
                crosses(here, there, frame(BROADCAST, mac(0), b"\x88\xb5" + bytes(60)))
                crosses(there, here, frame(mac(0), mac(9), b"\x88\xb5" + bytes(61)))
                made.link("r1").set_link("eth1", up=False)
                device = made.place.need().devices["macvlan:r1.eth1"]
                until(lambda: not made.link("panel").link(device).up, "the way out is shut with the port")
        assert [link[1] for link in fingerprint(at)[0]] == before


@pytest.mark.parametrize("version", [4, 6])
def test_a_tunnel_joins_labs_on_two_machines(tmp_path, version):
    ends = {4: ("198.18.0.1", "198.18.0.2"), 6: ("2001:db8::1", "2001:db8::2")}[version]
    with machine(tmp_path) as (one, other), contextlib.ExitStack() as stack:
        with Netlink(one) as kernel, Netlink(other) as far:
            if version == 6:
                kernel.add_address(kernel.index(FOREIGN), f"{ends[0]}/64", dad=False)
                far.add_address(far.index("far"), f"{ends[1]}/64", dad=False)
        labs = []
        for at, name, remote in ((one, "east", ends[1]), (other, "west", ends[0])):
            way = Vxlan(remote=remote, vni=4711, dst_port=14999, src_port=5555 if version == 4 else None)
            spec = leading_out(name, vxlan=way)
            labs.append(stack.enter_context(running(tmp_path / name, at, spec))[0])
        with (
            port(labs[0].place.node_ns("r1"), "eth1") as here,
            port(labs[1].place.node_ns("r1"), "eth1") as there,
        ):
            for data in (frame(BROADCAST, mac(0), b"\x88\xb5" + bytes(1386)),
                         frame("01:80:c2:00:00:00", mac(0), b"\x00\x26\x42\x42\x03" + bytes(35))):  # fmt: skip
                crosses(here, there, data)
                crosses(there, here, data)
        left = panel.withdraw(labs[0].place) + panel.withdraw(labs[1].place)
        assert left == 2
        with Netlink(one) as kernel:  # the tunnel was never a device of the machine
            assert {link.name for link in kernel.links()} == {"lo", FOREIGN}


def of_file(links):
    """A lab of one node without management network, as a file says it."""
    text = f"name: rig\ntopology:\n  nodes: {{r1: {{kind: linux, network-mode: none}}}}\n  links:\n{links}"
    spec = clab.parse(text, file="/labs/rig.clab.yml", notify=lambda _: None)
    return replace(spec, nodes=tuple(replace(n, sysctls=QUIET) for n in spec.nodes))


def test_what_a_tunnel_sends_has_its_ports_and_its_number(tmp_path):
    spec = of_file(
        "    - {type: vxlan, endpoint: {node: r1, interface: eth1}, mtu: 1400, remote: 198.18.0.2, vni: 4711, "
        "dst-port: 14999, src-port: 5555}"
    )
    with (
        machine(tmp_path) as (at, beyond),
        running(tmp_path / "state", at, spec) as (made, _),
        port(made.place.node_ns("r1"), "eth1") as here,
        port(beyond, "far") as there,
    ):
        # Several flows: the kernel chooses a port for each, if it is not told one.
        inner = [frame(mac(9), mac(0), b"\x88\xb5" + bytes([n]) * 60) for n in range(8)]
        found = {}

        def seen():
            for each in inner:
                here.send(each)
            found.update((outer[50:], outer[:50]) for outer in there.frames(0.2) if outer[50:] in inner)
            return set(found) == set(inner)

        until(seen, "the tunnel's packets")
    for outer in found.values():
        source, destination = struct.unpack_from("!HH", outer, 34)
        assert (source, destination) == (5555, 14999)
        assert outer[42:50] == bytes([8, 0, 0, 0]) + (4711 << 8).to_bytes(4, "big")


@pytest.mark.parametrize(("parent", "over"), [(None, "far2"), (FOREIGN, "far")])
def test_a_tunnel_leaves_by_the_interface_that_is_named(tmp_path, parent, over):
    with machine(tmp_path) as (at, beyond):
        with Netlink(at) as kernel, Netlink(beyond) as other:
            join(kernel, "eno2", beyond, "far2")
            other.set_link("far2", up=True)
            kernel.add_address(kernel.index("eno2"), "198.18.0.3/32")
        route = ["ip", "route", "add", "198.18.0.2/32", "dev", "eno2"]  # nearer than that by eno1
        subprocess.run(["nsenter", f"--net={at}", *route], check=True)
        named = f", parent-interface: {parent}" if parent else ""
        spec = of_file(
            "    - {type: vxlan, endpoint: {node: r1, interface: eth1}, mtu: 1400, remote: 198.18.0.2, vni: 7"
            + named
            + "}"
        )
        with (
            running(tmp_path / "state", at, spec) as (made, _),
            port(made.place.node_ns("r1"), "eth1") as here,
            contextlib.ExitStack() as stack,
        ):
            ways = {name: stack.enter_context(port(beyond, name)) for name in ("far", "far2")}
            inner = frame(mac(9), mac(0), b"\x88\xb5" + bytes(60))

            def ways_taken():
                here.send(inner)
                return {n for n, way in ways.items() if any(inner in each for each in way.frames(0.1))}

            until(ways_taken, "a packet of the tunnel")
            assert ways_taken() == {over}


LONG = """\
    - {type: host, endpoint: {node: r1, interface: eth1}, host-interface: lab0, mtu: 1400}
    - {type: macvlan, endpoint: {node: r1, interface: eth2}, host-interface: eno1, mode: private, mtu: 1410}
    - {type: vxlan, endpoint: {node: r1, interface: eth3}, remote: 198.18.0.2, vni: 9, mtu: 1420}
"""


def test_links_of_a_file_lead_where_it_says(tmp_path):
    spec = of_file(LONG)
    with (
        machine(tmp_path) as (at, beyond),
        running(tmp_path / "state", at, spec) as (made, patch),
        port(made.place.node_ns("r1"), "eth1") as one,
        port(made.place.node_ns("r1"), "eth2") as two,
        port(at, "lab0") as there,
        port(beyond, "far") as far,
    ):
        with Netlink(at) as kernel:
            assert kernel.link("lab0").mtu == 1400
        assert [made.link("r1").link(f"eth{n}").mtu for n in (1, 2, 3)] == [1400, 1410, 1420]
        assert all(patch.stitched(cable) for cable in spec.cables)
        crosses(one, there, frame(BROADCAST, mac(8), b"\x88\xb5" + bytes(60)))
        crosses(two, far, frame(BROADCAST, spec.cables[1].a.mac.lower(), b"\x88\xb5" + bytes(61)))


FILE = """
name: outer
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, cmd: sleep infinity}
    sw: {kind: bridge}
  links:
    - endpoints: ["r1:eth1", "host:lab1"]
      ipv4: [198.18.77.1/30, 198.18.77.2/30]
    - endpoints: ["host:lab2", "sw:p1"]
    - {type: macvlan, endpoint: {node: r1, interface: eth2}, host-interface: eno1}
    - {type: vxlan, endpoint: {node: r1, interface: eth3}, remote: 198.18.0.2, vni: 9}
"""


def test_deploy_and_destroy_and_every_crash_between_leave_the_machine_as_it_was(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    here = instance(tmp_path / "state", monkeypatch, kind)
    (tmp_path / "outer.clab.yml").write_text(FILE)
    seeded = random.Random(4)
    with machine(tmp_path) as (at, _):

        def labctl(*argv):
            return ["nsenter", f"--net={at}", sys.executable, "-m", "labctl", *argv]

        def run(*argv):
            done = subprocess.run(labctl(*argv), check=False, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            return done

        before = fingerprint(at)
        run("deploy", "outer.clab.yml")
        assert {"lab1", "lab2"} <= {link[1] for link in fingerprint(at)[0]}
        answer = subprocess.run(
            ["nsenter", f"--net={at}", "ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", "198.18.77.1"],
            check=False,
        )
        assert answer.returncode == 0
        refused = subprocess.run(labctl("deploy", "outer.clab.yml", "--name", "second"),
                                 check=False, capture_output=True, text=True, timeout=120)  # fmt: skip
        assert refused.returncode == 6
        assert "outer.clab.yml:8:7" in refused.stderr
        assert "the machine has an interface 'lab1' already" in refused.stderr
        run("destroy", "outer", "--yes")
        assert fingerprint(at) == before

        for _ in range(4):
            process = subprocess.Popen(labctl("deploy", "outer.clab.yml"), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)  # fmt: skip
            time.sleep(seeded.uniform(0.1, 1.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
            if here.lab_exists("outer"):
                run("destroy", "outer", "--yes")
            assert fingerprint(at) == before
    nothing_left(Instance.here(), ())
