"""A web client inside a node: one GET after another, each on a connection of its own.

What a user of the network sees: the time from the first SYN to the last byte of the answer. A request that gets no
full answer within `late_s`, is refused, or answers with an error status is lost, with the reason. Requests start on
time whether or not earlier ones still hang, so an outage is seen at the probe's pace and not at TCP's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time
from dataclasses import dataclass

from labctl.linux import netns
from labctl.model.measure import Series
from labctl.probes.sampler import Book

MAX_ANSWER = 1 << 20  # bytes read of an answer; a probe is not a download


@dataclass(slots=True)
class _Request:
    seq: int
    socket: socket.socket
    started: float
    sent: bool = False
    answer: bytes = b""
    size: int = 0


class HttpFlow:
    """GET http://`address`:`port``path` from the namespace at `ns_path`. For a `Sampler`."""

    def __init__(
        self,
        ns_path: str,
        address: str,
        *,
        subject: str,
        port: int = 80,
        path: str = "/",
        host: str | None = None,
        late_s: float = 1.0,
    ) -> None:
        self.series = Series(subject=subject, metric="http", unit="s")
        self.book = Book()
        self._ns_path = ns_path
        self._to = (address, port)
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        name = host or (f"[{address}]" if self._family == socket.AF_INET6 else address)
        self._text = (
            f"GET {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: labctl\r\nConnection: close\r\n\r\n"
        ).encode()
        self._late_s = late_s
        self._open: dict[int, _Request] = {}
        self._selector: selectors.BaseSelector | None = None

    def open(self, selector: selectors.BaseSelector) -> None:
        """Prove that a socket can be opened there, before the run counts on it."""
        netns.socket_in(self._ns_path, self._family, socket.SOCK_STREAM, 0).close()
        self._selector = selector

    def send(self, seq: int) -> None:
        self._expire()
        self.book.sent[seq] = started = time.monotonic()
        sock = netns.socket_in(self._ns_path, self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 0)
        request = _Request(seq, sock, started)
        self._open[seq] = request
        code = sock.connect_ex(self._to)
        if code not in (0, errno.EINPROGRESS):
            self._lost(request, os.strerror(code).lower())
            return
        assert self._selector is not None
        self._selector.register(sock, selectors.EVENT_WRITE, lambda: self._ready(request))

    def close(self) -> None:
        for request in list(self._open.values()):
            self._end(request)

    def _ready(self, request: _Request) -> None:
        code = request.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._lost(request, os.strerror(code).lower())
            return
        try:
            if request.sent:
                self._read(request)
            else:
                request.socket.send(self._text)
                request.sent = True
                assert self._selector is not None
                self._selector.modify(request.socket, selectors.EVENT_READ, lambda: self._ready(request))
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(request, os.strerror(error.errno or 0).lower())

    def _read(self, request: _Request) -> None:
        data = request.socket.recv(1 << 16)
        request.size += len(data)
        request.answer += data[: 64 - len(request.answer)] if len(request.answer) < 64 else b""
        if data and request.size < MAX_ANSWER:
            return
        status = request.answer.split(b" ", 2)[1:2]
        if not request.answer.startswith(b"HTTP/") or not status:
            self._lost(request, "no answer")
        elif status[0][:1] not in (b"2", b"3"):
            self._lost(request, f"status {status[0].decode(errors='replace')}")
        else:
            self.book.answered(request.seq, time.monotonic() - request.started)
            self._end(request)

    def _expire(self) -> None:
        horizon = time.monotonic() - self._late_s
        for request in [r for r in self._open.values() if r.started < horizon]:
            self._lost(request, "no answer in time")

    def _lost(self, request: _Request, why: str) -> None:
        self.book.error[request.seq] = why
        self._end(request)

    def _end(self, request: _Request) -> None:
        self._open.pop(request.seq, None)
        if self._selector is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(request.socket)
        request.socket.close()
