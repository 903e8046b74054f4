"""Whether a predicted blast radius is within what the scenario allows itself. An excess is refused before anything is
touched, however good the reason for it sounds at the keyboard: the limit is in the file, and the file is reviewed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labctl.errors import LabctlError, Problems, Span
from labctl.faults.draw import Draw
from labctl.faults.predict import cables_of_ports
from labctl.model.effects import HalfCable, PortRef
from labctl.model.scenario import BlastRadius, PlannedFault, Predicted, Query
from labctl.names import CableId, PortId
from labctl.topo import query
from labctl.topo.query_graph import Graph

_MOST = 4


def check(
    limit: BlastRadius,
    predicted: Predicted,
    faults: Mapping[str, PlannedFault],
    graph: Graph,
    problems: Problems,
) -> None:
    """A problem for each limit that is exceeded, and for each fault that touches what is forbidden."""
    for noun, most, found in (
        ("link", limit.max_links, predicted.links),
        ("node", limit.max_nodes, predicted.nodes),
    ):
        if most is not None and len(found) > most:
            named = ", ".join(map(str, found[:_MOST])) + ("…" if len(found) > _MOST else "")
            said = f"{_count(len(found), noun)} would be touched ({named}), and {most} may be"
            _exceeds(problems, said, limit.where)
    pairs, most_pairs = predicted.max_unreachable_pairs, limit.max_unreachable_pairs
    if most_pairs is not None and pairs > most_pairs:
        worst = max(predicted.lost, key=lambda each: each.pairs)
        apart = " | ".join(_few(part) for part in worst.parts)
        said = f"{_count(pairs, 'pair')} of nodes would lose each other ({apart}), and {most_pairs} may"
        _exceeds(problems, said, limit.where)
    cables = cables_of_ports(graph)
    names = {fault.id: _names(fault, cables) for fault in faults.values()}
    for forbidden in limit.forbid:
        items = _items(forbidden, graph, problems)
        hit = {id_: sorted(found & items) for id_, found in names.items() if found & items}
        for where, id_ in {faults[id_].where: id_ for id_ in reversed(hit)}.items():  # once for each step
            what = ", ".join(hit[id_][:_MOST])
            said = f"{id_} would touch {what}, which `forbid: {forbidden.expression}` forbids"
            _exceeds(problems, said, where)


def _items(wanted: Query, graph: Graph, problems: Problems) -> frozenset[str]:
    """Names of what the query selects now, and of the cables of selected ports."""
    try:
        targets = query.select(wanted, graph, Draw(seed=0))
    except LabctlError as error:
        problems.extend(error)
        return frozenset()
    cables = {str(graph.ports[port].id) for port in targets.ports}
    return frozenset({*map(str, targets.cables), *targets.nodes, *cables})


def _names(fault: PlannedFault, cables: Mapping[PortId, CableId]) -> frozenset[str]:
    """Every node and cable that the fault acts on, the dark cables of a dead node included."""
    names: set[str] = set()
    for span in fault.spans:
        on = span.effect.on
        match on:
            case HalfCable():
                names.add(str(on.cable))
            case PortRef():
                names.add(str(cables[on.port]))
            case _:
                names.add(on.node)
    return frozenset(names)


def _exceeds(problems: Problems, said: str, where: Span | None) -> None:
    problems.add("blast-radius", said, where=where, hint="narrow the targets, or raise the limit on purpose")


def _few(part: Iterable[str]) -> str:
    names = list(part)
    return ", ".join(names) if len(names) <= _MOST else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
