"""A node from the outside: its commands, settings and processes, by its first process and its control group.

What a node is made by does not matter once it runs. runc and Docker differ in how a node begins and ends; to enter it, to
freeze it, to limit its CPU and to find its daemons are the kernel's business, and go to the kernel: in milliseconds, and
also while an engine does not answer.
"""

from __future__ import annotations

import math
import os
import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from labctl.errors import LabctlError
from labctl.linux import cgroup, disks, enter, proc
from labctl.model.effects import NodeRef, Setting
from labctl.model.event import Emit, Event
from labctl.model.lab import RATES, LabSpec, Limits, NodeKind, NodeSpec
from labctl.runtime import eventlog
from labctl.runtime.base import Completed, Handle, NodeState, Process
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance, LabDir

LOCAL = "local"


class Inner(ABC):
    """The `Shell` and `NodeShaper` of `labctl.runtime.base`, for nodes that are processes of this machine.

    keep: descriptors (the lab's lock) that the helpers it runs inherit.
    """

    def __init__(self, instance: Instance, *, keep: Sequence[int] = ()) -> None:
        self.instance = instance
        self.images = ImageStore(instance)
        self._keep = tuple(keep)

    @abstractmethod
    def stop(self, lab: LabSpec, nodes: Sequence[str]) -> None: ...

    @abstractmethod
    def limit(self, lab: LabSpec, node: str, limits: Limits) -> Limits: ...

    @abstractmethod
    def _disks(self, place: LabDir) -> tuple[disks.Disk, ...]:
        """What the nodes' own files are on: what limits of input and output are about."""

    def _limit_now(self, group: str, limits: Limits) -> None:
        """Limit memory and processes of a node that runs. If the kernel refuses, all is as before."""
        before = cgroup.memory_limit(group)
        try:
            cgroup.limit_memory(group, limits.memory_bytes)
        except OSError:
            cgroup.limit_memory(group, before)
            raise
        cgroup.limit_pids(group, limits.pids)

    def _throttle_now(self, place: LabDir, node: str, limits: Limits) -> Limits:
        """Limit input and output of a node that runs, and read back all but the CPU's."""
        group, on = self._group(place, node), self._disks(place)
        throttle(group, on, limits)
        found = replace(limits, memory_bytes=cgroup.memory_limit(group), pids=cgroup.pids_limit(group))
        if not on:
            return replace(found, **dict.fromkeys(RATES))
        read = [cgroup.io_limits(group, disk.number) for disk in on]
        return replace(found, **next((each for each in read if each != limits.rates), limits.rates))

    @abstractmethod
    def _process(self, place: LabDir, node: str) -> proc.Identity | None:
        """The node's first process, if it runs."""

    @abstractmethod
    def _group(self, place: LabDir, node: str) -> str:
        """The control group that the node's processes are in, whether it exists or not."""

    @abstractmethod
    def _room(self, lab: LabSpec, name: str, *, terminal: bool = False) -> enter.Room:
        """How to enter the node; `node-not-running` if it cannot be."""

    def _log(self, place: LabDir, node: str, first: proc.Identity) -> str:  # noqa: ARG002  (for who overrides it)
        """Where what the node prints goes. first: its first process."""
        return os.path.join(place.node_dir(node), "log")

    @abstractmethod
    def _start_again(self, lab: LabSpec, node: str) -> None:
        """Start a node with the files that it had; one that never ran has none."""

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
            raise not_running(node, NodeState.EXITED) from None
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
            raise not_running(node, NodeState.EXITED) from None

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
            room = self._room(lab, node)
            who = enter.spawn(room, argv, log=self._log(place, node, room.process))
        except OSError as error:
            raise LabctlError(
                "command-not-run", f"node {node!r}: {shlex.join(argv)}: {error.strerror}"
            ) from error
        except enter.Gone:
            raise not_running(node, NodeState.EXITED) from None
        return Handle(host=LOCAL, pid=who.pid, start_ticks=who.start_ticks, lease_s=lease_s)

    # -- settings ----------------------------------------------------------------------------------------------

    def ensure(self, lab: LabSpec, resource: NodeRef, setting: Setting) -> None:
        """Power, CPU, freezer. A node that does not run has nothing to freeze or to limit, and that is no error."""
        place = self.instance.lab(lab.name)
        if setting.off:
            self.stop(lab, [resource.node])
            return
        if self._process(place, resource.node) is None:
            self._start_again(lab, resource.node)
        group = self._group(place, resource.node)
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
        group = self._group(place, resource.node)
        if self._process(place, resource.node) is None and not cgroup.pids(group):
            return Setting(off=True)
        limit, own = cgroup.cpu_limit(group), lab.node(resource.node).limits.cpu
        found = math.inf if limit is None else limit
        return Setting(frozen=cgroup.frozen(group), cpu=None if limit == own else found)

    def processes(self, lab: LabSpec, node: str) -> tuple[Process, ...]:
        place = self.instance.lab(lab.name)
        first = self._process(place, node)
        found = {pid: proc.describe(pid) for pid in cgroup.pids(self._group(place, node))}
        named = {pid: said for pid, said in found.items() if said is not None}
        init = None if first is None else named.get(first.pid)
        return tuple(
            Process(
                handle=Handle(host=LOCAL, pid=said.who.pid, start_ticks=said.who.start_ticks),
                name=said.name,
                argv=said.argv,
                program=said.program,
                stopped=said.stopped,
                leads=said.parent not in named or named[said.parent].name != said.name,
                ends_node=init is not None and _ends_with(init, said),
            )
            for said in named.values()
        )

    def signal(self, handle: Handle, number: int) -> bool:
        return proc.kill(proc.Identity(handle.pid, handle.start_ticks), number)


def _ends_with(init: proc.Description, said: proc.Description) -> bool:
    """Whether the first process goes when this one does. One like tini has the command that it is there for behind its own
    options, and ends with it.
    """
    if said.who == init.who:
        return True
    return (
        said.parent == init.who.pid
        and len(said.argv) < len(init.argv)
        and init.argv[-len(said.argv) :] == said.argv
    )


def throttle(group: str, on: Sequence[disks.Disk], limits: Limits) -> None:
    """Give a group these rates on these disks, where it has others."""
    for disk in on:
        if cgroup.io_limits(group, disk.number) != limits.rates:
            cgroup.limit_io(group, disk.number, limits.rates)


def start_each(
    lab: LabSpec, nodes: Sequence[str], start: Callable[[NodeSpec], None], *, workers: int, emit: Emit
) -> None:
    """`start` these nodes, `workers` at a time, in the order of their delays. The first error ends it; `node-not-started`
    when it is one of a helper.
    """

    def begin(node: NodeSpec) -> None:
        try:
            start(node)
        except proc.CommandFailed as failed:
            raise LabctlError(
                "node-not-started", f"node {node.name!r}: {failed}", where=node.where
            ) from failed

    begun = time.monotonic()
    wanted = sorted((lab.node(name) for name in nodes), key=lambda node: node.startup_delay_s)
    with ThreadPoolExecutor(workers, thread_name_prefix="start") as pool:
        jobs = []
        try:
            for node in wanted:
                if node.kind is not NodeKind.LINUX:
                    continue
                time.sleep(max(0.0, begun + node.startup_delay_s - time.monotonic()))
                jobs.append(pool.submit(begin, node))
            for done, job in enumerate(jobs, start=1):
                job.result()
                emit(Event(kind="node-started", text="nodes started", done=done, total=len(jobs)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def tell_started(place: LabDir, lab: LabSpec, node: str) -> None:
    """Write down that a node was started, for whoever follows the lab's events."""
    happened = eventlog.Happened(
        type="container",
        action="start",
        actor_id=place.container_id(node),
        actor_name=lab.container(node),
        attributes={"node": node, "image": lab.node(node).image or ""},
    )
    eventlog.note(place, [happened])


def _not_run(argv: Sequence[str], error: OSError) -> Completed:
    """What a shell says and returns for a command that is not there (127) or not executable (126)."""
    code = 127 if isinstance(error, FileNotFoundError) else 126
    return Completed(argv=tuple(argv), code=code, stdout="", stderr=f"{argv[0]}: {error.strerror}\n")


def not_running(node: str, state: NodeState) -> LabctlError:
    """Why nothing can be done in this node."""
    hints = {
        NodeState.FROZEN: "a fault froze it; `labctl heal` thaws it",
        NodeState.EXITED: "its command ended; `labctl inspect` shows all nodes",
    }
    return LabctlError("node-not-running", f"node {node!r} is {state.value}", hint=hints.get(state))
