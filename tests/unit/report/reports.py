"""A run as the demo makes it, written down: two sites, one core cable cut, rerouted, healed."""

from labctl.analyze import played
from labctl.model.measure import Sample, Series, Track, Window
from labctl.model.played import Played
from labctl.model.routes import (
    Adjacency,
    Convergence,
    NextHop,
    Route,
    RouteChange,
    RouteComparison,
    RouteDifference,
)
from labctl.model.scenario import Expectation
from labctl.model.topology import Device, Evidence, Link, Topology
from labctl.model.verdict import Act, Phase, RunMeta, Stamps
from labctl.names import CableId

CABLES = (
    "client1:eth1--a-acc1:eth1",
    "web1:eth1--b-acc1:eth1",
    "a-acc1:eth2--a-core1:eth1",
    "a-acc1:eth3--a-core2:eth1",
    "a-core1:eth2--a-core2:eth2",
    "a-core1:eth3--a-edge1:eth1",
    "a-core2:eth3--a-edge2:eth1",
    "a-edge1:eth2--a-edge2:eth2",
    "b-acc1:eth2--b-core1:eth1",
    "b-acc1:eth3--b-core2:eth1",
    "b-core1:eth2--b-core2:eth2",
    "b-core1:eth3--b-edge1:eth1",
    "b-core2:eth3--b-edge2:eth1",
    "b-edge1:eth2--b-edge2:eth2",
    "a-edge1:eth3--b-edge1:eth3",
    "a-edge2:eth3--b-edge2:eth3",
)
CUT = CableId.parse("a-core1:eth3--a-edge1:eth1")


def topology(cables=CABLES, name="demo"):
    links = []
    for cable in map(CableId.parse, cables):
        evidence = tuple(
            Evidence(
                source="lldp",
                where=f"{here.node} 1.0.8802.1.1.2.1.4.1.1.7.0.{i}.1",
                said=f"{here.interface} sees {there.node} port {there.interface}",
                rule="lldpRemPortId is the remote's ifName",
            )
            for i, (here, there) in enumerate(((cable.a, cable.z), (cable.z, cable.a)), 3)
        )
        links.append(Link(a=cable.a, b=cable.z, two_sided=True, confidence=1.0, evidence=evidence))
    names = sorted({p.node for link in links for p in (link.a, link.b)})
    devices = tuple(Device(id=n, name=n, polled=True, platform="FRRouting 8.4.4") for n in names)
    return Topology(name=name, devices=devices, links=tuple(links))


def track(subject, lost=(), *, start=60.0, end=95.0, interval=0.02, metric="rtt", value=0.00021, error=""):
    """Samples of every `interval`; those sent within one of the `lost` stretches got no answer."""
    samples = []
    for seq in range(int((end - start) / interval)):
        sent = round(start + seq * interval, 6)
        gone = any(a <= sent < b for a, b in lost)
        samples.append(Sample(seq=seq, sent=sent, value=None if gone else value * (1 + seq % 7 / 10)))
    series = Series(subject=subject, metric=metric)
    return Track(series=series, interval_s=interval, late_s=1.0, samples=tuple(samples), error=error)


def route(prefix, protocol="ospf", *hops):
    return Route(prefix=prefix, protocol=protocol, next_hops=frozenset(NextHop(*h) for h in hops), metric=20)


def cut_phase():
    way1, way2 = ("10.1.0.7", "eth3"), ("10.1.0.5", "eth2")
    changes = [
        RouteChange(
            t=70.012 + i * 0.011,
            node="a-core1",
            prefix=f"10.2.{i}.0/24",
            before=route(f"10.2.{i}.0/24", "ospf", way1),
            after=route(f"10.2.{i}.0/24", "ospf", way2),
        )
        for i in range(9)
    ]
    changes.append(
        RouteChange(
            t=70.009,
            node="a-edge1",
            prefix="10.1.0.6/31",
            before=route("10.1.0.6/31", "connected", ("", "eth1")),
            after=None,
        )
    )
    changes.sort(key=lambda c: c.t)
    return Convergence(
        phase="cable cut",
        settled=True,
        start=70.0,
        took_s=0.62,
        waited_s=10.7,
        quiet_s=10.0,
        route_changes=tuple(changes),
        up=26,
    )


def observed(limit_s=None, **changes):
    """As read back from the files of a run. limit_s: the longest outage that is allowed, by default 1 s.

    `tracks` are given as a row; each becomes a probe with what the scenarios of the library expect of one.
    """
    lost = ((70.005, 70.31),)
    parts = {
        "run": RunMeta(
            title="core-cut",
            lab="demo-shadow",
            runtime="runc",
            kernel="Linux 6.1.0-30-amd64",
            started="2026-11-20T12:00:00+00:00",
            duration_s=184.2,
            seed=7,
            command="labctl demo",
            machine="2 cores, 4 GiB",
            versions=(("labctl", "0.1.0"), ("FRRouting", "8.4.4")),
        ),
        "acts": (
            Act(
                id="cut-1",
                what="cable cut",
                on=str(CUT),
                cable=CUT,
                start=Stamps(requested=70.0, applied=70.003, read_back=70.004),
                end=Stamps(requested=81.0, applied=81.002, read_back=81.004),
            ),
        ),
        "tracks": (
            track("client1 → web1", lost),
            track("client1 → web1 (http)", ((70.0, 70.35),), interval=0.1, metric="http", value=0.0011),
            track("client1 → a-core1"),
        ),
        "ready": (
            Convergence(
                phase="shadow", settled=True, start=2.0, took_s=41.0, waited_s=51.0, quiet_s=10.0, up=28
            ),
        ),
        "convergence": (
            cut_phase(),
            Convergence(
                phase="after",
                settled=True,
                start=81.0,
                took_s=9.8,
                waited_s=19.9,
                quiet_s=10.0,
                up=28,
                stuck=(Adjacency(kind="bgp", node="b-edge2", peer="10.9.9.9", state="Active"),),
            ),
        ),
        "comparison": RouteComparison(
            compared=224, equal=224, nodes=10, ignored=(("management", 20), ("own addresses", 12))
        ),
        "before": Window(start=60.0, end=69.9),
        "during": Window(start=70.0, end=92.0),
        "after": Window(start=92.0, end=95.0),
        "faults_end": 81.0,
        "changed": (),
        "lost_sessions": (),
        "left": (),
        "ended": True,
        "topology": topology(),
        "phases": (Phase(name="production started", start=0.0, took_s=18.0),),
    }
    parts.update(changes)
    tracks = {f"probe{i}": each for i, each in enumerate(parts["tracks"])}
    loss = (Expectation(measure="loss", limit=0.01, probe=probe) for probe in tracks)
    outage = (Expectation(measure="max_outage", limit=limit_s or 1.0, probe=probe) for probe in tracks)
    return Played(
        steady=tuple(loss),
        expect_during=tuple(outage),
        subjects={probe: each.series.subject for probe, each in tracks.items()},
        **(parts | {"tracks": tracks}),
    )


def report(limit_s=None, **changes):
    return played.report(observed(limit_s, **changes))


DIFFERENCE = RouteDifference(
    node="a-edge1",
    prefix="10.2.100.0/24",
    kind="next-hops",
    production=route("10.2.100.0/24", "bgp", ("10.0.12.1", "eth3")),
    shadow=route("10.2.100.0/24", "bgp", ("10.1.0.11", "eth2")),
    reason="not up in the shadow: bgp a-edge1 to 10.0.12.1: Active",
)
