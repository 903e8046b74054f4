"""The Docker runtime: each node is a container of an engine, in a network namespace that was there before it.

The engine keeps a node's files, its log and how it ended; everything in between is the kernel's (`runtime.inner`), so a
running node is entered, frozen and measured without asking the engine. What belongs to a lab is found by labels, never by
a list that somebody kept. What a node needs of the machine lies in its directory, as under runc:

    nodes/<node>/container.json   the container's id, its control group, and what commands in it start with
    nodes/<node>/init.json        its first process (`runtime.ended`)
    nodes/<node>/etc/             hosts, hostname, resolv.conf
    nodes/<node>/run, sys         mounted anew before every start: an empty /run with what the image has there, and the
                                  /sys of the node's own network
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

from labctl.errors import LabctlError
from labctl.linux import cgroup, disks, enter, mounts, netns, proc
from labctl.model.event import Emit, ignore
from labctl.model.lab import LabSpec, Limits, NodeKind, NodeSpec
from labctl.runtime import (
    bundle,
    device_files,
    docker_check,
    docker_container,
    docker_engine,
    docker_gate,
    docker_images,
    docker_look,
    docker_stopped,
    ended,
    health,
    images,
    launch,
)
from labctl.runtime.base import NodeState, NodeStatus, Runtime
from labctl.runtime.docker_create import Creators
from labctl.runtime.docker_engine import Engine
from labctl.runtime.images import Image
from labctl.runtime.inner import Inner, not_running, start_each, tell_started, throttle
from labctl.runtime.panel import allow_many_files
from labctl.runtime.store import LabDir

WORKERS = (
    8  # an engine is slow and not at its limit with one: 4 containers/s with one, 7/s with eight on two cores
)
#: A started container has stepped into its namespace by then, unless it never will.
GATE_S = 30.0
REMOVED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """container.json."""

    id: str
    cgroup: str
    process: Mapping[str, Any] = field(default_factory=dict)  # env, cwd, uid, gid, groups


#: How soon somebody who reads along sees that a node was started again.
_LOOK_S = 0.2


class DockerRuntime(Inner):
    """`labctl.runtime.base.Runtime` on a Docker engine."""

    name = "docker"

    # -- lifecycle ---------------------------------------------------------------------------------------------

    def check(self, lab: LabSpec) -> None:
        """Everything that would make the lab fail half-way, found before anything is touched."""
        docker_check.check(lab, self.images, self._url(lab), tag=self.instance.tag)

    def provide(self, lab: LabSpec, emit: Emit = ignore) -> None:
        """Have the engine know the images of the lab; it pulls itself those that are wanted anew each time."""
        with Engine(self._url(lab), timeout_s=None) as engine:
            for ref in images.each_time(lab):
                docker_images.pull(engine, ref, emit)
        refs = [node.image for node in lab.nodes if node.kind is NodeKind.LINUX and node.image]
        with Engine(self._url(lab)) as engine:
            docker_images.provide(engine, self.images, refs, emit)

    def start(self, lab: LabSpec, nodes: Sequence[str], emit: Emit = ignore) -> None:
        """Create (if absent) and start the containers of these nodes, a few at a time."""
        allow_many_files()
        place = self.instance.lab(lab.name)
        url = self._choose_engine(place)
        devices = (*docker_container.DEVICE_RULES, *device_files.rules(lab.node(name) for name in nodes))
        cgroup.confine_devices(place.cgroup, devices)
        with Engine(url) as engine, Creators(url, self._keep) as creators:
            maker = _Maker(self, engine, creators, lab)
            start_each(lab, nodes, maker.start, workers=WORKERS, emit=emit)

    def stop(self, lab: LabSpec, nodes: Sequence[str]) -> None:
        """Kill what runs in these nodes; their files, namespaces and cables stay. The engine has noticed on return."""
        place = self.instance.lab(lab.name)
        for name in nodes:
            cgroup.kill(self._group(place, name))
        with self._engine(place) as engine:
            for name in nodes:
                kept = read(place, name)
                if engine is not None and kept is not None:
                    if _leads(engine, kept) is not None:
                        engine.kill(kept.id)  # it slipped out of the group
                    engine.wait(kept.id)
                cgroup.destroy(place.node_cgroup(name))

    def discard(self, lab_name: str, nodes: Sequence[str]) -> None:
        """Remove every container, mount, control group and file of these nodes."""
        place = self.instance.lab(lab_name)
        with self._engine(place) as engine:
            for name in nodes:
                cgroup.kill(self._group(place, name))
                if engine is not None:
                    remove_all(engine, self._marks(lab_name, name))
                cgroup.destroy(place.node_cgroup(name))
                launch.remove_home(place.node_dir(name))

    def update(self, before: LabSpec, lab: LabSpec, nodes: Sequence[str]) -> None:
        """Bring nodes that run on to what the changed lab says of them and of the others.

        An engine keeps the environment that a container was created with, so only commands see the new one.
        """
        place = self.instance.lab(lab.name)
        for name in nodes:
            old, new = before.node(name), lab.node(name)
            launch.update_hosts(place.node_dir(name), bundle.hosts(before, old), bundle.hosts(lab, new))
            kept = read(place, name)
            if kept is None:
                continue
            gone, told = bundle.told(before, old), bundle.told(lab, new)
            env = {k: v for k, v in kept.process["env"].items() if k not in gone or k in told} | told
            write(place, name, replace(kept, process={**kept.process, "env": env}))

    def limit(self, lab: LabSpec, node: str, limits: Limits) -> Limits:
        """The kernel first, because it may refuse; then the engine, which starts the container next time, and which puts the
        rates of input and output back to those that it was created with.
        """
        place = self.instance.lab(lab.name)
        group, kept = self._group(place, node), read(place, node)
        runs = self._process(place, node) is not None and bool(cgroup.directories(group))
        if runs:
            self._limit_now(group, limits)
        cpu = cgroup.cpu_limit(group)
        with self._engine(place) as engine:
            if engine is not None and kept is not None:
                engine.limit(kept.id, docker_container.limited(limits, there=True))
        if not runs:
            return limits
        cgroup.limit_cpu(group, cpu)  # the engine takes it from a fault
        return self._throttle_now(place, node, limits)

    def output(
        self,
        lab: LabSpec,
        node: str,
        *,
        since_s: float | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """From the engine, which keeps what containers print, with the times."""
        place = self.instance.lab(lab.name)
        url = engine_of(place)
        while url is not None:
            kept = read(place, node)
            if kept is not None:
                with Engine(url, timeout_s=None if follow else docker_engine.PATIENCE_S) as engine:
                    yield from engine.output(kept.id, since_s=since_s, tail=tail, follow=follow)
                    said = engine.inspect(kept.id) if follow else None
                if said is not None:  # it may run again already: what it has printed since then is new
                    since_s, tail = _seconds(said["State"]["FinishedAt"]) or since_s, None
            if not follow or not os.path.exists(place.record_file):
                return
            time.sleep(_LOOK_S)

    def remove(self, lab_name: str) -> None:
        """Remove every container of the lab, by its labels, then mounts, control groups and files of its nodes."""
        place = self.instance.lab(lab_name)
        for name in _nodes(place):
            cgroup.kill(self._group(place, name))
        try:
            with self._engine(place) as engine:
                if engine is not None:
                    remove_all(engine, self._marks(lab_name))
        except LabctlError as error:
            if error.code != "engine-unreachable":
                raise
            raise LabctlError(
                error.code,
                f"lab {lab_name!r} has ended, but its containers cannot be removed: {error.message}",
                hint=f"start the engine, then `labctl destroy {lab_name} --yes` removes the rest; "
                f"if it is gone for good, remove {place.engine_file} first",
            ) from error
        cgroup.destroy(place.cgroup)
        directory = os.path.join(place.path, "nodes")
        mounts.unmount_below(directory)
        if os.path.isdir(directory):
            shutil.rmtree(directory)

    def stopped_by_hand(self, lab: LabSpec, node: str) -> bool | None:
        """Its engine tells, for as long as it remembers. labctl itself ends nodes without asking it."""
        place = self.instance.lab(lab.name)
        kept = read(place, node)
        with self._engine(place) as engine:
            said = engine.inspect(kept.id) if engine is not None and kept is not None else None
            if engine is None or said is None:
                return False
            return docker_stopped.by_hand(engine, said)

    def status(self, lab: LabSpec) -> tuple[NodeStatus, ...]:
        """What each node is now. The engine is asked about those only that do not run, and need not answer."""
        place = self.instance.lab(lab.name)
        with self._engine(place) as engine:
            return tuple(
                self._status(engine, place, lab, node) for node in lab.nodes if node.kind is NodeKind.LINUX
            )

    # -- inside ------------------------------------------------------------------------------------------------

    def _marks(self, lab: str, node: str | None = None) -> list[str]:
        """The labels of our containers of this lab, or of this node of it."""
        of_node = [f"{docker_container.NODE_LABEL}={node}"] if node is not None else []
        return [
            f"{docker_container.LAB_LABEL}={lab}",
            f"{docker_container.INSTANCE_LABEL}={self.instance.tag}",
            *of_node,
        ]

    def _url(self, lab: LabSpec) -> str:
        """Where the lab's engine is: the one that it was begun on, whatever DOCKER_HOST says today."""
        return engine_of(self.instance.lab(lab.name)) or docker_engine.address()

    def _choose_engine(self, place: LabDir) -> str:
        """The lab's engine, which it keeps from now on."""
        url = engine_of(place)
        if url is None:
            url = docker_engine.address()
            _put(place.engine_file, {"url": url}, sync=True)
        return url

    @contextlib.contextmanager
    def _engine(self, place: LabDir) -> Iterator[Engine | None]:
        """The lab's engine; None while it has none, so that there are no containers."""
        url = engine_of(place)
        if url is None:
            yield None
            return
        with Engine(url) as engine:
            yield engine

    def _group(self, place: LabDir, node: str) -> str:
        kept = read(place, node)
        return kept.cgroup if kept else place.node_cgroup(node)

    def _disks(self, place: LabDir) -> tuple[disks.Disk, ...]:
        with self._engine(place) as engine:
            return () if engine is None else disks.of_files([engine.information()["DockerRootDir"]])

    def _process(self, place: LabDir, node: str) -> proc.Identity | None:
        who = ended.first_process(place, node)
        if who is not None and proc.alive(who):
            return who
        kept = read(place, node)
        if kept is None or not cgroup.pids(kept.cgroup):
            return None
        return self._adopted(place, node, kept)

    def _adopted(self, place: LabDir, node: str, kept: Kept) -> proc.Identity | None:
        """The first process of a container that somebody else has started again."""
        with (
            contextlib.suppress(LabctlError, OSError),
            self._engine(place) as engine,
        ):  # it may be being removed
            said = engine.inspect(kept.id) if engine is not None else None
            who = proc.identity(said["State"]["Pid"]) if said and said["State"]["Running"] else None
            if engine is not None and who is not None:
                _note_first(place, node, who)
                record = place.read()
                if record is not None:  # the engine knows the limits that it was created with
                    throttle(kept.cgroup, self._disks(place), record.lab.node(node).limits)
            return who
        return None

    def _log(self, place: LabDir, node: str, first: proc.Identity) -> str:
        """The pipe to the engine, which keeps the log, unless the node's command has put something else in its place."""
        said = f"/proc/{first.pid}/fd/1"
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.stat(said).st_mode):
                return said
        return super()._log(place, node, first)

    def _start_again(self, lab: LabSpec, node: str) -> None:
        if read(self.instance.lab(lab.name), node) is not None:
            self.start(lab, [node])

    def _status(self, engine: Engine | None, place: LabDir, lab: LabSpec, node: NodeSpec) -> NodeStatus:
        who = self._process(place, node.name)
        kept = read(place, node.name)
        code: int | None = None
        when: float | None = None
        line = ""
        if who is not None:
            state = NodeState.FROZEN if cgroup.frozen(self._group(place, node.name)) else NodeState.RUNNING
        elif kept is None or ended.first_process(place, node.name) is None:
            state = NodeState.ABSENT
        else:
            state, code, when, line = _ending(engine, place, node.name, kept)
        return NodeStatus(
            node=node.name,
            container=lab.container(node.name),
            container_id=kept.id[:12] if kept else "",
            image=node.image or "",
            state=state,
            pid=who.pid if who else None,
            exit_code=code,
            ended_s=when,
            last_line=line,
            uptime_s=proc.age_s(who) if who else None,
            health=health.read(place, node.name).health if node.healthcheck and who else None,
            oom_kills=cgroup.oom_kills(self._group(place, node.name)),
            mgmt_ipv4=node.mgmt_ipv4,
            mgmt_ipv6=node.mgmt_ipv6,
        )

    def _room(self, lab: LabSpec, name: str, *, terminal: bool = False) -> enter.Room:
        place = self.instance.lab(lab.name)
        who = self._process(place, name)
        kept = read(place, name)
        if who is None or kept is None:
            known = ended.first_process(place, name) is not None
            raise not_running(name, NodeState.EXITED if known else NodeState.ABSENT)
        if cgroup.frozen(kept.cgroup):
            raise not_running(name, NodeState.FROZEN)
        # Somebody may have started it again just now: at first it stands in a network of the engine's.
        if not _arrives(who, netns.inode(place.node_ns(name)), time.monotonic() + GATE_S):
            raise not_running(name, NodeState.EXITED)
        process = kept.process
        env = dict(process["env"])
        if terminal:
            env.setdefault("TERM", os.environ.get("TERM", "dumb"))
        env.setdefault("HOME", "/" if process["uid"] else "/root")
        return enter.Room(
            process=who,
            cgroup=kept.cgroup,
            env=env,
            cwd=process["cwd"],
            uid=process["uid"],
            gid=process["gid"],
            groups=tuple(process["groups"]),
            drop_capabilities=docker_container.dropped(lab.node(name)),
        )


_COMPLETE: type[Runtime] = DockerRuntime  # what the protocol has got and this has not is told by mypy


class _Maker:
    """Creates and starts the nodes of one lab."""

    def __init__(self, runtime: DockerRuntime, engine: Engine, creators: Creators, lab: LabSpec) -> None:
        self.runtime = runtime
        self.engine = engine
        self.creators = creators
        self.lab = lab
        self.place = runtime.instance.lab(lab.name)
        said = engine.information()
        self._by_path = said["CgroupDriver"] == "cgroupfs"
        self._disks = disks.of_files([said["DockerRootDir"]])

    def start(self, node: NodeSpec) -> None:
        if self.runtime._process(self.place, node.name) is not None:  # noqa: SLF001  (one thing in two classes)
            return
        kept = read(self.place, node.name)
        if kept is not None:
            self.runtime.stop(self.lab, [node.name])  # what a crash may have left
        if kept is None or self.engine.inspect(kept.id) is None:
            kept = self._create(node)
        home = self.place.node_dir(node.name)
        _dress(home, self.place.node_ns(node.name))
        kept = self._begin(node, kept)
        self._pass_the_gate(node, kept)
        throttle(self.runtime._group(self.place, node.name), self._disks, node.limits)  # noqa: SLF001
        ended.touch(self.place)
        tell_started(self.place, self.lab, node.name)

    def _begin(self, node: NodeSpec, kept: Kept) -> Kept:
        """Have the engine start the container, or another one if it holds this one's name for one that is gone."""
        for again in (True, False):
            try:
                self.engine.start(kept.id)
                break
            except LabctlError as error:
                if error.code != "engine-refused":
                    raise
                why = error.message.partition(": ")[2]
                if not again or "already exists in network none" not in why:
                    raise self._not_started(node, why) from error
            remove_all(self.engine, self.runtime._marks(self.lab.name, node.name))  # noqa: SLF001
            self.engine.free_name(self.lab.container(node.name))
            kept = self._create(node)
        return kept

    def _create(self, node: NodeSpec) -> Kept:
        instance, name = self.runtime.instance, self.lab.container(node.name)
        remove_all(self.engine, self.runtime._marks(self.lab.name, node.name))  # noqa: SLF001
        assert node.image is not None
        image = docker_images.find(self.engine, self.runtime.images, node.image)
        if image is None:
            raise docker_images.missing(self.engine, node.image)
        home = self.place.node_dir(node.name)
        record = self.place.read()
        _furnish(home, self.lab, node, image)
        gate = docker_gate.program()

        def make(who: bundle.User, program: str) -> str:
            asked = docker_container.body(
                self.lab,
                node,
                image,
                reference=docker_images.engine_ref(image.ref),
                who=who,
                program=program,
                home=home,
                netns=self.place.node_ns(node.name),
                gate=gate,
                cgroup_parent="/" + self.place.node_cgroup(node.name) if self._by_path else "",
                tag=instance.tag,
                owner=record.owner if record else "",
                nofile=getrlimit(RLIMIT_NOFILE)[1],
                held=proc.bounding_set(),
                tun=os.path.exists("/dev/net/tun"),
                disks=[disk.path for disk in self._disks],
                devices=device_files.of(node),
            )
            return self.creators.create(name, asked)

        container, who = docker_look.create(self.engine, self.lab, node, image, home=home, make=make)
        if not image.rootfs:
            docker_look.unpack(self.engine.files(container, "/run"), home, "run.image")
        kept = Kept(
            id=container,
            cgroup=f"{self.place.node_cgroup(node.name)}/{container}",
            process={
                "env": bundle.environment(self.lab, node, image),
                "cwd": image.workdir or "/",
                "uid": who.uid,
                "gid": who.gid,
                "groups": list(who.groups),
            },
        )
        write(self.place, node.name, kept)
        return kept

    def _pass_the_gate(self, node: NodeSpec, kept: Kept) -> None:
        """Wait until the container stands in the node's namespace, and note its first process."""
        pin = netns.inode(self.place.node_ns(node.name))
        deadline = time.monotonic() + GATE_S
        while True:
            said = self.engine.inspect(kept.id)
            state: Mapping[str, Any] = said["State"] if said else {"Running": False, "ExitCode": 137}
            who = proc.identity(state["Pid"]) if state["Running"] else None
            if who is None and not state["Running"]:
                self._ended_at_once(node, kept, int(state["ExitCode"]))
                return
            if who is not None:
                with contextlib.suppress(ProcessLookupError):
                    _keep_group(self.place, node.name, kept, cgroup.home_of(who.pid))
                if _arrives(who, pin, deadline):
                    _note_first(self.place, node.name, who)
                    return
            if time.monotonic() > deadline:
                self.runtime.stop(self.lab, [node.name])
                raise self._not_started(
                    node, "its container does not enter the network that labctl made for it"
                )

    def _ended_at_once(self, node: NodeSpec, kept: Kept, code: int) -> None:
        said = self.engine.last_line(kept.id)
        if code in (1, 126, 127) and said.startswith(docker_gate.SAYS):
            raise self._not_started(node, said.removeprefix(docker_gate.SAYS))
        _note_first(self.place, node.name, proc.Identity(0, 0))

    def _not_started(self, node: NodeSpec, why: str) -> LabctlError:
        return LabctlError(
            "node-not-started",
            f"node {node.name!r} did not start: {why}",
            where=node.where,
            hint="check its `image`, `cmd` and `binds`",
        )


def remove_all(engine: Engine, labels: Sequence[str]) -> None:
    """Remove every container with all of these labels, in whatever state, also one that appears meanwhile."""
    deadline = time.monotonic() + REMOVED_S
    while found := engine.containers(labels):
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="remove") as pool:
            list(pool.map(lambda each: engine.remove(each["Id"]), found))
        if time.monotonic() > deadline:
            names = ", ".join(sorted(each["Names"][0].strip("/") for each in found))
            raise LabctlError("engine-refused", f"Docker does not remove {names}")


def _leads(engine: Engine, kept: Kept) -> proc.Identity | None:
    """The first process of a container, if it is alive: an engine hears of an end a little later."""
    said = engine.inspect(kept.id)
    who = proc.identity(said["State"]["Pid"]) if said and said["State"]["Running"] else None
    return who if who is not None and proc.alive(who) else None


def engine_of(place: LabDir) -> str | None:
    """Where the engine of a lab is; None if nothing was ever asked of one."""
    try:
        with open(place.engine_file, encoding="utf-8") as file:
            return str(json.load(file)["url"])
    except FileNotFoundError:
        return None


def read(place: LabDir, node: str) -> Kept | None:
    """What is known of a node's container; None if it has none yet."""
    try:
        with open(place.container_file(node), encoding="utf-8") as file:
            return Kept(**json.load(file))
    except FileNotFoundError:
        return None


def write(place: LabDir, node: str, kept: Kept) -> None:
    """Replace what is known of a node's container."""
    value = {"id": kept.id, "cgroup": kept.cgroup, "process": kept.process}
    _put(place.container_file(node), value)


def _put(path: str, value: Mapping[str, Any], *, sync: bool = False) -> None:
    """Replace a file in one step. Nodes are started by several threads, and looked at by several processes."""
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(value, file)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.rename(temporary, path)


def _keep_group(place: LabDir, node: str, kept: Kept, group: str) -> None:
    """The engine decides where it puts a container."""
    if group != kept.cgroup and kept.id in group:
        write(place, node, replace(kept, cgroup=group))


def _nodes(place: LabDir) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(os.path.join(place.path, "nodes")))
    return []


def _note_first(place: LabDir, node: str, who: proc.Identity) -> None:
    _put(os.path.join(place.node_dir(node), "init.json"), {"pid": who.pid, "start_ticks": who.start_ticks})


def _furnish(home: str, lab: LabSpec, node: NodeSpec, image: Image) -> None:
    """What a node has on the machine before it has a container."""
    for directory in ("etc", "run", "sys", "run.image"):
        os.makedirs(os.path.join(home, directory), mode=0o755, exist_ok=True)
    files = {
        "hostname": (node.hostname or node.name) + "\n",
        "hosts": bundle.hosts(lab, node),
        "resolv.conf": bundle.resolv_conf(node),
    }
    for name in docker_container.ETC:
        path = os.path.join(home, "etc", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(files[name])
        os.chmod(path, 0o644)
    if image.rootfs and os.path.isdir(os.path.join(image.rootfs, "run")):
        proc.run(["cp", "-a", os.path.join(image.rootfs, "run") + "/.", os.path.join(home, "run.image")])


def _dress(home: str, namespace: str) -> None:
    """Mount what lasts for one life of a node."""
    run, sys = os.path.join(home, "run"), os.path.join(home, "sys")
    for place in (run, sys):
        mounts.unmount_below(place)
    flags = mounts.MS_NOSUID | mounts.MS_NODEV
    mounts.mount("tmpfs", run, "tmpfs", flags, "mode=755")
    proc.run(["cp", "-a", os.path.join(home, "run.image") + "/.", run])
    with netns.inside(namespace):
        mounts.mount("sysfs", sys, "sysfs", flags | mounts.MS_NOEXEC)


def _arrives(who: proc.Identity, pin: int, deadline: float) -> bool:
    """Whether the process gets into the namespace; False if it ends, or is late."""
    pause = 0.001
    while time.monotonic() < deadline:
        try:
            if os.stat(f"/proc/{who.pid}/ns/net").st_ino == pin:
                return proc.alive(who)
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return False


def _ending(
    engine: Engine | None, place: LabDir, node: str, kept: Kept
) -> tuple[NodeState, int | None, float | None, str]:
    """How a node that does not run has ended: the engine knows, else perhaps the agent saw it."""
    with contextlib.suppress(LabctlError):
        said = engine.inspect(kept.id) if engine is not None else None
        if engine is not None and said is None:
            return NodeState.ABSENT, None, None, ""
        if said is not None and not said["State"]["Running"]:
            line = ended.printable(engine.last_line(kept.id)) if engine is not None else ""
            when = _seconds(said["State"]["FinishedAt"])
            return NodeState.EXITED, int(said["State"]["ExitCode"]) if when else None, when, line
    end = ended.read(place, node)
    return NodeState.EXITED, end.code if end else None, end.wall_s if end else None, ""


def _seconds(text: str) -> float | None:
    """An engine's time of day, `2026-11-20T17:52:31.123456789Z`, in seconds since 1970; None for its zero."""
    import calendar

    head, _, fraction = text.removesuffix("Z").partition(".")
    if head.startswith("0001-"):
        return None
    return calendar.timegm(time.strptime(head, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")
