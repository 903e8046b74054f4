"""Tables in which a device speaks of itself: interfaces, LLDP's and the bridge's ports, addresses, serial numbers."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Final

from labctl.ingest.mib_cells import (
    PORT_KINDS,
    REDACTED,
    address_of,
    ident,
    name,
    number,
    octets,
    refuse,
    text,
)
from labctl.ingest.mib_tables import COLUMNS, Row, Rows, Varbind
from labctl.model.observation import AddressRow, InterfaceRow, LocalPort, Rejected, parse_mac

TOO_FAST: Final = 2**32 - 1  # ifSpeed cannot say more; ifHighSpeed does
ENTITY_CHASSIS: Final = 3  # entPhysicalClass
#: What vendors write where a serial number would be.
NO_SERIAL: Final = frozenset(
    {"", "0", "none", "n/a", "na", "unknown", "default string", "not specified", "to be filled by o.e.m."}
)


def interfaces(
    basic: Rows, extended: Rows, duplex: Rows, vlans: Mapping[int, int], refused: list[Rejected]
) -> tuple[InterfaceRow, ...]:
    """ifTable and ifXTable, with what dot3StatsTable and the bridge (`vlans`, by ifIndex) say of the same port.

    Some agents keep the number and the counters of a port that is gone: whole walks have them, a live session does not
    ask for them.
    """
    rows = []
    for index in sorted({*basic, *extended}):
        if len(index) != 1:
            continue
        row, more = basic.get(index, {}), extended.get(index, {})
        if row.keys().isdisjoint(COLUMNS["ifTable"]) and more.keys().isdisjoint(COLUMNS["ifXTable"]):
            refused.append(
                refuse(row or more, f"interface {index[0]} has neither a name nor a type nor a state")
            )
            continue
        mbit, bits = number(more.get(15)), number(row.get(5))
        speed = mbit * 1e6 if mbit else float(bits) if bits and bits < TOO_FAST else None
        rows.append(
            InterfaceRow(
                index=index[0],
                name=text(more.get(1)),
                descr=text(row.get(2)),
                alias=name(more.get(18)),
                type=number(row.get(3)),
                mac=parse_mac(octets(row.get(6))),
                mtu=number(row.get(4)) or None,
                speed_bps=speed,
                admin_up=_is_up(row.get(7)),
                oper_up=_is_up(row.get(8)),
                duplex=DUPLEX.get(number(duplex.get(index, {}).get(19)) or 0, ""),
                vlan=vlans.get(index[0]),
                where=next(iter((row or more).values())).where,
            )
        )
    return tuple(rows)


DUPLEX: Final = {2: "half", 3: "full"}


def _is_up(cell: Varbind | None) -> bool | None:
    status = number(cell)
    return None if status is None else status == 1


def local_ports(rows: Rows) -> tuple[LocalPort, ...]:
    return tuple(
        LocalPort(
            number=index[-1],
            id=ident(PORT_KINDS, row.get(2), row.get(3)),
            descr=text(row.get(4)),
            where=next(iter(row.values())).where,
        )
        for index, row in sorted(rows.items())
        if index
    )


def base_ports(rows: Rows) -> tuple[tuple[int, int], ...]:
    found = ((index[-1], number(row.get(2))) for index, row in sorted(rows.items()) if index)
    return tuple((port, if_index) for port, if_index in found if if_index)


def serials(rows: Rows) -> tuple[str, ...]:
    """Of chassis only: a transceiver's serial moves with the transceiver."""
    found = (text(row.get(11)) for _, row in sorted(rows.items()) if number(row.get(5)) == ENTITY_CHASSIS)
    real = (s for s in found if len(s) >= 4 and s.lower() not in NO_SERIAL and not REDACTED.fullmatch(s))
    return tuple(dict.fromkeys(real))


def addresses(old: Rows, new: Rows, refused: list[Rejected]) -> tuple[AddressRow, ...]:
    """Both tables; a row of one that does not know its prefix length gives way to the other's that does."""
    found: dict[tuple[int, str], AddressRow] = {}
    for row in (*_ip_addr_table(old, refused), *_ip_address_table(new)):
        key = (row.if_index, str(row.address.ip))
        whole = row.address.network.prefixlen == row.address.max_prefixlen
        if key not in found or not whole:
            found[key] = row
    return tuple(found.values())


def _ip_addr_table(rows: Rows, refused: list[Rejected]) -> list[AddressRow]:
    """The old table: (address) -> ifIndex, mask."""
    found = []
    for index, row in sorted(rows.items()):
        if_index, address = number(row.get(2)), address_of(index)
        if if_index is None or address is None or len(index) != 4:
            continue
        mask = octets(row.get(3))
        bits = _mask_length(mask) if len(mask) == 4 else None
        if bits is None:
            refused.append(
                refuse(row, f"the mask of {address} is not a mask: {text(row.get(3)) or 'missing'}")
            )
            bits = 32
        found.append(_address_row(if_index, address, bits, row))
    return found


def _mask_length(mask: bytes) -> int | None:
    bits = f"{int.from_bytes(mask, 'big'):032b}"
    return bits.count("1") if "01" not in bits else None


def _ip_address_table(rows: Rows) -> list[AddressRow]:
    """The new table: (type, length, address) -> ifIndex, unicast?, pointer to the prefix; its last arc is the length."""
    found = []
    for index, row in sorted(rows.items()):
        if_index = number(row.get(3))
        if (
            if_index is None
            or len(index) < 6
            or index[0] not in (1, 2)
            or number(row.get(4)) not in (None, 1)
        ):
            continue
        address = address_of(index[2:])
        if address is None:
            continue
        most = 32 if index[0] == 1 else 128
        pointer = row.get(5)
        prefix = pointer.value if pointer is not None and isinstance(pointer.value, tuple) else ()
        bits = prefix[-1] if len(prefix) > 10 and 0 <= prefix[-1] <= most else most
        found.append(_address_row(if_index, address, bits, row))
    return found


def _address_row(if_index: int, address: str, bits: int, row: Row) -> AddressRow:
    return AddressRow(
        if_index=if_index, address=ip_interface(f"{address}/{bits}"), where=next(iter(row.values())).where
    )
