"""One cell of an SNMP table, read with distrust: text in odd encodings, ids that are not what their subtype says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

from labctl.ingest.mib_tables import Oid, Row, Varbind, dotted
from labctl.model.observation import Ident, IdKind, Rejected, parse_mac

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
_HEX_TAIL = re.compile(r"(?:[0-9A-Fa-f]{2}\s+)*[0-9A-Fa-f]{2}\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
REDACTED = re.compile(r"<[^<>]*>")


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
    return "" if REDACTED.fullmatch(said) else said


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


def address_of(parts: Oid) -> str | None:
    if len(parts) not in (4, 16) or any(part > 255 for part in parts):
        return None
    return str(ip_address(bytes(parts)))


def place(row: Row, *columns: int) -> str:
    """Where a row is read: its most telling cell."""
    for column in columns:
        if column in row:
            return row[column].where
    return next(iter(row.values())).where


def refuse(row: Row, reason: str) -> Rejected:
    return Rejected(where=next(iter(row.values())).where, reason=reason)
