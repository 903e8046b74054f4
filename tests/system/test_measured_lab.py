"""A deployed lab, measured: settled, a cable cut by the agent, traffic lost and rerouted, healed, judged, reported.

Three FRR routers in a triangle and a host behind two of them; everything real but the clock's patience.
"""

import json
import os
import re
from pathlib import Path

import pytest
from labs import instance, nothing_left
from triangle import CUT, running

from labctl.analyze import loss
from labctl.app import compare, ready, run
from labctl.cli import main
from labctl.model.routes import NextHop
from labctl.model.verdict import Verdict
from labctl.run import destroy, record

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running(tmp_path_factory) as place:
        yield place


@pytest.fixture(scope="module")
def start(lab):
    return ready.wait(lab, timeout_s=120)


SCENARIO = f"""\
name: measured
probes:
  through: {{kind: ping, from: h1, to: h2, every: 2ms}}
  beside: {{kind: ping, from: h1, to: 10.1.0.1, every: 2ms}}
  web: {{kind: http, from: h1, to: h2, every: 200ms}}
timeline:
  - parallel:
      - {{fault: link.down, id: cut, target: {{link: "{CUT}"}}, for: 14s}}
      - wait: {{until: settled, timeout: 14s}}
  - wait: {{until: settled, timeout: 60s}}
expect:
  during:
    - {{probe: through, max_outage: 8s}}
"""


@pytest.fixture(scope="module")
def result(lab, start, tmp_path_factory):
    """The whole story, once: quiet, cut, quiet, heal, quiet."""
    directory = tmp_path_factory.mktemp("measured")
    (directory / "measured.yml").write_text(SCENARIO)
    request = run.Request(scenario=str(directory / "measured.yml"), lab=lab.name, out=str(directory), seed=1)
    return run.run(request, lab.instance)


@pytest.fixture(scope="module")
def seen(result):
    """What was written down of it."""
    return record.read(result.directory)


def test_it_settles(start):
    assert start.settled
    assert (start.up, start.stuck, start.silent) == (6, (), ())


def test_waiting_for_a_deployed_lab_tells_what_came_of_it(start):
    first, *rest = ready.told(start)
    assert re.fullmatch(r"routing settled after [0-9.]+ m?s: 6 adjacencies up", first)
    assert rest == []


def test_the_cut_moves_the_hosts_way_and_the_repair_brings_it_back(seen):
    cut, healed = (next(c for c in seen.convergence if c.phase == phase) for phase in ("with cut", "after"))
    assert cut.settled
    assert healed.settled
    assert (cut.up, healed.up) == (4, 6)
    # at a busy moment it is gone before it is there again: two changes
    ways = [(c.before, c.after) for c in cut.route_changes if (c.node, c.prefix) == ("r1", "10.2.0.0/24")]
    before, after = ways[0][0], ways[-1][1]
    assert before is not None
    assert after is not None
    assert before.next_hops == {NextHop("10.0.12.2", "eth1")}
    assert after.next_hops == {NextHop("10.0.13.3", "eth2")}
    assert seen.changed == ()


def test_the_traffic_that_was_lost_is_the_traffic_that_went_that_way(seen):
    through, beside = (loss.flow(seen.tracks[name]) for name in ("through", "beside"))
    (act,) = seen.acts
    window = max(through.windows, key=lambda w: w.lost)
    assert window.recovered
    assert act.start.requested <= window.first_lost
    assert window.next_good is not None
    assert act.end is not None
    assert window.next_good < act.end.requested
    assert beside.lost == 0
    # h2 has no web server: refused is an answer of the network, and while the cable is cut there is none
    assert {s.error for s in seen.tracks["web"].samples} >= {"connection refused"}


def test_verdict_and_report(result):
    assert result.report.verdict is Verdict.PASS, result.report.findings
    assert result.report.headline.startswith(f"measured: link.down ({CUT}); ")
    assert result.left == ()
    page, record = (Path(result.files[kind]) for kind in ("html", "json"))
    assert json.loads(record.read_text())["verdict"] == "PASS"
    assert page.stat().st_size < 250_000


def test_a_lab_compared_with_its_own_saved_state_is_equal(lab, result, tmp_path):
    compare.save(lab.name, str(tmp_path / "saved.yml"), lab.instance)
    found = compare.compare(lab.name, str(tmp_path / "saved.yml"), lab.instance)
    assert found.differences == ()
    assert found.unread == ()
    assert found.nodes == 5
    assert found.compared == found.equal == 19  # 5 networks of 3 routers, 2 routes of 2 hosts


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
