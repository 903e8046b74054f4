"""Changes of a namespace, as the kernel tells of them.

An event means only "read again": what it says may be over by the time it is read.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Container
from dataclasses import dataclass

from labctl.linux import netns
from labctl.linux.netlink import Link, link_of
from labctl.linux.rtnl import (
    NETLINK_ROUTE,
    RTM_DELLINK,
    RTM_NEWLINK,
    RTMGRP_ADDRESSES,
    RTMGRP_LINK,
    SO_RCVBUFFORCE,
    messages,
)


class Overrun(Exception):  # noqa: N818  (a condition to handle, not a failure)
    """Events were lost (ENOBUFS): dump the state and go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEvent:
    """A device appeared or changed, or (`gone`) was removed."""

    gone: bool
    link: Link


class LinkEvents:
    """Changes of the devices of one namespace, as they happen. `fileno` is for a selector.

    An event means only "read again"; after `Overrun` the listener has to dump.
    """

    def __init__(self, path: str | None = None, *, buffer_bytes: int = 1 << 20) -> None:
        self._socket = netns.socket_in(path, socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
        self._socket.setblocking(False)
        self._socket.bind((0, RTMGRP_LINK))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> list[LinkEvent]:
        """Everything that waits, without blocking; Overrun when the kernel had to drop some."""
        events: list[LinkEvent] = []
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                return events
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise Overrun from error
                raise
            events += [
                LinkEvent(gone=kind == RTM_DELLINK, link=link_of(payload))
                for kind, _, _, payload in messages(data)
                if kind in (RTM_NEWLINK, RTM_DELLINK)
            ]


class Changes:
    """Says only that something changed in a namespace: addresses, or what `protocol` and `groups` name.

    For readers that dump, so that nothing in an event needs to be understood and none can be missed: a subscription is
    there before the first dump, and lost events are a change like any other.
    """

    def __init__(
        self, path: str | None = None, *, protocol: int = NETLINK_ROUTE, groups: int = RTMGRP_ADDRESSES
    ) -> None:
        self._socket = netns.socket_in(path, socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.setblocking(False)
        self._socket.bind((0, groups))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def drain(self, kinds: Container[int] | None = None) -> bool:
        """Read all that waits; whether any of it was of these kinds (None: of any), or may have been."""
        found = False
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found = True
            else:
                found = found or any(kinds is None or kind in kinds for kind, _, _, _ in messages(data))
