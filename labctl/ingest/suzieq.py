"""A network as SuzieQ recorded it, exported to CSV: `lldp.csv`, and beside it `interfaces.csv` and `device.csv`.

SuzieQ normalises what devices said: a peer's port is a name, or, where the device sent something else, an ifIndex or a
MAC. Which port those mean only the peer's own interfaces tell, so the whole directory is the input.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Final, TypeAlias

from labctl.errors import LabctlError, Span
from labctl.ingest.rows import index_of
from labctl.ingest.sources import Context, Reading
from labctl.model.observation import (
    AddressRow,
    Adjacency,
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

#: SuzieQ's interface types that ifType knows.
TYPES: Final = {
    "loopback": 24,
    "bond": 161,
    "vlan": 136,
    "bridge": 209,
    "subinterface": 135,
    "vxlan": 131,
    "vtep": 131,
    "gre": 131,
}


BOND: Final = 161


@dataclass(frozen=True, slots=True)
class Suzieq:
    """Claims `lldp.csv` by its header, and reads its neighbours in the directory with it."""

    def claims(self, path: str, head: bytes) -> bool:
        return os.path.basename(path) == "lldp.csv" and head.startswith(b"hostname,ifname,peerHostname,")

    def read(self, path: str, context: Context) -> Reading:  # noqa: ARG002  (the protocol's)
        directory = os.path.dirname(path)
        interfaces, addresses, members = _interfaces(os.path.join(directory, "interfaces.csv"))
        stations, adjacencies = _stations(directory, interfaces), _adjacencies(directory, interfaces)
        neighbours: dict[str, list[Neighbour]] = defaultdict(list)
        for row, where in _rows(path):
            names = {each.name: each.index for each in interfaces[row["hostname"]]}
            neighbours[row["hostname"]].append(_neighbour(row, names.get(row["ifname"]), where))
        polled = {
            row["hostname"]: row for row, _ in _rows(os.path.join(directory, "device.csv"), optional=True)
        }
        return Reading(
            observations=[
                Observation(
                    key=name,
                    source="suzieq",
                    address=polled.get(name, {}).get("address", ""),
                    sys_name=name,
                    sys_descr=_description(polled.get(name, {})),
                    interfaces=tuple(interfaces[name]),
                    neighbours=tuple(neighbours[name]),
                    addresses=tuple(addresses[name]),
                    stations=tuple(stations[name]),
                    adjacencies=tuple(adjacencies[name]),
                    members=tuple(members[name]),
                    walks=(Walk(table="lldp", rows=len(neighbours[name]), complete=True, where=path),),
                    where=f"{path} {name}",
                )
                for name in sorted({*interfaces, *neighbours})
            ]
        )


def _description(device: dict[str, str]) -> str:
    return " ".join(device[key] for key in ("vendor", "model", "os", "version") if device.get(key))


_Interfaces: TypeAlias = dict[str, list[InterfaceRow]]


def _interfaces(
    path: str,
) -> tuple[_Interfaces, dict[str, list[AddressRow]], dict[str, list[tuple[int, int]]]]:
    """Interfaces, addresses, and (member, bond) by host name."""
    interfaces: dict[str, list[InterfaceRow]] = defaultdict(list)
    addresses: dict[str, list[AddressRow]] = defaultdict(list)
    masters: list[tuple[str, int, str]] = []
    for row, where in _rows(path):
        host = row["hostname"]
        index = _number(row["ifindex"]) or index_of(row["ifname"])
        speed = _number(row["speed"])
        interfaces[host].append(
            InterfaceRow(
                index=index,
                name=row["ifname"],
                alias=row["description"],
                type=TYPES.get(row["type"]),
                mac=parse_mac(row["macaddr"]),
                mtu=_number(row["mtu"]),
                speed_bps=speed * 1e6 if speed else None,
                admin_up=row["adminState"] == "up",
                oper_up=row["state"] == "up",
                where=where,
            )
        )
        for column in ("ipAddressList", "ip6AddressList"):
            addresses[host] += [
                AddressRow(if_index=index, address=ip_interface(each), where=where)
                for each in json.loads(row[column] or "[]")
            ]
        masters.append((host, index, row.get("master", "")))
    bonds = {(host, i.name): i.index for host in interfaces for i in interfaces[host] if i.type == BOND}
    members: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for host, index, master in masters:
        if (host, master) in bonds:
            members[host].append((index, bonds[host, master]))
    return interfaces, addresses, members


def _stations(directory: str, interfaces: _Interfaces) -> dict[str, list[Station]]:
    """ARP and MAC tables. What a box says of its own addresses (`permanent`) or learnt over a tunnel is nobody near."""
    indices = _indices(interfaces)
    found: dict[str, list[Station]] = defaultdict(list)
    for table in ("arpnd", "macs"):
        for row, where in _rows(os.path.join(directory, f"{table}.csv"), optional=True):
            index, mac = indices.get((row["hostname"], row["oif"])), parse_mac(row["macaddr"])
            learnt = row.get("state", "reachable") in ("reachable", "stale", "delay")
            if index is None or mac is None or row.get("flags", "") not in ("", "dynamic") or not learnt:
                continue
            found[row["hostname"]].append(
                Station(
                    if_index=index,
                    mac=mac,
                    address=row["ipAddress"] if table == "arpnd" and _is_address(row["ipAddress"]) else "",
                    vlan=_number(row.get("vlan", "")),
                    where=where,
                )
            )
    return found


def _adjacencies(directory: str, interfaces: _Interfaces) -> dict[str, list[Adjacency]]:
    """OSPF neighbours that are full; and BGP peers (only sessions that are up have a router id)."""
    indices = _indices(interfaces)
    found: dict[str, list[Adjacency]] = defaultdict(list)
    for row, where in _rows(os.path.join(directory, "ospfnbr.csv"), optional=True):
        index = indices.get((row["hostname"], row["ifname"]))
        if row["state"] == "full" and index is not None:
            peer = row["peerIP"] if _is_address(row["peerIP"]) else ""
            found[row["hostname"]].append(
                Adjacency(
                    protocol="ospf", if_index=index, peer=peer, peer_id=row["peerRouterId"], where=where
                )
            )
    for row, where in _rows(os.path.join(directory, "bgp.csv"), optional=True):
        index = indices.get((row["hostname"], row["peer"]))
        if row["peerHostname"] and (index is not None or _is_address(row["peer"])):
            found[row["hostname"]].append(
                Adjacency(
                    protocol="bgp",
                    if_index=index,
                    peer="" if index is not None else row["peer"],
                    peer_id=row["peerHostname"],
                    where=where,
                )
            )
    return found


def _indices(interfaces: _Interfaces) -> dict[tuple[str, str], int]:
    return {(host, row.name): row.index for host, rows in interfaces.items() for row in rows}


def _neighbour(row: dict[str, str], port: int | None, where: str) -> Neighbour:
    return Neighbour(
        protocol="lldp",
        port=port,
        port_is_index=True,
        port_name=row["ifname"],
        index=(port or 0,),
        remote_port=_peer_port(row),
        sys_name=row["peerHostname"],
        addresses=(row["mgmtIP"],) if _is_address(row["mgmtIP"]) else (),
        where=where,
    )


def _peer_port(row: dict[str, str]) -> Ident | None:
    mac, index = parse_mac(row["peerMacaddr"]), _number(row["peerIfindex"])
    if row["peerIfname"] not in ("", "-"):
        return Ident(IdKind.NAME, row["peerIfname"])
    if mac:
        return Ident(IdKind.MAC, mac, mac)
    return Ident(IdKind.LOCAL, str(index)) if index else None


def _number(said: str) -> int | None:
    """A whole number, however the export wrote it; nothing for zero, which SuzieQ writes for unknown."""
    try:
        return int(float(said)) or None
    except (ValueError, OverflowError):
        return None


def _is_address(said: str) -> bool:
    try:
        ip_interface(said)
    except ValueError:
        return False
    return bool(said)


def _rows(path: str, *, optional: bool = False) -> Iterator[tuple[dict[str, str], str]]:
    """Rows and their places."""
    if not os.path.exists(path):
        if optional:
            return
        raise LabctlError(
            "file-not-found",
            "cannot read the file: no such file or directory",
            where=Span(path),
            hint="a recorded network is a directory with lldp.csv and interfaces.csv",
        )
    reader = csv.DictReader(io.StringIO(infile.text(path), newline=""), restval="")
    try:
        reader.fieldnames  # noqa: B018  (reads the header)
        start = reader.line_num + 1
        for row in reader:
            yield row, f"{path}:{start}"
            start = reader.line_num + 1  # a quoted field may hold line ends
    except csv.Error as error:
        raise LabctlError(
            "bad-value", f"this is not CSV: {error}", where=Span(path, reader.line_num)
        ) from None


SUZIEQ = Suzieq()
