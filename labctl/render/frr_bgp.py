"""`router bgp` in FRR's words, with every default written out, so that FRR's own profile decides nothing."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.model.routing import (
    AddPath,
    BgpAggregate,
    BgpConfig,
    BgpFamily,
    BgpNeighbor,
    NeighborFamily,
    NextHopSelf,
)
from labctl.render.words import key, maybe_no, one_line


def bgp(config: BgpConfig) -> Iterator[str]:
    yield f"router bgp {config.asn}"
    yield from (f" {line}" for line in _process(config))
    for neighbor in config.neighbors:
        yield from (f" {line}" for line in _neighbor(neighbor))
    for family in config.families:
        yield f" address-family {family.afi} unicast"
        yield from (f"  {line}" for line in _family(config, family))
        yield " exit-address-family"
    yield "exit"


def _process(config: BgpConfig) -> Iterator[str]:
    if config.router_id:
        yield f"bgp router-id {config.router_id}"
    yield maybe_no(config.ebgp_requires_policy, "bgp ebgp-requires-policy")
    yield "no bgp default ipv4-unicast"
    yield maybe_no(config.suppress_duplicates, "bgp suppress-duplicates")
    yield maybe_no(config.network_import_check, "bgp network import-check")
    yield maybe_no(config.client_to_client_reflection, "bgp client-to-client reflection")
    yield maybe_no(config.fast_external_failover, "bgp fast-external-failover")
    yield f"bgp default local-preference {config.default_local_preference}"
    if config.cluster_id:
        yield f"bgp cluster-id {config.cluster_id}"
    if config.confederation_id is not None:
        yield f"bgp confederation identifier {config.confederation_id}"
    if config.confederation_peers:
        yield f"bgp confederation peers {' '.join(map(str, config.confederation_peers))}"
    if config.graceful_restart != "helper":
        yield f"bgp graceful-restart{'-disable' if config.graceful_restart == 'off' else ''}"
    if config.max_med_on_startup_s is not None:
        yield f"bgp max-med on-startup {config.max_med_on_startup_s}"
    yield from _best_path(config)


def _best_path(config: BgpConfig) -> Iterator[str]:
    best = config.bestpath
    yield maybe_no(best.always_compare_med, "bgp always-compare-med")
    yield maybe_no(best.deterministic_med, "bgp deterministic-med")
    yield maybe_no(best.compare_router_id, "bgp bestpath compare-routerid")
    yield maybe_no(best.ignore_as_path, "bgp bestpath as-path ignore")
    yield maybe_no(best.multipath_relax, "bgp bestpath as-path multipath-relax")
    yield maybe_no(best.as_path_confed, "bgp bestpath as-path confed")
    med = " confed" * best.med_confed + " missing-as-worst" * best.med_missing_as_worst
    if med:
        yield f"bgp bestpath med{med}"


def _neighbor(neighbor: BgpNeighbor) -> Iterator[str]:
    peer = f"neighbor {neighbor.peer}"
    if neighbor.unnumbered:
        yield f"{peer} interface{' v6only' * neighbor.v6_only} remote-as {neighbor.remote_as}"
    else:
        yield f"{peer} remote-as {neighbor.remote_as}"
    if neighbor.description:
        yield f"{peer} description {one_line(neighbor.description)}"
    if neighbor.local_as:
        flags = " no-prepend" * neighbor.local_as.no_prepend + " replace-as" * neighbor.local_as.replace_as
        yield f"{peer} local-as {neighbor.local_as.asn}{flags}"
    yield f"{peer} timers {neighbor.keepalive_s} {neighbor.hold_s}"
    yield f"{peer} timers connect {neighbor.connect_retry_s}"
    yield f"{peer} advertisement-interval {neighbor.advertisement_interval_s}"
    if neighbor.update_source:
        yield f"{peer} update-source {neighbor.update_source}"
    if neighbor.ebgp_multihop != 1:
        yield f"{peer} ebgp-multihop {neighbor.ebgp_multihop}"
    if neighbor.ttl_security_hops is not None:
        yield f"{peer} ttl-security hops {neighbor.ttl_security_hops}"
    if not neighbor.connected_check:
        yield f"{peer} disable-connected-check"
    yield maybe_no(neighbor.passive, f"{peer} passive")
    yield maybe_no(neighbor.extended_next_hop, f"{peer} capability extended-nexthop")
    yield maybe_no(neighbor.enforce_first_as, f"{peer} enforce-first-as")
    if neighbor.bfd:
        yield f"{peer} bfd"
    if neighbor.password is not None:
        yield f"{peer} password {key(neighbor.password)}"
    yield maybe_no(neighbor.shutdown, f"{peer} shutdown")


def _family(config: BgpConfig, family: BgpFamily) -> Iterator[str]:
    for network in family.networks:
        yield f"network {network.prefix}{_with('route-map', network.route_map)}"
    for aggregate in family.aggregates:
        yield _aggregate(aggregate)
    for source in family.redistribute:
        metric = f" metric {source.metric}" if source.metric is not None else ""
        yield f"redistribute {source.source}{metric}{_with('route-map', source.route_map)}"
    yield f"maximum-paths {family.max_paths_ebgp}"
    yield f"maximum-paths ibgp {family.max_paths_ibgp}"
    yield f"distance bgp {family.distance_ebgp} {family.distance_ibgp} {family.distance_local}"
    if damp := family.dampening:
        yield f"bgp dampening {damp.half_life_min} {damp.reuse} {damp.suppress} {damp.max_suppress_min}"
    if family.table_map:
        yield f"table-map {family.table_map}"
    for neighbor in config.neighbors:
        for line in _neighbor_family(neighbor.family(family.afi)):
            yield line.replace("@", f"neighbor {neighbor.peer}", 1)


def _aggregate(aggregate: BgpAggregate) -> str:
    flags = " as-set" * aggregate.as_set + " summary-only" * aggregate.summary_only
    maps = _with("route-map", aggregate.route_map) + _with("suppress-map", aggregate.suppress_map)
    return f"aggregate-address {aggregate.prefix}{flags}{maps}"


def _with(words: str, name: str) -> str:
    return f" {words} {name}" if name else ""


_NEXT_HOP_SELF = {
    NextHopSelf.NO: "no @ next-hop-self",
    NextHopSelf.YES: "@ next-hop-self",
    NextHopSelf.FORCE: "@ next-hop-self force",
}
_ADD_PATH = {
    AddPath.ALL: "@ addpath-tx-all-paths",
    AddPath.BEST_PER_AS: "@ addpath-tx-bestpath-per-AS",
}


def _neighbor_family(family: NeighborFamily) -> Iterator[str]:
    """`@` stands for `neighbor X`."""
    yield maybe_no(family.activate, "@ activate")
    yield _NEXT_HOP_SELF[family.next_hop_self]
    if family.route_reflector_client:
        yield "@ route-reflector-client"
    yield maybe_no(family.send_community, "@ send-community")
    yield maybe_no(family.send_ext_community, "@ send-community extended")
    yield maybe_no(family.send_large_community, "@ send-community large")
    yield maybe_no(family.soft_reconfiguration, "@ soft-reconfiguration inbound")
    yield "no @ allowas-in" if family.allowas_in is None else f"@ allowas-in {family.allowas_in}"
    # FRR refuses even the `no` of these two for an internal peer
    if family.as_override:
        yield "@ as-override"
    if family.remove_private_as:
        yield "@ remove-private-AS"
    yield from _neighbor_options(family)
    yield from _neighbor_policies(family)


def _neighbor_options(family: NeighborFamily) -> Iterator[str]:
    if family.default_originate:
        yield f"@ default-originate{_with('route-map', family.default_originate_map)}"
    if family.weight is not None:
        yield f"@ weight {family.weight}"
    if family.maximum_prefix is not None:
        yield f"@ maximum-prefix {family.maximum_prefix}"
    if family.addpath_send is not AddPath.BEST:
        yield _ADD_PATH[family.addpath_send]
    if not family.addpath_receive:
        yield "@ disable-addpath-rx"


def _neighbor_policies(family: NeighborFamily) -> Iterator[str]:
    for words, name in (
        ("route-map {} in", family.route_map_in),
        ("route-map {} out", family.route_map_out),
        ("prefix-list {} in", family.prefix_list_in),
        ("prefix-list {} out", family.prefix_list_out),
        ("filter-list {} in", family.as_path_list_in),
        ("filter-list {} out", family.as_path_list_out),
        ("distribute-list {} in", family.access_list_in),
        ("distribute-list {} out", family.access_list_out),
        ("unsuppress-map {}", family.unsuppress_map),
    ):
        if name:
            yield f"@ {words.format(name)}"
