"""How the first process of a node ended: written down by whoever saw it, because nobody can ask for it afterwards.

    nodes/<node>/init.json     the node's first process: pid and start time
    nodes/<node>/ended.json    its end: the same, exit status, when; counts only for the process that init.json names
    started                    touched after every start: whoever watches then looks for new processes

The agent watches for as long as the lab is there (`labctl.agent.ends`); `Starting` watches while nodes are being
started, because a command can end before the agent has heard of it. Where nobody saw it (no agent, a kernel without
process events) the status is unknown, and `inspect` says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from labctl.errors import LabctlError
from labctl.linux import exits, proc
from labctl.runtime import console, eventlog
from labctl.runtime.store import LabDir

_LOG_TAIL = 8192
_MOST_CHARACTERS = 200
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end of a node's first process."""

    code: int
    wall_s: float


def first_process(place: LabDir, node: str) -> proc.Identity | None:
    """The node's first process, alive or not; None if it was never started."""
    value = _read(os.path.join(place.node_dir(node), "init.json"))
    return proc.Identity(value["pid"], value["start_ticks"]) if value else None


def first_processes(place: LabDir) -> dict[int, str]:
    """pid -> node, of every node that was started."""
    try:
        nodes = sorted(os.listdir(os.path.dirname(place.node_dir("x"))))
    except FileNotFoundError:
        return {}
    found = ((first_process(place, node), node) for node in nodes)
    return {who.pid: node for who, node in found if who is not None}


def note(place: LabDir, node: str, seen: exits.Exit) -> None:
    """Write down the end of a node's first process; nothing if the node has another one by now."""
    who = first_process(place, node)
    if who is None or who.pid != seen.pid or proc.alive(who) or read(place, node) is not None:
        return
    value = {"pid": who.pid, "start_ticks": who.start_ticks, "code": seen.code, "wall_s": seen.wall_s}
    path = os.path.join(place.node_dir(node), "ended.json")
    with contextlib.suppress(OSError):  # a full disk, or the lab is being removed: then it stays unknown
        temporary = f"{path}.{os.getpid()}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.rename(temporary, path)
        _tell(place, node, seen)


def _tell(place: LabDir, node: str, seen: exits.Exit) -> None:
    with contextlib.suppress(LabctlError):
        record = place.read()
        name = record.lab.container(node) if record is not None else node
        happened = eventlog.Happened(
            type="container",
            action="die",
            actor_id=place.container_id(node),
            actor_name=name,
            attributes={"node": node, "exitCode": str(seen.code)},
            time_s=seen.wall_s,
        )
        eventlog.note(place, [happened])


def read(place: LabDir, node: str) -> End | None:
    """How the node's first process ended, if anybody saw it."""
    value = _read(os.path.join(place.node_dir(node), "ended.json"))
    who = first_process(place, node)
    if not value or who is None or (value["pid"], value["start_ticks"]) != (who.pid, who.start_ticks):
        return None
    return End(code=value["code"], wall_s=value["wall_s"])


def last_line(place: LabDir, node: str) -> str:
    """The last line that the node printed, fit for a terminal; empty if it printed none."""
    lines = console.last_bytes(place, node, _LOG_TAIL).decode(errors="replace").splitlines()
    return printable(next((each.strip() for each in reversed(lines) if each.strip()), ""))


def printable(line: str) -> str:
    """A line of a program's output, fit for a terminal and not too long for it."""
    line = "".join(each if each.isprintable() else " " for each in line)
    return line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + "…"


def touch(place: LabDir) -> None:
    """Say that a node was started."""
    with open(_started(place), "a", encoding="ascii"):
        pass
    os.utime(_started(place))


def last_start(place: LabDir) -> int:
    """Changes with every start."""
    try:
        return os.stat(_started(place)).st_mtime_ns
    except FileNotFoundError:
        return 0


class Starting:
    """While this is open, no node of the lab ends unseen; `done` once somebody else watches."""

    def __init__(self, place: LabDir) -> None:
        self._place = place
        self._seen: dict[int, exits.Exit] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # not on this machine
            listener = exits.Exits()
            self._thread = threading.Thread(target=self._listen, args=(listener,), name="ends", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None:
            return
        self._over.set()
        self._thread.join()
        if error is None:
            for pid, node in first_processes(self._place).items():
                if pid in self._seen:
                    note(self._place, node, self._seen[pid])

    def _listen(self, listener: exits.Exits) -> None:
        with listener:
            while not self._over.wait(_PAUSE_S):
                self._keep(listener.read())
            self._keep(listener.read())

    def _keep(self, seen: Iterable[exits.Exit]) -> None:
        self._seen.update((each.pid, each) for each in seen)


def _started(place: LabDir) -> str:
    return os.path.join(place.path, "started")


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
