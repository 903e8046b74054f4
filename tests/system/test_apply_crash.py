"""kill -9 at seeded steps of `labctl apply`: whoever goes on, and however, ends at a lab that is as if freshly deployed.

`make test` runs a sample, `make soak` all points; a point is drawn from the seed and its number alone. Afterwards the
same file is applied again, or the file of before, or a third one, or `heal` goes on, or the lab is destroyed; half of
the time a fault is active all along.
"""

import collections
import json
import os
import random
import subprocess
import sys
import uuid

import labstate
import leftovers
import pytest
import soaking
from crashing import Bench, need_image
from rig import until

from labctl.agent import client
from labctl.app import deploy
from labctl.model.effects import Direction, Down, Effect, HalfCable
from labctl.run import destroy
from labctl.runtime import codec
from labctl.runtime.store import Instance, Phase

pytestmark = pytest.mark.root

POINTS = 120
SAMPLE = 5
WAYS = ("again", "heal", "back", "elsewhere", "destroy")
NAME = f"steps-{uuid.uuid4().hex[:6]}"  # MACs come from the name, and they are looked for

HEAD = f"name: {NAME}\ntopology:\n  defaults: {{kind: linux, image: labctl/base, cmd: sleep infinity}}\n"
OLD = f"""{HEAD}
  nodes:
    r1: {{exec: ["sh -c 'echo one > /root/one'"], cpu: 0.5}}
    r2: {{}}
    r3: {{env: {{A: "1"}}}}
    r4: {{}}
    sw: {{kind: bridge}}
  links:
    - {{endpoints: ["r1:eth1", "r2:eth1"], mtu: 1500, ipv4: [10.0.0.1/30, 10.0.0.2/30]}}
    - endpoints: ["r2:eth2", "r3:eth1"]
    - endpoints: ["r3:eth2", "sw:p1"]
    - endpoints: ["r4:eth1", "sw:p2"]
"""
NEW = f"""{HEAD}
  nodes:
    r1: {{exec: ["sh -c 'echo one > /root/one'", "sh -c 'echo two > /root/two'"], cpu: 0.25, labels: {{a: b}}}}
    r2: {{}}
    r3: {{env: {{A: "2"}}}}
    r5: {{}}
    sw: {{kind: bridge}}
    sw2: {{kind: bridge}}
  links:
    - {{endpoints: ["r1:eth1", "r2:eth1"], mtu: 1400, ipv4: [10.0.0.5/30, 10.0.0.6/30]}}
    - endpoints: ["r2:eth2", "r5:eth1"]
    - endpoints: ["r3:eth2", "sw2:p1"]
    - endpoints: ["r5:eth2", "sw:p1"]
"""
OTHER = f"""{HEAD}
  nodes:
    r1: {{exec: ["sh -c 'echo one > /root/one'"], cpu: 0.5}}
    r2: {{cmd: sleep 7777}}
    r5: {{env: {{B: "1"}}}}
  links:
    - {{endpoints: ["r1:eth1", "r2:eth1"], mtu: 9000}}
    - endpoints: ["r2:eth2", "r5:eth3"]
"""
FELL_ON = collections.Counter()


@pytest.fixture(scope="module", autouse=True)
def _counts():
    yield
    soaking.FIGURES += [f"apply crash points: {count:3} {what}" for what, count in sorted(FELL_ON.items())]


class Bed(Bench):
    """A bench with three files of one lab."""

    def __init__(self, directory):
        super().__init__(directory)
        self.lab = NAME
        self.place = self.instance.lab(NAME)
        self.files = {}
        for name, text in (("old", OLD), ("new", NEW), ("other", OTHER)):
            self.files[name] = os.path.join(self.directory, f"{name}.clab.yml")
            with open(self.files[name], "w") as file:
                file.write(text)
        self.file = self.files["old"]

    def apply(self, name):
        """Exit 5 is as good: the kill came when everything was done."""
        argv = [sys.executable, "-m", "labctl", "apply", self.files[name]]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 5), done.stdout + done.stderr


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """How many an apply takes when nobody kills it."""
    bed = Bed(tmp_path_factory.mktemp("apply-steps"))
    need_image()
    bed.deploy()
    try:
        return bed.steps("apply", bed.files["new"])
    finally:
        bed.labctl("destroy", "--all", "--yes")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The state of a fresh deploy of a spec, read once for each."""
    here = Instance.here(str(tmp_path_factory.mktemp("apply-fresh")))
    known = {}

    def state(lab, images):
        key = json.dumps(codec.encode(lab), sort_keys=True)
        if key not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("LABCTL_IMAGES", images)
                deploy.deploy_lab(lab, deploy.Request(file=""), here)
                place = here.lab(lab.name)
                try:
                    until(lambda: settled(place), "every port has its carrier and its addresses")
                    known[key] = labstate.read(place)
                finally:
                    destroy.destroy(place)
        return known[key]

    return state


def settled(place):
    """Of each cable that a node ends at, that node's port has carrier and a link-local address."""
    state = labstate.read(place)
    nodes = [state[node.name] for node in place.need().lab.nodes if node.name in state]
    return all(
        carrier and any(each.startswith(f"{name} fe80:") for each in node["addresses"])
        for node in nodes
        for name, _, _, _, carrier in node["links"]
        if name != "lo"
    )


@pytest.mark.parametrize("slot", range(SAMPLE))
def test_sample(tmp_path, seed, steps, fresh, slot):
    number = random.Random(f"{seed}-apply-sample-{slot}").randrange(POINTS // SAMPLE) * SAMPLE + slot
    crash(tmp_path, seed, steps, fresh, number)


@pytest.mark.soak
@pytest.mark.parametrize("point", range(POINTS))
def test_point(tmp_path, seed, steps, fresh, point):
    crash(tmp_path, seed, steps, fresh, point)


def crash(tmp_path, seed, steps, fresh, number):
    """One point: deploy, change and kill, go on, compare. Each way in its turn."""
    rng = random.Random(f"{seed}-apply-{number}")
    way, broken, step = WAYS[number % len(WAYS)], rng.random() < 0.5, rng.randint(1, steps)
    bed = Bed(tmp_path)
    bed.deploy()
    try:
        if broken:
            cut(bed)
        hit = bed.kill_at_step(step, "apply", bed.files["new"])
        record = bed.remember()
        phase = record.phase.value if hit else "not hit"
        FELL_ON[f"{way}, {'a fault' if broken else 'no fault'}, lab was: {phase}"] += 1
        go_on(bed, way)
        if way != "destroy":
            same_as_fresh(bed, fresh, broken and way != "heal")
    except BaseException as error:
        error.add_note(f"seed {seed}, point {number}: {way} after a kill at step {step} of {steps}")
        raise
    finally:
        bed.remember()
        bed.labctl("destroy", "--all", "--yes")
    until(lambda: not leftovers.of(bed.instance, bed.specs), "a clean machine", 20)


def go_on(bed, way):
    """What a user would do next."""
    match way:
        case "again":
            bed.apply("new")
        case "back":
            bed.apply("old")
        case "elsewhere":
            bed.apply("other")
        case "heal":
            healed = json.loads(bed.labctl("heal", "-f", "json"))
            assert [lab["left"] for lab in healed["labs"]] == [[]]
        case "destroy":
            bed.labctl("destroy", bed.lab, "--yes")


def cut(bed):
    """One cable that stays whatever is applied, for long."""
    (cable,) = [each.id for each in bed.place.need().lab.cables if each.a.port.node == "r1"]
    effects = [Effect(id="cut", on=HalfCable(cable, d), change=Down()) for d in Direction]
    client.add(bed.place, "cut", effects, 600)


def same_as_fresh(bed, fresh, broken):
    record = bed.remember()
    assert record.phase is Phase.RUNNING
    if broken:
        assert [lease["id"] for lease in client.leases(bed.place)] == ["cut"]
        until(lambda: not carrier(bed), "the cut lasts", 5)
        client.clear(bed.place)
    expected = fresh(record.lab, bed.env["LABCTL_IMAGES"])
    found = []

    def same():
        found[:] = labstate.difference(labstate.read(bed.place), expected)
        return not found

    try:
        until(same, "the state of a fresh deploy", 15)
    except AssertionError:
        raise AssertionError("\n".join(found)) from None


def carrier(bed):
    links = labstate.read(bed.place)["r1"]["links"]
    return any(has for name, _, _, _, has in links if name == "eth1")
