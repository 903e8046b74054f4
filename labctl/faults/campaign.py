"""Campaign + lab + seed + history -> trials, one after the other, for as long as somebody asks.

Nothing here knows what a trial came to or how long it took, so the same inputs give the same trials on any machine. Each
draw hangs on the number of the trial and on what a pool entry says (or its `id`), never on its place in the pool:
entries are ranked by an exponential race (Efraimidis and Spirakis 2006: the least `-ln(u) / weight` wins), so an entry
that is added changes only the trials that it wins, and one of weight 0 changes none.

A trial is put together fault by fault. Of the targets that an entry selects, those that were failed least recently come
first (for the first fault; those beside it are by lot); the first that no constraint forbids *beside the faults already there* is taken, and what was refused on the way is
kept. Cool-downs count planned time: a trial lasts at least as long as its plan says, so the real pause is never shorter.
Where nothing but cool-downs is against a trial, it waits.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from labctl.errors import LabctlError, Problems
from labctl.faults.base import FAULTS
from labctl.faults.constraints import Judge
from labctl.faults.draw import Draw, fingerprint
from labctl.faults.plan import plan as planned
from labctl.faults.plan import said_targets
from labctl.faults.predict import cables_of_ports, touched
from labctl.model.campaign import (
    Campaign,
    How,
    PoolEntry,
    PoolFault,
    PoolScenario,
    Refused,
    Spread,
    Trial,
)
from labctl.model.lab import LabSpec
from labctl.model.scenario import (
    Fault,
    FaultStep,
    Kind,
    Parallel,
    Plan,
    PlanStep,
    Predicted,
    Query,
    Scenario,
    Targets,
    WaitStep,
)
from labctl.model.scenario import Sequence as Steps
from labctl.names import CableId, PortId
from labctl.topo import query
from labctl.topo.query_graph import Graph, Item

#: Seeds that are tried of a scenario whose own draws are refused.
TRIES = 8
#: Refusals of a plan that are the draw's and not the file's: another target may do.
_OF_THE_DRAW = frozenset({"bad-value", "blast-radius", "empty-target", "faults-do-not-compose"})
#: How long a fault lasts while it is only asked what it would touch.
_A_WHILE_S = 60.0


def trials(
    campaign: Campaign, lab: LabSpec, seed: int, history: Mapping[str, int] | None = None
) -> Iterator[Trial]:
    """The trials of a campaign, without end. history: element -> turn at which it was last failed.

    `empty-pool` where the constraints leave nothing to draw; other errors are mistakes in the file.
    """
    drawer = _Drawer(
        campaign=campaign, graph=Graph(lab), draw=Draw(seed=seed, path=("campaign", campaign.name))
    )
    drawer.begin(history or {})
    return map(drawer.trial, itertools.count(1))


def reach(campaign: Campaign, lab: LabSpec) -> tuple[str, ...]:
    """The elements that the faults of the pool select; what scenarios touch is theirs."""
    graph = Graph(lab)
    cables = cables_of_ports(graph)
    found: set[str] = set()
    for entry in campaign.pool:
        if isinstance(entry, PoolFault) and entry.weight:
            every = query.select(replace(entry.target, pick=None), graph, Draw(seed=0))
            links = {*every.cables, *(cables[port] for port in every.ports)}
            found |= {*map(link, links), *map(node, every.nodes)}
    return tuple(sorted(found))


def link(cable: CableId) -> str:
    return f"{Kind.LINK} {cable}"


def node(name: str) -> str:
    return f"{Kind.NODE} {name}"


def elements(predicted: Predicted) -> tuple[str, ...]:
    """What a plan touches, as coverage counts it."""
    return (*map(link, predicted.links), *map(node, predicted.nodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """A trial so far. begin_s: when it is to begin, in planned time."""

    name: str
    begin_s: float
    steps: tuple[FaultStep, ...] = ()
    offsets: tuple[float, ...] = ()
    plan: Plan | None = None


@dataclass(slots=True, kw_only=True)
class _Drawer:
    campaign: Campaign
    graph: Graph
    draw: Draw
    judge: Judge = field(init=False)
    cables: Mapping[PortId, CableId] = field(init=False)
    pool: tuple[tuple[str, PoolEntry], ...] = field(init=False)  # each with the name that its draws hang on
    every: dict[str, tuple[Item, ...]] = field(init=False, default_factory=dict)
    turns: dict[str, int] = field(init=False)
    turn: int = field(init=False)
    ready: dict[str, float] = field(init=False, default_factory=dict)  # element -> end of its cool-down
    now: float = 0.0  # planned time
    refused: list[Refused] = field(init=False, default_factory=list)
    waits: list[float] = field(init=False, default_factory=list)  # when what only cools down is ready

    def begin(self, history: Mapping[str, int]) -> None:
        self.turns = dict(history)
        self.turn = max(history.values(), default=0)
        self.cables = cables_of_ports(self.graph)
        self.pool = tuple(_named(self.campaign.pool))
        problems = Problems()
        problems.attempt(self._judge)
        for key, entry in self.pool:
            if isinstance(entry, PoolFault):
                every = problems.attempt(partial(self._select, entry.target))
                self.every[key] = every or ()
        problems.stop()

    def _judge(self) -> None:
        self.judge = Judge(self.campaign.constraints, self.graph)

    def _select(self, wanted: Query) -> tuple[Item, ...]:
        found = query.select(replace(wanted, pick=None), self.graph, Draw(seed=0))
        query.select(wanted, self.graph, Draw(seed=0))  # that there are as many as are picked
        return (*found.cables, *found.nodes, *found.ports)

    # -- a trial -----------------------------------------------------------------------------------------------

    def trial(self, number: int) -> Trial:
        name = f"{self.campaign.name}-{number:03d}"
        draw = self.draw.at("trial").at(str(number))
        begin = self.now + (self.campaign.gap_s if number > 1 else 0.0)
        while True:
            self.refused, self.waits = [], []
            found = self._compose(_Try(name=name, begin_s=begin), draw)
            if found is not None:
                break
            if not self.waits:
                raise self._empty()
            begin = min(self.waits)
        touches = elements(found.predicted)
        trial = Trial(
            number=number,
            name=name,
            plan=found,
            pause_s=begin - self.now,
            start_s=begin,
            elements=touches,
            refused=tuple(dict.fromkeys(self.refused)),
        )
        self.turn += 1
        self.now = begin + found.min_s
        for each in touches:
            self.turns[each] = self.turn
            cooling = self.campaign.cooldown_s.get(Kind(each.partition(" ")[0]), 0.0)
            self.ready[each] = self.now + cooling
        return trial

    def _compose(self, so_far: _Try, draw: Draw) -> Plan | None:
        low, high = self.campaign.faults
        for slot in range(1, low + draw.integer("faults", high - low + 1) + 1):
            here = draw.at("fault").at(str(slot))
            for key, entry in sorted(self.pool, key=lambda each: _race(each[0], each[1].weight, here)):
                if isinstance(entry, PoolFault):
                    found = self._fault(key, entry, so_far, here.at(key))
                    if found is not None:
                        so_far = found
                        break
                elif slot == 1:
                    alone = self._scenario(entry, so_far, here.at(key))
                    if alone is not None:
                        return alone
            else:
                break  # nothing more fits beside what is there
        return so_far.plan

    def _fault(self, key: str, entry: PoolFault, so_far: _Try, draw: Draw) -> _Try | None:
        """The trial with a fault more, on the first target that may be; None if there is none."""
        fault = _made(entry, draw)
        for_s = cast("float", _drawn(entry.for_s, draw.at("for"), seconds=True))
        offset = round(draw.uniform("offset", 0.0, self.campaign.spread_s), 1) if so_far.steps else 0.0
        for targets in self._candidates(
            self.every[key], entry.target.pick, partial(self._rank, fault, so_far, draw)
        ):
            step = FaultStep(
                id=entry.id or entry.kind, fault=fault, target=targets, for_s=for_s, where=entry.where
            )
            if any((each.id, each.target) == (step.id, step.target) for each in so_far.steps):
                continue  # the same again, beside itself, is nothing new
            found = replace(so_far, steps=(*so_far.steps, step), offsets=(*so_far.offsets, offset))
            what = f"{fault.said()} on {said_targets(targets)}"
            said = what if fault.kind in what else f"{fault.kind} {what}"
            made = self._tried(partial(self._plan, found), said)
            if made is not None and self._may_be(made, said, so_far.begin_s):
                return replace(found, plan=made)
        return None

    def _scenario(self, entry: PoolScenario, so_far: _Try, draw: Draw) -> Plan | None:
        """The scenario alone, with the first of a few seeds whose draws may be."""
        scenario = self._with_campaign(entry.scenario)
        before: list[PlanStep] = []
        for number in range(TRIES):
            seed = draw.integer(f"seed {number}", 2**31)
            make = partial(planned, scenario, self.graph.lab, seed, self.graph)
            made = self._tried(make, f"scenario {scenario.name}")
            if made is None:
                continue
            if made.root in before:  # it draws nothing, or the same again
                continue
            before.append(made.root)
            said = f"scenario {scenario.name} on {', '.join(elements(made.predicted)) or 'nothing'}"
            if self._may_be(made, said, so_far.begin_s):
                return replace(made, scenario=so_far.name)
        return None

    def _tried(self, make: Callable[[], Plan], said: str) -> Plan | None:
        """The plan, if its own rules are not against it; else it is noted why."""
        try:
            return make()
        except LabctlError as error:
            if any(each.code not in _OF_THE_DRAW for each in error.each):
                raise
            self.refused.append(Refused(drawn=said, rule=error.code, why=error.message))
            return None

    def _may_be(self, made: Plan, said: str, begin: float) -> bool:
        """Whether neither constraints nor cool-downs are against the plan; else it is noted why."""
        against = self.judge.refusal(made)
        if against is not None:
            self.refused.append(Refused(drawn=said, rule=against[0], why=against[1]))
            return False
        cooling = {
            each: self.ready[each] for each in elements(made.predicted) if self.ready.get(each, 0.0) > begin
        }
        if cooling:
            self.waits.append(max(cooling.values()))
            last = max(cooling, key=lambda each: (cooling[each], each))
            why = f"{last} is to be left alone for {cooling[last] - begin:.0f} s more"
            self.refused.append(Refused(drawn=said, rule="cooldown", why=why))
        return not cooling

    def _plan(self, found: _Try) -> Plan:
        """All the faults at once, each after its offset; then routing settles."""
        branches = tuple(
            Steps(steps=(WaitStep(for_s=offset), step)) if offset else step
            for step, offset in zip(found.steps, found.offsets, strict=True)
        )
        faults = branches[0] if len(branches) == 1 else Parallel(steps=branches)
        settle = WaitStep(until="settled", timeout_s=self.campaign.settle_s)
        scenario = Scenario(
            name=found.name,
            timeline=Steps(steps=(faults, settle)),
            probes=self.campaign.probes,
            steady=self.campaign.steady,
            during=self.campaign.during,
            after=self.campaign.after,
            stop_when=self.campaign.stop_when,
        )
        return planned(scenario, self.graph.lab, self.draw.seed, self.graph)

    def _with_campaign(self, scenario: Scenario) -> Scenario:
        """With the campaign's probes and steady state beside its own: what must hold between trials must hold here."""
        own = {probe.id for probe in scenario.probes}
        return replace(
            scenario,
            probes=(*scenario.probes, *(p for p in self.campaign.probes if p.id not in own)),
            steady=(*scenario.steady, *(e for e in self.campaign.steady if e not in scenario.steady)),
        )

    # -- targets -----------------------------------------------------------------------------------------------

    def _candidates(
        self, every: Sequence[Item], count: int | None, rank: Callable[[Item], tuple[bool, int, float, str]]
    ) -> Iterator[Targets]:
        """What a fault may act on, best first. count: how many at once; None: all of them."""
        if count is None:
            if every:
                yield _targets(every)
            return
        ranked = sorted(every, key=rank)
        for low in range(len(ranked) - count + 1):
            yield _targets(ranked[low : low + count])

    def _rank(self, fault: Fault, so_far: _Try, draw: Draw, item: Item) -> tuple[bool, int, float, str]:
        """Not in this trial yet before what is; for its first fault, failed least recently before the rest; then by lot.

        The faults beside the first are by lot alone: or the same pairs would come round again and again.
        """
        touches = self._touched(fault, item, draw)
        first = so_far.plan is None
        busy = set() if so_far.plan is None else touches.intersection(elements(so_far.plan.predicted))
        last = min((self.turns.get(each, 0) for each in touches), default=0)
        lot = draw.uniform(f"pick {item}", 0, 1)
        return bool(busy), last if first and self.campaign.least_recent else 0, lot, str(item)

    def _touched(self, fault: Fault, item: Item, draw: Draw) -> set[str]:
        """The elements that the fault would touch there; what it cannot act on, it does not touch."""
        try:
            spans = fault.spans("", self.graph.lab, _targets((item,)), _A_WHILE_S, draw)
        except (LabctlError, ValueError):
            return set()
        links, nodes = touched((span.effect for span in spans), self.cables)
        return {*map(link, links), *map(node, nodes)}

    def _empty(self) -> LabctlError:
        """Nothing may be drawn: which rules are against it, with an example each."""
        first: dict[str, Refused] = {}
        for each in self.refused:
            first.setdefault(each.rule, each)
        count = Counter(each.rule for each in self.refused)
        examples = "; ".join(
            f"{rule} ({count[rule]}): {each.drawn}: {each.why}" for rule, each in first.items()
        )
        return LabctlError(
            "empty-pool",
            f"campaign {self.campaign.name} can draw nothing on lab {self.graph.lab.name}: {examples}",
            where=self.campaign.pool[0].where,
            hint="widen the targets of the pool, or loosen a constraint",
        )


def _named(pool: Sequence[PoolEntry]) -> Iterator[tuple[str, PoolEntry]]:
    """Entries that can be drawn, each with what its draws hang on: its id, or what it says but for the weight."""
    twins: Counter[str] = Counter()
    for entry in pool:
        if not entry.weight:
            continue
        if entry.id:
            key = f"id {entry.id}"
        elif isinstance(entry, PoolScenario):
            key = f"scenario {entry.scenario.name}"
        else:
            key = fingerprint(replace(entry, weight=1.0))
        twins[key] += 1
        yield (key if twins[key] == 1 else f"{key} #{twins[key]}"), entry


def _race(key: str, weight: float, draw: Draw) -> tuple[float, str]:
    """When the entry arrives, at a rate of its weight: the first is drawn in proportion to the weights."""
    return -math.log(1.0 - draw.at(key).uniform("race", 0.0, 1.0)) / weight, key


def _made(entry: PoolFault, draw: Draw) -> Fault:
    """The fault with its drawn settings."""
    drawn = draw.at("setting")
    values = {
        name: _drawn(value, drawn.at(name), seconds=name.endswith("_s"))
        for name, value in entry.settings.items()
    }
    try:
        return cast("Fault", cast("Any", FAULTS[entry.kind])(**values))
    except (ValueError, LabctlError) as error:
        said = f"{entry.kind}: {error} (drawn: {', '.join(f'{k} {v}' for k, v in values.items())})"
        raise LabctlError("bad-value", said, where=entry.where) from None


def _drawn(value: object, draw: Draw, *, seconds: bool = False) -> object:
    """The value, or one drawn from it; of a range, with three digits: a number that people can say again."""
    if not isinstance(value, Spread):
        return value
    if value.how is How.CHOICE:
        return value.values[draw.integer("choice", len(value.values))]
    low, high = cast("tuple[float, float]", value.values)
    if isinstance(low, int) and isinstance(high, int) and value.how is How.UNIFORM:
        return low + draw.integer("uniform", high - low + 1)
    if value.how is How.UNIFORM:
        found = draw.uniform("uniform", low, high)
    else:
        found = math.exp(draw.uniform("loguniform", math.log(low), math.log(high)))
    if seconds and found < 1:  # 48.2 ms are a number of milliseconds, which 0.0482 s in binary is not
        found = float(f"{found * 1000:.3g}") * 1e-3
    found = min(max(float(f"{found:.3g}") if found >= 1 or not seconds else found, low), high)
    return round(found) if isinstance(low, int) else found


def _targets(items: Sequence[Item]) -> Targets:
    return Targets(
        cables=tuple(sorted(i for i in items if isinstance(i, CableId))),
        nodes=tuple(sorted(i for i in items if isinstance(i, str))),
        ports=tuple(sorted(i for i in items if isinstance(i, PortId))),
    )
