"""Rows of SNMP tables -> an `Observation`: the part that knows MIBs, and nothing of where the rows came from.

Files and live sessions all yield `Varbind`s; `decode` groups them into tables and reads each cell with the distrust
that real agents have earned. What that means, learned from some hundred recorded devices: indices are read from the
end, because some agents leave the timeMark out; a port id may be a MAC in any spelling, a bare number, or a name with
a trailing NUL; the local port number of LLDP is not an ifIndex (resolved later, in `topo.resolve`); a subtype may be
missing or lie. A row that cannot be understood is kept in `rejected` with its place and the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface
from typing import Final, TypeAlias

from labctl.model.observation import (
    AddressRow,
    Ident,
    IdKind,
    InterfaceRow,
    LocalPort,
    Neighbour,
    Observation,
    Rejected,
    Walk,
    parse_mac,
)

Oid: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Varbind:
    """One cell: an integer, octets (addresses too), or an OID; and where it was read."""

    oid: Oid
    value: int | bytes | Oid
    where: str


@dataclass(slots=True)
class Read:
    """What a walk file held: cells, lines that are no cells, and why it looks cut short (empty if it does not)."""

    cells: list[Varbind] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    truncated: str = ""
    truncated_at: str = ""


def oid(text: str) -> Oid:
    return tuple(int(part) for part in text.strip(".").split("."))


def dotted(value: Oid) -> str:
    return ".".join(map(str, value))


LLDP: Final = oid("1.0.8802.1.1.2.1")
LLDP_V2: Final = oid("1.3.111.2.802.1.1.13.1")
MIB2: Final = oid("1.3.6.1.2.1")

#: name -> root. A table's root is its entry (what follows is column, index); a group's scalars are column, 0.
TABLES: Final[Mapping[str, Oid]] = {
    "system": (*MIB2, 1),
    "ifTable": (*MIB2, 2, 2, 1),
    "ifXTable": (*MIB2, 31, 1, 1, 1),
    "ipAddrTable": (*MIB2, 4, 20, 1),
    "ipAddressTable": (*MIB2, 4, 34, 1),
    "dot1dBase": (*MIB2, 17, 1),
    "dot1dBasePortTable": (*MIB2, 17, 1, 4, 1),
    "entPhysicalTable": (*MIB2, 47, 1, 1, 1, 1),
    "lldpLoc": (*LLDP, 3),
    "lldpLocPortTable": (*LLDP, 3, 7, 1),
    "lldpRemTable": (*LLDP, 4, 1, 1),
    "lldpRemManAddrTable": (*LLDP, 4, 2, 1),
    "lldpV2Loc": (*LLDP_V2, 3),
    "lldpV2RemTable": (*LLDP_V2, 4, 1, 1),
    "cdpCacheTable": oid("1.3.6.1.4.1.9.9.23.1.2.1.1"),
}

#: The columns that `decode` reads: what a live session walks. None: the scalars of the group, one by one.
COLUMNS: Final[Mapping[str, tuple[int, ...]]] = {
    "system": (1, 2, 5),
    "ifTable": (2, 3, 4, 5, 6, 7, 8),
    "ifXTable": (1, 15, 18),
    "ipAddrTable": (2, 3),
    "ipAddressTable": (3, 4, 5),
    "dot1dBase": (1,),
    "dot1dBasePortTable": (2,),
    "entPhysicalTable": (5, 11),
    "lldpLoc": (1, 2, 3),
    "lldpLocPortTable": (2, 3, 4),
    "lldpRemTable": (4, 5, 6, 7, 8, 9, 10),
    "lldpRemManAddrTable": (3,),
    "lldpV2Loc": (1, 2, 3),
    "lldpV2RemTable": (5, 6, 7, 8, 9, 10, 11),
    "cdpCacheTable": (6, 7, 4, 8),
}
SCALARS: Final = frozenset({"system", "dot1dBase", "lldpLoc", "lldpV2Loc"})

_BY_ROOT: Final = {root: name for name, root in TABLES.items()}
_LENGTHS: Final = sorted({len(root) for root in _BY_ROOT}, reverse=True)

CHASSIS_KINDS: Final = {
    1: IdKind.COMPONENT,
    2: IdKind.ALIAS,
    3: IdKind.COMPONENT,
    4: IdKind.MAC,
    5: IdKind.ADDRESS,
    6: IdKind.NAME,
    7: IdKind.LOCAL,
}
PORT_KINDS: Final = {
    1: IdKind.ALIAS,
    2: IdKind.COMPONENT,
    3: IdKind.MAC,
    4: IdKind.ADDRESS,
    5: IdKind.NAME,
    6: IdKind.CIRCUIT,
    7: IdKind.LOCAL,
}
TOO_FAST: Final = 2**32 - 1  # ifSpeed cannot say more; ifHighSpeed does
ENTITY_CHASSIS: Final = 3  # entPhysicalClass
#: What vendors write where a serial number would be.
NO_SERIAL: Final = frozenset(
    {"", "0", "none", "n/a", "na", "unknown", "default string", "not specified", "to be filled by o.e.m."}
)


def locate(oid: Oid) -> tuple[str, int, Oid] | None:
    """(table, column, index) of a cell of a table that labctl reads; the longest root wins."""
    for length in _LENGTHS:
        name = _BY_ROOT.get(oid[:length])
        if name is not None and len(oid) > length:
            return name, oid[length], oid[length + 1 :]
    return None


Row: TypeAlias = dict[int, Varbind]
Rows: TypeAlias = dict[Oid, Row]


def group(varbinds: Iterable[Varbind]) -> dict[str, Rows]:
    """Cells -> table -> index -> column -> cell."""
    tables: dict[str, Rows] = {name: {} for name in TABLES}
    for cell in varbinds:
        place = locate(cell.oid)
        if place is not None:
            table, column, index = place
            tables[table].setdefault(index, {})[column] = cell
    return tables


# -- cells ------------------------------------------------------------------------------------------------------

_HEX_TAIL = re.compile(r"(?:[0-9A-Fa-f]{2}\s+)*[0-9A-Fa-f]{2}\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_REDACTED = re.compile(r"<[^<>]*>")


def text(cell: Varbind | None) -> str:
    """Octets as something a person can read: no NULs, no quotes of some printing tool, no control characters."""
    if cell is None:
        return ""
    if isinstance(cell.value, int):
        return str(cell.value)
    if isinstance(cell.value, tuple):
        return dotted(cell.value)
    return _readable(cell.value)


def _readable(octets: bytes) -> str:
    octets = octets.split(b"\0")[0] if octets.rstrip(b"\0").isascii() else octets.rstrip(b"\0")
    try:
        said = octets.decode("utf-8")
    except UnicodeDecodeError:
        said = octets.decode("latin-1")
    said = _mend(said)
    return _CONTROL.sub(" ", said).strip().strip('“”"').strip()


def _mend(said: str) -> str:
    """Undo a recorder that took the second line of a hex dump for text: `“Gigabit`, newline, `65 74 68…`."""
    head, newline, tail = said.partition("\n")
    if newline and head.startswith("“") and _HEX_TAIL.fullmatch(tail):
        return head + bytes.fromhex("".join(tail.split())).decode("utf-8", "replace")
    return said


def name(cell: Varbind | None) -> str:
    """A system's name; a redaction such as `<private>` is no name."""
    said = text(cell)
    return "" if _REDACTED.fullmatch(said) else said


def number(cell: Varbind | None) -> int | None:
    if cell is None:
        return None
    if isinstance(cell.value, int):
        return cell.value
    said = text(cell)
    return int(said) if said.isdecimal() else None


def octets(cell: Varbind | None) -> bytes:
    return cell.value if cell is not None and isinstance(cell.value, bytes) else b""


def ident(kinds: Mapping[int, IdKind], subtype: Varbind | None, cell: Varbind | None) -> Ident | None:
    """An LLDP id. A value that is not what its subtype says becomes UNKNOWN and keeps its text."""
    if cell is None:
        return None
    kind = kinds.get(number(subtype) or 0, IdKind.UNKNOWN)
    raw, said = octets(cell), text(cell)
    if kind is IdKind.MAC:
        mac = parse_mac(raw) or parse_mac(said)
        if mac is None:
            return Ident(IdKind.UNKNOWN, said) if said and not _nothing(raw) else None
        return Ident(kind, mac, mac)
    if kind is IdKind.ADDRESS:
        address = _network_address(raw, said)
        return Ident(kind, address) if address else Ident(IdKind.UNKNOWN, said)
    if len(raw) == 6 and not _printable(raw) and (bare := parse_mac(raw)):
        return Ident(IdKind.MAC, bare, bare)
    return Ident(kind, said, parse_mac(said) if re.search("[:.-]", said) else None) if said else None


def _nothing(raw: bytes) -> bool:
    return not raw.strip(b"\0\xff")


def _printable(raw: bytes) -> bool:
    return all(32 <= octet < 127 for octet in raw.rstrip(b"\0"))


def _network_address(raw: bytes, said: str) -> str | None:
    """IANA family octet, then the address; or the address alone; or either one in text."""
    candidates = [raw[1:], raw]
    squeezed = said.replace(":", "").replace(" ", "")
    if re.fullmatch("[0-9A-Fa-f]+", squeezed) and len(squeezed) in (8, 10, 32, 34):
        bare = bytes.fromhex(squeezed)
        candidates += [bare[1:], bare]
    for candidate in candidates:
        if len(candidate) in (4, 16):
            return str(ip_address(candidate))
    try:
        return str(ip_address(said))
    except ValueError:
        return None


# -- tables -----------------------------------------------------------------------------------------------------


def decode(
    varbinds: Iterable[Varbind],
    *,
    key: str,
    source: str,
    where: str,
    address: str = "",
    walks: Sequence[Walk] = (),
    rejected: Sequence[Rejected] = (),
) -> Observation:
    """Everything that labctl reads of one device."""
    tables = group(varbinds)
    refused = list(rejected)
    neighbours = [
        *_lldp(tables["lldpRemTable"], tables["lldpRemManAddrTable"], refused),
        *_lldp_v2(tables["lldpV2RemTable"], refused),
        *_cdp(tables["cdpCacheTable"], refused),
    ]
    system, loc, loc2 = tables["system"].get((0,), {}), tables["lldpLoc"], tables["lldpV2Loc"]
    chassis = None
    for scalars in (loc.get((0,), {}), loc2.get((0,), {})):
        chassis = chassis or ident(CHASSIS_KINDS, scalars.get(1), scalars.get(2))
    return Observation(
        key=key,
        source=source,
        address=address,
        sys_name=name(system.get(5)) or name(loc.get((0,), {}).get(3)),
        sys_descr=text(system.get(1)),
        chassis=chassis,
        bridge_mac=parse_mac(octets(tables["dot1dBase"].get((0,), {}).get(1))),
        serials=_serials(tables["entPhysicalTable"]),
        interfaces=_interfaces(tables["ifTable"], tables["ifXTable"]),
        local_ports=_local_ports(tables["lldpLocPortTable"]),
        base_ports=_base_ports(tables["dot1dBasePortTable"]),
        neighbours=tuple(neighbours),
        addresses=_addresses(tables["ipAddrTable"], tables["ipAddressTable"], refused),
        walks=tuple(walks),
        rejected=tuple(refused),
        where=where,
    )


def _interfaces(basic: Rows, extended: Rows) -> tuple[InterfaceRow, ...]:
    rows = []
    for index in sorted({*basic, *extended}):
        if len(index) != 1:
            continue
        row, more = basic.get(index, {}), extended.get(index, {})
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
                where=next(iter((row or more).values())).where,
            )
        )
    return tuple(rows)


def _is_up(cell: Varbind | None) -> bool | None:
    status = number(cell)
    return None if status is None else status == 1


def _local_ports(rows: Rows) -> tuple[LocalPort, ...]:
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


def _base_ports(rows: Rows) -> tuple[tuple[int, int], ...]:
    found = ((index[-1], number(row.get(2))) for index, row in sorted(rows.items()) if index)
    return tuple((port, if_index) for port, if_index in found if if_index)


def _serials(rows: Rows) -> tuple[str, ...]:
    """Of chassis only: a transceiver's serial moves with the transceiver."""
    found = (text(row.get(11)) for _, row in sorted(rows.items()) if number(row.get(5)) == ENTITY_CHASSIS)
    real = (s for s in found if len(s) >= 4 and s.lower() not in NO_SERIAL and not _REDACTED.fullmatch(s))
    return tuple(dict.fromkeys(real))


def _lldp(rows: Rows, managed: Rows, refused: list[Rejected]) -> list[Neighbour]:
    """LLDP-MIB: (timeMark, localPortNum, remIndex), read from the end.

    A row whose timeMark moved while its columns were walked stands in the walk in two pieces: the later cells count.
    """
    latest: dict[tuple[int, int], tuple[Oid, Row]] = {}
    for index, row in sorted(rows.items()):
        if not index:
            refused.append(_refuse(row, "an lldpRemTable row without an index"))
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
            where=_place(row, 7, 5, 6, 4),
        )
        _keep(neighbour, found, refused)
    return found


def _lldp_v2(rows: Rows, refused: list[Rejected]) -> list[Neighbour]:
    """LLDP-V2-MIB: (timeMark, ifIndex, destination MAC, remIndex)."""
    found: list[Neighbour] = []
    for index, row in sorted(rows.items()):
        if len(index) < 3:
            refused.append(_refuse(row, f"an lldpV2RemTable row with an index of {len(index)} parts, not 4"))
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
            where=_place(row, 8, 6, 7, 5),
        )
        _keep(neighbour, found, refused)
    return found


def _cdp(rows: Rows, refused: list[Rejected]) -> list[Neighbour]:
    """CISCO-CDP-MIB: (ifIndex, n). The device id may be a name, `SERIAL(name)` or a MAC."""
    found: list[Neighbour] = []
    for index, row in sorted(rows.items()):
        if len(index) < 2:
            refused.append(_refuse(row, f"a cdpCacheTable row with an index of {len(index)} parts, not 2"))
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
            where=_place(row, 7, 6),
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
                address = _ip(index[-length:])
                if address and address not in found.get(key, ()):
                    found[key] = (*found.get(key, ()), address)
    return found


def _addresses(old: Rows, new: Rows, refused: list[Rejected]) -> tuple[AddressRow, ...]:
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
        if_index, address = number(row.get(2)), _ip(index)
        if if_index is None or address is None or len(index) != 4:
            continue
        mask = octets(row.get(3))
        bits = _mask_length(mask) if len(mask) == 4 else None
        if bits is None:
            refused.append(
                _refuse(row, f"the mask of {address} is not a mask: {text(row.get(3)) or 'missing'}")
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
        address = _ip(index[2:])
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


def _ip(parts: Oid) -> str | None:
    if len(parts) not in (4, 16) or any(part > 255 for part in parts):
        return None
    return str(ip_address(bytes(parts)))


def _place(row: Row, *columns: int) -> str:
    """Where a row is read: its most telling cell."""
    for column in columns:
        if column in row:
            return row[column].where
    return next(iter(row.values())).where


def _refuse(row: Row, reason: str) -> Rejected:
    return Rejected(where=next(iter(row.values())).where, reason=reason)


def ragged_end(cells: Sequence[Varbind]) -> str | None:
    """Why a recorded walk looks cut: its last cell is inside a column that has fewer rows than the one before it.

    Only the last column of the file counts: agents do leave cells out, and they do it in the middle as well.
    """
    if not cells:
        return None
    place = locate(cells[-1].oid)
    if place is None or place[0] in SCALARS:
        return None
    table, column, _ = place
    counts: dict[int, list[Oid]] = {}
    for cell in cells:
        other = locate(cell.oid)
        if other is not None and other[0] == table:
            counts.setdefault(other[1], []).append(other[2])
    before = [counts[c] for c in sorted(counts) if c < column]
    here = counts[column]
    if before and len(here) < len(before[-1]) and before[-1][: len(here)] == here:
        return f"it ends in column {column} of {table}, after {len(here)} of {len(before[-1])} rows"
    return None
