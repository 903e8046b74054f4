"""What those who settle things inside nodes have in common: the lab, its runtime, what was saved, a shell.

One module a kind of resource: `settle_node`, `settle_process`, `settle_port`, `settle_config`. Each has two functions:
`ensure` brings a resource to its setting and says whether it had to change anything, `disagrees` looks again and says in
words what is not as it should be. Both may be called at any time, and twice is once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labctl.agent.again import Again
from labctl.agent.saved import Saved
from labctl.errors import LabctlError
from labctl.model.effects import NodeRef
from labctl.model.lab import LabSpec
from labctl.runtime.base import Completed, Runtime
from labctl.runtime.store import LabDir

#: A command inside a node that takes longer is stuck: the daemon it talks to hangs.
SHELL_S = 5.0


@dataclass(slots=True, kw_only=True)
class Inside:
    """The lab's nodes, from where the agent stands."""

    place: LabDir
    lab: LabSpec
    runtime: Runtime
    saved: Saved
    again: Again

    def need_awake(self, node: str) -> None:
        """Raise if the node's processes cannot act."""
        state = self.runtime.read(self.lab, NodeRef(node))
        if state.off or state.frozen:
            raise LabctlError("node-not-running", f"node {node!r} is {'off' if state.off else 'frozen'}")

    def off(self, node: str) -> bool:
        return self.runtime.read(self.lab, NodeRef(node)).off

    def run(self, node: str, argv: Sequence[str], *, stdin: str | None = None) -> Completed:
        return self.runtime.exec(self.lab, node, argv, timeout_s=SHELL_S, stdin=stdin)


def wait(until: Callable[[], bool], timeout_s: float) -> bool:
    """Look again and again until it is so, or too late."""
    deadline = time.monotonic() + timeout_s
    pause = 0.001
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return True
