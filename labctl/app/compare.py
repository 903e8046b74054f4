"""`labctl compare`: does this lab route like that one? The other is a running lab, what one routed by earlier, or what
production's devices printed.

Nothing is assumed of the two but that devices of the same production name are meant to be the same device.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, Final

from labctl.analyze import routes
from labctl.analyze.words import plural, share
from labctl.app import attached, discover, kinds, recorded
from labctl.app.graph import looks_like_a_file
from labctl.app.kinds import Kind
from labctl.errors import LabctlError, Problems, Span
from labctl.ingest import recorded as ingest
from labctl.linux import whole
from labctl.model.event import Emit, ignore
from labctl.model.routes import Route, RouteComparison, RouteDifference, RouteTables, SessionDifference
from labctl.model.verdict import Verdict
from labctl.run import observe
from labctl.runtime.store import Instance
from labctl.schema import files

NO_VRFS: Final = "labs have no VRFs"


def compare(
    lab: str | None, reference: str, instance: Instance, *, start: str | None = None, emit: Emit = ignore
) -> RouteComparison:
    """The lab's routes against those of `reference`: a running lab's name, a file that `save` wrote, a snapshot
    directory with recorded answers, or an inventory whose devices are asked now.

    start: `LAB:NODE`, the node of a lab from inside which they are asked.
    """
    live = looks_like_a_file(reference) and kinds.what(reference) is Kind.INVENTORY
    if start is not None and not live:
        raise LabctlError(
            "bad-option",
            f"{reference!r} is no inventory, so there is nobody to ask",
            where=Span("--from"),
            hint="leave --from out, or compare with an inventory",
        )
    if ingest.is_recorded(reference):
        return recorded.compare(recorded.read(reference), load(lab, instance))
    if live:
        inside = discover.namespace(start) if start else None
        return recorded.compare(recorded.ask(reference, inside=inside, emit=emit), load(lab, instance))
    there = load(reference, instance)
    return routes.compare(there, load(lab, instance))


def load(source: str | None, instance: Instance) -> RouteTables:
    """What a lab routes by now, or what the file says."""
    if source is not None and looks_like_a_file(source):
        kinds.need(source, "compare", Kind.ROUTES)
        return read(source)
    return observe.tables(attached.own(instance, source))


def read(path: str) -> RouteTables:
    """The routes of a file; `bad-address` for a prefix that is none."""
    found = files.load(RouteTables, path)
    problems = Problems()
    said = [(node, route.prefix) for node, routes in found.routes.items() for route in routes or ()]
    for where, prefix in [("management", each) for each in found.management] + said:
        try:
            ip_network(prefix)
        except ValueError:
            problems.add("bad-address", f"{where}: {prefix!r} is not a prefix", where=Span(path))
    problems.stop()
    return found


def save(lab: str | None, path: str, instance: Instance, only: Collection[str] | None = None) -> RouteTables:
    """Write what the lab routes by now to a file that later labs can be compared with. `only`: of these nodes."""
    whole.check(path)
    found = load(lab, instance)
    if only is not None:
        found = replace(found, routes={node: said for node, said in found.routes.items() if node in only})
    whole.write(path, files.dump(found).encode())
    return found


def verdict(comparison: RouteComparison, *, same_nodes: bool = False) -> Verdict:
    """FAIL for a difference; UNKNOWN when nothing could be compared, a node that both have could not be read, or
    production has routes in VRFs, which labs do not have.

    A node that only one of the two has is no part of what is compared (a management station, a site that was not
    rendered), so it is told and changes no verdict; with `same_nodes` it is a difference.
    """
    if (
        comparison.differences
        or comparison.session_differences
        or (same_nodes and (comparison.only_production or comparison.only_shadow))
    ):
        return Verdict.FAIL
    unknown = comparison.unread or comparison.unsupported or not comparison.compared
    return Verdict.UNKNOWN if unknown else Verdict.PASS


def summary(comparison: RouteComparison) -> str:
    """What was compared and what was not, in a line."""
    if not comparison.nodes and not comparison.unread:
        text = "the two have no node in common"
    else:
        equal, routes = share(comparison.equal, comparison.compared), plural(comparison.compared, "route")
        text = f"{equal} of {routes} on {plural(comparison.nodes, 'node')} equal"
    for what, equal_ones, of in (
        ("own addresses", comparison.own_equal, comparison.own_compared),
        ("sessions", comparison.sessions_equal, comparison.sessions_compared),
    ):
        if of:
            text += f"; {share(equal_ones, of)} of {of} {what}"
    if comparison.unsupported:
        there = sum(count for _, _, count in comparison.unsupported)
        text += f"; {plural(there, 'route')} in VRFs not compared"
    for names, why in (
        (comparison.unread, "could not be read"),
        (comparison.only_production, "only in the reference"),
        (comparison.only_shadow, "only in the lab"),
    ):
        if names:
            text += f"; {plural(len(names), 'node')} {why}"
    return text


def as_json(comparison: RouteComparison, *, same_nodes: bool = False) -> dict[str, Any]:
    """What `--format json` prints."""
    return {
        "version": 1,
        "verdict": verdict(comparison, same_nodes=same_nodes).value,
        "compared": comparison.compared,
        "equal": comparison.equal,
        "nodes": comparison.nodes,
        "differences": [_difference(each) for each in comparison.differences],
        "own_addresses": {"compared": comparison.own_compared, "equal": comparison.own_equal},
        "sessions": {
            "compared": comparison.sessions_compared,
            "equal": comparison.sessions_equal,
            "differences": [_session(each) for each in comparison.session_differences],
            "stuck_alike": [str(each) for each in comparison.stuck_alike],
        },
        "ignored": dict(comparison.ignored),
        "unsupported": [
            {"node": node, "vrf": vrf, "routes": count, "reason": NO_VRFS}
            for node, vrf, count in comparison.unsupported
        ],
        "unread": list(comparison.unread),
        "only_reference": list(comparison.only_production),
        "only_lab": list(comparison.only_shadow),
    }


def _difference(each: RouteDifference) -> dict[str, Any]:
    return {
        "node": each.node,
        "prefix": each.prefix,
        "kind": each.kind,
        "reference": _route(each.production),
        "lab": _route(each.shadow),
        "reason": each.reason,
        "rule": each.rule,
    }


def _session(each: SessionDifference) -> dict[str, Any]:
    return {
        "node": each.node,
        "kind": each.kind,
        "peer": each.peer,
        "interface": each.interface,
        "reference": each.production,
        "lab": each.shadow,
        "reason": each.reason,
        "rule": each.rule,
    }


def _route(route: Route | None) -> dict[str, Any] | None:
    if route is None:
        return None
    return {
        "protocol": route.protocol,
        "distance": route.distance,
        "metric": route.metric,
        "next_hops": [{"via": h.via, "interface": h.interface} for h in sorted(route.next_hops)],
    }
