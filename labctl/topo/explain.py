"""Why there is a link between two ports, or none: the evidence, what it weighs, and what else wanted the ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labctl.errors import LabctlError, did_you_mean
from labctl.model.observation import Ident, IdKind
from labctl.model.topology import Conflict, Evidence, Interface
from labctl.names import CableId, PortId
from labctl.topo.links import Hypothesis
from labctl.topo.merge import Weighed, in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A cable that something speaks for. weights: what each kind of its evidence is worth here."""

    cable: CableId
    chosen: bool
    two_sided: bool
    confidence: float
    weights: tuple[tuple[str, float], ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """verdict: "link", "segment" (both are on one), "lost" (to better evidence) or "nothing" (speaks for it).

    notes: what is known of each port that explains a silence. competing: other cables that one of the ports was claimed for.
    """

    a: PortId
    b: PortId
    verdict: str
    asked: Candidate | None
    competing: tuple[Candidate, ...]
    notes: tuple[str, ...]
    conflicts: tuple[Conflict, ...]


def explain(weighed: Weighed, conflicts: Sequence[Conflict], one: PortId, other: PortId) -> Explanation:
    """`conflicts`: those of the finished topology."""
    a, b = _resolve(weighed, one), _resolve(weighed, other)
    cable = CableId.of(a, b)
    every = [*((h, True) for h in weighed.chosen), *((h, False) for h in weighed.lost)]
    asked = next((_candidate(h, chosen=chosen) for h, chosen in every if h.cable == cable), None)
    competing = tuple(
        _candidate(h, chosen=chosen)
        for h, chosen in every
        if h.cable != cable and {a, b} & {h.cable.a, h.cable.z}
    )
    shared = any({a, b} <= set(segment.ports) for segment in weighed.segments)
    verdict = "segment" if shared else "nothing"
    if asked is not None:
        verdict = "link" if asked.chosen else "lost"
    names = {str(a), str(b), str(cable)}
    return Explanation(
        a=a,
        b=b,
        verdict=verdict,
        asked=asked,
        competing=tuple(sorted(competing, key=lambda c: (-c.confidence, c.cable))),
        notes=tuple(note for port in (a, b) for note in _notes(weighed, port)),
        conflicts=tuple(
            c
            for c in conflicts
            if names & {c.subject, *c.subject.split("--")} or c.subject in (a.node, b.node)
        ),
    )


def _resolve(weighed: Weighed, said: PortId) -> PortId:
    """The port that a person means: names as they are, or short, in any case."""
    boxes = weighed.resolved.boxes
    word = said.node.casefold()
    exact = [each for each in boxes if said.node in (each.name, each.key)]
    short = [each for each in boxes if word in (each.name.casefold(), each.name.split(".")[0].casefold())]
    box = next((found[0] for found in (exact, short) if len(found) == 1), None)
    if box is None:
        known = [each.name for each in boxes]
        raise LabctlError(
            "unknown-device",
            f"no device is called {said.node!r}",
            hint=did_you_mean(said.node, known),
        )
    names = [i.name for i in weighed.devices[box.number].interfaces]
    if said.interface in names:
        return PortId(box.name, said.interface)
    port = weighed.resolved.ports[box.number].claimed(Ident(IdKind.NAME, said.interface), "")
    if port is None or port[0] not in names:
        raise LabctlError(
            "unknown-device",
            f"{box.name} has no port {said.interface!r}",
            hint=did_you_mean(said.interface, names),
        )
    return PortId(box.name, port[0])


def _candidate(h: Hypothesis, *, chosen: bool) -> Candidate:
    return Candidate(
        cable=h.cable,
        chosen=chosen,
        two_sided=h.two_sided,
        confidence=round(h.confidence, 4),
        weights=tuple((kind, round(weight, 4)) for kind, weight in sorted(h.weights.items())),
        evidence=in_order(h.evidence),
    )


def _notes(weighed: Weighed, port: PortId) -> Iterator[str]:
    device = next(d for d in weighed.devices if d.name == port.node)
    interface = weighed.world.interfaces.get(port)
    for segment in weighed.segments:
        if port in segment.ports:
            yield f"{port} is on {segment.name}, with {len(segment.ports) - 1} others"
    if not device.polled:
        yield f"{port.node} was not asked: it is known only from what others say"
    elif port in weighed.wired:
        yield f"{port} has neighbour rows"
    elif port.node in weighed.speaks:
        yield f"{port.node} listens for neighbours, was heard to the end, and hears nobody on {port}"
    else:
        yield f"{port.node} has no neighbour table: it speaks no LLDP or CDP, or it was not read"
    for seen in (behind for at, behind in weighed.stations.items() if at == port):
        yield f"behind {port} are the addresses of {', '.join(sorted(seen.who)[:5])}"
    if interface is not None:
        yield from _state(port, interface)


def _state(port: PortId, interface: Interface) -> Iterator[str]:
    if interface.kind not in ("", "lag"):
        yield f"{port} is a {interface.kind}: no cable is plugged into it"
    if interface.member_of:
        yield f"{port} is a member of {interface.member_of}"
    if interface.admin_up is False:
        yield f"{port} is shut down"
    if interface.oper_up is False:
        yield f"{port} is down"
    if not interface.addresses:
        yield f"{port} has no address"
