"""The Docker runtime: each node is a container of an engine, in a network namespace that was there before it.

The engine keeps a node's files, its log and how it ended; everything in between is the kernel's (`runtime.inner`), so a
running node is entered, frozen and measured without asking the engine. What belongs to a lab is found by labels, never by
a list that somebody kept. What a node needs of the machine lies in its directory, as under runc. How a node is
started is in `docker_start`, what is written down of it in `docker_kept`, how an engine is asked in `docker_engine`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

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
    docker_images,
    docker_kept,
    docker_stopped,
    ended,
    health,
    images,
    launch,
)
from labctl.runtime.base import NodeState, NodeStatus, Runtime
from labctl.runtime.docker_create import Creators
from labctl.runtime.docker_engine import WORKERS, Engine
from labctl.runtime.docker_kept import Kept
from labctl.runtime.docker_start import GATE_S, Starter, arrives
from labctl.runtime.inner import Inner, not_running, start_each, throttle
from labctl.runtime.panel import allow_many_files
from labctl.runtime.store import LabDir

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
            starter = Starter(
                engine=engine,
                creators=creators,
                lab=lab,
                place=place,
                images=self.images,
                running=lambda name: self._process(place, name),
                stop=lambda name: self.stop(lab, [name]),
            )
            start_each(lab, nodes, starter.start, workers=WORKERS, emit=emit)

    def stop(self, lab: LabSpec, nodes: Sequence[str]) -> None:
        """Kill what runs in these nodes; their files, namespaces and cables stay. The engine has noticed on return."""
        place = self.instance.lab(lab.name)
        for name in nodes:
            cgroup.kill(self._group(place, name))
        with self._engine(place) as engine:
            for name in nodes:
                kept = docker_kept.read(place, name)
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
                    engine.remove_all(docker_container.marks(self.instance.tag, lab_name, name))
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
            kept = docker_kept.read(place, name)
            if kept is None:
                continue
            gone, told = bundle.told(before, old), bundle.told(lab, new)
            env = {k: v for k, v in kept.process["env"].items() if k not in gone or k in told} | told
            docker_kept.write(place, name, replace(kept, process={**kept.process, "env": env}))

    def limit(self, lab: LabSpec, node: str, limits: Limits) -> Limits:
        """The kernel first, because it may refuse; then the engine, which starts the container next time, and which puts the
        rates of input and output back to those that it was created with.
        """
        place = self.instance.lab(lab.name)
        group, kept = self._group(place, node), docker_kept.read(place, node)
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
        url = docker_kept.engine_of(place)
        while url is not None:
            kept = docker_kept.read(place, node)
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
        for name in docker_kept.nodes(place):
            cgroup.kill(self._group(place, name))
        try:
            with self._engine(place) as engine:
                if engine is not None:
                    engine.remove_all(docker_container.marks(self.instance.tag, lab_name))
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
        kept = docker_kept.read(place, node)
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

    def _url(self, lab: LabSpec) -> str:
        """Where the lab's engine is: the one that it was begun on, whatever DOCKER_HOST says today."""
        return docker_kept.engine_of(self.instance.lab(lab.name)) or docker_engine.address()

    def _choose_engine(self, place: LabDir) -> str:
        """The lab's engine, which it keeps from now on."""
        url = docker_kept.engine_of(place)
        if url is None:
            url = docker_engine.address()
            docker_kept.keep_engine(place, url)
        return url

    @contextlib.contextmanager
    def _engine(self, place: LabDir) -> Iterator[Engine | None]:
        """The lab's engine; None while it has none, so that there are no containers."""
        url = docker_kept.engine_of(place)
        if url is None:
            yield None
            return
        with Engine(url) as engine:
            yield engine

    def _group(self, place: LabDir, node: str) -> str:
        return docker_kept.group(place, node)

    def _disks(self, place: LabDir) -> tuple[disks.Disk, ...]:
        with self._engine(place) as engine:
            return () if engine is None else disks.of_files([engine.information()["DockerRootDir"]])

    def _process(self, place: LabDir, node: str) -> proc.Identity | None:
        who = ended.first_process(place, node)
        if who is not None and proc.alive(who):
            return who
        kept = docker_kept.read(place, node)
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
                docker_kept.note_first(place, node, who)
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
        if docker_kept.read(self.instance.lab(lab.name), node) is not None:
            self.start(lab, [node])

    def _status(self, engine: Engine | None, place: LabDir, lab: LabSpec, node: NodeSpec) -> NodeStatus:
        who = self._process(place, node.name)
        kept = docker_kept.read(place, node.name)
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
        kept = docker_kept.read(place, name)
        if who is None or kept is None:
            known = ended.first_process(place, name) is not None
            raise not_running(name, NodeState.EXITED if known else NodeState.ABSENT)
        if cgroup.frozen(kept.cgroup):
            raise not_running(name, NodeState.FROZEN)
        # Somebody may have started it again just now: at first it stands in a network of the engine's.
        if not arrives(who, netns.inode(place.node_ns(name)), time.monotonic() + GATE_S):
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


def _leads(engine: Engine, kept: Kept) -> proc.Identity | None:
    """The first process of a container, if it is alive: an engine hears of an end a little later."""
    said = engine.inspect(kept.id)
    who = proc.identity(said["State"]["Pid"]) if said and said["State"]["Running"] else None
    return who if who is not None and proc.alive(who) else None


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
