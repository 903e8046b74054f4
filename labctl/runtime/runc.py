"""The daemonless runtime: each node is a runc container on overlayfs, in a network namespace that was there before it.

Nothing here watches or remembers: what a node is follows from its files and the kernel. Killing goes by control group,
unmounting by what the kernel says is mounted, so every method works on whatever an earlier crash left behind. The
root file system of an image is the shared lower layer; what a node writes stays in its own upper layer until the
lab is destroyed, also over a restart.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from resource import RLIMIT_NOFILE, getrlimit

from labctl.errors import LabctlError, Problems
from labctl.linux import cgroup, enter, mounts, proc
from labctl.model.effects import NodeRef, Setting
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec, NodeKind, NodeSpec
from labctl.runtime import bundle, ended, mgmt, sysctls
from labctl.runtime.base import Completed, Handle, NodeState, NodeStatus, Process
from labctl.runtime.images import Image, ImageStore
from labctl.runtime.panel import allow_many_files
from labctl.runtime.store import Instance, LabDir

RUNC = "runc"
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
        _check_machine()
        problems = Problems()
        with self.images.standing():
            for node in lab.nodes:
                try:
                    self._check_node(node)
                except LabctlError as error:
                    for each in error.each:
                        problems.add(each.code, each.message, where=each.where or node.where, hint=each.hint)
        for wrong in sysctls.wrong(lab):
            problems.extend(wrong)
        if len(mgmt.nodes(lab)) > mgmt.MOST_PORTS:
            problems.add(
                "unsupported",
                f"{len(mgmt.nodes(lab))} nodes have a management interface; one bridge holds {mgmt.MOST_PORTS}",
                hint="set `network-mode: none` where none is needed",
            )
        problems.stop()

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
            self._start_again(place, resource.node)
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
        limit = cgroup.cpu_limit(group)
        return Setting(
            frozen=cgroup.frozen(group), cpu=None if limit == lab.node(resource.node).limits.cpu else limit
        )

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

    def _check_node(self, node: NodeSpec) -> None:
        if node.kind is NodeKind.HOST:
            raise LabctlError(
                "unsupported",
                f"node {node.name!r} has kind `host`: links to the machine itself are not built yet",
                hint="remove the node and its links",
            )
        if node.kind is NodeKind.BRIDGE:
            return
        if node.network_mode not in (None, "none"):
            raise LabctlError(
                "unsupported",
                f"node {node.name!r}: network-mode {node.network_mode!r} is not supported by the runc runtime",
                hint="`none` is, and so is leaving it out",
            )
        image = self._image(node)
        if not bundle.argv(node, image):
            raise LabctlError(
                "bad-value",
                f"node {node.name!r}: image {node.image!r} has no command",
                hint="give the node a `cmd`",
            )
        self._user(node, image)
        for bind in node.binds:
            if not os.path.exists(bind.source):
                raise LabctlError(
                    "file-not-found",
                    f"node {node.name!r}: bind source {bind.source} does not exist",
                    where=bind.where,
                )

    def _image(self, node: NodeSpec) -> Image:
        if node.image is None:
            raise LabctlError("bad-value", f"node {node.name!r} has no image", hint="give it an `image`")
        return self.images.resolve(node.image)

    def _user(self, node: NodeSpec, image: Image) -> bundle.User:
        wanted = node.user if node.user is not None else image.user
        try:
            return bundle.user(wanted, image.rootfs)
        except KeyError as missing:
            raise LabctlError(
                "bad-value", f"node {node.name!r}: image {image.ref!r} has no user or group {missing}"
            ) from None

    def _start_one(self, lab: LabSpec, node: NodeSpec) -> None:
        place = self.instance.lab(lab.name)
        if self._process(place, node.name) is not None:
            return
        self.stop(lab, [node.name])  # what a crash may have left
        home = place.node_dir(node.name)
        rootfs = os.path.join(home, "rootfs")
        with self.images.standing():
            image = self._image(node)
            self._root_filesystem(lab, node, image, home, rootfs)
        spec = bundle.config(
            lab,
            node,
            image,
            who=self._user(node, image),
            rootfs=rootfs,
            netns=place.node_ns(node.name),
            cgroup=place.node_cgroup(node.name),
            nofile=_most_files(),
            tun=os.path.exists("/dev/net/tun"),
            held=proc.bounding_set(),
        )
        with open(os.path.join(home, "config.json"), "w", encoding="utf-8") as file:
            json.dump(spec, file)
        self._run(place, node.name, home)

    def _end(self, place: LabDir, node: str) -> None:
        cgroup.destroy(place.node_cgroup(node))
        shutil.rmtree(self._state_dir(place, node), ignore_errors=True)

    def _start_again(self, place: LabDir, node: str) -> None:
        """Start a node from the bundle and the files it had; one that never ran has none."""
        home = place.node_dir(node)
        if os.path.exists(os.path.join(home, "config.json")):
            self._end(place, node)  # what a crash may have left
            self._run(place, node, home)

    def _root_filesystem(self, lab: LabSpec, node: NodeSpec, image: Image, home: str, rootfs: str) -> None:
        if os.path.isdir(home) and rootfs in mounts.below(home):
            return
        upper, work = os.path.join(home, "upper"), os.path.join(home, "work")
        for directory in (home, rootfs, work):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        if not os.path.isdir(upper):
            _fresh_upper(upper, lab, node)
        mounts.overlay(rootfs, lower=image.rootfs, upper=upper, work=work)

    def _run(self, place: LabDir, node: str, home: str) -> None:
        log, pid_file = os.path.join(home, "log"), os.path.join(home, "pid")
        runc_log = os.path.join(home, "runc.log")
        for stale in (pid_file, runc_log):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(stale)
        fifo = os.path.join(home, "stdin")
        if not os.path.exists(fifo):
            os.mkfifo(fifo, 0o600)
        # Opened for reading and writing, so a shell that is the node's command waits for input and never sees its end.
        stdin = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
        try:
            code = proc.run_logged(
                [
                    *self._runc(place),
                    "--log",
                    runc_log,
                    "run",
                    "--detach",
                    "--bundle",
                    home,
                    "--pid-file",
                    pid_file,
                    container_id(place, node),
                ],
                log=log,
                stdin=stdin,
                keep=self._keep,
            )
        finally:
            os.close(stdin)
        who = _read_pid(pid_file)
        if code or who is None:
            raise LabctlError(
                "node-not-started",
                f"node {node!r} did not start: {_last_words(runc_log, log)}",
                hint="check its `image`, `cmd` and `binds`",
            )
        with open(os.path.join(home, "init.json"), "w", encoding="utf-8") as file:
            json.dump({"pid": who.pid, "start_ticks": who.start_ticks}, file)
        ended.touch(place)

    def _runc(self, place: LabDir) -> list[str]:
        return [RUNC, "--root", place.runc_dir]

    def _state_dir(self, place: LabDir, node: str) -> str:
        return os.path.join(place.runc_dir, container_id(place, node))

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
            container_id=container_id(place, node.name),
            image=node.image or "",
            state=state,
            pid=who.pid if who else None,
            exit_code=end.code if end else None,
            ended_s=end.wall_s if end else None,
            last_line=ended.last_line(place, node.name) if state is NodeState.EXITED else "",
            uptime_s=proc.age_s(who) if who else None,
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


def container_id(place: LabDir, node: str) -> str:
    """12 hex digits like Docker's short ids; node names may hold characters that runc refuses."""
    text = f"{place.instance.tag}\0{place.name}\0{node}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise LabctlError(
            "no-root",
            "labs on the runc runtime need root: they make network namespaces, mounts and control groups",
            hint="run the same command with sudo",
        )
    if shutil.which(RUNC) is None:
        raise LabctlError("tool-missing", "runc is not installed", hint="apt-get install runc")
    with open("/proc/filesystems", encoding="ascii") as file:
        if "overlay" not in file.read().split():
            raise LabctlError("kernel-missing", "this kernel has no overlayfs", hint="modprobe overlay")


def _fresh_upper(upper: str, lab: LabSpec, node: NodeSpec) -> None:
    """The node's own layer with the files that make it itself; whole or not at all, also after a crash."""
    making = upper + ".new"
    shutil.rmtree(making, ignore_errors=True)
    os.makedirs(os.path.join(making, "etc"), mode=0o755)
    os.chmod(making, 0o755)  # noqa: S103  (it becomes the node's /)
    files: Mapping[str, str] = {
        "hostname": (node.hostname or node.name) + "\n",
        "hosts": bundle.hosts(lab, node),
        "resolv.conf": bundle.RESOLV_CONF,
    }
    for name, content in files.items():
        path = os.path.join(making, "etc", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(path, 0o644)
    os.rename(making, upper)


def _read_pid(path: str) -> proc.Identity | None:
    try:
        with open(path, encoding="ascii") as file:
            pid = int(file.read())
        return proc.identity(pid) or proc.Identity(pid, 0)  # 0: it has ended already
    except (FileNotFoundError, ValueError):
        return None


def _last_words(*logs: str) -> str:
    for log in logs:
        with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
            if lines:
                return _message(lines[-1].strip())
    return "it ended at once"


def _message(line: str) -> str:
    """runc's `time="…" level=error msg="…"` without the time."""
    found = re.fullmatch(r'time="[^"]*" level=\w+ msg="(.*)"', line)
    return found[1].replace('\\"', '"') if found else line


def _most_files() -> int:
    return getrlimit(RLIMIT_NOFILE)[1]


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
