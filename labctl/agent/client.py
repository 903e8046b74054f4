"""Talking to a lab's agent, and starting and stopping it.

`start` returns when the agent answers, `stop` when its processes are gone. A request to a dead agent is
`agent-unreachable`; commands call `ensure` first, which starts it again.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from labctl.agent import protocol
from labctl.errors import LabctlError
from labctl.linux import cgroup, proc
from labctl.runtime.store import LabDir

# Effects and their codec are imported by what needs them: most commands ask an agent and have nothing to do with faults.
if TYPE_CHECKING:
    from labctl.agent.codec import Owner
    from labctl.model.effects import Effect

#: Bringing a frozen node or a thousand cables to their settings is slow on a busy machine, but it ends.
TIMEOUT_S = 30.0
#: An agent that says nothing for so long is taken for dead.
ALIVE_S = 5.0
#: An agent that does not answer by then may have a reason: it is looked for one.
_PROMPT_S = 3.0


class Connection:
    """An open connection to the agent. `ask` waits for its reply; what is sent by `begin` is done beside it."""

    def __init__(self, place: LabDir, timeout_s: float = TIMEOUT_S) -> None:
        self._place = place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout_s)
        self._timeout_s = timeout_s
        self._rest = b""
        self._replies: list[dict[str, Any]] = []  # to requests with tags
        try:
            with protocol.address(place.agent_dir) as address:
                self._socket.connect(address)
        except OSError as error:
            self._socket.close()
            raise self._unreachable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return its reply; raises the error that the agent replies."""
        self._send({"op": op, **arguments})
        deadline = time.monotonic() + self._timeout_s
        while not (replies := self._receive(deadline)):
            if time.monotonic() >= deadline:
                raise self._unreachable(TimeoutError("timed out"))
        return _good(replies[0])

    def begin(self, op: str, tag: int, **arguments: Any) -> None:
        """Send a request and wait for nothing: its reply is one of `replies`. The agent begins requests in the order in
        which they are sent.
        """
        self._send({"op": op, "tag": tag, **arguments})

    def replies(self, until: float) -> list[tuple[int, dict[str, Any] | LabctlError]]:
        """(tag, reply) of what was begun and is done, or the error that the agent replies; if nothing is, the first to come
        until then (monotonic time).
        """
        if not self._replies:
            self._receive(until)
        found, self._replies = self._replies, []
        return [
            (int(each["tag"]), each if each.get("ok") is True else protocol.raised(each)) for each in found
        ]

    def _send(self, message: Mapping[str, Any]) -> None:
        line = protocol.encode(message)
        if len(line) > protocol.LIMIT:
            raise LabctlError(
                "bad-value",
                f"that is more at once than the agent of lab {self._place.name!r} takes "
                f"({len(line) >> 10} KiB, at most {protocol.LIMIT >> 10})",
                hint="fewer targets, or a shorter time with fewer outages",
            )
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise self._unreachable(error) from error

    def _receive(self, until: float) -> list[dict[str, Any]]:
        """Take what comes until one reply is whole, or until then: those without a tag; the others are kept."""
        while b"\n" not in self._rest:
            if not self._readable(until):
                return []
            try:
                data = self._socket.recv(1 << 16)
                if not data:
                    raise ConnectionResetError("the agent closed the connection")
            except OSError as error:
                raise self._unreachable(error) from error
            self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        replies = [protocol.decode(line) for line in lines]
        self._replies += [each for each in replies if "tag" in each]
        return [each for each in replies if "tag" not in each]

    def _readable(self, until: float) -> bool:
        """Wait for something to read, to the microsecond: a poll's milliseconds are too coarse for who acts at `until`."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if poll.poll(max(0, int((until - time.monotonic()) * 1000))):
            return True
        time.sleep(max(0.0, until - time.monotonic()))
        return bool(poll.poll(0))

    def _unreachable(self, error: OSError) -> LabctlError:
        return LabctlError(
            "agent-unreachable",
            f"the agent of lab {self._place.name!r} does not answer: {error.strerror or error}",
            hint="`labctl heal` starts it again",
        )


def _good(reply: dict[str, Any]) -> dict[str, Any]:
    if reply.get("ok") is not True:
        raise protocol.raised(reply)
    return reply


def ask(place: LabDir, op: str, *, timeout_s: float = TIMEOUT_S, **arguments: Any) -> dict[str, Any]:
    """One request on a connection of its own."""
    with Connection(place, timeout_s) as connection:
        return connection.ask(op, **arguments)


def alive(place: LabDir) -> bool:
    """Whether the lab's agent answers."""
    try:
        ask(place, "status", timeout_s=ALIVE_S)
    except LabctlError:
        return False
    return True


def add(
    place: LabDir,
    lease_id: str,
    effects: Sequence[Effect],
    lease_s: float,
    *,
    owner: Owner | None = None,
    windows: Sequence[tuple[float, float]] = (),
    about: str = "",
) -> dict[str, Any]:
    """Apply the effects of a fault for `lease_s` seconds; `{"lease", "readings"}`, `effect-not-taken` if one did not.

    windows: from when to when each effect is there, in seconds from now; none: all of them, all the time.
    about: what the fault is, in words.
    """
    from labctl.agent import codec

    return ask(
        place,
        "effects.add",
        id=lease_id,
        effects=[codec.effect(each) for each in effects],
        lease_s=lease_s,
        owner={"pid": owner.pid, "start_ticks": owner.start_ticks} if owner else None,
        windows=[list(each) for each in windows] or None,
        about=about,
    )


def wanted(lease_id: str, effects: Sequence[Effect], lease_s: float) -> dict[str, Any]:
    """One element of `begin` in the request `effects.change`."""
    from labctl.agent import codec

    return {"id": lease_id, "effects": [codec.effect(each) for each in effects], "lease_s": lease_s}


def prepare(place: LabDir, effects: Sequence[Effect]) -> None:
    """Have the agent do beforehand what takes time and touches nothing: a fault then begins in milliseconds."""
    from labctl.agent import codec

    ask(place, "effects.prepare", effects=[codec.effect(each) for each in effects])


def clear(place: LabDir, lease_id: str | None = None) -> dict[str, Any]:
    """End one lease, or all."""
    return ask(place, "effects.clear", id=lease_id)


def leases(place: LabDir) -> list[Mapping[str, Any]]:
    """The active leases, each with its `remaining_s`."""
    found: list[Mapping[str, Any]] = ask(place, "effects.list")["leases"]
    return found


def me() -> Owner:
    """The calling process, as the owner of leases that must not outlive it."""
    from labctl.agent.codec import Owner

    who = proc.identity(os.getpid())
    if who is None:
        raise AssertionError("a running process has a start time")
    return Owner(pid=who.pid, start_ticks=who.start_ticks)


def start(place: LabDir, *, timeout_s: float = 20.0) -> None:
    """Start the lab's agent unless it runs, and wait until it answers. The caller holds the lab's lock.

    On a full disk, where it cannot start, OSError says so soon.
    """
    if alive(place):
        return
    from labctl.agent import ledger

    place.need()
    ledger.read(place.ledger_file)  # a damaged one is said here, not in a log
    os.makedirs(place.agent_dir, mode=0o700, exist_ok=True)
    cgroup.create(place.agent_cgroup)
    log = os.path.join(place.agent_dir, "log")
    began = time.monotonic()
    deadline = began + timeout_s
    pause = 0.005
    _launch(place, log)
    while not alive(place):
        if time.monotonic() > deadline:
            raise LabctlError(
                "agent-unreachable",
                f"the agent of lab {place.name!r} does not start: {_last_line(log)}",
                hint=f"its log is {log}",
            )
        time.sleep(pause)
        pause = min(pause * 2, 0.1)
        if time.monotonic() - began > _PROMPT_S:
            _need_room(place)
        if not cgroup.pids(place.agent_cgroup):  # killed before there was a guard
            _launch(place, log)


def _need_room(place: LabDir) -> None:
    """OSError if the disk takes no file any more: the agent would try for ever, and not even its log would say why."""
    path = os.path.join(place.agent_dir, "room")
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(bytes(4096))
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _launch(place: LabDir, log: str) -> None:
    """Start agent and guard; on return they are in the agent's cgroup, or have ended."""
    # Nothing is inherited but the log: least of all the lab's lock, which the agent would keep for ever.
    argv, env = proc.program("labctl.agent.main", place.path)
    pid = proc.start_detached(argv, log=log, env=env, cwd="/")
    with contextlib.suppress(ChildProcessError):  # who started us may not want to hear of children
        os.waitpid(pid, 0)


def stop(place: LabDir) -> None:
    """End the lab's agent and its guard; what is active stays in the ledger. No agent is fine."""
    with contextlib.suppress(LabctlError):
        ask(place, "stop", timeout_s=2.0)
        deadline = time.monotonic() + 2.0
        while cgroup.pids(place.agent_cgroup) and time.monotonic() < deadline:
            time.sleep(0.002)
    cgroup.kill(place.agent_cgroup)


def _last_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")
    except OSError as error:
        return str(error)
    return next((line for line in reversed(lines) if line.strip()), "its log is empty")
