"""The world of a deployed lab: its agent makes the effects, its routes are watched, its probes run inside its nodes.

Every lease has this process as its owner, so the agent ends it when the process goes, however it goes. Names are
production's where the lab has them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from labctl.agent import client, codec
from labctl.errors import LabctlError, did_you_mean
from labctl.linux.netlink import Netlink
from labctl.model.effects import Effect, Impaired, Resource
from labctl.model.lab import LabSpec
from labctl.model.measure import Track, Window
from labctl.model.measures import PROBE_KINDS
from labctl.model.routes import Adjacency, AdjacencyChange, Convergence, Fib, RouteChange
from labctl.model.scenario import ProbeSpec
from labctl.probes.http import HttpFlow
from labctl.probes.ping import PingFlow
from labctl.probes.sampler import Flow, Sampler
from labctl.run import converge, observe, record
from labctl.run.world import LEAD_S, After, Changed, Looked, Wanted
from labctl.runtime.store import LabDir, Phase

#: How long whoever else is changing the lab may take before an agent that does not answer is given up.
PATIENCE_S = 10.0
#: An agent answers once everything in its lab is as it is to be; a node that boots meanwhile takes its time.
START_S = 60.0
#: What the agent needs before it can touch anything: to hear and write down a request, for each effect of it, and to build
#: an impairment (`benchmarks/timing.py` shows what remains).
ASKED_S, CHANGED_S, BUILT_S = 0.003, 0.0002, 0.002
#: A probe that nobody stops ends by itself after a day.
LIMIT_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    fibs: Mapping[str, Fib]
    up: frozenset[tuple[str, str, str, str]]
    words: Mapping[tuple[str, str, str, str], str]


@dataclass(frozen=True, slots=True)
class _Unanswered:
    """A request that the agent works on. touched: what it changes. late_at: when no answer is to be expected any more."""

    touched: frozenset[Resource]
    late_at: float


class LabWorld:
    """One run on one lab. Use it in a `with` block: whatever was opened is closed."""

    def __init__(self, place: LabDir) -> None:
        self.place = place
        self.lab: LabSpec = place.need().lab
        self.name = f"run-{os.getpid()}"
        self._names = observe.node_names(self.lab)
        self._watch: converge.Watch | None = None
        self._samplers: dict[str, Sampler] = {}
        self._agent: client.Connection | None = None
        self._before: _Remembered | None = None
        self._touched: dict[str, frozenset[Resource]] = {}  # by active fault
        self._unanswered: dict[int, _Unanswered] = {}  # by request
        self._looks: dict[int, _Unanswered] = {}  # by request
        # The run holds the file open, so no other lab, not even one of the same name, gets its number meanwhile.
        self._identity = _inode(place.runs_file)
        self._written = _inode(place.record_file)

    # -- measuring ---------------------------------------------------------------------------------------------

    def begin(self, probes: Sequence[ProbeSpec]) -> Mapping[str, str]:
        subjects = {}
        for probe in probes:
            flow = self._flow(probe)
            subjects[probe.id] = flow.series.subject
            self._samplers[probe.id] = Sampler(
                (flow,),
                interval_s=cast("float", probe.settings["every_s"]),
                late_s=cast("float", probe.settings["late_s"]),
                limit_s=LIMIT_S,
            )
        self._watch = converge.Watch(observe.targets(self.place))
        self._watch.start()
        for name, sampler in list(self._samplers.items()):
            try:
                sampler.start()
            except OSError as error:
                del self._samplers[name]
                raise LabctlError(
                    "node-not-running", f"probe {name!r} cannot start: {error.strerror or error}"
                ) from error
        return subjects

    def look(self, phase: str, since: float) -> Convergence:
        assert self._watch is not None
        self.need()
        return self._watch.look(phase=phase, since=since)

    def recent(self, window: Window) -> Mapping[str, Track]:
        end = time.monotonic() if window.end is None else window.end
        return {name: each.recent(window.start, end)[0] for name, each in self._samplers.items()}

    def changes(self, since: float) -> tuple[tuple[RouteChange, ...], tuple[AdjacencyChange, ...]]:
        if self._watch is None:
            return (), ()
        return self._watch.route_changes(since), self._watch.adjacency_changes(since)

    def remember(self) -> None:
        assert self._watch is not None
        up = [a for a in self._watch.adjacencies() if a.up]
        self._before = _Remembered(
            fibs=self._watch.fibs(),
            up=frozenset(_key(a) for a in up),
            words={_key(a): str(a) for a in up},
        )

    def after(self) -> After:
        assert self._watch is not None
        assert self._before is not None
        now = {_key(a) for a in self._watch.adjacencies() if a.up}
        return After(
            changed=record.changed(self._before.fibs, self._watch.fibs(), at=time.monotonic()),
            lost_sessions=tuple(sorted(self._before.words[key] for key in self._before.up - now)),
        )

    def stop(self) -> Mapping[str, Track]:
        tracks = {name: sampler.stop()[0] for name, sampler in self._samplers.items()}
        self._samplers.clear()
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        self._hang_up()
        return tracks

    # -- effects -----------------------------------------------------------------------------------------------

    def prepare(self, effects: Sequence[Effect]) -> None:
        client.prepare(self.place, effects)

    def lead_s(self, effects: Sequence[Effect]) -> float:
        impaired = sum(isinstance(each.change, Impaired) for each in effects)
        return min(LEAD_S, ASKED_S + CHANGED_S * len(effects) + BUILT_S * impaired)

    def change(self, request: int, begin: Sequence[Wanted], end: Collection[str], at: float) -> None:
        began = {each.fault: frozenset(effect.on for effect in each.effects) for each in begin}
        touched = [self._touched.pop(fault, frozenset()) for fault in (*end, *began)]
        self._touched |= began
        late_at = time.monotonic() + client.TIMEOUT_S
        self._unanswered[request] = _Unanswered(frozenset().union(*touched, *began.values()), late_at)
        me = client.me()
        self._connection().begin(
            "effects.change",
            request,
            begin=[client.wanted(self._lease(each.fault), each.effects, each.lease_s) for each in begin],
            end=[self._lease(fault) for fault in end],
            owner={"pid": me.pid, "start_ticks": me.start_ticks},
            at=at,
        )

    def answers(self, until: float) -> Sequence[Changed | Looked]:
        late_at = min(
            (each.late_at for each in (*self._unanswered.values(), *self._looks.values())), default=until
        )
        try:
            replies = self._replies(until, late_at)
        except LabctlError as error:
            self._hang_up()
            self.need()
            if self._unanswered:
                raise
            lost = [Looked(request=request, failed=error.message) for request in self._looks]
            self._looks.clear()
            return lost
        return [self._answer(request, reply) for request, reply in replies]

    def _replies(self, until: float, late_at: float) -> list[tuple[int, dict[str, Any] | LabctlError]]:
        if self._agent is None or time.monotonic() > late_at:
            raise LabctlError("agent-unreachable", f"the agent of lab {self.place.name!r} owes an answer")
        return self._agent.replies(min(until, late_at))

    def _answer(self, request: int, reply: dict[str, Any] | LabctlError) -> Changed | Looked:
        if isinstance(reply, LabctlError):
            if self._looks.pop(request, None) is None:
                raise reply
            return Looked(request=request, failed=reply.message)
        if request in self._looks:
            del self._looks[request]
            looks = [{**each, "fault": str(each["lease"]).partition("/")[2]} for each in reply["looks"]]
            return Looked(request=request, looks=looks)
        del self._unanswered[request]
        refused = {name.partition("/")[2]: why for name, why in reply["refused"].items()}
        return Changed(request=request, readings=reply["readings"], refused=refused)

    def effects(self, request: int, faults: Collection[str]) -> None:
        self._looks[request] = _Unanswered(frozenset(), time.monotonic() + client.TIMEOUT_S)
        try:
            self._connection().begin("effects.look", request, ids=[self._lease(fault) for fault in faults])
        except LabctlError:
            del self._looks[request]
            self._hang_up()
            self.need()
            raise

    def clear(self, request: int) -> Changed:
        """What was never answered for is brought to its setting once more, after whatever is under way there."""
        self._hang_up()  # a reply may be on its way that nobody waits for
        also = frozenset[Resource]().union(*(each.touched for each in self._unanswered.values()))
        self._unanswered.clear()
        self._looks.clear()
        self._touched.clear()
        for again in (True, False):
            try:
                mine = [str(lease["id"]) for lease in client.leases(self.place) if self._is_mine(lease["id"])]
                reply = client.ask(
                    self.place,
                    "effects.change",
                    begin=[],
                    end=mine,
                    owner=None,
                    also=[codec.resource(on) for on in sorted(also, key=str)],
                )
                return Changed(request=request, readings=reply["readings"])
            except LabctlError:
                if again and not self._revive():
                    break
        return Changed(request=request)

    def _revive(self) -> bool:
        """Have an agent again, by its guard or, where that is dead too, by us. False if there is no lab to have one for."""
        try:
            self.need()
            with self.place.lock(wait_s=PATIENCE_S):
                client.start(self.place, timeout_s=START_S)
        except LabctlError:
            return False
        return True

    def _connection(self) -> client.Connection:
        if self._agent is None:
            self._agent = client.Connection(self.place)
        return self._agent

    def _hang_up(self) -> None:
        if self._agent is not None:
            self._agent.close()
            self._agent = None

    def need(self) -> None:
        written = _inode(self.place.record_file)
        if written == self._written and self._is_same():
            return
        if self._is_same() and self._is_whole():
            self._written = written
            return
        raise LabctlError(
            "no-lab",
            f"lab {self.place.name!r} is gone: it was removed while the scenario was being played",
            hint="deploy it and run the scenario again",
        )

    def _is_same(self) -> bool:
        """Whether it is the lab that the run began with; one of the same name may have taken its place."""
        return self._identity in ((0, 0), _inode(self.place.runs_file))

    def _is_whole(self) -> bool:
        try:
            record = self.place.read()
        except LabctlError:
            return True  # a record that cannot be read is no lab that is gone
        return record is not None and record.phase is not Phase.DESTROYING

    def left(self) -> tuple[str, ...]:
        self.need()
        try:
            status = client.ask(self.place, "status")
            active = [str(lease["id"]) for lease in client.leases(self.place)]
        except LabctlError:
            self.need()
            raise
        mine = [f"fault {each} is active" for each in active if self._is_mine(each)]
        return (*mine, *(f"{on}: {why}" for on, why in status["off_base"].items()))

    def others(self) -> tuple[str, ...]:
        active = [str(lease["id"]) for lease in client.leases(self.place)]
        return tuple(each for each in active if not self._is_mine(each))

    def _lease(self, fault: str) -> str:
        return f"{self.name}/{fault}"

    def _is_mine(self, lease: object) -> bool:
        return str(lease).startswith(f"{self.name}/")

    # -- probes ------------------------------------------------------------------------------------------------

    def _flow(self, probe: ProbeSpec) -> Flow:
        said = probe.settings
        source, to = str(said["from"]), str(said["to"])
        self._need(source, probe)
        address = self._address(to, probe)
        name = f"{self._names.get(source, source)} → "
        target = self._names.get(to, to)
        if probe.kind == "ping":
            size = cast("int", said["size"])
            usual = size == PROBE_KINDS["ping"]["size"].default
            shown = target if usual else f"{target} ({size} bytes)"
            return PingFlow(self.place.node_ns(source), address, subject=f"{name}{shown}", size=size)
        if probe.kind == "http":
            port, path = cast("int", said["port"]), str(said["path"])
            shown = f"http://{target}{'' if port == 80 else f':{port}'}{path}"
            return HttpFlow(
                self.place.node_ns(source),
                address,
                subject=f"{name}{shown}",
                port=port,
                path=path,
                late_s=cast("float", said["late_s"]),
            )
        raise LabctlError("unknown-plugin", f"no probe is called {probe.kind!r}", where=probe.where)

    def _need(self, node: str, probe: ProbeSpec) -> None:
        nodes = [each.name for each in self.lab.nodes]
        if node not in nodes:
            raise LabctlError(
                "unknown-node",
                f"lab {self.lab.name!r} has no node {node!r}",
                where=probe.where,
                hint=did_you_mean(node, nodes),
            )

    def _address(self, host: str, probe: ProbeSpec) -> str:
        """An address as it is; of a node, the first on a cable, else one that no cable carries (a loopback)."""
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(host))
        self._need(host, probe)
        with Netlink(self.place.node_ns(host)) as kernel:
            links = {link.index: link.name for link in kernel.links()}
            found = [(links.get(index, ""), address) for index, address in kernel.addresses()]
        usable = [
            (name == "lo", name, ipaddress.ip_interface(address).ip)
            for name, address in found
            if name != "eth0" and not ipaddress.ip_interface(address).ip.is_link_local
        ]
        for _, _, address in sorted(
            (u for u in usable if not u[2].is_loopback), key=lambda u: (u[2].version, u[:2])
        ):
            return str(address)
        raise LabctlError(
            "unknown-node",
            f"node {host!r} has no address that a probe could ask",
            where=probe.where,
            hint="give an address instead of the node",
        )


def _inode(path: str) -> tuple[int, int]:
    """Which file it is, and when it was written; zeros if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _key(each: Adjacency) -> tuple[str, str, str, str]:
    return each.kind, each.node, each.peer, each.interface
