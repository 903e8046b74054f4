"""What `lldpcli -f json show neighbors` prints on a Linux host (`-f json0` too), or `show interfaces`, or `show chassis`.

A file is named after its host: `web1.json`, `web1-interfaces.json`. The latter two tell what the host calls itself. `json` collapses lists of one and keys chassis by name; `json0` never does; both are
read by asking each value what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from labctl.errors import LabctlError, Span
from labctl.ingest import rows
from labctl.ingest.sources import Context, Reading
from labctl.model.observation import (
    Ident,
    IdKind,
    InterfaceRow,
    Neighbour,
    Observation,
    Rejected,
    Walk,
    parse_mac,
)
from labctl.schema import infile

KINDS: Final[Mapping[str, IdKind]] = {
    "mac": IdKind.MAC,
    "ifname": IdKind.NAME,
    "ifalias": IdKind.ALIAS,
    "local": IdKind.LOCAL,
    "ip": IdKind.ADDRESS,
}
_SUFFIX: Final = re.compile(r"[-_.](lldp\w*|neighbou?rs?|interfaces?|chassis)$")


@dataclass(frozen=True, slots=True)
class Lldpcli:
    """A JSON file with `lldp` or `local-chassis` at the top."""

    def claims(self, path: str, head: bytes) -> bool:  # noqa: ARG002  (the protocol's)
        return re.match(rb'\s*\{\s*"(lldp|local-chassis)"\s*:', head) is not None

    def read(self, path: str, context: Context) -> Reading:  # noqa: ARG002  (the protocol's)
        document = rows.Document(infile.text(path), path)
        root = document.root if isinstance(document.root, rows.Record) else rows.Record()
        host = _SUFFIX.sub("", rows.stem(path))
        if "lldp" not in root:
            return Reading(observations=[self._chassis(root, host, path)])
        neighbours: list[Neighbour] = []
        rejected: list[Rejected] = []
        broken: list[LabctlError] = []
        interfaces: dict[str, InterfaceRow] = {}
        itself: tuple[str, Mapping[str, Any]] = ("", {})
        for name, entry in _interfaces(root["lldp"], broken, path):
            where = document.where(entry)
            if not {"rid", "age", "via"} & entry.keys():  # `show interfaces`: the host about itself
                itself = next(_each(entry, "chassis"), itself)
                interfaces[name] = _own(name, entry, where)
                continue
            interfaces.setdefault(name, _own(name, {}, where))
            row = _neighbour(name, entry, where)
            if row.chassis or row.remote_port or row.sys_name:
                neighbours.append(row)
            else:
                rejected.append(
                    Rejected(where=where, reason=f"the neighbour on {name} says nothing of itself")
                )
        seen = Observation(
            key=host,
            source="lldpcli",
            sys_name=itself[0],
            chassis=_ident(itself[1].get("id")),
            interfaces=tuple(interfaces.values()),
            neighbours=tuple(neighbours),
            walks=(Walk(table="neighbors", rows=len(neighbours), complete=not broken, where=path),),
            rejected=tuple(rejected),
            where=path,
        )
        return Reading(observations=[seen], broken=broken)

    def _chassis(self, root: Mapping[str, Any], host: str, path: str) -> Observation:
        found = next(_each(_first(root.get("local-chassis")), "chassis"), ("", {}))
        name, chassis = found
        return Observation(
            key=host,
            source="lldpcli",
            sys_name=name,
            sys_descr=_text(chassis.get("descr")),
            chassis=_ident(chassis.get("id")),
            where=path,
        )


def _interfaces(lldp: Any, broken: list[LabctlError], path: str) -> Iterator[tuple[str, rows.Record]]:
    """(interface, entry) of every neighbour, however the list is written."""
    listed = [i for each in _list(lldp) if isinstance(each, dict) for i in _list(each.get("interface"))]
    for each in listed:
        if not isinstance(each, rows.Record):
            broken.append(LabctlError("bad-row", "an interface is not an object", where=Span(path)))
        elif isinstance(each.get("name"), str):  # json0
            yield each["name"], each
        else:
            for name, entry in each.items():
                for one in _list(entry):
                    if isinstance(one, rows.Record):
                        yield name, one
                    else:
                        broken.append(
                            LabctlError("bad-row", f"the entry of {name} is not an object", where=Span(path))
                        )


def _own(name: str, entry: Mapping[str, Any], where: str) -> InterfaceRow:
    said = _ident(_first(entry.get("port")).get("id"))
    return InterfaceRow(
        index=rows.index_of(name), name=name, named=True, mac=said.mac if said else None, where=where
    )


def _neighbour(name: str, entry: Mapping[str, Any], where: str) -> Neighbour:
    known_as, chassis = next(_each(entry, "chassis"), ("", {}))
    port = _first(entry.get("port"))
    return Neighbour(
        protocol="cdp" if _text(entry.get("via")).upper().startswith("CDP") else "lldp",
        port=rows.index_of(name),
        port_is_index=True,
        port_name=name,
        index=(rows.index_of(name), _digits(entry.get("rid"))),
        chassis=_ident(chassis.get("id")),
        remote_port=_ident(port.get("id")),
        port_descr=_text(port.get("descr")),
        sys_name=known_as,
        sys_descr=_text(chassis.get("descr")),
        addresses=tuple(_addresses(chassis.get("mgmt-ip"))),
        where=where,
    )


def _each(entry: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, chassis): `{"name": {…}}` where the chassis has a name, else the chassis itself."""
    for said in _list(entry.get(key)):
        if not isinstance(said, dict):
            continue
        if "id" in said:
            yield _text(said.get("name")), said
        else:
            yield from ((name, inner) for name, inner in said.items() if isinstance(inner, dict))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _first(value: Any) -> Mapping[str, Any]:
    found = next(iter(_list(value)), None)
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    """A value, or `[{"value": …}]` as json0 writes it."""
    for each in _list(value):
        said = each.get("value") if isinstance(each, dict) else each
        if isinstance(said, (str, int, float)):
            return str(said).strip()
    return ""


def _digits(value: Any) -> int:
    said = _text(value)
    return int(said) if said.isdecimal() and len(said) < 10 else 0


def _ident(value: Any) -> Ident | None:
    said = _first(value)
    text = _text(said.get("value"))
    if not text:
        return None
    kind = KINDS.get(_text(said.get("type")), IdKind.UNKNOWN)
    mac = parse_mac(text) if kind in (IdKind.MAC, IdKind.UNKNOWN) else None
    return Ident(kind, mac or text, mac) if kind is not IdKind.MAC or mac else Ident(IdKind.UNKNOWN, text)


def _addresses(value: Any) -> Iterator[str]:
    for each in _list(value):
        said = _text(each)
        try:
            yield str(ip_address(said))
        except ValueError:
            continue


LLDPCLI = Lldpcli()
