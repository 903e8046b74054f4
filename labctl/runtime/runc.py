"""The daemonless runtime: each node is a runc container on overlayfs, in a network namespace that was there before it.

Nothing here watches or remembers: what a node is follows from its files and the kernel. Killing goes by control group,
unmounting by what the kernel says is mounted, so every method works on whatever an earlier crash left behind. The
root file system of an image is the shared lower layer; what a node writes stays in its own upper layer until the
lab is destroyed, also over a restart.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from resource import RLIMIT_NOFILE, getrlimit

from labctl.linux import cgroup, disks, enter, mounts, proc, whole
from labctl.model.event import Emit, ignore
from labctl.model.lab import LabSpec, Limits, NodeKind, NodeSpec
from labctl.runtime import bundle, console, device_files, ended, health, images, launch, runc_check
from labctl.runtime.base import NodeState, NodeStatus
from labctl.runtime.inner import Inner, not_running, start_each, tell_started
from labctl.runtime.panel import allow_many_files
from labctl.runtime.store import LabDir

WORKERS = 4  # 36 containers/s with one, 65/s with four on two cores; more does not help


class RuncRuntime(Inner):
    """`labctl.runtime.base.Runtime` on runc."""

    name = "runc"

    # -- lifecycle ---------------------------------------------------------------------------------------------

    def check(self, lab: LabSpec) -> None:
        """Everything that would make the lab fail half-way, found before anything is touched."""
        runc_check.check(lab, self.images, self._disks(self.instance.lab(lab.name)))

    def provide(self, lab: LabSpec, emit: Emit = ignore) -> None:
        """Nodes stand on the image store's files, so that only what is wanted anew each time is to be done."""
        for ref in images.each_time(lab):
            self.images.pull(ref, emit)

    def start(self, lab: LabSpec, nodes: Sequence[str], emit: Emit = ignore) -> None:
        """Start these nodes, a few at a time; those that run already stay as they are."""
        allow_many_files()
        devices = (*bundle.DEVICE_RULES, *device_files.rules(lab.node(name) for name in nodes))
        cgroup.confine_devices(self.instance.lab(lab.name).cgroup, devices)
        start_each(lab, nodes, lambda node: self._start_one(lab, node), workers=WORKERS, emit=emit)

    def stop(self, lab: LabSpec, nodes: Sequence[str]) -> None:
        """Kill what runs in these nodes; their files, namespaces and cables stay."""
        place = self.instance.lab(lab.name)
        for name in nodes:
            self._end(place, name)

    def discard(self, lab_name: str, nodes: Sequence[str]) -> None:
        """Remove every process, mount, control group and file of these nodes."""
        place = self.instance.lab(lab_name)
        for name in nodes:
            self._end(place, name)
            launch.remove_home(place.node_dir(name))

    def update(self, before: LabSpec, lab: LabSpec, nodes: Sequence[str]) -> None:
        """Bring nodes that run on to what the changed lab says of them and of the others."""
        place = self.instance.lab(lab.name)
        nobody = NodeSpec(
            name=""
        )  # sees what all see; to make a thousand times a thousand lines takes a while
        renamed = bundle.hosts(before, nobody) != bundle.hosts(lab, nobody)
        for name in nodes:
            old, new = before.node(name), lab.node(name)
            if renamed:
                launch.update_hosts(
                    os.path.join(place.node_dir(name), "rootfs"),
                    bundle.hosts(before, old),
                    bundle.hosts(lab, new),
                )
            launch.update_environment(place.node_dir(name), bundle.told(before, old), bundle.told(lab, new))

    def remove(self, lab_name: str) -> None:
        """Remove every process, mount, control group and file of the lab's nodes, from its directory alone."""
        place = self.instance.lab(lab_name)
        cgroup.destroy(place.cgroup)
        for directory in (os.path.join(place.path, "nodes"), place.runc_dir):
            mounts.unmount_below(directory)
            if os.path.isdir(directory):
                shutil.rmtree(directory)

    def status(self, lab: LabSpec) -> tuple[NodeStatus, ...]:
        """What each node is now. runc has no daemon that would keep an exit code: it is known if somebody saw it."""
        place = self.instance.lab(lab.name)
        return tuple(self._status(place, lab, node) for node in lab.nodes if node.kind is NodeKind.LINUX)

    # -- what they print ---------------------------------------------------------------------------------------

    def output(
        self,
        lab: LabSpec,
        node: str,
        *,
        since_s: float | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """From its log, which the agent bounds and notes times of."""
        place = self.instance.lab(lab.name)
        return console.read(place, node, since_s=since_s, tail=tail, follow=follow)

    # -- settings ----------------------------------------------------------------------------------------------

    def limit(self, lab: LabSpec, node: str, limits: Limits) -> Limits:
        """The kernel first, because it may refuse; then the bundle that the node is started from."""
        place = self.instance.lab(lab.name)
        group = place.node_cgroup(node)
        runs = self._process(place, node) is not None and bool(cgroup.directories(group))
        if runs:
            self._limit_now(group, limits)
        file = os.path.join(place.node_dir(node), "config.json")
        with open(file, encoding="utf-8") as config:
            spec = json.load(config)
        kept = {k: v for k, v in spec["linux"]["resources"].items() if k not in bundle.LIMITED}
        spec["linux"]["resources"] = kept | bundle.limited(limits, _numbers(self._disks(place)))
        whole.write(file, json.dumps(spec).encode())
        return self._throttle_now(place, node, limits) if runs else limits

    def stopped_by_hand(self, lab: LabSpec, node: str) -> bool:  # noqa: ARG002  (runc's own state is the lab's: it is nobody's to use)
        return False

    # -- inside ------------------------------------------------------------------------------------------------

    def _start_one(self, lab: LabSpec, node: NodeSpec) -> None:
        place = self.instance.lab(lab.name)
        if self._process(place, node.name) is not None:
            return
        self.stop(lab, [node.name])  # what a crash may have left
        home = place.node_dir(node.name)
        rootfs = os.path.join(home, "rootfs")
        with self.images.standing():
            image = runc_check.image_of(node, self.images)
            launch.root_filesystem(lab, node, image, home, rootfs)
        spec = bundle.config(
            lab,
            node,
            image,
            who=runc_check.user_of(node, image),
            rootfs=rootfs,
            netns=place.node_ns(node.name),
            cgroup=place.node_cgroup(node.name),
            nofile=getrlimit(RLIMIT_NOFILE)[1],
            tun=os.path.exists("/dev/net/tun"),
            held=proc.bounding_set(),
            disks=_numbers(self._disks(place)),
            devices=device_files.of(node),
        )
        with open(os.path.join(home, "config.json"), "w", encoding="utf-8") as file:
            json.dump(spec, file)
        launch.run(place, node.name, home, keep=self._keep)
        tell_started(place, lab, node.name)

    def _end(self, place: LabDir, node: str) -> None:
        cgroup.destroy(place.node_cgroup(node))
        shutil.rmtree(launch.state_dir(place, node), ignore_errors=True)

    def _group(self, place: LabDir, node: str) -> str:
        return place.node_cgroup(node)

    def _disks(self, place: LabDir) -> tuple[disks.Disk, ...]:
        return disks.of_files([place.path, self.images.root])

    def _start_again(self, lab: LabSpec, node: str) -> None:
        """Start a node from the bundle and the files it had; one that never ran has none."""
        place = self.instance.lab(lab.name)
        home = place.node_dir(node)
        if os.path.exists(os.path.join(home, "config.json")):
            self._end(place, node)  # what a crash may have left
            launch.run(place, node, home, keep=self._keep)
            tell_started(place, lab, node)

    def _process(self, place: LabDir, node: str) -> proc.Identity | None:
        """The node's first process, if it runs."""
        who = ended.first_process(place, node)
        return who if who is not None and proc.alive(who) else None

    def _status(self, place: LabDir, lab: LabSpec, node: NodeSpec) -> NodeStatus:
        who = self._process(place, node.name)
        if who is None:
            known = os.path.exists(os.path.join(place.node_dir(node.name), "init.json"))
            state = NodeState.EXITED if known else NodeState.ABSENT
            end = ended.read(place, node.name)
        else:
            end = None
            state = NodeState.FROZEN if cgroup.frozen(place.node_cgroup(node.name)) else NodeState.RUNNING
        return NodeStatus(
            node=node.name,
            container=lab.container(node.name),
            container_id=place.container_id(node.name),
            image=node.image or "",
            state=state,
            pid=who.pid if who else None,
            exit_code=end.code if end else None,
            ended_s=end.wall_s if end else None,
            last_line=ended.last_line(place, node.name) if state is NodeState.EXITED else "",
            uptime_s=proc.age_s(who) if who else None,
            health=health.read(place, node.name).health if node.healthcheck and who else None,
            oom_kills=cgroup.oom_kills(place.node_cgroup(node.name)),
            mgmt_ipv4=node.mgmt_ipv4,
            mgmt_ipv6=node.mgmt_ipv6,
        )

    def _room(self, lab: LabSpec, name: str, *, terminal: bool = False) -> enter.Room:
        place = self.instance.lab(lab.name)
        node = lab.node(name)
        who = self._process(place, name)
        if who is None:
            known = os.path.exists(os.path.join(place.node_dir(name), "init.json"))
            raise not_running(name, NodeState.EXITED if known else NodeState.ABSENT)
        if cgroup.frozen(place.node_cgroup(name)):
            raise not_running(name, NodeState.FROZEN)
        with open(os.path.join(place.node_dir(name), "config.json"), encoding="utf-8") as file:
            process = json.load(file)["process"]
        env = dict(entry.partition("=")[::2] for entry in process["env"])
        if terminal:
            env.setdefault("TERM", os.environ.get("TERM", "dumb"))
        user = process["user"]
        env.setdefault("HOME", "/root" if node.user in (None, "", "root", "0") else "/")
        return enter.Room(
            process=who,
            cgroup=place.node_cgroup(name),
            env=env,
            cwd=process["cwd"],
            uid=user["uid"],
            gid=user["gid"],
            groups=tuple(user["additionalGids"]),
            drop_capabilities=bundle.dropped(node),
        )


def _numbers(found: Sequence[disks.Disk]) -> list[str]:
    return [disk.number for disk in found]
