"""What one source saw of one device, row by row, before anybody draws a conclusion.

Observations are immutable and local: they hold tables as the device answered them (interfaces, its own LLDP ports,
its neighbours, its addresses), each row with the place it was read (`file:line`, or `device OID`), what was rejected
and why, and whether each walk came to its end. `topo` turns them into claims, and claims into links; nothing here
knows about a second device.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface
from typing import TypeAlias

from labctl.model.config import DeviceConfig
from labctl.model.topology import Evidence

Address: TypeAlias = IPv4Interface | IPv6Interface

_HEX12 = re.compile(r"[0-9a-f]{12}")
#: Sources of documents: they say what is meant to be there, and nobody asked the device.
DOCUMENTS = frozenset({"clab", "netbox"})
#: Sources that know devices by their names, so that two of their records of one name are one device.
BY_NAME = frozenset({"clab", "lldpcli", "netbox", "suzieq", "tables"})

_MAC_PUNCTUATION = str.maketrans("", "", ":-. \t\"'“”")


def parse_mac(value: bytes | str) -> str | None:
    """A MAC in any spelling (6 raw octets, `aa:bb…`, `AA-BB…`, `aabb.ccdd.eeff`, quoted) -> `aa:bb:cc:dd:ee:ff`.

    None for everything else, and for the all-zero and all-ones addresses, which devices send when they have none.
    """
    if isinstance(value, bytes):
        if len(value) == 6:
            return _spell(value.hex())
        value = value.rstrip(b"\0").decode("utf-8", "replace")
    squeezed = value.strip().lower().translate(_MAC_PUNCTUATION)
    if not _HEX12.fullmatch(squeezed):
        # net-snmp drops leading zeros: `0:c:29:93:7:f1`
        parts = value.strip().lower().split(":")
        if len(parts) != 6 or not all(re.fullmatch(r"[0-9a-f]{1,2}", part) for part in parts):
            return None
        squeezed = "".join(part.zfill(2) for part in parts)
    return _spell(squeezed)


def _spell(digits: str) -> str | None:
    if digits in ("0" * 12, "f" * 12):
        return None
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


class IdKind(StrEnum):
    """What an LLDP chassis or port id claims to be; the numbers on the wire differ between the two."""

    MAC = "mac"
    NAME = "ifName"
    ALIAS = "ifAlias"
    LOCAL = "local"
    ADDRESS = "address"
    COMPONENT = "component"
    CIRCUIT = "circuit"
    UNKNOWN = "unknown"  # no subtype, an invalid one, or a value that is not what its subtype says


@dataclass(frozen=True, slots=True)
class Ident:
    """A chassis or port id. `text` is printable; `mac` is set whenever the value reads as one, whatever it claims."""

    kind: IdKind
    text: str
    mac: str | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceRow:
    """One row of ifTable and ifXTable. kind: as `Interface.kind`; None means the device did not say."""

    index: int
    name: str = ""
    descr: str = ""
    alias: str = ""
    type: int | None = None
    mac: str | None = None
    mtu: int | None = None
    speed_bps: float | None = None
    admin_up: bool | None = None
    oper_up: bool | None = None
    duplex: str = ""  # "full", "half"
    vlan: int | None = None  # of untagged frames
    named: bool = False  # only a name that a table of others' making mentions, perhaps in short
    where: str = ""

    @property
    def label(self) -> str:
        """The name that production uses: ifName, else ifDescr, else the index."""
        return self.name or self.descr or f"ifIndex-{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPort:
    """One row of lldpLocPortTable: what the device calls this port when it speaks LLDP."""

    number: int
    id: Ident | None
    descr: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One neighbour row, of LLDP-MIB, LLDP-V2-MIB or CISCO-CDP-MIB.

    port: localPortNum in LLDP-MIB, which need not be an ifIndex; an ifIndex in the other two (`port_is_index`).
    None where the row does not say which port heard it (RouterOS before 7.7 writes 0).
    """

    protocol: str  # "lldp", "lldp-v2", "cdp"
    port: int | None
    port_is_index: bool = False
    port_name: str = ""  # where the source knows it
    index: tuple[int, ...] = ()
    chassis: Ident | None = None
    remote_port: Ident | None = None
    port_descr: str = ""
    sys_name: str = ""
    sys_descr: str = ""
    addresses: tuple[str, ...] = ()
    native_vlan: int | None = None  # CDP: of the neighbour's port
    duplex: str = ""  # CDP: of the neighbour's port
    where: str = ""

    @property
    def said(self) -> str:
        """The row in words, for `Evidence.said`."""
        who = self.sys_name or (str(self.chassis) if self.chassis else "") or "somebody"
        if self.sys_name and self.chassis:
            who = f"{self.sys_name} ({self.chassis})"
        port = str(self.remote_port) if self.remote_port else self.port_descr or "an unnamed port"
        known = self.port_name or ("?" if self.port is None else str(self.port))
        here = f"port {known} hears "
        return f"{here}{who} port {port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRow:
    """An address of the device, and the ifIndex of its interface."""

    if_index: int
    address: Address
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A hardware address behind a port. From a forwarding table `address` is empty; from ARP or ND it is an IP."""

    if_index: int
    mac: str
    address: str = ""
    vlan: int | None = None
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjacency:
    """A session that is up, as one end tells it. if_index None: the interface that has `local`, or shares `peer`'s subnet.

    peer: the address it speaks to; empty on an unnumbered interface, where only `peer_id` (a router id or a name)
    says who it is.
    """

    protocol: str  # "ospf", "bgp"
    if_index: int | None
    peer: str
    peer_id: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LacpPort:
    """A member of an aggregate, and whom its partner says to be: (system MAC, port number) at both ends."""

    if_index: int
    system: str
    port: int
    partner: str
    partner_port: int
    where: str = ""

    @property
    def said(self) -> str:
        return (
            f"LACP port {self.port} of {self.system} has partner port {self.partner_port} of {self.partner}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CableRow:
    """A cable that somebody wrote down: a document, not an observation. source: "layer1", "netbox", "clab", "cables"."""

    source: str
    a: tuple[str, str]  # device and port, as spelled
    z: tuple[str, str]
    where: str
    note: str = ""  # what else the row says: a label, a status

    @property
    def said(self) -> str:
        cable = f"{self.a[0]} port {self.a[1]} and {self.z[0]} port {self.z[1]} are joined"
        return f"{cable} ({self.note})" if self.note else cable


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """How the walk of one table ended. Only a complete walk may remove anything."""

    table: str
    rows: int
    complete: bool
    reason: str = ""  # why it is not complete
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A row that was read and not understood. Counted and said, never dropped in silence."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One device as one source saw it. `key`: the file's stem, or the device's name in the inventory."""

    key: str
    source: str  # the source's name: "snmp", "snmprec", "tables", …
    address: str = ""  # where it was polled
    sys_name: str = ""
    sys_descr: str = ""
    chassis: Ident | None = None  # what it calls itself in LLDP
    bridge_mac: str | None = None
    serials: tuple[str, ...] = ()
    interfaces: tuple[InterfaceRow, ...] = ()
    local_ports: tuple[LocalPort, ...] = ()
    base_ports: tuple[tuple[int, int], ...] = ()  # dot1dBasePort -> ifIndex
    neighbours: tuple[Neighbour, ...] = ()
    addresses: tuple[AddressRow, ...] = ()
    stations: tuple[Station, ...] = ()  # of forwarding, ARP and ND tables
    adjacencies: tuple[Adjacency, ...] = ()
    lacp: tuple[LacpPort, ...] = ()
    members: tuple[tuple[int, int], ...] = ()  # (ifIndex of a member, ifIndex of its aggregate)
    walks: tuple[Walk, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    where: str = ""

    @property
    def complete(self) -> bool:
        return all(walk.complete for walk in self.walks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything one run of discovery read: what devices said, their configurations by the same key, written cables."""

    observations: tuple[Observation, ...] = ()
    configs: tuple[tuple[str, DeviceConfig], ...] = field(default=())  # (key, configuration)
    cables: tuple[CableRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A neighbour row after resolution: who heard whom, on which ports, and by which rules.

    Devices are numbers of `topo.identity.Box`es, ports are interface names; None where it could not be known, and the
    evidence's rule says so. factor: how far the rules are trusted, 1.0 for what a port says of itself.
    """

    device: int
    port: str | None
    remote_device: int | None
    remote_port: str | None
    factor: float
    evidence: Evidence
    remote_vlan: int | None = None  # what the row says of the remote port (CDP)
    remote_duplex: str = ""
