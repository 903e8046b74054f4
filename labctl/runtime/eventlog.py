"""What happened to a lab, a line each, for whoever reads along: `events.jsonl` in the lab's directory.

Whoever does something writes it down: the runtime that starts a node, the agent that sees what changed, the command
that makes or removes the lab. Lines are appended by one write each, so writers need no lock and readers see whole lines. The
file is bounded: the agent puts a full one aside, and the one before that goes. It goes with the lab; who follows it then has
it open and reads its last line, that the lab was destroyed.

A line has the shape of containerlab's events, and a version. It is news, not a record to act on: the ledger and the kernel say
what is. So a disk that is full keeps nobody from working.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.runtime.store import LabDir

VERSION = 1
#: Two files of this size at most: some twenty thousand events.
_MOST_BYTES = 2 << 20
_NAME, _OLD = "events.jsonl", "events.1.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One event. actor: what it happened to, by id and by name; attributes: more of it, in words."""

    type: str
    action: str
    actor_id: str
    actor_name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time_s: float = field(default_factory=time.time)  # since 1970

    def to_json(self, lab: str) -> dict[str, Any]:
        return {
            "version": VERSION,
            "timestamp": _utc(self.time_s),
            "type": self.type,
            "action": self.action,
            "actor_id": self.actor_id,
            "actor_name": self.actor_name,
            "attributes": {"lab": lab, **self.attributes},
        }


def about_lab(place: LabDir, action: str, **attributes: str) -> Happened:
    """Something that happened to the lab as a whole."""
    return Happened(
        type="lab", action=action, actor_id=place.name, actor_name=place.name, attributes=attributes
    )


def note(place: LabDir, happened: Iterable[Happened]) -> None:
    """Write down what happened; nothing if there is no room for it, or no lab any more."""
    data = b"".join(
        json.dumps(each.to_json(place.name), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        for each in happened
    )
    if not data:
        return
    with contextlib.suppress(OSError):
        fd = os.open(_path(place), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)


def bound(place: LabDir) -> None:
    """Put a full file aside. One process does this: the agent."""
    with contextlib.suppress(OSError):
        if os.stat(_path(place)).st_size > _MOST_BYTES:
            os.rename(_path(place), os.path.join(place.path, _OLD))


def history(place: LabDir) -> list[dict[str, Any]]:
    """What is still known, the oldest first."""
    follower = Follower(place, past=True)
    try:
        return list(follower.read())
    finally:
        follower.close()


class Follower:
    """Reads along with one lab, over the change of files and to the last line. past: from what is known on."""

    def __init__(self, place: LabDir, *, past: bool) -> None:
        self._place = place
        self._rest = b""
        self._waiting = [_OLD, _NAME] if past else []
        self._fd: int | None = None
        if not past:
            self._fd = _open(_path(place))
            if self._fd is not None:
                os.lseek(self._fd, 0, os.SEEK_END)
        self.inode = _inode(place.path)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self) -> Iterator[dict[str, Any]]:
        """What was written since the last call."""
        while True:
            if self._fd is None:
                name = self._waiting.pop(0) if self._waiting else _NAME
                self._fd = _open(os.path.join(self._place.path, name))
                if self._fd is None and not self._waiting:
                    return
                continue
            over = (
                bool(self._waiting) or self._replaced()
            )  # looked at first: what is written later is read below
            yield from self._lines()
            if not over:
                return
            self.close()

    def over(self) -> bool:
        """Whether this lab is gone; what was last written of it can still be read."""
        return _inode(self._place.path) != self.inode

    def _replaced(self) -> bool:
        """Whether new events go to another file now."""
        assert self._fd is not None
        with contextlib.suppress(FileNotFoundError):
            return os.stat(_path(self._place)).st_ino != os.fstat(self._fd).st_ino
        return False

    def _lines(self) -> Iterator[dict[str, Any]]:
        assert self._fd is not None
        while data := os.read(self._fd, 1 << 16):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):  # a full disk cut it off
                    yield json.loads(line)


def _utc(wall_s: float) -> str:
    nanoseconds = round(wall_s * 1e6) * 1000
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def _path(place: LabDir) -> str:
    return os.path.join(place.path, _NAME)


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None
