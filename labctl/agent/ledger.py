"""The write-ahead ledger: what the agent is about to touch, on disk before it is touched.

One JSON object a line, appended and fsynced. Reading the lines back from the first gives the set of active leases, and
that is all a restarted agent needs: the state each resource should be in is `settle(lab, active)`, so nothing has to be
undone in order. A line is one of

    added     lease and the resources it touches; written before the first touch
    applied   every effect of the lease was read back
    failed    an effect did not take; the lease is over
    cleared   the lease is over: "request", "lease", "owner", "heal", or "gone" with what it was about

A crash can tear only the line being written: bytes after the last newline were never acknowledged to anybody, so they
are dropped. Anything else that is wrong (a line that is not JSON, a number missing in the sequence) means that the
file was damaged by something else and is an error, never skipped: a skipped `added` would be a fault that nobody heals.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from labctl.agent import codec
from labctl.agent.clock import Stamp
from labctl.agent.codec import Lease
from labctl.errors import LabctlError, Span
from labctl.model.effects import Effect, Resource

VERSION = 1
_OPS = ("added", "applied", "failed", "cleared")


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a ledger says so far: active leases by id, resources ever touched, number of the last line."""

    active: Mapping[str, Lease] = field(default_factory=dict)
    touched: frozenset[Resource] = frozenset()
    lines: int = 0
    whole_bytes: int = 0  # length without a torn last line


def replay(data: bytes, name: str) -> Past:
    """Fold the lines of a ledger; `name` is the file to blame."""
    end = data.rfind(b"\n") + 1
    active: dict[str, Lease] = {}
    touched: set[Resource] = set()
    lines = data[:end].splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            _fold(json.loads(line), number, active, touched)
        except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
            raise LabctlError(
                "ledger-corrupt",
                f"the ledger of this lab was damaged: {error}",
                where=Span(name, number),
                hint="`labctl heal` sets every resource of the lab to its base state and keeps the file aside",
            ) from error
    return Past(active=active, touched=frozenset(touched), lines=len(lines), whole_bytes=end)


def _fold(entry: Any, number: int, active: dict[str, Lease], touched: set[Resource]) -> None:
    if not isinstance(entry, dict):
        raise ValueError("a line is not an object")  # noqa: TRY004  (one error type for all damage)
    if entry.get("version") != VERSION:
        raise ValueError(f"version {entry.get('version')!r} is not {VERSION}")
    if entry.get("seq") != number:
        raise ValueError(f"line {number} has sequence number {entry.get('seq')!r}")
    op = entry.get("op")
    if op not in _OPS:
        raise ValueError(f"unknown entry {op!r}")
    if op == "added":
        lease = codec.parse_lease(entry)
        active[lease.id] = lease
        touched.update(effect.on for effect in lease.effects)
        return
    lease_id = entry.get("id")
    if not isinstance(lease_id, str) or lease_id not in active:
        raise ValueError(f"{op} {lease_id!r}, which is not active")
    if op in ("failed", "cleared"):
        del active[lease_id]


def read(path: str) -> Past:
    """The ledger as it is now, without opening it for writing; a lab that never had a fault has no file."""
    try:
        with open(path, "rb") as file:
            return replay(file.read(), path)
    except FileNotFoundError:
        return Past()


class Ledger:
    """The open ledger. One process writes at a time (the agent, under its lock); every append is on disk on return."""

    def __init__(self, path: str) -> None:
        self.path = path
        past = read(path)
        self._active = dict(past.active)
        self._touched = set(past.touched)
        self._lines = past.lines
        self._held: list[dict[str, Any]] | None = None
        self._over: list[tuple[Lease, str, str]] = []
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(self._fd, past.whole_bytes)  # a torn line would glue itself to the next one
            os.fsync(self._fd)
            _sync_directory(path)
        except OSError:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._fd)

    @property
    def active(self) -> Mapping[str, Lease]:
        return self._active

    @property
    def touched(self) -> Collection[Resource]:
        """Every resource that any lease of this lab's life has named: what healing has to look at."""
        return self._touched

    @property
    def effects(self) -> tuple[Effect, ...]:
        return tuple(effect for lease in self._active.values() for effect in lease.effects)

    def effects_at(self, boot: float) -> tuple[Effect, ...]:
        """Those that are there at this moment: some leases come and go."""
        return tuple(effect for lease in self._active.values() for effect in lease.at(boot))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Entries made in this block go to the disk in one write, at its end: a hundred faults, one wait."""
        before, self._held = dict(self._active), []
        try:
            yield
            held, self._held = self._held, None
            self._write(held)
        except BaseException:
            self._active, self._held = before, None
            raise

    def added(self, lease: Lease, at: Stamp) -> None:
        """A lease with the id of an active one takes its place."""
        self._append({"op": "added", **codec.lease(lease), "at": at.to_json()})
        self._active[lease.id] = lease
        self._touched.update(effect.on for effect in lease.effects)

    def applied(self, lease_id: str, at: Stamp) -> None:
        self._append({"op": "applied", "id": lease_id, "at": at.to_json()})

    def failed(self, lease_id: str, because: str, at: Stamp) -> None:
        self._append({"op": "failed", "id": lease_id, "because": because, "at": at.to_json()})
        self._over.append((self._active.pop(lease_id), "refuse", because))

    def cleared(self, lease_id: str, because: str, at: Stamp) -> None:
        self._append({"op": "cleared", "id": lease_id, "because": because, "at": at.to_json()})
        self._over.append((self._active.pop(lease_id), "end", because))

    def drain(self) -> list[tuple[Lease, str, str]]:
        """Leases that ended since the last call: "end" or "refuse", and why."""
        over, self._over = self._over, []
        return over

    def _append(self, entry: dict[str, Any]) -> None:
        if self._held is not None:
            self._held.append(entry)
        else:
            self._write([entry])

    def _write(self, entries: Sequence[dict[str, Any]]) -> None:
        lines = [
            json.dumps({"version": VERSION, "seq": number, **entry}, separators=(",", ":")) + "\n"
            for number, entry in enumerate(entries, start=self._lines + 1)
        ]
        data = "".join(lines).encode()
        written = os.write(self._fd, data)
        if written != len(data):  # a full disk: take the torn piece back, so that the next line stands alone
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise OSError(f"{self.path}: {written} of {len(data)} bytes written")
        os.fdatasync(self._fd)
        self._lines += len(lines)


def expired(active: Collection[Lease], boot: float) -> tuple[str, ...]:
    """Ids of the leases that are over at `boot` (CLOCK_BOOTTIME)."""
    return tuple(lease.id for lease in active if lease.deadline_boot <= boot)


def next_deadline(active: Collection[Lease]) -> float | None:
    return min((lease.deadline_boot for lease in active), default=None)


def _sync_directory(path: str) -> None:
    fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
