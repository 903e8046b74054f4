"""What a lab wants of the machine's own network, compared with what is there, before anything is touched.

A lab that has no link to the machine is not looked at. One that has may make interfaces, which must not be there, and
build on interfaces, which must be; nothing else of the machine's network is ever changed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping

from labctl.errors import LabctlError
from labctl.linux import netns
from labctl.linux.netlink import Link, Netlink
from labctl.model.lab import MACHINE, CableSpec, LabSpec, NodeKind, NodeSpec, Stands
from labctl.runtime import panel
from labctl.runtime.store import LabDir


def wrong(lab: LabSpec) -> Iterator[LabctlError]:
    """Everything that would keep the lab's links from the machine from being made, each with its place."""
    yield from _wrong(lab, lab.cables, None, frozenset())


def wrong_with_change(place: LabDir, target: LabSpec, cables: Collection[CableSpec]) -> Iterator[LabctlError]:
    """The same for a lab that runs and is to become the target. cables: those of it that are made or changed.

    What the lab has on the machine already is in nobody's way.
    """
    pinned = place.node_ns(MACHINE)
    yield from _wrong(target, cables, pinned if netns.exists(pinned) else None, panel.on_machine(place))


def _wrong(
    lab: LabSpec, cables: Collection[CableSpec], path: str | None, own: Collection[str]
) -> Iterator[LabctlError]:
    yield from (problem for node in lab.nodes if node.kind is NodeKind.HOST for problem in _commands(node))
    if not lab.leaves:
        return
    with Netlink(path) as machine:
        there = {link.name: link for link in machine.links()}
    stands = lab.stands()
    looked_at = {cable.id for cable in cables}
    tunnels: set[tuple[int, int, int]] = set()
    for cable in lab.cables:
        for end in cable.ends if cable.id in looked_at else ():
            taken = end.port.interface in there and end.port.interface not in own
            if taken and stands[end.port.node] is Stands.MACHINE:
                yield LabctlError(
                    "machine-interface",
                    f"cable {cable.id}: the machine has an interface {end.port.interface!r} already",
                    where=cable.where,
                    hint="labctl makes the interface and removes it with the lab; choose another name",
                )
        if cable.id in looked_at:
            yield from _parent(cable, there)
        if cable.vxlan:
            yield from _tunnel(lab, cable, tunnels)


def _commands(node: NodeSpec) -> Iterator[LabctlError]:
    if node.exec:
        yield LabctlError(
            "unsupported",
            f"node {node.name!r} has kind `host`, and labctl runs no command on the machine itself",
            where=node.where,
            hint="remove `exec`, and run it yourself after the deploy",
        )


def _parent(cable: CableSpec, there: Mapping[str, Link]) -> Iterator[LabctlError]:
    way = cable.macvlan or cable.vxlan
    if way is None or way.parent is None or way.parent in there:
        return
    yield LabctlError(
        "machine-interface",
        f"cable {cable.id}: the machine has no interface {way.parent!r} that it could lead out over",
        where=cable.where,
        hint="`ip link` lists the machine's interfaces",
    )


def _tunnel(lab: LabSpec, cable: CableSpec, seen: set[tuple[int, int, int]]) -> Iterator[LabctlError]:
    assert cable.vxlan
    way = cable.vxlan
    remote = ipaddress.ip_address(way.remote)
    for subnet in (lab.mgmt.ipv4_subnet, lab.mgmt.ipv6_subnet):
        if remote in ipaddress.ip_network(subnet):
            yield LabctlError(
                "unsupported",
                f"cable {cable.id}: the tunnel's far end {remote} is in the lab's management network {subnet}",
                where=cable.where,
                hint="the machine has no leg there; a tunnel leads to another machine",
            )
    key = way.vni, way.dst_port, remote.version
    if key in seen:
        yield LabctlError(
            "unsupported",
            f"cable {cable.id}: VNI {way.vni} on port {way.dst_port} is another tunnel's already",
            where=cable.where,
            hint="the kernel tells tunnels apart by VNI and port; give each its own",
        )
    seen.add(key)
