"""What net-snmp's `snmpwalk` prints, with numbers (`-On`, the exact form) or with the names of the tables labctl reads.

A value may run over several lines (`Hex-STRING`, and strings with newlines in them). The program's own complaints end
the walk: after `Timeout` or `OID not increasing` nothing is known about what was not printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from labctl.ingest.mib_tables import TABLES, Oid, Read, Varbind, oid, ragged_end
from labctl.model.observation import Rejected, parse_mac
from labctl.schema import infile

_ROW = re.compile(
    r"(?P<name>\.?\d+(?:\.\d+)*|iso(?:\.\d+)+|[A-Za-z][\w-]*::[\w-]+(?:\.\S.*?)?) = ?(?P<value>.*)"
)
_NAMED_ROW_START = re.compile(r"(\.?1(\.\d+){2,}|iso(\.\d+)+|[A-Z][\w-]*::[\w-]+)(?=[.\s]|$)")
_OVER: Final = (
    "Timeout: No Response",
    "Error: OID not increasing",
    "Error in packet",
    "snmpwalk: ",
    "snmpbulkwalk: ",
)
_NO_VALUE: Final = (
    "No Such Object",
    "No Such Instance",
    "No more variables left in this MIB View",
    "NULL",
)

#: Symbolic names of the columns that labctl reads -> (table, column). A scalar's index is the usual `.0`.
SYMBOLS: Final[Mapping[str, Oid]] = {
    name: (*TABLES[table], column)
    for table, names in {
        "system": {"sysDescr": 1, "sysObjectID": 2, "sysName": 5},
        "ifTable": {
            "ifDescr": 2,
            "ifType": 3,
            "ifMtu": 4,
            "ifSpeed": 5,
            "ifPhysAddress": 6,
            "ifAdminStatus": 7,
            "ifOperStatus": 8,
        },
        "ifXTable": {"ifName": 1, "ifHighSpeed": 15, "ifAlias": 18},
        "ipAddrTable": {"ipAdEntAddr": 1, "ipAdEntIfIndex": 2, "ipAdEntNetMask": 3},
        "ipAddressTable": {"ipAddressIfIndex": 3, "ipAddressType": 4, "ipAddressPrefix": 5},
        "dot1dBase": {"dot1dBaseBridgeAddress": 1},
        "dot1dBasePortTable": {"dot1dBasePortIfIndex": 2},
        "entPhysicalTable": {"entPhysicalClass": 5, "entPhysicalSerialNum": 11},
        "lldpLoc": {"lldpLocChassisIdSubtype": 1, "lldpLocChassisId": 2, "lldpLocSysName": 3},
        "lldpLocPortTable": {"lldpLocPortIdSubtype": 2, "lldpLocPortId": 3, "lldpLocPortDesc": 4},
        "lldpRemTable": {
            "lldpRemChassisIdSubtype": 4,
            "lldpRemChassisId": 5,
            "lldpRemPortIdSubtype": 6,
            "lldpRemPortId": 7,
            "lldpRemPortDesc": 8,
            "lldpRemSysName": 9,
            "lldpRemSysDesc": 10,
        },
        "cdpCacheTable": {
            "cdpCacheAddress": 4,
            "cdpCacheDeviceId": 6,
            "cdpCacheDevicePort": 7,
            "cdpCachePlatform": 8,
            "cdpCacheNativeVLAN": 11,
            "cdpCacheDuplex": 12,
        },
        "ifStackTable": {"ifStackStatus": 3},
        "dot3StatsTable": {"dot3StatsDuplexStatus": 19},
        "dot1qPortVlanTable": {"dot1qPvid": 1},
        "dot3adAggPortTable": {
            "dot3adAggPortActorSystemID": 3,
            "dot3adAggPortPartnerOperSystemID": 9,
            "dot3adAggPortAttachedAggID": 13,
            "dot3adAggPortActorPort": 14,
            "dot3adAggPortPartnerOperPort": 17,
        },
        "ipNetToMediaTable": {"ipNetToMediaPhysAddress": 2},
        "ospfNbrTable": {"ospfNbrRtrId": 3, "ospfNbrState": 6},
        "bgpPeerTable": {"bgpPeerState": 2, "bgpPeerRemoteAs": 9},
    }.items()
    for name, column in names.items()
}
_ROOTS: Final[Mapping[str, Oid]] = {
    "iso": (1,),
    "mib-2": oid("1.3.6.1.2.1"),
    "enterprises": oid("1.3.6.1.4.1"),
    "ipAddressPrefixOrigin": oid("1.3.6.1.2.1.4.32.1.5"),
}
#: Columns whose octets `snmpwalk` prints as a MAC when it knows the MIB.
_MACS: Final = frozenset(
    {
        (*TABLES["ifTable"], 6),
        (*TABLES["dot1dBase"], 1),
        (*TABLES["dot3adAggPortTable"], 3),
        (*TABLES["dot3adAggPortTable"], 9),
    }
)
_ARP: Final = (*TABLES["ipNetToMediaTable"], 2)


def sniff(head: bytes) -> bool:
    """Is this the beginning of snmpwalk's output?"""
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()]
    return bool(lines) and any(_ROW.fullmatch(line) for line in lines[:2])


def read(path: Path, *, named: str | None = None) -> Read:
    """All cells of the file that labctl may need; rows of other tables are passed over."""
    shown = named or str(path)
    text = infile.read(path).decode("utf-8", "surrogateescape")
    result = Read()
    rows = list(_rows(text.split("\n"), shown, result))
    for line, name, value in rows:
        where = f"{shown}:{line}"
        try:
            where_to = _name(name)
            if where_to is not None:
                decoded = _value(value, where_to)
                if decoded is not None:
                    result.cells.append(Varbind(where_to, decoded, where))
        except ValueError as error:
            result.rejected.append(Rejected(where=where, reason=str(error)))
    if not result.truncated and text and not text.endswith("\n"):
        line = text.count("\n") + 1
        result.truncated, result.truncated_at = "the file ends in the middle of a line", f"{shown}:{line}"
        result.rejected = [r for r in result.rejected if r.where != f"{shown}:{line}"]
        result.cells = [c for c in result.cells if c.where != f"{shown}:{line}"]
    if not result.truncated:
        why = ragged_end(result.cells)
        if why and rows and result.cells[-1].where == f"{shown}:{rows[-1][0]}":
            result.truncated, result.truncated_at = why, result.cells[-1].where
    return result


def _rows(lines: list[str], shown: str, result: Read) -> Iterator[tuple[int, str, str]]:
    """(line number, name, value), with the lines of a long value joined."""
    row: tuple[int, str, str] | None = None
    for n, raw in enumerate(lines, 1):
        line = raw.rstrip("\r")
        complaint = next((c for c in _OVER if line.startswith(c)), None)
        if complaint is not None:
            result.truncated, result.truncated_at = line.strip().rstrip("."), f"{shown}:{n}"
            break
        match = _ROW.fullmatch(line)
        if match is not None:
            if row is not None:
                yield row
            row = (n, match["name"], match["value"])
        elif row is not None and _goes_on(row[2], line):
            row = (row[0], row[1], f"{row[2]}\n{line}")
        elif line.strip():
            result.rejected.append(
                Rejected(where=f"{shown}:{n}", reason=f"not `OID = TYPE: value`: {_short(line)}")
            )
    if row is not None:
        yield row


def _goes_on(value: str, line: str) -> bool:
    """Does this line belong to the value above it?"""
    kind, _, said = value.partition(": ")
    if kind in ("Hex-STRING", "BITS"):
        return re.fullmatch(r"[0-9A-Fa-f ]*", line) is not None
    if kind != "STRING":
        return False
    if said.startswith('"'):
        return re.search(r'(?<!\\)"$', said[1:]) is None
    return line != "" and not _NAMED_ROW_START.match(line)


def _name(name: str) -> Oid | None:
    """The OID of a row, or None for a symbolic name that labctl does not need."""
    if re.fullmatch(r"\.?\d+(\.\d+)*", name):
        return oid(name)
    module, colons, symbol = name.rpartition("::")
    head, _, index = symbol.partition(".")
    root = SYMBOLS.get(head) or _ROOTS.get(head)
    if root is None:
        return None
    if colons and not module:
        raise ValueError(f"not an OID: {_short(name)}")
    return (*root, *_index(index, name))


def _index(index: str, name: str) -> Oid:
    """`0.3.1`, or with an address in words: `ipv4."10.0.0.1"`, `ipv6."fe:80:…"`."""
    typed = re.fullmatch(r'(?:ipv4|ipv6)z?\."(?P<address>[^"]+)"', index)
    if typed:
        spelled = typed["address"]
        if re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){15}", spelled):
            octets = bytes.fromhex(spelled.replace(":", ""))
        else:
            octets = ip_address(spelled).packed
        return (1 if len(octets) == 4 else 2, len(octets), *octets)
    if not re.fullmatch(r"(\d+(\.\d+)*)?", index):
        raise ValueError(f"the index of {_short(name)} is not in numbers: walk with -On")
    return oid(index) if index else ()


def _value(value: str, name: Oid) -> int | bytes | Oid | None:
    value = value.removeprefix("= ").strip("\r") if value.startswith("= ") else value
    if value in ('""', ""):
        return b""
    if value.startswith(_NO_VALUE):
        return None
    wrong = re.match(r"Wrong Type \(should be [^)]*\): ", value)
    kind, colon, said = value[wrong.end() if wrong else 0 :].partition(":")
    said = said.removeprefix(" ")
    if not colon:
        raise ValueError(f"a value without a type: {_short(value)}")
    if kind == "STRING":
        return _string(said, name)
    if kind == "Opaque":
        return None
    if kind not in _DECODERS:
        raise ValueError(f"unknown type {_short(kind)}")
    return _DECODERS[kind](said)


def _integer(said: str) -> int:
    found = re.match(r"(?:[\w-]+\((-?\d+)\)|(-?\d+)(?:\s.*)?$)", said.strip())
    if not found:
        raise ValueError(f"not a number: {_short(said)}")
    return int(found[1] or found[2])


def _string(said: str, name: Oid) -> bytes:
    if name[:-1] in _MACS or name[: len(_ARP)] == _ARP:
        mac = parse_mac(said.strip().strip('"'))
        if mac:
            return bytes.fromhex(mac.replace(":", ""))
    if said.startswith('"'):
        if not re.search(r'(?<!\\)(\\\\)*"$', said[1:]):
            raise ValueError(f"a string without its closing quote: {_short(said)}")
        said = re.sub(r"\\(.)", r"\1", said[1:-1])
    return said.encode("utf-8", "surrogateescape")


def _hexadecimal(said: str) -> bytes:
    digits = re.match(r"(?:[0-9A-Fa-f]{2}\s*)*", said)
    rest = said[digits.end() :].strip() if digits else said
    # after the octets of BITS, and of some strings, the names of the bits or the text in brackets
    if rest and not re.match(r"\[|[A-Za-z][\w-]*\(\d+\)|\d+( \d+)*$", rest):
        raise ValueError(f"not hexadecimal: {_short(said)}")
    return bytes.fromhex("".join(said[: digits.end()].split())) if digits else b""


def _oid_value(said: str) -> Oid:
    said = said.strip()
    if re.fullmatch(r"\.?\d+(\.\d+)*", said):
        return oid(said)
    head, _, index = said.rpartition("::")[2].partition(".")
    root = SYMBOLS.get(head) or _ROOTS.get(head)
    if root is None:
        return ()  # a name that labctl has no use for, such as a product's
    if head == "ipAddressPrefixOrigin":  # ifIndex.ipv4."10.0.0.0".24
        return (*root, *_pad(index))
    return (*root, *_index(index, said))


def _pad(index: str) -> Oid:
    """The prefix length as the last arc, which is all that is read of the pointer."""
    last = index.rpartition(".")[2]
    return (int(last),) if last.isdecimal() else ()


def _address(said: str) -> bytes:
    said = said.strip()
    if re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){3}", said):
        return bytes.fromhex(said.replace(":", ""))
    return ip_address(said).packed


_DECODERS: Final[Mapping[str, Callable[[str], int | bytes | Oid]]] = {
    **dict.fromkeys(
        ("INTEGER", "Integer32", "Gauge32", "Counter32", "Counter64", "Unsigned32", "UInteger32"), _integer
    ),
    "Timeticks": lambda said: _integer(said.partition(")")[0].lstrip("(")),
    "Hex-STRING": _hexadecimal,
    "BITS": _hexadecimal,
    "OID": _oid_value,
    "IpAddress": _address,
    "Network Address": _address,
}


def _short(said: str, limit: int = 40) -> str:
    said = said.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return repr(said if len(said) <= limit else said[:limit] + "…")
