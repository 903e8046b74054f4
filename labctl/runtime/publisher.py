"""The process that serves a lab's published ports: `python -m labctl.runtime.publisher`, started by the agent.

It gets the listening sockets from the agent, and on its input one line that says where each of them leads. For every
connection (for UDP: every sender) it opens a socket inside the node's namespace and passes on what either side says,
until both have ended. It ends when its input does: nobody has to find and stop it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from labctl.linux import netns

_CHUNK = 1 << 16
#: A sender of datagrams that was silent for this long, in both directions, is forgotten.
_IDLE_S = 60.0
_MOST_FLOWS = 1024


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a socket of the machine leads."""

    namespace: str
    address: str
    port: int

    def socket(self, kind: int) -> socket.socket:
        family = socket.AF_INET6 if ipaddress.ip_address(self.address).version == 6 else socket.AF_INET
        found = netns.socket_in(self.namespace, family, kind)
        found.setblocking(False)
        return found


def main() -> int:
    """Serve until the input ends."""
    told = sys.stdin.buffer.readline()
    asyncio.run(_serve(json.loads(told)))
    return 0


async def _serve(doors: list[dict[str, Any]]) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(0, lambda: None if os.read(0, _CHUNK) else over.set())
    async with contextlib.AsyncExitStack() as stack:
        for door in doors:
            way = _Way(door["namespace"], door["address"], door["port"])
            inner = socket.socket(fileno=door["fd"])
            if door["protocol"] == "tcp":
                await stack.enter_async_context(await asyncio.start_server(_through(way), sock=inner))
            else:
                stack.callback(_Datagrams(inner, way).close)
        await over.wait()
        os._exit(0)  # connections that are open end with us


def _through(way: _Way) -> Any:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner = way.socket(socket.SOCK_STREAM)
            await asyncio.get_running_loop().sock_connect(inner, (way.address, way.port))
            answers, asks = await asyncio.open_connection(sock=inner)
        except OSError:  # nobody listens there now
            writer.transport.abort()
            return
        await asyncio.gather(_pass_on(reader, asks), _pass_on(answers, writer))
        for each in (asks, writer):
            each.close()

    return connected


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Until the source has nothing more to say; then the target is told so, and may go on itself."""
    try:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()
    except OSError:
        target.transport.abort()


@dataclass(slots=True)
class _Flow:
    inner: socket.socket
    heard: float = field(default_factory=time.monotonic)


class _Datagrams:
    """One published UDP port: a socket inside for each sender."""

    def __init__(self, outer: socket.socket, way: _Way) -> None:
        self._outer = outer
        self._way = way
        self._flows: dict[Any, _Flow] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(outer, self._from_outside)
        self._loop.call_later(_IDLE_S / 2, self._forget)

    def close(self) -> None:
        self._loop.remove_reader(self._outer)
        for sender in list(self._flows):
            self._end(sender)

    def _from_outside(self) -> None:
        with contextlib.suppress(OSError):
            data, sender = self._outer.recvfrom(_CHUNK)
            flow = self._flows.get(sender) or self._begin(sender)
            flow.heard = time.monotonic()
            flow.inner.send(data)

    def _begin(self, sender: Any) -> _Flow:
        if len(self._flows) >= _MOST_FLOWS:
            self._end(min(self._flows, key=lambda each: self._flows[each].heard))
        flow = _Flow(self._way.socket(socket.SOCK_DGRAM))
        flow.inner.connect((self._way.address, self._way.port))
        self._flows[sender] = flow
        self._loop.add_reader(flow.inner, self._from_inside, sender)
        return flow

    def _from_inside(self, sender: Any) -> None:
        flow = self._flows[sender]
        with contextlib.suppress(OSError):  # nobody listens there: the sender hears nothing, as on the way
            data = flow.inner.recv(_CHUNK)
            flow.heard = time.monotonic()
            self._outer.sendto(data, sender)

    def _forget(self) -> None:
        before = time.monotonic() - _IDLE_S
        for sender in [each for each, flow in self._flows.items() if flow.heard < before]:
            self._end(sender)
        self._loop.call_later(_IDLE_S / 2, self._forget)

    def _end(self, sender: Any) -> None:
        flow = self._flows.pop(sender)
        self._loop.remove_reader(flow.inner)
        flow.inner.close()


if __name__ == "__main__":
    sys.exit(main())
