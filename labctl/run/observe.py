"""Looking at a running lab: what to watch, and what its nodes route by, in production's names.

A rendered lab carries the production name of every node and port that had to be renamed as a label
(`labctl.name`, `labctl.lo`, `labctl.a`, `labctl.z`); nothing else here knows where the lab came from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from labctl.analyze.routes import Tables, alone, renamed
from labctl.linux.routes import RouteReader
from labctl.model.lab import LabSpec, NodeKind
from labctl.model.routes import Adjacency, Route
from labctl.names import PortId
from labctl.probes import frr
from labctl.run import converge
from labctl.runtime.base import RUNTIMES, Runtime
from labctl.runtime.store import LabDir


def runtime(place: LabDir) -> Runtime:
    """The runtime that the lab was deployed on."""
    return RUNTIMES[place.need().runtime](place.instance)


def targets(place: LabDir) -> list[converge.Target]:
    """Every node of the lab, with the daemons it runs."""
    lab, here = place.need().lab, runtime(place)
    found = []
    for status in here.status(lab):
        if status.pid is None:
            continue
        target = converge.target(status.node, place.node_ns(status.node), _root(status.pid))
        if target.daemons is not None:
            target = replace(target, daemons=_Daemons(here, lab, status.node, status.pid))
        found.append(target)
    return found


class _Daemons:
    """The daemons of a node, in whatever process it runs now: after a power loss it is another one."""

    def __init__(self, runtime: Runtime, lab: LabSpec, node: str, pid: int) -> None:
        self._runtime = runtime
        self._lab = replace(lab, nodes=(lab.node(node),), cables=())
        self._pid = pid
        self._sockets = frr.VtySockets(_root(pid))

    def ask(self, daemon: str, command: str) -> str | None:
        answer = self._sockets.ask(daemon, command)
        if answer is not None or os.path.exists(_root(self._pid)):
            return answer
        pid = next((status.pid for status in self._runtime.status(self._lab)), None)
        if pid is None:
            return None
        self._pid, self._sockets = pid, frr.VtySockets(_root(pid))
        return self._sockets.ask(daemon, command)

    def runs(self, daemon: str) -> bool:
        return self._sockets.runs(daemon)


def _root(pid: int) -> str:
    return f"/proc/{pid}/root"


def tables(place: LabDir) -> Tables:
    """The routes of every node: FRR's where it runs, the kernel's elsewhere; None where neither answers."""
    lab = place.need().lab
    nodes, ports = node_names(lab), port_names(lab)
    watched = {each.node: each for each in targets(place)}
    routes: dict[str, tuple[Route, ...] | None] = {}
    own: dict[str, tuple[Route, ...]] = {}
    sessions: list[Adjacency] = []
    for node in lab.nodes:
        if node.kind is not NodeKind.LINUX:
            continue
        name, real, target = nodes[node.name], ports.get(node.name, {}), watched.get(node.name)
        said = _routes(target)
        routes[name] = None if said is None else renamed(said, real)
        if target is not None:
            own[name] = renamed(_own(target), real)
        sessions += [
            replace(s, interface=real.get(s.interface, s.interface)) for s in _sessions(name, target)
        ]
    return Tables(
        routes=routes,
        management=(lab.mgmt.ipv4_subnet, lab.mgmt.ipv6_subnet),
        adjacencies=tuple(sorted(sessions)),
        own=own,
    )


def node_names(lab: LabSpec) -> dict[str, str]:
    """Lab node -> production device."""
    return {node.name: node.labels.get("labctl.name", node.name) for node in lab.nodes}


def port_names(lab: LabSpec) -> dict[str, dict[str, str]]:
    """Lab node -> its interfaces that are called otherwise in production -> that name."""
    found: dict[str, dict[str, str]] = {
        node.name: {"lo": node.labels["labctl.lo"]} for node in lab.nodes if "labctl.lo" in node.labels
    }
    for cable in lab.cables:
        for key, end in (("labctl.a", cable.a), ("labctl.z", cable.z)):
            if end is not None and key in cable.labels:
                real = cable.labels[key].partition(":")[2]
                found.setdefault(end.port.node, {})[end.port.interface] = real
    return found


def resource_names(lab: LabSpec) -> dict[str, str]:
    """Node, port or cable of the lab, as text -> what production calls it, where that is another name."""
    nodes, ports = node_names(lab), port_names(lab)

    def port(each: PortId) -> str:
        return f"{nodes[each.node]}:{ports.get(each.node, {}).get(each.interface, each.interface)}"

    found = dict(nodes)
    for cable in lab.cables:
        found |= {str(end.port): port(end.port) for end in cable.ends}
        if cable.z is not None:
            found[str(cable.id)] = f"{port(cable.id.a)}--{port(cable.id.z)}"
    return {name: real for name, real in found.items() if name != real}


def _routes(target: converge.Target | None) -> tuple[Route, ...] | None:
    if target is None:
        return None
    if target.daemons is not None:
        return frr.routes(target.daemons)
    with RouteReader(target.netns) as reader:
        fib = tuple(reader.fib().values())
        return fib + alone(reader.own(), fib)


def _own(target: converge.Target) -> tuple[Route, ...]:
    with RouteReader(target.netns) as reader:
        return reader.own()


def _sessions(name: str, target: converge.Target | None) -> list[Adjacency]:
    if target is None or target.daemons is None:
        return []
    said: Mapping[str, tuple[Adjacency, ...] | None] = frr.adjacencies(name, target.daemons, target.which)
    return [each for some in said.values() for each in some or ()]
