"""The wire's packet loop: frames come in at one end of a line, wait as long as its impairment says, and leave.

One thread serves many lines. It sleeps until a frame comes or the next one is due, so a line without traffic costs
nothing. The order of what happens to a frame is that of a real link: it is lost or changed (`fate`), it queues for the
rate, it travels. A line whose order must be kept is a first-in-first-out queue in which no frame is due before the one
ahead of it; only jitter that may reorder, and overtaking, need a heap.
"""

from __future__ import annotations

import errno
import heapq
import queue
import select
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from labctl.model.impairment import NEUTRAL, Impairment
from labctl.runtime.impair import fate, port
from labctl.runtime.impair.fate import Delays, Fate
from labctl.runtime.impair.port import VNET, Batch

_WAITING = {"delay_s", "jitter", "reorder", "rate"}
#: Read this many batches of one line before others get their turn.
_TURN = 4
#: Longest wait for more frames, and what a wait may be late by.
_PATIENCE_S, _EARLY_S = 0.0005, 0.00005


@dataclass(slots=True)
class Line:
    """One half-cable. `queue` holds (due, number, frame): in order of time, or as a heap if frames may overtake."""

    receiver: socket.socket
    sender: socket.socket
    impairment: Impairment = NEUTRAL
    until: float | None = None  # CLOCK_BOOTTIME; after it the line is a plain one
    seed: int = 0
    fates: Fate | None = None
    held: Delays | None = None
    heap: bool = False
    queue: deque[tuple[float, int, bytes]] = field(default_factory=deque)
    heaped: list[tuple[float, int, bytes]] = field(default_factory=list)
    number: int = 0
    last_due: float = 0.0
    free_at: float = 0.0
    sent: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    superframes: int = 0
    missed: int = 0

    def count_missed(self) -> int:
        """Frames that the kernel dropped because we were too slow. Reading its counter clears it (PACKET_STATISTICS)."""
        _, dropped = memoryview(self.receiver.getsockopt(263, 6, 8)).cast("I")
        self.missed += dropped
        return self.missed

    def change(self, impairment: Impairment, seed: int, until: float | None) -> None:
        """From the next frame on; those that wait leave when they were to."""
        self.impairment, self.seed, self.until = impairment, seed, until
        singles = any(
            getattr(impairment, name) != getattr(NEUTRAL, name)
            for name in Impairment.__slots__
            if name not in _WAITING and name != "seed"
        )
        if not singles:
            self.fates = None
        elif self.fates is None:
            self.fates = Fate(impairment, seed, number=self.number, counts=self.lost)
        else:
            self.fates.change(impairment, seed)
        self.held = fate.delays(impairment, seed)
        jitter = impairment.jitter
        heap = impairment.reorder is not None or (jitter is not None and not jitter.keep_order)
        if heap and not self.heap:
            self.heaped, self.queue = list(self.queue), deque()  # a list in order is a heap
        elif self.heap and not heap:
            self.queue, self.heaped = deque(sorted(self.heaped)), []
        self.heap = heap

    @property
    def waiting(self) -> int:
        return len(self.queue) + len(self.heaped)

    @property
    def next_due(self) -> float | None:
        if self.heap:
            return self.heaped[0][0] if self.heaped else None
        return self.queue[0][0] if self.queue else None

    def count(self, cause: str) -> None:
        self.lost[cause] = self.lost.get(cause, 0) + 1


class _Closer:
    """Closes packet sockets beside the loop: at each the kernel waits for every processor (an RCU grace period), some ten
    milliseconds in which no line would get its frames.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def close(self, sock: socket.socket) -> None:
        self._queue.put(sock)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="closer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._queue.get().close()


class Relay:
    """All lines of one worker."""

    def __init__(self) -> None:
        self._closer = _Closer()
        self.lines: dict[str, Line] = {}
        self._batch = Batch()
        self._poll = select.epoll()
        self._by_fd: dict[int, Line] = {}

    def fileno(self) -> int:
        """Readable when a line has frames: an epoll can be waited for with a time finer than its own."""
        return self._poll.fileno()

    def add(self, name: str, receiver: socket.socket, sender: socket.socket) -> Line:
        line = Line(receiver, sender)
        self.lines[name] = line
        self._by_fd[receiver.fileno()] = line
        self._poll.register(receiver.fileno(), select.EPOLLIN)
        return line

    def replug(self, line: Line, sender: socket.socket) -> None:
        """The far end has a new device."""
        self._closer.close(line.sender)
        line.sender = sender

    def remove(self, name: str) -> None:
        line = self.lines.pop(name)
        self._poll.unregister(line.receiver.fileno())
        del self._by_fd[line.receiver.fileno()]
        self._closer.close(line.receiver)
        self._closer.close(line.sender)

    def next_due(self) -> float | None:
        dues = [due for line in self.lines.values() if (due := line.next_due) is not None]
        return min(dues, default=None)

    def gather(self) -> float:
        """Let frames come together before the next turn, if none is due before; how long that took.

        The kernel keeps the time at which each came, so a line with a delay does not have to be read at once, and reading
        many costs a fraction of reading one by one.
        """
        began = time.monotonic()
        patience = min(_PATIENCE_S, *(line.impairment.delay_s / 8 for line in self.lines.values()))
        due = self.next_due()
        if due is not None:
            patience = min(patience, due - began - _EARLY_S)
        if patience < _EARLY_S:
            return 0.0
        time.sleep(patience)
        return time.monotonic() - began

    def turn(self) -> bool:
        """Take in what has come and send what is due; whether any came."""
        came = False
        for fd, event in self._poll.poll(0):
            line = self._by_fd[fd]
            if event & select.EPOLLERR:
                line.receiver.getsockopt(
                    socket.SOL_SOCKET, socket.SO_ERROR
                )  # a device went down; reading clears it
            if event & select.EPOLLIN:
                came = True
                self._take(line)
        for line in self.lines.values():
            if line.queue or line.heaped:
                _give(line)
        return came

    def take_all(self, line: Line) -> None:
        """Read until nothing waits in the kernel."""
        before = -1
        while before != line.number:
            before = line.number
            self._take(line)

    def _take(self, line: Line) -> None:
        fd, batch = line.receiver.fileno(), self._batch
        if line.until is not None and time.clock_gettime(time.CLOCK_BOOTTIME) > line.until:
            line.change(NEUTRAL, line.seed, None)
        plain = line.fates is None and line.held is None and line.impairment.rate is None
        for _ in range(_TURN):
            before = line.number
            if plain:
                _take_plain(line, batch, fd)
            else:
                for came, frame in batch.read(fd):
                    _take_one(line, frame, came)
            if line.number - before < batch.size:
                return
            if line.queue or line.heaped:
                _give(line)


def _take_plain(line: Line, batch: Batch, fd: int) -> None:
    """The short way for a line that only delays: most lines, and the one that has to be fast."""
    append, number, last, delay = line.queue.append, line.number, line.last_due, line.impairment.delay_s
    for came, frame in batch.read(fd):
        number += 1
        at = came + delay
        if at < last:  # noqa: PLR1730  (max() is a call for every frame)
            at = last
        last = at
        append((at, number, frame))
        if frame[1]:
            line.superframes += 1
    line.number, line.last_due = number, last


def _take_one(line: Line, frame: bytes, came: float) -> None:
    line.number += 1
    if port.is_super(frame):
        line.superframes += 1
    for each in _meet(line, frame):
        _queue(line, each, came)


def _meet(line: Line, frame: bytes) -> tuple[bytes, ...]:
    """What of the frame goes on, with its virtio header and tag."""
    if line.fates is None:
        return (frame,)
    if line.impairment.corrupt:
        frame = port.finished(frame)
    bare = port.untagged(frame)
    kept = line.fates.meet(bare)
    if not kept or kept[0] is bare:
        return (frame,) * len(kept)
    head = frame[: len(frame) - len(bare) + 12]  # virtio header, addresses and tag
    return (head + kept[0][12:],) * len(kept)


def _queue(line: Line, frame: bytes, came: float) -> None:
    impairment = line.impairment
    leaves = came
    if impairment.rate is not None:
        rate = impairment.rate
        per_byte = 8 / rate.bps
        backlog = max(0.0, line.free_at - came)
        if backlog > rate.limit_bytes * per_byte:
            line.count("queue")
            return
        leaves = came + backlog + (len(frame) - VNET) * per_byte
        line.free_at = leaves
    due = leaves + (impairment.delay_s if line.held is None else line.held(line.number))
    if line.heap:
        heapq.heappush(line.heaped, (due, line.number, frame))
        return
    due = max(due, line.last_due)
    line.last_due = due
    line.queue.append((due, line.number, frame))


def _give(line: Line) -> None:
    """Send what is due."""
    send, queue = line.sender.send, line.queue
    now = time.monotonic()
    try:
        if line.heap:
            while line.heaped and line.heaped[0][0] <= now:
                send(line.heaped[0][2])
                heapq.heappop(line.heaped)
                line.sent += 1
            return
        while queue and queue[0][0] <= now:
            send(queue[0][2])
            queue.popleft()
            line.sent += 1
    except OSError as error:
        if error.errno in (errno.ENOBUFS, errno.EAGAIN):
            return  # next turn
        # The far end is down or being made anew: what is due now goes where it would go on a cut cable.
        line.count("down" if error.errno in (errno.ENETDOWN, errno.ENXIO, errno.ENODEV) else "send")
        if line.heap:
            heapq.heappop(line.heaped)
        else:
            queue.popleft()
