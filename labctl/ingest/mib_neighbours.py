"""Tables in which a device speaks of its neighbours: LLDP-MIB, LLDP-V2-MIB, CISCO-CDP-MIB."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

from labctl.ingest.mib_cells import (
    CHASSIS_KINDS,
    PORT_KINDS,
    address_of,
    ident,
    name,
    number,
    octets,
    place,
    refuse,
    text,
)
from labctl.ingest.mib_tables import Oid, Row, Rows, dotted
from labctl.model.observation import Ident, IdKind, Neighbour, Rejected, parse_mac

CDP_DUPLEX: Final = {2: "half", 3: "full"}


def lldp(rows: Rows, managed: Rows, refused: list[Rejected]) -> list[Neighbour]:
    """LLDP-MIB: (timeMark, localPortNum, remIndex), read from the end.

    A row whose timeMark moved while its columns were walked stands in the walk in two pieces: the later cells count.
    """
    latest: dict[tuple[int, int], tuple[Oid, Row]] = {}
    for index, row in sorted(rows.items()):
        if not index:
            refused.append(refuse(row, "an lldpRemTable row without an index"))
            continue
        key = (index[-2] if len(index) >= 2 else 0, index[-1])
        latest[key] = (index, {**latest[key][1], **row} if key in latest else row)
    addresses = _management_addresses(managed)
    found: list[Neighbour] = []
    for key, (index, row) in sorted(latest.items()):
        neighbour = Neighbour(
            protocol="lldp",
            port=key[0] or None,
            index=index,
            chassis=ident(CHASSIS_KINDS, row.get(4), row.get(5)),
            remote_port=ident(PORT_KINDS, row.get(6), row.get(7)),
            port_descr=text(row.get(8)),
            sys_name=name(row.get(9)),
            sys_descr=text(row.get(10)),
            addresses=addresses.get(key, ()),
            where=place(row, 7, 5, 6, 4),
        )
        _keep(neighbour, found, refused)
    return found


def lldp_v2(rows: Rows, refused: list[Rejected]) -> list[Neighbour]:
    """LLDP-V2-MIB: (timeMark, ifIndex, destination MAC, remIndex)."""
    found: list[Neighbour] = []
    for index, row in sorted(rows.items()):
        if len(index) < 3:
            refused.append(refuse(row, f"an lldpV2RemTable row with an index of {len(index)} parts, not 4"))
            continue
        neighbour = Neighbour(
            protocol="lldp-v2",
            port=index[-3] or None,
            port_is_index=True,
            index=index,
            chassis=ident(CHASSIS_KINDS, row.get(5), row.get(6)),
            remote_port=ident(PORT_KINDS, row.get(7), row.get(8)),
            port_descr=text(row.get(9)),
            sys_name=name(row.get(10)),
            sys_descr=text(row.get(11)),
            where=place(row, 8, 6, 7, 5),
        )
        _keep(neighbour, found, refused)
    return found


def cdp(rows: Rows, refused: list[Rejected]) -> list[Neighbour]:
    """CISCO-CDP-MIB: (ifIndex, n). The device id may be a name, `SERIAL(name)` or a MAC."""
    found: list[Neighbour] = []
    for index, row in sorted(rows.items()):
        if len(index) < 2:
            refused.append(refuse(row, f"a cdpCacheTable row with an index of {len(index)} parts, not 2"))
            continue
        device = name(row.get(6))
        serial_and_name = re.fullmatch(r"[A-Z0-9]{6,}\((.+)\)", device)
        known_as = serial_and_name[1] if serial_and_name else device
        mac = parse_mac(device)
        raw = octets(row.get(4))
        port = name(row.get(7))
        neighbour = Neighbour(
            protocol="cdp",
            port=index[-2] or None,
            port_is_index=True,
            index=index,
            chassis=Ident(IdKind.MAC, mac, mac) if mac else None,
            remote_port=Ident(IdKind.NAME, port) if port else None,
            sys_name="" if mac else known_as,
            sys_descr=name(row.get(8)),
            addresses=(str(ip_address(raw)),) if len(raw) in (4, 16) and any(raw) else (),
            native_vlan=number(row.get(11)) or None,
            duplex=CDP_DUPLEX.get(number(row.get(12)) or 0, ""),
            where=place(row, 7, 6),
        )
        _keep(neighbour, found, refused)
    return found


def _keep(neighbour: Neighbour, found: list[Neighbour], refused: list[Rejected]) -> None:
    if neighbour.chassis or neighbour.remote_port or neighbour.sys_name or neighbour.addresses:
        found.append(neighbour)
    else:
        refused.append(
            Rejected(
                where=neighbour.where,
                reason=f"{neighbour.protocol} row {dotted(neighbour.index)} names nobody: no chassis id, port id, "
                "name or address",
            )
        )


def _management_addresses(rows: Rows) -> dict[tuple[int, int], tuple[str, ...]]:
    """lldpRemManAddrTable, whose address is in the index: (timeMark, localPortNum, remIndex, subtype, length, …)."""
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for index in sorted(rows):
        for family, length in ((1, 4), (2, 16)):
            if len(index) >= length + 4 and index[-length - 2 : -length] == (family, length):
                key = (index[-length - 4], index[-length - 3])
                address = address_of(index[-length:])
                if address and address not in found.get(key, ()):
                    found[key] = (*found.get(key, ()), address)
    return found
