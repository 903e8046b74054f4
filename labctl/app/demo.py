"""`labctl demo`: the whole of labctl once, on a small network that it brings along.

A stand-in for production is deployed and then treated as foreign: discovered over SNMP and SSH from its management
station, rendered, shadowed. The shadow's routes are held against production's, one core cable of the shadow is cut,
and what that does to the client's traffic and to the routes is measured and put on one page. Both labs stay for the
person at the keyboard; the next demo replaces them.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import labctl
from labctl.agent import client
from labctl.analyze import converge as changes
from labctl.analyze import judge, routes
from labctl.app import deploy, destroy, discover, render, standin
from labctl.errors import LabctlError, did_you_mean
from labctl.model.effects import Direction, Down, Effect, HalfCable
from labctl.model.event import Emit, Event, ignore
from labctl.model.measure import Track, shift
from labctl.model.routes import Convergence, Fib, RouteChange, RouteComparison
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Topology
from labctl.model.verdict import Act, Phase, Report, RunMeta, Stamps
from labctl.names import CableId
from labctl.probes.http import HttpFlow
from labctl.probes.ping import PingFlow
from labctl.probes.sampler import Sampler
from labctl.report import svg
from labctl.report.writers import WRITERS
from labctl.run import observe
from labctl.run.converge import Watch
from labctl.runtime.store import Instance, LabDir

SHADOW = "demo"
CABLE = "a-core1:eth3--a-edge1:eth1"  # on the client's way to the web server, with another way around it
CLIENT, WEB, WEB_ADDRESS = "client1", "web1", "10.2.100.10"
CLIENT_ADDRESS = "10.1.100.10"
BEFORE_S = 3.0  # of traffic before the cut
NEIGHBOURS_S = 60.0  # until LLDP has been heard on every cable
LEASE_S = 300.0
LIMITS = (
    "Timing is that of FRR in containers on this machine; ASICs, line cards and the vendor's own software are "
    "not reproduced."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """out: the directory that gets `topologies/` and `reports/`. cable: which one of the shadow to cut."""

    out: str = "."
    cable: str = CABLE
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    report: Report
    page: str
    picture: str
    topology: str
    lab_file: str


@dataclass(slots=True)
class _Clock:
    """Seconds since the run began, and how long each phase took."""

    zero: float = field(default_factory=time.monotonic)
    started: datetime = field(default_factory=lambda: datetime.now(UTC).astimezone())
    phases: list[Phase] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str, emit: Emit) -> Iterator[None]:
        emit(Event(kind="phase", text=f"{name} …"))
        start = time.monotonic()
        yield
        took = time.monotonic() - start
        self.phases.append(Phase(name=name, start=start - self.zero, took_s=took))


def demo(request: Request, instance: Instance, emit: Emit = ignore) -> Result:
    """Run it all; raises before anything is deployed if this machine cannot. Both labs are left running."""
    clock = _Clock()
    deploy.choose_runtime(deploy.AUTO)
    topologies = os.path.join(request.out, "topologies")
    _clear(instance, emit)
    with clock.phase("production stand-in: ten routers, two sites", emit):
        stand_in = standin.write(os.path.join(topologies, standin.LAB))
        production = _deploy(stand_in.lab_file, instance, emit)
        settled = _settled(production, "production", request, emit)
        _wait_for_neighbours(production, emit)
    with clock.phase("discovery over SNMP and SSH", emit):
        found = discover.discover(
            [stand_in.inventory],
            name=SHADOW,
            out=os.path.join(topologies, f"{SHADOW}.yml"),
            inside=production.node_ns(standin.STATION),
            emit=emit,
        )
        emit(Event(kind="discovered", text=_summary(found)))
    with clock.phase("rendering", emit):
        assert found.path is not None
        rendered = render.render(
            render.Request(file=found.path, env=((WEB, "LABCTL_START", "nginx"),)), emit, instance=instance
        )
    with clock.phase("shadow", emit):
        shadow = _deploy(rendered.file, instance, emit)
        copied = _settled(shadow, "shadow", request, emit)
    with clock.phase("comparing the shadow's routes with production's", emit):
        comparison = _compare(production, shadow, found.snapshot)
        emit(Event(kind="compared", text=f"{comparison.equal} of {comparison.compared} routes are equal"))
    with clock.phase(f"cutting {request.cable} in the shadow", emit):
        broken = _break(shadow, request, emit)
    report = _judge(clock, broken, [settled, copied], comparison, found.snapshot.topology)
    return _write(request, clock, report, found.path, rendered.file)


# -- the labs ---------------------------------------------------------------------------------------------------


def _clear(instance: Instance, emit: Emit) -> None:
    """Remove what an earlier demo left; a lab of the same name that is somebody else's stays, and stops us."""
    for name in (standin.LAB, SHADOW):
        place = instance.lab(name)
        record = place.read()
        if record is None:
            continue
        if record.lab.nodes and {node.name for node in record.lab.nodes}.isdisjoint({CLIENT, WEB}):
            raise LabctlError(
                "lab-exists",
                f"a lab called {name!r} runs that is not the demo's",
                hint=f"`labctl destroy {name}` removes it",
            )
        destroy.destroy([place], emit)


def _deploy(file: str, instance: Instance, emit: Emit) -> LabDir:
    plan = deploy.deploy(deploy.Request(file=file), instance, emit)
    return instance.lab(plan.lab.name)


def _settled(place: LabDir, phase: str, request: Request, emit: Emit) -> Convergence:
    with Watch(observe.targets(place)) as watch:
        seen = watch.settle(phase=phase, timeout_s=request.timeout_s, emit=emit)
    if not seen.settled:
        emit(
            Event(
                kind="not-settled", text=f"routing of {place.name} still changes after {seen.waited_s:.0f} s"
            )
        )
    return seen


def _wait_for_neighbours(place: LabDir, emit: Emit) -> None:
    """Until every LLDP daemon of the stand-in has heard a neighbour on each of its cables."""
    record = place.need()
    wanted: dict[str, set[str]] = {}
    for cable in record.lab.cables:
        for end in cable.ends:
            wanted.setdefault(end.port.node, set()).add(end.port.interface)
    runtime = observe.runtime(place)
    deadline = time.monotonic() + NEIGHBOURS_S
    while wanted:
        for node, ports in list(wanted.items()):
            said = runtime.exec(record.lab, node, ["lldpcli", "-f", "keyvalue", "show", "neighbors"]).stdout
            ports -= {port for port in ports if f"lldp.{port}." in said}
            if not ports:
                del wanted[node]
        if not wanted or time.monotonic() > deadline:
            break
        time.sleep(1.0)
    if wanted:  # discovery will say what it misses
        emit(Event(kind="neighbours", text=f"no LLDP yet on {', '.join(sorted(wanted))}"))


def _compare(production: LabDir, shadow: LabDir, snapshot: Snapshot) -> RouteComparison:
    """Every device whose configuration was read; the management station is known by its neighbours only."""
    real = observe.tables(production)
    read = {name: said for name, said in real.routes.items() if name in snapshot.configs}
    return routes.compare(replace(real, routes=read), observe.tables(shadow))


def _summary(found: discover.Discovered) -> str:
    topology = found.snapshot.topology
    both = sum(link.two_sided for link in topology.links)
    return (
        f"{len(topology.devices)} devices, {len(topology.links)} links ({both} seen from both ends), "
        f"{len(found.snapshot.configs)} configurations, {len(topology.conflicts)} conflicts"
    )


# -- the failure --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    act: Act  # on the monotonic clock, like all times here
    tracks: tuple[Track, ...]
    convergence: tuple[Convergence, ...]
    changed_after: tuple[RouteChange, ...]


def _break(place: LabDir, request: Request, emit: Emit) -> _Broken:
    """Traffic, cut, quiet, heal, quiet. The cut has this process as its owner: it ends with us, whatever ends us."""
    cable = _cable(place, request.cable)
    flows = (
        PingFlow(place.node_ns(CLIENT), WEB_ADDRESS, subject=f"{CLIENT} → {WEB}"),
        PingFlow(place.node_ns(WEB), CLIENT_ADDRESS, subject=f"{WEB} → {CLIENT}"),
    )
    web = HttpFlow(place.node_ns(CLIENT), WEB_ADDRESS, subject=f"{CLIENT} → http://{WEB}/")
    lease = f"demo-{os.getpid()}"
    effects = [Effect(id=lease, on=HalfCable(cable, way), change=Down()) for way in Direction]
    with (
        Watch(observe.targets(place)) as watch,
        Sampler(flows, interval_s=0.01) as pings,
        Sampler((web,), interval_s=0.1) as requests,
    ):
        quiet = watch.settle(phase="before", timeout_s=request.timeout_s, emit=emit)
        before = watch.fibs()
        time.sleep(BEFORE_S)
        cut_at = time.monotonic()
        try:
            made = client.add(place, lease, effects, LEASE_S, owner=client.me())
            emit(Event(kind="cut", text=f"{cable} is cut"))
            during = watch.settle(phase="after the cut", since=cut_at, timeout_s=request.timeout_s, emit=emit)
        finally:
            heal_at = time.monotonic()
            ended = client.clear(place, lease)
        emit(Event(kind="healed", text=f"{cable} is whole again"))
        healed = watch.settle(phase="after healing", since=heal_at, timeout_s=request.timeout_s, emit=emit)
        after = watch.fibs()
        tracks = (*pings.stop(), *requests.stop())
    act = Act(
        id=lease,
        what="cable cut",
        on=str(cable),
        start=_stamps(cut_at, made["readings"]),
        end=_stamps(heal_at, ended["readings"]),
        cable=cable,
    )
    return _Broken(
        act=act,
        tracks=tracks,
        convergence=(quiet, during, healed),
        changed_after=_changed(before, after, heal_at),
    )


def _cable(place: LabDir, name: str) -> CableId:
    known = [str(cable.id) for cable in place.need().lab.cables]
    cable = CableId.parse(name)
    if str(cable) not in known:
        raise LabctlError(
            "unknown-resource", f"lab {place.name!r} has no cable {name!r}", hint=did_you_mean(name, known)
        )
    return cable


def _stamps(requested: float, readings: Sequence[dict[str, dict[str, float]]]) -> Stamps:
    """When the last of several effects was made and read back."""
    return Stamps(
        requested=requested,
        applied=max((each["applied"]["monotonic"] for each in readings), default=None),
        read_back=max((each["read"]["monotonic"] for each in readings), default=None),
    )


def _changed(before: Mapping[str, Fib], after: Mapping[str, Fib], now: float) -> tuple[RouteChange, ...]:
    return tuple(
        change
        for node in sorted(before)
        for change in changes.changes(node, before[node], after.get(node, {}), since=now, announced={})
    )


# -- the report ---------------------------------------------------------------------------------------------------


def _judge(
    clock: _Clock,
    broken: _Broken,
    earlier: Sequence[Convergence],
    comparison: RouteComparison,
    topology: Topology,
) -> Report:
    kernel = platform.uname()
    meta = RunMeta(
        title="labctl demo: one core cable cut in the shadow",
        lab=SHADOW,
        runtime="runc",
        kernel=f"{kernel.system} {kernel.release} {kernel.machine}",
        started=clock.started.isoformat(timespec="seconds"),
        duration_s=time.monotonic() - clock.zero,
        command="labctl demo",
        versions=(("labctl", labctl.__version__), ("Python", platform.python_version())),
    )
    back = _shifter(-clock.zero)
    return judge.judge(
        judge.Observed(
            run=meta,
            acts=(replace(broken.act, start=back(broken.act.start), end=back(broken.act.end)),),
            tracks=tuple(shift(track, -clock.zero) for track in broken.tracks),
            convergence=tuple(_since(each, clock.zero) for each in (*earlier, *broken.convergence)),
            comparison=comparison,
            changed_after=broken.changed_after,
            topology=topology,
            phases=tuple(clock.phases),
            limits=(LIMITS,),
        )
    )


def _shifter(by: float) -> Callable[[Stamps | None], Stamps]:
    def move(stamps: Stamps | None) -> Stamps:
        assert stamps is not None
        return Stamps(
            requested=stamps.requested + by,
            applied=None if stamps.applied is None else stamps.applied + by,
            read_back=None if stamps.read_back is None else stamps.read_back + by,
        )

    return move


def _since(seen: Convergence, zero: float) -> Convergence:
    return replace(
        seen,
        start=seen.start - zero,
        route_changes=tuple(replace(c, t=c.t - zero) for c in seen.route_changes),
        adjacency_changes=tuple(replace(c, t=c.t - zero) for c in seen.adjacency_changes),
    )


def _write(request: Request, clock: _Clock, report: Report, topology: str, lab_file: str) -> Result:
    directory = os.path.join(request.out, "reports", clock.started.strftime("demo-%Y%m%dT%H%M%S"))
    os.makedirs(directory, exist_ok=True)
    for suffix in ("html", "json", "txt"):
        with open(os.path.join(directory, f"report.{suffix}"), "wb") as file:
            file.write(WRITERS[suffix](report))
    assert report.topology is not None
    broken = frozenset(str(act.cable) for act in report.acts)
    picture = os.path.join(directory, "topology.svg")
    with open(picture, "w", encoding="utf-8") as text:
        text.write(svg.draw(report.topology, svg.Marks(broken=broken)))
    return Result(
        report=report,
        page=os.path.join(directory, "report.html"),
        picture=picture,
        topology=topology,
        lab_file=lab_file,
    )
