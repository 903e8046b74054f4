"""A world for the engine's tests: two hosts with two ways between them, on a virtual clock.

What traffic and routing do is written out: the first way is taken while it is whole, the second one `REROUTE_S` after
the first was cut, and the first again as soon as it is back. A sleep takes no time at all. A change is answered after
`REQUEST_S`, or longer if it is a slow one, and whatever else is asked meanwhile is answered in its own time.
"""

import heapq
import itertools

from labctl.agent import codec
from labctl.errors import LabctlError
from labctl.model.effects import Direction, Down, Effect, HalfCable
from labctl.model.measure import Sample, Series, Track
from labctl.model.routes import Convergence, Route, RouteChange
from labctl.model.scenario import Plan, PlannedFault, ProbeSpec, Targets, TimedEffect
from labctl.names import CableId
from labctl.run.world import After, Changed, Looked

REQUEST_S = 0.004
REROUTE_S = 0.6
QUIET_S = 5.0
EVERY_S, LATE_S = 0.1, 1.0
FIRST, SECOND = (CableId.parse(f"r1:eth{n}--r2:eth{n}") for n in (1, 2))
PING = ProbeSpec(
    id="ping", kind="ping", settings={"from": "h1", "to": "h2", "every_s": EVERY_S, "late_s": LATE_S}
)


class Clock:
    """at: things that happen by themselves when time gets there, each once."""

    def __init__(self):
        self.t = 1000.0
        self.sleeps = 0
        self.at = []

    def now(self):
        return self.t

    def sleep_until(self, t):
        self.sleeps += 1
        if self.sleeps > 100_000:
            raise AssertionError("the engine does not get on")
        while self.at and self.at[0][0] <= t:
            when, act = self.at.pop(0)
            self.t = max(self.t, when)
            act()
        self.t = max(self.t, t)


class World:
    """refuse: faults whose effects do not take; sticky: what stays behind; restless: routing never settles; back_s: how
    long after the last change of a cable a route is still not as before, though routing is quiet. slow: fault -> how long
    its end takes; glance_s: how long a look at the active faults takes.
    """

    def __init__(
        self,
        clock,
        *,
        refuse=(),
        sticky=(),
        restless=False,
        others=(),
        lossy=False,
        back_s=0.0,
        strays=None,
        deaf=0,
        slow=None,
        glance_s=0.0,
        lead=0.0,
    ):
        self.lead = lead
        self.slow, self.glance_s = slow or {}, glance_s
        self.under_way = []  # (when it is done, order, request, what it is then)
        self.order = itertools.count()
        self.back_s = back_s
        self.clock = clock
        self.refuse, self.sticky, self.restless = set(refuse), tuple(sticky), restless
        self.lossy, self._others, self.strays = lossy, tuple(others), strays or {}
        self.deaf = deaf
        self.active = {}  # fault -> effects
        self.history = [(0.0, frozenset())]  # when, cables that are down from then on
        self.requests = []  # (when, faults that began, faults that ended)
        self.leases = {}
        self.began = self.ended = None
        self.dead = self.gone = False  # nobody answers any more; there is nobody any more

    # -- what the engine asks ----------------------------------------------------------------------------------

    def begin(self, probes):
        self.began = self.clock.now()
        self.probes = probes
        return {p.id: f"{p.settings['from']} → {p.settings['to']}" for p in probes}

    def prepare(self, effects):
        self.prepared = [e.id for e in effects]

    def lead_s(self, effects):
        return self.lead

    def change(self, request, begin, end, at):
        now = self.clock.now()
        self.requests.append((now, tuple(w.fault for w in begin), tuple(end)))
        for wanted in begin:
            self.leases[wanted.fault] = wanted.lease_s
        done = max(now, at) + max([REQUEST_S, *(self.slow.get(fault, 0.0) for fault in end)])
        heapq.heappush(self.under_way, (done, next(self.order), request, begin, end, max(now, at)))

    def answers(self, until):
        found = []
        while self.under_way and self.under_way[0][0] <= max(until, self.clock.now()):
            if found and self.under_way[0][0] > self.clock.now():
                break
            done, _, request, begin, end, asked = heapq.heappop(self.under_way)
            self.clock.sleep_until(done)
            if end is None:
                found.append(self.looked(request, begin))
                continue
            found.append(self.make(request, begin, end, asked))
        if not found:
            self.clock.sleep_until(until)
        return found

    def make(self, request, begin, end, asked):
        touched = [e for f in end for e in self.active.pop(f, ())]
        for wanted in begin:
            touched += [e for e in self.active.get(wanted.fault, ()) if e not in wanted.effects]
            touched += wanted.effects
            if wanted.fault not in self.refuse:
                self.active[wanted.fault] = wanted.effects
        self.note()
        refused = {w.fault: "it stays as it was" for w in begin if w.fault in self.refuse}
        return Changed(
            request=request,
            readings=[self.reading(e, e.id not in refused, asked) for e in touched],
            refused=refused,
        )

    def effects(self, request, faults):
        if self.deaf:
            self.deaf -= 1
            raise LabctlError("agent-unreachable", "gone")
        done = self.clock.now() + max(REQUEST_S, self.glance_s)
        heapq.heappush(self.under_way, (done, next(self.order), request, faults, None, self.clock.now()))

    def looked(self, request, faults):
        """strays: fault -> when somebody else undid it."""
        looks = [
            {
                "fault": fault,
                **codec.resource(effect.on),
                "note": "somebody raised it" if self.clock.t >= self.strays.get(fault, 1e9) else "",
                "found": "dark",
                "counts": {},
            }
            for fault in faults
            for effect in self.active.get(fault, ())
        ]
        return Looked(request=request, looks=looks)

    def clear(self, request):
        asked = self.clock.now()
        ends = dict.fromkeys(self.active)
        self.under_way = [each for each in self.under_way if each[4] is not None]
        late = [self.make(number, *rest) for _, _, number, *rest in sorted(self.under_way)]
        done = max([asked + REQUEST_S, *(each[0] for each in self.under_way)])
        self.under_way.clear()
        ends |= dict.fromkeys(self.active)
        self.requests.append((asked, (), tuple(ends)))
        self.clock.t = max(self.clock.t, done)
        made = self.make(request, (), tuple(ends), asked)
        return Changed(request=request, readings=[r for each in (*late, made) for r in each.readings])

    def look(self, phase, since):
        changes = [c for c in self.route_changes() if c.t >= since]
        last = max([since, *(c.t for c in changes)])
        now = self.clock.now()
        return Convergence(
            phase=phase,
            settled=not self.restless and now - last >= QUIET_S,
            start=since,
            took_s=last - since,
            waited_s=now - since,
            quiet_s=QUIET_S,
            route_changes=tuple(changes),
        )

    def recent(self, window):
        assert window.end <= self.clock.now() - LATE_S
        return {p.id: self.track(window.start, window.end) for p in self.probes}

    def changes(self, since):
        return tuple(c for c in self.route_changes() if c.t >= since), ()

    def remember(self):
        self.remembered = self.clock.now()

    def after(self):
        late = self.clock.now() < self.history[-1][0] + self.back_s
        return After(changed=tuple(self.route_changes())[:1] if late else (), lost_sessions=())

    def need(self):
        if self.gone:
            raise LabctlError("no-lab", "the lab is gone")

    def left(self):
        self.need()
        if self.dead:
            raise LabctlError("agent-unreachable", "nobody answers")
        return (*self.sticky, *(f"fault {f} is active" for f in self.active))

    def others(self):
        return self._others

    def stop(self):
        self.ended = self.clock.now()
        return {p.id: self.track(self.began, self.ended) for p in self.probes}

    # -- what happens in it ------------------------------------------------------------------------------------

    def note(self):
        down = frozenset(e.on.cable for each in self.active.values() for e in each)
        if down != self.history[-1][1]:
            self.history.append((self.clock.now(), down))

    def reading(self, effect, taken, asked):
        now = {"host": "local", "monotonic": self.clock.now(), "boot": 0.0, "wall": 0.0}
        return codec.resource(effect.on) | {
            "asked": now | {"monotonic": asked}, "applied": now, "read": now, "changed": True, "taken": taken, "note": ""
        }  # fmt: skip

    def answered(self, t):
        since, down = [h for h in self.history if h[0] <= t][-1]
        if SECOND in down:
            return FIRST not in down
        return FIRST not in down or t - since >= REROUTE_S

    def track(self, start, end):
        first = int((start - self.began) / EVERY_S + 0.999)
        samples = []
        for seq in range(max(0, first), int((end - self.began) / EVERY_S) + 1):
            t = self.began + seq * EVERY_S
            ok = self.answered(t) and not (self.lossy and seq % 2)
            samples.append(Sample(seq=seq, sent=t, value=0.01 if ok else None))
        series = Series(subject="h1 → h2")
        return Track(series=series, interval_s=EVERY_S, late_s=LATE_S, samples=tuple(samples))

    def route_changes(self):
        found = []
        for t, down in self.history[1:]:
            at = t + REROUTE_S if FIRST in down else t
            way = Route(prefix="10.2.0.0/24", protocol="ospf")
            if at <= self.clock.now():
                found.append(RouteChange(t=at, node="r1", prefix="10.2.0.0/24", before=way, after=way))
        return found


def cut(name, cable=FIRST, for_s=10.0, spans=None):
    """A cable cut, or one that flaps."""
    return PlannedFault(
        id=name,
        kind="link.down",
        said=f"{cable} down",
        targets=Targets(cables=(cable,)),
        for_s=for_s,
        spans=tuple(
            TimedEffect(
                start_s=start, end_s=end, effect=Effect(id=name, on=HalfCable(cable, d), change=Down())
            )
            for start, end in spans or ((0.0, for_s),)
            for d in Direction
        ),
    )


def plan(root, **more):
    return Plan(**({"scenario": "test", "lab": "lab", "seed": 7, "root": root, "probes": (PING,)} | more))
