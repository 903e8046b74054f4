"""Hypothesis strategies for device configurations inside what the model, the parser and FRR agree on."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import strategies as st

from labctl.ingest.frr.build import FRR_UNDEFINED
from labctl.ingest.frr.interface import kind_of, vlan_of
from labctl.model.config import DeviceConfig, Discard, FibPolicy, InterfaceConfig, InterfaceKind, StaticRoute
from labctl.model.isis import IsisConfig, IsisInterface, IsisLevel
from labctl.model.policy import (
    AccessEntry,
    AccessList,
    Action,
    Afi,
    AsPathEntry,
    AsPathList,
    CommunityEntry,
    CommunityKind,
    CommunityList,
    Match,
    MatchKind,
    OnMatch,
    PrefixEntry,
    PrefixList,
    RouteMap,
    RouteMapEntry,
    SetAction,
    SetKind,
)
from labctl.model.routing import (
    AddPath,
    AreaKind,
    Auth,
    BestPath,
    BgpAggregate,
    BgpConfig,
    BgpFamily,
    BgpNeighbor,
    BgpNetwork,
    Dampening,
    LocalAs,
    NeighborFamily,
    NextHopSelf,
    OspfArea,
    OspfConfig,
    OspfDefault,
    OspfInterface,
    OspfNetwork,
    OspfNetworkType,
    OspfRange,
    Redistribution,
    VirtualRouter,
)

KEYS = {f"key{n}": n for n in range(1, 9)}
keys = st.sampled_from(sorted(KEYS.values()))
names = st.from_regex(r"[A-Z][A-Za-z0-9_-]{0,8}", fullmatch=True)
texts = st.from_regex(r"[a-z0-9]{1,6}( [a-z0-9:/_-]{1,6}){0,2}", fullmatch=True)
flags = st.booleans()
actions = st.sampled_from(Action)
asns = st.integers(1, 4294967294)
v4 = (
    st.integers(0x01000000, 0xDFFFFFFF)
    .map(lambda n: str(IPv4Address(n)))
    .filter(lambda a: not a.startswith("127."))
)
v6 = st.integers(1, 2**64).map(lambda n: str(IPv6Address(0x20010DB8 << 96 | n)))


def opt(strategy):
    return st.none() | strategy


def some(strategy, *, size=3, key=None):
    """A short tuple, without two of one key."""
    return st.lists(strategy, max_size=size, unique_by=key).map(tuple)


def prefix4(low=0):
    return st.builds(
        lambda a, n: str(IPv4Network((int(IPv4Address(a)) >> (32 - n) << (32 - n) if n else 0, n))),
        v4,
        st.integers(low, 32),
    )


def prefix6():
    return st.builds(
        lambda a, n: str(IPv6Network((int(IPv6Address(a)) >> (128 - n) << (128 - n), n))),
        v6,
        st.integers(32, 128),
    )


def prefixes(afi):
    return prefix4() if afi is Afi.IPV4 else prefix6()


# --- interfaces ---

timers = st.integers(1, 600)


@st.composite
def ospf_interfaces(draw, kind, *, by_interface):
    loopback = kind is InterfaceKind.LOOPBACK
    fast = draw(opt(st.integers(2, 10)))
    wire = sorted(t for t in OspfNetworkType if t is not OspfNetworkType.LOOPBACK)
    return OspfInterface(
        area=draw(opt(areas)) if by_interface else None,
        cost=draw(opt(st.integers(1, 65535))),
        hello_s=draw(timers),
        dead_s=1 if fast else draw(timers),
        hello_multiplier=fast,
        retransmit_s=draw(st.integers(3, 600)),
        transmit_delay_s=draw(timers),
        network_type=OspfNetworkType.LOOPBACK if loopback else draw(st.sampled_from(wire)),
        passive=draw(flags),
        priority=draw(st.integers(0, 255)),
        mtu_ignore=draw(flags),
        bfd=draw(flags),
        auth=draw(opt(st.sampled_from(Auth))),
        text_key=draw(opt(keys)),
        md5_keys=tuple(sorted(draw(some(st.tuples(st.integers(1, 255), keys), key=lambda k: k[0])))),
    )


areas = st.integers(0, 300).map(lambda n: str(IPv4Address(n)))


@st.composite
def interfaces(draw, name, *, ospf, by_interface):
    kind = kind_of(name)
    return InterfaceConfig(
        vlan=vlan_of(name),
        name=name,
        kind=kind,
        description=draw(st.just("") | texts),
        ipv4=draw(some(st.builds("{}/{}".format, v4, st.integers(8, 32)), size=2, key=str)),
        ipv6=draw(some(st.builds("{}/{}".format, v6, st.integers(48, 128)), size=2, key=str)),
        shutdown=draw(flags),
        bandwidth_bps=draw(opt(st.integers(1, 100000).map(lambda n: n * 10**6))),
        ospf=draw(ospf_interfaces(kind, by_interface=by_interface)) if ospf else None,
        virtual_routers=draw(some(virtual_routers, size=2, key=lambda v: v.group)),
    )


isis_processes = st.builds(
    IsisConfig,
    tag=names,
    net=st.integers(1, 9999).map(lambda n: (f"49.0001.0000.0000.{n:04d}.00",)),
    level=st.sampled_from(IsisLevel),
    wide=flags,
    overload=flags,
)


@st.composite
def isis_interfaces(draw, whole, kind):
    quiet = kind is InterfaceKind.LOOPBACK
    level = draw(st.sampled_from(IsisLevel)) if whole is IsisLevel.BOTH else whole
    metric = st.integers(1, 63)
    v4_too, v6_too = draw(st.sampled_from(((True, False), (False, True), (True, True))))
    return IsisInterface(
        ipv4=v4_too,
        ipv6=v6_too,
        level=level,
        metric_1=10 if level is IsisLevel.TWO else draw(metric),
        metric_2=10 if level is IsisLevel.ONE else draw(metric),
        point_to_point=not quiet and draw(flags),
        passive=draw(flags),
        hello_s=10 if quiet else draw(st.integers(1, 600)),
        hello_multiplier=3 if quiet else draw(st.integers(2, 100)),
        priority=64 if quiet else draw(st.integers(0, 127)),
    )


virtual_routers = st.builds(
    VirtualRouter,
    group=st.integers(1, 255),
    addresses=st.tuples(v4),
    priority=st.integers(1, 254),
    preempt=flags,
    advertise_ms=st.integers(1, 4095).map(lambda n: n * 10),
    version=st.sampled_from((2, 3)),
)


@st.composite
def statics(draw):
    afi = draw(st.sampled_from(Afi))
    how = draw(st.sampled_from(("discard", "hop", "port", "both")))
    return StaticRoute(
        prefix=draw(prefixes(afi)),
        next_hop=draw(v4 if afi is Afi.IPV4 else v6) if how in ("hop", "both") else None,
        interface=draw(st.sampled_from(("eth1", "eth2.100"))) if how in ("port", "both") else None,
        discard=draw(st.sampled_from(Discard)) if how == "discard" else None,
        distance=draw(st.integers(1, 255)),
        tag=draw(st.integers(0, 2**32 - 1)),
        onlink=how == "both" and draw(flags),
    )


# --- OSPF ---

sources = ("kernel", "connected", "static", "isis")


@st.composite
def redistributions(draw, source, *, ospf):
    return Redistribution(
        source=source,
        metric=draw(opt(st.integers(0, 16777214))),
        metric_type=draw(st.integers(1, 2)) if ospf else None,
        route_map=draw(st.just("") | names),
    )


def redistributed(extra, *, ospf):
    chosen = some(st.sampled_from((*sources, extra)), key=str)
    return chosen.flatmap(lambda found: st.tuples(*(redistributions(s, ospf=ospf) for s in found)))


@st.composite
def ospf_areas(draw):
    kind = draw(st.sampled_from(AreaKind))
    normal = kind is AreaKind.NORMAL
    return OspfArea(
        id=draw(st.integers(1, 300).map(lambda n: str(IPv4Address(n)))),
        kind=kind,
        no_summary=not normal and draw(flags),
        default_cost=1 if normal else draw(st.integers(0, 16777215)),
        auth=draw(st.sampled_from(Auth)),
        ranges=draw(some(ospf_ranges(), key=lambda r: r.prefix)),
        virtual_links=draw(some(v4, key=str, size=2)) if normal else (),
        filter_in=draw(st.just("") | names),
        filter_out=draw(st.just("") | names),
    )


def says_something(area):
    """An area is in a configuration only for settings of its own."""
    settings = (area.kind is not AreaKind.NORMAL, area.auth is not Auth.NONE, area.ranges, area.virtual_links)
    return any((*settings, area.filter_in, area.filter_out))


@st.composite
def ospf_ranges(draw):
    how = draw(st.sampled_from(("plain", "cost", "instead", "hidden")))
    return OspfRange(
        prefix=draw(prefix4(1)),
        advertise=how != "hidden",
        cost=draw(st.integers(0, 16777215)) if how == "cost" else None,
        substitute=draw(prefix4(1)) if how == "instead" else None,
    )


@st.composite
def ospf_processes(draw, *, by_interface):
    default = st.builds(
        OspfDefault,
        always=flags,
        metric=opt(st.integers(0, 16777214)),
        metric_type=st.integers(1, 2),
        route_map=st.just("") | names,
    )
    distance = st.integers(1, 255)
    return OspfConfig(
        router_id=draw(opt(v4)),
        reference_bandwidth_bps=draw(st.integers(1, 4294967)) * 10**6,
        spf_delay_ms=draw(st.integers(0, 600000)),
        spf_hold_ms=draw(st.integers(0, 600000)),
        spf_max_hold_ms=draw(st.integers(0, 600000)),
        distance_intra=draw(distance),
        distance_inter=draw(distance),
        distance_external=draw(distance),
        max_paths=draw(st.integers(1, 64)),
        passive_default=draw(flags),
        rfc1583=draw(flags),
        default_metric=draw(opt(st.integers(0, 16777214))),
        max_metric=draw(flags),
        networks=()
        if by_interface
        else draw(some(st.builds(OspfNetwork, prefix=prefix4(), area=areas), key=lambda n: n.prefix)),
        areas=draw(some(ospf_areas().filter(says_something), key=lambda a: a.id)),
        redistribute=draw(redistributed("bgp", ospf=True)),
        default_originate=draw(opt(default)),
        summaries=draw(
            some(st.builds(OspfRange, prefix=prefix4(8), advertise=flags), key=lambda r: r.prefix, size=2)
        ),
    )


# --- BGP ---

policy_names = st.just("") | names
dampenings = st.builds(
    Dampening,
    half_life_min=st.integers(1, 45),
    reuse=st.integers(1, 999),
    suppress=st.integers(1000, 20000),
    max_suppress_min=st.integers(46, 255),
)


@st.composite
def neighbor_families(draw, afi, *, ibgp):
    originates = draw(flags)
    with_prefixes, with_access = draw(st.sampled_from(((True, False), (False, True), (False, False))))
    return NeighborFamily(
        afi=afi,
        activate=draw(flags),
        next_hop_self=draw(st.sampled_from(NextHopSelf)),
        route_reflector_client=ibgp and draw(flags),
        send_community=draw(flags),
        send_ext_community=draw(flags),
        send_large_community=draw(flags),
        soft_reconfiguration=draw(flags),
        allowas_in=draw(opt(st.integers(1, 10))),
        as_override=not ibgp and draw(flags),
        remove_private_as=not ibgp and draw(flags),
        default_originate=originates,
        weight=draw(opt(st.integers(0, 65535))),
        maximum_prefix=draw(opt(st.integers(1, 2**32 - 1))),
        default_originate_map=draw(policy_names) if originates else "",
        route_map_in=draw(policy_names),
        route_map_out=draw(policy_names),
        prefix_list_in=draw(policy_names) if with_prefixes else "",
        prefix_list_out=draw(policy_names) if with_prefixes else "",
        as_path_list_in=draw(policy_names),
        as_path_list_out=draw(policy_names),
        access_list_in=draw(policy_names) if with_access else "",
        access_list_out=draw(policy_names) if with_access else "",
        unsuppress_map=draw(policy_names),
        addpath_send=draw(st.sampled_from(AddPath)),
        addpath_receive=draw(flags),
    )


@st.composite
def neighbors(draw, peer):
    unnumbered = peer.startswith("eth")
    remote = draw(st.sampled_from(("internal", "external")) | asns)
    ibgp = remote == "internal"
    ttl_security = draw(opt(st.integers(1, 254))) if remote == "external" and not unnumbered else None
    far = remote == "external" and ttl_security is None and not unnumbered
    return BgpNeighbor(
        peer=peer,
        unnumbered=unnumbered,
        v6_only=unnumbered and draw(flags),
        remote_as=remote,
        description=draw(st.just("") | texts),
        shutdown=draw(flags),
        update_source="" if unnumbered else draw(st.just("") | v4 | st.just("lo")),
        ebgp_multihop=draw(st.integers(2, 255)) if far and draw(flags) else 1,
        ttl_security_hops=ttl_security,
        connected_check=unnumbered or draw(flags),
        passive=draw(flags),
        keepalive_s=draw(st.integers(1, 100)),
        hold_s=draw(st.integers(300, 65535)),
        connect_retry_s=draw(st.integers(1, 65535)),
        advertisement_interval_s=draw(st.integers(0, 600)),
        extended_next_hop=unnumbered or draw(flags),
        enforce_first_as=draw(flags),
        bfd=draw(flags),
        local_as=None if ibgp else draw(opt(local_ases())),
        password=draw(opt(keys)),
        families=tuple(draw(neighbor_families(afi, ibgp=ibgp)) for afi in Afi),
    )


@st.composite
def local_ases(draw):
    no_prepend = draw(flags)
    return LocalAs(asn=draw(asns), no_prepend=no_prepend, replace_as=no_prepend and draw(flags))


@st.composite
def bgp_families(draw, afi):
    distance = st.integers(1, 255)
    return BgpFamily(
        afi=afi,
        max_paths_ebgp=draw(st.integers(1, 64)),
        max_paths_ibgp=draw(st.integers(1, 64)),
        distance_ebgp=draw(distance),
        distance_ibgp=draw(distance),
        distance_local=draw(distance),
        networks=draw(
            some(st.builds(BgpNetwork, prefix=prefixes(afi), route_map=policy_names), key=lambda n: n.prefix)
        ),
        aggregates=draw(
            some(
                st.builds(
                    BgpAggregate,
                    prefix=prefixes(afi).filter(lambda p: int(p.partition("/")[2]) < 31),
                    as_set=flags,
                    summary_only=flags,
                    route_map=policy_names,
                    suppress_map=st.just(""),
                ),
                key=lambda a: a.prefix,
            )
        ),
        redistribute=draw(redistributed("ospf" if afi is Afi.IPV4 else "ospf6", ospf=False)),
        table_map=draw(policy_names),
        dampening=draw(opt(dampenings)) if afi is Afi.IPV4 else None,
    )


@st.composite
def bgp_processes(draw):
    peers = draw(some(v4 | v6 | st.just("eth1"), key=str))
    return BgpConfig(
        asn=draw(asns),
        router_id=draw(opt(v4)),
        cluster_id=draw(opt(v4)),
        confederation_id=draw(opt(asns)),
        confederation_peers=draw(some(asns, key=int)),
        ebgp_requires_policy=draw(flags),
        network_import_check=draw(flags),
        default_local_preference=draw(st.integers(0, 2**32 - 1)),
        client_to_client_reflection=draw(flags),
        fast_external_failover=draw(flags),
        suppress_duplicates=draw(flags),
        graceful_restart=draw(st.sampled_from(("off", "helper", "on"))),
        bestpath=draw(st.builds(BestPath, **dict.fromkeys(BestPath.__dataclass_fields__, flags))),
        neighbors=tuple(draw(neighbors(peer)) for peer in peers),
        families=tuple(draw(bgp_families(afi)) for afi in Afi),
        max_med_on_startup_s=draw(opt(st.integers(5, 86400))),
    )


# --- policy ---

communities = st.builds("{}:{}".format, st.integers(1, 65535), st.integers(0, 65535))
large = st.builds("{}:{}:{}".format, asns, asns, asns)
numbers = st.integers(0, 2**32 - 1).map(str)

MATCH_VALUES = {
    MatchKind.PREFIX_LENGTH_V4: st.integers(0, 32).map(str),
    MatchKind.PREFIX_LENGTH_V6: st.integers(0, 128).map(str),
    MatchKind.NEXT_HOP_ADDRESS: v4,
    MatchKind.METRIC: numbers,
    MatchKind.LOCAL_PREFERENCE: numbers,
    MatchKind.TAG: st.integers(1, 2**32 - 1).map(str),
    MatchKind.ORIGIN: st.sampled_from(("igp", "egp", "incomplete")),
    MatchKind.INTERFACE: st.sampled_from(("eth1", "lo")),
    MatchKind.PEER: v4,
    MatchKind.SOURCE_PROTOCOL: st.sampled_from(("ospf", "bgp", "static", "connected")),
}
SET_VALUES = {
    SetKind.METRIC: (st.builds("{}{}".format, st.sampled_from(("", "+", "-")), st.integers(1, 4294967295)),),
    SetKind.METRIC_TYPE: (st.sampled_from(("type-1", "type-2")),),
    SetKind.LOCAL_PREFERENCE: (numbers,),
    SetKind.WEIGHT: (numbers,),
    SetKind.TAG: (st.integers(1, 2**32 - 1).map(str),),
    SetKind.ORIGIN: (st.sampled_from(("igp", "egp", "incomplete")),),
    SetKind.DISTANCE: (st.integers(1, 255).map(str),),
    SetKind.SOURCE: (v4,),
    SetKind.NEXT_HOP_V4: (v4 | st.sampled_from(("peer-address", "unchanged")),),
    SetKind.NEXT_HOP_V6_GLOBAL: (v6,),
    SetKind.NEXT_HOP_V6_LOCAL: (st.just("fe80::1"),),
    SetKind.AS_PATH_PREPEND: (asns.map(str), asns.map(str)),
    SetKind.AS_PATH_PREPEND_LAST: (st.integers(1, 10).map(str),),
    SetKind.AS_PATH_EXCLUDE: (asns.map(str),),
    SetKind.COMMUNITY: (communities, st.just("no-export")),
    SetKind.COMMUNITY_ADD: (communities,),
    SetKind.COMMUNITY_DELETE: (names,),
    SetKind.LARGE_COMMUNITY: (large,),
    SetKind.LARGE_COMMUNITY_ADD: (large, large),
    SetKind.EXT_COMMUNITY_RT: (communities, communities),
    SetKind.EXT_COMMUNITY_SOO: (communities,),
    SetKind.ORIGINATOR_ID: (v4,),
}


@st.composite
def matches(draw, kind):
    listed = kind in (MatchKind.COMMUNITY, MatchKind.LARGE_COMMUNITY)
    return Match(kind=kind, values=(draw(MATCH_VALUES.get(kind, names)),), exact=listed and draw(flags))


@st.composite
def sets(draw, kind):
    return SetAction(kind=kind, values=tuple(draw(value) for value in SET_VALUES.get(kind, ())))


SET_KINDS = some(
    st.sampled_from(SetKind),
    key=lambda kind: kind.removesuffix("-add").removesuffix("-last"),  # FRR takes one of these
)


@st.composite
def entries(draw, seq):
    action = draw(actions)
    on_match = draw(st.sampled_from(OnMatch)) if action is Action.PERMIT else OnMatch.STOP
    return RouteMapEntry(
        seq=seq,
        action=action,
        description=draw(st.just("") | texts),
        matches=tuple(
            draw(matches(kind)) for kind in sorted(draw(st.sets(st.sampled_from(MatchKind), max_size=3)))
        ),
        sets=tuple(draw(sets(kind)) for kind in sorted(draw(SET_KINDS))),
        on_match=on_match,
        goto=seq + 7 if on_match is OnMatch.GOTO else None,
        call=draw(st.just("") | st.just("Called")),
    )


def numbered(build):
    """Entries with rising numbers; FRR drops one that says the same as an earlier one."""
    seqs = st.lists(st.integers(1, 65000), min_size=1, max_size=3, unique=True).map(sorted)
    found = seqs.flatmap(lambda numbers: st.tuples(*(build(seq) for seq in numbers)))
    return found.filter(lambda entries: len({replace(e, seq=0) for e in entries}) == len(entries))


def prefix_entries(afi):
    longest = 32 if afi is Afi.IPV4 else 128

    @st.composite
    def build(draw, seq):
        prefix = draw(prefixes(afi))
        length = int(prefix.partition("/")[2])
        ge = draw(opt(st.integers(length + 1, longest))) if length < longest else None
        le = draw(opt(st.integers(ge or length + 1, longest))) if length < longest else None
        return PrefixEntry(seq=seq, action=draw(actions), prefix=prefix, ge=ge, le=le)

    return build


def access_entries(afi, *, by_address):
    @st.composite
    def build(draw, seq):
        lengths = st.tuples(st.integers(0, 32), st.integers(0, 32)).map(lambda pair: tuple(sorted(pair)))
        return AccessEntry(
            seq=seq,
            action=draw(actions),
            prefix=draw(prefixes(afi)),
            exact=not by_address and draw(flags),
            by_address=by_address,
            lengths=draw(opt(lengths)) if by_address else None,
        )

    return build


@st.composite
def prefix_lists(draw):
    afi = draw(st.sampled_from(Afi))
    return PrefixList(
        name=draw(names),
        afi=afi,
        entries=draw(numbered(prefix_entries(afi))),
        description=draw(st.just("") | texts),
    )


@st.composite
def access_lists(draw):
    """Lists called by the numbers of Cisco's standard lists always look at the address."""
    afi = draw(st.sampled_from(Afi))
    by_address = afi is Afi.IPV4 and draw(flags)
    numbers = st.integers(1, 199).map(str)
    return AccessList(
        name=draw(names | numbers) if by_address else draw(names),
        afi=afi,
        entries=draw(numbered(access_entries(afi, by_address=by_address))),
    )


REGEXES = ("^65001$", "_65001_", ".*", "^(65001_)+[0-9]*$")
COMMUNITY_VALUES = {
    CommunityKind.STANDARD: st.tuples(communities, st.just("no-export")),
    CommunityKind.LARGE_STANDARD: st.tuples(large),
    CommunityKind.EXT_STANDARD: st.tuples(st.just("rt"), communities),
}


@st.composite
def community_lists(draw):
    kind = draw(st.sampled_from(CommunityKind))
    values = COMMUNITY_VALUES.get(kind, st.tuples(st.sampled_from(("65001:.*", "^1:2:.$"))))
    build = lambda seq: st.builds(CommunityEntry, seq=st.just(seq), action=actions, values=values)  # noqa: E731
    return CommunityList(name=draw(names), kind=kind, entries=draw(numbered(build)))


@st.composite
def as_path_lists(draw):
    build = lambda seq: st.builds(  # noqa: E731
        AsPathEntry, seq=st.just(seq), action=actions, regex=st.sampled_from(REGEXES)
    )
    return AsPathList(name=draw(names), entries=draw(numbered(build)))


@st.composite
def route_maps(draw):
    return RouteMap(name=draw(names), entries=draw(numbered(entries)))


PORTS = ("lo", "eth1", "eth2", "eth2.100", "bond0")


@st.composite
def configs(draw):
    """A device that this model, this parser and this renderer all understand."""
    ospf, bgp = draw(flags), draw(flags)
    by_interface = draw(flags)
    ports = draw(st.lists(st.sampled_from(PORTS), unique=True))
    isis = draw(opt(isis_processes))
    ports_isis = [draw(opt(isis_interfaces(isis.level, kind_of(p)))) if isis else None for p in ports]
    return DeviceConfig(
        device="d",
        hostname=draw(st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)),
        dialect="frr",
        undefined=FRR_UNDEFINED,
        forwarding_v4=draw(flags),
        forwarding_v6=draw(flags),
        interfaces=tuple(
            replace(draw(interfaces(port, ospf=ospf, by_interface=by_interface)), isis=found)
            for port, found in zip(ports, ports_isis, strict=True)
        ),
        isis=isis,
        static_routes=draw(some(statics(), key=lambda r: r.prefix)),
        ospf=draw(ospf_processes(by_interface=by_interface)) if ospf else None,
        bgp=draw(bgp_processes()) if bgp else None,
        route_maps=draw(some(route_maps(), size=2, key=lambda m: m.name)),
        prefix_lists=draw(some(prefix_lists(), size=2, key=lambda p: (p.afi, p.name))),
        access_lists=draw(some(access_lists(), size=2, key=lambda a: (a.afi, a.name))),
        community_lists=draw(some(community_lists(), size=2, key=lambda c: (c.kind, c.name))),
        as_path_lists=draw(some(as_path_lists(), size=2, key=lambda a: a.name)),
        fib_policies=draw(
            some(
                st.builds(
                    FibPolicy,
                    afi=st.sampled_from(Afi),
                    protocol=st.sampled_from(("any", "bgp", "static")),
                    route_map=names,
                ),
                size=2,
                key=lambda f: (f.afi, f.protocol),
            )
        ),
    )
