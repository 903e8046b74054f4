"""Neighbour rows -> claims: who heard whom, port for port, and by which rules.

The local port is resolved through the tables of the device that heard, the remote one through the tables of the
device that was heard. What the tables cannot tell, the way back sometimes can: if B's port p hears A, and only one of
A's ports hears B's p, then that is the port B means (`return-port`).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from labctl.model.observation import CableRow, Claim, Ident, IdKind, Neighbour
from labctl.model.topology import Conflict, Evidence
from labctl.topo.identity import Box, Identities
from labctl.topo.neighbours import Neighbours
from labctl.topo.ports import FACTORS, Found, Ports, canonical, ports_of

DOCUMENTED: Final = frozenset({"cables", "clab", "layer1", "netbox"})
#: How far the identity by which a neighbour was recognised is trusted.
IDENTITY_FACTORS: Final[Mapping[str, float]] = {
    "mac": 1.0,
    "chassis": 1.0,
    "serial": 1.0,
    "ip": 0.95,
    "name": 0.95,
    "short": 0.9,
    "same-port": 0.9,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """All boxes, those that nobody polled included; the ports of each; and the claims between them."""

    boxes: tuple[Box, ...]
    ports: tuple[Ports, ...]
    claims: tuple[Claim, ...]
    written: tuple[Claim, ...]  # what documents say; the order of the ends means nothing
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """A row with its local side resolved."""

    device: int
    row: Neighbour
    local: Found | None


def resolve(known: Identities, cables: Sequence[CableRow] = ()) -> Resolved:
    """Resolve every neighbour row of every box, and the ends of written cables."""
    heard_ports = [ports_of(box) for box in known.boxes]
    heard = [
        _Heard(device=box.number, row=row, local=heard_ports[box.number].heard_on(row))
        for box in known.boxes
        for seen in box.observations
        for row in seen.neighbours
    ]
    neighbours = Neighbours(known)
    neighbours.adopt((h.device, h.row) for h in heard)
    neighbours.adopt_named(end[0] for row in cables for end in (row.a, row.z))
    boxes = tuple(neighbours.boxes)
    ports = (*heard_ports, *(Ports(box) for box in boxes[len(heard_ports) :]))
    conflicts: list[Conflict] = []
    claims = [_claim(h, neighbours, ports, conflicts) for h in heard]
    claims = _same_port(claims, heard)
    claims = _one_spelling(claims, boxes)
    claims = _return_ports(claims)
    written = _one_spelling([_written(row, neighbours, ports) for row in cables], boxes)
    conflicts += _unresolved((*claims, *written), boxes)
    return Resolved(
        boxes=boxes,
        ports=ports,
        claims=tuple(claims),
        written=tuple(written),
        conflicts=tuple(conflicts),
    )


def _written(row: CableRow, neighbours: Neighbours, ports: Sequence[Ports]) -> Claim:
    """A cable of a document: both ends by the names it has for them."""
    ends = []
    for device, port in (row.a, row.z):
        box = neighbours.named(device)
        ends.append((box, ports[box].claimed(Ident(IdKind.NAME, port), "") if box is not None else None))
    (a, a_port), (z, z_port) = ends
    known = [port for _, port in ends if port is not None]
    return Claim(
        device=a if a is not None else 0,
        port=a_port[0] if a_port else None,
        remote_device=z,
        remote_port=z_port[0] if z_port else None,
        factor=round(math.prod(FACTORS[rule] for _, rule in known), 6),
        evidence=Evidence(
            source=row.source, where=row.where, said=row.said, rule="; ".join(rule for _, rule in known)
        ),
    )


def _claim(heard: _Heard, neighbours: Neighbours, ports: Sequence[Ports], conflicts: list[Conflict]) -> Claim:
    row = heard.row
    local, local_rule = heard.local or (None, "unresolved")
    factor = FACTORS.get(local_rule, 1.0)
    who = neighbours.known(row, heard.device)
    remote: Found | None = None
    if who is not None:
        factor *= IDENTITY_FACTORS[who[1]]
        remote = ports[who[0]].claimed(row.remote_port, row.port_descr)
        factor *= FACTORS[remote[1]] if remote else 1.0
        differ = neighbours.disagreement(row)
        if differ is not None:
            conflicts.append(_disagreement(row, neighbours.boxes[differ[0]], neighbours.boxes[differ[1]]))
    rule = f"local {local_rule}; remote {remote[1] if remote else 'unresolved'}"
    if who is not None and who[1] not in ("mac", "chassis"):
        rule += f"; device by {who[1]}"
    return Claim(
        device=heard.device,
        port=local,
        remote_device=who[0] if who else None,
        remote_port=remote[0] if remote else None,
        factor=round(factor, 6),
        evidence=Evidence(
            source="cdp" if row.protocol == "cdp" else "lldp", where=row.where, said=row.said, rule=rule
        ),
        remote_vlan=row.native_vlan,
        remote_duplex=row.duplex,
    )


def _disagreement(row: Neighbour, by_mac: Box, by_name: Box) -> Conflict:
    return Conflict(
        kind="identity-disagrees",
        subject=f"{by_mac.name} or {by_name.name}",
        said=(Evidence(source=row.protocol, where=row.where, said=row.said),),
        resolution=f"the hardware address counts: {by_mac.name}",
    )


def _same_port(claims: Sequence[Claim], heard: Sequence[_Heard]) -> list[Claim]:
    """A nameless row (CDP without its device id) on a port where one known neighbour names the same port is that one."""
    named: dict[tuple[int, str], set[tuple[int, str]]] = defaultdict(set)
    for claim in claims:
        if claim.port is not None and claim.remote_device is not None and claim.remote_port is not None:
            named[claim.device, claim.port].add((claim.remote_device, claim.remote_port))
    result = []
    for claim, h in zip(claims, heard, strict=True):
        said = h.row.remote_port
        if claim.remote_device is None and claim.port is not None and said is not None:
            same = {
                (device, port)
                for device, port in named[claim.device, claim.port]
                if canonical(port) == canonical(said.text)
            }
            if len(same) == 1:
                device, port = next(iter(same))
                rule = claim.evidence.rule.replace(
                    "remote unresolved", "remote canonical-name; device by same-port"
                )
                result.append(
                    replace(
                        claim,
                        remote_device=device,
                        remote_port=port,
                        factor=claim.factor * IDENTITY_FACTORS["same-port"],
                        evidence=replace(claim.evidence, rule=rule),
                    )
                )
                continue
        result.append(claim)
    return result


def _one_spelling(claims: Sequence[Claim], boxes: Sequence[Box]) -> list[Claim]:
    """Ports of boxes that were not polled: `Gi1/0/8` (LLDP) and `GigabitEthernet1/0/8` (CDP) are one, the longer."""
    spellings: dict[tuple[int, str], str] = {}
    for claim in claims:
        if claim.remote_device is not None and claim.remote_port and not boxes[claim.remote_device].polled:
            key = (claim.remote_device, canonical(claim.remote_port))
            spellings[key] = max(spellings.get(key, ""), claim.remote_port, key=lambda s: (len(s), s))
    return [
        replace(c, remote_port=spellings.get((c.remote_device, canonical(c.remote_port)), c.remote_port))
        if c.remote_device is not None and c.remote_port
        else c
        for c in claims
    ]


def _return_ports(claims: Sequence[Claim]) -> list[Claim]:
    """Fill in remote ports that only the way back tells."""
    back: dict[tuple[int, int, str], set[str]] = defaultdict(set)
    for claim in claims:
        if claim.port is not None and claim.remote_device is not None and claim.remote_port is not None:
            back[claim.remote_device, claim.device, claim.remote_port].add(claim.port)
    return [_by_return(claim, back) for claim in claims]


def _by_return(claim: Claim, back: Mapping[tuple[int, int, str], set[str]]) -> Claim:
    unclear = claim.remote_port is None or "ambiguous" in claim.evidence.rule
    if not unclear or claim.port is None or claim.remote_device is None:
        return claim
    ways = back.get((claim.device, claim.remote_device, claim.port), set())
    if len(ways) != 1:
        return claim
    rule = re.sub(r"remote [\w-]+", "remote return-port", claim.evidence.rule)
    return replace(
        claim,
        remote_port=next(iter(ways)),
        factor=FACTORS["return-port"],
        evidence=replace(claim.evidence, rule=rule),
    )


def _unresolved(claims: Sequence[Claim], boxes: Sequence[Box]) -> list[Conflict]:
    """What could not be placed is said, once for each device and reason."""
    lost: dict[tuple[str, str, str], list[Evidence]] = defaultdict(list)
    for claim in claims:
        name = boxes[claim.device].name
        if claim.remote_device is None:
            key = (
                "neighbour-anonymous",
                name,
                "the row says nothing that identifies a device: no link is drawn",
            )
        elif claim.port is None and claim.evidence.source in DOCUMENTED:
            key = ("port-unresolved", name, f"no port of {name} goes by that name: no link is drawn")
        elif claim.port is None:
            key = ("local-port-unknown", name, "the row does not say which port heard it: no link is drawn")
        elif claim.remote_port is None:
            key = (
                "port-unresolved",
                f"{name}:{claim.port}",
                f"no port of {boxes[claim.remote_device].name} goes by that name: no link is drawn",
            )
        else:
            continue
        lost[key].append(claim.evidence)
    return [
        Conflict(kind=kind, subject=subject, said=tuple(said), resolution=resolution)
        for (kind, subject, resolution), said in sorted(lost.items())
    ]
