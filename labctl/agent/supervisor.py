"""FRR's supervisor, kept from undoing a fault: watchfrr stands still while one of its daemons is to be dead or to hang.

`watchfrr ignore` does not do it: it forgives a daemon that does not answer, and starts one that died all the same (seen
on 8.4). While it stands still it looks after no daemon of the node. When it goes on it finds a connection closed, connects
again, and starts nothing. Who needs it still is in the daemons' own files (`watched`), so whoever died when, it goes
on with the last of them.
"""

from __future__ import annotations

import signal

from labctl.agent import vty
from labctl.agent.inside import Inside
from labctl.model.effects import ProcessRef
from labctl.runtime.base import Process

NAME = "watchfrr"


def watches(inside: Inside, ref: ProcessRef) -> bool:
    """Whether it would do something about this daemon."""
    return ref.name in vty.DAEMONS and bool(_found(inside, ref.node))


def hush(inside: Inside, node: str) -> None:
    """It stands still."""
    for each in _found(inside, node):
        if not each.stopped:
            inside.runtime.signal(each.handle, signal.SIGSTOP)


def wake(inside: Inside, ref: ProcessRef) -> None:
    """It goes on, unless something else than this daemon keeps it."""
    own = inside.saved.read(ProcessRef(ref.node, NAME)) or {}
    if own.get("stopped") or needed(inside, ref.node, but=ref):
        return
    for each in _found(inside, ref.node):
        if each.stopped:
            inside.runtime.signal(each.handle, signal.SIGCONT)


def needed(inside: Inside, node: str, *, but: ProcessRef) -> bool:
    """Whether a daemon of the node other than this one is broken in a way that it would mend."""
    others = [
        on for on in inside.saved.resources() if isinstance(on, ProcessRef) and on.node == node and on != but
    ]
    return any((inside.saved.read(on) or {}).get("watched") for on in others)


def _found(inside: Inside, node: str) -> list[Process]:
    return [each for each in inside.runtime.processes(inside.lab, node) if each.name == NAME]
