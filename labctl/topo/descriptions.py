"""What people wrote at interfaces: `to leaf1 Ethernet3`, `leaf1:swp3`. The weakest evidence; real ones lie.

A description counts if it names another device and a port that this device has; without the port, if that device has
one port, and one only, whose description names us.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from labctl.model.topology import Device, Evidence, Role
from labctl.names import CableId, PortId
from labctl.topo.inferred import Inferred
from labctl.topo.links import WEIGHTS
from labctl.topo.ports import canonical

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*[A-Za-z0-9]|[A-Za-z0-9]")
_PLUGGED = frozenset({"", "lag", "subinterface"})


def descriptions(devices: Sequence[Device], silent: set[PortId]) -> Iterator[Inferred]:
    """`silent`: ports of devices that were heard to the end and hear nobody there: no word of theirs makes a cable."""
    names = _names(devices)
    ports = {d.name: _ports(d) for d in devices}
    said: dict[PortId, tuple[str, PortId | None, str]] = {}
    for device in devices:
        for interface in device.interfaces:
            near = PortId(device.name, interface.name)
            if not interface.description or interface.kind not in _PLUGGED or interface.role is not Role.DATA:
                continue
            words = _WORD.findall(interface.description)
            others = {names[w.lower()] for w in words if names.get(w.lower(), device.name) != device.name}
            if len(others) == 1 and near not in silent:
                other = next(iter(others))
                said[near] = (other, _port(words, ports[other], other), interface.description)
    back: dict[tuple[str, str], list[PortId]] = defaultdict(list)
    for near, (other, _, _) in said.items():
        back[near.node, other].append(near)
    for near, (other, port, text) in sorted(said.items()):
        ways = back.get((other, near.node), [])
        far = port
        if far is None and len(ways) == len(back[near.node, other]) == 1 and said[ways[0]][1] in (None, near):
            far = ways[0]
        if far is not None and far != near and far not in silent:
            yield Inferred(
                cable=CableId.of(near, far),
                source="description",
                weight=WEIGHTS["description"],
                evidence=Evidence(
                    source="description", where=str(near), said=f"{near} is described as {text!r}"
                ),
            )


def _names(devices: Sequence[Device]) -> Mapping[str, str]:
    """Names in lower case, and their first parts where those are unique. A name of one letter is too short."""
    found: dict[str, set[str]] = defaultdict(set)
    for device in devices:
        for spelled in {device.name.lower(), device.name.lower().split(".")[0]}:
            if len(spelled) > 1 and not spelled.isdecimal():
                found[spelled].add(device.name)
    return {spelled: next(iter(who)) for spelled, who in found.items() if len(who) == 1}


def _ports(device: Device) -> Mapping[str, PortId]:
    found: dict[str, set[str]] = defaultdict(set)
    for interface in device.interfaces:
        if interface.kind in _PLUGGED:
            found[canonical(interface.name)].add(interface.name)
    return {key: PortId(device.name, next(iter(of))) for key, of in found.items() if len(of) == 1}


def _port(words: Sequence[str], ports: Mapping[str, PortId], device: str) -> PortId | None:
    """The only port of the device that a word, or two words together, name."""
    spelled = [*words, *(a + b for a, b in pairwise(words))]
    found = {
        ports[canonical(word)]
        for word in spelled
        if word.lower() != device.lower() and canonical(word) in ports and not word.isdecimal()
    }
    return next(iter(found)) if len(found) == 1 else None
