"""Wait until routing has settled, and write down every change on the way.

Settled means: no route of any node and no adjacency changed for `quiet` seconds, where quiet is the longest of five
seconds, the longest hello interval in use and a little more than the longest time that BGP keeps news back from a peer
that is up (asked from the daemons, so defaults count); no OSPF interface still
waits for a DR election, no OSPF neighbour for link-state it has not acknowledged (retransmission leaves gaps of
eight quiet seconds in the middle of a convergence) and no router for the time it computes its routes at (IOS puts that
off by ten seconds); and every daemon that is to run answers. A session that is not up and does not move is
*stuck*: it is listed and does not hold the wait, because it will be exactly as stuck in an hour. What still changes
at the timeout is not settled, and a verdict that rests on it is UNKNOWN.

A `Watch` runs for as long as its `with` block, in two threads: one is woken by route events, the other asks for
adjacencies once a second. So a daemon that hangs makes nobody's route changes late. Its sessions are not known
meanwhile, which is not the same as gone: only a daemon that is not there takes its sessions with it. Waiting is a
question put to the watch (`settle`), as often as the run needs. Quiet is what the watch saw: a time in which it did not run (a
machine that stood still) does not count.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from labctl.analyze import converge as judge
from labctl.linux.routes import RouteEvent, RouteReader
from labctl.model.event import Emit, Event, ignore
from labctl.model.routes import Adjacency, AdjacencyChange, Convergence, Fib, RouteChange
from labctl.probes import frr

QUIET_S = 5.0
GRACE_S = 30.0  # a daemon that has not answered by then, with all else quiet, is listed as silent
COALESCE_S = 0.03  # after an event, before the table is read again
POLL_S = 1.0
PATIENCE_S = 1.0  # looks that are further apart have a gap between them
MARGIN_S = 2.0  # news that were kept back go out when the interval ends, and are then to be taken in


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A node to watch: its namespace, and how to ask its daemons (None: it has none, only its kernel is watched)."""

    node: str
    netns: str
    daemons: frr.Daemons | None = None
    which: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Node:
    target: Target
    reader: RouteReader
    fib: Fib = field(default_factory=dict)
    dirty_since: float | None = None
    read_after: float = 0.0
    prefixes: dict[str, float] = field(default_factory=dict)
    sessions: dict[str, tuple[Adjacency, ...]] = field(default_factory=dict)  # of daemons that answer
    known: dict[str, tuple[Adjacency, ...]] = field(default_factory=dict)  # the latest that is known of each
    silent: frozenset[str] = frozenset()
    hello_s: float = 0.0
    kept_back_s: float = 0.0
    waiting: int = 0
    next_poll: float = 0.0
    polled_at: float | None = None


class Watch:
    """Watches routes and adjacencies of many nodes. Everything it hands out is a value; times are monotonic."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._lock = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._nodes: list[_Node] = []
        self._routes: list[RouteChange] = []
        self._adjacencies: list[AdjacencyChange] = []
        self._last_event = 0.0
        self._looked = time.monotonic()
        self._gaps: list[tuple[float, float]] = []
        self._failed: BaseException | None = None
        self._stop = threading.Event()
        self.started = time.monotonic()
        try:
            for target in targets:
                self._add(target)
        except BaseException:
            self._close()
            raise
        self._asked = [node for node in self._nodes if node.target.daemons is not None]
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"labctl-{name}", daemon=True)
            for name, work in (("routes", self._hear), ("sessions", self._ask))
        ]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._close()

    def route_changes(self, since: float = 0.0) -> tuple[RouteChange, ...]:
        with self._lock:
            return tuple(sorted((c for c in self._routes if c.t >= since), key=_when))

    def adjacency_changes(self, since: float = 0.0) -> tuple[AdjacencyChange, ...]:
        with self._lock:
            return tuple(c for c in self._adjacencies if c.t >= since)

    def fibs(self) -> Mapping[str, Fib]:
        """The latest table of every node."""
        with self._lock:
            return {n.target.node: n.fib for n in self._nodes}

    def adjacencies(self) -> tuple[Adjacency, ...]:
        with self._lock:
            return tuple(sorted(a for n in self._nodes for s in n.sessions.values() for a in s))

    def settle(
        self,
        *,
        phase: str = "start",
        since: float | None = None,
        timeout_s: float = 120.0,
        quiet_s: float = QUIET_S,
        emit: Emit = ignore,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Convergence:
        """Wait for quiet, counted from `since` (default: now). Returns what happened, settled or not.

        At the timeout, or when `cancelled` says so, the result has settled=False. Raises what broke the watching.
        """
        start = time.monotonic() if since is None else since
        asked = time.monotonic()
        told = 0.0
        while True:
            with self._lock:
                self._lock.wait(0.2)
                if self._failed:
                    raise RuntimeError("watching the routes failed") from self._failed
                now = time.monotonic()
                state = self._state(start, quiet_s)
            settled = judge.settled(state, now=now, grace_s=GRACE_S)
            if settled or now - asked >= timeout_s or cancelled():
                return self._result(phase, state, now, settled=settled)
            if now - told >= 1.0:
                told = now
                emit(Event(kind="settling", text=judge.describe(state, now=now), passing=True))

    def look(self, *, phase: str, since: float, quiet_s: float = QUIET_S) -> Convergence:
        """How it stands right now, without waiting: what has changed since then, and whether it is quiet."""
        with self._lock:
            if self._failed:
                raise RuntimeError("watching the routes failed") from self._failed
            now = time.monotonic()
            state = self._state(since, quiet_s)
        return self._result(phase, state, now, settled=judge.settled(state, now=now, grace_s=GRACE_S))

    def _state(self, start: float, quiet_s: float) -> judge.State:
        sessions = [a for n in self._nodes for s in n.sessions.values() for a in s]
        last_change = max(start, self._last_event)
        asked = [n.polled_at for n in self._nodes if n.target.daemons is not None]
        gaps = (*self._gaps, (self._looked, time.monotonic()))
        return judge.State(
            start=start,
            last_change=last_change,
            quiet_s=max([quiet_s, *(s for n in self._nodes for s in (n.hello_s, n.kept_back_s))]),
            blind_s=judge.blind(gaps, since=last_change, patience_s=PATIENCE_S),
            polled=all(at is not None and at >= last_change for at in asked),
            waiting=sum(n.waiting for n in self._nodes),
            silent=tuple(sorted(f"{n.target.node}: {d}" for n in self._nodes for d in n.silent)),
            up=sum(a.up for a in sessions),
            stuck=tuple(sorted(a for a in sessions if not a.up)),
        )

    def _result(self, phase: str, state: judge.State, now: float, *, settled: bool) -> Convergence:
        return Convergence(
            phase=phase,
            settled=settled,
            start=state.start,
            took_s=state.last_change - state.start,
            waited_s=now - state.start,
            quiet_s=state.quiet_s,
            route_changes=self.route_changes(state.start),
            adjacency_changes=self.adjacency_changes(state.start),
            stuck=state.stuck,
            silent=state.silent,
            up=state.up,
        )

    def _add(self, target: Target) -> None:
        node = _Node(target, RouteReader(target.netns))
        self._nodes.append(node)
        node.fib = node.reader.fib()
        # spread over the second, so that a hundred nodes are not asked at once
        node.next_poll = self.started + POLL_S * (len(self._nodes) % 50) / 50
        self._selector.register(node.reader.events, selectors.EVENT_READ, node)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                work()
        except BaseException as error:  # noqa: BLE001  (raised again where `settle` waits)
            with self._lock:
                self._failed = error
                self._lock.notify_all()

    def _hear(self) -> None:
        due = [n.read_after for n in self._nodes if n.dirty_since is not None]
        for key, _ in self._selector.select(_patience(due)):
            _heard(key.data, key.data.reader.read_events(), time.monotonic())
        now = time.monotonic()
        with self._lock:
            if now - self._looked > PATIENCE_S:
                self._gaps.append((self._looked, now))
            self._looked = now
        for node in self._nodes:
            if node.dirty_since is not None and now >= node.read_after:
                self._reread(node)

    def _ask(self) -> None:
        self._stop.wait(_patience([n.next_poll for n in self._asked]))
        for node in self._asked:
            if time.monotonic() >= node.next_poll and not self._stop.is_set():
                self._poll(node)

    def _reread(self, node: _Node) -> None:
        began = time.monotonic()
        since, prefixes = node.dirty_since or began, node.prefixes
        node.dirty_since, node.prefixes = None, {}
        fib = node.reader.fib()
        changes = judge.changes(node.target.node, node.fib, fib, since=since, announced=prefixes)
        now = time.monotonic()
        node.read_after = now + max(COALESCE_S, 10 * (now - began))  # at most a tenth of the time goes here
        with self._lock:
            node.fib = fib
            self._routes.extend(changes)
            # a routing daemon that rewrites a route in place is still at work, though the table looks the same
            self._last_event = max([self._last_event, *(c.t for c in changes), *prefixes.values()])
            self._lock.notify_all()

    def _poll(self, node: _Node) -> None:
        target = node.target
        assert target.daemons is not None
        said = frr.adjacencies(target.node, target.daemons, target.which)
        sessions = {daemon: s for daemon, s in said.items() if s is not None}
        silent = frozenset(said) - sessions.keys()
        hello_s, waiting = frr.ospf_timers(target.daemons, target.which - silent)
        waiting += sum(1 for s in sessions.values() for a in s if a.up and a.pending)
        gone = {daemon: () for daemon in silent if not target.daemons.runs(daemon)}
        known = {**node.known, **sessions, **gone}
        moved = judge.up(node.known) != judge.up(known) or silent != node.silent
        if moved and "bgpd" in sessions:
            node.kept_back_s = frr.bgp_interval(target.daemons)
        now = time.monotonic()
        node.next_poll = now + POLL_S
        changes = judge.adjacency_changes(node.known, known, t=now)
        with self._lock:
            if node.polled_at is not None:
                self._last_event = max(self._last_event, now) if moved else self._last_event
                self._adjacencies.extend(changes)
            node.polled_at = now  # the first look finds what was there; nothing changed yet
            node.sessions, node.known, node.silent, node.waiting = sessions, known, silent, waiting
            node.hello_s = max(hello_s, node.hello_s) if silent else hello_s

    def _close(self) -> None:
        self._selector.close()
        for node in self._nodes:
            node.reader.close()


def _patience(due: Sequence[float]) -> float:
    now = time.monotonic()
    return max(0.0, min(0.2, min(due, default=now + 0.2) - now))


def wait_settled(
    targets: Sequence[Target],
    *,
    timeout_s: float = 120.0,
    emit: Emit = ignore,
    cancelled: Callable[[], bool] = lambda: False,
) -> Convergence:
    """For `deploy --wait`: watch these nodes until routing has settled."""
    with Watch(targets) as watch:
        return watch.settle(timeout_s=timeout_s, emit=emit, cancelled=cancelled)


def target(node: str, netns: str, root: str) -> Target:
    """A target that asks the daemons below `root` (`/proc/<pid>/root`); which ones is read from /etc/frr/daemons."""
    on = frr.enabled(root)
    if on is None:
        return Target(node=node, netns=netns)
    return Target(node=node, netns=netns, daemons=frr.VtySockets(root), which=on | {"zebra"})


def _heard(node: _Node, events: Sequence[RouteEvent], now: float) -> None:
    for event in events:
        if node.dirty_since is None:
            node.dirty_since = now
            node.read_after = max(node.read_after, now + COALESCE_S)
        if event.prefix is not None and event.routing:
            node.prefixes[event.prefix] = now


def _when(change: RouteChange) -> tuple[float, str, str]:
    return change.t, change.node, change.prefix
