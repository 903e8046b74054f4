"""What is wrong with production, seen from both ends at once: settings that two ends must share.

Part of it is what the merge found (`checks`); the rest needs configurations: what the ends of a wire say (`lint_wires`),
and here AS numbers and passwords of BGP, router ids and system ids. A finding is a `Conflict` that says what each side says and where.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from labctl.model.config import DeviceConfig
from labctl.model.routing import BgpNeighbor
from labctl.model.topology import Conflict, Topology
from labctl.topo.lint_wires import finding, on_wires

#: Conflicts of the merge that are mistakes of production and not of what was read.
OF_THE_MERGE: Final = frozenset(
    {
        "address-shared",
        "admin-down",
        "duplex-mismatch",
        "identity-shared",
        "mtu-mismatch",
        "name-shared",
        "port-sees-itself",
        "speed-mismatch",
        "subnet-mismatch",
        "vlan-mismatch",
    }
)


def lint(topology: Topology, configs: Mapping[str, DeviceConfig]) -> tuple[Conflict, ...]:
    found = [
        *(conflict for conflict in topology.conflicts if conflict.kind in OF_THE_MERGE),
        *on_wires(topology, configs),
        *_bgp(configs),
        *_router_ids(configs),
    ]
    return tuple(sorted(found, key=lambda c: (c.kind, c.subject)))


# -- BGP --------------------------------------------------------------------------------------------------------


def _bgp(configs: Mapping[str, DeviceConfig]) -> Iterator[Conflict]:
    owners: dict[str, set[str]] = defaultdict(set)
    for name, config in configs.items():
        for address in config.addresses:
            owners[address].add(name)
    for name, config in sorted(configs.items()):
        for neighbor in config.bgp.neighbors if config.bgp else ():
            if neighbor.unnumbered or neighbor.shutdown:
                continue
            who = owners.get(_address(neighbor.peer), set())
            if len(who) == 1:
                yield from _session(name, config, neighbor, configs[next(iter(who))])


def _address(peer: str) -> str:
    try:
        return str(ip_address(peer))
    except ValueError:
        return peer


def _session(
    name: str, config: DeviceConfig, neighbor: BgpNeighbor, other: DeviceConfig
) -> Iterator[Conflict]:
    subject = f"{name} to {other.device} ({neighbor.peer})"
    mine = config.addresses
    back = [n for n in other.bgp.neighbors if _address(n.peer) in mine] if other.bgp else []
    here = f"{name}: neighbor {neighbor.peer} remote-as {neighbor.remote_as}"
    if other.bgp is None or not back:
        said = "has no BGP" if other.bgp is None else f"has no neighbor of {name}'s addresses"
        yield finding(
            "session-one-sided",
            subject,
            ((str(neighbor.where), here), (str(other.where), f"{other.device} {said}")),
            "the session does not come up",
        )
        return
    asns = {other.bgp.asn, other.bgp.confederation_id, *(n.local_as.asn for n in back if n.local_as)}
    if not _fits(neighbor.remote_as, config.bgp.asn if config.bgp else 0, asns):
        yield finding(
            "asn-mismatch",
            subject,
            ((str(neighbor.where), here), (str(other.bgp.where), f"{other.device}: AS {other.bgp.asn}")),
            "the session does not come up",
        )
    if len(back) == 1 and neighbor.password != back[0].password and name < other.device:
        yield finding(
            "auth-mismatch",
            subject,
            (
                (str(neighbor.where), _password(name, neighbor)),
                (str(back[0].where), _password(other.device, back[0])),
            ),
            "the session does not come up",
        )


def _fits(said: int | str, own: int, asns: set[int | None]) -> bool:
    """`remote-as` may be a number, or `internal` or `external`."""
    if said == "internal":
        return own in asns
    if said == "external":
        return bool(asns - {own, None})
    return said in asns


def _password(name: str, neighbor: BgpNeighbor) -> str:
    return f"{name}: password {neighbor.password}" if neighbor.password else f"{name}: no password"


def _router_ids(configs: Mapping[str, DeviceConfig]) -> Iterator[Conflict]:
    """Ids that the configurations state: two devices of one id in OSPF or IS-IS confuse every other."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for name, config in sorted(configs.items()):
        if config.ospf and config.ospf.router_id:
            found["OSPF", config.ospf.router_id].append((name, str(config.ospf.where)))
        if config.bgp and config.bgp.router_id:
            found["BGP", config.bgp.router_id].append((name, str(config.bgp.where)))
        for system in sorted(
            {".".join(net.split(".")[-4:-1]) for net in config.isis.net} if config.isis else ()
        ):
            found["IS-IS system", system].append((name, str(config.isis.where) if config.isis else ""))
    for (protocol, router_id), who in sorted(found.items()):
        if len(who) > 1:
            yield finding(
                "router-id-shared",
                f"{protocol} {router_id}",
                tuple((where, f"{name} has it") for name, where in who),
                "routers take each other for themselves",
            )
