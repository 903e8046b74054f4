"""`labctl apply` and links to the machine and out of it, on real labs, where "the machine" is a namespace of the test.

The panel's part of it is tried with random labs in `test_apply_cables`, every crash in `test_apply_crash`.
"""

import contextlib
import os
import subprocess
import threading
from dataclasses import replace

import pytest
from frames import frame, port
from labs import deployed, end, instance, node, nothing_left
from rig import until
from test_apply import apply, processes, same_as_fresh
from test_machine_links import BROADCAST, FOREIGN, crosses, fingerprint, linked, machine, running

from labctl.agent import client, settle_port
from labctl.agent.inside import Inside
from labctl.agent.saved import Saved
from labctl.errors import LabctlError
from labctl.linux import netns
from labctl.linux.netlink import Netlink, VethEnd
from labctl.model.effects import (
    BASE,
    AdminDown,
    Direction,
    Down,
    Effect,
    Frozen,
    HalfCable,
    Impaired,
    NodeRef,
    PortRef,
)
from labctl.model.impairment import Impairment
from labctl.model.lab import CableSpec, LabSpec, Macvlan, MacvlanMode, NodeKind, NodeSpec, Vxlan
from labctl.names import PortId
from labctl.render.change import touched_cables
from labctl.run import apply as changing
from labctl.run import observe
from labctl.runtime import machine_check, panel
from labctl.runtime.store import Phase

pytestmark = pytest.mark.root


@pytest.fixture
def here(tmp_path, monkeypatch, kind):
    return instance(tmp_path / "state", monkeypatch, kind)


@pytest.fixture
def at(tmp_path):
    """The machine, on which the test's thread is; what was there before is there afterwards as it was."""
    with machine(tmp_path) as (path, _):
        before = fingerprint(path)
        with netns.inside(path):
            yield path
        # The kernel takes away what a panel had on the machine some time after the panel.
        until(lambda: fingerprint(path) == before, "the machine is as it was before")


def inner():
    """Nothing on the machine."""
    return LabSpec(
        name="edge",
        nodes=(node("r1", network_mode="none"), node("r2", network_mode="none"), node("x1"), NodeSpec(name="sw", kind=NodeKind.BRIDGE)),
        cables=(
            CableSpec(a=end("r1:eth1", "198.18.77.1/30"), z=end("r2:eth1")),
            CableSpec(a=end("r1:eth2"), z=end("sw:p1")),
            CableSpec(a=end("r2:eth2"), z=None),
            CableSpec(a=end("x1:eth1"), z=end("sw:p3")),
        ),
    )  # fmt: skip


def outer(spec):
    """Each kind of link to the machine at ports that stay, at new ones, and at a node that becomes the machine itself."""
    one, two, three, four = spec.cables
    r1, r2, _, sw = spec.nodes
    return replace(
        spec,
        nodes=(r1, r2, NodeSpec(name="x1", kind=NodeKind.HOST), sw),
        cables=(
            replace(one, z=end("host:lab1", "198.18.77.2/30")),
            replace(two, z=end("mgmt-net:m0")),
            replace(three, macvlan=Macvlan(parent=FOREIGN)),
            replace(four, a=end("x1:eth1", "198.18.78.1/30")),
            CableSpec(a=end("host:lab2"), z=end("sw:p2")),
            CableSpec(a=end("r2:eth3"), z=None, mtu=1400, vxlan=Vxlan(remote="198.18.0.2", vni=9)),
        ),
    )


def moved(spec):
    """The same interfaces at other nodes, and other ways out of the same ports."""
    one, two, _, four, five, six = spec.cables
    return replace(
        spec,
        cables=(
            replace(one, a=end("r2:eth1", "198.18.77.1/30"), mtu=1400),
            replace(two, a=end("r2:eth2")),
            CableSpec(a=six.a, z=None, macvlan=Macvlan(parent=FOREIGN, mode=MacvlanMode.PRIVATE)),
            replace(four, z=end("r1:eth3")),
            replace(five, a=replace(five.a, mac="02:1a:00:00:00:78", ipv4="198.18.79.1/30")),
            CableSpec(a=two.a, z=None, mtu=1400, vxlan=six.vxlan),
        ),
    )  # fmt: skip


@contextlib.contextmanager
def another(tmp_path):
    """A second machine with the same network, for the same interfaces once more."""
    (tmp_path / "another").mkdir(exist_ok=True)
    with machine(tmp_path / "another") as (path, _), netns.inside(path):
        yield


def answers(at, address):
    """Whether the machine reaches an address in the lab."""
    argv = ["nsenter", f"--net={at}", "ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", address]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


@pytest.mark.both
def test_links_to_the_machine_come_move_and_go_while_the_nodes_run(here, tmp_path, at):
    spec = inner()
    outside = outer(spec)
    with deployed(here, spec) as place:
        kept = processes(place, "r1", "r2")
        for target in (outside, moved(outside), spec):
            apply(here, target)
            assert processes(place, "r1", "r2") == kept
            assert answers(at, "198.18.77.1") == (target is not spec)
            with another(tmp_path):
                same_as_fresh(tmp_path, place)
        apply(here, outside)
    nothing_left(here, [spec, outside, moved(outside)])


def test_a_dry_run_says_what_the_machine_gets_and_touches_nothing(here, at):
    spec = inner()
    with deployed(here, spec) as place:
        before, record, plans = fingerprint(at), place.need(), []
        apply(here, outer(spec), plans.append, dry_run=True)
        said = {str(reason) for step in plans[0].steps for reason in step.reasons}
        assert {
            "the machine gets the interface lab1",
            "the machine gets the interface lab2",
            f"the machine gets a macvlan on {FOREIGN} that leads out",
            "the machine gets a tunnel to 198.18.0.2",
        } <= said
        assert (fingerprint(at), place.need()) == (before, record)


def test_a_fault_in_a_node_ends_when_that_becomes_the_machine_and_what_else_it_is_about_stays(here, at):
    spec = inner()
    one = spec.cables[0]
    target = replace(outer(spec), cables=(one, *outer(spec).cables[1:]))
    with deployed(here, spec) as place:
        inside = [
            Effect(id="in", on=PortRef(PortId("x1", "eth1")), change=AdminDown()),
            Effect(id="in", on=NodeRef("x1"), change=Frozen()),
        ]
        dark = [Effect(id="both", on=HalfCable(one.id, d), change=Down()) for d in Direction]
        client.add(place, "in", inside, 600)
        client.add(place, "both", [*dark, *(replace(each, id="both") for each in inside)], 600)
        assert apply(here, target).ended == ("in",)
        assert link(at, "eth1").up
        assert client.ask(place, "status")["off_base"] == {}
        assert [lease["id"] for lease in client.leases(place)] == ["both"]
        assert not [each for each in os.listdir(place.saved_dir) if each.endswith(".json")]
        with pytest.raises(LabctlError, match="the machine itself"):
            client.add(place, "shut", inside[:1], 600)
        client.clear(place)


# -- without containers ------------------------------------------------------------------------------------------


def change(made, target):
    record = made.place.need()
    changing.execute(made.place, record, target, changing.plan(record, target), held=-1)


def link(at, name):
    with Netlink(at) as kernel:
        return kernel.link(name)


def foreign(at, name):
    """Somebody else's interface of this name; its index."""
    with Netlink(at) as kernel:
        kernel.create_veth(VethEnd(name=name), VethEnd(name=f"{name}far"))
        return kernel.index(name)


def wrong(made, target):
    """What is said of a change before anything is touched."""
    cables = touched_cables(target, changing.plan(made.place.need(), target))
    return [str(each) for each in machine_check.wrong_with_change(made.place, target, cables)]


def test_an_interface_of_somebody_else_is_told_before_and_spared_while_the_lab_changes(tmp_path, at):
    spec = linked(("r1:eth1", "host:lab0"), ("r1:eth2", None))
    one, two = spec.cables
    with running(tmp_path / "state", at, spec, agent=True) as (made, _), Netlink(at) as kernel:
        assert wrong(made, replace(spec, cables=(replace(one, mtu=1400), two))) == [], (
            "its own is in nobody's way"
        )
        index = foreign(at, "lab9")
        to_it = replace(
            spec, cables=(one, replace(two, z=replace(one.z, port=replace(one.z.port, interface="lab9"))))
        )
        assert any("has an interface 'lab9' already" in each for each in wrong(made, to_it))
        out = replace(spec, cables=(one, replace(two, macvlan=Macvlan(parent="eno9"))))
        assert any("no interface 'eno9'" in each for each in wrong(made, out))
        assert wrong(made, replace(spec, cables=(one,))) == []
        with pytest.raises(LabctlError) as caught:
            change(made, to_it)
        assert any("File exists" in str(each) for each in caught.value.each)
        assert (kernel.index("lab9"), made.place.need().phase) == (index, Phase.APPLYING)

        # Who took away what was the lab's, and has another one of that name, keeps it whatever the lab becomes.
        kernel.delete_link("lab0")
        theirs = foreign(at, "lab0")
        change(made, replace(spec, cables=(two,)))
        assert (kernel.index("lab0"), kernel.index("lab9")) == (theirs, index)
        for name in ("lab0", "lab9"):
            kernel.delete_link(name)


def test_an_interface_that_somebody_renamed_is_still_the_labs(tmp_path, at):
    spec = linked(("r1:eth1", "host:lab0"), ("r1:eth2", None))
    with running(tmp_path / "state", at, spec, agent=True) as (made, _):
        subprocess.run(
            ["nsenter", f"--net={at}", "ip", "link", "set", "lab0", "down", "name", "mine"], check=True
        )
        assert panel.on_machine(made.place) == {"mine"}
        change(made, replace(spec, cables=spec.cables[1:]))
        assert link(at, "mine") is None


def test_what_an_interrupted_change_has_made_is_raised_and_what_somebody_shut_stays_shut(tmp_path, at):
    old = linked(("r1:eth1", "host:lab0"), ("r1:eth2", None))
    one, two = old.cables
    new = replace(
        old, cables=(one, replace(two, z=replace(one.z, port=replace(one.z.port, interface="lab1"))))
    )
    with running(tmp_path / "state", at, old, agent=True) as (made, _), Netlink(at) as kernel:
        change(made, new)
        record = made.place.need()
        for name in ("lab0", "lab1"):
            kernel.set_link(name, up=False)
        # As it was when labctl was killed between making lab1 and raising it.
        made.place.write(replace(record, lab=old, phase=Phase.APPLYING, targets=(new,)))
        assert changing.resume(made.place, -1) == 2
        assert (kernel.link("lab0").up, kernel.link("lab1").up) == (False, True)


def test_all_links_of_a_lab_lead_to_one_machine_wherever_labctl_runs(tmp_path, at):
    spec = linked(("r1:eth1", "host:lab0"), ("r1:eth2", None))
    one, two = spec.cables
    target = replace(
        spec,
        nodes=(*spec.nodes, NodeSpec(name="self", kind=NodeKind.HOST)),
        cables=(one, replace(two, z=replace(one.z, port=end("self:lab1").port))),
    )
    with running(tmp_path / "state", at, spec, agent=True) as (made, _):
        with another(tmp_path):
            assert wrong(made, target) == []
            change(made, target)
            assert link(None, "lab1") is None
        assert link(at, "lab1").up


def test_a_fault_outlasts_a_change_of_the_way_out_and_the_machine_keeps_nothing_of_it(tmp_path, at):
    spec = linked(("r1:eth1", None))
    (cable,) = spec.cables
    there = replace(spec, cables=(replace(cable, macvlan=Macvlan(parent=FOREIGN)),))
    late = Impaired(Impairment(delay_s=0.03))
    with running(tmp_path / "state", at, there, agent=True) as (made, patch):
        effects = [Effect(id="late", on=HalfCable(there.cables[0].id, d), change=late) for d in Direction]
        client.add(made.place, "late", effects, 600)
        other = replace(cable, macvlan=Macvlan(parent=FOREIGN, mode=MacvlanMode.PRIVATE))
        change(made, replace(spec, cables=(other,)))
        looks = client.ask(made.place, "effects.look", ids=["late"])["looks"]
        assert [(look["note"], look["wanted"]["delay_s"]) for look in looks] == [("", 0.03)] * 2
        change(made, spec)
        assert client.leases(made.place) == []
        assert patch.sides().keys() == {cable.a.port}


def test_a_fault_shuts_no_port_in_a_namespace_that_has_become_the_machines(tmp_path, at):
    """Its record still says that it is a node's, as when labctl was killed in between."""
    spec = linked(("r1:eth1", "host:lab0"))
    with running(tmp_path / "state", at, spec) as (made, patch):
        place = made.place
        patch.close()
        netns.delete(place.node_ns("r1"))
        netns.pin(place.node_ns("r1"), place.node_ns("host"))
        saved = Saved(str(tmp_path / "saved"))
        inside = Inside(place=place, lab=spec, runtime=observe.runtime(place), saved=saved, again=None)
        ref = PortRef(PortId("r1", FOREIGN))
        with pytest.raises(LabctlError, match="the machine itself"):
            settle_port.ensure(inside, ref, replace(BASE, admin_down=True))
        assert saved.resources() == []
        saved.write(ref, {"up": False, "lost": []})
        with pytest.raises(LabctlError, match="the machine itself"):
            settle_port.ensure(inside, ref, BASE)
        assert link(at, FOREIGN).up


def test_what_an_interrupted_change_has_joined_with_the_machine_is_not_heard_there_when_another_goes_on(
    tmp_path, at
):
    """r1 is on the machine, r2 was to be; labctl was killed when the cables were patched, and the way is back."""
    old = linked(("r1:eth1", "host:lab0"), ("r2:eth1", "r3:eth1"))
    one, two = old.cables
    new = replace(old, cables=(replace(one, a=two.a), replace(two, a=one.a)))
    with running(tmp_path / "state", at, old, agent=True) as (made, _):
        place = made.place
        change(made, new)
        place.write(replace(place.need(), lab=old, phase=Phase.APPLYING, targets=(new,)))
        client.ask(place, "adopt", nodes=["r1", "r2", "r3", "host"], renewed=[])
        assert not any(made.carrier(each) for each in (one.a.port, two.a.port))
        secret = frame(BROADCAST, two.a.mac, b"\x88\xb5" + bytes([7] * 60))
        with (
            port(place.node_ns("r2"), "eth1") as here,
            port(place.node_ns("r3"), "eth1") as there,
            port(at, "lab0") as heard,
        ):
            done = threading.Event()

            def talk():
                while not done.is_set():
                    here.send(secret)

            talker = threading.Thread(target=talk)
            talker.start()
            try:
                change(made, old)
                assert there.wait_for(secret, timeout_s=10)
            finally:
                done.set()
                talker.join()
            assert not heard.wait_for(secret, timeout_s=0.2)


def test_what_leaves_the_lab_file_leaves_no_way_out_for_a_frame(tmp_path):
    """The port stays, on another cable: nothing that its node sends arrives beyond the machine any more."""
    spec = linked(("r1:eth1", None), ("r2:eth1", None))
    one, two = spec.cables
    out = replace(spec, cables=(replace(one, macvlan=Macvlan(parent=FOREIGN)), two))
    with machine(tmp_path) as (at, beyond), running(tmp_path / "state", at, out, agent=True) as (made, _):
        place = made.place
        with (
            port(place.node_ns("r1"), "eth1") as here,
            port(beyond, "far") as far,
            port(place.node_ns("r2"), "eth1") as there,
        ):
            before, after = (frame(BROADCAST, one.a.mac, b"\x88\xb5" + bytes([i] * 60)) for i in (1, 2))
            crosses(here, far, before)
            with netns.inside(at):
                change(made, replace(spec, cables=(replace(one, z=two.a),)))
            crosses(here, there, after)
            assert not far.wait_for(after, timeout_s=0.2)
