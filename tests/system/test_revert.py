"""kill -9 of command line, agent and engine at seeded points over every kind of fault: the lab is then what it was.

A point is drawn from the seed and its number alone: which fault (they take turns), who dies and at what:

    cli      `labctl fault add`, `fault clear` or `heal`, at one of its steps
    agent    the agent, or agent and guard, at a step of beginning the fault, ending it (asked to, or by its lease), or healing
    engine   `labctl run`, at a step or a moment of its timeline; or the agent under it, at a step of `effects.change`

and whether afterwards somebody heals or the lease is waited for. Then everything that basestate.py reads equals what it
was before the first point; routing may take its time to converge, nothing else may. `make test` runs a sample, `make soak`
every point, and both print how many there were of what. `LABCTL_TEST_SEED=… pytest -m soak -k 'point[17]'` is that
point again.
"""

import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import agentkill
import basestate
import pytest
import soaking
import yaml
from faultlab import CASES, Lab, spec
from labs import deployed, instance, nothing_left
from rig import until

from labctl.agent import client
from labctl.errors import Exit, LabctlError
from labctl.faults.base import FAULTS
from labctl.linux import cgroup
from labctl.runtime.base import NodeState

pytestmark = pytest.mark.root

HERE = os.path.dirname(__file__)
NAMES = sorted(CASES)
VICTIMS = ("cli", "agent", "engine")
ROUNDS = 3
POINTS = ROUNDS * len(NAMES) * len(VICTIMS)
assert POINTS >= 200
FOR_S = 2.5
CLI_WORKS = ("add", "clear", "heal")
AGENT_WORKS = ("add", "clear", "expire", "heal")
#: A run begins its timeline some ten seconds after its start; nothing of interest can be killed before.
TIMELINE = "run/engine.py:play_timeline"


class Bench:
    """The lab, its base state, and how to kill whoever works on it."""

    def __init__(self, lab, directory):
        self.lab, self.place, self.directory = lab, lab.place, directory
        self.plan = str(directory / "plan")
        self.steps = {}  # work -> steps that it took when no kill hit it
        self.base = lab.state()
        assert any("mirred" in line for line in self.base["panel"]["filters"]), "the look sees the stitches"

    # -- commands ----------------------------------------------------------------------------------------------

    def labctl(self, *argv):
        return subprocess.run(
            [sys.executable, "-m", "labctl", *argv],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def killed_at(self, step, argv, begin=()):
        """None if `kill -9` hit the command at this step, else how many steps it took."""
        report = self.directory / "steps"
        report.unlink(missing_ok=True)
        stepped = [sys.executable, os.path.join(HERE, "stepkill.py"), str(step), str(report), *begin]
        done = subprocess.run(
            [*stepped, "--", *argv], cwd=self.directory, capture_output=True, check=False, timeout=300
        )
        return None if done.returncode == -signal.SIGKILL else int(report.read_text())

    def heal(self):
        done = self.labctl("heal", "-l", self.place.name, "-f", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert [each["left"] for each in json.loads(done.stdout)["labs"]] == [[]]

    def scenario(self, name):
        kind, target, settings = CASES[name]
        step = {"fault": kind, "id": "it", "target": {FAULTS[kind].on.value: target}, **settings, "for": "1s"}
        path = self.directory / "scenario.yml"
        path.write_text(yaml.safe_dump({"name": "soak", "seed": 7, "timeline": [step]}))
        return ("run", str(path), "-l", self.place.name)

    def add(self, name, for_s=FOR_S):
        kind, target, settings = CASES[name]
        flags = [
            word
            for key, value in settings.items()
            for each in (value if isinstance(value, list) else [value])
            for word in (f"--{key}", each)
        ]
        lab = ("--lab", self.place.name, "--id", "it", "--seed", "1", "--for", f"{for_s}s")
        return ("fault", "add", kind, target, *lab, *flags)

    def argv(self, name, work):
        there = {
            "clear": ("fault", "clear", "it", "--lab", self.place.name),
            "heal": ("heal", "-l", self.place.name),
        }
        return there.get(work) or self.add(name)

    # -- the agent that dies when it is told to --------------------------------------------------------------------

    def mortal(self):
        """The lab's agent is one of agentkill.py."""
        if client.alive(self.place):
            pid = client.ask(self.place, "status")["pid"]
            with open(f"/proc/{pid}/cmdline") as file:
                if agentkill.__file__ in file.read():
                    return
        client.stop(self.place)
        with open(os.path.join(self.place.agent_dir, "log"), "ab") as log:
            subprocess.run(
                [sys.executable, agentkill.__file__, self.plan, self.place.path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )
        until(lambda: client.alive(self.place), "the agent answers")

    def doom(self, work, step, victims="agent"):
        with open(self.plan, "w") as file:
            file.write(f"{'clear' if work == 'expire' else work} {step} {victims}")

    # -- afterwards ----------------------------------------------------------------------------------------------

    def recover(self, way, alive=True):
        if way == "heal" or not alive:
            # Agent and guard dead in the same moment: the next command of labctl starts them, whatever it is.
            self.heal() if way == "heal" else self.labctl("fault", "list", "-l", self.place.name)
        if way != "heal":
            until(self.quiet, "every lease is over and everything is put back", 60)

    def quiet(self):
        with contextlib.suppress(LabctlError):
            return not client.leases(self.place) and not client.ask(self.place, "status")["off_base"]
        return False

    def running(self):
        states = {each.state for each in self.lab.runtime.status(self.lab.lab)}
        saved = os.path.isdir(self.place.saved_dir) and os.listdir(self.place.saved_dir)
        return states == {NodeState.RUNNING} and not saved

    def check(self):
        # A request of whoever was killed may still be on its way to the agent, which then finds that its owner is gone.
        until(lambda: self.quiet() and self.running(), "the last request is answered and every node runs")
        self.lab.settled()
        with contextlib.suppress(AssertionError):
            until(lambda: self.lab.state() == self.base, "the state of before", 30)
        different = basestate.difference(self.base, self.lab.state())
        assert not different, "\n".join(different)
        assert not os.path.exists(self.plan), "the agent that was to die did its work"
        until(lambda: len(cgroup.pids(self.place.agent_cgroup)) >= 2, "agent and guard")


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    """Gives the bench; a lab that is not what it was is replaced, so that one failure stays one."""
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as running:
        held = []

        def bench(*, anew=False):
            if anew:
                held.clear()
                running.close()
            if not held:
                root = tmp_path_factory.mktemp("revert")
                lab_spec = spec(root)
                here = instance(root / "state", patch)
                running.callback(nothing_left, here, [lab_spec])
                lab = Lab(running.enter_context(deployed(here, lab_spec)))
                lab.settled()
                held.append(Bench(lab, root))
            return held[0]

        yield bench


SURVIVED = collections.Counter()


@pytest.fixture(scope="module", autouse=True)
def _counts():
    yield
    soaking.FIGURES += [f"revert points: {count:3} {what}" for what, count in sorted(SURVIVED.items())]
    total = f"{sum(SURVIVED.values()):3} killed and back at base, of {POINTS} in all"
    soaking.FIGURES.append(f"revert points: {total}")


def sample(seed):
    """Two points of each victim, drawn from the seed."""
    rng = random.Random(f"{seed}-revert")
    numbers = range(POINTS)
    return [n for who in VICTIMS for n in rng.sample([p for p in numbers if of(p)[1] == who], SAMPLE[who])]


SAMPLE = {"cli": 2, "agent": 3, "engine": 1}


def of(number):
    """(fault, who dies) of a point."""
    return NAMES[number % len(NAMES)], VICTIMS[number // len(NAMES) % len(VICTIMS)]


@pytest.mark.parametrize("slot", range(sum(SAMPLE.values())))
def test_sample(benches, seed, slot):
    crash(benches, seed, sample(seed)[slot])


@pytest.mark.soak
@pytest.mark.parametrize("point", range(POINTS))
def test_point(benches, seed, point):
    crash(benches, seed, point)


def crash(benches, seed, number):
    """One point: break, kill, recover, look."""
    rng = random.Random(f"{seed}-revert-{number}")
    name, who = of(number)
    bench = benches()
    way = rng.choice(("heal", "lease"))
    note = f"seed {seed}, point {number}: {name}, {who}, then {way}"
    try:
        said = {"cli": kill_cli, "agent": kill_agent, "engine": kill_engine}[who](bench, rng, name, way)
        bench.check()
    except BaseException as error:
        error.add_note(note)
        with contextlib.suppress(OSError), open(os.path.join(bench.place.agent_dir, "log")) as log:
            error.add_note("agent: " + "".join(log.readlines()[-15:]))
        benches(anew=True)
        raise
    SURVIVED[said] += 1


def attempts(bench, key, guess, share, kill):
    """Kill at `share` of the steps. `kill` returns how many there were when they were fewer; then it is undone and
    tried again, by that number: the first guess is a guess, and no command takes the same steps twice.
    """
    for attempt in range(8):
        steps = bench.steps.get(key, guess) * 0.75**attempt
        counted = kill(max(1, round(share * steps)))
        if counted is None:
            return
        bench.steps[key] = counted
        with contextlib.suppress(FileNotFoundError):
            os.unlink(bench.plan)
        bench.heal()
        bench.lab.settled()
    raise AssertionError("no kill hit")


def kill_cli(bench, rng, name, way):
    work = rng.choice(CLI_WORKS)
    for_s = lease_s(work, way)

    def run(step):
        if work != "add":
            done = bench.labctl(*bench.add(name, for_s))
            assert done.returncode == 0, done.stderr
        return bench.killed_at(step, bench.argv(name, work))

    attempts(bench, ("cli", work), 120, rng.random(), run)
    bench.recover(way)
    return f"cli, {work}, then {way}"


def kill_agent(bench, rng, name, way):
    work, victims = rng.choice(AGENT_WORKS), rng.choice(("agent", "agent", "both"))
    for_s = lease_s(work, way)
    bench.mortal()

    def run(step):
        if work != "add":
            done = bench.labctl(*bench.add(name, for_s))
            assert done.returncode == 0, done.stderr
        bench.doom(work, step, victims)
        if work == "expire":
            until(lambda: not os.path.exists(bench.plan), "the lease ends", 30)
        else:
            argv = bench.add(name, for_s) if work == "add" else bench.argv(name, work)
            done = bench.labctl(*argv)
            assert done.returncode in (0, Exit.UNKNOWN, Exit.CANNOT, Exit.DIRTY), done.stderr
        return died(bench)

    attempts(bench, (work, name), 1500, rng.random(), run)
    bench.recover(way, alive=victims == "agent")
    return f"{'agent' if victims == 'agent' else 'agent and guard'}, {work}, then {way}"


def died(bench):
    """None if the agent was killed; if it was quicker, its steps."""
    time.sleep(0.05)
    with contextlib.suppress(FileNotFoundError):
        with open(bench.plan + ".steps") as file:
            steps = int(file.read())
        os.unlink(bench.plan + ".steps")
        return steps
    return 1000 if os.path.exists(bench.plan) else None  # (the lease had ended before)


def lease_s(work, way):
    """Long enough for the commands before the kill, and short where it is waited for."""
    if work == "expire" or (way == "lease" and work == "add"):
        return FOR_S
    return 8 if way == "lease" else 60


def kill_engine(bench, rng, name, way):
    what = rng.choice(("step", "step", "moment", "agent"))
    argv = bench.scenario(name)
    if what == "step":
        share = rng.random() ** 2  # most of what is interesting comes early; the rest is waiting for routing
        attempts(bench, ("run",), 1000, share, lambda n: bench.killed_at(n, argv, [TIMELINE]))
    elif what == "moment":
        kill_in_the_middle(bench, argv, rng.uniform(0, 1.5))
    else:
        bench.mortal()
        bench.doom("change", max(1, round(rng.random() * bench.steps.get(("add", name), 400))))
        done = bench.labctl(*argv)
        assert done.returncode in (0, 1, Exit.UNKNOWN, Exit.CANNOT, Exit.DIRTY), done.stderr
        with contextlib.suppress(FileNotFoundError):
            os.unlink(bench.plan + ".steps")
    bench.recover(way)
    return f"engine, {what}, then {way}" if what != "agent" else f"agent under the engine, then {way}"


def kill_in_the_middle(bench, argv, delay_s):
    """Kill the run so long after it asked for its fault."""
    before = set(bench.directory.glob("reports/*"))
    process = subprocess.Popen(
        [sys.executable, "-m", "labctl", *argv],
        cwd=bench.directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def asked():
        assert process.poll() is None, "the run ended before it had asked for anything"
        for each in set(bench.directory.glob("reports/*")) - before:
            with contextlib.suppress(FileNotFoundError):
                return '"kind":"asked"' in (each / "journal.jsonl").read_text()
        return False

    try:
        until(asked, "the fault is asked for", 120)
        time.sleep(delay_s)
    finally:
        process.kill()
        process.wait()
