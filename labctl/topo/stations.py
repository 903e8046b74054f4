"""Forwarding and ARP tables as evidence, for ports on which nobody speaks LLDP or CDP.

A port behind which the only hardware address is that of another port is joined to it. Two switches that see each other
through a port each, and no third device through both, are joined there: a switch in between would be seen through one.
Hosts that nothing else speaks of are drawn only on request: they can be thousands.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from labctl.model.observation import Station
from labctl.model.topology import Device, Evidence, Interface, Link
from labctl.names import CableId, PortId
from labctl.topo.identity import usable_mac
from labctl.topo.inferred import Inferred
from labctl.topo.links import WEIGHTS
from labctl.topo.world import World

NIC = "nic"  # what the port of a host is called of which only the address is known


@dataclass(slots=True)
class Behind:
    """Who is behind a port: devices by name, others by their MAC; and the row that says so for each MAC."""

    who: set[str] = field(default_factory=set)
    macs: dict[str, Station] = field(default_factory=dict)


def behind(world: World) -> dict[PortId, Behind]:
    """All ports with a forwarding or ARP entry."""
    found: dict[PortId, Behind] = defaultdict(Behind)
    for box in world.boxes:
        for seen in box.observations:
            for row in seen.stations:
                port = world.port(box, row.if_index)
                if port is None or not world.physical(port) or not usable_mac(row.mac):
                    continue
                who = world.owners.get(row.mac, row.mac)
                if who != box.name:
                    found[port].who.add(who)
                    found[port].macs.setdefault(row.mac, row)
    return dict(found)


def stations(
    world: World, seen: Mapping[PortId, Behind], wired: set[PortId], speaks: set[str]
) -> Iterator[Inferred]:
    """`speaks`: devices whose neighbours were read to the end; two of them would know if they were joined."""
    free = {port: each for port, each in sorted(seen.items()) if port not in wired}
    by_device: dict[str, list[PortId]] = defaultdict(list)
    for port, each in free.items():
        for who in each.who:
            by_device[who].append(port)
        yield from (
            found
            for found in _single(world, port, each, wired)
            if not {found.cable.a.node, found.cable.z.node} <= speaks
        )
    for port, each in free.items():
        for other in by_device.get(port.node, ()):
            if {port.node, other.node} <= speaks or other.node not in each.who:
                continue
            if port < other and not each.who & free[other].who:
                yield _mutual(port, other, each, free[other], world)


def _single(world: World, port: PortId, each: Behind, wired: set[PortId]) -> Iterator[Inferred]:
    if len(each.who) != 1:
        return
    for mac, row in sorted(each.macs.items()):
        far = world.by_mac.get(mac)
        if far is not None and world.physical(far) and far not in wired:
            yield Inferred(
                cable=CableId.of(port, far),
                source="station",
                weight=WEIGHTS["station"],
                evidence=_evidence(row, f"the only address behind {port} is {mac} of {far}"),
            )


def _mutual(port: PortId, other: PortId, one: Behind, two: Behind, world: World) -> Inferred:
    row = min((r for m, r in one.macs.items() if world.owners.get(m) == other.node), key=lambda r: r.mac)
    back = min((r for m, r in two.macs.items() if world.owners.get(m) == port.node), key=lambda r: r.mac)
    said = f"{port} and {other} ({back.where}) see each other's devices and no third through both"
    return Inferred(
        cable=CableId.of(port, other),
        source="fdb",
        weight=WEIGHTS["fdb mutual"],
        evidence=_evidence(row, said),
    )


def _evidence(row: Station, said: str) -> Evidence:
    return Evidence(source="arp" if row.address else "fdb", where=row.where, said=said)


# -- hosts ------------------------------------------------------------------------------------------------------


def hosts(world: World, seen: Mapping[PortId, Behind], used: set[PortId]) -> Iterator[tuple[Device, Link]]:
    """A device for each port that has nothing but one unknown address behind it; named by its IP, if ARP has one."""
    addresses = _addresses(world)
    taken = {box.name for box in world.boxes}
    for port, each in sorted(seen.items()):
        if port in used or len(each.who) != 1 or len(each.macs) != 1:
            continue
        mac, row = next(iter(each.macs.items()))
        if each.who != {mac}:
            continue  # a device that is known otherwise
        address, arp = addresses.get(mac, ("", row))
        name = (address or mac).replace(":", "-")
        if name in taken:
            continue  # seen on two ports: it moved, or is in two networks
        taken.add(name)
        evidence = [_evidence(row, f"the only address behind {port} is {mac}")]
        if address:
            evidence.append(_evidence(arp, f"{mac} has {address}"))
        device = Device(
            id="dev-" + hashlib.sha256(f"mac:{mac}".encode()).hexdigest()[:12],
            name=name,
            polled=False,
            interfaces=(Interface(name=NIC, mac=mac),),
            identities=(f"mac:{mac}",) if not address else (f"ip:{address}", f"mac:{mac}"),
        )
        cable = CableId.of(port, PortId(name, NIC))
        yield (
            device,
            Link(
                a=cable.a,
                b=cable.z,
                confidence=WEIGHTS["station"],
                evidence=tuple(evidence),
            ),
        )


def _addresses(world: World) -> dict[str, tuple[str, Station]]:
    """MAC -> the least of its addresses that some ARP table has, and the row."""
    found: dict[str, tuple[str, Station]] = {}
    for box in world.boxes:
        for seen in box.observations:
            for row in seen.stations:
                if row.address and (row.mac not in found or row.address < found[row.mac][0]):
                    found[row.mac] = (row.address, row)
    return found
