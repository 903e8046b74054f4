"""The wire backend: a relay in user space behind a cord, for what no qdisc of this kernel does.

The frames of a half-cable go into the cord like everywhere else; at its far end a packet socket of the lab's worker
process (`worker`) takes them in, and another sends them out of the receiver's panel side. The worker is started when the
first line needs it. It closes when it dies: frames go into the cord and nobody is there. So whoever looks after the lab
asks `alive` (or waits for `pidfd`), and calls `Impairer.ensure` again, which opens the detour until a new worker serves.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any

from labctl.errors import LabctlError
from labctl.linux import proc
from labctl.linux.proc import Identity
from labctl.model import impairment_codec
from labctl.model.impairment import Impairment
from labctl.runtime.impair.base import Half
from labctl.runtime.impair.kernel import far
from labctl.runtime.impair.worker import BUSY, SOCKET

LOG = "wire.log"
_START_S = 20.0


class WireStage:
    """Everything, in user space."""

    name = "wire"
    known_error = "a frame is late by the scheduling of one process: about 0.1 ms, more on a busy machine"

    def __init__(self, panel: str | None, directory: str) -> None:
        self._panel = panel
        self._directory = directory
        self._connection: socket.socket | None = None
        self._rest = b""
        self.until: float | None = None
        self.seed = 0

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def supports(self, part: Impairment) -> str | None:
        return (
            "nothing can be overtaken where nothing is delayed" if part.reorder and not part.delay_s else None
        )

    def ensure(self, half: Half, cord: str, part: Impairment) -> None:
        arguments = {
            "line": cord,
            "impairment": impairment_codec.encode(part),
            "seed": self.seed,
            "until": self.until,
            "in": far(cord),
            "out": half.device_out,
        }
        self.start()
        try:
            self.ask("set", **arguments)
        except OSError:  # it has just ended, of idleness or by force
            self.start()
            self.ask("set", **arguments)

    def read(self, cord: str) -> Impairment | None:
        line = self.line(cord)
        return None if line is None else impairment_codec.decode(line["impairment"])

    def out(self, cord: str) -> str:
        """The device that the line's frames leave by."""
        line = self.line(cord)
        return str(line["out"]) if line else ""

    def counts(self, cord: str) -> dict[str, int]:
        line = self.line(cord)
        return dict(line["counts"]) if line else {}

    def waiting(self, cord: str) -> int:
        line = self.line(cord)
        return int(line["waiting"]) if line else 0

    def remove(self, cord: str) -> None:
        if self.alive():
            self.ask("remove", line=cord)

    def line(self, cord: str) -> dict[str, Any] | None:
        """What the worker says of a line; None if it has none, or there is no worker."""
        if not self.alive():
            return None
        found: dict[str, Any] | None = self.ask("get", line=cord)["line"]
        return found

    # -- the process -------------------------------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether a worker answers."""
        try:
            self._connect()
        except OSError:
            return False
        return True

    def identity(self) -> Identity | None:
        """The worker's process: for who wants to know when it ends."""
        if not self.alive() or self._connection is None:
            return None
        pid = int.from_bytes(
            self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder
        )
        return proc.identity(pid)

    def start(self) -> None:
        """Start the worker unless it runs, and wait until it answers."""
        if self.alive():
            return
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        argv, env = proc.program("labctl.runtime.impair.worker", self._panel or "-", self._directory)
        pid = proc.start_detached(argv, log=os.path.join(self._directory, LOG), env=env, cwd="/")
        deadline = time.monotonic() + _START_S
        while not self.alive():
            with contextlib.suppress(ChildProcessError):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done and os.waitstatus_to_exitcode(status) != BUSY:
                    raise self._dead()
            if time.monotonic() > deadline:
                raise self._dead()
            time.sleep(0.005)

    def stop(self) -> None:
        """End the worker, if there is one. Lines that it still has go dead."""
        who = self.identity()
        if who is not None:
            with contextlib.suppress(OSError, LabctlError):
                self.ask("stop")
            if not _gone(who, 2.0):
                proc.kill(who, signal.SIGKILL)
                _gone(who, 2.0)
        self.close()

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        """One request; `effect-not-taken` with the worker's words if it refuses."""
        self._connect()
        connection = self._connection
        if connection is None:
            raise AssertionError
        try:
            connection.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
            while b"\n" not in self._rest:
                data = connection.recv(1 << 16)
                if not data:
                    raise ConnectionResetError("the wire's process ended")
                self._rest += data
        except OSError:
            self.close()
            raise
        line, _, self._rest = self._rest.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        if not reply.pop("ok"):
            raise LabctlError("effect-not-taken", f"the wire refused: {reply['error']}")
        return reply

    def _connect(self) -> None:
        if self._connection is not None:
            self._connection.setblocking(False)
            try:
                ended = self._connection.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                ended = False
            except OSError:
                ended = True
            self._connection.settimeout(5.0)
            if not ended:
                return
            self.close()
        self._rest = b""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        connection.settimeout(5.0)
        try:
            fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                connection.connect(f"/proc/self/fd/{fd}/{SOCKET}")
            finally:
                os.close(fd)
        except OSError:
            connection.close()
            raise
        self._connection = connection

    def _dead(self) -> LabctlError:
        log = os.path.join(self._directory, LOG)
        try:
            with open(log, encoding="utf-8", errors="replace") as file:
                lines = [line for line in file.read().split("\n") if line.strip()]
        except OSError:
            lines = []
        return LabctlError(
            "effect-not-taken",
            f"the wire's process does not start: {lines[-1] if lines else 'its log is empty'}",
            hint=f"its log is {log}",
        )


def _gone(who: Identity, timeout_s: float) -> bool:
    """Wait for its end, reaping it if it is our child."""
    deadline = time.monotonic() + timeout_s
    while proc.alive(who):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(who.pid, os.WNOHANG)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(who.pid, os.WNOHANG)
    return True
