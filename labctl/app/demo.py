"""`labctl demo`: the whole of labctl once, on a small network that it brings along.

A stand-in for production is deployed and then treated as foreign: discovered over SNMP and SSH from its management
station, rendered, shadowed. The shadow's routes are held against production's, and a scenario of the library is played
on it. Nothing here breaks, measures or judges: the verbs do that, and the report is that of any run, made from its
directory. Both labs stay for the person at the keyboard; the next demo replaces them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from labctl.app import compare, deploy, destroy, discover, discovered, ready, render, run, standin
from labctl.errors import LabctlError
from labctl.faults import plan as planning
from labctl.model.event import Emit, Event, ignore
from labctl.model.routes import RouteComparison
from labctl.run import entries, observe, record, rundir
from labctl.run.journal import Journal
from labctl.runtime.store import Instance, LabDir
from labctl.schema import clab
from labctl.schema import scenario as scenarios

SHADOW = "demo"
CLIENT, WEB = "client1", "web1"
NEIGHBOURS_S = 60.0  # until LLDP has been heard on every cable


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """out: the directory that gets `topologies/` and `reports/`. scenario: what to play on the shadow."""

    out: str = "."
    scenario: str | None = None
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """routes: what production routes by, saved for `labctl compare`."""

    played: run.Result
    topology: str
    lab_file: str
    routes: str


def demo(request: Request, instance: Instance, emit: Emit = ignore) -> Result:
    """Run it all; raises before anything is deployed if this machine cannot. Both labs are left running."""
    scenario = request.scenario or standin.scenario()
    # what does not fit production does not fit its shadow: said now, not in two minutes
    planning.plan(scenarios.load(scenario), clab.load(standin.lab_file()), 0)
    deploy.choose_runtime(deploy.AUTO)
    topologies = os.path.join(request.out, "topologies")
    routes = os.path.join(topologies, f"{SHADOW}.routes.yml")
    _clear(instance, emit)
    started = datetime.now(UTC).astimezone()
    directory = rundir.create(os.path.join(request.out, "reports"), "demo", started)
    with Journal(os.path.join(directory, record.JOURNAL)) as journal, _reasons(journal):
        story = _Story(journal, emit)
        story.phase("production stand-in: ten routers, two sites")
        stand_in = standin.write(os.path.join(topologies, standin.LAB))
        production = _deploy(stand_in.lab_file, instance, emit)
        story.settle(production, "production", request.timeout_s)
        _wait_for_neighbours(production, emit)
        story.phase("discovery over SNMP and SSH")
        found = discover.discover(
            [stand_in.inventory],
            name=SHADOW,
            out=os.path.join(topologies, f"{SHADOW}.yml"),
            inside=production.node_ns(standin.STATION),
            emit=emit,
        )
        emit(Event(kind="discovered", text=_summary(found)))
        story.phase("rendering")
        assert found.path is not None
        rendered = render.render(
            render.Request(file=found.path, env=((WEB, "LABCTL_START", "nginx"),)), emit, instance=instance
        )
        story.phase("shadow")
        shadow = _deploy(rendered.file, instance, emit)
        story.settle(shadow, "shadow", request.timeout_s)
        story.phase("comparing the shadow's routes with production's")
        # only of devices whose configuration was read: the management station is nobody's shadow
        compare.save(standin.LAB, routes, instance, only=found.snapshot.configs)
        story.compared(compare.compare(SHADOW, routes, instance))
        place, plan = run.prepare(run.Request(scenario=scenario, lab=SHADOW), instance)
        outcome = run.play(
            place,
            plan,
            journal,
            scenario=scenario,
            topology=found.snapshot.topology,
            started=started,
            emit=emit,
        )
    return Result(
        played=run.finish(directory, outcome), topology=found.path, lab_file=rendered.file, routes=routes
    )


class _Story:
    """What comes before the scenario, in the journal of the run and on the terminal."""

    def __init__(self, journal: Journal, emit: Emit) -> None:
        self._journal, self._emit = journal, emit

    def phase(self, name: str) -> None:
        self._journal.write("phase", t=time.monotonic(), sync=True, name=name)
        self._emit(Event(kind="phase", text=f"{name} …"))

    def settle(self, place: LabDir, phase: str, timeout_s: float) -> None:
        seen = replace(ready.wait(place, timeout_s=timeout_s, emit=self._emit), phase=phase)
        written = entries.CONVERGENCE.dump_python(seen, mode="json")
        self._journal.write("ready", t=time.monotonic(), seen=written)
        for line in ready.told(seen):
            self._emit(Event(kind="settled", text=line))

    def compared(self, comparison: RouteComparison) -> None:
        written = entries.COMPARISON.dump_python(comparison, mode="json")
        self._journal.write("compared", t=time.monotonic(), routes=written)
        text = f"{comparison.equal} of {comparison.compared} routes are equal"
        self._emit(Event(kind="compared", text=text))


@contextmanager
def _reasons(journal: Journal) -> Iterator[None]:
    """What ends the run before the engine has it is in the journal too."""
    try:
        yield
    except KeyboardInterrupt:
        journal.write("interrupted", t=time.monotonic())
        raise
    except LabctlError as error:
        journal.write("failed", t=time.monotonic(), error=error.message, code=error.code)
        raise


def _clear(instance: Instance, emit: Emit) -> None:
    """Remove what an earlier demo left; a lab of the same name that is somebody else's stays, and stops us."""
    for name in (standin.LAB, SHADOW):
        place = instance.lab(name)
        lab = place.read()
        if lab is None:
            continue
        if lab.lab.nodes and {node.name for node in lab.lab.nodes}.isdisjoint({CLIENT, WEB}):
            raise LabctlError(
                "lab-exists",
                f"a lab called {name!r} runs that is not the demo's",
                hint=f"`labctl destroy {name}` removes it",
            )
        destroy.destroy([place], emit)


def _deploy(file: str, instance: Instance, emit: Emit) -> LabDir:
    plan = deploy.deploy(deploy.Request(file=file), instance, emit)
    return instance.lab(plan.lab.name)


def _wait_for_neighbours(place: LabDir, emit: Emit) -> None:
    """Until every LLDP daemon of the stand-in has heard a neighbour on each of its cables."""
    lab = place.need().lab
    wanted: dict[str, set[str]] = {}
    for cable in lab.cables:
        for end in cable.ends:
            wanted.setdefault(end.port.node, set()).add(end.port.interface)
    runtime = observe.runtime(place)
    deadline = time.monotonic() + NEIGHBOURS_S
    while wanted:
        for node, ports in list(wanted.items()):
            said = runtime.exec(lab, node, ["lldpcli", "-f", "keyvalue", "show", "neighbors"]).stdout
            ports -= {port for port in ports if f"lldp.{port}." in said}
            if not ports:
                del wanted[node]
        if not wanted or time.monotonic() > deadline:
            break
        time.sleep(1.0)
    if wanted:  # discovery will say what it misses
        emit(Event(kind="neighbours", text=f"no LLDP yet on {', '.join(sorted(wanted))}"))


def _summary(found: discovered.Discovered) -> str:
    topology = found.snapshot.topology
    both = sum(link.two_sided for link in topology.links)
    return (
        f"{len(topology.devices)} devices, {len(topology.links)} links ({both} seen from both ends), "
        f"{len(found.snapshot.configs)} configurations, {len(topology.conflicts)} conflicts"
    )
