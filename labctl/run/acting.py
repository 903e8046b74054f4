"""What a run does to its lab: effects begin and end when they are due, and are made when the world says so.

Asking and being answered are two things. A reboot, a process that is started again, a configuration that goes back take
seconds; if the engine waited for each answer, a fault that is due meanwhile would be late because of us. So a request is
sent and its answer is heard of whenever it comes; requests have numbers, by which the journal pairs them. Requests are
begun in the order in which they are sent, and sent a little before their time, so that the world can get ready.

A fault is looked at again only while nothing that was asked for is under way in the same places: what is half done is
neither as it was nor as it is to be.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.agent import codec
from labctl.errors import LabctlError
from labctl.model.effects import ConfigRef, Effect, HalfCable, NodeRef, PortRef, ProcessRef, Resource
from labctl.model.scenario import PlannedFault
from labctl.run.book import Book
from labctl.run.world import LEAD_S, Changed, Clock, Looked, Wanted, World

#: Effects that are due within this time of each other begin in one request.
TOGETHER_S = 0.0005
#: Active faults are looked at again so long after they were made and before they end (and a little more for each
#: resource), at most so often in between, and for no more than a share of the time.
SOON_S, LAST_S, EACH_S, AGAIN_S, SHARE = 0.02, LEAD_S + 0.05, 0.004, 2.0, 0.02
#: A process that was started again behind our back is dead again after this time: one look in between is no proof.
TWICE_S = 0.4
NEVER = float("inf")


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """An effect of a fault begins or ends."""

    at: float
    order: int
    begins: bool = field(compare=False)
    fault: PlannedFault = field(compare=False)
    span: int = field(compare=False)
    until: float = field(compare=False)

    @property
    def effect(self) -> Effect:
        return self.fault.spans[self.span].effect


class Acting:
    """The effects of one run. grace_s: how much longer than planned one may last when its end cannot be asked for."""

    def __init__(self, world: World, clock: Clock, book: Book, *, grace_s: float) -> None:
        self._world, self._clock, self._book, self._grace_s = world, clock, book, grace_s
        self._queue: list[Due] = []
        self._looks: list[float] = []  # when to look at the active faults again
        self._order = itertools.count()
        self._numbers = itertools.count(1)
        self._active: dict[str, dict[int, Due]] = {}  # fault -> span -> how it began
        self._unanswered: dict[int, list[Due]] = {}  # by number of the request
        self._looking: tuple[int, float, Sequence[str]] | None = (
            None  # a look's number, when, at which faults
        )
        self.last_change = clock.now()  # of an effect: when it was due
        self.last_made = -NEVER  # when the last answer came
        self.last_ended: tuple[str, ...] = ()  # faults
        self.refused = ""  # why the run cannot go on

    @property
    def names(self) -> Collection[str]:
        """The active faults."""
        return self._active

    @property
    def next_ask(self) -> float:
        """When to ask for what is due next."""
        if not self._queue:
            return NEVER
        at = self._queue[0].at
        return at - self._world.lead_s([each.effect for each in self._queue if each.at <= at + TOGETHER_S])

    @property
    def next_look(self) -> float:
        """When to look at active faults again; there is one look at a time."""
        return self._looks[0] if self._looks and self._looking is None else NEVER

    @property
    def unanswered(self) -> bool:
        """Something was asked for and nobody has said yet that it was made."""
        return bool(self._unanswered)

    @property
    def over(self) -> bool:
        """Nothing is due and nothing is under way."""
        return not self._queue and not self._unanswered

    def schedule(self, fault: PlannedFault, start: float) -> float:
        """Queue the fault's effects; when it will be over."""
        for i, span in enumerate(fault.spans):
            begin, end = start + span.start_s, start + span.end_s
            for at, begins in ((begin, True), (end, False)):
                heapq.heappush(self._queue, Due(at, next(self._order), begins, fault, i, end))
        end = max([start + fault.for_s, *(start + span.end_s for span in fault.spans)])
        last = end - LAST_S - EACH_S * len({span.effect.on for span in fault.spans})
        for at in (last - TWICE_S, last):
            if at > start + SOON_S:
                heapq.heappush(self._looks, at)
        return end

    # -- asking and hearing ------------------------------------------------------------------------------------

    def ask(self, now: float) -> None:
        """What is due next begins and ends, in one request with all that is due with it or by now. Waits for nothing."""
        batch: list[Due] = []
        number = next(self._numbers)
        self._unanswered[number] = (
            batch  # first of all: an interruption from here on must find something to clear
        )
        latest = max(self._queue[0].at, now) + TOGETHER_S
        while self._queue and self._queue[0].at <= latest:
            batch.append(heapq.heappop(self._queue))
        for each in batch:
            if each.begins:
                self._active.setdefault(each.fault.id, {})[each.span] = each
        for each in batch:
            if not each.begins:
                self._active.get(each.fault.id, {}).pop(each.span, None)
        touched = dict.fromkeys(each.fault.id for each in batch)
        begin = [self._wanted(fault, now) for fault in touched if self._active[fault]]
        end = [fault for fault in touched if not self._active[fault]]
        for fault in end:
            del self._active[fault]
        at = min(each.at for each in batch)
        self._asked(number, at, batch)
        self._world.change(number, begin, end, at)

    def hear(self, until: float) -> None:
        """Wait for the answer to something, no longer than until then; note what was answered."""
        if not self._unanswered and self._looking is None:
            self._clock.sleep_until(until)
            return
        for answer in sorted(self._world.answers(until), key=lambda each: each.request):
            if isinstance(answer, Looked):
                self._looked(answer)
            else:
                self._made(answer, self._unanswered.pop(answer.request))

    def clear(self) -> None:
        """End every effect now, in whatever state the run is, and wait until that is so. Nothing to end costs nothing."""
        self._queue.clear()
        if not self._active and not self._unanswered:
            return
        now = self._clock.now()
        ended = [
            Due(now, next(self._order), begins=False, fault=d.fault, span=d.span, until=now)
            for spans in self._active.values()
            for d in spans.values()
        ]
        number = next(self._numbers)
        self._asked(number, now, ended)
        self._active.clear()
        changed = self._world.clear(number)
        ending = [d for batch in self._unanswered.values() for d in batch if not d.begins]
        self._unanswered.clear()
        self._made(changed, [*ending, *ended])

    def _wanted(self, fault: str, now: float) -> Wanted:
        spans = self._active[fault].values()
        return Wanted(
            fault=fault,
            effects=tuple(each.effect for each in spans),
            lease_s=max(each.until for each in spans) - now + self._grace_s,
        )

    def _asked(self, number: int, at: float, batch: Sequence[Due]) -> None:
        if batch:
            self.last_change = at
        self.last_ended = tuple(dict.fromkeys(d.fault.id for d in batch if not d.begins)) or self.last_ended
        self._book.note(
            "asked",
            request=number,
            due=at,
            begin=[_entry(each) for each in batch if each.begins],
            end=[_entry(each) for each in batch if not each.begins],
        )

    def _made(self, changed: Changed, batch: Sequence[Due]) -> None:
        self.last_made = self._clock.now()
        self._book.note_soon(
            "made",
            request=changed.request,
            readings=list(changed.readings),
            refused=dict(changed.refused),
        )
        for name, begins in dict.fromkeys((each.fault.id, each.begins) for each in batch):
            said = next(each.fault.said for each in batch if each.fault.id == name)
            self._book.tell(
                "fault-begun" if begins else "fault-ended", f"{name} {'begins' if begins else 'ends'}: {said}"
            )
        if changed.refused:
            why = "; ".join(f"{fault}: {said}" for fault, said in changed.refused.items())
            self._book.note("refused", faults=dict(changed.refused))
            self.refused = f"ended early, an effect did not take: {why}"
        if self._active:
            heapq.heappush(self._looks, self.last_made + SOON_S)

    # -- looking again -----------------------------------------------------------------------------------------

    def look_again(self, now: float) -> None:
        """Ask whether what was made is still so; what is not is looked at once more before it is believed."""
        while self._looks and self._looks[0] <= now:
            heapq.heappop(self._looks)
        under_way = {place for batch in self._unanswered.values() for place in _places(batch)}
        still = [
            fault for fault, spans in self._active.items() if under_way.isdisjoint(_places(spans.values()))
        ]
        if not still:
            return
        number = next(self._numbers)
        self._looking = number, now, still
        try:
            self._world.effects(number, still)
        except LabctlError as error:
            if error.code == "no-lab":
                raise
            self._looked(Looked(request=number, failed=error.message))

    def _looked(self, answer: Looked) -> None:
        if self._looking is None or self._looking[0] != answer.request:
            return
        _, began, still = self._looking
        self._looking = None
        failed = [{"fault": fault, "note": f"nobody could look: {answer.failed}"} for fault in still]
        seen = failed if answer.failed else answer.looks
        done = self._clock.now()
        self._book.note("looked", looks=list(seen))
        wrong = any(each["note"] for each in seen)
        again = TWICE_S if wrong else max(AGAIN_S, (done - began) / SHARE)
        if self.next_look > done + again:
            heapq.heappush(self._looks, done + again)


def _places(dues: Iterable[Due]) -> set[str]:
    """The nodes in which, or at whose cables, these effects are."""
    return {place for due in dues for place in _nodes(due.effect.on)}


def _nodes(on: Resource) -> tuple[str, ...]:
    match on:
        case HalfCable():
            return on.cable.a.node, on.cable.z.node
        case PortRef():
            return (on.port.node,)
        case NodeRef() | ProcessRef() | ConfigRef():
            return (on.node,)


def _entry(due: Due) -> Mapping[str, Any]:
    on = due.effect.on
    return {
        "fault": due.fault.id,
        "span": due.span,
        "kind": due.fault.kind,
        "said": due.fault.said,
        "on": str(on.cable) if isinstance(on, HalfCable) else str(on),
        "cable": isinstance(on, HalfCable),
        "effect": codec.effect(due.effect),
        "resource": codec.resource(on),
    }
