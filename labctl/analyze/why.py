"""Why the shadow's route is not production's: rules, the first that holds is the likely reason.

A rule looks at one difference and at what is known of both networks, and says its reason in a sentence or nothing. Each
rule states something that can be checked: a session that is not up, a device that the lab does not have, a line that no
lab can have. What no rule explains is `unexplained`: a verdict, not a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_interface, ip_network

from labctl.analyze.routes import state_class
from labctl.model.account import AccountedLine, ConfigAccount, LineClass
from labctl.model.config import DeviceConfig
from labctl.model.recorded import BgpPath
from labctl.model.routes import (
    Adjacency,
    NextHop,
    Route,
    RouteComparison,
    RouteDifference,
    RouteTables,
    SessionDifference,
)

UNEXPLAINED = "unexplained"
#: Protocols that labs run.
_EMULATED = frozenset({"connected", "static", "kernel", "ospf", "bgp", "local"})
_LOST = (LineClass.UNSUPPORTED, LineClass.UNKNOWN, LineClass.APPROXIMATED)


@dataclass(frozen=True, kw_only=True)
class Known:
    """Both networks, as far as they are known. `accounts` and `paths` by device; `absent`: devices without a node."""

    production: RouteTables
    shadow: RouteTables
    configs: Mapping[str, DeviceConfig] = field(default_factory=dict)
    accounts: Mapping[str, ConfigAccount] = field(default_factory=dict)
    paths: Mapping[str, Sequence[BgpPath]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """Address -> device of the lab."""
        return {address: name for name, config in self.configs.items() for address in config.addresses}

    @cached_property
    def managed(self) -> Mapping[str, str]:
        """Subnet of a management port -> device."""
        return {
            str(ip_interface(address).network): name
            for name, config in self.configs.items()
            for interface in config.interfaces
            if interface.mgmt
            for address in interface.ipv4
        }

    def route(self, tables: RouteTables, node: str, prefix: str) -> Route | None:
        found = (r for r in tables.routes.get(node) or () if r.prefix == prefix and r.selected)
        return next(found, None)

    def lost(self, node: str) -> Iterator[AccountedLine]:
        yield from self.accounts[node].of(*_LOST) if node in self.accounts else ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One difference among the others."""

    of: RouteDifference
    known: Known
    differing: frozenset[tuple[str, str]]  # (node, prefix)

    @property
    def real(self) -> Route | None:
        return self.of.production

    @property
    def copy(self) -> Route | None:
        return self.of.shadow

    @cached_property
    def lost_hops(self) -> frozenset[NextHop]:
        """Next hops of production that the shadow does not use."""
        if self.real is None:
            return frozenset()
        return self.real.next_hops - (
            (self.copy.announced | self.copy.next_hops) if self.copy else frozenset()
        )


def explained(comparison: RouteComparison, known: Known) -> RouteComparison:
    """The comparison with a rule and a reason at every difference."""
    differing = frozenset((d.node, d.prefix) for d in comparison.differences)

    def route(of: RouteDifference) -> RouteDifference:
        rule, text = why(Case(of=of, known=known, differing=differing))
        return replace(of, rule=rule, reason=text)

    reasoned = tuple(route(each) for each in comparison.differences)
    return replace(
        comparison,
        differences=tuple(_led(each, reasoned, known, differing) for each in reasoned),
        session_differences=tuple(_session(each, known) for each in comparison.session_differences),
    )


def _led(
    of: RouteDifference,
    reasoned: Sequence[RouteDifference],
    known: Known,
    differing: frozenset[tuple[str, str]],
) -> RouteDifference:
    """A difference that follows from another has that one's reason behind it; one that follows from itself has none."""
    by_place = {(d.node, d.prefix): d for d in reasoned}
    seen, here = {of.node}, of
    while here.rule == "follows":
        node = _leader(Case(of=here, known=known, differing=differing))
        if node is None or node in seen:
            return replace(of, rule=UNEXPLAINED, reason=f"{UNEXPLAINED}; differs alike on {node}")
        seen.add(node)
        here = by_place[node, of.prefix]
    return of if here is of else replace(of, reason=f"{of.reason}: {here.reason}", rule=_behind(here))


def _behind(root: RouteDifference) -> str:
    return UNEXPLAINED if root.rule == UNEXPLAINED else "follows"


def why(case: Case) -> tuple[str, str]:
    """(rule, reason) of the first rule that holds."""
    for name, rule in RULES.items():
        text = rule(case)
        if text:
            return name, text
    return UNEXPLAINED, UNEXPLAINED


# --- rules, the surest first ---


def _management(case: Case) -> str:
    network = ip_network(case.of.prefix)
    for subnet, device in case.known.managed.items():
        other = ip_network(subnet)
        if network.version == other.version and network.overlaps(other) and network.prefixlen:
            return f"{subnet} is the management network of {device}, and a lab has one of its own"
    return ""


def _protocol(case: Case) -> str:
    """Production's protocol, or that of the device the prefix comes from, is none that labs run."""
    known, prefix = case.known, case.of.prefix
    if case.real and case.real.protocol not in _EMULATED:
        return f"{case.real.protocol.upper()} is not emulated"
    if case.real and case.real.protocol in ("connected", "static", "local"):
        return ""
    if case.copy is None or case.of.kind == "next-hops":
        for node in known.production.routes:
            there = known.route(known.production, node, prefix)
            if there and there.protocol not in _EMULATED and (node, prefix) in case.differing:
                return f"{node} has it by {there.protocol.upper()}, which is not emulated"
    return ""


def _absent(case: Case) -> str:
    """The way leads over a device that the lab does not have."""
    unknown = sorted({h.via for h in case.lost_hops if h.via and h.via not in case.known.owners})
    if not unknown:
        return ""
    absent = f" (not in the lab: {', '.join(case.known.absent)})" if case.known.absent else ""
    return f"no device of the lab has {', '.join(unknown)}{absent}"


def _session_down(case: Case) -> str:
    for session in case.known.shadow.adjacencies:
        if session.node == case.of.node and not session.up and _was_up(session, case.known):
            for hop in case.lost_hops:
                if hop.via == session.peer or (session.interface and hop.interface == session.interface):
                    return f"up in production and not in the shadow: {session}"
    return ""


def _was_up(session: Adjacency, known: Known) -> bool:
    return any(
        (a.node, a.kind, a.peer) == (session.node, session.kind, session.peer) and a.up
        for a in known.production.adjacencies
    )


def _interface(case: Case) -> str:
    """A connected route or an address of an interface that the lab does not have, or has otherwise."""
    real, config = case.real, case.known.configs.get(case.of.node)
    if real is None or real.protocol not in ("connected", "local") or config is None:
        return ""
    for hop in sorted(real.next_hops):
        found = next((i for i in config.interfaces if i.name == hop.interface), None)
        if found is None:
            return f"the configuration that was read has no {hop.interface}"
        if found.vrf or found.switched:
            return (
                f"{hop.interface} belongs to {'VRF ' + found.vrf if found.vrf else 'a switch'}: not emulated"
            )
        if found.shutdown:
            return f"{hop.interface} is shut down in the configuration that was read"
        address = real.prefix.partition("/")[0]
        inside = [a for a in (*found.ipv4, *found.ipv6) if ip_interface(a).network == ip_network(real.prefix)]
        if not inside and address not in {a.partition("/")[0] for a in found.ipv4}:
            return f"{hop.interface} has no address in {real.prefix} in the configuration that was read"
    return ""


def _host_route(case: Case) -> str:
    """OSPF announces the address of a loopback on one side, its subnet on the other."""
    network = ip_network(case.of.prefix)
    here, there = case.real or case.copy, case.known.shadow if case.real else case.known.production
    if here is None or here.protocol != "ospf":
        return ""
    for other in there.routes.get(case.of.node) or ():
        if other.protocol == "ospf" and (case.of.node, other.prefix) in case.differing:
            near = ip_network(other.prefix)
            if (
                near.version == network.version
                and near.overlaps(network)
                and network.max_prefixlen
                in (
                    near.prefixlen,
                    network.prefixlen,
                )
            ):
                return (
                    f"a loopback is announced as {case.of.prefix} on one side and {other.prefix} on the other"
                )
    return ""


def _lost_line(case: Case) -> str:
    """A line that the lab does not have names the prefix, the interface or the peer."""
    hops = (case.real.next_hops if case.real else frozenset()) | (
        case.copy.next_hops if case.copy else frozenset()
    )
    words = {case.of.prefix, case.of.prefix.partition("/")[0]} | {h.via for h in hops if h.via}
    for line in case.known.lost(case.of.node):
        if words & set(line.text.replace("/", " /").split()) or case.of.prefix in line.text:
            return f"{line.cls}: {line.text.strip()} ({line.where})"
    return ""


def _no_origin(case: Case) -> str:
    """No device of the lab brings the prefix in, and one that the lab lacks may."""
    if case.copy is not None or case.real is None or case.real.protocol not in ("ospf", "bgp"):
        return ""
    known, prefix = case.known, case.of.prefix
    if any(known.route(known.shadow, node, prefix) for node in known.shadow.routes):
        return ""
    sources = [
        node
        for node in known.production.routes
        if (r := known.route(known.production, node, prefix)) and r.protocol in ("connected", "static")
    ]
    if not sources and known.absent:
        return f"it comes from a device that is not in the lab: {', '.join(known.absent)}"
    return f"{sources[0]} has it, and does not announce it in the shadow" if sources else ""


def _follows(case: Case) -> str:
    """The device that the way leads to differs in the same prefix."""
    owner = _leader(case)
    return f"follows from {owner}" if owner else ""


def _leader(case: Case) -> str | None:
    hops = (case.real.next_hops if case.real else frozenset()) | (
        (case.copy.announced or case.copy.next_hops) if case.copy else frozenset()
    )
    for hop in sorted(hops):
        owner = case.known.owners.get(hop.via)
        if owner and owner != case.of.node and (owner, case.of.prefix) in case.differing:
            return owner
    return None


def _tie(case: Case) -> str:
    """Two BGP paths that are equal up to what the table does not print."""
    real, copy = case.real, case.copy
    if real is None or copy is None or real.protocol != "bgp" or copy.protocol != "bgp":
        return ""
    paths = [p for p in case.known.paths.get(case.of.node, ()) if p.prefix == case.of.prefix]
    theirs = {h.via for h in copy.announced or copy.next_hops}
    best = next((p for p in paths if p.best), None)
    other = next((p for p in paths if p.via in theirs), None)
    if best is None or other is None or _rank(best) != _rank(other):
        return ""
    return f"a tie in production's table between {best.via} and {other.via}: cost of the way, age or router id decides"


def _rank(path: BgpPath) -> tuple[object, ...]:
    """What decides before cost, age and router id. Two MEDs of different neighbours are not compared."""
    neighbour = path.as_path[:1]
    return (
        path.weight,
        path.local_preference or 100,
        len(path.as_path),
        path.origin,
        path.internal,
        neighbour,
    )


def _equal_cost(case: Case) -> str:
    real, copy = case.real, case.copy
    if real is None or copy is None or real.protocol != "ospf" or copy.protocol != "ospf":
        return ""
    if real.metric is not None and copy.metric is not None and real.metric != copy.metric:
        return f"metric {real.metric} in production, {copy.metric} in the shadow: a cost on the way differs"
    if real.next_hops & copy.next_hops:
        return "the same cost, and not the same number of equal paths"
    return ""


def _virtual(case: Case) -> str:
    """The address of a VRRP group has an interface of its own in the lab, and so a route."""
    address, _, length = case.of.prefix.partition("/")
    if case.copy is None or case.copy.protocol != "connected" or length not in ("32", "128"):
        return ""
    config = case.known.configs.get(case.of.node)
    for interface in config.interfaces if config else ():
        for group in interface.virtual_routers:
            if address in group.addresses:
                return f"the virtual address of {interface.name} is on an interface of its own in the lab"
    return ""


def _own_host(case: Case) -> str:
    """A loopback beside the first is point-to-multipoint in the lab, so OSPF has a way to the node's own address."""
    own = {route.prefix for route in case.known.shadow.own.get(case.of.node, ())}
    if case.real or case.copy is None or case.copy.protocol != "ospf" or case.of.prefix not in own:
        return ""
    return "the node's own address, which OSPF in the lab has a route to as well; nothing is forwarded by it"


def _aggregate(case: Case) -> str:
    """FRR before 9.0 does not install an aggregate while a neighbour's path to it looks the same (frr pull 13564)."""
    real, copy, config = case.real, case.copy, case.known.configs.get(case.of.node)
    if real is None or real.kind != "blackhole" or real.protocol != "bgp" or not (config and config.bgp):
        return ""
    if (
        any(a.prefix == case.of.prefix for f in config.bgp.families for a in f.aggregates)
        and copy is not None
    ):
        return "FRR 8 makes no aggregate while a neighbour announces the same one"
    return ""


#: In this order.
RULES: Mapping[str, Callable[[Case], str]] = {
    "management": _management,
    "protocol-not-emulated": _protocol,
    "device-not-in-lab": _absent,
    "session-down": _session_down,
    "interface": _interface,
    "virtual-address": _virtual,
    "own-address": _own_host,
    "frr-aggregate": _aggregate,
    "host-route": _host_route,
    "line-lost": _lost_line,
    "follows": _follows,
    "no-origin": _no_origin,
    "tie-break": _tie,
    "ospf-cost": _equal_cost,
}


def _session(of: SessionDifference, known: Known) -> SessionDifference:
    if of.kind == "bgp" and of.peer not in known.owners:
        return replace(of, rule="device-not-in-lab", reason=f"no device of the lab has {of.peer}")
    ids = {c.ospf.router_id for c in known.configs.values() if c.ospf} | set(known.owners)
    if of.kind == "ospf" and of.shadow is None and of.peer not in ids and known.absent:
        text = f"no device of the lab has router id {of.peer} (not in the lab: {', '.join(known.absent)})"
        return replace(of, rule="device-not-in-lab", reason=text)
    same = [
        a
        for a in known.shadow.adjacencies
        if (a.node, a.kind, a.interface) == (of.node, of.kind, of.interface)
    ]
    if of.kind == "ospf" and of.interface and same and of.shadow is None:
        text = f"the neighbour there has router id {same[0].peer} in the shadow ({state_class(same[0])})"
        return replace(of, rule="router-id", reason=text)
    return replace(of, rule=UNEXPLAINED, reason=UNEXPLAINED)
