"""What one device does: the vendor-neutral protocol model.

A parser turns a vendor's configuration into a `DeviceConfig` and fills that vendor's defaults in as explicit values
(undefined-policy behaviour included), so that a renderer knows no vendor and inherits nothing from its own daemon.
Each object carries the place it came from (`where`); places do not count in comparisons: two configurations are equal
if they mean the same. Names of interfaces are production's own until `labctl.render.project` applies lab names.

No secret is in here, only `KeyToken`s. Protocol parts live in `labctl.model.routing`, policies in `labctl.model.policy`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_interface

from labctl.errors import Span
from labctl.model.filters import NatRule, PacketFilter
from labctl.model.isis import IsisConfig, IsisInterface
from labctl.model.policy import (
    NOWHERE,
    AccessList,
    Afi,
    AsPathList,
    CommunityList,
    PrefixList,
    RouteMap,
    UndefinedPolicies,
)
from labctl.model.routing import BgpConfig, OspfConfig, OspfInterface, VirtualRouter


class InterfaceKind(StrEnum):
    ETHERNET = "ethernet"
    LOOPBACK = "loopback"
    LAG = "lag"
    SVI = "svi"
    SUBINTERFACE = "subinterface"
    BRIDGE = "bridge"
    TUNNEL = "tunnel"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceConfig:
    """An interface. Addresses carry their prefix length, the primary first. mtu None: no source says.

    bandwidth_bps is what the configuration claims for metrics, speed_bps the line rate; either may be unknown.
    nominal_bps: what a port of this type has if nobody knows better.
    ospf is set on every interface of a device that runs OSPF (defaults filled in) and None elsewhere; isis only on
    those that take part.
    vrf: the routing table it belongs to, if that is not the device's own. switched: a port of a switch, without routing.
    duplex (full, half, empty: not stated) and untagged_vlan are for comparing the two ends of a cable; no lab has them.
    filter_in, filter_out: names of packet filters. nat: inside, outside, or no part of address translation.
    """

    name: str
    kind: InterfaceKind = InterfaceKind.ETHERNET
    description: str = ""
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    mtu: int | None = None
    shutdown: bool = False
    bandwidth_bps: int | None = None
    speed_bps: int | None = None
    mgmt: bool = False
    ospf: OspfInterface | None = None
    isis: IsisInterface | None = None
    nominal_bps: int | None = None
    vlan: int | None = None
    lag: str = ""
    vrf: str = ""
    switched: bool = False
    duplex: str = ""
    untagged_vlan: int | None = None
    filter_in: str = ""
    filter_out: str = ""
    nat: str = ""
    virtual_routers: tuple[VirtualRouter, ...] = ()
    where: Span = field(default=NOWHERE, compare=False)


class Discard(StrEnum):
    BLACKHOLE = "blackhole"  # silently
    REJECT = "reject"  # with an ICMP unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRoute:
    """One next hop of a static route: an address, an interface, both, or a discard.

    kernel: the system put it there (`ip route add`), not a routing daemon, which only sees it as a kernel route.
    """

    prefix: str
    next_hop: str | None = None
    interface: str | None = None
    discard: Discard | None = None
    distance: int = 1
    tag: int = 0
    onlink: bool = False
    kernel: bool = False
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FibPolicy:
    """A route-map between a protocol's routes and the forwarding table (`protocol` may be `any`)."""

    afi: Afi
    protocol: str
    route_map: str
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwardService:
    """Something that would talk to machines outside (syslog, SNMP, NTP, TACACS, …): stripped from labs and listed.

    The line itself is not kept: it holds addresses and keys.
    """

    kind: str
    where: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """The whole of one device. `dialect` says which parser read it ("frr", "linux", …).

    Interfaces and policies are in file order, which is the order that ports are numbered in.
    """

    device: str
    hostname: str
    dialect: str
    undefined: UndefinedPolicies
    forwarding_v4: bool = True
    forwarding_v6: bool = True
    interfaces: tuple[InterfaceConfig, ...] = ()
    static_routes: tuple[StaticRoute, ...] = ()
    ospf: OspfConfig | None = None
    isis: IsisConfig | None = None
    bgp: BgpConfig | None = None
    route_maps: tuple[RouteMap, ...] = ()
    prefix_lists: tuple[PrefixList, ...] = ()
    access_lists: tuple[AccessList, ...] = ()
    community_lists: tuple[CommunityList, ...] = ()
    as_path_lists: tuple[AsPathList, ...] = ()
    packet_filters: tuple[PacketFilter, ...] = ()
    nat: tuple[NatRule, ...] = ()
    fib_policies: tuple[FibPolicy, ...] = ()
    outward: tuple[OutwardService, ...] = field(default=(), compare=False)
    where: Span = field(default=NOWHERE, compare=False)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all interfaces, without their lengths and in the usual spelling; in file order."""
        return tuple(
            str(ip_interface(address).ip)
            for interface in self.interfaces
            for address in (*interface.ipv4, *interface.ipv6)
        )

    def interface(self, name: str) -> InterfaceConfig:
        """The interface of that name; KeyError if there is none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        raise KeyError(name)
