"""Work that takes its time, beside the loop: one lane a key, things of one lane one after the other.

Level, not order: what is put into a lane is only the name of what is to be looked at; what it should be is read when its
turn has come. So it does not matter how often or in which order something was put in, a thing that waits already is not
put in twice, and one that is being worked on is looked at once more afterwards. Nothing is kept here that a crash could
lose: the ledger was written before, and who starts anew puts everything in again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from labctl.linux import priority

K = TypeVar("K")
R = TypeVar("R")
_NO_MORE_S = 5.0


@dataclass(slots=True, eq=False)
class Job(Generic[K, R]):
    """What somebody waits for: results come in as they are there."""

    waiting: set[K]
    results: list[R] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return not self.waiting


class Lanes(Generic[K, R]):
    """work: does one thing, and says what to look at next because of it. first: what of several goes first."""

    def __init__(self, work: Callable[[K], tuple[R, Iterable[K]]], first: Callable[[K], int]) -> None:
        self._work = work
        self._first = first
        self._lock = threading.Lock()
        self._lanes: dict[str, dict[K, list[Job[K, R]]]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._finished: list[tuple[K, R, list[Job[K, R]]]] = []
        self._error: BaseException | None = None
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Becomes readable when `collect` has something."""
        return self._event

    def close(self) -> None:
        """What is being done is waited for a moment; what is not done by then is left to whoever comes next."""
        for thread in list(self._threads.values()):
            thread.join(_NO_MORE_S)
        if not any(thread.is_alive() for thread in self._threads.values()):
            os.close(self._event)

    def submit(self, lane: str, things: Collection[K], job: Job[K, R] | None = None) -> None:
        """Have these looked at; `job` gets the results of a look that begins after this."""
        with self._lock:
            self._put(lane, things, [] if job is None else [job])
            if lane not in self._threads:
                thread = threading.Thread(target=self._run, args=(lane,), name=f"lane {lane}", daemon=True)
                self._threads[lane] = thread
                thread.start()

    def collect(self) -> list[R]:
        """Everything that has been finished since; what nobody expected to go wrong is raised here."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)
        with self._lock:
            finished, self._finished = self._finished, []
            error = self._error
        if error is not None:
            raise error
        for thing, result, jobs in finished:
            for job in jobs:
                job.waiting.discard(thing)
                job.results.append(result)
        return [result for _, result, _ in finished]

    def _put(self, lane: str, things: Iterable[K], jobs: Sequence[Job[K, R]]) -> None:
        queue = self._lanes.setdefault(lane, {})
        for thing in things:
            waiting = queue.setdefault(thing, [])
            for job in jobs:
                job.waiting.add(thing)
                if job not in waiting:
                    waiting.append(job)

    def _run(self, lane: str) -> None:
        priority.first()  # it shares an interpreter with the loop: if it is put aside, so is the loop
        while True:
            with self._lock:
                queue = self._lanes[lane]
                if not queue:
                    del self._lanes[lane], self._threads[lane]
                    return
                thing = min(queue, key=self._first)
                jobs = queue.pop(thing)
            try:
                result, more = self._work(thing)
            except BaseException as error:  # noqa: BLE001  (a thread's error is the loop's)
                with self._lock:
                    self._error = error
                    os.eventfd_write(self._event, 1)
                return
            with self._lock:
                self._put(lane, more, jobs)
                self._finished.append((thing, result, jobs))
                os.eventfd_write(self._event, 1)
