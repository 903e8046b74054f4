"""Ports of the machine that lead to a node: which, and whether the machine has them to give.

No packet crosses between the machine and a lab. Whoever connects to a published port talks to a process of labctl's
(`runtime.publisher`), which opens a socket *inside* the node's network namespace and passes on what is said. So the node
cannot begin anything towards the machine, its management network stays without a way out, and when the lab goes the port
goes. Unless the file names an address the port is on the machine's loopback alone.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labctl.errors import LabctlError, Problems
from labctl.model.lab import LabSpec, NodeKind, Published
from labctl.runtime.store import LabDir

_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Door:
    """A published port, and where it leads: an address inside a namespace."""

    published: Published
    namespace: str
    address: str


def of(lab: LabSpec) -> Iterator[Published]:
    """What all nodes of a lab publish."""
    return (each for node in lab.nodes if node.kind is NodeKind.LINUX for each in node.ports)


def doors(lab: LabSpec, place: LabDir) -> list[Door]:
    """Where the published ports of a lab lead: the node's management address, its loopback if it has none."""
    found = []
    for node in lab.nodes:
        if node.kind is NodeKind.LINUX and node.ports:
            home = lab.node(lab.home(node.name))
            address = home.mgmt_ipv4 or home.mgmt_ipv6 or "127.0.0.1"
            found += [Door(each, place.node_ns(node.name), address) for each in node.ports]
    return found


def listen(port: Published) -> socket.socket:
    """A socket of the machine's own network that whoever wants the node talks to; OSError if it cannot be had."""
    family = socket.AF_INET6 if ipaddress.ip_address(port.host).version == 6 else socket.AF_INET
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    found = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((port.host, port.outside))
        if kind == socket.SOCK_STREAM:
            found.listen(_BACKLOG)
    except OSError:
        found.close()
        raise
    return found


def check(ports: Iterable[Published]) -> None:
    """Raise `machine-port` for each of these that the machine does not have to give now."""
    problems = Problems()
    for port in ports:
        try:
            listen(port).close()
        except OSError as error:
            problems.extend(refused(port, error))
    problems.stop()


def refused(port: Published, error: OSError) -> LabctlError:
    """What is wrong with a port that could not be had."""
    hint = "`ss -lntup` says who has it; publish another port"
    if error.errno == errno.EADDRNOTAVAIL:
        hint = "`ip address` lists the machine's addresses; without an address the port is on 127.0.0.1"
    return LabctlError(
        "machine-port",
        f"port {port.outside}/{port.protocol} of {port.host} cannot be published: {error.strerror}",
        where=port.where,
        hint=hint,
    )
