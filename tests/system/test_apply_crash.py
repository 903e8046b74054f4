"""kill -9 at seeded steps of `labctl apply`: whoever goes on, and however, ends at a lab that is as if freshly deployed.

labctl itself is killed, or another one that it needs (`crashing`) while it stands at that step. `make test` runs a sample,
`make soak` all points; a point is drawn from the seed and its number alone. Afterwards the same file is applied again, or the file of before, or a third one, or `heal` goes on, or the lab is destroyed; half of
the time a fault is active all along. In all three files some links lead to the machine and out of it; it is a namespace of the
point's own, and another one for the lab that is deployed afresh.
"""

import collections
import functools
import json
import os
import random
import uuid
from typing import NamedTuple

import dockerd
import labstate
import leftovers
import pytest
import soaking
from crashing import Bench, Surroundings, is_an_error_of_labctl, need_image, strike
from rig import until
from test_machine_links import FOREIGN, machine

from labctl.agent import client
from labctl.app import deploy
from labctl.linux import netns
from labctl.model.effects import Direction, Down, Effect, HalfCable, Impaired
from labctl.model.impairment import Impairment
from labctl.run import destroy
from labctl.runtime import codec
from labctl.runtime.store import Instance, Phase

pytestmark = pytest.mark.root

POINTS = {"runc": 120, "docker": 50}
SAMPLE = {"runc": 4, "docker": 1}
#: Who is killed, in turn; there are as many ways to go on that each meets each.
VICTIMS = {
    "runc": ("labctl", "labctl", "agent", "labctl", "labctl", "helper", "labctl", "node"),
    "docker": ("labctl", "engine", "agent", "containerd", "labctl", "helper", "shim", "node"),
}
#: A node whose first process ended has ended, so the lab is not like a fresh one, and need not be.
ENDED = ("node", "shim")
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
    - {{endpoints: ["r1:eth1", "r2:eth1"], mtu: 1500, ipv4: [10.0.0.1/30, 10.0.0.2/30], labels: {{labctl-loss: 1%}}}}
    - {{endpoints: ["r2:eth2", "r3:eth1"], labels: {{labctl-loss: 1%}}}}
    - endpoints: ["r3:eth2", "sw:p1"]
    - endpoints: ["r4:eth1", "sw:p2"]
    - {{endpoints: ["r2:eth5", "host:lab1"], ipv4: [198.18.77.1/30, 198.18.77.2/30]}}
    - endpoints: ["r4:eth2", "host:lab2"]
    - endpoints: ["host:lab3", "sw:p3"]
    - {{type: macvlan, endpoint: {{node: r2, interface: eth6}}, host-interface: {FOREIGN}}}
"""
NEW = f"""{HEAD}
  nodes:
    r1: {{exec: ["sh -c 'echo one > /root/one'", "sh -c 'echo two > /root/two'"], cpu: 0.25, labels: {{a: b}}}}
    r2: {{}}
    r3: {{env: {{A: "2"}}}}
    r5: {{}}
    sw: {{kind: bridge}}
    sw2: {{kind: bridge}}
    self: {{kind: host}}
  links:
    - {{endpoints: ["r1:eth1", "r2:eth1"], mtu: 1400, ipv4: [10.0.0.5/30, 10.0.0.6/30]}}
    - {{endpoints: ["r2:eth2", "r5:eth1"], labels: {{labctl-loss: 2%}}}}
    - {{endpoints: ["r3:eth2", "sw2:p1"], labels: {{labctl-loss: 2%, labctl-direction: a->z}}}}
    - endpoints: ["r5:eth2", "sw:p1"]
    - {{endpoints: ["r3:eth5", "host:lab1"], mtu: 1400, ipv4: [198.18.77.1/30, 198.18.77.2/29]}}
    - endpoints: ["r2:eth5", "self:lab4"]
    - endpoints: ["self:lab3", "sw2:p3"]
    - endpoints: ["r5:eth5", "mgmt-net:m0"]
    - {{type: macvlan, endpoint: {{node: r5, interface: eth6}}, host-interface: {FOREIGN}, mode: private}}
    - {{type: vxlan, endpoint: {{node: r2, interface: eth6}}, remote: 198.18.0.2, vni: 9}}
"""
OTHER = f"""{HEAD}
  nodes:
    r1: {{exec: ["sh -c 'echo one > /root/one'"], cpu: 0.5}}
    r2: {{cmd: sleep 7777}}
    r5: {{env: {{B: "1"}}}}
  links:
    - {{endpoints: ["r1:eth1", "r2:eth1"], mtu: 9000, labels: {{labctl-loss: 3%}}}}
    - endpoints: ["r2:eth2", "r5:eth3"]
    - endpoints: ["r2:eth5", "host:lab4"]
    - {{type: vxlan, endpoint: {{node: r5, interface: eth6}}, remote: 198.18.0.2, vni: 9}}
"""
FELL_ON = collections.Counter()


@pytest.fixture(scope="module", autouse=True)
def _counts():
    yield
    soaking.FIGURES += [f"apply crash points: {count:3} {what}" for what, count in sorted(FELL_ON.items())]
    soaking.FIGURES += [f"apply crash points: {FELL_ON.total():3} in all"]


class Bed(Bench):
    """A bench with three files of one lab, on a machine of its own."""

    def __init__(self, directory, engine=None):
        super().__init__(directory, "outer", engine)
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
        done = self.run("apply", self.files[name])
        assert done.returncode in (0, 5), done.stdout + done.stderr


@pytest.fixture(scope="module")
def engine_of(request):
    """The engine of a runtime's labs; started when the first one needs it."""
    return lambda runtime: request.getfixturevalue("dockerd") if runtime == "docker" else None


@pytest.fixture(scope="module")
def steps(tmp_path_factory, engine_of):
    """How many an apply takes on this runtime when nobody kills it."""

    @functools.cache
    def count(runtime):
        need_image()
        with Bed(tmp_path_factory.mktemp("apply-steps"), engine_of(runtime)) as bed:
            bed.deploy()
            try:
                return bed.steps("apply", bed.files["new"])
            finally:
                bed.labctl("destroy", "--all", "--yes")

    return count


@pytest.fixture(scope="module")
def second():
    """An engine for fresh deploys: their containers have the names of those of the labs that they are compared with."""
    with dockerd.Dockerd() as engine:
        yield engine


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, request):
    """The state of a fresh deploy of a spec, read once for each runtime."""
    here = Instance.here(str(tmp_path_factory.mktemp("apply-fresh")))
    known = {}

    def state(lab, bed):
        key = bed.runtime, json.dumps(codec.encode(lab), sort_keys=True)
        if key not in known:
            elsewhere = tmp_path_factory.mktemp("apply-elsewhere")
            with pytest.MonkeyPatch.context() as patch, machine(elsewhere) as (at, _), netns.inside(at):
                patch.setenv("LABCTL_IMAGES", bed.env["LABCTL_IMAGES"])
                if bed.engine:
                    patch.setenv("DOCKER_HOST", request.getfixturevalue("second").url)
                deploy.deploy_lab(lab, deploy.Request(file="", runtime=bed.runtime), here)
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


def on(runtime, numbers):
    marks = [pytest.mark.docker] if runtime == "docker" else []
    return [pytest.param(runtime, n, id=f"{runtime}-{n}", marks=marks) for n in numbers]


@pytest.fixture
def crash(tmp_path, seed, steps, fresh, engine_of):
    """One point: deploy, change and kill, go on, compare. Each way in its turn."""

    def at(runtime, number):
        rng = random.Random(f"{seed}-apply-{runtime}-{number}")
        way, broken, step = WAYS[number % len(WAYS)], rng.random() < 0.5, rng.randint(1, steps(runtime))
        victim = VICTIMS[runtime][number % len(VICTIMS[runtime])]
        bed = Bed(tmp_path, engine_of(runtime))
        try:
            with bed, Surroundings(bed) as around:
                point(bed, rng, fresh, around, Plan(way, victim, broken, step))
        except BaseException as error:
            error.add_note(
                f"seed {seed}, {runtime}, point {number}: {way} after {victim} was killed at step {step}"
            )
            raise

    return at


class Plan(NamedTuple):
    way: str
    victim: str
    broken: bool
    step: int


@pytest.mark.parametrize(("runtime", "slot"), [p for r in SAMPLE for p in on(r, range(SAMPLE[r]))])
def test_sample(crash, seed, runtime, slot):
    each = POINTS[runtime] // SAMPLE[runtime]
    crash(runtime, random.Random(f"{seed}-apply-sample-{runtime}-{slot}").randrange(each) + slot * each)


@pytest.mark.soak
@pytest.mark.parametrize(("runtime", "point"), [p for r in POINTS for p in on(r, range(POINTS[r]))])
def test_point(crash, runtime, point):
    crash(runtime, point)


def point(bed, rng, fresh, around, plan):
    bed.deploy()
    try:
        if plan.broken:
            cut(bed)
        what = killed(bed, rng, around, plan)
        FELL_ON[f"{bed.runtime}: {what}, then {plan.way}, {'a fault' if plan.broken else 'no fault'}"] += 1
        go_on(bed, plan.way)
        if plan.way != "destroy" and plan.victim not in ENDED:
            same_as_fresh(bed, fresh, plan.broken and plan.way != "heal")
    finally:
        bed.remember()
        bed.labctl("destroy", "--all", "--yes")
    until(lambda: not leftovers.of(bed.instance, bed.specs), "a clean machine", 20)


def killed(bed, rng, around, plan):
    """Apply, with that one killed at that step; what it fell on."""
    argv = ("apply", bed.files["new"])
    if plan.victim == "labctl":
        hit = bed.kill_at_step(plan.step, *argv)
    else:
        hit, code, said = bed.strike_at_step(plan.step, strike(bed, plan.victim, rng), *argv)
        is_an_error_of_labctl(code, said)
        if plan.victim == "engine" and hit:
            around.engine_back(keeps=True)
        elif plan.victim == "containerd" and hit:
            until(bed.engine.works, "the engine works again", 60)
    record = bed.remember()
    return f"{plan.victim} killed, lab was {record.phase.value}" if hit else f"{plan.victim} not hit"


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
    """One cable that stays whatever is applied, for long; it is impaired as well, which needs devices that a node anew takes along."""
    (cable,) = [each.id for each in bed.place.need().lab.cables if each.a.port.node == "r1"]
    late = Impaired(Impairment(delay_s=0.05))
    effects = [
        Effect(id="cut", on=HalfCable(cable, d), change=what) for d in Direction for what in (Down(), late)
    ]
    client.add(bed.place, "cut", effects, 600)


def same_as_fresh(bed, fresh, broken):
    record = bed.remember()
    assert record.phase is Phase.RUNNING
    if broken:
        assert [lease["id"] for lease in client.leases(bed.place)] == ["cut"]
        until(lambda: not carrier(bed), "the cut lasts", 5)
        client.clear(bed.place)
    expected = fresh(record.lab, bed)
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
