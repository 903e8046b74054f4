"""What has been read so far. Settings are kept as overrides by field name, because a default may depend on a line that
comes later (`frr defaults`, a peer-group, `no bgp default ipv4-unicast`); `build` resolves them at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import (
    AddressValueError,
    IPv4Address,
    NetmaskValueError,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any, TypeAlias

from labctl.errors import LabctlError, Problems, Span
from labctl.ingest.redact import Redactor
from labctl.model.account import LineClass
from labctl.model.config import FibPolicy, OutwardService, StaticRoute
from labctl.model.filters import FilterEntry, NatRule
from labctl.model.policy import (
    AccessEntry,
    Afi,
    AsPathEntry,
    CommunityEntry,
    CommunityKind,
    PrefixEntry,
    RouteMapEntry,
)
from labctl.model.routing import (
    BgpAggregate,
    BgpNetwork,
    Election,
    OspfDefault,
    OspfNetwork,
    OspfRange,
    Redistribution,
)

#: Values of a model object by field name, as far as the file states them.
Overrides: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class InterfaceDraft:
    where: Span
    set: Overrides = field(default_factory=dict)
    ipv4: list[str] = field(default_factory=list)
    ipv6: list[str] = field(default_factory=list)
    ospf: Overrides = field(default_factory=dict)
    md5_keys: dict[int, int] = field(default_factory=dict)
    isis: Overrides = field(default_factory=dict)
    virtual: dict[tuple[Election, int], Overrides] = field(default_factory=dict)
    trunk: bool = False
    vlans: dict[str, int] = field(default_factory=dict)  # untagged, as `access` and as `native` of a trunk

    def virtual_router(self, group: int, election: Election = Election.VRRP) -> Overrides:
        return self.virtual.setdefault((election, group), {})


@dataclass(slots=True)
class AreaDraft:
    where: Span
    set: Overrides = field(default_factory=dict)
    ranges: dict[str, OspfRange] = field(default_factory=dict)
    virtual_links: list[str] = field(default_factory=list)


@dataclass(slots=True)
class OspfDraft:
    where: Span
    set: Overrides = field(default_factory=dict)
    networks: list[OspfNetwork] = field(default_factory=list)
    areas: dict[str, AreaDraft] = field(default_factory=dict)
    redistribute: dict[str, Redistribution] = field(default_factory=dict)
    default: OspfDefault | None = None
    passive: dict[str, bool] = field(default_factory=dict)
    summaries: dict[str, OspfRange] = field(default_factory=dict)
    wildcards: list[tuple[int, int, str]] = field(default_factory=list)  # address, inverse mask, area


@dataclass(slots=True)
class IsisDraft:
    where: Span
    tag: str
    net: list[str] = field(default_factory=list)
    set: Overrides = field(default_factory=dict)
    passive_default: bool = False


@dataclass(slots=True)
class PeerDraft:
    """A peer or a peer-group."""

    where: Span
    is_group: bool = False
    group: str = ""
    templates: list[str] = field(default_factory=list)  # inherited before the group's and its own settings
    set: Overrides = field(default_factory=dict)
    families: dict[Afi, Overrides] = field(default_factory=dict)
    lines: list[Span] = field(default_factory=list)  # that set something of it

    def family(self, afi: Afi) -> Overrides:
        return self.families.setdefault(afi, {})


@dataclass(slots=True)
class FamilyDraft:
    set: Overrides = field(default_factory=dict)
    networks: dict[str, BgpNetwork] = field(default_factory=dict)
    aggregates: dict[str, BgpAggregate] = field(default_factory=dict)
    redistribute: dict[str, Redistribution] = field(default_factory=dict)
    peers: Overrides = field(default_factory=dict)  # what holds for every peer of the family


@dataclass(slots=True)
class BgpDraft:
    where: Span
    asn: int
    set: Overrides = field(default_factory=dict)
    bestpath: Overrides = field(default_factory=dict)
    timers: tuple[int, int] | None = None
    default_families: dict[Afi, bool] = field(default_factory=lambda: {Afi.IPV4: True, Afi.IPV6: False})
    peers: dict[str, PeerDraft] = field(default_factory=dict)
    families: dict[Afi, FamilyDraft] = field(default_factory=lambda: {afi: FamilyDraft() for afi in Afi})
    confederation_peers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """The state of one parse. `where` is the line being read."""

    file: str
    device: str
    redactor: Redactor
    where: Span
    problems: Problems = field(default_factory=Problems)
    ended: bool = False
    shown: bool = False  # the text is the output of `show running-config`, which ends with `end`
    version: tuple[int, ...] = (8, 0)
    profile: str = "traditional"
    hostname: str = ""
    router_id: str | None = None
    forwarding: dict[Afi, bool] = field(default_factory=lambda: dict.fromkeys(Afi, True))
    interfaces: dict[str, InterfaceDraft] = field(default_factory=dict)
    statics: list[StaticRoute] = field(default_factory=list)
    ospf: OspfDraft | None = None
    isis: IsisDraft | None = None
    bgp: BgpDraft | None = None
    route_maps: dict[str, dict[int, RouteMapEntry]] = field(default_factory=dict)
    prefix_lists: dict[tuple[Afi, str], list[PrefixEntry]] = field(default_factory=dict)
    access_lists: dict[tuple[Afi, str], list[AccessEntry]] = field(default_factory=dict)
    community_lists: dict[tuple[CommunityKind, str], list[CommunityEntry]] = field(default_factory=dict)
    as_path_lists: dict[str, list[AsPathEntry]] = field(default_factory=dict)
    list_descriptions: dict[tuple[Afi, str], str] = field(default_factory=dict)
    fib_policies: list[FibPolicy] = field(default_factory=list)
    outward: list[OutwardService] = field(default_factory=list)
    filters: dict[str, list[FilterEntry]] = field(default_factory=dict)
    torn_filters: set[str] = field(default_factory=set)  # those that an entry of is not in
    nat: list[NatRule] = field(default_factory=list)
    pools: dict[str, tuple[str, str]] = field(default_factory=dict)  # of NAT: first and last address
    verdicts: dict[Span, tuple[LineClass, str]] = field(
        default_factory=dict
    )  # lines whose class comes out later
    ospf_process: str = ""
    open_peers: bool = False  # a peer may have settings before anybody says which AS it is in
    # what the open contexts are about
    interface: InterfaceDraft | None = None
    afi: Afi = Afi.IPV4
    entry: tuple[str, int] = ("", 0)

    def note_outward(self, kind: str) -> None:
        self.outward.append(OutwardService(kind=kind, where=self.where))


def _checked(draft: Draft, text: str, what: str, example: str, read: Callable[[str], object]) -> str:
    try:
        return str(read(text))
    except (ValueError, AddressValueError, NetmaskValueError) as error:
        raise LabctlError(
            "bad-address", f"{text!r} is not {what}", where=draft.where, hint=f"write it like `{example}`"
        ) from error


_V4, _V6 = "10.0.0.1", "2001:db8::1"


def host(draft: Draft, text: str, afi: Afi | None = None) -> str:
    """An address, of this family if one is given."""

    def read(word: str) -> object:
        address = ip_address(word)
        if afi is not None and address.version != _version(afi):
            raise ValueError(word)
        return address

    family = "address" if afi is None else f"{_spoken(afi)} address"
    return _checked(draft, text, f"an {family}", _V6 if afi is Afi.IPV6 else _V4, read)


def with_length(draft: Draft, text: str, afi: Afi) -> str:
    """An interface address with its prefix length; the host bits stay."""

    def read(word: str) -> object:
        interface = ip_interface(word)
        if interface.version != _version(afi) or "/" not in word:
            raise ValueError(word)
        return interface.with_prefixlen

    example = f"{_V6}/64" if afi is Afi.IPV6 else f"{_V4}/24"
    return _checked(draft, text, f"an {_spoken(afi)} address with prefix length", example, read)


def prefix(draft: Draft, text: str, afi: Afi | None = None) -> str:
    """A network; host bits are masked off, as FRR does."""

    def read(word: str) -> object:
        network = ip_network(word, strict=False)
        if "/" not in word or (afi is not None and network.version != _version(afi)):
            raise ValueError(word)
        return network

    example = "2001:db8::/48" if afi is Afi.IPV6 else "10.0.0.0/8"
    kind = "a prefix" if afi is None else f"an {_spoken(afi)} prefix"
    return _checked(draft, text, kind, example, read)


def masked(draft: Draft, address: str, wildcard: str) -> str | None:
    """Address and inverse mask (`10.0.0.0 0.0.0.255`) -> prefix; None if the mask has holes."""
    host(draft, address, Afi.IPV4)
    host(draft, wildcard, Afi.IPV4)
    inverse = int(IPv4Address(wildcard))
    if inverse & (inverse + 1):
        return None
    return prefix(draft, f"{address}/{32 - inverse.bit_length()}", Afi.IPV4)


def area(draft: Draft, text: str) -> str:
    """`1` or `0.0.0.1` -> `0.0.0.1`."""
    if text.isdigit() and int(text) < 2**32:
        return str(IPv4Address(int(text)))
    return host(draft, text, Afi.IPV4)


def everything(afi: Afi) -> str:
    return "0.0.0.0/0" if afi is Afi.IPV4 else "::/0"


def length_of(afi: Afi) -> int:
    return 32 if afi is Afi.IPV4 else 128


def _version(afi: Afi) -> int:
    return 4 if afi is Afi.IPV4 else 6


def _spoken(afi: Afi) -> str:
    return "IPv4" if afi is Afi.IPV4 else "IPv6"
