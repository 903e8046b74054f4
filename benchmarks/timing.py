"""From a fault's time to its effect, on a hundred OSPF routers whose routes are watched while it happens.

The engine plays plans of faults at known times: cuts one after the other, losses, delays, and each of these on many
cables at one instant. It asks for them ahead of their time, so that the agent has built what it takes. Printed is the
time from when a fault was due to when its last resource was made so (the agent's clock, taken after the kernel's answer),
and of simultaneous faults the time from before the first was asked of the kernel to after the last had been made: what
lies between two effects is less. The naive way to break a cable at a known time is a script that calls `ip` in each of
the two nodes: from its call to its end.

    benchmarks/timing.py [ROUTERS] [FAULTS]
"""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time

from _common import begin
from _routers import IMAGE, lab, wait_up

from labctl.app import deploy
from labctl.app.images import ensure
from labctl.linux import priority
from labctl.model.effects import Direction, Down, Effect, HalfCable, Impaired
from labctl.model.impairment import Impairment
from labctl.model.scenario import (
    Plan,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    Targets,
    TimedEffect,
    WaitStep,
)
from labctl.run import destroy, engine, journal, record, rundir
from labctl.run.live import LabWorld
from labctl.run.world import MonotonicClock
from labctl.runtime.images import ImageStore
from labctl.runtime.runc import RuncRuntime
from labctl.runtime.store import Instance

MEDIAN_MS, P95_MS, SPREAD_MS = 20.0, 50.0, 20.0
TOGETHER = 10
FOR_S, GAP_S = 0.5, 1.0


def fault(name, cable, change):
    return PlannedFault(
        id=name,
        kind="bench",
        said=name,
        targets=Targets(cables=(cable,)),
        for_s=FOR_S,
        spans=tuple(
            TimedEffect(
                start_s=0.0, end_s=FOR_S, effect=Effect(id=name, on=HalfCable(cable, d), change=change)
            )
            for d in Direction
        ),
    )


def one_by_one(cables, change):
    steps = []
    for i, cable in enumerate(cables):
        steps += [fault(f"f{i}", cable, change), WaitStep(for_s=GAP_S)]
    return PlannedSequence(steps=tuple(steps))


def together(cables, change):
    groups = [cables[i : i + TOGETHER] for i in range(0, len(cables), TOGETHER)]
    steps = []
    for n, group in enumerate(groups):
        steps += [
            PlannedParallel(steps=tuple(fault(f"g{n}-{i}", each, change) for i, each in enumerate(group))),
            WaitStep(for_s=GAP_S),
        ]
    return PlannedSequence(steps=tuple(steps))


def play(place, root, name, tree):
    """Acts of the run, of each request how long the effects lay apart, and how long before its time it went out."""
    directory = rundir.create(os.path.join(root, "runs"), name)
    plan = Plan(scenario=name, lab=place.name, seed=0, root=tree)
    clock = MonotonicClock()
    times = engine.Times(settle_s=120.0, steady_s=0.5)
    with journal.Journal(os.path.join(directory, record.JOURNAL)) as book:
        rundir.head(book, plan, t=clock.now(), lab=place.name, runtime="runc")
        with priority.raised():
            engine.play(plan, LabWorld(place), clock, book, times=times)
    run = record.read(directory)
    if run.not_steady or run.failed or run.refused:
        raise SystemExit(f"{name}: {run.not_steady} {run.failed} {dict(run.refused)}")
    lines = list(journal.read(os.path.join(directory, record.JOURNAL)))
    answers = [line for line in lines if line["kind"] == "made"]
    spreads = [
        max(r["applied"]["monotonic"] for r in made) - min(r["asked"]["monotonic"] for r in made)
        for asked, answer in itertools.product(lines, answers)
        if asked["kind"] == "asked" and asked["begin"] and answer["request"] == asked["request"]
        for made in [[r for r in answer["readings"] if r["changed"]]]
        if made
    ]
    asked = [line["due"] - line["t"] for line in lines if line["kind"] == "asked" and line["begin"]]
    return run.acts, spreads, asked


def by_hand(cables, pids):
    """Seconds that `ip` takes to shut both ends of each of these cables, one cable after the other."""

    def ip(end, state):
        argv = [
            "nsenter",
            f"--net=/proc/{pids[end.port.node]}/ns/net",
            "ip",
            "link",
            "set",
            end.port.interface,
            state,
        ]
        subprocess.run(argv, check=True)

    took = []
    for cable in cables:
        began = time.perf_counter()
        for end in cable.ends:
            ip(end, "down")
        took.append(time.perf_counter() - began)
        for end in cable.ends:
            ip(end, "up")
    return took


def ms(values, share):
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main(routers=100, count=40):
    begin(f"timing: {routers} routers, {2 * routers} cables, {count} faults each")
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as root:
        here = Instance.here(os.path.join(root, "state"))
        os.environ.setdefault("LABCTL_IMAGES", ImageStore(Instance.here()).root)
        ensure(ImageStore(here), [IMAGE])
        spec = lab(root, routers)
        deploy.deploy_lab(spec, deploy.Request(file=""), here)
        place = here.lab(spec.name)
        try:
            status = RuncRuntime(here).status(place.need().lab)
            wait_up([each.pid for each in status])
            cables = [cable.id for cable in spec.cables][:: max(1, len(spec.cables) // count)][:count]
            for name, tree in (
                ("cut", one_by_one(cables, Down())),
                ("loss", one_by_one(cables, Impaired(Impairment(loss=0.03)))),
                ("delay", one_by_one(cables, Impaired(Impairment(delay_s=0.01)))),
                (f"{TOGETHER} cuts", together(cables, Down())),
                (f"{TOGETHER} losses", together(cables, Impaired(Impairment(loss=0.03)))),
                (f"{TOGETHER} delays", together(cables, Impaired(Impairment(delay_s=0.01)))),
            ):
                acts, spreads, asked = play(place, root, name, tree)
                late = [a.start.applied - a.start.requested for a in acts if a.start.applied is not None]
                back = [a.end.applied - a.end.requested for a in acts if a.end and a.end.applied is not None]
                median, p95 = 1000 * statistics.median(late), ms(late, 0.95)
                good = median <= MEDIAN_MS and p95 <= P95_MS
                print(
                    f"  {name:8} {len(late):3} made: median {median:5.1f} ms, 95th pct. {p95:5.1f} ms"
                    f" (wanted {MEDIAN_MS:g} and {P95_MS:g}: {'met' if good else 'MISSED'}),"
                    f" earliest {1000 * min(late):.1f} ms; asked for {1000 * statistics.median(asked):.1f} ms ahead;"
                    f" ended: median {1000 * statistics.median(back):5.1f} ms, 95th pct. {ms(back, 0.95):5.1f} ms",
                    flush=True,
                )
                if name.startswith(f"{TOGETHER} "):
                    worst = 1000 * max(spreads)
                    print(
                        f"  {TOGETHER} at once: from the first to the last effect {1000 * statistics.median(spreads):.1f} ms"
                        f" (median), {worst:.1f} ms (worst), wanted {SPREAD_MS:g} ms:"
                        f" {'met' if worst <= SPREAD_MS else 'MISSED'}",
                        flush=True,
                    )
            took = by_hand(spec.cables[:count], {each.node: each.pid for each in status})
            print(
                f"  by hand, a cut: `ip` in two nodes takes {1000 * statistics.median(took):.1f} ms (median), "
                f"95th pct. {ms(took, 0.95):.1f} ms"
            )
        finally:
            destroy.destroy(place)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
