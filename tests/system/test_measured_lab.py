"""A deployed lab, measured: settled, a cable cut by the agent, traffic lost and rerouted, healed, judged, reported.

Three FRR routers in a triangle and a host behind two of them; everything real but the clock's patience.
"""

import json
import os
import re
import time
from dataclasses import replace

import pytest
from labs import deployed, instance, nothing_left
from triangle import CUT, triangle

from labctl.agent import client
from labctl.analyze import converge as analyze
from labctl.analyze import routes
from labctl.analyze.judge import Observed, judge
from labctl.app import compare, ready
from labctl.cli import main
from labctl.model.effects import Direction, Down, Effect, HalfCable
from labctl.model.measure import shift
from labctl.model.routes import NextHop
from labctl.model.verdict import Act, RunMeta, Stamps, Verdict
from labctl.probes.http import HttpFlow
from labctl.probes.ping import PingFlow
from labctl.probes.sampler import Sampler
from labctl.report.folder import save
from labctl.run import converge, destroy, observe
from labctl.topo.graph import of_lab

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if os.geteuid():
        pytest.skip("needs root: deploys a lab")
    with pytest.MonkeyPatch.context() as patch:
        here = instance(tmp_path_factory.mktemp("state"), patch)
        with deployed(here, triangle(tmp_path_factory.mktemp("configs"))) as place:
            yield place
        nothing_left(here)


@pytest.fixture(scope="module")
def start(lab):
    return ready.wait(lab, timeout_s=120)


@pytest.fixture(scope="module")
def seen(lab, start):
    """The whole story, once: quiet, cut, quiet, heal, quiet."""
    flows = (
        PingFlow(lab.node_ns("h1"), "10.2.0.10", subject="h1 → h2"),
        PingFlow(lab.node_ns("h1"), "10.1.0.1", subject="h1 → r1"),
    )
    web = HttpFlow(lab.node_ns("h1"), "10.2.0.10", subject="h1 → http://h2/")
    cable = next(c.id for c in lab.need().lab.cables if str(c.id) == CUT)
    effects = [Effect(id="cut", on=HalfCable(cable, way), change=Down()) for way in Direction]
    zero = time.monotonic()
    with (
        converge.Watch(observe.targets(lab)) as watch,
        Sampler(flows, interval_s=0.002) as pings,
        Sampler((web,), interval_s=0.2) as requests,
    ):
        before = watch.settle(phase="before", timeout_s=60)
        whole = watch.fibs()
        asked = time.monotonic()
        made = client.add(lab, "cut", effects, 120.0, owner=client.me())
        try:
            cut = watch.settle(phase="cut", since=asked, timeout_s=60)
        finally:
            heal = time.monotonic()
            ended = client.clear(lab, "cut")
        healed = watch.settle(phase="healed", since=heal, timeout_s=60)
        again = watch.fibs()
        tracks = [shift(t, -zero) for t in (*pings.stop(), *requests.stop())]

    def stamps(requested, reply):
        readings = reply["readings"]
        return Stamps(
            requested=requested - zero,
            applied=max(r["applied"]["monotonic"] for r in readings) - zero,
            read_back=max(r["read"]["monotonic"] for r in readings) - zero,
        )

    act = Act(
        id="cut", what="cable cut", on=CUT, cable=cable, start=stamps(asked, made), end=stamps(heal, ended)
    )
    changed = [
        c for n in whole for c in analyze.changes(n, whole[n], again[n], since=heal - zero, announced={})
    ]
    return Observed(
        run=RunMeta(title="measured", lab="measured", runtime="runc", kernel="", started="", duration_s=1.0),
        acts=(act,),
        tracks=tuple(tracks),
        convergence=tuple(_shifted(c, -zero) for c in (before, cut, healed)),
        comparison=routes.compare(observe.tables(lab), observe.tables(lab)),
        changed_after=tuple(changed),
        topology=of_lab(lab.need().lab),
    )


def _shifted(seen, by):
    moved = tuple(replace(c, t=c.t + by) for c in seen.route_changes)
    return replace(seen, start=seen.start + by, route_changes=moved)


def test_it_settles(start):
    assert start.settled
    assert (start.up, start.stuck, start.silent) == (6, (), ())


def test_waiting_for_a_deployed_lab_tells_what_came_of_it(start):
    first, *rest = ready.told(start)
    assert re.fullmatch(r"routing settled after [0-9.]+ m?s: 6 adjacencies up", first)
    assert rest == []


def test_the_cut_moves_the_hosts_way_and_the_repair_brings_it_back(seen):
    _, cut, healed = seen.convergence
    assert cut.settled
    assert healed.settled
    assert (cut.up, healed.up) == (4, 6)
    ways = {(c.node, c.prefix): (c.before, c.after) for c in cut.route_changes if c.before and c.after}
    before, after = ways["r1", "10.2.0.0/24"]
    assert before.next_hops == {NextHop("10.0.12.2", "eth1")}
    assert after.next_hops == {NextHop("10.0.13.3", "eth2")}
    assert seen.changed_after == ()


def test_the_traffic_that_was_lost_is_the_traffic_that_went_that_way(seen):
    report = judge(seen)
    through, beside, web = report.flows
    act = seen.acts[0]
    window = max(through.windows, key=lambda w: w.lost)
    assert window.recovered
    assert act.start.requested <= window.first_lost
    assert window.next_good is not None
    assert act.end is not None
    assert window.next_good < act.end.requested
    assert beside.lost == 0
    # h2 has no web server: refused is an answer of the network, and while the cable is cut there is none
    assert {s.error for s in web.track.samples} >= {"connection refused"}


def test_verdict_and_report(seen, tmp_path):
    without_web = replace(seen, tracks=seen.tracks[:2])
    report = judge(without_web)
    assert report.verdict is Verdict.PASS, report.findings
    assert report.headline.startswith(f"Cable cut ({CUT}): h1 → h2 was interrupted for ")
    save(report, str(tmp_path))
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "PASS"
    assert (tmp_path / "report.html").stat().st_size < 250_000


def test_a_lab_compared_with_its_own_saved_state_is_equal(lab, seen, tmp_path):
    compare.save(lab.name, str(tmp_path / "saved.yml"), lab.instance)
    result = compare.compare(lab.name, str(tmp_path / "saved.yml"), lab.instance)
    assert result.differences == ()
    assert result.unread == ()
    assert result.nodes == 5
    assert result.compared == result.equal == 19  # 5 networks of 3 routers, 2 routes of 2 hosts


LAB = """\
name: two
topology:
  nodes:
    h1: {kind: linux, image: labctl/base}
    h2: {kind: linux, image: labctl/base}
  links:
    - endpoints: ["h1:eth1", "h2:eth1"]
"""


@pytest.mark.parametrize(
    "case",
    [("1s", 4, "routing has not settled after "), ("60s", 0, "routing settled after 0 s: 0 adjacencies up")],
)
def test_the_wait_of_deploy_and_its_exit_status(tmp_path, monkeypatch, capsys, case):
    """Quiet takes five seconds; within one, nobody can say that it has settled. The lab stays either way."""
    timeout, status, said = case
    if os.geteuid():
        pytest.skip("needs root: deploys a lab")
    here = instance(tmp_path / "state", monkeypatch)
    (tmp_path / "two.clab.yml").write_text(LAB)
    try:
        with pytest.raises(SystemExit) as stop:
            main.run(["deploy", str(tmp_path / "two.clab.yml"), "--wait", "--timeout", timeout])
        assert int(stop.value.code or 0) == status
        assert said in capsys.readouterr().err
        assert here.lab_exists("two")
    finally:
        if here.lab_exists("two"):
            destroy.destroy(here.lab("two"))
    nothing_left(here)
