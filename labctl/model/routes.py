"""Routes and adjacencies as plain values, whoever was asked: a routing daemon or the kernel.

Two routes are compared by prefix, protocol and *set* of next hops, so the order in which ECMP paths are listed, or a
nexthop-group id, never looks like a difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, order=True)
class NextHop:
    """via: gateway address, or "" for a directly connected one; interface: "" where the source gives none."""

    via: str = ""
    interface: str = ""

    def __str__(self) -> str:
        if self.via and self.interface:
            return f"{self.via} ({self.interface})"
        return self.via or self.interface or "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way to one prefix. protocol in FRR's words: "connected", "local", "static", "ospf", "bgp", "kernel", …

    announced: the next hops as the protocol gave them, where `next_hops` are what they resolve to; empty: the same.
    """

    prefix: str
    protocol: str
    next_hops: frozenset[NextHop] = frozenset()
    distance: int | None = None
    metric: int | None = None
    selected: bool = True
    installed: bool = True
    kind: str = ""  # "", "blackhole", "unreachable", "prohibit"
    announced: frozenset[NextHop] = frozenset()

    def __str__(self) -> str:
        hops = ", ".join(str(h) for h in sorted(self.next_hops)) or self.kind or "nowhere"
        return f"{self.prefix} {self.protocol} via {hops}"


#: (prefix, priority) -> route: what one node's kernel forwards by.
Fib: TypeAlias = Mapping[tuple[str, int], Route]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Adjacency:
    """A routing session as one node sees it. kind: "ospf", "ospf6", "bgp"; state as the daemon prints it.

    pending: how many link-state items this neighbour still owes an acknowledgement or an answer for.
    """

    kind: str
    node: str
    peer: str  # router id or neighbour address
    interface: str = ""
    state: str = ""
    up: bool = False
    pending: int = 0

    def __str__(self) -> str:
        at = f" on {self.interface}" if self.interface else ""
        return f"{self.kind} {self.node} to {self.peer}{at}: {self.state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteChange:
    """A node's way to a prefix changed at time `t`. None: there was, or is, no route."""

    t: float
    node: str
    prefix: str
    before: Route | None
    after: Route | None

    @property
    def what(self) -> str:
        if self.before is None:
            return "appeared"
        return "vanished" if self.after is None else "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjacencyChange:
    """A session of a node came, went or changed its state. None: it was, or is, not there."""

    t: float
    node: str
    kind: str
    peer: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDifference:
    """One prefix of one node that production and shadow treat differently, and why as far as can be told.

    rule: which rule of `analyze.why` gave the reason, "unexplained" if none did; empty where none was asked.
    """

    node: str
    prefix: str
    kind: str  # "missing", "extra", "protocol", "next-hops"; "own-address" for one that is not the node's
    production: Route | None
    shadow: Route | None
    reason: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDifference:
    """A session whose state is not the same. None: the side has no such session."""

    node: str
    kind: str
    peer: str
    interface: str
    production: str | None
    shadow: str | None
    reason: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteComparison:
    """Production's routes against the shadow's. `equal` of `compared` prefixes are the same; `ignored` says what
    was left out and why (reason -> count); `unread` nodes could not be asked and make the comparison partial.
    `only_production` and `only_shadow` are nodes that the other side does not have at all: not compared, and whether
    that matters depends on what the two sides are meant to be. unsupported: (node, VRF, number of routes) of nodes that
    both have; labs have no VRFs, so these routes are neither equal nor different.
    """

    compared: int
    equal: int
    differences: tuple[RouteDifference, ...] = ()
    ignored: tuple[tuple[str, int], ...] = ()
    unread: tuple[str, ...] = ()
    nodes: int = 0
    only_production: tuple[str, ...] = ()
    only_shadow: tuple[str, ...] = ()
    own_compared: int = 0  # addresses of the nodes themselves, where production lists them
    own_equal: int = 0
    sessions_compared: int = 0
    sessions_equal: int = 0
    session_differences: tuple[SessionDifference, ...] = ()
    stuck_alike: tuple[
        Adjacency, ...
    ] = ()  # sessions of production that are not up, and are so in the shadow
    unsupported: tuple[tuple[str, str, int], ...] = ()

    @property
    def share(self) -> float | None:
        return self.equal / self.compared if self.compared else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTables:
    """The routes of one network by node, in production's names. None for a node: it could not be asked.

    management: prefixes of the management network; a route whose every next hop goes through one of
    `management_interfaces` belongs to it as well; `management_ports` are such interfaces of single nodes (`node:port`).
    own: the addresses of the node itself, as routes of protocol "local". families: what was asked for; of a family
    that one side has not recorded, nothing is compared; node_families: of single nodes. vrfs: node -> VRF -> how many
    routes it has there, which no lab can have. Saved to a file it is what a later lab is compared with.
    """

    routes: Mapping[str, tuple[Route, ...] | None]
    management: tuple[str, ...] = ()
    management_interfaces: frozenset[str] = frozenset({"eth0"})
    adjacencies: tuple[Adjacency, ...] = ()
    management_ports: frozenset[str] = frozenset()
    own: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    families: tuple[int, ...] = (4, 6)
    node_families: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    vrfs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def families_of(self, node: str) -> frozenset[int]:
        return frozenset(self.node_families.get(node, self.families))


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """What waiting for quiet came to.

    settled: nothing changed for `quiet_s`; took_s: from the start to the last change (0 = nothing ever changed);
    stuck: sessions that are not up and do not move; silent: daemons that never answered. Neither fails the wait.
    """

    phase: str
    settled: bool
    start: float
    took_s: float
    waited_s: float
    quiet_s: float
    route_changes: tuple[RouteChange, ...] = ()
    adjacency_changes: tuple[AdjacencyChange, ...] = ()
    stuck: tuple[Adjacency, ...] = ()
    silent: tuple[str, ...] = ()
    up: int = 0  # adjacencies that are up

    @property
    def routes_took_s(self) -> float:
        """To the last change of a route: milliseconds sharp, where adjacencies are asked once a second."""
        return max((c.t for c in self.route_changes), default=self.start) - self.start
