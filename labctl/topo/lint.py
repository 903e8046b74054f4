"""What is wrong with production, seen from both ends at once: settings that two ends of a link must share.

Half of it is what the merge found (`checks`); the rest needs configurations: areas, timers, authentication, AS numbers,
router ids. A finding is a `Conflict` that says what each side says and where.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from labctl.model.config import DeviceConfig, InterfaceConfig
from labctl.model.routing import BgpNeighbor, OspfInterface
from labctl.model.topology import Conflict, Evidence, Link, Topology
from labctl.names import PortId
from labctl.topo.domains import area_of

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


ETHERNET: Final = 1500  # bytes, where nobody says otherwise


def lint(topology: Topology, configs: Mapping[str, DeviceConfig]) -> tuple[Conflict, ...]:
    found = [
        *(conflict for conflict in topology.conflicts if conflict.kind in OF_THE_MERGE),
        *_mtus(topology, configs),
        *_ospf(topology, configs),
        *_bgp(configs),
        *_router_ids(configs),
    ]
    return tuple(sorted(found, key=lambda c: (c.kind, c.subject)))


def _finding(kind: str, subject: str, sides: tuple[tuple[str, str], ...], meaning: str) -> Conflict:
    return Conflict(
        kind=kind,
        subject=subject,
        said=tuple(Evidence(source="config", where=where, said=said) for where, said in sides),
        resolution=meaning,
    )


def _mtus(topology: Topology, configs: Mapping[str, DeviceConfig]) -> Iterator[Conflict]:
    """An MTU that one configuration states and the other leaves at Ethernet's 1500; the merge compares stated ones."""
    known = {c.subject for c in topology.conflicts if c.kind == "mtu-mismatch"}
    for link in topology.links:
        ends = [(port, _interface(configs, port)[1]) for port in (link.a, link.b)]
        if str(link.id) in known or any(interface is None for _, interface in ends):
            continue
        (a, one), (b, other) = ((port, interface) for port, interface in ends if interface is not None)
        if (one.mtu or ETHERNET) != (other.mtu or ETHERNET):
            sides = tuple(
                (str(each.where), f"{port}: MTU {each.mtu or f'not stated, {ETHERNET}'}")
                for port, each in ((a, one), (b, other))
            )
            yield _finding(
                "mtu-mismatch", str(link.id), sides, "large packets are lost; OSPF stays in EXSTART"
            )


# -- OSPF -------------------------------------------------------------------------------------------------------


def _ospf(topology: Topology, configs: Mapping[str, DeviceConfig]) -> Iterator[Conflict]:
    for link in topology.links:
        ends = [(port, *_interface(configs, port)) for port in (link.a, link.b)]
        if all(config is not None and config.ospf and each and each.ospf for _, config, each in ends):
            yield from _adjacency(link, ends)


def _interface(
    configs: Mapping[str, DeviceConfig], port: PortId
) -> tuple[DeviceConfig | None, InterfaceConfig | None]:
    config = configs.get(port.node)
    found = next((i for i in config.interfaces if i.name == port.interface), None) if config else None
    return config, found


_End = tuple[PortId, DeviceConfig | None, InterfaceConfig | None]


def _adjacency(link: Link, ends: list[_End]) -> Iterator[Conflict]:
    sides = []
    for port, config, interface in ends:
        assert config is not None
        assert config.ospf is not None
        assert interface is not None
        assert interface.ospf is not None
        sides.append((port, interface, interface.ospf, area_of(interface, config.ospf)))
    (a, a_if, one, a_area), (b, b_if, other, b_area) = sides
    if a_area is None or b_area is None or one.passive or other.passive:
        return
    meaning = "no OSPF adjacency comes up"
    for kind, a_says, b_says in (
        ("area-mismatch", f"area {a_area}", f"area {b_area}"),
        ("timer-mismatch", _timers(one), _timers(other)),
        ("auth-mismatch", _auth(one), _auth(other)),
        ("network-type-mismatch", _type(one), _type(other)),
    ):
        if a_says != b_says:
            said = ((str(a_if.where), f"{a}: {a_says}"), (str(b_if.where), f"{b}: {b_says}"))
            yield _finding(kind, str(link.id), said, meaning)


def _timers(ospf: OspfInterface) -> str:
    if ospf.hello_multiplier:
        return f"{ospf.hello_multiplier} hellos a second, dead after 1 s"
    return f"hello {ospf.hello_s} s, dead {ospf.dead_s} s"


def _auth(ospf: OspfInterface) -> str:
    """Kinds of keys and their numbers; equal keys are equal tokens."""
    keys = ", ".join(f"key {number} ({token})" for number, token in ospf.md5_keys)
    text = f", text key {ospf.text_key}" if ospf.text_key else ""
    return f"authentication {ospf.auth or 'of the area'}{text}{': ' + keys if keys else ''}"


def _type(ospf: OspfInterface) -> str:
    """What matters is whether a designated router is elected."""
    point = "point-to-point" in str(ospf.network_type) or "point-to-multipoint" in str(ospf.network_type)
    return "without a designated router" if point else "with a designated router"


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
        yield _finding(
            "session-one-sided",
            subject,
            ((str(neighbor.where), here), (str(other.where), f"{other.device} {said}")),
            "the session does not come up",
        )
        return
    asns = {other.bgp.asn, other.bgp.confederation_id, *(n.local_as.asn for n in back if n.local_as)}
    if isinstance(neighbor.remote_as, int) and neighbor.remote_as not in asns:
        yield _finding(
            "asn-mismatch",
            subject,
            ((str(neighbor.where), here), (str(other.bgp.where), f"{other.device}: AS {other.bgp.asn}")),
            "the session does not come up",
        )
    if len(back) == 1 and neighbor.password != back[0].password and name < other.device:
        yield _finding(
            "auth-mismatch",
            subject,
            (
                (str(neighbor.where), _password(name, neighbor)),
                (str(back[0].where), _password(other.device, back[0])),
            ),
            "the session does not come up",
        )


def _password(name: str, neighbor: BgpNeighbor) -> str:
    return f"{name}: password {neighbor.password}" if neighbor.password else f"{name}: no password"


def _router_ids(configs: Mapping[str, DeviceConfig]) -> Iterator[Conflict]:
    """Router ids that the configurations state; two devices of one id in OSPF confuse every other."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for name, config in sorted(configs.items()):
        if config.ospf and config.ospf.router_id:
            found["OSPF", config.ospf.router_id].append((name, str(config.ospf.where)))
        if config.bgp and config.bgp.router_id:
            found["BGP", config.bgp.router_id].append((name, str(config.bgp.where)))
    for (protocol, router_id), who in sorted(found.items()):
        if len(who) > 1:
            yield _finding(
                "router-id-shared",
                f"{protocol} {router_id}",
                tuple((where, f"{name} has it") for name, where in who),
                "routers take each other for themselves",
            )
