"""Trying something in namespaces of its own, in a process of its own, so that trying leaves nothing behind.

The kernel is asked by doing, not by reading version numbers: a child process gets fresh network and mount namespaces,
does the thing, and says in one line what it saw. Whatever it made dies with it, also when it hangs and is killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass

from labctl.linux import mounts, netns

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Did it work, and what was seen or what the kernel said."""

    ok: bool
    said: str


def attempt(work: Callable[[], str], *, timeout_s: float = 10.0, also: int = 0) -> Tried:
    """Run `work` in new network and mount namespaces (`also`: and these). What it raises is what it says."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _child(work, writer, also)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], timeout_s)
        said = _read_all(reader) if ready else b""
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not ready:
        return Tried(ok=False, said=f"no answer within {timeout_s:g} s")
    if not said:
        return Tried(ok=False, said="the attempt was killed")
    ok, text = json.loads(said)
    return Tried(ok=ok, said=text)


def here(work: Callable[[], str]) -> Tried:
    """The same without namespaces, for what is looked at and not made."""
    try:
        return Tried(ok=True, said=work())
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        return Tried(ok=False, said=reason(error))


def reason(error: BaseException) -> str:
    """One line that a person can act on."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _child(work: Callable[[], str], writer: int, also: int) -> None:
    try:
        netns.unshare(netns.CLONE_NEWNET | CLONE_NEWNS | also)
        mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_PRIVATE)
        answer = [True, work()]
    except BaseException as error:  # noqa: BLE001  (never return into the interpreter of the parent)
        answer = [False, reason(error)]
    os.write(writer, json.dumps(answer).encode())
    os._exit(0)


def _read_all(fd: int) -> bytes:
    found = b""
    while chunk := os.read(fd, 65536):
        found += chunk
    return found
