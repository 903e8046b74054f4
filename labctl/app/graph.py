"""`labctl graph`: a topology from wherever it is, to be drawn and judged.

A snapshot of production (`topologies/<name>.yml`), a lab file, or a running lab by its name, also one that containerlab
deployed: all become a `Topology`.
"""

from __future__ import annotations

import os

from labctl.app import attached, kinds
from labctl.app.kinds import Kind
from labctl.model.topology import Device, Evidence, Interface, Link, Role, Segment, Topology
from labctl.runtime import attached_wiring, mgmt
from labctl.runtime.docker_attached import Attached
from labctl.runtime.store import Instance
from labctl.schema import clab, files
from labctl.topo.graph import of_lab, with_guests


def load(source: str | None, instance: Instance) -> Topology:
    """The topology of a file, or of a running lab (None: the only one)."""
    if source is None or not looks_like_a_file(source):
        place = attached.find(instance, source)
        return _wired(place) if isinstance(place, Attached) else of_lab(place.need().lab)
    kinds.need(source, "graph", Kind.LAB, Kind.SNAPSHOT, Kind.TOPOLOGY)
    match kinds.what(source):
        case Kind.SNAPSHOT:
            return files.load_snapshot(source).topology
        case Kind.TOPOLOGY:
            return files.load(Topology, source)
        case _:
            return of_lab(clab.load(source))


def looks_like_a_file(source: str) -> bool:
    """A lab's name has no slash, and no lab is called like a file that is here."""
    return os.sep in source or source.endswith((".yml", ".yaml")) or os.path.exists(source)


def _wired(lab: Attached) -> Topology:
    """What is joined with what, as the kernel has it now. Nodes that do not run stand alone."""
    wiring = attached_wiring.read(lab)

    def seen(what: str) -> tuple[Evidence, ...]:
        return (Evidence(source="kernel", where=f"lab {lab.name}", said=what),)

    devices = tuple(
        Device(
            id=node.name,
            name=node.name,
            polled=True,
            platform=node.image,
            interfaces=tuple(
                Interface(
                    name=port.interface, mac=link.mac, mtu=link.mtu, admin_up=link.up, oper_up=link.oper_up
                )
                for port, link in sorted(wiring.ports.items())
                if port.node == node.name
            ),
        )
        for node in lab.nodes
    )
    links = tuple(
        Link(a=each.a, b=each.z, two_sided=True, confidence=1.0, evidence=seen("a veth pair"))
        for each in wiring.cables
    )
    segments = tuple(
        Segment(
            name=name,
            ports=ports,
            evidence=seen(f"bridge {name} of the machine"),
            role=Role.MGMT if any(port.interface == mgmt.INTERFACE for port in ports) else Role.DATA,
        )
        for name, ports in wiring.bridges.items()
    )
    found = Topology(name=lab.name, devices=devices, links=links, segments=segments)
    return with_guests(found, wiring.shares, seen("one network"))
