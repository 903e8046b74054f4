"""kill -9 at seeded points of deploy, destroy and heal, on every runtime: nothing stays, and nobody else's things change.

Not only labctl is killed: the agent, nodes, helpers, and on Docker the engine, its containerd and shims. `make test` runs a
sample; `make soak` runs all points and prints what the kills fell on (`test_apply_crash.py` has those of `apply`):

    make soak ARGS="-n 2 --dist loadfile tests/system/test_crash.py tests/system/test_apply_crash.py"

A point is drawn from the seed and its number alone, so `LABCTL_TEST_SEED=… pytest -m soak -k 'point[docker-17]'` is that point again.
"""

import collections
import json
import os
import random
import signal
import subprocess
import threading
import time

import leftovers
import pytest
import soaking
from crashing import (
    DEPLOY,
    DESTROY,
    HEAL,
    SHAPES,
    Bench,
    Site,
    Surroundings,
    at_base,
    freeze,
    is_an_error_of_labctl,
    strike,
    trouble,
)
from rig import until

from labctl.agent import client
from labctl.linux import cgroup
from labctl.runtime.store import Phase

pytestmark = pytest.mark.root

#: What is going on, and who is killed. A point's number chooses in turn; every round is on the next shape of lab.
KINDS = {
    "runc": (
        (DEPLOY, "labctl"),
        (DESTROY, "labctl"),
        ("running", "agent"),
        (DEPLOY, "labctl"),
        (HEAL, "labctl"),
        (DEPLOY, "node"),
        (DESTROY, "labctl"),
        ("running", "agent"),
        (DEPLOY, "helper"),
        (DEPLOY, "agent"),
    ),
    "docker": (
        (DEPLOY, "labctl"),
        (DEPLOY, "engine"),
        (DESTROY, "labctl"),
        (DESTROY, "engine"),
        (DEPLOY, "containerd"),
        (DEPLOY, "shim"),
        (DEPLOY, "helper"),
        ("running", "agent"),
        (HEAL, "labctl"),
        (DESTROY, "containerd"),
        (DEPLOY, "node"),
        (DESTROY, "shim"),
        ("running", "engine"),
        (HEAL, "engine"),
    ),
}
POINTS = {"runc": 90, "docker": 112}
#: Of each runtime in `make test`: the kinds that matter most, on one shape, because each has to be measured first.
SAMPLE = {
    "runc": (
        (DEPLOY, "labctl"),
        (DEPLOY, "labctl"),
        (DESTROY, "labctl"),
        ("running", "agent"),
        (HEAL, "labctl"),
    ),
    "docker": (
        (DEPLOY, "labctl"),
        (DESTROY, "labctl"),
        (DEPLOY, "engine"),
        (DEPLOY, "containerd"),
        (DESTROY, "engine"),
    ),
}
SAMPLE_SHAPE = {"runc": "staged", "docker": "outer"}
ENGINE = ("engine", "containerd")


@pytest.fixture(scope="session")
def site(request, seed, tmp_path_factory):
    return Site(seed, tmp_path_factory, lambda: request.getfixturevalue("dockerd"))


FELL_ON = collections.Counter()


@pytest.fixture(scope="module", autouse=True)
def _counts():
    yield
    soaking.FIGURES += [f"crash points: {count:3} {what}" for what, count in sorted(FELL_ON.items())]
    soaking.FIGURES += [f"crash points: {FELL_ON.total():3} in all"]


def on(runtime, numbers, prefix=""):
    marks = [pytest.mark.docker] if runtime == "docker" else []
    return [pytest.param(runtime, n, id=f"{prefix}{runtime}-{n}", marks=marks) for n in numbers]


def sampled(runtime, slot, seed):
    """A point of the slot's kind, on the runtime's one shape of the sample."""
    kind, shape = SAMPLE[runtime][slot], SAMPLE_SHAPE[runtime]
    numbers = [
        n for n in range(POINTS[runtime]) if (kind_of(runtime, n), shape_of(runtime, n)) == (kind, shape)
    ]
    return random.Random(f"{seed}-sample-{runtime}-{slot}").choice(numbers)


def kind_of(runtime, number):
    return KINDS[runtime][number % len(KINDS[runtime])]


def shape_of(runtime, number):
    return list(SHAPES)[number // len(KINDS[runtime]) % len(SHAPES)]


@pytest.mark.parametrize(("runtime", "slot"), [p for r in SAMPLE for p in on(r, range(len(SAMPLE[r])))])
def test_sample(tmp_path, site, runtime, slot):
    crash(tmp_path, site, runtime, sampled(runtime, slot, site.seed))


@pytest.mark.soak
@pytest.mark.parametrize(("runtime", "point"), [p for r in POINTS for p in on(r, range(POINTS[r]))])
def test_point(tmp_path, site, runtime, point):
    crash(tmp_path, site, runtime, point)


def crash(tmp_path, site, runtime, number):
    """One point: crash, recover, look."""
    rng = random.Random(f"{site.seed}-{runtime}-{number}")
    kind, shape = kind_of(runtime, number), shape_of(runtime, number)
    usual = site.usual(runtime, shape)
    with Bench(tmp_path, shape, site.engine(runtime)) as bench:
        bench.usual = usual
        try:
            with Surroundings(bench) as around:
                FELL_ON[point(bench, rng, kind, around)] += 1
                recover(bench, rng)
                until(lambda: not leftovers.of(bench.instance, bench.specs), "a clean machine", 20)
                assert bench.beside() == ["crash.clab.yml", "hosts"]
        except BaseException as error:
            error.add_note(f"seed {site.seed}, {runtime}, point {number} ({' '.join(kind)} of {shape})")
            for what, things in leftovers.of(bench.instance, bench.specs).items():
                error.add_note(f"{len(things)} {what}: {things[:5]}")
            bench.run("destroy", "--all", "--yes")
            raise


def point(bench, rng, kind, around):
    """What goes on, with somebody killed in it; what the kill fell on."""
    doing, victim = kind
    if doing == "running":
        return killed_while_running(bench, rng, victim, around)
    if doing == DESTROY:
        bench.deploy()
        if rng.random() < 0.5:  # frozen processes must die as well
            freeze(bench, "r1")
    if doing == HEAL:
        bench.kill_at_step(
            rng.randint(bench.usual[DEPLOY].steps // 3, bench.usual[DEPLOY].steps), *bench.commands()[DEPLOY]
        )
        bench.remember()
    if victim == "labctl":
        how = killed_labctl(bench, rng, doing)
    else:
        how = killed_beside(bench, rng, doing, victim, around)
    record = bench.remember()
    state = record.phase.value if record else "no record" if bench.place.exists() else "no lab"
    return f"{bench.runtime}, {doing}: {how}; lab was: {state}"


# -- labctl dies ---------------------------------------------------------------------------------------------------


def killed_labctl(bench, rng, doing):
    """Kill the command, half of the time at a step and half of the time at a moment."""
    by_step, share = rng.random() < 0.5, rng.random()
    if not by_step:
        share = 0.3 + 0.7 * share  # before that the interpreter starts, which touches nothing
    hit = any(kill_once(bench, doing, by_step, share * 0.8**attempt) for attempt in range(8))
    # An early kill of deploy leaves heal nothing to do, and then it is over at once.
    assert hit or doing == HEAL, "no kill hit the command"
    return "labctl killed by " + ("step" if by_step else "time")


def kill_once(bench, kind, by_step, share):
    """Whether the kill fell into the command's life, which is a little shorter or longer each time; else undo it."""
    usual = bench.usual[kind]
    argv = bench.commands()[kind]
    if by_step:
        hit = bench.kill_at_step(max(1, round(share * usual.steps)), *argv)
    else:
        hit = bench.kill_after(share * usual.seconds, *argv)
    if not hit and kind == DEPLOY:
        bench.labctl("destroy", bench.lab, "--yes")
    elif not hit and kind == DESTROY:
        bench.deploy()
    return hit


# -- somebody else dies ----------------------------------------------------------------------------------------------


def killed_beside(bench, rng, doing, victim, around):
    """Kill another one while the command stands at a step; a quarter of the time the command as well, before it goes on."""
    both = victim in ENGINE and rng.random() < 0.25
    kill = strike(bench, victim, rng)

    def killed(pid):
        if not kill(pid):
            return False
        if both:
            os.kill(pid, signal.SIGKILL)
        return True

    share = (
        0.1 if doing == DESTROY and victim == "shim" else 0.9
    )  # processes are the first that a destroy ends
    step = rng.randint(1, round(share * bench.usual[doing].steps))
    hit, code, said = bench.strike_at_step(step, killed, *bench.commands()[doing])
    bench.remember()
    if not hit:
        return f"{victim}: none was there"
    if not both:
        is_an_error_of_labctl(code, said)
    if victim == "engine":
        while_it_is_gone(bench, rng, around)
    elif victim == "containerd":  # the engine starts another one
        until(bench.engine.works, "the engine works again", 60)
    name = f"{victim} and labctl" if both else victim
    return f"{name} killed, exit {code}"


def while_it_is_gone(bench, rng, around):
    """Half of the time somebody tidies up before the engine is back, as far as that goes."""
    if rng.random() < 0.5:
        way = rng.choice(["destroy", "heal"])
        done = bench.run(*(("destroy", "--all", "--yes") if way == "destroy" else ("heal", "--all")))
        is_an_error_of_labctl(0 if way == "heal" else done.returncode, done.stdout + done.stderr)
    around.engine_back(keeps=rng.random() < 0.5)


def killed_while_running(bench, rng, victim, around):
    """Kill agent, guard or both, or the engine, while faults come and go; heal must bring everything to base."""
    whom = rng.choice(["agent", "guard", "both", "agent while it starts"]) if victim == "agent" else victim
    if whom == "agent while it starts":
        kill_while_deploying(bench, rng)
    else:
        bench.deploy()
        freeze(bench, rng.choice(["r1", "r2"]))
        stop = threading.Event()
        busy = threading.Thread(target=trouble, args=(bench, rng.random(), stop))
        busy.start()
        try:
            time.sleep(rng.random() * 0.3)
            kill_processes(bench, whom)
            time.sleep(rng.random() * 0.2)
        finally:
            stop.set()
            busy.join()
    healed = json.loads(bench.labctl("heal", "-l", bench.lab, "-f", "json"))
    assert [lab["left"] for lab in healed["labs"]] == [[]]
    at_base(bench)
    if victim == "engine":
        around.engine_back(keeps=rng.random() < 0.5)
        bench.labctl("heal", "-l", bench.lab)
    return f"{bench.runtime}, running: {whom} killed"


def kill_processes(bench, victims):
    if victims == "engine":
        bench.engine.kill()
        return
    if victims == "both":
        cgroup.kill(bench.place.agent_cgroup)
        return
    agent = client.ask(bench.place, "status")["pid"]
    pids = cgroup.pids(bench.place.agent_cgroup)
    os.kill(agent if victims == "agent" else next(p for p in pids if p != agent), signal.SIGKILL)


def kill_while_deploying(bench, rng):
    """Kill the first processes of the agent's cgroup while `deploy` waits for its answer."""
    process = subprocess.Popen(
        bench.argv("-m", "labctl", *bench.commands()[DEPLOY]),
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


# -- and then --------------------------------------------------------------------------------------------------------


def recover(bench, rng):
    """What a user would do next. Each way must work on its own."""
    record = bench.remember()
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
