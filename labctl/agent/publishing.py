"""Published ports: the agent holds them, and a process of its own (`runtime.publisher`) serves them.

The agent binds, so that a port is there as soon as the agent answers: what connects before the process serves waits in the
socket's queue. The process ends with the agent, and is started anew when it has ended or when other ports are to be served;
then connections that were open end, no others do.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess

from labctl.agent import clock
from labctl.linux import proc
from labctl.model.lab import LabSpec
from labctl.runtime import published
from labctl.runtime.published import Door
from labctl.runtime.store import LabDir

#: How soon a port that could not be had is tried again.
_RETRY_S = 1.0


class Publishing:
    """The published ports of one lab."""

    def __init__(self, place: LabDir) -> None:
        self._place = place
        self._wanted: list[Door] = []
        self._served: list[Door] = []
        self._sockets: dict[str, socket.socket] = {}
        self._process: subprocess.Popen[str] | None = None
        self._retry_at = 0.0
        self.worker: tuple[int, int] | None = None  # pid and pidfd of the process, while there is one
        self.wrong: dict[str, str] = {}  # ports that could not be had, and why

    def watch(self, lab: LabSpec) -> None:
        """Publish what the lab says now and nothing else."""
        self._wanted = published.doors(lab, self._place)
        self._level()

    def tick(self) -> None:
        """Try again what could not be had; costs nothing otherwise."""
        if self.wrong and clock.now().boot >= self._retry_at:
            self._level()

    def next_wake_s(self) -> float | None:
        """Seconds until `tick` has something to do."""
        return max(0.0, self._retry_at - clock.now().boot) if self.wrong else None

    def died(self) -> None:
        """The process has ended: another one will serve, not at once, lest it ends again and again."""
        self._end()
        self._served = []
        self.wrong = dict.fromkeys(self._sockets, "the process that serves it has ended")
        self._retry_at = clock.now().boot + _RETRY_S

    def close(self) -> None:
        self._end()
        for each in self._sockets.values():
            each.close()
        self._sockets.clear()

    def _level(self) -> None:
        wanted = {str(door.published): door for door in self._wanted}
        for name in self._sockets.keys() - wanted.keys():
            self._sockets.pop(name).close()
        self.wrong = {}
        for name, door in wanted.items():
            if name not in self._sockets:
                try:
                    self._sockets[name] = published.listen(door.published)
                except OSError as error:
                    self.wrong[name] = str(error.strerror)
                    self._retry_at = clock.now().boot + _RETRY_S
        served = [door for name, door in wanted.items() if name in self._sockets]
        if served != self._served:
            self._end()
            if served:
                self._start(served)
            self._served = served

    def _start(self, doors: list[Door]) -> None:
        fds = {str(door.published): self._sockets[str(door.published)].fileno() for door in doors}
        argv, env = proc.program("labctl.runtime.publisher")
        log = os.path.join(self._place.agent_dir, "publisher.log")
        self._process = proc.start_talking(argv, keep=tuple(fds.values()), log=log, env=env, cwd="/")
        told = [
            {
                "fd": fds[str(door.published)],
                "namespace": door.namespace,
                "address": door.address,
                "port": door.published.inside,
                "protocol": door.published.protocol,
            }
            for door in doors
        ]
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; its pidfd tells
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
        self.worker = (self._process.pid, os.pidfd_open(self._process.pid))

    def _end(self) -> None:
        if self._process is None or self.worker is None:
            return
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        os.close(self.worker[1])
        self._process = self.worker = None
