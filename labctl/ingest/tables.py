"""Tables that somebody exported: neighbours, interfaces, ARP and MAC tables, and lists of cables, as CSV or JSON.

What a table is follows from its columns, whose usual spellings are all known (`COLUMNS`), and from the file's name
where the columns leave it open. Without a column for the device, the file is one device's and named after it. JSON is
a list of objects, or an object with one such list for each table.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import Any, Final

from labctl.errors import LabctlError, Span
from labctl.ingest import rows
from labctl.ingest.sources import Context, Reading
from labctl.model.observation import (
    AddressRow,
    CableRow,
    Ident,
    IdKind,
    InterfaceRow,
    Neighbour,
    Observation,
    Station,
    Walk,
    parse_mac,
)
from labctl.schema import infile

#: field -> its spellings, all in lower case without anything but letters and digits.
_SPELLINGS: Final[Mapping[str, str]] = {
    "device": "device hostname host node switch router localdevice localhost localhostname localnode",
    "port": "port interface ifname intf oif localport localinterface localintf localif",
    "neighbour": "neighbour neighbor neighbourname neighborname remotedevice remotehost remotehostname remotename "
    "remotesystemname peer peerhostname peername peerdevice sysname systemname neighbordevice neighbourdevice",
    "neighbour_port": "neighbourport neighborport neighbourinterface neighborinterface remoteport remoteinterface "
    "remoteportid remoteintf peerport peerinterface peerifname portid neighborportid neighbourportid",
    "chassis": "chassis chassisid remotechassisid neighborchassis neighbourchassis peerchassis neighborchassisid",
    "neighbour_descr": "remoteportdescription remoteportdesc portdescription neighborportdescription portdescr",
    "neighbour_address": "managementip mgmtip mgmtaddress managementaddress neighboraddress neighbouraddress",
    "protocol": "protocol via",
    "mac": "mac macaddr macaddress hwaddr hardwareaddress lladdr physaddress destinationaddress",
    "address": "ip ipaddr ipaddress address addresses ipaddresses ipv4 ipaddresslist dst",
    "vlan": "vlan vlanid pvid nativevlan accessvlan",
    "mtu": "mtu",
    "speed_mbit": "speed speedmbit highspeed ifhighspeed speedmbps",
    "admin": "admin adminstate adminstatus enabled",
    "oper": "oper state status linkstatus operstate operstatus protocolstatus",
    "descr": "description descr alias ifalias desc",
    "duplex": "duplex",
    "aggregate": "aggregate lag master memberof bundle channelgroup portchannel",
    "if_index": "ifindex index snmpindex",
    "a_device": "adevice devicea sideadevice node1 sourcedevice",
    "a_port": "aport porta ainterface interfacea sideaname port1 sourceport sourceinterface",
    "z_device": "bdevice deviceb zdevice devicez node2 targetdevice destinationdevice",
    "z_port": "bport portb binterface interfaceb zport portz zinterface port2 targetport destinationport",
}
COLUMNS: Final = {spelled: name for name, all_ in _SPELLINGS.items() for spelled in all_.split()}
_OF_INTERFACES: Final = frozenset(
    {"mtu", "speed_mbit", "admin", "oper", "descr", "duplex", "aggregate", "if_index"}
)
_NAMES: Final = (
    ("cables", re.compile("cable|patch")),
    ("neighbours", re.compile("neighb|lldp|cdp")),
    ("arp", re.compile("arp|(^|[-_])nd([-_]|$)")),
    ("macs", re.compile("mac|fdb|cam")),
    ("interfaces", re.compile("interface|ports?([-_]|$)")),
)
TABLES: Final = ("cables", "neighbours", "interfaces", "arp", "macs")


def _fits(table: str, has: set[str]) -> bool:
    match table:
        case "cables":
            return {"a_device", "a_port", "z_device", "z_port"} <= has
        case "neighbours":
            return "port" in has and bool({"neighbour", "chassis"} & has)
        case "arp":
            return {"port", "mac", "address"} <= has
        case "macs":
            return {"port", "mac"} <= has
        case _:
            return "port" in has and bool((_OF_INTERFACES | {"address", "mac"}) & has)


def kind_of(columns: Iterable[str], name: str) -> str | None:
    """Which table has these columns; the file's name decides between those that fit."""
    has = set(rows.fields_of(columns, COLUMNS))
    fit = [table for table in TABLES if _fits(table, has)]
    named = [table for table, words in _NAMES if words.search(name.lower())]
    for table in (*(t for t in named if t in fit), *fit):
        if table == "interfaces" and not _OF_INTERFACES & has and table not in named and "mac" in has:
            continue  # nothing but addresses: ARP or MACs
        return table
    return None


@dataclass(slots=True)
class _Device:
    """What the tables of one file say of one device."""

    interfaces: dict[str, InterfaceRow] = field(default_factory=dict)
    neighbours: list[Neighbour] = field(default_factory=list)
    addresses: list[AddressRow] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)
    members: list[tuple[int, int]] = field(default_factory=list)
    rows: int = 0

    def index(self, port: str, where: str) -> int:
        index = rows.index_of(port)
        self.interfaces.setdefault(port, InterfaceRow(index=index, name=port, named=True, where=where))
        return self.interfaces[port].index


@dataclass(slots=True)
class Tables:
    """Collects rows of tables. Rows that say nothing usable are in `broken`."""

    path: str
    source: str = "tables"
    devices: dict[str, _Device] = field(default_factory=lambda: defaultdict(_Device))
    cables: list[CableRow] = field(default_factory=list)
    broken: list[LabctlError] = field(default_factory=list)

    def add(self, table: str, row: Mapping[str, str], line: int, default: str) -> None:
        """One row, by field."""
        problem = self._cable(row, line) if table == "cables" else self._row(table, row, line, default)
        if problem:
            self.broken.append(rows.bad_row(problem, self.path, line))

    def _cable(self, row: Mapping[str, str], line: int) -> str:
        missing = [name for name in ("a_device", "a_port", "z_device", "z_port") if not row.get(name)]
        if missing:
            return f"a cable without {' and '.join(missing)}".replace("z_", "b_")
        self.cables.append(
            CableRow(
                source="cables",
                a=(row["a_device"], row["a_port"]),
                z=(row["z_device"], row["z_port"]),
                where=f"{self.path}:{line}",
            )
        )
        return ""

    def _row(self, table: str, row: Mapping[str, str], line: int, default: str) -> str:
        name, port = row.get("device", default), row.get("port", "")
        if not name:
            return "no column says which device this row is of"
        if not port:
            return "no column says which port this row is of"
        device = self.devices[name]
        device.rows += 1
        return _TAKERS[table](device, row, port, f"{self.path}:{line}")

    def reading(self) -> Reading:
        """An observation for each device."""
        why = str(self.broken[0]) if self.broken else ""
        return Reading(
            observations=[
                Observation(
                    key=name,
                    source=self.source,
                    sys_name=name,
                    interfaces=tuple(each.interfaces.values()),
                    neighbours=tuple(each.neighbours),
                    addresses=tuple(each.addresses),
                    stations=tuple(each.stations),
                    members=tuple(each.members),
                    walks=(
                        Walk(table="rows", rows=each.rows, complete=not why, reason=why, where=self.path),
                    ),
                    where=f"{self.path} {name}",
                )
                for name, each in sorted(self.devices.items())
            ],
            cables=list(self.cables),
            broken=list(self.broken),
        )


def port_id(said: str) -> Ident | None:
    """A port as a table spells it: a MAC if it reads as one, else a name."""
    if said in ("", "-"):
        return None
    mac = parse_mac(said)
    return Ident(IdKind.MAC, mac, mac) if mac else Ident(IdKind.NAME, said)


def _neighbour(device: _Device, row: Mapping[str, str], port: str, where: str) -> str:
    chassis = parse_mac(row.get("chassis", ""))
    name, remote = row.get("neighbour", ""), port_id(row.get("neighbour_port", ""))
    if parse_mac(name):
        chassis, name = chassis or parse_mac(name), ""
    if name in ("", "-") and chassis is None:
        return "a neighbour without a name and without a chassis MAC"
    index = device.index(port, where)
    device.neighbours.append(
        Neighbour(
            protocol="cdp" if "cdp" in row.get("protocol", "").lower() else "lldp",
            port=index,
            port_is_index=True,
            port_name=port,
            index=(index, len(device.neighbours)),
            chassis=Ident(IdKind.MAC, chassis, chassis) if chassis else None,
            remote_port=remote,
            port_descr=row.get("neighbour_descr", ""),
            sys_name=name if name != "-" else "",
            addresses=tuple(addresses(row.get("neighbour_address", ""))),
            where=where,
        )
    )
    return ""


def _interface(device: _Device, row: Mapping[str, str], port: str, where: str) -> str:
    known = device.interfaces.get(port)
    index = _number(row.get("if_index")) or rows.index_of(port)
    if known is not None and not known.named:
        return f"interface {port} stands in this table twice"
    mtu, speed, vlan = row.get("mtu"), _number(row.get("speed_mbit")), _number(row.get("vlan"))
    if mtu and _number(mtu) is None:
        return f"the MTU of {port} is no number: {mtu[:40]!r}"
    device.interfaces[port] = InterfaceRow(
        index=index,
        name=port,
        alias=row.get("descr", ""),
        mac=parse_mac(row.get("mac", "")),
        mtu=_number(mtu),
        speed_bps=speed * 1e6 if speed else None,
        admin_up=_is_up(row.get("admin")),
        oper_up=_is_up(row.get("oper")),
        duplex=_duplex(row.get("duplex", "")),
        vlan=vlan if vlan and vlan < 4095 else None,
        where=where,
    )
    if row.get("aggregate"):
        device.members.append((index, device.index(row["aggregate"], where)))
    said = row.get("address", "")
    found = list(with_length(said))
    device.addresses += [AddressRow(if_index=index, address=ip_interface(a), where=where) for a in found]
    return "" if found or said.strip("[]-\"' ") in ("", "unassigned") else f"no IP address: {said[:40]!r}"


def _station(device: _Device, row: Mapping[str, str], port: str, where: str) -> str:
    mac = parse_mac(row.get("mac", ""))
    if mac is None:
        incomplete = row.get("mac", "").strip("-<>").lower() in ("", "incomplete", "none", "failed")
        return "" if incomplete else f"not a MAC address: {row['mac'][:40]!r}"
    said = list(addresses(row.get("address", "")))
    if row.get("address") and not said:
        return f"no IP address: {row['address'][:40]!r}"
    device.stations.append(
        Station(
            if_index=device.index(port, where),
            mac=mac,
            address=said[0] if said else "",
            vlan=_number(row.get("vlan")),
            where=where,
        )
    )
    return ""


_TAKERS: Final[Mapping[str, Callable[[_Device, Mapping[str, str], str, str], str]]] = {
    "neighbours": _neighbour,
    "interfaces": _interface,
    "arp": _station,
    "macs": _station,
}


def with_length(said: str) -> Iterator[str]:
    """The addresses in a cell, as they stand there: with their prefix lengths."""
    for each in re.split(r"[\s,;\[\]\"']+", said):
        try:
            if each:
                yield str(ip_interface(each))
        except ValueError:
            continue


def addresses(said: str) -> Iterator[str]:
    """The addresses in a cell, without their prefix lengths."""
    return (each.partition("/")[0] for each in with_length(said))


def _number(said: str | None) -> int | None:
    try:
        return int(float(said or "")) or None
    except (ValueError, OverflowError):
        return None


def _is_up(said: str | None) -> bool | None:
    word = (said or "").strip().lower()
    if word in ("up", "true", "1", "yes", "enabled", "connected"):
        return True
    down = (
        "down",
        "false",
        "0",
        "2",
        "no",
        "disabled",
        "shutdown",
        "notconnect",
        "notpresent",
        "errdisabled",
    )
    return (
        False if word.replace("-", "") in (*down, "administrativelydown", "administratively down") else None
    )


def _duplex(said: str) -> str:
    return next((word for word in ("full", "half") if word in said.lower()), "")


# -- files ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file whose header is a table's."""

    def claims(self, path: str, head: bytes) -> bool:
        if not path.endswith((".csv", ".tsv")) or b"\0" in head:
            return False
        beside = os.path.join(os.path.dirname(path), "lldp.csv")
        if os.path.exists(beside) and _is_suzieq(beside):
            return False  # its tables belong together
        columns, _ = rows.header(_first_line(head))
        return kind_of(columns, rows.stem(path)) is not None

    def read(self, path: str, context: Context) -> Reading:  # noqa: ARG002  (the protocol's)
        found = Tables(path)
        for row, line in rows.read_csv(path, found.broken):
            fields = rows.fields_of(row, COLUMNS)
            table = kind_of(row, rows.stem(path))
            assert table is not None
            found.add(
                table, {name: row[column] for name, column in fields.items()}, line, default_device(path)
            )
        return found.reading()


def _first_line(head: bytes) -> str:
    return head.decode("utf-8-sig", "replace").splitlines()[0] if head.strip() else ""


def _is_suzieq(path: str) -> bool:
    return infile.head(path, 64).startswith(b"hostname,ifname,peerHostname,")


def default_device(path: str) -> str:
    """The device of a file without a column for it: the file's stem, unless that is the name of a table."""
    name = os.path.basename(path).rpartition(".")[0]
    generic = any(words.fullmatch(rows.stem(path).lower().rstrip("s")) for _, words in _NAMES) or rows.stem(
        path
    ).lower() in ("neighbours", "neighbors", "interfaces", "arp", "macs", "cables", "mac-table", "arp-table")
    return "" if generic else name


@dataclass(frozen=True, slots=True)
class JsonTable:
    """A JSON file with lists of such rows."""

    def claims(self, path: str, head: bytes) -> bool:
        if not path.endswith(".json") or head.lstrip()[:1] not in (b"[", b"{"):
            return False
        text = head.decode("utf-8", "replace")
        if re.match(r'\s*\{\s*"(neighbou?rs|interfaces|arp|macs|cables|device)"\s*:', text):
            return True
        first = re.search(r"\{[^{}]*", text)
        keys = re.findall(r'"([^"\\]{1,40})"\s*:', first[0]) if first and text.lstrip()[:1] == "[" else []
        return kind_of(keys, rows.stem(path)) is not None

    def read(self, path: str, context: Context) -> Reading:  # noqa: ARG002  (the protocol's)
        document = rows.Document(infile.text(path), path)
        found = Tables(path)
        root = document.root
        lists = root.items() if isinstance(root, dict) else [(rows.stem(path), root)]
        device = root.get("device", "") if isinstance(root, dict) else ""
        default = device if isinstance(device, str) and device else default_device(path)
        for name, listed in lists:
            if name != "device":
                self._list(found, document, (str(name), listed), default)
        return found.reading()

    def _list(self, found: Tables, document: rows.Document, named: tuple[str, Any], default: str) -> None:
        name, listed = named
        if not isinstance(listed, list):
            found.broken.append(
                LabctlError(
                    "bad-row",
                    f"{name} is not a list of objects",
                    where=Span(found.path, document.line(document.root)),
                    hint="known lists: " + ", ".join(TABLES),
                )
            )
            return
        for record in listed:
            if not isinstance(record, rows.Record):
                found.broken.append(
                    LabctlError("bad-row", f"an entry of {name} is not an object", where=Span(found.path))
                )
                continue
            table = kind_of(record, name)
            if table is None:
                found.broken.append(
                    rows.bad_row("its keys are of no known table", found.path, document.line(record))
                )
                continue
            fields = {key: _flat(record[column]) for key, column in rows.fields_of(record, COLUMNS).items()}
            found.add(table, fields, document.line(record), default)


def _flat(value: Any) -> str:
    """A JSON value as a table's cell."""
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(_flat(each) for each in value)
    return str(value).strip()


CSV = CsvTable()
JSON = JsonTable()
