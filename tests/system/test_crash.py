"""kill -9 at seeded points of deploy, destroy, heal and the agent: nothing stays, and nobody else's things change.

`make test` runs a sample; `make soak` runs all points and prints what the kills fell on. A point is drawn from the seed
and its number alone, so `LABCTL_TEST_SEED=… pytest -m soak -k 'point[17]'` is that point again.
"""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from typing import NamedTuple

import leftovers
import pytest
import soaking
from rig import until

from labctl.agent import client
from labctl.linux import cgroup
from labctl.model.effects import Direction, Down, Effect, Frozen, HalfCable, NodeRef
from labctl.model.lab import LabSpec
from labctl.runtime.images import ImageStore
from labctl.runtime.runc import RuncRuntime
from labctl.runtime.store import Instance, Phase

pytestmark = pytest.mark.root

IMAGE = "labctl/base"
POINTS = 30
KINDS = ("deploy", "deploy", "destroy", "agent", "deploy", "destroy", "heal", "agent", "destroy", "agent")
HERE = os.path.dirname(__file__)
#: Nobody else makes namespaces or mounts on this machine, so all of it can be compared before and after.
ALONE = os.environ.get("LABCTL_TEST_ALONE") == "1"

HOSTS = "127.0.0.1 localhost\n"
LAB = f"""
topology:
  defaults:
    kind: linux
    image: {IMAGE}
  nodes:
    r1: {{}}
    r2: {{}}
    r3: {{}}
    sw: {{kind: bridge}}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
    - endpoints: ["r2:eth2", "r3:eth1"]
    - endpoints: ["r3:eth2", "sw:p1"]
    - endpoints: ["r1:eth2", "sw:p2"]
"""


class Bench:
    """labctl with a state root of its own, as a user runs it."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.root = os.path.join(self.directory, "state")
        self.file = os.path.join(self.directory, "crash.clab.yml")
        self.hosts = os.path.join(self.directory, "hosts")
        with open(self.hosts, "w") as file:
            file.write(HOSTS)
        self.lab = f"crash-{uuid.uuid4().hex[:6]}"  # MACs come from the name, and they are looked for
        with open(self.file, "w") as file:
            file.write(f"name: {self.lab}\n{LAB}")
        images = ImageStore(Instance.here()).root
        self.env = {**os.environ, "LABCTL_STATE": self.root, "LABCTL_IMAGES": images}
        self.instance = Instance.here(self.root)
        self.place = self.instance.lab(self.lab)
        self.specs: list[LabSpec] = []  # labs that have existed: their MACs are looked for

    def remember(self):
        record = self.place.read()
        if record is not None:
            self.specs.append(record.lab)
        return record

    def labctl(self, *argv, expect=0):
        done = subprocess.run(
            [sys.executable, "-m", "labctl", *argv], env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == expect, (
            f"labctl {' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def deploy(self):
        self.labctl(*commands(self)[DEPLOY])
        self.remember()

    def beside(self):
        """What is left beside the lab file, the hosts file as it was."""
        with open(self.hosts) as file:
            assert file.read() == HOSTS
        own = {"state", "steps", "decoy"}
        return sorted(name for name in os.listdir(self.directory) if name not in own)

    def steps(self, *argv):
        """How many steps the command takes when nobody kills it."""
        report = os.path.join(self.directory, "steps")
        subprocess.run(self._stepped(0, *argv), env=self.env, capture_output=True, check=True)
        with open(report) as file:
            return int(file.read())

    def kill_at_step(self, step, *argv):
        done = subprocess.run(self._stepped(step, *argv), env=self.env, capture_output=True, check=False)
        return done.returncode == -signal.SIGKILL

    def kill_after(self, delay_s, *argv):
        process = subprocess.Popen(
            [sys.executable, "-m", "labctl", *argv],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay_s)
        process.kill()
        return process.wait() == -signal.SIGKILL

    def _stepped(self, step, *argv):
        report = os.path.join(self.directory, "steps")
        return [sys.executable, os.path.join(HERE, "stepkill.py"), str(step), report, "--", *argv]


class Measured(NamedTuple):
    steps: int
    seconds: float


DEPLOY, DESTROY, HEAL = "deploy", "destroy", "heal"


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """Steps and seconds of each command when nobody kills it."""
    bench = Bench(tmp_path_factory.mktemp("measure"))
    need_image(bench)
    found = {}
    for name, argv in commands(bench).items():
        if name == HEAL:
            bench.kill_at_step(found[DEPLOY].steps * 2 // 3, *commands(bench)[DEPLOY])
        steps = bench.steps(*argv)
        found[name] = Measured(steps, 0.0)
    for name, argv in commands(bench).items():
        if name == HEAL:
            bench.kill_at_step(found[DEPLOY].steps * 2 // 3, *commands(bench)[DEPLOY])
        began = time.monotonic()
        bench.labctl(*argv)
        found[name] = Measured(found[name].steps, time.monotonic() - began)
    return found


def need_image(bench):
    if ImageStore(Instance.here()).find(IMAGE) is None:
        pytest.fail(f"image {IMAGE} is missing: run `make images` (`make test` does)")


def commands(bench):
    return {
        DEPLOY: ("deploy", bench.file, "--labdir", "--hosts-file", bench.hosts),
        DESTROY: ("destroy", bench.lab, "--yes"),
        HEAL: ("heal", "--all"),
    }


FELL_ON = collections.Counter()


@pytest.fixture(scope="module", autouse=True)
def _counts():
    yield
    soaking.FIGURES += [f"crash points: {count:3} {what}" for what, count in sorted(FELL_ON.items())]


def sample(seed):
    """Three points of each of the three kinds that matter most, drawn from the seed."""
    rng = random.Random(f"{seed}-sample")
    by_kind = {}
    for number in range(POINTS):
        by_kind.setdefault(KINDS[number % len(KINDS)], []).append(number)
    return sorted(n for kind, count in SAMPLE.items() for n in rng.sample(by_kind[kind], count))


SAMPLE = {"deploy": 3, "destroy": 2, "agent": 2, "heal": 1}


@pytest.mark.parametrize("slot", range(sum(SAMPLE.values())))
def test_sample(tmp_path, seed, measured, slot):
    crash(tmp_path, seed, measured, sample(seed)[slot])


@pytest.mark.soak
@pytest.mark.parametrize("point", range(POINTS))
def test_point(tmp_path, seed, measured, point):
    crash(tmp_path, seed, measured, point)


def crash(tmp_path, seed, measured, number):
    """One point: crash, recover, look."""
    rng = random.Random(f"{seed}-{number}")
    kind = KINDS[number % len(KINDS)]
    bench = Bench(tmp_path)
    foreign = [bench.root, os.path.dirname(bench.instance.labs_dir)]
    with leftovers.Decoy(tmp_path / "decoy", *foreign) as decoy:
        before, machine = decoy.fingerprint(), leftovers.machine()
        try:
            if kind == "agent":
                FELL_ON[kill_agent(bench, rng)] += 1
            else:
                FELL_ON[kill_command(bench, rng, measured, kind)] += 1
            recover(bench, rng, kind)
            until(lambda: not leftovers.of(bench.instance, bench.specs), "a clean machine", 10)
            assert bench.beside() == ["crash.clab.yml", "hosts"]
        except BaseException as error:
            error.add_note(f"seed {seed}, point {number} ({kind})")
            for what, things in leftovers.of(bench.instance, bench.specs).items():
                error.add_note(f"{len(things)} {what}: {things[:5]}")
            subprocess.run(
                [sys.executable, "-m", "labctl", "destroy", "--all", "--yes"], env=bench.env, check=False
            )
            raise
        assert decoy.fingerprint() == before
        if ALONE:
            assert leftovers.difference(machine, leftovers.machine()) == {}


def kill_command(bench, rng, measured, kind):
    """Kill deploy, destroy or heal, half of the time at a step and half of the time at a moment; what it fell on."""
    if kind == DESTROY:
        bench.deploy()
        if rng.random() < 0.5:  # frozen processes must die as well
            freeze(bench, "r1")
    if kind == HEAL:
        bench.kill_at_step(rng.randint(1, measured[DEPLOY].steps), *commands(bench)[DEPLOY])
        bench.remember()
    by_step, share = rng.random() < 0.5, rng.random()
    if not by_step:
        share = 0.4 + 0.6 * share  # before that the interpreter starts, which touches nothing
    hit = any(kill_once(bench, measured[kind], kind, by_step, share * 0.8**attempt) for attempt in range(8))
    # An early kill of deploy leaves heal nothing to do, and then it is over at once.
    assert hit or kind == HEAL, "no kill hit the command"
    record = bench.remember()
    state = record.phase.value if record else "no record" if bench.place.exists() else "no lab"
    return f"{kind}, by {'step' if by_step else 'time'}, lab was: {state}"


def kill_once(bench, usual, kind, by_step, share):
    """Whether the kill fell into the command's life, which is a little shorter or longer each time; else undo it."""
    argv = commands(bench)[kind]
    if by_step:
        hit = bench.kill_at_step(max(1, round(share * usual.steps)), *argv)
    else:
        hit = bench.kill_after(share * usual.seconds, *argv)
    if not hit and kind == DEPLOY:
        bench.labctl("destroy", bench.lab, "--yes")
    elif not hit and kind == DESTROY:
        bench.deploy()
    return hit


def recover(bench, rng, kind):
    """What a user would do next. Each way must work on its own."""
    bench.remember()
    record = bench.place.read()
    unfinished = record is None or record.phase is not Phase.RUNNING
    way = rng.choice(["heal", "destroy", "deploy"]) if unfinished else "destroy"
    if way == "heal":
        bench.labctl("heal", "--all")
        assert not bench.place.exists(), "heal removes what was never finished"
    elif way == "deploy":
        bench.deploy()
        bench.labctl("destroy", bench.lab, "--yes")
    elif bench.place.exists():
        bench.labctl("destroy", bench.lab, "--yes")
    bench.labctl("destroy", "--all", "--yes")


def freeze(bench, node):
    client.add(bench.place, f"freeze-{node}", [Effect(id="f", on=NodeRef(node), change=Frozen())], 600)


def kill_agent(bench, rng):
    """Kill agent, guard or both while faults come and go; heal must bring everything to base."""
    victims = rng.choice(["agent", "guard", "both", "agent while it starts"])
    if victims == "agent while it starts":
        kill_while_deploying(bench, rng)
    else:
        bench.deploy()
        freeze(bench, rng.choice(["r1", "r2", "r3"]))
        stop = threading.Event()
        busy = threading.Thread(target=trouble, args=(bench, rng.random(), stop))
        busy.start()
        try:
            time.sleep(rng.random() * 0.3)
            kill_processes(bench, victims)
            time.sleep(rng.random() * 0.2)
        finally:
            stop.set()
            busy.join()
    healed = json.loads(bench.labctl("heal", "-l", bench.lab, "-f", "json"))
    assert [lab["left"] for lab in healed["labs"]] == [[]]
    at_base(bench)
    return f"agent: {victims}"


def trouble(bench, start, stop):
    """Cuts that come and go, until told to stop; a dead agent is no reason to."""
    rng = random.Random(start)
    cables = bench.place.need().lab.cables
    while not stop.is_set():
        cable = rng.choice(cables).id
        effects = [Effect(id="x", on=HalfCable(cable, d), change=Down()) for d in Direction]
        try:
            client.add(bench.place, f"cut{rng.randrange(4)}", effects, 600)
            if rng.random() < 0.5:
                client.clear(bench.place, f"cut{rng.randrange(4)}")
        except client.LabctlError as error:
            if error.code != "agent-unreachable":
                raise


def kill_processes(bench, victims):
    if victims == "both":
        cgroup.kill(bench.place.agent_cgroup)
        return
    agent = client.ask(bench.place, "status")["pid"]
    pids = cgroup.pids(bench.place.agent_cgroup)
    os.kill(agent if victims == "agent" else next(p for p in pids if p != agent), signal.SIGKILL)


def kill_while_deploying(bench, rng):
    """Kill the first processes of the agent's cgroup while `deploy` waits for its answer."""
    process = subprocess.Popen(
        [sys.executable, "-m", "labctl", *commands(bench)[DEPLOY]],
        env=bench.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: cgroup.pids(bench.place.agent_cgroup) or process.poll() is not None, "an agent starts")
    time.sleep(rng.random() * 0.05)
    for pid in cgroup.pids(bench.place.agent_cgroup)[-1:]:
        os.kill(pid, signal.SIGKILL)
    assert process.wait() == 0, "deploy waits for the agent that the guard starts again"
    bench.remember()


def at_base(bench):
    """Everything of a running lab as it was deployed."""
    record = bench.place.need()
    assert record.phase is Phase.RUNNING
    assert client.leases(bench.place) == []
    runtime = RuncRuntime(bench.instance)
    for node in ("r1", "r2", "r3"):
        assert not runtime.read(record.lab, NodeRef(node)).frozen
        done = runtime.exec(record.lab, node, ["ip", "-o", "link", "show", "type", "veth"])
        assert "NO-CARRIER" not in done.stdout
        assert done.stdout.count("LOWER_UP") == 3
    until(lambda: len(cgroup.pids(bench.place.agent_cgroup)) == 2, "agent and guard")
