"""A node's `exec` commands: run after every start of the node, in order, at a deploy and at a restart.

After a restart most of what they do is still there: addresses, routes and files outlive the node's processes. What is
not is what they started, and what a port that had to be plugged again has lost (its MTU, for one). So all of them run
again, as they would on a device that reads its startup file: one that finds its work done says so (`File exists`), and,
as in containerlab, one that fails is told and stops nothing.
"""

from __future__ import annotations

import shlex

from labctl.errors import LabctlError
from labctl.model.event import Emit, Event
from labctl.model.lab import LabSpec, NodeKind, NodeSpec
from labctl.runtime.base import Runtime

#: How long one command may take.
TIMEOUT_S = 120.0


def run(lab: LabSpec, node: NodeSpec, runtime: Runtime, emit: Emit) -> None:
    """Run the node's commands to their end, one after the other."""
    for command in node.exec if node.kind is NodeKind.LINUX else ():
        try:
            done = runtime.exec(lab, node.name, shlex.split(command), timeout_s=TIMEOUT_S)
            said = (done.stderr or done.stdout).strip()
            wrong = f"exit {done.code}: {said}" if done.code else ""
        except (LabctlError, ValueError) as error:
            wrong = str(error)
        if wrong:
            text = f"node {node.name}: `{command}`: {wrong}"
            emit(Event(kind="exec-failed", text=text, subject=node.name))
