"""The blast radius of a configuration line: how many other devices are reached through what the line touches.

    a port         the devices at the far ends of its data links and segments (a sub-interface has its parent's)
    a peer         the device that has the peer's address
    a next hop     the same
    a route-map    the peers that it is applied to
    a process      the devices at its peers, or at all ports of a protocol that runs on ports
    anything else  none

A line touches what it names, and what the lines that it stands below name: ` ip nat inside` touches the port of its
`interface`. A process counts only where nothing narrower is named. A device that is known by an address alone counts,
too: what is behind it is lost as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from labctl.model.account import AccountedLine, ConfigAccount
from labctl.model.config import DeviceConfig
from labctl.model.topology import Role, Topology

_PROCESS = re.compile(r"(?:ipv6 )?router (\S+)")


@dataclass(frozen=True, kw_only=True)
class Network:
    """What the measure looks at: who is at the far end of a port, and who has an address."""

    topology: Topology
    configs: Mapping[str, DeviceConfig]

    @cached_property
    def far(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """Device -> port -> devices at its other end."""
        found: dict[str, dict[str, set[str]]] = {}
        groups = [(link.a, link.b) for link in self.topology.links if link.role is not Role.MGMT]
        wires = [*groups, *(s.ports for s in self.topology.segments if s.role is not Role.MGMT)]
        for ports in wires:
            for port in ports:
                others = {other.node for other in ports if other.node != port.node}
                found.setdefault(port.node, {}).setdefault(port.interface, set()).update(others)
        return {
            device: {port: frozenset(names) for port, names in ports.items()}
            for device, ports in found.items()
        }

    @cached_property
    def owners(self) -> Mapping[str, str]:
        return {address: name for name, config in self.configs.items() for address in config.addresses}

    def at(self, device: str, port: str) -> frozenset[str]:
        ports = self.far.get(device, {})
        return ports.get(port, frozenset()) | ports.get(port.partition(".")[0], frozenset())


def radii(account: ConfigAccount, network: Network) -> Iterator[tuple[AccountedLine, tuple[str, ...]]]:
    """Each line with the devices in its blast radius."""
    above: list[AccountedLine] = []
    for line in account.lines:
        while above and above[-1].depth >= line.depth:
            above.pop()
        above.append(line)
        yield line, tuple(sorted(_reached(account.device, [each.text for each in above], network)))


def _reached(device: str, texts: Sequence[str], network: Network) -> set[str]:
    config = network.configs.get(device)
    if config is None:
        return set()
    words = [word for text in texts for word in text.replace(",", " ").split()]
    found = set(_by_ports(device, words, config, network)) | set(_by_peers(words, config, network))
    if not found and (process := next((m for m in map(_PROCESS.match, texts) if m), None)):
        found = set(_of_process(device, process[1], config, network))
    return found - {device}


def _by_ports(device: str, words: Iterable[str], config: DeviceConfig, network: Network) -> Iterator[str]:
    names = {interface.name for interface in config.interfaces}
    for word in words:
        if word in names:
            yield from network.at(device, word)


def _by_peers(words: Sequence[str], config: DeviceConfig, network: Network) -> Iterator[str]:
    peers = {n.peer for n in config.bgp.neighbors} if config.bgp else set()
    for word in words:
        if word in network.owners:
            yield network.owners[word]
        elif word in peers:
            yield word
    maps = {word for before, word in pairwise(words) if before == "route-map"}
    for neighbor in config.bgp.neighbors if config.bgp and maps else ():
        if any({f.route_map_in, f.route_map_out} & maps for f in neighbor.families):
            yield network.owners.get(neighbor.peer, neighbor.peer)


def _of_process(device: str, protocol: str, config: DeviceConfig, network: Network) -> Iterator[str]:
    if protocol == "bgp":
        for neighbor in config.bgp.neighbors if config.bgp else ():
            yield network.owners.get(neighbor.peer, neighbor.peer)
        return
    for port in network.far.get(device, {}):
        yield from network.at(device, port)
