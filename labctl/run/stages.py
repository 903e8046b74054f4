"""Starting the nodes of a lab whose file says what waits for what (`stages`).

Each node goes through its stages by itself, in a thread, and waits before it enters one. Cables stand from the beginning,
as in every lab; a node that waits at `create-links` has no light on its own until then, which is an ordinary lease. A
lab without stages does not come here. An error of one node, and an interruption, stops all of them where they wait.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from labctl.agent import client
from labctl.errors import LabctlError
from labctl.model.event import Emit, Event
from labctl.model.lab import LabSpec, NodeKind, NodeSpec
from labctl.model.stages import ORDER, Health, Phase, Stage, Wait, awaited
from labctl.run import execs
from labctl.runtime import health
from labctl.runtime.base import NodeState, Runtime
from labctl.runtime.store import LabDir

#: So many nodes are started at one time, as in a lab without stages.
_STARTS = 4
_LOOK_S = 0.1
#: A node that is dark is so for the whole deploy; the lease only ends it if labctl is killed.
_DARK_S = 3600.0
#: How long a stage may take that depends on what runs in the node.
PATIENCE_S = 900.0


class Stopped(Exception):  # noqa: N818  (not an error: somebody else's error, or an interruption, ended the deploy)
    """The deploy ends; this node goes no further."""


def wanted(lab: LabSpec) -> bool:
    """Whether a node of the lab waits or does something at a stage."""
    return any(node.waits or node.stage_commands for node in lab.nodes)


def start(
    place: LabDir, lab: LabSpec, runtime: Runtime, emit: Emit, among: Collection[str] | None = None
) -> None:
    """Start all nodes, each stage when it may be entered; returns when all are configured and all waits are over.

    among: only these, in a lab that runs: for the others nobody waits.
    """
    nodes = [
        node for node in lab.nodes if node.kind is NodeKind.LINUX and (among is None or node.name in among)
    ]
    walk = _Walk(place=place, lab=lab, runtime=runtime, emit=emit, nodes=nodes)
    for node in nodes:
        if any(each.stage is Stage.CREATE_LINKS for each in node.waits):
            client.ask(place, "unplug", node=node.name, lease_s=_DARK_S)
    with ThreadPoolExecutor(max(1, len(nodes)), thread_name_prefix="stages") as pool:
        try:  # an interruption while nodes are still handed out has to stop those that wait already
            jobs = [pool.submit(walk.node, node) for node in nodes]
            wait(jobs, return_when=FIRST_EXCEPTION)
        finally:
            walk.stop.set()
    errors = [error for job in jobs if (error := job.exception()) and not isinstance(error, Stopped)]
    if errors:
        raise errors[0]


@dataclass(kw_only=True, eq=False)
class _Walk:
    place: LabDir
    lab: LabSpec
    runtime: Runtime
    emit: Emit
    nodes: Sequence[NodeSpec]  # those that walk; the others have been through all stages
    stop: threading.Event = field(default_factory=threading.Event)
    _done: set[tuple[str, Stage]] = field(default_factory=set)
    _sick: set[str] = field(default_factory=set)  # told to be unhealthy
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _starts: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_STARTS))

    def __post_init__(self) -> None:
        self._awaited = awaited(each for node in self.nodes for each in node.waits)
        others = {node.name for node in self.lab.nodes} - {node.name for node in self.nodes}
        self._done.update((name, stage) for name in others for stage in ORDER)

    def node(self, node: NodeSpec) -> None:
        """One node through the stages that it goes through while the lab is deployed."""
        last = max(Stage.CONFIGURE, self._awaited.get(node.name, Stage.CONFIGURE), key=ORDER.index)
        if node.healthcheck and any(each.stage is Stage.HEALTHY for each in node.stage_commands):
            last = max(Stage.HEALTHY, last, key=ORDER.index)
        try:
            for stage in ORDER[: ORDER.index(last) + 1]:
                for each in node.waits:
                    if each.stage is stage:
                        self._wait(node, each)
                self._commands(node, stage, Phase.ON_ENTER)
                self._do(node, stage)
                self._commands(node, stage, Phase.ON_EXIT)
                with self._changed:
                    self._done.add((node.name, stage))
                    self._changed.notify_all()
        except BaseException:
            self.stop.set()
            with self._changed:
                self._changed.notify_all()
            raise

    def _wait(self, node: NodeSpec, what: Wait) -> None:
        point = what.node, what.until
        with self._changed:
            if point not in self._done:
                text = f"node {node.name} waits for {what.node} to be through {what.until.value}"
                self._tell(Event(kind="waiting", text=text, subject=node.name))
            while point not in self._done:
                if self.stop.is_set():
                    raise Stopped
                self._changed.wait(_LOOK_S)

    def _do(self, node: NodeSpec, stage: Stage) -> None:
        match stage:
            case Stage.CREATE:
                with self._starts:
                    if self.stop.is_set():
                        raise Stopped
                    self.runtime.start(self.lab, [node.name])
                self._tell(Event(kind="node-started", text=f"node {node.name} runs", subject=node.name))
            case Stage.CREATE_LINKS:
                if any(each.stage is Stage.CREATE_LINKS for each in node.waits):
                    client.ask(self.place, "replug", node=node.name)
            case Stage.CONFIGURE:
                execs.run(self.lab, node, self.runtime, self._tell)
            case Stage.HEALTHY if node.healthcheck:
                self._until(node, "healthy", lambda: self._healthy(node))
            case Stage.EXIT:
                self._until(node, "at its end", lambda: self._state(node) is NodeState.EXITED)
            case _:
                pass

    def _healthy(self, node: NodeSpec) -> bool:
        found = health.read(self.place, node.name)
        if found.health is Health.HEALTHY:
            return True
        if found.health is Health.UNHEALTHY and node.name not in self._sick:
            self._sick.add(node.name)
            said = f": {found.said.strip()}" if found.said.strip() else ""
            text = f"node {node.name} is unhealthy, and is waited for {PATIENCE_S:g} s at most{said}"
            self._tell(Event(kind="waiting", text=text, subject=node.name))
        if self._state(node) is NodeState.EXITED:
            raise LabctlError(
                "stage-not-reached",
                f"node {node.name!r} ended before it was healthy",
                where=node.where,
                hint=health.read(self.place, node.name).said.strip() or None,
            )
        return False

    def _state(self, node: NodeSpec) -> NodeState:
        (found,) = (each for each in self.runtime.status(self.lab) if each.node == node.name)
        return found.state

    def _until(self, node: NodeSpec, what: str, reached: Callable[[], bool]) -> None:
        for _ in range(round(PATIENCE_S / _LOOK_S)):
            if reached():
                return
            if self.stop.wait(_LOOK_S):
                raise Stopped
        raise LabctlError(
            "stage-not-reached",
            f"node {node.name!r} is not {what} after {PATIENCE_S:g} s",
            where=node.where,
            hint=health.read(self.place, node.name).said.strip() or None,
        )

    def _commands(self, node: NodeSpec, stage: Stage, phase: Phase) -> None:
        for each in node.stage_commands:
            if (each.stage, each.phase) != (stage, phase):
                continue
            text = f"node {node.name}: {stage.value} {phase.value}: `{each.command}`: "
            try:
                done = self.runtime.exec(
                    self.lab, node.name, shlex.split(each.command), timeout_s=execs.TIMEOUT_S
                )
                said = (done.stderr or done.stdout).strip()
                text += f"exit {done.code}: {said}" if done.code else said
                self._tell(Event(kind="exec-failed" if done.code else "exec", text=text, subject=node.name))
            except (LabctlError, ValueError) as error:
                self._tell(Event(kind="exec-failed", text=f"{text}{error}", subject=node.name))

    def _tell(self, event: Event) -> None:
        """Threads speak one after the other."""
        with self._changed, contextlib.suppress(BrokenPipeError):
            self.emit(event)
