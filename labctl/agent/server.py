"""The agent's loop: one thread, one selector; links, requests, leases and owners all wake it.

Between two wakes it sleeps; an idle lab costs no CPU. Link events come first in every round, so that a request is
answered from what is, not from what was. A request that waits for something inside a node is answered when that is done,
and others meanwhile; those of one client one after the other, unless it told them apart by tags. Nobody is answered before everything has been looked at once.
A request that fails is answered with its error and changes nothing; an error
that is nobody's request (the kernel refused something) ends the agent loudly, and the guard starts a new one that looks
at everything afresh.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.agent import clock, codec, guard, looking, protocol
from labctl.agent.codec import Lease
from labctl.agent.consoles import Consoles
from labctl.agent.core import Agent, Asked, Work
from labctl.agent.ends import Ends
from labctl.agent.telling import Teller
from labctl.errors import LabctlError

#: Leases count on boot time and a selector on monotonic time, which stands still while the machine sleeps. So no
#: sleep is longer than this while a lease is active, and a lease is at most this late after the machine wakes.
_NAP_S = 1.0
#: How long a client may take to read its reply.
_PATIENCE_S = 1.0
#: A change may be asked for so long before it is due.
_SOON_S = 1.0


class Server:
    """Listens in the agent's directory until it is told to stop, the guard dies or the lab is gone."""

    def __init__(self, agent: Agent, guard_fd: int, become_guard: Callable[[], int]) -> None:
        self._agent = agent
        self._guard_fd = guard_fd
        self._become_guard = become_guard
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, _Client] = {}
        self._owners: dict[str, int] = {}  # lease id -> pidfd
        #: Pid and pidfd of the processes beside the agent, that of the wire and that of published ports; what waits for it.
        self._beside: dict[str, tuple[tuple[int, int], int]] = {}
        self._generation = -1
        self._stopping = False
        self._listener = _listen(agent.place.agent_dir)
        self._selector.register(agent.nodes.fileno(), selectors.EVENT_READ, ("nodes", ""))
        self._selector.register(guard_fd, selectors.EVENT_READ, ("guard", ""))
        self._selector.register(agent.guarded.fileno(), selectors.EVENT_READ, ("guarded", ""))
        self._consoles = Consoles(agent.place)
        writing = self._consoles.fileno()
        if writing is not None:
            self._selector.register(writing, selectors.EVENT_READ, ("consoles", ""))
        self._ends = Ends(agent.place)
        listening = self._ends.fileno()
        if listening is not None:
            self._selector.register(listening, selectors.EVENT_READ, ("ends", ""))

    def run(self) -> int:
        """Exit status of the agent's process."""
        self._teller = Teller(self._agent)
        self._agent.tick()
        self._agent.start(self._agent.settle(), lambda _: self._open(), _raise)
        while not self._stopping:
            self._teller.look()
            self._register()
            self._watch_owners()
            self._watch_beside("wire", self._agent.cables.impairs.worker)
            self._watch_beside("publisher", self._agent.publishing.worker)
            self._ends.refresh()  # what this agent has started itself
            ready = [key.data for key, _ in self._selector.select(self._timeout())]
            self._ends.refresh()  # what others have, who ask us next
            if ("guard", "") in ready:
                return self._become_guard()
            self._handle(ready)
            self._agent.tick()
            self._consoles.tick()
            if not os.path.exists(self._agent.place.record_file):
                return guard.NOTHING_LEFT
        return guard.STOPPED

    def _handle(self, ready: Sequence[tuple[str, Any]]) -> None:
        """Everything that happened, in an order that answers nobody from what was."""
        nodes = [name for kind, name in ready if kind == "node" and name in self._agent.cables.light.watches]
        self._agent.refresh(nodes, panel=("panel", "") in ready)
        if ("ends", "") in ready:
            self._ends.read()
        if ("consoles", "") in ready:
            self._consoles.read()
        if ("guarded", "") in ready or self._agent.guarded.wrong:
            self._agent.guarded.refresh()
        if ("nodes", "") in ready:
            self._agent.collect()
        for kind, client in ready:
            if kind == "accept":
                self._accept()
            elif kind == "client" and client in self._clients:
                self._read(client)
        if ("wire", "") in ready:
            self._agent.wire_died()
        if ("publisher", "") in ready:
            self._agent.publishing.died()

    # -- what to wait for --------------------------------------------------------------------------------------

    def _timeout(self) -> float | None:
        wakes = [
            each for each in (self._agent.next_wake_s(), self._consoles.next_wake_s()) if each is not None
        ]
        return min(*wakes, _NAP_S) if wakes else None

    def _register(self) -> None:
        """Listen to the namespaces there are now."""
        if self._generation == self._agent.cables.light.generation:
            return
        self._generation = self._agent.cables.light.generation
        for key in list(self._selector.get_map().values()):
            if key.data[0] in ("node", "panel"):
                self._forget(key.fd)
        if self._agent.cables.light.panel is not None:
            self._wait_for(self._agent.cables.light.panel.fileno(), ("panel", ""))
        for node, watch in self._agent.cables.light.watches.items():
            self._wait_for(watch.fileno(), ("node", node))

    def _wait_for(self, fd: int, what: tuple[str, str]) -> int:
        """Wait for a descriptor that somebody else may close; the one to forget. It is a duplicate: the number of one that
        is closed is given to the next that is opened, while the selector has it still.
        """
        own = os.dup(fd)
        self._selector.register(own, selectors.EVENT_READ, what)
        return own

    def _forget(self, own: int) -> None:
        self._selector.unregister(own)
        os.close(own)

    def _watch_owners(self) -> None:
        """A pidfd becomes readable when its process ends: no lease outlives its owner until the next nap."""
        active = self._agent.ledger.active
        for lease_id in [each for each in self._owners if each not in active]:
            self._forget(self._owners.pop(lease_id))
        for lease in active.values():
            if lease.owner is not None and lease.id not in self._owners:
                with contextlib.suppress(ProcessLookupError):
                    fd = os.pidfd_open(lease.owner.pid)
                    self._owners[lease.id] = fd
                    self._selector.register(fd, selectors.EVENT_READ, ("owner", lease.id))

    def _watch_beside(self, name: str, wanted: tuple[int, int] | None) -> None:
        """What they serve is dead when they are, until somebody starts them again."""
        there, own = self._beside.get(name, (None, None))
        if wanted == there:
            return
        if own is not None:
            self._forget(own)
            del self._beside[name]
        if wanted is not None:
            self._beside[name] = wanted, self._wait_for(wanted[1], (name, ""))

    # -- requests ----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ, ("accept", ""))

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            client.settimeout(_PATIENCE_S)
            self._clients[client] = _Client()
            self._selector.register(client, selectors.EVENT_READ, ("client", client))

    def _drop(self, client: socket.socket) -> None:
        if self._clients.pop(client, None) is not None:
            self._selector.unregister(client)
            client.close()

    def _read(self, client: socket.socket) -> None:
        said = self._clients[client]
        try:
            data = client.recv(1 << 16)
        except OSError:
            data = b""
        if not data or len(said.rest) > protocol.LIMIT:
            self._drop(client)
            return
        *lines, said.rest = (said.rest + data).split(b"\n")
        said.lines += lines
        self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        """Begin the lines of a client, each when those before it are answered, or at least begun if these have tags."""
        said = self._clients.get(client)
        while said is not None and said.lines and not said.busy:
            self._answer(client, said, said.lines.popleft())
            said = self._clients.get(client)

    def _answer(self, client: socket.socket, said: _Client, line: bytes) -> None:
        tag: dict[str, Any] = {}

        def begun(request: Mapping[str, Any]) -> None:
            tag.update({"tag": request["tag"]} if "tag" in request else {})
            said.busy = not tag

        def reply(message: Mapping[str, Any]) -> None:
            said.busy = said.busy and bool(tag)
            self._stopping = self._stopping or message.get("stopping") is True
            if client in self._clients:
                try:
                    client.sendall(protocol.encode({**message, **tag}))
                except OSError:
                    self._drop(client)
            self._serve(client)

        answer(self._agent, line, reply, begun)


@dataclass(slots=True)
class _Client:
    """What a client said: lines that wait, and the beginning of the next. busy: it waits for a reply."""

    rest: bytes = b""
    lines: deque[bytes] = field(default_factory=deque)
    busy: bool = False


def _raise(error: Exception) -> None:
    raise error


def answer(
    agent: Agent,
    line: bytes,
    reply: Callable[[Mapping[str, Any]], None],
    begun: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> None:
    """Do what a line asks for and reply to it, now or when it is done; an error is a reply as well. `begun` gets the
    request before anything is done.
    """

    def failed(error: Exception) -> None:
        if isinstance(error, ValueError):  # from the codec: the request is not well formed
            error = LabctlError("bad-request", str(error))
        elif isinstance(error, OSError):
            error = LabctlError("effect-not-taken", f"the agent cannot do it: {error}")
        assert isinstance(error, LabctlError)
        reply(protocol.failure(error))

    try:
        request = protocol.decode(line)
        begun(request)
        handler = _HANDLERS.get(str(request.get("op")))
        if handler is None:
            raise LabctlError("bad-request", f"unknown request {request.get('op')!r}")  # noqa: TRY301
    except LabctlError as error:
        failed(error)
        return
    agent.start(handler(agent, request), lambda said: reply({"ok": True, **said}), failed)


def _listen(directory: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    with protocol.address(directory) as address:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)  # of an agent that was killed; the lock says that there is no other
        listener.bind(address)
    listener.listen(64)
    return listener


def _at_once(
    do: Callable[[Agent, Mapping[str, Any]], dict[str, Any]],
) -> Callable[[Agent, Mapping[str, Any]], Work[dict[str, Any]]]:
    """A handler of a request that never waits."""

    def work(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
        yield from ()
        return do(agent, request)

    return work


def _status(agent: Agent, _: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "lab": agent.record.lab.name,
        "since": agent.since.to_json(),
        "active": len(agent.ledger.active),
        "watched": len(agent.cables.light.watches),
        "corrections": agent.cables.light.corrections,
        "off_base": agent.wrong(),
        "unpublished": agent.publishing.wrong,
    }


def _add(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
    asked = _asked(request)
    changed = yield from agent.add(asked, codec.parse_owner(request.get("owner")))
    return {"lease": _lease(changed.leases[0]), "readings": [r.to_json() for r in changed.readings]}


def _change(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
    begin, end = request.get("begin"), request.get("end")
    if not isinstance(begin, list) or not isinstance(end, list) or not all(isinstance(i, str) for i in end):
        raise ValueError("begin or end is not a list")
    asked = [_asked(each) for each in begin]
    also = codec.parse_resources(request.get("also"))
    owner = codec.parse_owner(request.get("owner"))
    changed = yield from agent.change(asked, end, owner, also, at=_soon(request))
    return {"readings": [r.to_json() for r in changed.readings], "refused": dict(changed.refused)}


def _soon(request: Mapping[str, Any]) -> float:
    """When a change is due by the monotonic clock. Nobody else is served while it is waited for, so it must be near."""
    at = codec.number(request, "at") if "at" in request else 0.0
    if at > time.monotonic() + _SOON_S:
        raise ValueError("at is too far ahead")
    return at


def _asked(value: Any) -> Asked:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise ValueError("id is missing or not a text")  # noqa: TRY004  (one error type for all bad input)
    effects = codec.parse_effects(value["id"], value.get("effects"))
    return Asked(
        id=value["id"],
        effects=effects,
        lease_s=codec.number(value, "lease_s"),
        windows=codec.parse_windows(value.get("windows"), len(effects)),
        about=str(value.get("about") or ""),
    )


def _prepare(agent: Agent, request: Mapping[str, Any]) -> dict[str, Any]:
    agent.prepare(codec.parse_effects("", request.get("effects")))
    return {}


def _look(agent: Agent, request: Mapping[str, Any]) -> dict[str, Any]:
    return {"looks": looking.look(agent, codec.texts(request, "ids"))}


def _clear(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
    lease_id = request.get("id")
    ids = list(agent.ledger.active) if lease_id is None else [str(lease_id)]
    found = [each for each in ids if each in agent.ledger.active]
    readings = yield from agent.clear(found, "request")
    return {"cleared": found, "readings": [r.to_json() for r in readings]}


def _list(agent: Agent, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"leases": [_lease(lease) for lease in agent.ledger.active.values()]}


def _lease(lease: Lease) -> dict[str, Any]:
    return codec.lease(lease) | {"remaining_s": round(max(0.0, lease.deadline_boot - clock.now().boot), 3)}


def _sync(agent: Agent, _: Mapping[str, Any]) -> Work[dict[str, Any]]:
    return {"put_back": (yield from agent.sync())}


def _adopt(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
    nodes, renewed = (codec.texts(request, key) for key in ("nodes", "renewed"))
    return {"ended": (yield from agent.adopt(nodes, renewed))}


def _heal(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
    return (yield from agent.heal(everything=request.get("all") is True))


def _unplug(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
    readings = yield from agent.unplug(str(request.get("node")), codec.number(request, "lease_s"))
    return {"readings": [r.to_json() for r in readings]}


def _replug(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
    readings = yield from agent.replug(str(request.get("node")))
    return {"readings": [r.to_json() for r in readings]}


def _relimit(agent: Agent, request: Mapping[str, Any]) -> Work[dict[str, Any]]:
    readings = yield from agent.relimit(str(request.get("node")))
    return {"readings": [r.to_json() for r in readings]}


def _stop(_: Agent, __: Mapping[str, Any]) -> dict[str, Any]:
    return {"stopping": True}


_HANDLERS: Mapping[str, Callable[[Agent, Mapping[str, Any]], Work[dict[str, Any]]]] = {
    "status": _at_once(_status),
    "effects.add": _add,
    "effects.change": _change,
    "effects.clear": _clear,
    "effects.list": _at_once(_list),
    "effects.look": _at_once(_look),
    "effects.prepare": _at_once(_prepare),
    "adopt": _adopt,
    "sync": _sync,
    "heal": _heal,
    "unplug": _unplug,
    "replug": _replug,
    "relimit": _relimit,
    "stop": _at_once(_stop),
}
