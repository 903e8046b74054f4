"""A topology as a graph, for everything that asks "what is connected".

Nodes are device names, edges are links and keep the `Link` itself (`data["link"]`); parallel links are parallel
edges. A segment (many ports on one wire) is a node of its own, `segment:<name>`, so that its members are connected
through it and not to each other; an edge that is `inner` is no wire (see `with_guests`). Management links are left out unless asked for: they would join everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import networkx as nx

from labctl.model.lab import LabSpec, NodeKind
from labctl.model.topology import Device, Evidence, Interface, Link, Role, Segment, Topology
from labctl.names import PortId

SEGMENT = "segment:"
#: Of a network that several nodes are in, the interface that all of them have.
_SHARED = "lo"


def graph(topology: Topology, *, management: bool = False) -> nx.MultiGraph:
    """Devices and links; edge keys are link ids as text. Ports of devices that are not listed make them nodes too."""
    g = nx.MultiGraph(name=topology.name)
    for device in sorted(topology.devices, key=lambda d: d.name):
        g.add_node(device.name, device=device)
    for link in sorted(topology.links, key=lambda each: str(each.id)):
        if management or link.role is not Role.MGMT:
            g.add_edge(link.a.node, link.b.node, key=str(link.id), link=link)
    for segment in sorted(topology.segments, key=lambda s: s.name):
        if segment.role is Role.MGMT and not management:
            continue
        name = SEGMENT + segment.name
        g.add_node(name, segment=segment)
        for port in sorted(segment.ports):
            key = f"{segment.name} {port}"
            g.add_edge(name, port.node, key=key, port=port, inner=_inner(segment, port))
    return g


def _inner(segment: Segment, port: PortId) -> bool:
    """Whether a node is on a segment by something inside of it, and not by a wire: its loopback, its own bridge."""
    bridge, bar, _ = segment.name.partition("|")
    return port.interface == (bridge if bar else _SHARED)


def of_lab(lab: LabSpec) -> Topology:
    """A lab as a topology, so that a lab file can be drawn and judged like production. Stubs lead nowhere.

    A bridge inside a node is a segment that the node is on with its interface of that name.
    """
    bridges = {n.name for n in lab.nodes if n.kind is NodeKind.BRIDGE}
    ports: dict[str, set[str]] = {n.name: set() for n in lab.nodes if n.name not in bridges}
    members: dict[str, list[PortId]] = {b: [] for b in sorted(bridges)}
    for node in lab.nodes:
        if node.name in bridges and node.shares:
            inside = PortId(lab.home(node.name), node.name.partition("|")[0])
            members[node.name].append(inside)
            ports.setdefault(inside.node, set()).add(inside.interface)
    links: list[Link] = []
    for cable in lab.cables:
        for end in cable.ends:
            ports.setdefault(end.port.node, set()).add(end.port.interface)
        if cable.z is None:
            continue
        a, z = cable.a.port, cable.z.port
        if a.node in bridges and z.node not in bridges:
            members[a.node].append(z)
        elif z.node in bridges and a.node not in bridges:
            members[z.node].append(a)
        else:
            links.append(Link(a=a, b=z, two_sided=True, confidence=1.0, evidence=_said(lab, f"{a}, {z}")))
    kinds = {n.name: n.image or str(n.kind) for n in lab.nodes}
    devices = tuple(
        Device(
            id=name,
            name=name,
            polled=True,
            platform=kinds.get(name, ""),
            interfaces=tuple(Interface(name=i) for i in sorted(ports[name])),
        )
        for name in sorted(ports)
        if name not in bridges
    )
    segments = tuple(
        Segment(name=b, ports=tuple(sorted(p)), evidence=_said(lab, f"node {b} of kind bridge"))
        for b, p in members.items()
    )
    topology = Topology(name=lab.name, devices=devices, links=tuple(links), segments=segments)
    guests = {n.name: lab.home(n.name) for n in lab.nodes if n.shares and n.name not in bridges}
    return with_guests(topology, guests, _said(lab, "network-mode"))


def with_guests(
    topology: Topology, shares: Mapping[str, str], evidence: tuple[Evidence, ...] = ()
) -> Topology:
    """Nodes that are in another's network (guest -> that node) joined to it. No link, because none can be cut: a segment,
    which goes with the node whose network it is.
    """
    hosts: dict[str, list[PortId]] = {}
    for guest, host in sorted(shares.items()):
        hosts.setdefault(host, [PortId(host, _SHARED)]).append(PortId(guest, _SHARED))
    networks = (
        Segment(name=f"network of {host}", ports=tuple(sorted(ports)), evidence=evidence)
        for host, ports in sorted(hosts.items())
    )
    return replace(topology, segments=(*topology.segments, *networks))


def _said(lab: LabSpec, what: str) -> tuple[Evidence, ...]:
    """The lab file is all the evidence there is; a lab made in memory has none."""
    return (Evidence(source="lab file", where=lab.source, said=what),) if lab.source else ()
