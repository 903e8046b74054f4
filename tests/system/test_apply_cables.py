"""Random cables, one set after the other, on one running panel: after each change the kernel has exactly the set.

No containers, so a change takes milliseconds and hundreds can be tried: `make test` a few, `make soak` the rest.
"""

import random
from dataclasses import replace

import pytest
from rig import mac, rig, until

from labctl.linux import tc
from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec, Over
from labctl.names import PortId
from labctl.run import apply
from labctl.runtime.panel import PANEL_MTU, Panel, bridge_port
from labctl.runtime.store import Phase

pytestmark = pytest.mark.root

SEGMENTS = ("s1", "s2")
NODES = tuple(
    NodeSpec(name=name, kind=NodeKind.BRIDGE if name in SEGMENTS else NodeKind.LINUX, network_mode="none")
    for name in ("r1", "r2", "r3", *SEGMENTS)
)
PORTS = [PortId(node.name, f"p{i}") for node in NODES for i in range(3)]


def cables(rng):
    """Some of the ports, in pairs or with nobody behind."""
    ports = rng.sample(PORTS, rng.randint(0, len(PORTS)))
    found = []
    while ports:
        a = end(rng, ports.pop())
        z = end(rng, ports.pop()) if ports and rng.random() < 0.8 else None
        if z is None and a.port.node in SEGMENTS:
            continue
        found.append(CableSpec(a=a, z=z, mtu=rng.choice([1400, 1500, 9500])))
    return tuple(found) + tuple(tagged(rng, found))


def tagged(rng, cables):
    """Sub-interfaces of some of the nodes' ports; `tag0` of a node may stand on another port each time."""
    ports = [each.port for cable in cables for each in cable.ends if each.port.node not in SEGMENTS]
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


@pytest.mark.parametrize("run", range(2))
def test_sample(tmp_path, seed, run):
    changes(tmp_path, random.Random(f"{seed}-cables-{run}"), 8)


@pytest.mark.soak
@pytest.mark.parametrize("run", range(20))
def test_run(tmp_path, seed, run):
    changes(tmp_path, random.Random(f"{seed}-cables-soak-{run}"), 30)


def changes(root, rng, count):
    spec = LabSpec(name="cables", nodes=NODES, cables=cables(rng))
    with rig(root, spec) as running:
        for _ in range(count):
            target = replace(spec, cables=cables(rng))
            record = running.place.need()
            apply.execute(running.place, record, target, apply.plan(record, target), held=-1)
            record = running.place.need()
            assert (record.phase, record.lab) == (Phase.RUNNING, target)
            try:
                until(
                    lambda t=target, r=record: not wrong(running, r, t), "the cables are as they should be", 5
                )
            except AssertionError:
                raise AssertionError("\n".join(wrong(running, record, target))) from None


def wrong(running, record, spec):
    """What of the kernel is not as the spec says."""
    ends = {e.port: (e, cable.mtu) for cable in spec.cables for e in cable.ends}
    found = []
    for node in NODES:
        if node.name in SEGMENTS:
            continue
        kernel = running.link(node.name)
        links = {link.name: link for link in kernel.links() if link.name != "lo"}
        wanted = {port.interface: ends[port] for port in ends if port.node == node.name}
        found += [f"{node.name}: {sorted(links)}"] * (links.keys() != wanted.keys())
        for name, (each, mtu) in wanted.items():
            link = links.get(name)
            if link is None:
                continue
            addresses = {a for _, a in kernel.addresses(link.index) if not a.startswith("fe80:")}
            said = (link.mac, link.mtu, link.up, link.carrier, addresses)
            if said != (each.mac, mtu, True, True, {a for a in (each.ipv4, each.ipv6) if a}):
                found.append(f"{each.port}: {said}")
    kernel = running.link("panel")
    panel = {link.name: link for link in kernel.links() if link.name != "lo"}
    devices = {record.devices[str(port)] for port in ends}
    segments = {record.devices[name] for name in SEGMENTS}
    inside = {bridge_port(record.devices[str(port)]) for port in ends if port.node in SEGMENTS}
    found += [f"panel: {sorted(panel)}"] * (panel.keys() != devices | segments | inside)
    found += [f"{name} carries {panel[name].mtu}" for name in segments if panel[name].mtu != PANEL_MTU]
    found += [f"{name} is no port" for name in inside & panel.keys() if panel[name].master is None]
    with Panel(running.place, spec, record.devices) as patch:
        found += [f"{cable.id} is not joined" for cable in spec.cables if not patch.stitched(cable)]
    return found + astray(kernel, spec, {port: panel.get(record.devices[str(port)]) for port in ends})


def astray(kernel, spec, devices):
    """What leads somewhere and should not, or is not taken apart as it should be."""
    found = []
    for cable in spec.cables:
        device = devices[cable.a.port]
        if cable.z is None and device is not None:
            found += [f"{cable.id} leads somewhere"] * bool(tc.redirects(kernel, device.index))
            tagged_as = tc.programs(kernel, device.index)
            found += [f"{cable.id} is tagged: {tagged_as}"] * (bool(tagged_as) != bool(cable.over))
    for port, device in devices.items():
        tags = tc.programs(kernel, device.index, parent=tc.EGRESS) if device else {}
        if set(tags) != {each.over.vlan for each in spec.above(port)}:
            found.append(f"{port} takes {tags} apart")
    return found
