"""A node as a whole: power, freezer, CPU quota. What it should be is in the lab's record, so nothing is saved...

...but one bit: that the power was taken by a fault. A node whose command has ended by itself does not run either, and
healing must not start what nobody had stopped, unless the node's policy is to start it again (`labctl.agent.again`).
"""

from __future__ import annotations

import contextlib
import math
import shlex
import sys

from labctl.agent.inside import Inside
from labctl.errors import LabctlError, render
from labctl.model.effects import NodeRef, ProcessRef, Setting


def ensure(inside: Inside, ref: NodeRef, wanted: Setting) -> bool:
    before = inside.runtime.read(inside.lab, ref)
    taken = inside.saved.read(ref) is not None
    if wanted.off and not taken:
        if before.off:
            raise LabctlError("node-not-running", f"node {ref.node!r} does not run: it has no power to lose")
        inside.saved.write(ref, {"power": True})
    if before.off and not wanted.off and not taken:
        return _again(inside, ref, wanted)  # it ended by itself
    back = taken and not wanted.off
    changed = back or _differs(before, wanted, inside.lab.node(ref.node).limits.cpu)
    if changed:
        # Also if it seems to run: an agent that died while it started the node leaves processes that nobody knows as the
        # node's, and then this ends them and starts it anew.
        inside.runtime.ensure(inside.lab, ref, wanted)
    if back:
        _run_execs(inside, ref.node)
        inside.saved.remove(ref)
    return changed


def _again(inside: Inside, ref: NodeRef, wanted: Setting) -> bool:
    """Start a node whose command has ended, if its policy says so and no fault holds a process of it."""
    held = any(isinstance(on, ProcessRef) and on.node == ref.node for on in inside.saved.resources())
    if held or not inside.again.is_due(ref.node):
        return False
    with inside.again.turn(ref.node) as mine:
        if not mine or not inside.runtime.read(inside.lab, ref).off:
            return False
        inside.saved.write(ref, {"power": True})  # whoever finds a start that was broken off finishes it
        try:
            inside.runtime.ensure(inside.lab, ref, wanted)
            _run_execs(inside, ref.node)
        finally:
            inside.saved.remove(ref)
    return True


def _run_execs(inside: Inside, node: str) -> None:
    """Its `exec` commands, as after every start (`labctl.run.execs`); nobody here waits for them."""
    commands: list[str] = []
    for each in inside.lab.node(node).exec:
        with contextlib.suppress(ValueError):  # quotes that do not close; the deploy has told
            commands.append(shlex.join(shlex.split(each)))
    if not commands:
        return
    try:
        inside.runtime.spawn(inside.lab, node, ["sh", "-c", "\n".join(commands)])
    except LabctlError as error:  # it is frozen, its image has no shell: the node runs all the same
        print(render(error), file=sys.stderr, flush=True)


def disagrees(inside: Inside, ref: NodeRef, wanted: Setting) -> str:
    found = inside.runtime.read(inside.lab, ref)
    if found.off != wanted.off:
        if not wanted.off and wanted == Setting():
            return ""  # it ended by itself
        return "it does not run" if found.off else "it still runs"
    if found.off:
        return ""
    if found.frozen != wanted.frozen:
        return "it stays frozen" if found.frozen else "it does not freeze"
    own = inside.lab.node(ref.node).limits.cpu
    if _milli(_has(found, own)) != _milli(_should(wanted, own)):
        return f"its CPU quota is {_has(found, own):g} cores"
    return ""


def _differs(found: Setting, wanted: Setting, own: float | None) -> bool:
    """own: the lab's limit of the node's CPU."""
    if found.off or wanted.off:
        return found.off != wanted.off
    return found.frozen != wanted.frozen or _milli(_has(found, own)) != _milli(_should(wanted, own))


def _has(found: Setting, own: float | None) -> float:
    """Cores that were read; without a limit there is no end to them."""
    return next((each for each in (found.cpu, own) if each is not None), math.inf)


def _should(wanted: Setting, own: float | None) -> float:
    return min((each for each in (wanted.cpu, own) if each is not None), default=math.inf)


def _milli(cores: float) -> float:
    """The kernel keeps whole microseconds of a tenth of a second."""
    return cores if math.isinf(cores) else round(cores * 1000)
