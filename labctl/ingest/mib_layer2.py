"""Tables that tell who is behind a port: aggregates and their partners, forwarding and ARP tables, routing sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from labctl.ingest.mib_cells import address_of, number, octets, place, text
from labctl.ingest.mib_tables import Oid, Rows
from labctl.model.observation import Adjacency, LacpPort, Station, parse_mac

AGGREGATE: Final = 161  # ifType
LEARNED: Final = 3  # dot1dTpFdbStatus; the others are the bridge's own or set by hand
OSPF_FULL: Final = 8
BGP_ESTABLISHED: Final = 6


def vlans(rows: Rows, ports: Mapping[int, int]) -> dict[int, int]:
    """dot1qPvid by ifIndex."""
    found = ((ports.get(index[-1], 0), number(row.get(1))) for index, row in rows.items() if index)
    return {port: vlan for port, vlan in found if port and vlan}


def members(tables: Mapping[str, Rows]) -> tuple[tuple[int, int], ...]:
    """(member, aggregate): by LACP, and by ifStackTable, whose index is (upper, lower), where the upper is a LAG."""
    lags = {index for index, row in tables["ifTable"].items() if number(row.get(3)) == AGGREGATE}
    pairs = [
        (index[-1], number(row.get(13)) or 0)
        for index, row in sorted(tables["dot3adAggPortTable"].items())
        if index
    ]
    pairs += [
        (index[-1], index[-2])
        for index in sorted(tables["ifStackTable"])
        if len(index) >= 2 and index[-2:-1] in lags
    ]
    return tuple(
        dict.fromkeys((port, lag) for port, lag in pairs if port and lag and port != lag and (lag,) in lags)
    )


def lacp(rows: Rows) -> Iterator[LacpPort]:
    for index, row in sorted(rows.items()):
        system, partner = parse_mac(octets(row.get(3))), parse_mac(octets(row.get(9)))
        port, partner_port = number(row.get(14)), number(row.get(17))
        if index and system and partner and port and partner_port:
            yield LacpPort(
                if_index=index[-1],
                system=system,
                port=port,
                partner=partner,
                partner_port=partner_port,
                where=place(row, 17, 9),
            )


def stations(tables: Mapping[str, Rows], ports: Mapping[int, int]) -> Iterator[Station]:
    """Learnt hardware addresses by port, then IP addresses by interface."""
    yield from _forwarding(tables["dot1qTpFdbTable"], ports, tagged=True)
    yield from _forwarding(tables["dot1dTpFdbTable"], ports, tagged=False)
    for index, row in sorted(tables["ipNetToMediaTable"].items()):
        mac, address = parse_mac(octets(row.get(2))), address_of(index[1:])
        if mac and address and len(index) == 5:
            yield Station(if_index=index[0], mac=mac, address=address, where=place(row, 2))
    for index, row in sorted(tables["ipNetToPhysicalTable"].items()):
        mac, address = parse_mac(octets(row.get(4))), address_of(index[3:])
        if mac and address:
            yield Station(if_index=index[0], mac=mac, address=address, where=place(row, 4))


def _forwarding(rows: Rows, ports: Mapping[int, int], *, tagged: bool) -> Iterator[Station]:
    """The index ends in the six octets of the address; before it, in Q-BRIDGE-MIB, the filtering database."""
    for index, row in sorted(rows.items()):
        port = ports.get(number(row.get(2)) or 0)
        if port is None or number(row.get(3)) not in (LEARNED, None) or len(index) < 6 + tagged:
            continue
        mac = _mac(index[-6:])
        if mac:
            yield Station(if_index=port, mac=mac, vlan=index[-7] if tagged else None, where=place(row, 2))


def _mac(parts: Oid) -> str | None:
    return parse_mac(bytes(parts)) if all(part < 256 for part in parts) else None


def adjacencies(tables: Mapping[str, Rows]) -> Iterator[Adjacency]:
    """OSPF neighbours that are full, BGP peers that are established."""
    for index, row in sorted(tables["ospfNbrTable"].items()):
        if number(row.get(6)) == OSPF_FULL and len(index) == 5:
            raw = octets(row.get(3))
            yield Adjacency(
                protocol="ospf",
                if_index=index[4] or None,
                peer=address_of(index[:4]) or "",
                peer_id=address_of(tuple(raw)) or text(row.get(3)),
                where=place(row, 6),
            )
    for index, row in sorted(tables["bgpPeerTable"].items()):
        peer = address_of(index)
        if number(row.get(2)) == BGP_ESTABLISHED and peer:
            yield Adjacency(protocol="bgp", if_index=None, peer=peer, where=place(row, 2))
