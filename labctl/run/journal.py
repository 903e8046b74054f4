"""The journal of a run: what happened, one JSON object a line, appended and never changed.

Each line has a number, a kind, and three clocks: host, monotonic and wall time. What came back from the world is on disk
as soon as nothing is due (`sync`); everything else follows with the next such line. A crash can tear only the last line,
which is then dropped; a line that is damaged elsewhere, or missing, is an error.

Kinds, in the order in which a run writes them:

    phase       a stretch of the run begins
    ready       a lab that was built for this run has settled, or has not
    compared    its routes against those that it is to have
    run         what runs, on what, with which expectations; first, where the lab was there before
    settled     what waiting for quiet came to
    window      the stretch that the steady state, the failure or the recovery is judged by
    asked       effects that begin and end together: when they were due, and the number of the request
    made        its answer, whenever it came: what was made, when, and how it was read back
    looked      whether the active faults are still what they were made to be, and what they did to frames
    check       an expectation of the timeline, at this moment
    not-steady, stopped, refused, interrupted, failed    why the run ended early
    routes      every change of a route or a session
    after       what is not as before, and what was left
    end         the last line
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from labctl.errors import LabctlError, Span
from labctl.schema import infile

VERSION = 1
HOST = "local"


class Journal:
    """The open journal of a run that goes on."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lines = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.fsync(self._fd)
        os.close(self._fd)

    def write(self, kind: str, *, t: float, sync: bool = False, **what: Any) -> None:
        """Append a line; `t` is the engine's monotonic time. `cannot-write` if it did not fit: nothing may follow it then."""
        head = {"v": VERSION, "n": self._lines + 1, "kind": kind, "host": HOST, "t": t, "wall": time.time()}
        line = json.dumps({**head, **what}, ensure_ascii=False, separators=(",", ":"))
        with self._trouble():
            rest = line.encode() + b"\n"
            while rest:  # a disk that gets full takes a part of it
                rest = rest[os.write(self._fd, rest) :]
        self._lines += 1
        if sync:
            self.sync()

    def sync(self) -> None:
        """Have everything that was written on disk."""
        with self._trouble():
            os.fdatasync(self._fd)

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise LabctlError(
                "cannot-write",
                f"cannot write the journal of the run: {reason}",
                where=Span(self.path),
                hint="make room on that file system, then repeat",
            ) from error


def read(path: str) -> Iterator[Mapping[str, Any]]:
    """The lines of a journal; a torn last line was never written."""
    data = infile.read(path, limit=infile.MEASURED)
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or entry.get("n") != number:
                raise ValueError(f"this is not line {number} of a journal")  # noqa: TRY301
            if entry.get("v") != VERSION:
                raise ValueError(f"version {entry.get('v')!r} is not {VERSION}")  # noqa: TRY301
        except ValueError as error:
            raise LabctlError(
                "bad-journal", f"the journal is damaged: {error}", where=Span(path, number)
            ) from error
        yield entry
