"""When routing counts as settled, and what changed between two looks. The rules; `run.converge` does the looking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl.model.routes import Adjacency, AdjacencyChange, Fib, Route, RouteChange


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is known at one moment of a wait. Times on one clock; `last_change` is never before `start`.

    blind_s: of the time since the last change, how long nobody looked: it is no quiet, because a machine that stood still
    stood still with the lab.
    """

    start: float
    last_change: float
    quiet_s: float
    blind_s: float = 0.0
    polled: bool = True  # every node's daemons were asked since the last change
    waiting: int = (
        0  # OSPF: interfaces in a DR election, neighbours with unacknowledged link-state, routes to compute
    )
    silent: tuple[str, ...] = ()
    up: int = 0
    stuck: tuple[Adjacency, ...] = ()


def settled(state: State, *, now: float, grace_s: float) -> bool:
    """Quiet for long enough, nothing pending. A silent daemon may take `grace_s` to start before it is given up."""
    if not state.polled or state.waiting:
        return False
    quiet = max(state.quiet_s, grace_s) if state.silent else state.quiet_s
    return _quiet_for(state, now) >= quiet


def blind(looks: Sequence[tuple[float, float]], *, since: float, patience_s: float) -> float:
    """How much of the time after `since` lies in gaps between looks, beyond `patience_s` each.

    looks: (end of a look, beginning of the next), those that were further apart than the patience.
    """
    return sum(max(0.0, later - max(earlier, since) - patience_s) for earlier, later in looks)


def _quiet_for(state: State, now: float) -> float:
    return now - state.last_change - state.blind_s


def describe(state: State, *, now: float) -> str:
    """What the wait is for, in a line."""
    quiet = f"quiet {min(_quiet_for(state, now), state.quiet_s):.0f} of {state.quiet_s:.0f} s"
    parts = [f"routing: {state.up} adjacencies up"]
    if state.stuck:
        parts.append(f"{len(state.stuck)} not up")
    if state.waiting:
        parts.append(f"{state.waiting} OSPF exchanges unfinished")
    if state.silent:
        parts.append(f"{len(state.silent)} daemons not answering yet")
    return ", ".join([*parts, quiet])


def changes(
    node: str, before: Fib, after: Fib, *, since: float, announced: Mapping[str, float]
) -> tuple[RouteChange, ...]:
    """The prefixes whose way differs. A prefix that was announced has its own time, the others that of the event.

    Of several routes to one prefix the kernel takes the lowest priority; only that one is compared.
    """
    old, new = best(before), best(after)
    found = []
    for prefix in sorted(old.keys() | new.keys()):
        one, other = old.get(prefix), new.get(prefix)
        if _way(one) != _way(other):
            t = announced.get(prefix, since)
            found.append(RouteChange(t=t, node=node, prefix=prefix, before=one, after=other))
    return tuple(found)


def best(fib: Fib) -> dict[str, Route]:
    """prefix -> the route that the kernel uses. Link-local prefixes lead nowhere and are left out."""
    found: dict[str, Route] = {}
    for prefix, priority in sorted(fib):
        if not prefix.startswith("fe80:"):
            found.setdefault(prefix, fib[prefix, priority])
    return found


def adjacency_changes(
    before: Mapping[str, tuple[Adjacency, ...]], after: Mapping[str, tuple[Adjacency, ...]], *, t: float
) -> tuple[AdjacencyChange, ...]:
    """Sessions that came, went, or changed their state."""
    old, new = _sessions(before), _sessions(after)
    found = []
    for key in sorted(old.keys() | new.keys()):
        one, other = old.get(key), new.get(key)
        if (one and one.state) != (other and other.state):
            kind, node, peer, _ = key
            found.append(
                AdjacencyChange(
                    t=t,
                    node=node,
                    kind=kind,
                    peer=peer,
                    before=one.state if one else None,
                    after=other.state if other else None,
                )
            )
    return tuple(found)


def up(sessions: Mapping[str, tuple[Adjacency, ...]]) -> frozenset[tuple[str, str, str, str]]:
    """The adjacencies that are up. Only these hold a wait: a session that cycles Active-Connect for ever does not."""
    return frozenset(key for key, session in _sessions(sessions).items() if session.up)


def _sessions(by_daemon: Mapping[str, tuple[Adjacency, ...]]) -> dict[tuple[str, str, str, str], Adjacency]:
    return {(a.kind, a.node, a.peer, a.interface): a for each in by_daemon.values() for a in each}


def _way(route: Route | None) -> object:
    return None if route is None else (route.protocol, route.next_hops, route.kind)
