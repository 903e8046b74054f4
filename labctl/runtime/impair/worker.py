"""The wire's process: `python -m labctl.runtime.impair.worker PANEL DIRECTORY`, one for a lab.

It serves all lines of a lab's panel and is told by JSON objects on a socket in DIRECTORY, one a line. It keeps nothing:
who starts a new one after it died says again what each line is to do. Without a line for a while it ends.

Timers are as fine as the machine has them, other processes come after this one (`Priority`), and the collector of cyclic garbage stays off: nothing here makes cycles, and
a pause of it would be jitter that nobody asked for.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from labctl.linux import netns
from labctl.model import impairment_codec
from labctl.runtime.impair import port
from labctl.runtime.impair.relay import Line, Relay

SOCKET, LOCK = "wire.sock", "wire.lock"
BUSY = 3  # another one serves this directory
_PR_SET_TIMERSLACK = 29
_IDLE_S = 300.0
_LIMIT = 1 << 20
#: We wake earlier by what we are usually late, and wait out the rest; never longer than this.
_LATEST_S = 0.0002
#: Nor do we sleep longer than this at a time: delays add up without end, and what the kernel can be told has one.
_LONGEST_S = 3600.0


class Priority:
    """Before all ordinary processes while it has little to do, one of them while it has much.

    A frame that is due must not wait for the time slice of somebody else's computation; but a relay that hardly sleeps
    would take a processor away from everybody, the nodes that it serves included.
    """

    _WINDOW_S, _MUCH, _LITTLE = 0.02, 0.7, 0.5

    def __init__(self) -> None:
        self._first = False
        self._began = time.monotonic()
        self._asleep = 0.0
        self._set(first=True)

    def slept(self, seconds: float) -> None:
        self._asleep += seconds

    def look(self) -> None:
        """Now and then: how much of the last while was work?"""
        now = time.monotonic()
        passed = now - self._began
        if passed < self._WINDOW_S:
            return
        busy = 1 - self._asleep / passed
        self._began, self._asleep = now, 0.0
        if self._first and busy > self._MUCH:
            self._set(first=False)
        elif not self._first and busy < self._LITTLE:
            self._set(first=True)

    def _set(self, *, first: bool) -> None:
        self._first = first
        policy, priority = (os.SCHED_FIFO, 1) if first else (os.SCHED_OTHER, 0)
        with contextlib.suppress(OSError):  # a container may not; then it is one of many
            os.sched_setscheduler(0, policy, os.sched_param(priority))


class Worker:
    """The relay and its ear."""

    def __init__(self, directory: str, idle_s: float = _IDLE_S) -> None:
        self.idle_s = idle_s
        self._relay = Relay()
        self._listener = _listen(directory)
        self._clients: dict[socket.socket, bytes] = {}
        self._idle_since = time.monotonic()
        self._stopping = False

    def run(self) -> None:
        relay, priority, late = self._relay, Priority(), 0.0  # how late this machine wakes us, lately
        while not self._stopping:
            sources: list[Relay | socket.socket] = [relay, self._listener, *self._clients]
            wait = self._wait(relay.next_due())
            if wait is not None:
                wait = min(max(0.0, wait - late), _LONGEST_S)
            before = time.monotonic()
            ready, _, _ = select.select(sources, [], [], wait)
            passed = time.monotonic() - before
            priority.slept(passed)
            if wait and not ready:
                late += (passed - wait - late) / 16
                late = min(max(late, 0.0), _LATEST_S)
            if relay.turn():
                priority.slept(relay.gather())
            priority.look()
            for each in ready:
                if each is self._listener:
                    self._accept()
                elif isinstance(each, socket.socket):
                    self._hear(each)

    def _wait(self, due: float | None) -> float | None:
        now = time.monotonic()
        if due is not None:
            return max(0.0, due - now)
        if self._relay.lines:
            self._idle_since = now
            return None
        left = self._idle_since + self.idle_s - now
        self._stopping = left <= 0
        return max(0.0, left)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            client.settimeout(1.0)
            self._clients[client] = b""

    def _hear(self, client: socket.socket) -> None:
        try:
            data = client.recv(1 << 16)
            if not data or len(self._clients[client]) > _LIMIT:
                raise ConnectionResetError
            *lines, self._clients[client] = (self._clients[client] + data).split(b"\n")
            for line in lines:
                client.sendall(json.dumps(self._answer(line)).encode() + b"\n")
        except OSError:
            del self._clients[client]
            client.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            handlers: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
                "set": self._set,
                "get": self._get,
                "remove": self._remove,
                "stop": self._stop,
            }
            return {"ok": True, **handlers[request["op"]](request)}
        except (OSError, ValueError, KeyError, TypeError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    def _set(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Make or change a line. A device made anew under its old name has a new index: its socket is made anew too."""
        name, impairment = request["line"], impairment_codec.decode(request["impairment"])
        line = self._relay.lines.get(name)
        devices = [request["in"], request["out"]]
        if line is not None and not _same(line.receiver, devices[0]):
            self._relay.remove(name)
            line = None
        if line is None:
            line = self._relay.add(name, port.receiver(devices[0]), port.sender(devices[1]))
        elif not _same(line.sender, devices[1]):
            self._relay.replug(line, port.sender(devices[1]))
        line.change(impairment, request["seed"], request["until"])
        return {}

    def _get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        line = self._relay.lines.get(request["line"])
        if line is None:
            return {"line": None}
        self._relay.take_all(line)
        return {"line": _said(line)}

    def _remove(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if request["line"] in self._relay.lines:
            self._relay.remove(request["line"])
        return {}

    def _stop(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._stopping = True
        return {}


def _said(line: Line) -> dict[str, Any]:
    return {
        "impairment": impairment_codec.encode(line.impairment),
        "seed": line.seed,
        "in": line.receiver.getsockname()[0],
        "out": line.sender.getsockname()[0],
        "waiting": line.waiting,
        "counts": {
            "frames": line.number,
            "sent": line.sent,
            "superframes": line.superframes,
            "missed": line.count_missed(),
            **line.lost,
        },
    }


def _same(sock: socket.socket, device: str) -> bool:
    """Whether the socket is bound to the device that has this name now."""
    try:
        name = sock.getsockname()[0]
        bound = _bound_index(sock)
    except OSError:
        return False
    return bool(name == device and bound == socket.if_nametoindex(device))


def _bound_index(sock: socket.socket) -> int:
    """From the raw socket address, which still has it when the device is gone."""
    buffer = ctypes.create_string_buffer(32)
    length = ctypes.c_uint32(32)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getsockname(sock.fileno(), buffer, ctypes.byref(length)):
        raise OSError(ctypes.get_errno(), "getsockname")
    return int.from_bytes(buffer.raw[4:8], sys.byteorder)


def _listen(directory: str) -> socket.socket:
    """Listen under a short name: the directory's own may be longer than a socket address."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, SOCKET))
        listener.bind(f"/proc/self/fd/{fd}/{SOCKET}")
    finally:
        os.close(fd)
    listener.listen(8)
    return listener


def main(argv: list[str]) -> int:
    panel, directory = argv[1], argv[2]
    lock = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return BUSY
    if panel != "-":
        with netns.opened(panel) as fd:
            netns.setns(fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)  # what remains when it is busy
    worker = Worker(directory, float(os.environ.get("LABCTL_WIRE_IDLE_S", _IDLE_S)))
    gc.disable()
    gc.freeze()
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
