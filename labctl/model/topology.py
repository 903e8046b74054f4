"""What production is said to be, and who said it.

A `Topology` is the merged model: devices, their interfaces, the links and segments between them, and the conflicts
found on the way. Every link carries its evidence, down to the LLDP row or the config line, and the rule by which a
remote port was resolved; a line in a report can be walked back to a row in a file.

Names here are production's own. Lab names (15-byte interfaces, containers) come later, from `render.allocation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from labctl.names import CableId, PortId


class Role(StrEnum):
    """What a link or interface is for; management links stay in the model and out of the lab."""

    DATA = "data"
    MGMT = "mgmt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One row, line or operator's word that speaks for a fact.

    source: "lldp", "cdp", "subnet", "pin", …; where: `file:line`, or `device OID` for a live row; said: the row in
    words; rule: which rule resolved the remote port ("lldpLocPortId", "ifIndex", …), empty if none was needed.
    """

    source: str
    where: str
    said: str
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface of a device, by its production name. Addresses carry their prefix length; speed in bit/s."""

    name: str
    mac: str | None = None
    addresses: tuple[str, ...] = ()
    mtu: int | None = None
    speed_bps: float | None = None
    admin_up: bool | None = None
    oper_up: bool | None = None
    description: str = ""
    role: Role = Role.DATA
    kind: str = ""  # "", "loopback", "lag", "svi", "subinterface", "bridge"
    member_of: str = ""  # the aggregate that it belongs to
    vlan: int | None = None  # of untagged frames
    duplex: str = ""  # "full", "half"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of production. `id` is stable over renames (serial, else chassis MAC, hashed); `name` is sysName.

    polled: False if it is known only from what others say of it. stale_since: set when it could not be read this
    time and its facts are those of an earlier snapshot (ISO 8601), empty otherwise.
    """

    id: str
    name: str
    polled: bool
    interfaces: tuple[Interface, ...] = ()
    platform: str = ""
    identities: tuple[str, ...] = ()  # "mac:…", "serial:…", "ip:…", "name:…"
    stale_since: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A cable between two ports. confidence in 0..1 (weights: docs/discovery.md); two_sided: both ends said so."""

    a: PortId  # node = device *name*
    b: PortId
    role: Role = Role.DATA
    two_sided: bool = False
    confidence: float = 0.0
    evidence: tuple[Evidence, ...] = ()

    @property
    def id(self) -> CableId:
        return CableId.of(self.a, self.b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A multi-access segment: more than two ports on one wire (a hub, a switch that was not polled)."""

    name: str
    ports: tuple[PortId, ...]
    evidence: tuple[Evidence, ...] = ()
    role: Role = Role.DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two sources disagree, or a claim cannot be true. Reported, never hidden."""

    kind: str  # kebab-case: "port-claimed-twice", "identity-shared", "one-sided", …
    subject: str
    said: tuple[Evidence, ...]
    resolution: str  # what was done about it


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The merged model of production."""

    name: str
    devices: tuple[Device, ...] = ()
    links: tuple[Link, ...] = ()
    segments: tuple[Segment, ...] = ()
    conflicts: tuple[Conflict, ...] = field(default=())

    def device(self, name: str) -> Device:
        for device in self.devices:
            if device.name == name:
                return device
        raise KeyError(name)
