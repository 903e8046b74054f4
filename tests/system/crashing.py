"""Crash points: labctl as a user runs it, killed at a seeded step, or stopped there while somebody else is killed.

Who dies: labctl itself, the agent (with its guard), a node's first process, a helper that labctl waits for, and on Docker
the engine, its containerd and a container's shim. A step is one of `stepkill`'s, so a kill falls between any two touches of the
machine. What is everybody else's (`leftovers.Decoy`, `Bystanders` in the engine) is compared before and after.
"""

import contextlib
import json
import os
import pathlib
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
from rig import until
from test_machine_links import FOREIGN, fingerprint, machine

from labctl.agent import client
from labctl.errors import CODES, Exit
from labctl.linux import cgroup, proc
from labctl.model.effects import Direction, Down, Effect, Frozen, HalfCable, NodeRef
from labctl.model.lab import LabSpec, NodeKind
from labctl.runtime import ended
from labctl.runtime.base import RUNTIMES
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance, Phase

IMAGE = "labctl/base"
HERE = os.path.dirname(__file__)
DEPLOY, DESTROY, HEAL = "deploy", "destroy", "heal"
#: A command whose engine, container or helper is killed ends by itself; one that does not is a failure.
PATIENCE_S = 240.0
#: Nobody else makes namespaces or mounts on this machine, so all of it can be compared before and after.
ALONE = os.environ.get("LABCTL_TEST_ALONE") == "1"
#: A stopped command is stopped again after so many steps while there is nobody yet whom the point would kill.
AGAIN = 40

HOSTS = "127.0.0.1 localhost\n"
_HEAD = f"topology:\n  defaults: {{kind: linux, image: {IMAGE}}}\n"
#: Names of labs: cables and a segment; nodes that wait for each other and share a network; links to the machine and out of it.
SHAPES = {
    "plain": """
  nodes:
    r1: {}
    r2: {}
    r3: {}
    sw: {kind: bridge}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
    - endpoints: ["r2:eth2", "r3:eth1"]
    - endpoints: ["r3:eth2", "sw:p1"]
    - endpoints: ["r1:eth2", "sw:p2"]
""",
    "staged": """
  nodes:
    r1: {cmd: sleep infinity, exec: ["true"]}
    r2:
      cmd: sleep infinity
      healthcheck: {test: [CMD-SHELL, "true"], interval: 1, retries: 1}
      stages:
        create: {wait-for: [{node: r1, stage: configure}]}
        configure: {exec: [{command: "true", phase: on-exit}]}
    r3:
      cmd: sleep infinity
      stages:
        create-links: {wait-for: [{node: r2, stage: healthy}]}
    guest: {cmd: sleep infinity, network-mode: "container:r1"}
    "br0|r1": {kind: bridge, network-mode: "container:r1"}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
    - endpoints: ["r2:eth2", "r3:eth1"]
    - endpoints: ["r3:eth2", "br0|r1:p1"]
""",
    "outer": f"""
  nodes:
    r1: {{cmd: sleep infinity}}
    r2: {{cmd: sleep infinity}}
    sw: {{kind: bridge}}
  links:
    - {{endpoints: ["r1:eth1", "host:lab1"], ipv4: [198.18.77.1/30, 198.18.77.2/30]}}
    - endpoints: ["host:lab2", "sw:p1"]
    - endpoints: ["r2:eth1", "sw:p2"]
    - endpoints: ["r2:eth2", "mgmt-net:m0"]
    - {{type: macvlan, endpoint: {{node: r1, interface: eth2}}, host-interface: {FOREIGN}}}
    - {{type: vxlan, endpoint: {{node: r2, interface: eth3}}, remote: 198.18.0.2, vni: 9}}
""",
}


class Bench:
    """labctl with a state root of its own, as a user runs it. `engine`: the `dockerd.Dockerd` of its labs; else runc.

    A lab of shape `outer` has links to the machine: this one's labctl then runs on a machine that is a namespace.
    """

    def __init__(self, directory, shape="plain", engine=None):
        self.directory = str(directory)
        self.engine = engine
        self.runtime = "docker" if engine else "runc"
        self.root = os.path.join(self.directory, "state")
        self.file = os.path.join(self.directory, "crash.clab.yml")
        self.hosts = os.path.join(self.directory, "hosts")
        with open(self.hosts, "w") as file:
            file.write(HOSTS)
        self.lab = f"crash-{uuid.uuid4().hex[:6]}"  # MACs come from the name, and they are looked for
        with open(self.file, "w") as file:
            file.write(f"name: {self.lab}\n{_HEAD}{SHAPES[shape].lstrip(chr(10))}")
        images = ImageStore(Instance.here()).root
        self.env = {
            **os.environ,
            "LABCTL_STATE": self.root,
            "LABCTL_IMAGES": images,
            "LABCTL_RUNTIME": self.runtime,
            "PYTHONFAULTHANDLER": "1",  # one that hangs is asked where
        }
        if engine:
            self.env["DOCKER_HOST"] = engine.url
        self.instance = Instance.here(self.root)
        self.place = self.instance.lab(self.lab)
        self.specs: list[LabSpec] = []  # labs that have existed: their MACs are looked for
        self.usual = {}  # command -> Measured
        self.machine = None  # the namespace that labctl takes for the machine's
        self._outer = shape == "outer"
        self._held = contextlib.ExitStack()

    def __enter__(self):
        if self._outer:
            os.makedirs(os.path.join(self.directory, "machines"))
            at, _ = self._held.enter_context(machine(pathlib.Path(self.directory, "machines")))
            self.machine = at
        return self

    def __exit__(self, *_):
        self._held.close()

    def remember(self):
        record = self.place.read()
        if record is not None:
            self.specs.append(record.lab)
        return record

    def argv(self, *argv):
        """A Python of the machine that this lab is on."""
        inside = ["nsenter", f"--net={self.machine}"] if self.machine else []
        return [*inside, sys.executable, *map(str, argv)]

    def run(self, *argv):
        process = subprocess.Popen(
            self.argv("-m", "labctl", *argv),
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            said = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            said = process.communicate()
            raise AssertionError(f"labctl {' '.join(argv)} did not end:\n{said[0]}{said[1]}") from None
        return subprocess.CompletedProcess(argv, process.returncode, *said)

    def labctl(self, *argv, expect=0):
        done = self.run(*argv)
        assert done.returncode == expect, (
            f"labctl {' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def commands(self):
        return {
            DEPLOY: ("deploy", self.file, "--labdir", "--hosts-file", self.hosts),
            DESTROY: ("destroy", self.lab, "--yes"),
            HEAL: ("heal", "--all"),
        }

    def deploy(self):
        self.labctl(*self.commands()[DEPLOY])
        self.remember()

    def beside(self):
        """What is left beside the lab file, the hosts file as it was."""
        with open(self.hosts) as file:
            assert file.read() == HOSTS
        own = {"state", "steps", "steps.struck", "said", "decoy", "machines"}
        return sorted(name for name in os.listdir(self.directory) if name not in own)

    def outside(self):
        """What the machine's own network has, if labs of this shape have links to it."""
        return fingerprint(self.machine) if self.machine else None

    # -- at a step ---------------------------------------------------------------------------------------------

    def steps(self, *argv):
        """How many steps the command takes when nobody kills it."""
        report = os.path.join(self.directory, "steps")
        subprocess.run(self._stepped("0", *argv), env=self.env, capture_output=True, check=True)
        with open(report) as file:
            return int(file.read())

    def kill_at_step(self, step, *argv):
        done = subprocess.run(self._stepped(str(step), *argv), env=self.env, capture_output=True, check=False)
        return done.returncode == -signal.SIGKILL

    def kill_after(self, delay_s, *argv):
        process = subprocess.Popen(
            self.argv("-m", "labctl", *argv),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay_s)
        process.kill()
        return process.wait() == -signal.SIGKILL

    def strike_at_step(self, step, strike, *argv):
        """Stop the command there, `strike(pid)` somebody else (False: nobody is there yet, so a few steps later), and let it go on.

        (whether somebody was struck, its exit status, what it said)
        """
        with open(os.path.join(self.directory, "said"), "w+") as said:
            process = subprocess.Popen(
                self._stepped(f"{step}+{AGAIN}", *argv),
                env=self.env, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip
            hit = struck(process, os.path.join(self.directory, "steps"), strike)
            said.seek(0)
            return hit, process.returncode, said.read()

    def _stepped(self, step, *argv):
        report = os.path.join(self.directory, "steps")
        return self.argv(os.path.join(HERE, "stepkill.py"), step, report, "--", *argv)


def struck(process, report, strike):
    """Strike somebody each time that this process of `stepkill` stops, until that was somebody; wait for its end."""
    done = report + ".struck"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(done)
    hit = False
    watchdog = threading.Timer(PATIENCE_S, process.send_signal, [signal.SIGABRT])
    watchdog.start()
    try:
        while True:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            if strike(process.pid):
                hit = True
                with open(done, "w"):
                    pass
            os.kill(process.pid, signal.SIGCONT)
    finally:
        watchdog.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return hit


def need_image():
    if ImageStore(Instance.here()).find(IMAGE) is None:
        pytest.fail(f"image {IMAGE} is missing: run `make images` (`make test` does)")


class Measured(NamedTuple):
    steps: int
    seconds: float


class Site:
    """What the points of a session share: its seed, its engine, and how long each command takes when nobody is killed."""

    def __init__(self, seed, directories, engine):
        """engine: gives the engine, which is started when the first point needs it."""
        self.seed = seed
        self._directories = directories
        self._engine = engine
        self._usual = {}

    def engine(self, runtime):
        if runtime != "docker":
            return None
        found = self._engine()
        if found.process.poll() is not None:  # a point that failed has left it dead
            found.start()
        return found

    def usual(self, runtime, shape):
        if (runtime, shape) not in self._usual:
            need_image()
            with Bench(self._directories.mktemp("measure"), shape, self.engine(runtime)) as bench:
                if bench.engine and not self._usual:
                    bench.deploy()  # the engine takes the image in
                    bench.labctl(*bench.commands()[DESTROY])
                self._usual[runtime, shape] = _measured(bench)
        return self._usual[runtime, shape]


def _measured(bench):
    found = {}
    for name in (DEPLOY, DESTROY):
        began = time.monotonic()
        steps = bench.steps(*bench.commands()[name])
        found[name] = Measured(steps, time.monotonic() - began)
    return found | {HEAL: found[DESTROY]}  # it mostly removes what a killed deploy left


# -- who dies ------------------------------------------------------------------------------------------------------


def strike(bench, victim, rng):
    """What kills that one of those the lab lives by, given the pid of the command, which stands still: whether one was there."""

    def kill(pid):
        there = [each for each in VICTIMS[victim](bench, pid) if each is not None]
        if not there:
            return False
        if victim == "engine":
            bench.engine.kill()
            return True
        return proc.kill(rng.choice(there))

    return kill


VICTIMS = {
    "labctl": lambda _, pid: [proc.identity(pid)],
    "agent": lambda bench, _: [proc.identity(each) for each in cgroup.pids(bench.place.agent_cgroup)],
    "node": lambda bench, _: first_processes(bench),
    "helper": lambda _, pid: [proc.identity(each) for each in children(pid)],
    "engine": lambda bench, _: [proc.identity(bench.engine.process.pid)],
    "containerd": lambda bench, _: [bench.engine.keeper()],
    "shim": lambda bench, _: shims(bench),
}


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        found += map(int, leftovers.read(f"/proc/{pid}/task/{task}/children").split())
    return found


def shims(bench):
    """The processes between containerd and the lab's containers."""
    wanted = bench.engine.docker(
        "ps", "--quiet", "--no-trunc", "--filter", f"label=containerlab={bench.lab}"
    ).split()
    found = []
    for pid in leftovers.pids():
        words = leftovers.read(f"/proc/{pid}/cmdline").split("\0")
        if words[0].endswith("containerd-shim-runc-v2") and any(each in words for each in wanted):
            found.append(proc.identity(pid))
    return found


def first_processes(bench):
    record = bench.place.read()
    nodes = [node.name for node in record.lab.nodes if node.kind is NodeKind.LINUX] if record else []
    found = [ended.first_process(bench.place, name) for name in nodes]
    return [each for each in found if each is not None and proc.alive(each)]


def is_an_error_of_labctl(code, said):
    """Whether somebody's death was told as one of labctl's errors, or by heal as what it could not do, or did no harm."""
    named = [line.partition("error: ")[2] for line in said.splitlines() if line.startswith("error: ")]
    known = [each for each in named if each in CODES and each != "bug"]
    assert code >= 0, f"it was killed by signal {-code}, or had to be:\n{said}"
    assert "Traceback" not in said, said
    told_by_heal = code == Exit.DIRTY and "NOT PUT BACK" in said and not named
    assert code == 0 or told_by_heal or (known and known == named), f"exit {code}:\n{said}"


# -- an engine's other users ----------------------------------------------------------------------------------------


class Bystanders:
    """What somebody else has in the engine: a container that runs, one that does not, a network, a volume, an image."""

    def __init__(self, engine):
        self.engine = engine
        self.subnet = f"198.19.{os.getpid() % 256}"  # of the addresses for benchmarks; the network's bridge is the machine's
        self.names = ["foreign-idle", "foreign-runs"]
        self.bridge = f"dc{uuid.uuid4().hex[:6]}"

    def __enter__(self):
        docker = self.engine.docker
        docker("tag", f"{IMAGE}:latest", "example/foreign:1")
        given = ("--network", "none", "--entrypoint", "sleep", "example/foreign:1", "3600")
        docker("run", "--detach", "--name", "foreign-runs", "--label", "containerlab=somebody", *given)
        docker("create", "--name", "foreign-idle", *given)
        docker("volume", "create", "foreign")
        docker(
            "network", "create", "--internal", "--subnet", f"{self.subnet}.0/28", "--gateway", f"{self.subnet}.1",
            "--opt", f"com.docker.network.bridge.name={self.bridge}", "foreign",
        )  # fmt: skip
        return self

    def __exit__(self, *_):
        for argv in (
            ("rm", "--force", *self.names),
            ("volume", "rm", "foreign"),
            ("network", "rm", "foreign"),
            ("rmi", "--no-prune", "example/foreign:1"),
        ):
            self.engine.docker(*argv, check=False)

    def forget_state(self, fingerprint):
        """Of an earlier one: the engine itself has ended containers meanwhile."""
        for name in self.names:
            fingerprint[name].pop("State", None)

    def fingerprint(self, *, running=True):
        """Equal to an earlier one if nobody touched anything. running: the engine was not started anew meanwhile."""
        found = {"containers": self.engine.containers()}
        for name in self.names:
            said = self._look(name)
            found[name] = {key: said[key] for key in ("Id", "Created", "Config", "HostConfig", "Mounts")}
            if running:
                found[name]["State"] = said["State"]
        (network,) = json.loads(self.engine.docker("network", "inspect", "foreign"))
        found["network"] = network
        found["networks"] = sorted(self.engine.docker("network", "ls", "--format", "{{.Name}}").split())
        found["volumes"] = self.engine.docker("volume", "ls", "--quiet").split()
        found["image"] = self.engine.docker(
            "image", "inspect", "--format", "{{.Id}} {{.RepoTags}}", "example/foreign:1"
        )
        found["bridge"] = leftovers.read(f"/sys/class/net/{self.bridge}/ifindex")
        return found

    def _look(self, name):
        (said,) = json.loads(self.engine.docker("inspect", name))
        return said


# -- everybody else's


class Surroundings:
    """What is everybody else's: the same at the end as at the beginning."""

    def __init__(self, bench):
        self.bench = bench
        beside = (bench.root, os.path.dirname(bench.instance.labs_dir))
        self.decoy = leftovers.Decoy(os.path.join(bench.directory, "decoy"), *beside)
        self.others = Bystanders(bench.engine) if bench.engine else None
        self.restarted = False

    def __enter__(self):
        self.decoy.__enter__()
        try:
            if self.others:
                self.others.__enter__()
            self.before = self._look()
            self.machine = leftovers.machine() if ALONE else None
        except BaseException:
            self.__exit__(RuntimeError, None, None)
            raise
        return self

    def _look(self):
        found = {"decoy": self.decoy.fingerprint(), "machine": self.bench.outside()}
        if self.others:
            found["engine"] = self.others.fingerprint(running=not self.restarted)
        return found

    def engine_back(self, *, keeps):
        """Start the killed engine as one that keeps its containers alive, or as one that ends them."""
        self.bench.engine.start(live_restore=keeps)
        if not keeps:
            self.restarted = True
            self.others.forget_state(self.before["engine"])

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                assert different(self.before, self._look()) == []
                if ALONE:
                    assert leftovers.difference(self.machine, leftovers.machine()) == {}
        finally:
            if self.others:
                self.bench.engine.need()
                self.others.__exit__()
            self.decoy.__exit__()


def different(before, after, path=""):
    """Where two of the same kind differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [each for key in keys for each in different(before.get(key), after.get(key), f"{path}/{key}")]
    return [] if before == after else [f"{path}: {before} | {after}"]


# -- a lab under trouble ---------------------------------------------------------------------------------------------


def freeze(bench, node):
    client.add(bench.place, f"freeze-{node}", [Effect(id="f", on=NodeRef(node), change=Frozen())], 600)


def trouble(bench, start, stop):
    """Cuts that come and go, until told to stop; a dead agent is no reason to."""
    rng = random.Random(start)
    cables = [cable for cable in bench.place.need().lab.cables if cable.z is not None]
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


def at_base(bench):
    """Everything of a running lab as it was deployed."""
    record = bench.place.need()
    assert record.phase is Phase.RUNNING
    assert client.leases(bench.place) == []
    runtime = RUNTIMES[bench.runtime](bench.instance)
    for node in record.lab.nodes:
        if node.kind is not NodeKind.LINUX or node.network_mode:
            continue
        assert not runtime.read(record.lab, NodeRef(node.name)).frozen
        done = runtime.exec(record.lab, node.name, ["ip", "-o", "link", "show", "type", "veth"])
        assert "NO-CARRIER" not in done.stdout
        ends = [end for cable in record.lab.cables for end in cable.ends if end.port.node == node.name]
        guests = [
            f"{each.name}" for each in record.lab.nodes if each.network_mode == f"container:{node.name}"
        ]
        ends += [end for cable in record.lab.cables for end in cable.ends if end.port.node in guests]
        assert done.stdout.count("LOWER_UP") == len(ends) + 1, done.stdout
    until(lambda: len(cgroup.pids(bench.place.agent_cgroup)) == 2, "agent and guard")
