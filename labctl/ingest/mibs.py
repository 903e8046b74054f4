"""Rows of SNMP tables -> an `Observation`: the part that knows MIBs, and nothing of where the rows came from.

Files and live sessions all yield `Varbind`s; `decode` groups them into tables and reads each cell with the distrust
that real agents have earned. What that means, learned from some hundred recorded devices: indices are read from the
end, because some agents leave the timeMark out; a port id may be a MAC in any spelling, a bare number, or a name with
a trailing NUL; the local port number of LLDP is not an ifIndex (resolved later, in `topo.resolve`); a subtype may be
missing or lie. A row that cannot be understood is kept in `rejected` with its place and the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labctl.ingest import mib_layer2, mib_neighbours, mib_ports
from labctl.ingest.mib_cells import CHASSIS_KINDS, ident, name, octets, text
from labctl.ingest.mib_tables import Varbind, group
from labctl.model.observation import Observation, Rejected, Walk, parse_mac


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
        *mib_neighbours.lldp(tables["lldpRemTable"], tables["lldpRemManAddrTable"], refused),
        *mib_neighbours.lldp_v2(tables["lldpV2RemTable"], refused),
        *mib_neighbours.cdp(tables["cdpCacheTable"], refused),
    ]
    system, loc, loc2 = tables["system"].get((0,), {}), tables["lldpLoc"], tables["lldpV2Loc"]
    chassis = None
    for scalars in (loc.get((0,), {}), loc2.get((0,), {})):
        chassis = chassis or ident(CHASSIS_KINDS, scalars.get(1), scalars.get(2))
    base = mib_ports.base_ports(tables["dot1dBasePortTable"])
    ports = dict(base)
    vlans = mib_layer2.vlans(tables["dot1qPortVlanTable"], ports)
    return Observation(
        key=key,
        source=source,
        address=address,
        sys_name=name(system.get(5)) or name(loc.get((0,), {}).get(3)),
        sys_descr=text(system.get(1)),
        chassis=chassis,
        bridge_mac=parse_mac(octets(tables["dot1dBase"].get((0,), {}).get(1))),
        serials=mib_ports.serials(tables["entPhysicalTable"]),
        interfaces=mib_ports.interfaces(
            tables["ifTable"], tables["ifXTable"], tables["dot3StatsTable"], vlans, refused
        ),
        local_ports=mib_ports.local_ports(tables["lldpLocPortTable"]),
        base_ports=base,
        neighbours=tuple(neighbours),
        addresses=mib_ports.addresses(tables["ipAddrTable"], tables["ipAddressTable"], refused),
        stations=tuple(mib_layer2.stations(tables, ports)),
        adjacencies=tuple(mib_layer2.adjacencies(tables)),
        lacp=tuple(mib_layer2.lacp(tables["dot3adAggPortTable"])),
        members=mib_layer2.members(tables),
        walks=tuple(walks),
        rejected=tuple(refused),
        where=where,
    )
