"""OSPF and BGP as a device runs them, in no vendor's words, with no value left to a default.

The parser fills in its vendor's defaults, resolves peer-groups and `default-activate` rules, and normalises spellings
(areas are dotted quads, intervals are seconds unless the name says otherwise). None means "there is none" (no router-id
stated, no cost stated), never "look up a default somewhere".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NewType, TypeAlias

from labctl.errors import Span
from labctl.model.policy import NOWHERE, Afi

#: Stands for a secret: a small number per distinct secret of one discovery. Equal secrets have equal tokens, so a
#: wrong key in production is wrong in the shadow too; the secret itself never enters the model.
KeyToken = NewType("KeyToken", int)


class Auth(StrEnum):
    NONE = "none"
    TEXT = "text"
    MD5 = "md5"


class OspfNetworkType(StrEnum):
    BROADCAST = "broadcast"
    POINT_TO_POINT = "point-to-point"
    NON_BROADCAST = "non-broadcast"
    POINT_TO_MULTIPOINT = "point-to-multipoint"
    LOOPBACK = "loopback"  # no neighbours; the address is announced as a host route


@dataclass(frozen=True, slots=True, kw_only=True)
class OspfInterface:
    """OSPF settings of an interface. area None: the process' `networks` decide; cost None: reference / speed.

    hello_multiplier: fast hellos, that many in a dead interval of one second; then `hello_s` does not count.
    auth None: as the area says.
    """

    area: str | None
    cost: int | None
    hello_s: int
    dead_s: int
    hello_multiplier: int | None
    retransmit_s: int
    transmit_delay_s: int
    network_type: OspfNetworkType
    passive: bool
    priority: int
    mtu_ignore: bool
    bfd: bool
    auth: Auth | None = None
    text_key: KeyToken | None = None
    md5_keys: tuple[tuple[int, KeyToken], ...] = ()


class Election(StrEnum):
    """How routers agree on who has a shared address."""

    VRRP = "vrrp"
    HSRP = "hsrp"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualRouter:
    """An IPv4 gateway address that several routers of a segment share; the one with the highest priority has it."""

    group: int
    addresses: tuple[str, ...]
    priority: int
    preempt: bool
    advertise_ms: int
    version: int = 2
    election: Election = Election.VRRP


@dataclass(frozen=True, slots=True, kw_only=True)
class OspfNetwork:
    """Interfaces with an address inside `prefix` run OSPF in `area`."""

    prefix: str
    area: str
    where: Span = field(default=NOWHERE, compare=False)


class AreaKind(StrEnum):
    NORMAL = "normal"
    STUB = "stub"
    NSSA = "nssa"


@dataclass(frozen=True, slots=True, kw_only=True)
class OspfRange:
    """Summary of an area's or of external routes. substitute: advertise this prefix instead."""

    prefix: str
    advertise: bool = True
    cost: int | None = None
    substitute: str | None = None
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OspfArea:
    """An area that has settings of its own. filter_in/out: prefix lists for summaries into and out of it."""

    id: str
    kind: AreaKind
    no_summary: bool
    default_cost: int
    auth: Auth
    ranges: tuple[OspfRange, ...] = ()
    virtual_links: tuple[str, ...] = ()
    filter_in: str = ""
    filter_out: str = ""
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redistribution:
    """Routes of another protocol that are announced. metric None: the protocol's own rule.

    source: connected, static, kernel, ospf, bgp, isis, rip; metric_type: OSPF external type, None in BGP.
    classful: only whole class A, B and C networks. ospf_types: of OSPF only these (internal, external); empty: all.
    with_connected: the networks of the interfaces that the source runs on as well, which are connected routes.
    """

    source: str
    metric: int | None = None
    metric_type: int | None = None
    route_map: str = ""
    classful: bool = False
    ospf_types: tuple[str, ...] = ()
    with_connected: bool = False
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OspfDefault:
    """Originate a default route. always: even without having one."""

    always: bool
    metric: int | None
    metric_type: int
    route_map: str = ""
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OspfConfig:
    """An OSPFv2 process. passive_default: interfaces that the configuration does not mention are passive.

    cost_rounds_down: a cost that follows from a speed loses its fraction instead of being rounded.
    summaries: external routes inside one of these are announced as one (or, `advertise` off, not at all).
    """

    router_id: str | None
    reference_bandwidth_bps: int
    spf_delay_ms: int
    spf_hold_ms: int
    spf_max_hold_ms: int
    distance_intra: int
    distance_inter: int
    distance_external: int
    max_paths: int
    passive_default: bool
    rfc1583: bool
    default_metric: int | None
    max_metric: bool  # router LSA with the largest metric, until told otherwise
    networks: tuple[OspfNetwork, ...] = ()
    areas: tuple[OspfArea, ...] = ()
    redistribute: tuple[Redistribution, ...] = ()
    default_originate: OspfDefault | None = None
    cost_rounds_down: bool = False
    summaries: tuple[OspfRange, ...] = ()
    where: Span = field(default=NOWHERE, compare=False)


RemoteAs: TypeAlias = int | Literal["internal", "external"]


class NextHopSelf(StrEnum):
    NO = "no"
    YES = "yes"  # for routes learnt from outside
    FORCE = "force"  # reflected routes too


class AddPath(StrEnum):
    """Which paths of a prefix a peer is sent."""

    BEST = "best"
    ALL = "all"
    BEST_PER_AS = "best-per-as"


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborFamily:
    """One address family of a peer. Names of policies are empty where there is none.

    addpath_receive: several paths of a prefix are taken from a peer that offers them.
    """

    afi: Afi
    activate: bool
    next_hop_self: NextHopSelf
    route_reflector_client: bool
    send_community: bool
    send_ext_community: bool
    send_large_community: bool
    soft_reconfiguration: bool
    allowas_in: int | None
    as_override: bool
    remove_private_as: bool
    default_originate: bool
    weight: int | None
    maximum_prefix: int | None
    default_originate_map: str = ""
    route_map_in: str = ""
    route_map_out: str = ""
    prefix_list_in: str = ""
    prefix_list_out: str = ""
    as_path_list_in: str = ""
    as_path_list_out: str = ""
    access_list_in: str = ""
    access_list_out: str = ""
    unsuppress_map: str = ""
    addpath_send: AddPath = AddPath.BEST
    addpath_receive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAs:
    asn: int
    no_prepend: bool
    replace_as: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpNeighbor:
    """A peer, its peer-group resolved. `peer`: an address, or an interface name for an unnumbered session.

    families: one per address family, in the order of `Afi`. ebgp_multihop 1 means directly connected.
    """

    peer: str
    unnumbered: bool
    v6_only: bool  # an unnumbered session that leaves the interface's IPv4 addresses alone
    remote_as: RemoteAs
    description: str
    shutdown: bool
    update_source: str  # address or interface name; empty: the outgoing interface's
    ebgp_multihop: int
    ttl_security_hops: int | None
    connected_check: bool
    passive: bool
    keepalive_s: int
    hold_s: int
    connect_retry_s: int
    advertisement_interval_s: int
    extended_next_hop: bool
    enforce_first_as: bool
    bfd: bool
    local_as: LocalAs | None
    password: KeyToken | None
    families: tuple[NeighborFamily, ...]
    peer_group: str = field(default="", compare=False)  # only to tell a reader where the values came from
    where: Span = field(default=NOWHERE, compare=False)

    def family(self, afi: Afi) -> NeighborFamily:
        return next(f for f in self.families if f.afi is afi)


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpNetwork:
    prefix: str
    route_map: str = ""
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpAggregate:
    """of_table: any route of the routing table inside it calls it into being, not only BGP's own."""

    prefix: str
    as_set: bool = False
    summary_only: bool = False
    route_map: str = ""
    suppress_map: str = ""
    of_table: bool = False
    where: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dampening:
    """Flapping external routes are held back."""

    half_life_min: int
    reuse: int
    suppress: int
    max_suppress_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpFamily:
    """What the process itself originates and installs in one address family."""

    afi: Afi
    max_paths_ebgp: int
    max_paths_ibgp: int
    distance_ebgp: int
    distance_ibgp: int
    distance_local: int
    networks: tuple[BgpNetwork, ...] = ()
    aggregates: tuple[BgpAggregate, ...] = ()
    redistribute: tuple[Redistribution, ...] = ()
    table_map: str = ""
    dampening: Dampening | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestPath:
    """Options of the decision process."""

    always_compare_med: bool
    deterministic_med: bool
    compare_router_id: bool
    ignore_as_path: bool
    multipath_relax: bool
    as_path_confed: bool
    med_missing_as_worst: bool
    med_confed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpConfig:
    """A BGP process. Timers of `families` and `neighbors` are resolved; nothing is inherited."""

    asn: int
    router_id: str | None
    cluster_id: str | None
    confederation_id: int | None
    confederation_peers: tuple[int, ...]
    ebgp_requires_policy: bool
    network_import_check: bool
    default_local_preference: int
    client_to_client_reflection: bool
    fast_external_failover: bool
    suppress_duplicates: bool
    graceful_restart: Literal["off", "helper", "on"]
    bestpath: BestPath
    neighbors: tuple[BgpNeighbor, ...] = ()
    families: tuple[BgpFamily, ...] = ()
    max_med_on_startup_s: int | None = None
    where: Span = field(default=NOWHERE, compare=False)

    def family(self, afi: Afi) -> BgpFamily:
        return next(f for f in self.families if f.afi is afi)
