"""Starting a node on Docker: its directory is furnished, its container is made and begun, and it passes the gate.

    nodes/<node>/etc/       hosts, hostname, resolv.conf
    nodes/<node>/run, sys   mounted anew before every start: an empty /run with what the image has there, and the /sys of
                            the node's own network

A container that is there already is begun again. Whoever was killed in the middle leaves at most a container with the lab's
labels, which the next one removes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

from labctl.errors import LabctlError
from labctl.linux import cgroup, disks, mounts, netns, proc
from labctl.model.lab import LabSpec, NodeSpec
from labctl.runtime import (
    bundle,
    device_files,
    docker_container,
    docker_gate,
    docker_images,
    docker_kept,
    docker_look,
    ended,
)
from labctl.runtime.docker_create import Creators
from labctl.runtime.docker_engine import Engine
from labctl.runtime.docker_kept import Kept
from labctl.runtime.images import Image, ImageStore
from labctl.runtime.inner import tell_started, throttle
from labctl.runtime.store import LabDir

#: A started container has stepped into its namespace by then, unless it never will.
GATE_S = 30.0


@dataclass(slots=True, kw_only=True)
class Starter:
    """Creates and starts the nodes of one lab; `start` may be called in several threads.

    running: the first process of a node, if it runs; stop: ends what runs in a node.
    """

    engine: Engine
    creators: Creators
    lab: LabSpec
    place: LabDir
    images: ImageStore
    running: Callable[[str], proc.Identity | None]
    stop: Callable[[str], None]
    _by_path: bool = field(init=False)  # the engine puts a container where it is told
    _disks: tuple[disks.Disk, ...] = field(init=False)

    def __post_init__(self) -> None:
        said = self.engine.information()
        self._by_path = said["CgroupDriver"] == "cgroupfs"
        self._disks = disks.of_files([said["DockerRootDir"]])

    def start(self, node: NodeSpec) -> None:
        """Have the node run; nothing to do if it does."""
        if self.running(node.name) is not None:
            return
        kept = docker_kept.read(self.place, node.name)
        if kept is not None:
            self.stop(node.name)  # what a crash may have left
        if kept is None or self.engine.inspect(kept.id) is None:
            kept = self._create(node)
        home = self.place.node_dir(node.name)
        _dress(home, self.place.node_ns(node.name))
        kept = self._begin(node, kept)
        self._pass_the_gate(node, kept)
        throttle(docker_kept.group(self.place, node.name), self._disks, node.limits)
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
            self.engine.remove_all(self._marks(node))
            self.engine.free_name(self.lab.container(node.name))
            kept = self._create(node)
        return kept

    def _create(self, node: NodeSpec) -> Kept:
        name = self.lab.container(node.name)
        self.engine.remove_all(self._marks(node))
        assert node.image is not None
        image = docker_images.find(self.engine, self.images, node.image)
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
                tag=self.place.instance.tag,
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
        docker_kept.write(self.place, node.name, kept)
        return kept

    def _marks(self, node: NodeSpec) -> list[str]:
        return docker_container.marks(self.place.instance.tag, self.lab.name, node.name)

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
                    docker_kept.keep_group(self.place, node.name, kept, cgroup.home_of(who.pid))
                if arrives(who, pin, deadline):
                    docker_kept.note_first(self.place, node.name, who)
                    return
            if time.monotonic() > deadline:
                self.stop(node.name)
                raise self._not_started(
                    node, "its container does not enter the network that labctl made for it"
                )

    def _ended_at_once(self, node: NodeSpec, kept: Kept, code: int) -> None:
        said = self.engine.last_line(kept.id)
        if code in (1, 126, 127) and said.startswith(docker_gate.SAYS):
            raise self._not_started(node, said.removeprefix(docker_gate.SAYS))
        docker_kept.note_first(self.place, node.name, proc.Identity(0, 0))

    def _not_started(self, node: NodeSpec, why: str) -> LabctlError:
        return LabctlError(
            "node-not-started",
            f"node {node.name!r} did not start: {why}",
            where=node.where,
            hint="check its `image`, `cmd` and `binds`",
        )


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


def arrives(who: proc.Identity, pin: int, deadline: float) -> bool:
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
