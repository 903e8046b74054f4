"""Random cables, one set after the other, on one running panel: after each change the kernel has exactly the set.

No containers, so a change takes milliseconds and hundreds can be tried: `make test` a few, `make soak` the rest. Some of the
cables end at the machine, which is a namespace that the test makes, or lead out of it. Before some changes another one to yet
another lab is killed half-way.
"""

import collections
import json
import os
import random
import signal
from dataclasses import replace

import pytest
import soaking
import stepkill
from rig import ip, mac, rig, until
from test_machine_links import FOREIGN, fingerprint, join, machine

from labctl.agent import client
from labctl.linux import netns, tc
from labctl.linux.netlink import Netlink
from labctl.model.effects import Direction, Effect, HalfCable, Impaired
from labctl.model.impairment import Impairment
from labctl.model.lab import (
    MACHINE,
    MGMT_NET,
    CableSpec,
    End,
    LabSpec,
    Macvlan,
    MacvlanMode,
    NodeKind,
    NodeSpec,
    Over,
    Vxlan,
)
from labctl.names import PortId
from labctl.run import apply
from labctl.runtime.panel import MGMT_BRIDGE, PANEL_MTU, Panel, bridge_port, has_mgmt
from labctl.runtime.store import Phase

pytestmark = pytest.mark.root

SEGMENTS = ("s1", "s2")
NODES = tuple(
    NodeSpec(name=name, kind=NodeKind.BRIDGE if name in SEGMENTS else NodeKind.LINUX, network_mode="none")
    for name in ("r1", "r2", "r3", *SEGMENTS)
)
#: Another name of the machine, in labs that have a link to it.
SELF = NodeSpec(name="self", kind=NodeKind.HOST)
INNER = [PortId(node.name, f"p{i}") for node in NODES for i in range(3)]
#: One interface of the machine is now under one of its names, now under the other.
OUTER = [PortId(name, f"lab{i}") for name in (MACHINE, SELF.name) for i in range(2)]
OUTER += [PortId(MGMT_NET, f"m{i}") for i in range(2)]
PORTS = [*INNER, *OUTER]
OTHER = "eno2"
TUNNELS = [Vxlan(remote="198.18.0.2", vni=vni, dst_port=14999) for vni in (7, 8)]
TUNNELS[1] = replace(TUNNELS[1], parent=FOREIGN)


def lab(rng):
    """A lab with some of the ports: in pairs, with nobody behind, or leading to the machine and out of it."""
    outer = {port.interface: port for port in rng.sample(OUTER, rng.randint(0, len(OUTER)))}
    outer = list(outer.values()) if rng.random() < 0.8 else []
    tunnels = rng.sample(TUNNELS, 2)
    inner = rng.sample(INNER, rng.randint(0, len(INNER)))
    found = []
    while inner:
        a = end(rng, inner.pop())
        cable = CableSpec(a=a, z=None, mtu=rng.choice([1400, 1500, 9500]))
        among = [each for each in (inner, outer) if each]
        if among and rng.random() < 0.7:
            cable = replace(cable, z=end(rng, rng.choice(among).pop()))
        elif a.port.node in SEGMENTS:
            continue
        elif rng.random() < 0.3:
            cable = replace(cable, macvlan=Macvlan(
                parent=rng.choice([FOREIGN, OTHER]), mode=rng.choice([MacvlanMode.BRIDGE, MacvlanMode.PRIVATE])
            ))  # fmt: skip
        elif tunnels and rng.random() < 0.4:
            cable = replace(cable, vxlan=tunnels.pop())
        found.append(cable)
    named = any(each.port.node == SELF.name for cable in found for each in cable.ends)
    return LabSpec(
        name="cables",
        nodes=(*NODES, *((SELF,) if named else ())),
        cables=tuple(found) + tuple(tagged(rng, found)),
    )


def tagged(rng, cables):
    """Sub-interfaces of some of the nodes' ports; `tag0` of a node may stand on another port each time."""
    ports = [each.port for cable in cables for each in cable.ends]
    for node, number in ((node, number) for node in ("r1", "r2", "r3") for number in range(2)):
        among = [port for port in ports if port.node == node]
        if among and rng.random() < 0.6:
            below, name = rng.choice(among), PortId(node, f"tag{number}")
            over = Over(port=below.interface, vlan=rng.choice([7, 4094]) - number)
            made = replace(end(rng, PORTS[0]), port=name)
            yield CableSpec(a=made, z=None, mtu=rng.choice([1400, 1500]), over=over)


def end(rng, port):
    number = PORTS.index(port) * 2 + rng.randint(0, 1)
    address = rng.choice([None, f"10.{number}.0.1/24", f"10.{number}.0.2/24"])
    return End(
        port=port, mac=mac(number), ipv4=address, ipv6=rng.choice([None, f"2001:db8:{number + 1}::1/64"])
    )


def test_a_cable_of_which_one_side_is_new_and_not_joined_yet_can_be_cut(tmp_path):
    """As a labctl that was killed in the middle of a change leaves it."""
    one, other = End(port=PortId("r1", "p0"), mac=mac(0)), End(port=PortId("r2", "p0"), mac=mac(1))
    spec = LabSpec(name="cables", nodes=NODES, cables=(CableSpec(a=one, z=other),))
    with rig(tmp_path, spec) as running:
        with Panel(running.place, spec, running.place.need().devices) as patch:
            patch._unplug(other.port)
            patch._create_end(other, 9500)
        assert tc.redirects(running.link("panel"), running.link("panel").index("p0")) == [0]
        client.ask(running.place, "unplug", node="r1", lease_s=60)
        until(lambda: not running.carrier(one.port) and not running.carrier(other.port), "the cable is dark")


def test_an_impaired_cable_that_has_lost_a_side_can_be_cut_and_is_impaired_again_when_it_is_back(tmp_path):
    """So a change goes on that was killed while it made a node anew, faults or not."""
    one, other = End(port=PortId("r1", "p0"), mac=mac(0)), End(port=PortId("r2", "p0"), mac=mac(1))
    cable = CableSpec(a=one, z=other)
    spec = LabSpec(name="cables", nodes=NODES, cables=(cable,))
    late = [
        Effect(id="late", on=HalfCable(cable.id, d), change=Impaired(Impairment(delay_s=0.03)))
        for d in Direction
    ]
    with rig(tmp_path, spec) as running:
        place = running.place
        client.add(place, "late", late, 600)
        with Panel(place, spec, place.need().devices) as patch:
            patch._unplug(other.port)
            client.ask(place, "unplug", node="r2", lease_s=60)
            assert client.ask(place, "status")["off_base"] == {}
            patch.plug("r2")
        client.ask(place, "replug", node="r2")
        looks = client.ask(place, "effects.look", ids=["late"])["looks"]
        assert [(look["note"], look["wanted"]["delay_s"]) for look in looks] == [("", 0.03)] * 2
        assert running.carrier(one.port)


@pytest.fixture
def outside(tmp_path):
    """The machine: a namespace with two foreign interfaces. Its path."""
    with machine(tmp_path) as (at, beyond), Netlink(at) as kernel:
        join(kernel, OTHER, beyond, "far2")
        with netns.inside(at):
            yield at


#: Steps within which a change of these labs is killed: about as many as one takes.
STEPS = 12_000
KILLED = collections.Counter()


@pytest.fixture(scope="module", autouse=True)
def _counts():
    yield
    soaking.FIGURES += [f"changes of cables: {count:4} {what}" for what, count in sorted(KILLED.items())]


@pytest.mark.parametrize("run", range(2))
def test_sample(tmp_path, outside, seed, run):
    changes(tmp_path / "state", outside, random.Random(f"{seed}-cables-{run}"), 8)


@pytest.mark.soak
@pytest.mark.parametrize("run", range(20))
def test_run(tmp_path, outside, seed, run):
    changes(tmp_path / "state", outside, random.Random(f"{seed}-cables-soak-{run}"), 30)


def changes(root, at, rng, count):
    before = fingerprint(at)
    spec = lab(rng)
    with rig(root, spec) as running:
        for _ in range(count):
            while rng.random() < 0.4:
                KILLED[killed(running.place, lab(rng), rng.randint(1, STEPS))] += 1
            target = lab(rng)
            record = running.place.need()
            apply.execute(running.place, record, target, apply.plan(record, target), held=-1)
            record = running.place.need()
            assert (record.phase, record.lab) == (Phase.RUNNING, target)
            try:
                until(
                    lambda t=target, r=record: not wrong(running, r, t, at, before),
                    "the cables are as they should be",
                    5,
                )
            except AssertionError:
                raise AssertionError("\n".join(wrong(running, record, target, at, before))) from None
        empty = replace(target, nodes=NODES, cables=())
        apply.execute(running.place, record, empty, apply.plan(record, empty), held=-1)
        assert fingerprint(at) == before


def killed(place, target, step):
    """A change by a process that is killed (`kill -9`) at that step, unless it is done before; what it fell on."""
    record = place.need()
    child = os.fork()
    if child == 0:  # nothing of the test goes on in here
        try:
            stepkill.arm(step)
            apply.execute(place, record, target, apply.plan(record, target), held=-1)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    hit = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return f"{'killed' if hit else 'not killed'}, lab was {place.need().phase.value}"


def wrong(running, record, spec, at, before):
    """What of the kernel is not as the spec says."""
    ends = {e.port: (e, cable.mtu) for cable in spec.cables for e in cable.ends}
    found = []
    for node in (node for node in NODES if node.name not in SEGMENTS):
        wanted = {port.interface: each for port, each in ends.items() if port.node == node.name}
        found += not_there(node.name, running.link(node.name), wanted, {"lo"})
    kernel = running.link("panel")
    panel = {link.name: link for link in kernel.links() if link.name != "lo"}
    devices = {record.devices[str(port)] for cable in spec.cables for port in cable.ports}
    bridges = {record.devices[name] for name in (*SEGMENTS, *([MGMT_BRIDGE] if has_mgmt(spec) else []))}
    inside = {bridge_port(record.devices[str(p)]) for p in ends if p.node in (*SEGMENTS, MGMT_NET)}
    found += [f"panel: {sorted(panel)}"] * (panel.keys() != devices | bridges | inside)
    found += [f"{name} carries {panel[name].mtu}" for name in bridges if panel[name].mtu != PANEL_MTU]
    found += [f"{name} is no port" for name in inside & panel.keys() if panel[name].master is None]
    with Panel(running.place, spec, record.devices) as patch:
        found += [f"{cable.id} is not joined" for cable in spec.cables if not patch.stitched(cable)]
    found += astray(kernel, spec, {port: panel.get(record.devices[str(port)]) for port in ends})
    return found + outer(running, record, spec, at, before)


def not_there(name, kernel, wanted, others):
    """Which interfaces of a namespace are not what the ends say. others: what is there besides."""
    links = {link.name: link for link in kernel.links() if link.name not in others}
    found = [f"{name}: {sorted(links)}"] * (links.keys() != wanted.keys())
    for interface, (each, mtu) in wanted.items():
        link = links.get(interface)
        if link is None:
            continue
        addresses = {a for _, a in kernel.addresses(link.index) if not a.startswith("fe80:")}
        said = (link.mac, link.mtu, link.up, link.carrier, addresses)
        if said != (each.mac, mtu, True, True, {a for a in (each.ipv4, each.ipv6) if a}):
            found.append(f"{each.port}: {said}")
    return found


def outer(running, record, spec, at, before):
    """What of the machine, and of what leads out of it, is not as the spec says."""
    own = {
        e.port.interface: (e, cable.mtu)
        for cable in spec.cables
        for e in cable.ends
        if e.port.node in (MACHINE, SELF.name)
    }
    theirs = {link[1]: link for link in before[0]}
    with Netlink(at) as kernel:
        found = not_there("the machine", kernel, own, theirs)
        index = {link.name: link.index for link in kernel.links()}
    links, addresses = fingerprint(at)
    same = [link for link in links if link[1] in theirs]
    kept = sorted(each for each in addresses if each[0] in {link[0] for link in same})
    found += [f"foreign: {same} {kept}"] * ((same, kept) != before)
    pinned = {node.name for node in spec.nodes if node.kind is NodeKind.LINUX}
    if spec.leaves:
        pinned |= {MACHINE, *(node.name for node in spec.nodes if node.kind is NodeKind.HOST)}
    there = set(os.listdir(os.path.dirname(running.place.node_ns("x"))))
    found += [f"namespaces: {there}"] * (there != pinned)
    ways = [cable for cable in spec.cables if cable.outside]
    shown = json.loads(ip(running.place, "panel", "-d", "-j", "link")) if ways else []
    by_name = {link.get("ifname"): link for link in shown}
    # `ip` shows the machine's index of a tunnel's parent as the device of the panel that has the same.
    called = {number: f"if{number}" for number in index.values()}
    called |= {link["ifindex"]: link["ifname"] for link in shown}
    for cable in ways:
        link = by_name.get(record.devices[str(cable.outside)], {})
        data = link.get("linkinfo", {}).get("info_data", {})
        if cable.macvlan:
            said = link.get("link_index"), data.get("mode"), link.get("address")
            wanted = index[cable.macvlan.parent], cable.macvlan.mode.value, cable.a.mac
        else:
            way = cable.vxlan
            said = data.get("id"), data.get("remote"), data.get("port"), data.get("link")
            wanted = way.vni, way.remote, way.dst_port, called.get(index.get(way.parent))
        found += [f"{cable.id} leads to {said}, not {wanted}"] * (said != wanted or "UP" not in link["flags"])
    return found


def astray(kernel, spec, devices):
    """What leads somewhere and should not, or is not taken apart as it should be."""
    found = []
    for cable in spec.cables:
        device = devices[cable.a.port]
        if cable.z is None and not cable.outside and device is not None:
            found += [f"{cable.id} leads somewhere"] * bool(tc.redirects(kernel, device.index))
            tagged_as = tc.programs(kernel, device.index)
            found += [f"{cable.id} is tagged: {tagged_as}"] * (bool(tagged_as) != bool(cable.over))
    for port, device in devices.items():
        tags = tc.programs(kernel, device.index, parent=tc.EGRESS) if device else {}
        if set(tags) != {each.over.vlan for each in spec.above(port)}:
            found.append(f"{port} takes {tags} apart")
    return found
