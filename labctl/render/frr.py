"""A `DeviceConfig` as FRR's configuration file, with nothing left to FRR's defaults.

The renderer knows no vendor: whatever a vendor does differently is a value in the model by now. Names of interfaces are
written as they stand: `labctl.render.project` has made lab names of them before. Services that point outwards are not
rendered at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from labctl.model.config import DeviceConfig, Discard, InterfaceConfig, InterfaceKind, StaticRoute
from labctl.model.policy import Afi
from labctl.model.routing import (
    AreaKind,
    Auth,
    OspfArea,
    OspfConfig,
    OspfInterface,
    OspfNetworkType,
    Redistribution,
    VirtualRouter,
)
from labctl.render.frr_bgp import bgp
from labctl.render.frr_isis import isis, isis_interface
from labctl.render.frr_policy import ip, policies
from labctl.render.words import key, maybe_no, one_line


def render_frr(config: DeviceConfig) -> str:
    """frr.conf. The same model always gives the same bytes."""
    sections = [
        _head(config),
        *(_interface(each, config) for each in config.interfaces),
        (_static(route) for route in config.static_routes if not route.kernel),
        policies(config),
        _ospf(config.ospf) if config.ospf else (),
        isis(config.isis) if config.isis else (),
        bgp(config.bgp) if config.bgp else (),
    ]
    texts = ("\n".join(lines) for lines in sections)
    return "\n!\n".join(text for text in texts if text) + "\n!\n"


def render_daemons(config: DeviceConfig) -> str:
    """FRR's `daemons` file: what the configuration needs and no more, without a watchdog.

    watchfrr would restart a daemon in the middle of an experiment that killed it.
    """
    bfd = any(i.ospf and i.ospf.bfd for i in config.interfaces) or (
        config.bgp is not None and any(n.bfd for n in config.bgp.neighbors)
    )
    vrrp = any(i.virtual_routers for i in config.interfaces)
    wanted = {
        "bgpd": config.bgp is not None,
        "ospfd": config.ospf is not None,
        "isisd": config.isis is not None,
        "bfdd": bfd,
        "vrrpd": vrrp,
    }
    lines = [f"{daemon}={'yes' if on else 'no'}" for daemon, on in wanted.items()]
    options = ["zebra_options='-A 127.0.0.1 -s 90000000'"]
    options += [f"{daemon}_options='-A 127.0.0.1'" for daemon in ("staticd", *wanted)]
    return "\n".join([*lines, "watchfrr_enable=no", "vtysh_enable=yes", *options]) + "\n"


def _head(config: DeviceConfig) -> Iterator[str]:
    yield "frr defaults traditional"
    yield f"hostname {one_line(config.hostname)}"
    yield "service integrated-vtysh-config"
    # The kernel drops members of a nexthop group with their carrier and FRR 8 does not notice: after a cable is
    # plugged back, equal-cost routes keep one path for ever. Routes that carry their own next hops do not have it.
    yield "no zebra nexthop kernel enable"
    yield maybe_no(config.forwarding_v4, "ip forwarding")
    yield maybe_no(config.forwarding_v6, "ipv6 forwarding")


def _interface(interface: InterfaceConfig, config: DeviceConfig) -> Iterator[str]:
    yield f"interface {interface.name}"
    if interface.description:
        yield f" description {one_line(interface.description)}"
    for address in interface.ipv4:
        yield f" ip address {address}"
    for address in interface.ipv6:
        yield f" ipv6 address {address}"
    if interface.bandwidth_bps is not None:
        yield f" bandwidth {max(1, interface.bandwidth_bps // 10**6)}"
    if interface.ospf:
        yield from (f" {line}" for line in _ospf_interface(interface.ospf))
    if interface.isis and config.isis:
        loopback = interface.kind is InterfaceKind.LOOPBACK
        lines = isis_interface(interface.isis, config.isis, loopback=loopback)
        yield from (f" {line}" for line in lines)
    for virtual in interface.virtual_routers:
        yield from (f" {line}" for line in _virtual_router(virtual))
    yield f" {maybe_no(interface.shutdown, 'shutdown')}"
    yield "exit"


def _virtual_router(virtual: VirtualRouter) -> Iterator[str]:
    """FRR holds the address on a macvlan interface with the group's MAC, which `labctl.render.lab` makes."""
    head = f"vrrp {virtual.group}"
    yield f"{head} version {virtual.version}"
    yield f"{head} priority {virtual.priority}"
    yield f"{head} advertisement-interval {virtual.advertise_ms}"
    yield maybe_no(virtual.preempt, f"{head} preempt")
    yield from (f"{head} ip {address}" for address in virtual.addresses)


def _ospf_interface(ospf: OspfInterface) -> Iterator[str]:
    if ospf.area is not None:
        yield f"ip ospf area {ospf.area}"
    if ospf.cost is not None:
        yield f"ip ospf cost {ospf.cost}"
    if ospf.network_type is not OspfNetworkType.LOOPBACK:
        yield f"ip ospf network {ospf.network_type}"
    yield f"ip ospf hello-interval {ospf.hello_s}"
    if ospf.hello_multiplier is not None:
        yield f"ip ospf dead-interval minimal hello-multiplier {ospf.hello_multiplier}"
    else:
        yield f"ip ospf dead-interval {ospf.dead_s}"
    yield f"ip ospf retransmit-interval {ospf.retransmit_s}"
    yield f"ip ospf transmit-delay {ospf.transmit_delay_s}"
    yield f"ip ospf priority {ospf.priority}"
    yield maybe_no(ospf.passive, "ip ospf passive")
    yield maybe_no(ospf.mtu_ignore, "ip ospf mtu-ignore")
    if ospf.bfd:
        yield "ip ospf bfd"
    yield from _ospf_auth(ospf)


def _ospf_auth(ospf: OspfInterface) -> Iterator[str]:
    words = {Auth.NONE: " null", Auth.TEXT: "", Auth.MD5: " message-digest"}
    if ospf.auth is not None:
        yield f"ip ospf authentication{words[ospf.auth]}"
    if ospf.text_key is not None:
        yield f"ip ospf authentication-key {key(ospf.text_key)}"
    for number, token in ospf.md5_keys:
        yield f"ip ospf message-digest-key {number} md5 {key(token)}"


def _static(route: StaticRoute) -> str:
    words = [f"{ip(Afi.IPV6 if ':' in route.prefix else Afi.IPV4)} route {route.prefix}"]
    if route.discard:
        words.append("blackhole" if route.discard is Discard.BLACKHOLE else "reject")
    words += [word for word in (route.next_hop, route.interface) if word]
    if route.tag:
        words.append(f"tag {route.tag}")
    words.append(str(route.distance))
    if route.onlink:
        words.append("onlink")
    return " ".join(words)


def _ospf(ospf: OspfConfig) -> Iterator[str]:
    yield "router ospf"
    yield from (f" {line}" for line in _ospf_process(ospf))
    yield "exit"


def _ospf_process(ospf: OspfConfig) -> Iterator[str]:
    if ospf.router_id:
        yield f"ospf router-id {ospf.router_id}"
    yield maybe_no(ospf.rfc1583, "ospf rfc1583compatibility")
    yield f"auto-cost reference-bandwidth {max(1, ospf.reference_bandwidth_bps // 10**6)}"
    yield f"timers throttle spf {ospf.spf_delay_ms} {ospf.spf_hold_ms} {ospf.spf_max_hold_ms}"
    yield f"maximum-paths {ospf.max_paths}"
    intra, inter, external = ospf.distance_intra, ospf.distance_inter, ospf.distance_external
    yield f"distance ospf intra-area {intra} inter-area {inter} external {external}"
    if ospf.default_metric is not None:
        yield f"default-metric {ospf.default_metric}"
    if ospf.max_metric:
        yield "max-metric router-lsa administrative"
    if ospf.passive_default:
        yield "passive-interface default"
    for source in ospf.redistribute:
        yield f"redistribute {source.source}{_external(source)}"
    for network in ospf.networks:
        yield f"network {network.prefix} area {network.area}"
    for area in ospf.areas:
        yield from _area(area)
    for summary in ospf.summaries:
        yield f"summary-address {summary.prefix}{'' if summary.advertise else ' no-advertise'}"
    if default := ospf.default_originate:
        metric = f" metric {default.metric}" if default.metric is not None else ""
        route_map = f" route-map {default.route_map}" if default.route_map else ""
        always = " always" if default.always else ""
        yield f"default-information originate{always}{metric} metric-type {default.metric_type}{route_map}"


def _external(source: Redistribution) -> str:
    metric = f" metric {source.metric}" if source.metric is not None else ""
    route_map = f" route-map {source.route_map}" if source.route_map else ""
    return f"{metric} metric-type {source.metric_type or 2}{route_map}"


def _area(area: OspfArea) -> Iterator[str]:
    head = f"area {area.id}"
    if area.kind is not AreaKind.NORMAL:
        yield f"{head} {area.kind}{' no-summary' if area.no_summary else ''}"
        yield f"{head} default-cost {area.default_cost}"
    if area.auth is not Auth.NONE:
        yield f"{head} authentication{' message-digest' if area.auth is Auth.MD5 else ''}"
    for each in area.ranges:
        yield f"{head} range {each.prefix}"
        if each.cost is not None:
            yield f"{head} range {each.prefix} cost {each.cost}"
        if each.substitute is not None:
            yield f"{head} range {each.prefix} substitute {each.substitute}"
        if not each.advertise:
            yield f"{head} range {each.prefix} not-advertise"
    for peer in area.virtual_links:
        yield f"{head} virtual-link {peer}"
    if area.filter_in:
        yield f"{head} filter-list prefix {area.filter_in} in"
    if area.filter_out:
        yield f"{head} filter-list prefix {area.filter_out} out"
