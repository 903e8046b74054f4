"""Is the boundary of a lab safe? It is if no route that leaves the inside can come back into it somewhere else.

Static speakers do not react. That is right as long as production would not have reacted either: a change inside must
not travel through removed devices to another inside device. So routes are followed on their way out: over every session
of `labctl.topo.domains`, with the rules that stop them in production: an AS path with one's own AS in it is refused,
iBGP does not pass on what iBGP told unless a reflector does, a protocol tells another only what is redistributed.

Policies are not read: a filter could make safe what is called unsafe here, never the other way round. A removed device
without a configuration may pass anything on; a way that needs one is no proof, and the verdict is unknown.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_interface, ip_network

import networkx as nx

from labctl.model.config import DeviceConfig
from labctl.model.snapshot import Snapshot
from labctl.topo.domains import Kind, Session, sessions
from labctl.topo.scope import Scope

_BGP = (Kind.EBGP, Kind.IBGP)


class Safety(StrEnum):
    SAFE = "safe"
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Removed devices that tell each other routes. attached: the inside devices that they have sessions with.

    witness: the way of a route from inside to inside, in production's names; empty if there is none.
    """

    devices: tuple[str, ...]
    attached: tuple[str, ...]
    safety: Safety
    reason: str
    witness: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """add: devices that, taken inside as well, make it safe; what is unknown because of hosts stays so until then."""

    safety: Safety
    parts: tuple[Part, ...] = ()
    add: tuple[str, ...] = ()


def boundary(snapshot: Snapshot, scope: Scope) -> Boundary:
    """The verdict, part by part, and how to mend it."""
    net = Net.of(snapshot)
    parts = tuple(_parts(net, frozenset(scope.inside), scope.removed))
    verdicts = {part.safety for part in parts}
    worst = next((s for s in (Safety.UNSAFE, Safety.UNKNOWN) if s in verdicts), Safety.SAFE)
    return Boundary(safety=worst, parts=parts, add=_mended(net, scope) if worst is not Safety.SAFE else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """The sessions of a network by who tells, and the configurations."""

    configs: Mapping[str, DeviceConfig]
    told: Mapping[str, tuple[Session, ...]] = field(default_factory=dict)

    @staticmethod
    def of(snapshot: Snapshot) -> Net:
        told: dict[str, list[Session]] = defaultdict(list)
        for session in sessions(snapshot):
            told[session.tells].append(session)
        return Net(configs=snapshot.configs, told={name: tuple(each) for name, each in told.items()})

    def asn(self, device: str) -> int | None:
        config = self.configs.get(device)
        return config.bgp.asn if config and config.bgp else None


def _parts(net: Net, inside: frozenset[str], removed: frozenset[str]) -> Iterator[Part]:
    groups = nx.Graph()
    groups.add_nodes_from(removed)
    crossing: dict[str, list[Session]] = defaultdict(list)
    for session in (s for told in net.told.values() for s in told):
        if session.hears in removed and session.tells in removed:
            groups.add_edge(session.tells, session.hears)
        elif session.hears in removed and session.tells in inside:
            crossing[session.hears].append(session)
    walker = Walker.of(net, inside)
    for group in sorted(sorted(each) for each in nx.connected_components(groups)):
        outwards = [s for name in group for s in crossing.get(name, ())]
        if outwards:
            yield _judged(walker, frozenset(group), outwards)


def _judged(walker: Walker, members: frozenset[str], crossing: Collection[Session]) -> Part:
    net = walker.net
    attached = tuple(sorted({s.tells for s in crossing}))
    for unknown in (False, True):
        witness = walker.way_back(members, attached, unknown=unknown)
        if witness:
            break
    if not witness:
        safety, reason = Safety.SAFE, _why_safe(net, attached, crossing)
    elif unknown:
        blind = [name for name in witness if name not in net.configs]
        blind = [name for name in blind if name in members] or blind
        safety = Safety.UNKNOWN
        reason = f"no configuration of {', '.join(dict.fromkeys(blind))} is known: it may pass routes on"
    else:
        safety = Safety.UNSAFE
        reason = f"what {witness[0]} tells outwards comes back at {witness[-1]}"
    return Part(
        devices=tuple(sorted(members)), attached=attached, safety=safety, reason=reason, witness=witness
    )


def _why_safe(net: Net, attached: tuple[str, ...], crossing: Collection[Session]) -> str:
    kinds = {s.kind for s in crossing}
    systems = {net.asn(name) for name in attached}
    if len(attached) == 1:
        return f"{attached[0]} alone has sessions with it"
    if kinds == {Kind.EBGP} and len(systems) == 1:
        return f"all inside ends are in AS {next(iter(systems))}, which refuses its own number in a path"
    if kinds == {Kind.IBGP}:
        return "iBGP peers do not pass on what iBGP told them, and none of them reflects"
    return "no session leads from one inside end to another"


# --- the way of a route ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    """A route at a device. how: the kind of session that told it; None: it begins here.

    start: the inside device that it left. systems: the inside's AS numbers in its path. client: a reflector has it
    from a client. folded: it is an aggregate by now, made of what the inside told, and begins a path of its own.
    entry: the first removed device, as long as one interior protocol has carried it from there; at a device that nobody
    knows the configuration of, the last known device before it. It does not go back there.
    """

    device: str
    start: str
    how: Kind | None = None
    systems: frozenset[int] = frozenset()
    client: bool = False
    folded: bool = False
    entry: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walker:
    """Follows routes. tracked: AS numbers of the inside; ours: what the inside originates."""

    net: Net
    inside: frozenset[str]
    tracked: frozenset[int]
    ours: tuple[str, ...]

    @staticmethod
    def of(net: Net, inside: frozenset[str]) -> Walker:
        tracked = frozenset(asn for name in inside if (asn := net.asn(name)) is not None)
        return Walker(net=net, inside=inside, tracked=tracked, ours=_prefixes(net, inside))

    def way_back(self, members: frozenset[str], attached: Iterable[str], *, unknown: bool) -> tuple[str, ...]:
        """A shortest way from an inside device through `members` to another one; empty: there is none.

        unknown: devices that nobody knows the configuration of pass everything on.
        """
        before: dict[_At, _At | None] = {_At(device=name, start=name): None for name in sorted(attached)}
        waiting = deque(before)
        while waiting:
            here = waiting.popleft()
            for at in self._next(here, members, unknown=unknown):
                if at.device in self.inside:
                    if _counts(at, here):
                        return _walk(at, here, before)
                elif at not in before:
                    before[at] = here
                    waiting.append(at)
        return ()

    def _next(self, at: _At, members: frozenset[str], *, unknown: bool) -> Iterator[_At]:
        if at.device in members and not at.folded and _folds(self.net, at.device, self.ours):
            yield _At(device=at.device, start=at.start, folded=True)
        for session in self.net.told.get(at.device, ()):
            crosses = at.device in members and session.hears in self.inside
            if (session.hears in members or crosses) and (unknown or session.kind is not Kind.UNKNOWN):
                heard = _heard(self.net, at, session, self.tracked)
                if heard is not None:
                    yield heard


def _counts(at: _At, here: _At) -> bool:
    """Not back where it started, and not through one removed device by an interior protocol alone.

    The speaker of that device takes part in the protocol itself, as the device does.
    """
    by_speaker = at.how is here.how and here.entry == here.device
    return (at.device != at.start or at.folded) and not by_speaker


def _heard(net: Net, at: _At, session: Session, tracked: frozenset[int]) -> _At | None:
    """What becomes of a route that is told over a session; None: it is not told, or refused."""
    if session.kind is not Kind.UNKNOWN and not _tells(net, at, session):
        return None
    systems = at.systems if at.how in (*_BGP, None) and session.kind in _BGP else frozenset()
    if session.kind is Kind.EBGP:
        near, far = net.asn(session.tells), net.asn(session.hears)
        systems |= {near} & tracked if near is not None else frozenset()
        if far in systems and not session.loops:
            return None
    if session.kind not in _BGP and session.hears == at.entry:
        return None  # back to where it came from
    entry = _entry(net, at, session)
    return _At(
        device=session.hears,
        start=at.start,
        entry=entry,
        how=session.kind,
        systems=systems,  # interior protocols have no AS path
        client=session.kind is Kind.IBGP and session.from_client,
        folded=at.folded,
    )


def _entry(net: Net, at: _At, session: Session) -> str:
    """See `_At`."""
    if session.kind is Kind.UNKNOWN:
        came = at.device if at.device in net.configs else at.entry or at.device
        return came if session.hears not in net.configs else ""
    if session.kind not in (Kind.OSPF, Kind.ISIS):
        return ""
    first = at.how is None and not at.folded
    return session.hears if first else at.entry if at.how is session.kind else ""


def _tells(net: Net, at: _At, session: Session) -> bool:
    """Does the device pass a route that it has from `at.how` on over this session?"""
    if at.how in (None, Kind.UNKNOWN):
        return True
    config = net.configs.get(at.device)
    if session.kind in _BGP:
        if at.how is Kind.EBGP:
            return True
        if at.how is Kind.IBGP:
            return session.kind is Kind.EBGP or at.client or session.client
        return config is not None and _into_bgp(config, at.how)
    if at.how is session.kind:
        return True
    word = {Kind.OSPF: "ospf", Kind.ISIS: "isis"}.get(at.how or Kind.UNKNOWN, "bgp")
    ospf = config.ospf if config else None
    return session.kind is Kind.OSPF and ospf is not None and any(r.source == word for r in ospf.redistribute)


def _into_bgp(config: DeviceConfig, how: Kind | None) -> bool:
    """Redistributed, or named by a `network` statement that the device has no such network of its own for."""
    word = "ospf" if how is Kind.OSPF else "isis"
    own = {str(ip_interface(a).network) for i in config.interfaces for a in (*i.ipv4, *i.ipv6)}
    own |= {str(ip_network(route.prefix, strict=False)) for route in config.static_routes}
    return any(
        any(r.source == word for r in family.redistribute)
        or any(str(ip_network(n.prefix, strict=False)) not in own for n in family.networks)
        for family in (config.bgp.families if config.bgp else ())
    )


def _prefixes(net: Net, inside: frozenset[str]) -> tuple[str, ...]:
    """What inside devices originate."""
    found: set[str] = set()
    for name in inside & set(net.configs):
        config = net.configs[name]
        found |= {str(ip_interface(a).network) for i in config.interfaces for a in (*i.ipv4, *i.ipv6)}
        for family in config.bgp.families if config.bgp else ():
            found |= {str(ip_network(n.prefix, strict=False)) for n in family.networks}
    return tuple(sorted(found))


def _folds(net: Net, device: str, prefixes: tuple[str, ...]) -> bool:
    """Whether an aggregate of this device covers something of the inside: it starts an AS path of its own."""
    config = net.configs.get(device)
    for family in config.bgp.families if config and config.bgp else ():
        for aggregate in family.aggregates:
            whole = ip_network(aggregate.prefix, strict=False)
            for prefix in map(ip_network, prefixes):
                if prefix.version == whole.version and prefix.subnet_of(whole):  # type: ignore[arg-type]
                    return True
    return False


def _walk(end: _At, last: _At, before: Mapping[_At, _At | None]) -> tuple[str, ...]:
    names = [end.device]
    at: _At | None = last
    while at is not None:
        if names[-1] != at.device:
            names.append(at.device)
        at = before[at]
    return tuple(reversed(names))


# --- mending ---


def _mended(net: Net, scope: Scope) -> tuple[str, ...]:
    """Takes in what is on the ways that were found, until there is none. What is left may be nothing: that is safe."""
    inside, removed = frozenset(scope.inside), scope.removed
    while True:
        found: set[str] = set()
        for part in _parts(net, inside, removed):
            found.update(set(part.witness) & removed)
        if not found:
            return tuple(sorted(inside - set(scope.inside)))
        inside, removed = inside | found, removed - found
