"""Nodes that wait for each other, and health checks, in real containers."""

import json
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from labs import deployed, instance, line, node, nothing_left, request
from rig import until

from labctl.app import apply, deploy, inspect
from labctl.errors import LabctlError
from labctl.linux.netlink import Netlink
from labctl.model.stages import Healthcheck, Phase, Stage, StageCommand, Wait
from labctl.run import observe, restart
from labctl.schema import clab

pytestmark = pytest.mark.root


def wait(stage, other, until_):
    return Wait(stage=Stage(stage), node=other, until=Stage(until_))


def check(script, **more):
    return Healthcheck(test=("/bin/sh", "-c", script), **({"interval_s": 0.2, "retries": 2} | more))


def status_of(place):
    (found,) = inspect.inspect([place])
    return {each["name"].rpartition("-")[2]: each["status"] for each in found.containers}


WAITING = """
name: stages
topology:
  defaults: {kind: linux, image: labctl/base, cmd: sleep 600, binds: ["shared:/shared"]}
  nodes:
    r1:
      cmd: sh -c "ls /shared > /shared/r1-saw; exec sleep 600"
      stages: {create: {wait-for: [{node: r2, stage: healthy}]}}
    r2:
      healthcheck: {test: [CMD-SHELL, test -e /shared/ready], interval: 1, timeout: 20, retries: 2}
      exec: [touch /shared/configured]
      stages:
        configure: {exec: [{command: "sh -c 'test -e /shared/configured || touch /shared/entered'", phase: on-enter}]}
        healthy: {exec: [{command: touch /shared/well, target: container, phase: on-exit}]}
    r3: {cmd: "sh -c 'sleep 0.5; touch /shared/ready'"}
"""


@pytest.mark.both
def test_a_node_starts_when_those_that_it_waits_for_are_there(tmp_path, monkeypatch, kind):
    """r1 waits for r2's health, r2's health for what r3 wrote, r3 (by its end) for nobody."""
    here = instance(tmp_path / "state", monkeypatch, kind)
    shared = tmp_path / "shared"
    shared.mkdir()
    spec = clab.parse(WAITING, file=str(tmp_path / "stages.clab.yml"))
    told = []
    with deployed(here, spec, told.append) as place:
        seen = {"entered", "configured", "ready", "well"}
        until(lambda: seen <= set((shared / "r1-saw").read_text().split()), "r1 has looked")
        assert any(e.kind == "waiting" and "node r1 waits for r2" in e.text for e in told)
        assert status_of(place)["r2"].endswith("(healthy)")
        assert "(" not in status_of(place)["r1"]
    nothing_left(here, (spec,))


def test_waiting_for_the_end_of_a_node_and_for_light(tmp_path, monkeypatch, kind):
    """r1 gets light on its cables when r3 has ended; r2 sees the carrier come."""
    here = instance(tmp_path / "state", monkeypatch, kind)
    spec = line(
        node("r1", cmd=("sleep", "600"), waits=(wait("create-links", "r3", "exit"),)),
        node("r2", cmd=("sleep", "600")),
        node("r3", cmd=("sh", "-c", "while ! test -e /go; do sleep 0.05; done"),
             stage_commands=(StageCommand(stage=Stage.CREATE, phase=Phase.ON_EXIT, command="true"),)),
        name="light",
    )  # fmt: skip
    place = here.lab("light")
    seen = []

    def carrier():
        with Netlink(place.node_ns("r2")) as kernel:
            link = kernel.link("eth1")
            return link is not None and link.carrier

    def go(event):
        # r1 runs and waits for r3 while its cable is dark; then r3 may end.
        if event.kind == "waiting":
            until(lambda: not carrier(), "the cable is dark")
            seen.append(carrier())
            threading.Thread(target=release).start()

    def release():
        lab = place.need().lab
        runtime = observe.runtime(place)

        def touched():
            try:
                return runtime.exec(lab, "r3", ["touch", "/go"], timeout_s=10).code == 0
            except LabctlError:
                return False

        until(touched, "r3 runs")

    with deployed(here, spec, go):
        assert seen == [False]
        until(carrier, "the cable has light")
        assert status_of(place)["r3"].startswith("Exited")
    nothing_left(here, (spec,))


def test_who_waits_for_the_health_of_a_node_that_ends_is_told_and_nothing_stays(tmp_path, monkeypatch, kind):
    here = instance(tmp_path / "state", monkeypatch, kind)
    spec = line(
        node("r1", waits=(wait("create", "r2", "healthy"),)),
        node("r2", cmd=("sh", "-c", "sleep 0.7"), healthcheck=check("echo not yet; false")),
        name="ends",
    )
    with pytest.raises(LabctlError, match="ended before it was healthy") as caught:
        deploy.deploy_lab(spec, request(), here)
    assert caught.value.code == "stage-not-reached"
    nothing_left(here, (spec,))


def test_an_interruption_of_a_lab_that_waits_leaves_nothing(tmp_path, monkeypatch, kind):
    here = instance(tmp_path / "state", monkeypatch, kind)
    (tmp_path / "w.clab.yml").write_text("""
name: waits
topology:
  defaults: {kind: linux, image: labctl/base}
  nodes:
    r1: {stages: {create: {wait-for: [{node: r2, stage: healthy}]}}}
    r2: {healthcheck: {test: [CMD, "false"], interval: 1, retries: 1}}
""")
    process = subprocess.Popen(
        [sys.executable, "-m", "labctl", "deploy", str(tmp_path / "w.clab.yml")],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    told = []
    for text in process.stderr:
        told.append(text)
        if "node r2 is unhealthy, and is waited for 900 s at most" in text:
            break
    assert any("node r1 waits for r2" in text for text in told)
    process.send_signal(2)
    process.communicate(timeout=60)
    assert process.returncode == 130
    nothing_left(here)


@pytest.mark.both
def test_health_is_followed_over_the_life_of_a_node(tmp_path, monkeypatch, kind):
    here = instance(tmp_path / "state", monkeypatch, kind)
    spec = line(node("r1", healthcheck=check("test ! -e /ill")), node("r2"), name="health")
    with deployed(here, spec) as place:
        runtime, lab = observe.runtime(place), place.need().lab
        until(lambda: status_of(place)["r1"].endswith("(healthy)"), "healthy")
        runtime.exec(lab, "r1", ["touch", "/ill"])
        until(lambda: status_of(place)["r1"].endswith("(unhealthy)"), "unhealthy")
        runtime.exec(lab, "r1", ["rm", "/ill"])
        until(lambda: status_of(place)["r1"].endswith("(healthy)"), "healthy again")
        runtime.exec(lab, "r1", ["touch", "/ill"])
        restart.restart(place, ["r1"])
        assert status_of(place)["r1"].endswith(("(health: starting)", "(unhealthy)"))
        until(lambda: status_of(place)["r1"].endswith("(unhealthy)"), "checked anew after the restart")
        with open(f"{place.node_dir('r1')}/health.json") as file:
            assert json.load(file)["failing"] >= 2
        other = replace(
            spec, nodes=(replace(spec.nodes[0], healthcheck=check("test -e /fit")), spec.nodes[1])
        )
        apply.apply_lab(other, apply.Request(file=""), here)
        runtime.exec(lab, "r1", ["touch", "/fit"])
        until(lambda: status_of(place)["r1"].endswith("(healthy)"), "the new check is asked")
        runtime.exec(lab, "r1", ["rm", "/fit"])
        until(lambda: status_of(place)["r1"].endswith("(unhealthy)"), "again and again")
        runtime.exec(lab, "r1", ["touch", "/fit"])
        until(lambda: status_of(place)["r1"].endswith("(healthy)"), "healthy once more")
        hangs = replace(spec.nodes[0], healthcheck=check("sleep 600", timeout_s=0.3))
        apply.apply_lab(replace(spec, nodes=(hangs, spec.nodes[1])), apply.Request(file=""), here)
        until(lambda: status_of(place)["r1"].endswith("(unhealthy)"), "a check that hangs has failed")
    nothing_left(here, (spec,))
