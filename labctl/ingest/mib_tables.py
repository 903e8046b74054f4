"""The tables that labctl reads over SNMP: their names, roots and columns; and cells sorted into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from labctl.model.observation import Rejected

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
    return tuple(map(int, text.strip(".").split(".")))


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
    "ifStackTable": (*MIB2, 31, 1, 2, 1),
    "dot3StatsTable": (*MIB2, 10, 7, 2, 1),
    "dot3adAggPortTable": oid("1.2.840.10006.300.43.1.2.1.1"),
    "dot1qPortVlanTable": (*MIB2, 17, 7, 1, 4, 5, 1),
    "dot1dTpFdbTable": (*MIB2, 17, 4, 3, 1),
    "dot1qTpFdbTable": (*MIB2, 17, 7, 1, 2, 2, 1),
    "ipNetToMediaTable": (*MIB2, 4, 22, 1),
    "ipNetToPhysicalTable": (*MIB2, 4, 35, 1),
    "ospfNbrTable": (*MIB2, 14, 10, 1),
    "bgpPeerTable": (*MIB2, 15, 3, 1),
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
    "cdpCacheTable": (6, 7, 4, 8, 11, 12),
    "ifStackTable": (3,),
    "dot3StatsTable": (19,),
    "dot3adAggPortTable": (3, 9, 13, 14, 17),
    "dot1qPortVlanTable": (1,),
    "dot1dTpFdbTable": (2, 3),
    "dot1qTpFdbTable": (2, 3),
    "ipNetToMediaTable": (2,),
    "ipNetToPhysicalTable": (4,),
    "ospfNbrTable": (3, 6),
    "bgpPeerTable": (2, 9),
}
SCALARS: Final = frozenset({"system", "dot1dBase", "lldpLoc", "lldpV2Loc"})

_BY_ROOT: Final = {root: name for name, root in TABLES.items()}
_LENGTHS: Final = sorted({len(root) for root in _BY_ROOT}, reverse=True)


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
    table, length = "", 0  # of the cell before: most cells are of the same table
    root: Oid = ()
    for cell in varbinds:
        if table and cell.oid[:length] == root and len(cell.oid) > length:
            tables[table].setdefault(cell.oid[length + 1 :], {})[cell.oid[length]] = cell
            continue
        place = locate(cell.oid)
        if place is None:
            continue
        name, column, index = place
        tables[name].setdefault(index, {})[column] = cell
        if name not in SCALARS:  # below the roots of scalars there are tables
            table, root, length = name, TABLES[name], len(TABLES[name])
    return tables


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
    root, length = TABLES[table], len(TABLES[table])
    counts: dict[int, list[Oid]] = {}
    for cell in cells:
        if cell.oid[:length] == root and len(cell.oid) > length:
            counts.setdefault(cell.oid[length], []).append(cell.oid[length + 1 :])
    before = [counts[c] for c in sorted(counts) if c < column]
    here = counts[column]
    if before and len(here) < len(before[-1]) and before[-1][: len(here)] == here:
        return f"it ends in column {column} of {table}, after {len(here)} of {len(before[-1])} rows"
    return None
