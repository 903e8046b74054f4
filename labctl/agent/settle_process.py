"""The processes of one name in one node: dead while a fault says so, stopped, or as they were.

Before the first is killed, what starts them again is written down: command lines, and for a daemon of FRR its part of the
running configuration, which its own files may not hold. A supervisor that starts a killed daemon again is met twice:
watchfrr stands still meanwhile, and what anything else starts is killed at the agent's next look.
"""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Sequence
from typing import Any

from labctl.agent import supervisor, vty
from labctl.agent.inside import Inside, wait
from labctl.errors import LabctlError, did_you_mean
from labctl.model.effects import ProcessRef, Setting
from labctl.model.lab import Restart
from labctl.runtime.base import Process

#: How often the agent looks whether something has started a killed daemon again.
HOLD_S = 0.25
#: How long a process may take to die, to stop, or to appear.
SOON_S = 3.0


def ensure(inside: Inside, ref: ProcessRef, wanted: Setting) -> bool:
    found = _found(inside, ref)
    saved = inside.saved.read(ref)
    if inside.off(ref.node):
        if not (wanted.killed or wanted.stopped):
            inside.saved.remove(ref)  # what boots starts everything
        return False
    if saved is None and not (wanted.killed or wanted.stopped):
        return False
    inside.need_awake(ref.node)
    if saved is None and not found:
        raise _nothing_to_break(inside, ref)
    saved = saved or {}
    if wanted.killed:
        if saved.get("watched"):
            supervisor.hush(inside, ref.node)
        return _kill(inside, ref, wanted, found, saved) if found else False
    return _give_back(inside, ref, wanted, found, saved)


def _give_back(
    inside: Inside, ref: ProcessRef, wanted: Setting, found: Sequence[Process], saved: dict[str, Any]
) -> bool:
    """It runs: again, if it was killed, and stopped if it is to be; what stays to be put back stays written down."""
    changed = False
    if "commands" in saved:
        _start(inside, ref, saved, found)
        if ref.name == "zebra":
            _restart_the_others(inside, ref)
        saved = {key: value for key, value in saved.items() if key in ("stopped", "watched")}
        changed = True
    changed = _stop(inside, ref, saved, stop=wanted.stopped) or changed
    if not wanted.stopped:
        if saved.get("watched"):
            supervisor.wake(inside, ref)
        inside.saved.remove(ref)
    return changed


def disagrees(inside: Inside, ref: ProcessRef, wanted: Setting) -> str:
    found = _found(inside, ref)
    if wanted.killed:
        return f"{ref.name} still runs" if found else ""
    if inside.off(ref.node):
        return ""
    if wanted.stopped:
        going = [each for each in found if not each.stopped]
        return f"{ref.name} goes on" if going or not found else ""
    if inside.saved.read(ref) is not None:
        return f"{ref.name} is not what it was"
    return ""


def _found(inside: Inside, ref: ProcessRef) -> list[Process]:
    return [each for each in inside.runtime.processes(inside.lab, ref.node) if each.name == ref.name]


def _kill(
    inside: Inside, ref: ProcessRef, wanted: Setting, found: Sequence[Process], saved: dict[str, Any]
) -> bool:
    if "commands" not in saved:
        for each in found:
            if each.stopped:  # it could not tell its configuration
                inside.runtime.signal(each.handle, signal.SIGCONT)
        if any(each.ends_node for each in found) and not _comes_back(inside, ref.node):
            raise LabctlError(
                "effect-not-taken",
                f"the node ends with {ref.name}, and nothing would start it again",
                hint="`node.power` and `node.reboot` end a node and start it again",
            )
        saved |= {
            "commands": [_command(each, wanted.restart) for each in found if each.leads],
            "config": vty.of_daemon(inside, ref.node, ref.name),
            "watched": supervisor.watches(inside, ref),
        }
        inside.saved.write(ref, saved)
    if saved["watched"]:
        supervisor.hush(inside, ref.node)
    for each in found:
        inside.runtime.signal(each.handle, signal.SIGKILL)
    wait(lambda: not _found(inside, ref), SOON_S)
    return True


def _comes_back(inside: Inside, node: str) -> bool:
    """Whether its restart policy starts a node again that was killed."""
    return inside.lab.node(node).restart is not Restart.NO


def _start(inside: Inside, ref: ProcessRef, saved: dict[str, Any], found: Sequence[Process]) -> None:
    """Start what was killed and give it its configuration back.

    One that runs already may have been started by an agent that died before it came to the rest.
    """
    for command in saved["commands"] if not found else ():
        inside.runtime.spawn(inside.lab, ref.node, command)
    if not wait(lambda: bool(_found(inside, ref)), SOON_S):
        raise LabctlError("node-not-running", f"{ref.name} does not start again: {saved['commands']}")
    if saved["config"] is not None:
        vty.give_back(inside, ref.node, ref.name, saved["config"])


def _restart_the_others(inside: Inside, ref: ProcessRef) -> None:
    """FRR's daemons do not tell a new zebra what they told the old one, so watchfrr restarts them all; so do we.

    Each is written down as if a fault had killed it: were the agent killed here, the next one would start it.
    """
    for name in sorted(vty.DAEMONS - {ref.name}):
        other = ProcessRef(ref.node, name)
        found = _found(inside, other)
        if found and inside.saved.read(other) is None:
            _kill(inside, other, Setting(killed=True), found, {})
            ensure(inside, other, Setting())


def _stop(inside: Inside, ref: ProcessRef, saved: dict[str, Any], *, stop: bool) -> bool:
    wrong = [each for each in _found(inside, ref) if each.stopped != stop]
    kept = ref.name == supervisor.NAME and supervisor.needed(inside, ref.node, but=ref)
    if stop and (wrong or (kept and not saved.get("stopped"))):
        saved |= {"stopped": True, "watched": saved.get("watched") or supervisor.watches(inside, ref)}
        inside.saved.write(ref, saved)
    if stop and saved.get("watched"):
        supervisor.hush(inside, ref.node)
    if not stop and not saved.get("stopped"):
        return False
    if not stop and kept:
        return False  # it goes on with the last daemon that it would mend
    for each in wrong:
        inside.runtime.signal(each.handle, signal.SIGSTOP if stop else signal.SIGCONT)
    wait(lambda: all(each.stopped == stop for each in _found(inside, ref)), SOON_S)
    return bool(wrong)


def _command(process: Process, restart: str) -> list[str]:
    """What starts this process again."""
    if restart:
        return ["sh", "-c", restart]
    first = process.argv[0] if process.argv else ""
    if os.path.basename(first)[:15] != process.name:
        raise LabctlError(
            "effect-not-taken",
            f"{process.name} cannot be started again by its command line, {shlex.join(process.argv)!r}",
            hint="say how with the fault's `restart` setting",
        )
    return [process.program, *process.argv[1:]]


def _nothing_to_break(inside: Inside, ref: ProcessRef) -> LabctlError:
    names = sorted({each.name for each in inside.runtime.processes(inside.lab, ref.node)})
    return LabctlError(
        "effect-not-taken",
        f"no process of {ref.node!r} is called {ref.name!r}; there are {', '.join(names)}",
        hint=did_you_mean(ref.name, names),
    )
