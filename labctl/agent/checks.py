"""Health checks: the agent runs each node's command in the node, as Docker's daemon would, and writes down what it said.

A thread for each node that has one, because a check may take as long as its timeout; a lab without any has none. Nothing
is done about a node that is unhealthy: it is a fact that `inspect` tells. A node that is frozen or does not run is not
asked.
"""

from __future__ import annotations

import contextlib
import threading

from labctl.errors import LabctlError
from labctl.linux import proc
from labctl.model.lab import LabSpec, NodeSpec
from labctl.model.stages import judge
from labctl.runtime import ended, health
from labctl.runtime.base import Runtime
from labctl.runtime.store import LabDir

#: How soon a process that was started is noticed.
_LOOK_S = 0.2


class Checks:
    """The health checks of one lab."""

    def __init__(self, place: LabDir) -> None:
        self._place = place
        self._nodes: dict[str, tuple[NodeSpec, threading.Event]] = {}

    @property
    def active(self) -> bool:
        return bool(self._nodes)

    def watch(self, lab: LabSpec, runtime: Runtime) -> None:
        """Check what the lab says now; what it does not say any more is checked no longer."""
        wanted = {node.name: node for node in lab.nodes if node.healthcheck is not None}
        for name, (node, stop) in list(self._nodes.items()):
            if wanted.get(name) != node:
                del self._nodes[name]
                stop.set()
        for name, node in wanted.items():
            if name not in self._nodes:
                stop = threading.Event()
                self._nodes[name] = node, stop
                arguments = (lab, node, runtime, stop)
                threading.Thread(
                    target=self._check, args=arguments, name=f"health {name}", daemon=True
                ).start()

    def close(self) -> None:
        for _, stop in self._nodes.values():
            stop.set()
        self._nodes.clear()

    def _check(self, lab: LabSpec, node: NodeSpec, runtime: Runtime, stop: threading.Event) -> None:
        check = node.healthcheck
        assert check is not None
        checked: proc.Identity | None = None
        while not stop.wait(_LOOK_S if checked is None else check.interval_s):
            who = ended.first_process(self._place, node.name)
            if who is None or not proc.alive(who):
                checked = None
                continue
            if who != checked:  # it was started since: the first check is one interval after that
                checked = who
                continue
            self._ask(lab, node, runtime, who, stop)

    def _ask(
        self, lab: LabSpec, node: NodeSpec, runtime: Runtime, who: proc.Identity, stop: threading.Event
    ) -> None:
        check = node.healthcheck
        assert check is not None
        before = health.read(self._place, node.name)
        age_s = proc.age_s(who) or 0.0
        try:
            done = runtime.exec(lab, node.name, check.test, timeout_s=check.timeout_s)
            ok, said = done.code == 0, done.stdout + done.stderr
        except LabctlError as error:
            if error.code != "exec-timeout":
                return  # frozen, or gone meanwhile
            ok, said = False, str(error)
        except OSError as error:
            ok, said = False, str(error)
        if stop.is_set():  # the lab asks something else by now
            return
        with contextlib.suppress(OSError):
            now, failing = judge(check, before.health, before.failing, ok=ok, age_s=age_s)
            health.write(self._place, node.name, who, health.Checked(health=now, failing=failing, said=said))
