"""How processes end that are not our children: the kernel's process events, of which only exits are read.

A node's first process outlives the command that started it, so nobody who cares is its parent, and the status that it
ends with goes to the machine's init alone. The process connector (CONFIG_PROC_EVENTS) tells it to whoever listens from
the machine's first namespaces. A socket filter in the kernel lets through only the processes asked for, so a machine
that ends thousands of others wakes nobody.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from labctl.linux.closing import Closing

NETLINK_CONNECTOR = 11
NLMSG_DONE = 3
CN_IDX_PROC, CN_VAL_PROC = 1, 1
MCAST_LISTEN, MCAST_IGNORE = 1, 2
PROC_EVENT_EXIT = 0x80000000
SO_RCVBUFFORCE = 33
SO_ATTACH_FILTER = 26

#: Inodes of the first namespaces (PROC_PID_INIT_INO and PROC_USER_INIT_INO of the kernel's proc_ns.h).
_FIRST = {"pid": 0xEFFFFFFC, "user": 0xEFFFFFFD}
_BUFFER = 4 << 20
_HEADER = struct.Struct("=IHHIIIIIIHH")  # nlmsghdr, cn_msg
_EVENT = struct.Struct("=IIQIII")  # what, cpu, time; pid, thread group, status
_WHAT, _PID, _GROUP = _HEADER.size, _HEADER.size + 16, _HEADER.size + 20
#: Two instructions a process; the kernel takes 4096. More than these and every exit is let through.
_MOST = 2000
_LOAD, _JUMP_IF, _JUMP_IF_X, _TO_X, _RETURN = 0x20, 0x15, 0x1D, 0x07, 0x06


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A process has ended. `code` as a shell says it: 128 and the signal's number if one killed it."""

    pid: int
    code: int
    wall_s: float


class Exits(Closing):
    """Exits of these processes from now on (None: of all), in the order in which they happened.

    OSError where the kernel has no process events or does not tell this process (not in its first namespaces).
    """

    def __init__(self, pids: Collection[int] | None = None) -> None:
        if not _first_namespaces():
            # The kernel ignores our request without a word, and what others asked for arrives with their numbers.
            raise OSError(errno.EPERM, "process events are told in the machine's first namespaces only")
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_CONNECTOR)
        try:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _BUFFER)
            self.only(pids)
            self._socket.bind((0, CN_IDX_PROC))
            self._say(MCAST_LISTEN)
        except BaseException:
            self._socket.close()
            raise

    def only(self, pids: Collection[int] | None) -> None:
        """Let through these from now on; what has arrived already stays."""
        code = _filter(pids)
        buffer = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("HP", len(code) // 8, ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def read(self) -> list[Exit]:
        """What has happened since the last call. Where events were lost (ENOBUFS) the rest is read."""
        found: list[Exit] = []
        while True:
            try:
                data = self._socket.recv(4096)
            except BlockingIOError:
                return found
            except OSError:  # ENOBUFS: some were lost; whose exit that was stays unknown
                continue
            found += _exits(data)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        with contextlib.suppress(
            OSError
        ):  # kernels before 6.6 count listeners, and count down only when told
            self._say(MCAST_IGNORE)
        self._socket.close()

    def _say(self, operation: int) -> None:
        size = _HEADER.size + 4
        header = _HEADER.pack(size, NLMSG_DONE, 0, 0, os.getpid(), CN_IDX_PROC, CN_VAL_PROC, 0, 0, 4, 0)
        self._socket.send(header + struct.pack("=I", operation))


def _first_namespaces() -> bool:
    return all(os.stat(f"/proc/self/ns/{kind}").st_ino == number for kind, number in _FIRST.items())


def _exits(data: bytes) -> Iterator[Exit]:
    if len(data) < _HEADER.size + _EVENT.size:
        return
    what, _, at_ns, pid, group, status = _EVENT.unpack_from(data, _HEADER.size)
    if what != PROC_EVENT_EXIT or pid != group:
        return
    code = os.waitstatus_to_exitcode(status)
    ago = time.monotonic() - at_ns / 1e9
    yield Exit(pid=pid, code=code if code >= 0 else 128 - code, wall_s=time.time() - ago)


def _filter(pids: Collection[int] | None) -> bytes:
    """A classic BPF program: exits of processes (not threads), and of these only. It loads in network byte order."""
    one = struct.Struct("HBBI")
    drop = [one.pack(_RETURN, 0, 0, 0)]
    take = [one.pack(_RETURN, 0, 0, 0xFFFFFFFF)]
    listed: list[bytes] = []
    for pid in pids if pids is not None and len(pids) <= _MOST else ():
        listed += [one.pack(_JUMP_IF, 0, 1, socket.htonl(pid)), *take]
    head = [
        one.pack(_LOAD, 0, 0, _WHAT),
        one.pack(_JUMP_IF, 1, 0, socket.htonl(PROC_EVENT_EXIT)),
        *drop,
        one.pack(_LOAD, 0, 0, _GROUP),
        one.pack(_TO_X, 0, 0, 0),
        one.pack(_LOAD, 0, 0, _PID),
        one.pack(_JUMP_IF_X, 1, 0, 0),
        *drop,
    ]
    rest = take if pids is None or len(pids) > _MOST else [*listed, *drop]
    return b"".join((*head, *rest))
