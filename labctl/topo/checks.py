"""What does not fit together, said instead of hidden: lost claims, one-sided cables, ends that disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_interface

from labctl.model.topology import Conflict, Evidence, Interface, Link
from labctl.names import CableId, PortId
from labctl.topo.identity import Box
from labctl.topo.links import Hypothesis
from labctl.topo.resolve import DOCUMENTED


def rejections(boxes: Sequence[Box]) -> list[Conflict]:
    """Rows that were read and not understood, by device: nothing is left out in silence."""
    return [
        Conflict(
            kind="rows-rejected",
            subject=box.name,
            said=tuple(
                Evidence(source=seen.source, where=row.where, said=row.reason)
                for seen in box.observations
                for row in seen.rejected
            ),
            resolution="nothing was taken from them",
        )
        for box in boxes
        if any(seen.rejected for seen in box.observations)
    ]


def losers(lost: Sequence[Hypothesis], chosen: Sequence[Hypothesis]) -> list[Conflict]:
    """Claims about ports whose cable goes elsewhere."""
    taken: dict[PortId, CableId] = {}
    for h in chosen:
        taken[h.cable.a] = taken[h.cable.z] = h.cable
    conflicts = []
    for h in lost:
        if h.cable.a == h.cable.z:
            conflicts.append(
                _conflict("port-sees-itself", h, "a port that hears itself is looped: no link is drawn")
            )
            continue
        ends = [port for port in (h.cable.a, h.cable.z) if port in taken]
        if h.inferred.keys() == {"subnet"} and not h.sides and h.kept is None and len(ends) == 2:
            continue  # two routers in one subnet behind a switch: both cables are known, nothing is wrong
        winners = ", ".join(str(taken[port]) for port in ends)
        conflicts.append(_conflict(_lost_kind(h), h, f"stronger evidence for {winners}"))
    return conflicts


def _lost_kind(h: Hypothesis) -> str:
    if h.sides or h.kept is not None:
        return "port-claimed-twice"
    if DOCUMENTED & h.inferred.keys():
        return "record-differs"
    return "subnet-without-cable" if h.inferred.keys() == {"subnet"} else "inference-differs"


def one_sided(chosen: Sequence[Hypothesis]) -> list[Conflict]:
    """Cables that one end reports and the other, which speaks LLDP and was read completely, does not."""
    return [
        _conflict("one-sided", h, "kept, with half the confidence")
        for h in chosen
        if h.contradicted and h.sides and not h.two_sided
    ]


def _conflict(kind: str, h: Hypothesis, resolution: str) -> Conflict:
    return Conflict(kind=kind, subject=str(h.cable), said=tuple(h.evidence), resolution=resolution)


def mismatches(links: Sequence[Link], interfaces: Mapping[PortId, Interface]) -> list[Conflict]:
    """MTU, speed, subnet and admin state that the two ends of one cable do not agree on."""
    conflicts: list[Conflict] = []
    for link in links:
        a, b = interfaces.get(link.a), interfaces.get(link.b)
        if a is None or b is None:
            continue
        for kind, one, other in _differences(a, b):
            said = tuple(
                Evidence(source="interface", where=str(port), said=value)
                for port, value in ((link.a, one), (link.b, other))
            )
            conflicts.append(
                Conflict(kind=kind, subject=str(link.id), said=said, resolution="both are kept as they are")
            )
    return conflicts


def _differences(a: Interface, b: Interface) -> list[tuple[str, str, str]]:
    found = []
    if a.mtu and b.mtu and a.mtu != b.mtu:
        found.append(("mtu-mismatch", f"MTU {a.mtu}", f"MTU {b.mtu}"))
    if a.speed_bps and b.speed_bps and a.speed_bps != b.speed_bps and a.oper_up and b.oper_up:
        found.append(("speed-mismatch", f"{a.speed_bps:g} bit/s", f"{b.speed_bps:g} bit/s"))
    if a.duplex and b.duplex and a.duplex != b.duplex:
        found.append(("duplex-mismatch", f"{a.duplex} duplex", f"{b.duplex} duplex"))
    if a.vlan and b.vlan and a.vlan != b.vlan and not a.addresses and not b.addresses:
        found.append(("vlan-mismatch", f"untagged VLAN {a.vlan}", f"untagged VLAN {b.vlan}"))
    ours, theirs = _networks(a), _networks(b)
    if ours and theirs and not ours & theirs:
        found.append(("subnet-mismatch", ", ".join(a.addresses), ", ".join(b.addresses)))
    if False in (a.admin_up, b.admin_up):
        said = {None: "unknown", True: "up", False: "shut down"}
        found.append(("admin-down", said[a.admin_up], said[b.admin_up]))
    return found


def _networks(interface: Interface) -> set[str]:
    """IPv4 subnets; a borrowed /32 (an unnumbered interface) is none."""
    networks = (ip_interface(address).network for address in interface.addresses)
    return {str(network) for network in networks if network.version == 4 and network.prefixlen < 32}
