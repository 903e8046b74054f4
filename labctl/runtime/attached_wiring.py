"""How a lab that somebody else wired is wired: read from the kernel, because no file says what is true by now.

A veth's device names its peer by number, and the peer's namespace by a number of its own; two devices that name each
other so are one cable. A peer in the machine's own namespace that is a port of a bridge there makes the bridge a segment.
Nothing is changed: reading and listening is all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from labctl.errors import LabctlError, did_you_mean
from labctl.linux import netns, proc
from labctl.linux.netlink import Link, Netlink
from labctl.names import CableId, PortId
from labctl.runtime import docker_attached
from labctl.runtime.capture import Spot
from labctl.runtime.docker_attached import Attached

#: What whoever wires a lab puts into a node; the rest is the kernel's own (tunnels' fallback devices) or the node's.
_KINDS = frozenset({"veth", "macvlan", "vxlan", "dummy"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The network that a node is in: its process, and the identity of the namespace."""

    process: proc.Identity
    inode: int

    @property
    def path(self) -> str:
        return f"/proc/{self.process.pid}/ns/net"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """rooms: of the nodes that run, but for those in the machine's own network; shares: guest -> the node whose network it is
    in; bridges: of the machine, with the ports that lead to them.
    """

    rooms: Mapping[str, Room]
    ports: Mapping[PortId, Link]
    cables: tuple[CableId, ...]
    shares: Mapping[str, str]
    bridges: Mapping[str, tuple[PortId, ...]]


def read(lab: Attached) -> Wiring:
    """The wiring as it is now."""
    rooms, shares = _rooms(lab)
    ports: dict[PortId, Link] = {}
    for name, room in rooms.items():
        if name not in shares:
            with _gone_is_nothing(), Netlink(room.path) as inside:
                links = inside.links()
                ports |= {PortId(name, each.name): each for each in links if each.kind in _KINDS}
    own = {name: room for name, room in rooms.items() if name not in shares}
    cables, outside = _joined(own, ports)
    return Wiring(rooms=rooms, ports=ports, cables=cables, shares=shares, bridges=_bridges(ports, outside))


def spots(lab: Attached, target: str) -> tuple[Mapping[PortId, Spot], Callable[[], str]]:
    """Where the ports of a cable, or one port, are seen; and what says why that is over, once one of their nodes has ended.

    Whoever listens ends then at once, because a listening socket keeps the namespace of a node that is no more.
    """
    wiring = read(lab)
    found = _meant(lab, wiring, target)
    rooms = {port: wiring.rooms[port.node] for port in found}

    def over() -> str:
        ended = sorted(port.node for port, room in rooms.items() if not proc.alive(room.process))
        return f"node {ended[0]} has ended" if ended else ""

    return {
        port: Spot(netns=room.path, device=port.interface, inside=True) for port, room in rooms.items()
    }, over


def _meant(lab: Attached, wiring: Wiring, target: str) -> tuple[PortId, ...]:
    cables = {str(each): each for each in wiring.cables}
    with contextlib.suppress(LabctlError):
        cable = cables.get(str(CableId.parse(target)))
        if cable is not None:
            return cable.a, cable.z
    ports = {str(port): port for port in wiring.ports}
    ports |= {
        f"{guest}:{port.interface}": port
        for guest, host in wiring.shares.items()
        for port in wiring.ports
        if port.node == host
    }
    if target in ports:
        return (ports[target],)
    for node in lab.nodes:  # one that does not run has no ports that could be listed
        if node.name not in wiring.rooms and target.startswith(f"{node.name}:"):
            docker_attached.process(lab, node)
    raise LabctlError(
        "unknown-resource",
        f"lab {lab.name!r} has no cable or port {target!r}",
        hint=did_you_mean(target, [*cables, *ports]),
    )


def _rooms(lab: Attached) -> tuple[dict[str, Room], dict[str, str]]:
    """Nodes with their networks, and who is in whose: of several in one, the first that the engine gave one of its own."""
    machine = netns.inode()
    rooms: dict[str, Room] = {}
    for node in lab.nodes:
        with contextlib.suppress(LabctlError, FileNotFoundError):  # it does not run, or ends right now
            who = docker_attached.process(lab, node)
            room = Room(process=who, inode=netns.inode(f"/proc/{who.pid}/ns/net"))
            if room.inode != machine:
                rooms[node.name] = room
    guests = {node.name for node in lab.nodes if node.guest}
    hosts: dict[int, str] = {}
    for name in sorted(rooms, key=lambda each: (each in guests, each)):
        hosts.setdefault(rooms[name].inode, name)
    shares = {name: hosts[room.inode] for name, room in rooms.items() if hosts[room.inode] != name}
    return rooms, shares


def _joined(
    rooms: Mapping[str, Room], ports: Mapping[PortId, Link]
) -> tuple[tuple[CableId, ...], dict[PortId, int]]:
    """Pairs of ports that are each other's peer, and the ports whose peer is a device of the machine, with its number."""
    at = {(rooms[port.node].inode, link.index): port for port, link in ports.items()}
    cables: set[CableId] = set()
    outside: dict[PortId, int] = {}
    for name, room in rooms.items():
        numbers = _numbers(room, rooms)
        for port, link in ports.items():
            if port.node != name or link.kind != "veth" or link.peer is None:
                continue
            inode = room.inode if link.peer_nsid is None else numbers.get(link.peer_nsid)
            if inode == netns.inode():
                outside[port] = link.peer
            elif inode is not None and (inode, link.peer) in at:
                cables.add(CableId.of(port, at[inode, link.peer]))
    return tuple(sorted(cables)), outside


def _numbers(room: Room, rooms: Mapping[str, Room]) -> dict[int, int]:
    """By what number a node's namespace knows the others, and the machine's: number -> identity."""
    found: dict[int, int] = {}
    with _gone_is_nothing(), Netlink(room.path) as inside:
        for path, inode in [
            (netns.OWN, netns.inode()),
            *((each.path, each.inode) for each in rooms.values()),
        ]:
            with _gone_is_nothing(), netns.opened(path) as fd:
                number = inside.nsid(fd)
                if number is not None:
                    found[number] = inode
    return found


def _bridges(ports: Mapping[PortId, Link], outside: Mapping[PortId, int]) -> dict[str, tuple[PortId, ...]]:
    """Bridges of the machine, by name, with the ports that lead to them."""
    if not outside:
        return {}
    with Netlink() as machine:
        devices = {each.index: each for each in machine.links()}
    found: dict[str, list[PortId]] = {}
    for port in sorted(ports):
        device = devices.get(outside.get(port, 0))
        bridge = devices.get(device.master or 0) if device is not None else None
        if bridge is not None and bridge.kind == "bridge":
            found.setdefault(bridge.name, []).append(port)
    return {name: tuple(members) for name, members in sorted(found.items())}


@contextlib.contextmanager
def _gone_is_nothing() -> Iterator[None]:
    """A process that ends while it is looked at has no network any more."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        yield
