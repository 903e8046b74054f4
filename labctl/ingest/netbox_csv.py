"""NetBox's exports as CSV: devices, interfaces and cables, as its tables print them or as its import takes them.

NetBox says what is meant to be there. Cables that do not end at two interfaces (power, consoles, patch panels) and those
that are not connected are passed over; over REST (`netbox_rest`) NetBox itself follows cables through patch panels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface
from typing import Final

from labctl.errors import LabctlError
from labctl.ingest import rows
from labctl.ingest.sources import Context, Reading
from labctl.ingest.tables import with_length
from labctl.model.observation import AddressRow, CableRow, InterfaceRow, Observation, parse_mac

_SPELLINGS: Final[Mapping[str, str]] = {
    "a_device": "sideadevice devicea",
    "a_type": "sideatype",
    "a_name": "sideaname terminationa",
    "z_device": "sidebdevice deviceb",
    "z_type": "sidebtype",
    "z_name": "sidebname terminationb",
    "status": "status",
    "label": "label id",
    "name": "name",
    "device": "device",
    "enabled": "enabled",
    "type": "type devicetype",
    "mtu": "mtu",
    "mac": "macaddress primarymacaddress",
    "description": "description",
    "lag": "lag parentlag",
    "addresses": "ipaddresses",
    "serial": "serial serialnumber",
    "role": "role devicerole",
    "site": "site",
}
COLUMNS: Final = {spelled: name for name, each in _SPELLINGS.items() for spelled in each.split()}
_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    "cables": frozenset({"a_device", "a_name", "z_device", "z_name", "status"}),
    "interfaces": frozenset({"device", "name", "type"}),
    "devices": frozenset({"name", "role", "site", "type"}),
}
#: Kinds of interfaces as NetBox names or prints them.
KINDS: Final = {"lag": 161, "virtual": 53, "bridge": 209, "link aggregation group (lag)": 161}
CONNECTED: Final = ("", "connected")


def table_of(columns: Iterable[str]) -> str | None:
    """Which of NetBox's tables has these columns."""
    listed = list(columns)
    has = set(rows.fields_of(listed, COLUMNS))
    found = next((table for table, needed in _NEEDS.items() if needed <= has), None)
    plain = {"a_type", "z_type"} <= has or "termination a" in {column.lower() for column in listed}
    return None if found == "cables" and not plain else found


@dataclass(slots=True)
class Collected:
    """Devices by name with what belongs to them; and cables."""

    devices: dict[str, Observation] = field(default_factory=dict)
    interfaces: dict[str, list[InterfaceRow]] = field(default_factory=dict)
    addresses: dict[str, list[AddressRow]] = field(default_factory=dict)
    members: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    cables: list[CableRow] = field(default_factory=list)

    def device(self, name: str, where: str, serial: str = "") -> None:
        known = self.devices.get(name)
        if known is None:
            known = Observation(key=name, source="netbox", sys_name=name, where=where)
        if serial and not known.serials:
            known = replace(known, serials=(serial,))
        self.devices[name] = known

    def interface(self, device: str, row: InterfaceRow, lag: str, addresses: Iterable[str]) -> None:
        self.device(device, row.where)
        self.interfaces.setdefault(device, []).append(row)
        if lag:
            self.members.setdefault(device, []).append((row.index, rows.index_of(lag)))
        self.addresses.setdefault(device, []).extend(
            AddressRow(if_index=row.index, address=ip_interface(each), where=row.where) for each in addresses
        )

    def reading(self, broken: Iterable[LabctlError] = ()) -> Reading:
        return Reading(
            observations=[
                replace(
                    seen,
                    interfaces=tuple(self.interfaces.get(name, ())),
                    addresses=tuple(self.addresses.get(name, ())),
                    members=tuple(self.members.get(name, ())),
                )
                for name, seen in sorted(self.devices.items())
            ],
            cables=list(self.cables),
            broken=list(broken),
        )


def interface_row(
    name: str,
    where: str,
    *,
    kind: str = "",
    mac: str = "",
    mtu: str = "",
    enabled: bool | None = None,
    description: str = "",
) -> InterfaceRow:
    """`named`: where a walk has the port under a longer name, it is that port."""
    return InterfaceRow(
        index=rows.index_of(name),
        name=name,
        named=True,
        alias=description,
        type=KINDS.get(kind.lower()),
        mac=parse_mac(mac),
        mtu=int(mtu) if mtu.isdecimal() and len(mtu) < 7 else None,
        admin_up=enabled,
        where=where,
    )


@dataclass(frozen=True, slots=True)
class NetboxCsv:
    """A CSV file with the header of one of NetBox's tables."""

    def claims(self, path: str, head: bytes) -> bool:
        if not path.endswith((".csv", ".tsv")) or b"\0" in head or not head.strip():
            return False
        columns, _ = rows.header(head.decode("utf-8-sig", "replace").splitlines()[0])
        return table_of(columns) is not None

    def read(self, path: str, context: Context) -> Reading:  # noqa: ARG002  (the protocol's)
        found, broken = Collected(), list[LabctlError]()
        for row, line in rows.read_csv(path, broken):
            table = table_of(row)
            assert table is not None
            fields = {name: _cell(row[column]) for name, column in rows.fields_of(row, COLUMNS).items()}
            problem = _TAKERS[table](found, fields, f"{path}:{line}")
            if problem:
                broken.append(rows.bad_row(problem, path, line))
        return found.reading(broken)


def _cell(said: str) -> str:
    return "" if said in ("—", "-", "None") else said


def _cable(found: Collected, row: Mapping[str, str], where: str) -> str:
    kinds = (row.get("a_type", ""), row.get("z_type", ""))
    if any(kind not in ("", "dcim.interface") for kind in kinds) or row["status"].lower() not in CONNECTED:
        return ""
    missing = [name for name in ("a_device", "a_name", "z_device", "z_name") if not row[name]]
    if missing:
        sides = {"a_device": "device a", "a_name": "name a", "z_device": "device b", "z_name": "name b"}
        return f"a cable without {' and '.join(sides[name] for name in missing)}"
    for a in row["a_name"].split(","):
        for z in row["z_name"].split(","):
            ends = (row["a_device"], a.strip()), (row["z_device"], z.strip())
            found.cables.append(
                CableRow(source="netbox", a=ends[0], z=ends[1], where=where, note=row.get("label", ""))
            )
    return ""


def _interface(found: Collected, row: Mapping[str, str], where: str) -> str:
    if not row["device"] or not row["name"]:
        return "an interface without a name or a device"
    enabled = {"true": True, "false": False}.get(row.get("enabled", "").lower())
    found.interface(
        row["device"],
        interface_row(
            row["name"],
            where,
            kind=row["type"],
            mac=row.get("mac", ""),
            mtu=row.get("mtu", ""),
            enabled=enabled,
            description=row.get("description", ""),
        ),
        row.get("lag", ""),
        with_length(row.get("addresses", "")),
    )
    return ""


def _device(found: Collected, row: Mapping[str, str], where: str) -> str:
    if not row["name"]:
        return ""  # NetBox lets a device be nameless: nothing can be said of it
    found.device(row["name"], where, row.get("serial", ""))
    return ""


_TAKERS: Final[Mapping[str, Callable[[Collected, Mapping[str, str], str], str]]] = {
    "cables": _cable,
    "interfaces": _interface,
    "devices": _device,
}

NETBOX_CSV = NetboxCsv()
