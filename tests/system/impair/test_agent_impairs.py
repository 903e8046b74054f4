"""Impairments as the agent keeps them: under leases, on disk first, brought back by whoever is left."""

import contextlib
import dataclasses
import json
import os
import signal
import time

import pytest
from conformance import within
from impair_field import flood
from rig import has_offload, lab, rig, until

from labctl.agent import client, protocol
from labctl.errors import LabctlError, render
from labctl.linux import cgroup, proc, qdisc, tc
from labctl.linux.netlink import Netlink
from labctl.linux.offload import Offload
from labctl.model.effects import Direction, Down, Effect, HalfCable, Impaired
from labctl.model.impairment import Distribution, Impairment, Jitter, Match, Nth, Protocol, Rate
from labctl.runtime.impair import Half, Impairer

pytestmark = pytest.mark.root

ERRORS = os.path.join(os.path.dirname(__file__), "..", "..", "errors")


class Cable:
    """A rig with one cable a:eth1--z:eth1, as `flood` wants it, and what is on it, read by other eyes than the agent's."""

    def __init__(self, running):
        self.place = running.place
        self.cable = running.spec.cables[0].id
        devices = running.place.need().devices
        self._sides = {"a": devices["a:eth1"], "z": devices["z:eth1"]}

    def path(self, name):
        return self.place.node_ns(name)

    def effect(self, impairment, name="a", direction=Direction.A_TO_Z):
        return Effect(id="x", on=HalfCable(self.cable, direction), change=Impaired(impairment))

    def add(self, lease_id, *impairments, lease_s=60):
        return client.add(self.place, lease_id, [self.effect(each) for each in impairments], lease_s)

    def found(self):
        half = Half(panel=self.place.panel_ns, device_in=self._sides["a"], device_out=self._sides["z"])
        with Impairer(self.place.panel_ns, self.place.agent_dir) as impairer:
            return impairer.read(half)

    def devices(self):
        with Netlink(self.place.panel_ns) as panel:
            return sorted(link.name for link in panel.links())


@pytest.fixture
def cable(tmp_path):
    with rig(tmp_path, lab(("a:eth1", "z:eth1"), name="impaired")) as running:
        for node in "az":
            running.set_admin(
                running.spec.cables[0].a.port if node == "a" else running.spec.cables[0].z.port, True
            )
        running.settled()
        for node in "az":
            until(lambda node=node: running.link(node).link("eth1").oper_up, f"{node} can send")
        yield Cable(running)


def test_leases_compose_and_their_end_leaves_what_was(cable):
    before = cable.devices()
    cable.add("one", Impairment(delay_s=0.01))
    cable.add("two", Impairment(delay_s=0.02, loss=0.5))
    assert cable.found() == Impairment(delay_s=0.03, loss=0.5, seed=cable.found().seed)
    client.clear(cable.place, "one")
    assert cable.found().delay_s == 0.02
    got = flood(cable, 1000, pps=2000)
    assert 350 < got.lost < 650
    assert min(got.delays) > 0.0195
    client.clear(cable.place, "two")
    assert cable.found() == Impairment()
    until(lambda: cable.devices() == before, "the detour is taken down when it is empty")
    got = flood(cable, 1000, pps=2000)
    assert (got.lost, got.duplicated) == (0, 0)


@pytest.mark.parametrize("impairment", [Impairment(rate=Rate(bps=5e7)), Impairment(delay_s=0.01)])
def test_a_seed_beside_what_draws_nothing_is_no_difference(cable, impairment):
    """A scenario gives every fault a seed; the kernel's token bucket keeps none."""
    seeded = dataclasses.replace(impairment, seed=7)
    cable.add("other", dataclasses.replace(Impairment(loss=0.1), seed=7))
    cable.add("one", seeded)
    ended = client.clear(cable.place, "other")["readings"]
    assert [(each["taken"], each["note"]) for each in ended] == [(True, "")]
    (look,) = client.ask(cable.place, "effects.look", ids=["one"])["looks"]
    assert look["note"] == ""
    client.clear(cable.place)


def test_what_is_prepared_touches_nothing_and_starts_the_wire(cable):
    before = cable.devices()
    client.prepare(cable.place, [cable.effect(Impairment(delay_s=0.01))])
    who = _wire(cable)
    assert who is not None
    assert cable.devices() == before
    cable.add("slow", Impairment(delay_s=0.01))
    assert _wire(cable) == who
    client.clear(cable.place)


@pytest.fixture
def ten(tmp_path):
    """Ten cables between two nodes."""
    cables = [(f"a:eth{n}", f"z:eth{n}") for n in range(1, 11)]
    with rig(tmp_path, lab(*cables, name="ten")) as running:
        yield running


BOTH = Impairment(loss=0.1, delay_s=0.01)


def begin(running, *impairments):
    """Ask for one fault a cable, all at once."""
    half = [HalfCable(cable.id, Direction.A_TO_Z) for cable in running.spec.cables]
    effects = [
        Effect(id=str(n), on=on, change=Impaired(i))
        for n, (on, i) in enumerate(zip(half, impairments, strict=True))
    ]
    asked = [client.wanted(each.id, [each], 60) for each in effects]
    return client.ask(running.place, "effects.change", begin=asked, end=[], owner=None)


@pytest.mark.parametrize("impairment", [Impairment(loss=0.1), Impairment(delay_s=0.01), BOTH])
def test_impairments_of_one_instant_are_put_in_by_one_touch(ten, impairment):
    """What takes time lies before the first and after the last; changing and ending them as well."""
    with Netlink(ten.place.panel_ns) as panel:
        before = panel.links()
    for asked in (impairment, Impairment(loss=0.2, delay_s=0.02)):
        reply = begin(ten, *[asked] * 10)
        assert reply["refused"] == {}
        readings = reply["readings"]
        assert [reading["changed"] for reading in readings] == [True] * 10
        for stamp in ("asked", "applied"):
            assert len({reading[stamp]["monotonic"] for reading in readings}) == 1
        assert len({reading["read"]["monotonic"] for reading in readings}) > 1
    ended = client.clear(ten.place)["readings"]
    assert len({reading["applied"]["monotonic"] for reading in ended}) == 1
    assert all(reading["taken"] and reading["changed"] for reading in ended)
    with Netlink(ten.place.panel_ns) as panel:
        until(lambda: panel.links() == before, "every detour is gone, and nothing else")


def test_one_that_cannot_be_made_does_not_hinder_the_others(ten):
    gone = ten.place.need().devices["z:eth3"]
    with Netlink(ten.place.panel_ns) as panel:
        panel.delete_link(gone)
    reply = begin(ten, *[BOTH] * 10)
    assert list(reply["refused"]) == ["2"]
    assert sum(reading["taken"] for reading in reply["readings"]) == 9
    assert sorted(lease["id"] for lease in client.leases(ten.place)) == sorted(set("0123456789") - {"2"})
    client.clear(ten.place)


def test_a_fault_that_takes_the_place_of_another_only_has_to_fit_what_stays(cable):
    """Ending one and beginning another at one instant: the two never meet."""
    cable.add("one", Impairment(delay_s=0.1, jitter=Jitter(spread_s=0.01)))
    other = Impairment(delay_s=0.1, jitter=Jitter(spread_s=0.01, distribution=Distribution.NORMAL))
    begin = [client.wanted("two", [cable.effect(other)], 60)]
    reply = client.ask(cable.place, "effects.change", begin=begin, end=["one"], owner=None)
    assert reply["refused"] == {}
    assert cable.found().jitter.distribution is Distribution.NORMAL


def test_another_fault_takes_the_place_of_the_last_one_on_the_wire(cable):
    """What waits for the wire's end is closed, and what waits for the owner's gets its number: the agent lives on."""
    owner = {"pid": client.me().pid, "start_ticks": client.me().start_ticks}
    down = [Effect(id="x", on=HalfCable(cable.cable, Direction.A_TO_Z), change=Down())]
    with client.Connection(cable.place) as agent:
        before = agent.ask("status")["pid"]
        for name, effects, end in (
            ("slow", [cable.effect(Impairment(delay_s=0.01))], []),
            ("cut", down, ["slow"]),
        ):
            agent.ask("effects.change", begin=[client.wanted(name, effects, 60)], end=end, owner=owner)
        assert agent.ask("status")["pid"] == before


def test_a_lease_ends_by_itself(cable):
    cable.add("short", Impairment(delay_s=0.01, drops=(Match(protocol=Protocol.LLDP),)), lease_s=2)
    assert len(flood(cable, 20, ("lldp",), pps=1000).numbers) == 0
    until(lambda: cable.found() == Impairment(), "the lease is over")
    assert len(flood(cable, 20, ("lldp",), pps=1000).numbers) == 20


def test_a_killed_wire_is_started_again(cable):
    cable.add("slow", Impairment(delay_s=0.01))
    who = _wire(cable)
    proc.kill(who, signal.SIGKILL)
    until(
        lambda: _wire(cable) not in (None, who) and cable.found().delay_s == 0.01,
        "another wire serves the line",
    )
    assert len(flood(cable, 100, pps=1000).numbers) == 100


def test_a_killed_agent_leaves_the_wire_to_the_next(cable):
    """The frames do not notice; the lease is kept by the agent that comes after."""
    cable.add("slow", Impairment(delay_s=0.01), lease_s=4)
    wire, agent = _wire(cable), client.ask(cable.place, "status")["pid"]
    os.kill(agent, signal.SIGKILL)
    assert len(flood(cable, 100, pps=1000).numbers) == 100
    until(lambda: client.alive(cable.place), "the guard starts an agent")
    assert client.ask(cable.place, "status")["pid"] != agent
    assert _wire(cable) == wire
    assert cable.found().delay_s == 0.01
    until(lambda: cable.found() == Impairment(), "the lease is over")


def test_everybody_killed_at_once_is_healed(cable):
    cable.add("all", Impairment(delay_s=0.01, loss=0.1, mtu=1000))
    cgroup.kill(cable.place.agent_cgroup)
    assert not client.alive(cable.place)
    client.start(cable.place)
    until(lambda: cable.found().delay_s == 0.01, "what the ledger says is back")
    client.ask(cable.place, "heal", all=True)
    assert cable.found() == Impairment()
    assert len(flood(cable, 100, pps=1000).numbers) == 100


def test_what_somebody_removed_is_put_back_by_heal(cable):
    cable.add("slow", Impairment(loss=0.5))
    half = Half(panel=cable.place.panel_ns, device_in=cable._sides["a"], device_out=cable._sides["z"])
    with Impairer(cable.place.panel_ns, cable.place.agent_dir) as impairer:
        impairer.clear(half)
    healed = client.ask(cable.place, "heal", all=False)
    assert healed["put_back"] == [str(HalfCable(cable.cable, Direction.A_TO_Z))]
    assert cable.found().loss == 0.5
    assert client.ask(cable.place, "heal", all=False)["put_back"] == []


def test_what_does_not_compose_is_refused_before_it_is_on_disk(cable):
    cable.add("one", Impairment(delay_s=0.1, jitter=Jitter(spread_s=0.01)))
    with pytest.raises(LabctlError) as caught:
        cable.add("two", Impairment(jitter=Jitter(spread_s=0.01, distribution=Distribution.NORMAL)))
    assert caught.value.code == "faults-do-not-compose"
    assert [lease["id"] for lease in client.leases(cable.place)] == ["one"]
    assert cable.found().jitter == Jitter(spread_s=0.01)


def test_the_text_of_faults_that_do_not_compose(cable):
    with open(os.path.join(ERRORS, "faults-do-not-compose.json"), encoding="utf-8") as file:
        request = json.loads(file.read().replace('"r1:', '"a:').replace('"r2:', '"z:'))
    with pytest.raises(LabctlError) as caught:
        client.ask(
            cable.place, request["op"], **{k: v for k, v in request.items() if k not in ("op", "version")}
        )
    with open(os.path.join(ERRORS, "faults-do-not-compose.txt"), encoding="utf-8") as file:
        assert render(caught.value) + "\n" == file.read()
    assert request["version"] == protocol.VERSION


@contextlib.contextmanager
def joined(tmp_path, spec):
    """Nodes a and z with bridges between them, once every port of these can send."""
    with rig(tmp_path, spec) as running:
        for cable in spec.cables:
            for end in cable.ends:
                if end.port.node in "az":
                    running.set_admin(end.port, True)
        running.settled()
        for node in "az":
            until(lambda node=node: running.link(node).link("eth1").oper_up, f"{node} can send")
        panel = running.link("panel")
        until(lambda: all(link.oper_up for link in panel.links() if link.kind == "veth"), "the panel passes")
        yield Segment(running)


@pytest.fixture
def segment(tmp_path):
    """a and z on one bridge."""
    spec = lab(("a:eth1", "b1:eth1"), ("z:eth1", "b1:eth2"), bridges=("b1",), name="segment")
    with joined(tmp_path, spec) as made:
        yield made


class Segment(Cable):
    def __init__(self, running):
        self.place = running.place
        self.cables = {
            end.port.node: cable.id
            for cable in running.spec.cables
            for end in cable.ends
            if end.port.node in "az"
        }

    def add(self, node, impairment, *, leaving):
        """What node sends into the segment, or (leaving) what it gets from there."""
        cable = self.cables[node]
        outward = Direction.A_TO_Z if cable.a.node == node else Direction.Z_TO_A
        other = next(d for d in Direction if d is not outward)
        on = HalfCable(cable, other if leaving else outward)
        return client.add(self.place, "x", [Effect(id="x", on=on, change=Impaired(impairment))], 60)

    def state(self):
        """Everything that an impairment could leave behind in the panel."""
        found = {}
        with Netlink(self.place.panel_ns) as panel:
            for link in panel.links():
                queue = qdisc.root(panel, link.index)
                filters = [(f.kind, f.preference, f.redirect) for f in tc.filters(panel, link.index)]
                sends = [has_offload(self.place.panel_ns, link.name, each) for each in Offload]
                found[link.name] = (link.up, link.mtu, link.alias, queue and queue.kind, filters, sends)
        return found


@pytest.mark.parametrize(("node", "leaving"), [("a", False), ("z", True)])
def test_frames_of_a_segment_can_be_lost_one_way(segment, node, leaving):
    hello = Impairment(drops=(Match(protocol=Protocol.OSPF_HELLO),), nth=(Nth(every=3),))
    segment.add(node, hello, leaving=leaving)
    got = flood(segment, 100, ("raw", "ospf-hello"), pps=1000)
    assert set(got.numbers) <= set(range(0, 100, 2))
    assert 30 <= len(got.numbers) <= 37, "every third frame, and all hellos"
    assert len(flood(segment, 100, ("ospf-hello",), pps=1000, sender="z").numbers) == 100, "the other way"
    client.clear(segment.place)
    assert len(flood(segment, 100, ("raw", "ospf-hello"), pps=1000).numbers) == 100


@pytest.mark.parametrize(("node", "leaving"), [("a", False), ("z", True)])
def test_all_impairments_of_a_segments_cable_compose(segment, node, leaving):
    """Delay, rate and duplication need a far side, which a bridge's port has as well."""
    slow = Impairment(delay_s=0.03, duplicate=0.5, rate=Rate(bps=1e6), loss=0.2, seed=1)
    before = segment.state()
    segment.add(node, slow, leaving=leaving)
    got = flood(segment, 400, pps=400)
    lost, twice = got.lost, got.duplicated
    assert within(lost, 0.2, 400)
    assert within(twice, 0.5 * 0.8, 400)
    assert min(got.delays) > 0.03
    back = flood(segment, 100, pps=1000, sender="z")
    assert back.lost == back.duplicated == 0, "the other way"
    assert min(back.delays) < 0.03
    client.clear(segment.place)
    until(lambda: segment.devices() == sorted(before), "the detours are gone")
    assert segment.state() == before
    again = flood(segment, 100, pps=1000)
    assert again.lost == again.duplicated == 0


def test_a_cable_between_two_bridges_can_be_slow(tmp_path):
    spec = lab(
        ("a:eth1", "b1:eth1"),
        ("b1:eth9", "b2:eth9"),
        ("z:eth1", "b2:eth1"),
        bridges=("b1", "b2"),
        name="trunk",
    )
    with joined(tmp_path, spec) as made:
        cable = spec.cables[1].id
        on = HalfCable(cable, Direction.A_TO_Z)
        slow = Impaired(Impairment(delay_s=0.05))
        client.add(made.place, "x", [Effect(id="x", on=on, change=slow)], 60)
        got = flood(made, 50, pps=1000)
        assert got.lost == 0
        assert min(got.delays) > 0.05
        back = flood(made, 50, pps=1000, sender="z")
        assert back.lost == 0
        assert min(back.delays) < 0.05


def _wire(cable):
    for pid in cgroup.pids(cable.place.agent_cgroup):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"impair.worker" in file.read():
                    return proc.identity(pid)
        except FileNotFoundError:
            time.sleep(0)
    return None
