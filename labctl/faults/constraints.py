"""What a trial may never do, judged on the graph before anything is touched.

Constraints are asked of a plan, not of a fault: two cuts that are harmless alone may separate what must stay together, and
only while both are active. So a plan is looked at phase by phase (`faults.phases`), with the cables and nodes of each phase
taken away. What a graph cannot know (routing, timers) it does not know here either; `Predicted.unknown` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import networkx as nx

from labctl.errors import Problems
from labctl.faults.draw import Draw
from labctl.faults.phases import course
from labctl.faults.predict import Break, broken_by, cables_of_ports
from labctl.faults.reduce import faults
from labctl.model.campaign import AtMost, Constraint, Measured, NeverCut, NeverTouch, NotTogether
from labctl.model.effects import HalfCable, PortRef
from labctl.model.scenario import Plan, PlannedFault, Query, Targets
from labctl.names import CableId, PortId
from labctl.topo import query
from labctl.topo.query_graph import Graph

_MOST = 4


@dataclass(slots=True)
class Judge:
    """The constraints on one lab: their queries are evaluated once, so a wrong one is said before anything is drawn."""

    constraints: tuple[Constraint, ...]
    graph: Graph
    _cables: Mapping[PortId, CableId] = field(init=False)
    _selected: dict[Query, Targets] = field(init=False, default_factory=dict)
    _parts: dict[Break, dict[str, int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._cables = cables_of_ports(self.graph)
        problems = Problems()
        for wanted in (each for constraint in self.constraints for each in _queries(constraint)):
            found = problems.attempt(partial(query.select, wanted, self.graph, Draw(seed=0)))
            if found is not None:
                self._selected[wanted] = found
        problems.stop()

    def refusal(self, plan: Plan) -> tuple[str, str] | None:
        """The first constraint that is against the plan, in words, and what the plan would do."""
        for constraint in self.constraints:
            why = self._against(constraint, plan)
            if why:
                return constraint.words, f"{why} ({constraint.why})" if constraint.why else why
        return None

    def _against(self, constraint: Constraint, plan: Plan) -> str:
        match constraint:
            case NeverCut():
                return self._cut(constraint, plan)
            case NeverTouch(target=target):
                hit = sorted(self._names(self._selected[target]) & self._touched(faults(plan.root)))
                return f"it would touch {_few(hit)}" if hit else ""
            case NotTogether(target=target):
                hit = sorted(self._names(self._selected[target]) & self._touched(faults(plan.root)))
                return f"it would touch {_few(hit)}" if len(hit) > 1 else ""
            case AtMost():
                found = _measured(constraint.what, plan)
                return f"it would be {found}, and {constraint.most} may be" if found > constraint.most else ""

    def _cut(self, constraint: NeverCut, plan: Plan) -> str:
        """Pairs that have a way in the whole lab and none in some phase; an end without power has none."""
        pairs = [
            (one, other)
            for one in self._selected[constraint.one].nodes
            for other in self._selected[constraint.other].nodes
            if one != other
        ]
        whole = self._parts_without(Break(cables=frozenset(), nodes=frozenset()))
        for phase in course(plan.root).phases:
            left = self._parts_without(broken_by(phase.active, self._cables))
            for one, other in pairs:
                if whole[one] == whole[other] and (one not in left or left[one] != left.get(other)):
                    by = ", ".join(sorted({effect.id for effect in phase.active}))
                    return f"{one} and {other} would have no way left during {by}"
        return ""

    def _parts_without(self, broken: Break) -> dict[str, int]:
        """Node -> number of its connected part; nodes without power have none."""
        if broken not in self._parts:
            left = nx.Graph()
            left.add_nodes_from(n for n in self.graph.multi.nodes if n not in broken.nodes)
            left.add_edges_from(
                (u, v)
                for u, v, key in self.graph.multi.edges(keys=True)
                if key not in broken.cables and u in left and v in left
            )
            parts = enumerate(nx.connected_components(left))
            self._parts[broken] = {node: number for number, part in parts for node in part}
        return self._parts[broken]

    def _names(self, targets: Targets) -> frozenset[str]:
        """Of ports, their cables: a fault on a port is one on its cable."""
        cables = {str(self.graph.ports[port].id) for port in targets.ports}
        return frozenset({*map(str, targets.cables), *targets.nodes, *cables})

    def _touched(self, planned: Iterable[PlannedFault]) -> frozenset[str]:
        """Every node and cable that is acted on, the dark cables of a dead node included."""
        names: set[str] = set()
        for on in (span.effect.on for fault in planned for span in fault.spans):
            match on:
                case HalfCable():
                    names.add(str(on.cable))
                case PortRef():
                    names.add(str(self._cables[on.port]))
                case _:
                    names.add(on.node)
        return frozenset(names)


def _queries(constraint: Constraint) -> tuple[Query, ...]:
    match constraint:
        case NeverCut(one=one, other=other):
            return (one, other)
        case NeverTouch(target=target) | NotTogether(target=target):
            return (target,)
        case AtMost():
            return ()


def _measured(what: Measured, plan: Plan) -> int:
    match what:
        case Measured.LINKS:
            return len(plan.predicted.links)
        case Measured.NODES:
            return len(plan.predicted.nodes)
        case Measured.PAIRS:
            return plan.predicted.max_unreachable_pairs


def _few(names: list[str]) -> str:
    return ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
