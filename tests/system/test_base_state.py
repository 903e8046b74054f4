"""What a lab's file says that a cable is like: from the first frame on, under faults and after them, whoever dies."""

import contextlib
import os
import signal

import pytest
from labs import IMAGE, own_instance
from rig import until

from labctl.agent import client
from labctl.app import apply, deploy, heal
from labctl.errors import LabctlError
from labctl.linux import cgroup, proc
from labctl.model.effects import Direction, Effect, HalfCable, Impaired
from labctl.model.impairment import Impairment, Jitter
from labctl.names import CableId
from labctl.run import destroy
from labctl.runtime.base import RUNTIMES

pytestmark = pytest.mark.root

CABLE = CableId.parse("r1:eth1--r2:eth1")
FILE = f"""
name: based
topology:
  defaults: {{kind: linux, image: {IMAGE}, cmd: sleep infinity}}
  nodes: {{r1: {{}}, r2: {{}}}}
  links:
    - {{endpoints: ["r1:eth1", "r2:eth1"], ipv4: [10.0.0.1/30, 10.0.0.2/30], labels: {{LABELS}}}}
"""
#: Added to each way, so a round trip is not shorter than twice that; and far from what a busy machine adds.
SLOW, SLOWER = "labctl-delay: 100ms", "labctl-delay: 300ms"


@pytest.fixture(scope="module")
def here(tmp_path_factory, kind):
    with own_instance(tmp_path_factory.mktemp("state"), kind) as found:
        yield found


@pytest.fixture
def lab(here, tmp_path):
    """Deployed with these labels; applies others."""
    path = str(tmp_path / "based.clab.yml")
    place = here.lab("based")

    def write(labels):
        with open(path, "w") as file:
            file.write(FILE.replace("LABELS", labels))
        return path

    deploy.deploy(deploy.Request(file=write(SLOW)), here)
    try:
        yield place, lambda labels: apply.apply(apply.Request(file=write(labels)), here)
    finally:
        destroy.destroy(place)


def wire(place):
    """The process in user space that delays, where the kernel cannot."""
    with contextlib.suppress(FileNotFoundError):
        for pid in cgroup.pids(place.agent_cgroup):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"impair.worker" in file.read():
                    return proc.identity(pid)
    return None


def rtt_ms(place):
    record = place.need()
    runtime = RUNTIMES[record.runtime](place.instance)
    done = runtime.exec(
        record.lab, "r1", ["ping", "-n", "-q", "-c", "5", "-i", "0.05", "10.0.0.2"], timeout_s=30
    )
    assert done.code == 0, done.stdout
    return float(done.stdout.rpartition("= ")[2].split("/")[0])


def test_a_cable_is_what_its_labels_say(here, lab):
    place, change = lab
    assert 200 <= rtt_ms(place) < 300
    worse = [
        Effect(id="worse", on=HalfCable(CABLE, way), change=Impaired(Impairment(delay_s=0.1)))
        for way in Direction
    ]
    client.add(place, "worse", worse, 600)
    assert 400 <= rtt_ms(place) < 500
    assert [each.do for each in change(SLOWER).plan.steps] == ["change-cable"]
    assert 800 <= rtt_ms(place) < 900, "the fault stays"
    client.clear(place, "worse")
    assert 600 <= rtt_ms(place) < 700, "what the file says is no fault"
    agent = proc.identity(client.ask(place, "status")["pid"])
    for each in filter(None, (agent, wire(place))):
        os.kill(each.pid, signal.SIGKILL)
        until(lambda gone=each: not proc.alive(gone), "it has ended")
    heal.heal(here, "based", everything=False)
    assert 600 <= rtt_ms(place) < 700
    change("mine: x")
    assert rtt_ms(place) < 100


def test_one_that_faults_have_no_meaning_with_waits_for_their_end_and_refuses_the_next(lab):
    """Two shapes of jitter do not add up."""
    place, change = lab
    uniform = [
        Effect(
            id="uniform",
            on=HalfCable(CABLE, way),
            change=Impaired(Impairment(delay_s=0.3, jitter=Jitter(spread_s=0.001))),
        )
        for way in Direction
    ]
    assert rtt_ms(place) >= 200, "and neighbours know each other"
    client.add(place, "uniform", uniform, 600)
    assert 780 <= rtt_ms(place) < 900
    change("labctl-delay: 100ms, labctl-jitter: 1ms, labctl-distribution: normal")
    assert 580 <= rtt_ms(place) < 700
    client.clear(place, "uniform")
    assert 180 <= rtt_ms(place) < 300
    with pytest.raises(LabctlError, match="jitter"):
        client.add(place, "uniform", uniform, 600)
    assert 180 <= rtt_ms(place) < 300
