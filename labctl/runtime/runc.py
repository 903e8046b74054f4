"""The daemonless runtime: each node is a runc container on overlayfs, in a network namespace that was there before it.

Nothing here watches or remembers: what a node is follows from its files and the kernel. Killing goes by control group,
unmounting by what the kernel says is mounted, so every method works on whatever an earlier crash left behind. The
root file system of an image is the shared lower layer; what a node writes stays in its own upper layer until the
lab is destroyed, also over a restart.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from resource import RLIMIT_NOFILE, getrlimit

from labctl.errors import LabctlError
from labctl.linux import cgroup, enter, mounts, proc, whole
from labctl.model.effects import NodeRef, Setting
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec, Limits, NodeKind, NodeSpec
from labctl.runtime import bundle, ended, eventlog, launch, runc_check
from labctl.runtime.base import Completed, Handle, NodeState, NodeStatus, Process
from labctl.runtime.images import ImageStore
from labctl.runtime.panel import allow_many_files
from labctl.runtime.store import Instance, LabDir

WORKERS = 4  # 36 containers/s with one, 65/s with four on two cores; more does not help
LOCAL = "local"


class RuncRuntime:
    """`labctl.runtime.base.Runtime` on runc. `keep`: descriptors (the lab's lock) that the helpers it runs inherit."""

    name = "runc"

    def __init__(self, instance: Instance, *, keep: Sequence[int] = ()) -> None:
        self.instance = instance
        self.images = ImageStore(instance)
        self._keep = tuple(keep)

    # -- lifecycle ---------------------------------------------------------------------------------------------

    def check(self, lab: LabSpec) -> None:
        """Everything that would make the lab fail half-way, found before anything is touched."""
        runc_check.check(lab, self.images)

    def start(self, lab: LabSpec, nodes: Sequence[str], emit: Emit = ignore) -> None:
        """Start these nodes, a few at a time; those that run already stay as they are."""
        allow_many_files()
        cgroup.confine_devices(self.instance.lab(lab.name).cgroup, bundle.DEVICE_RULES)
        begun = time.monotonic()
        wanted = sorted((lab.node(name) for name in nodes), key=lambda node: node.startup_delay_s)
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="start") as pool:
            jobs = []
            try:
                for node in wanted:
                    if node.kind is not NodeKind.LINUX:
                        continue
                    time.sleep(max(0.0, begun + node.startup_delay_s - time.monotonic()))
                    jobs.append(pool.submit(self._start_one, lab, node))
                for done, job in enumerate(jobs, start=1):
                    job.result()
                    emit(Event(kind="node-started", text="nodes started", done=done, total=len(jobs)))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

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
            home = place.node_dir(name)
            mounts.unmount_below(home)
            if os.path.isdir(home):
                shutil.rmtree(home)

    def update(self, before: LabSpec, lab: LabSpec, nodes: Sequence[str]) -> None:
        """Bring nodes that run on to what the changed lab says of them and of the others."""
        place = self.instance.lab(lab.name)
        for name in nodes:
            old, new = before.node(name), lab.node(name)
            launch.update_hosts(place.node_dir(name), bundle.hosts(before, old), bundle.hosts(lab, new))
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

    # -- commands ----------------------------------------------------------------------------------------------

    def exec(
        self,
        lab: LabSpec,
        node: str,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        stdin: str | None = None,
    ) -> Completed:
        """Run a command in a node to its end. `exec-timeout` if it is late; code 127 if there is no such command."""
        room = self._room(lab, node)
        try:
            done = enter.run(room, argv, timeout_s=timeout_s, stdin=stdin)
        except proc.CommandFailed as late:
            raise LabctlError(
                "exec-timeout", f"node {node!r}: `{shlex.join(argv)}` did not end within {timeout_s:g} s"
            ) from late
        except OSError as error:
            return _not_run(argv, error)
        except enter.Gone:
            raise _not_running(node, NodeState.EXITED) from None
        return Completed(argv=tuple(argv), code=done.code, stdout=done.stdout, stderr=done.stderr)

    def attach(self, lab: LabSpec, node: str, argv: Sequence[str]) -> int:
        """Run a command in a node on the caller's terminal; its exit status."""
        room = self._room(lab, node, terminal=True)
        try:
            return enter.attach(room, argv)
        except OSError as error:
            done = _not_run(argv, error)
            os.write(2, done.stderr.encode())
            return done.code
        except enter.Gone:
            raise _not_running(node, NodeState.EXITED) from None

    def spawn(
        self,
        lab: LabSpec,
        node: str,
        argv: Sequence[str],
        *,
        lease_s: float | None = None,
    ) -> Handle:
        """Start a command in a node and leave it; its output goes to the node's log."""
        place = self.instance.lab(lab.name)
        try:
            who = enter.spawn(self._room(lab, node), argv, log=os.path.join(place.node_dir(node), "log"))
        except OSError as error:
            raise LabctlError(
                "command-not-run", f"node {node!r}: {shlex.join(argv)}: {error.strerror}"
            ) from error
        except enter.Gone:
            raise _not_running(node, NodeState.EXITED) from None
        return Handle(host=LOCAL, pid=who.pid, start_ticks=who.start_ticks, lease_s=lease_s)

    # -- settings ----------------------------------------------------------------------------------------------

    def ensure(self, lab: LabSpec, resource: NodeRef, setting: Setting) -> None:
        """Power, CPU, freezer. A node that does not run has nothing to freeze or to limit, and that is no error."""
        place = self.instance.lab(lab.name)
        group = place.node_cgroup(resource.node)
        if setting.off:
            self.stop(lab, [resource.node])
            return
        if self._process(place, resource.node) is None:
            self._start_again(place, lab, resource.node)
        if not cgroup.directories(group):
            return
        limit = lab.node(resource.node).limits.cpu
        cgroup.limit_cpu(group, min((c for c in (setting.cpu, limit) if c is not None), default=None))
        if setting.frozen:
            cgroup.freeze(group)
        else:
            cgroup.thaw(group)

    def read(self, lab: LabSpec, resource: NodeRef) -> Setting:
        place = self.instance.lab(lab.name)
        group = place.node_cgroup(resource.node)
        if self._process(place, resource.node) is None and not cgroup.pids(group):
            return Setting(off=True)
        limit, own = cgroup.cpu_limit(group), lab.node(resource.node).limits.cpu
        found = math.inf if limit is None else limit
        return Setting(frozen=cgroup.frozen(group), cpu=None if limit == own else found)

    def limit(self, lab: LabSpec, node: str, limits: Limits) -> Limits:
        """The kernel first, because it may refuse; then the bundle that the node is started from."""
        place = self.instance.lab(lab.name)
        group = place.node_cgroup(node)
        runs = self._process(place, node) is not None and bool(cgroup.directories(group))
        if runs:
            before = cgroup.memory_limit(group)
            try:
                cgroup.limit_memory(group, limits.memory_bytes)
            except OSError:
                cgroup.limit_memory(group, before)
                raise
            cgroup.limit_pids(group, limits.pids)
        file = os.path.join(place.node_dir(node), "config.json")
        with open(file, encoding="utf-8") as config:
            spec = json.load(config)
        kept = {k: v for k, v in spec["linux"]["resources"].items() if k not in bundle.LIMITED}
        spec["linux"]["resources"] = kept | bundle.limited(limits)
        whole.write(file, json.dumps(spec).encode())
        if not runs:
            return limits
        return replace(limits, memory_bytes=cgroup.memory_limit(group), pids=cgroup.pids_limit(group))

    def processes(self, lab: LabSpec, node: str) -> tuple[Process, ...]:
        found = {
            pid: proc.describe(pid) for pid in cgroup.pids(self.instance.lab(lab.name).node_cgroup(node))
        }
        named = {pid: said for pid, said in found.items() if said is not None}
        return tuple(
            Process(
                handle=Handle(host=LOCAL, pid=said.who.pid, start_ticks=said.who.start_ticks),
                name=said.name,
                argv=said.argv,
                program=said.program,
                stopped=said.stopped,
                leads=said.parent not in named or named[said.parent].name != said.name,
            )
            for said in named.values()
        )

    def signal(self, handle: Handle, number: int) -> bool:
        return proc.kill(proc.Identity(handle.pid, handle.start_ticks), number)

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
        )
        with open(os.path.join(home, "config.json"), "w", encoding="utf-8") as file:
            json.dump(spec, file)
        launch.run(place, node.name, home, keep=self._keep)
        self._tell(place, lab, node.name)

    def _end(self, place: LabDir, node: str) -> None:
        cgroup.destroy(place.node_cgroup(node))
        shutil.rmtree(launch.state_dir(place, node), ignore_errors=True)

    def _start_again(self, place: LabDir, lab: LabSpec, node: str) -> None:
        """Start a node from the bundle and the files it had; one that never ran has none."""
        home = place.node_dir(node)
        if os.path.exists(os.path.join(home, "config.json")):
            self._end(place, node)  # what a crash may have left
            launch.run(place, node, home, keep=self._keep)
            self._tell(place, lab, node)

    def _tell(self, place: LabDir, lab: LabSpec, node: str) -> None:
        happened = eventlog.Happened(
            type="container",
            action="start",
            actor_id=place.container_id(node),
            actor_name=lab.container(node),
            attributes={"node": node, "image": lab.node(node).image or ""},
        )
        eventlog.note(place, [happened])

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
            raise _not_running(name, NodeState.EXITED if known else NodeState.ABSENT)
        if cgroup.frozen(place.node_cgroup(name)):
            raise _not_running(name, NodeState.FROZEN)
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
            drop_capabilities=bundle.DROPPED,
        )


def _not_run(argv: Sequence[str], error: OSError) -> Completed:
    """What a shell says and returns for a command that is not there (127) or not executable (126)."""
    code = 127 if isinstance(error, FileNotFoundError) else 126
    return Completed(argv=tuple(argv), code=code, stdout="", stderr=f"{argv[0]}: {error.strerror}\n")


def _not_running(node: str, state: NodeState) -> LabctlError:
    hints = {
        NodeState.FROZEN: "a fault froze it; `labctl heal` thaws it",
        NodeState.EXITED: "its command ended; `labctl inspect` shows all nodes",
    }
    return LabctlError("node-not-running", f"node {node!r} is {state.value}", hint=hints.get(state))
