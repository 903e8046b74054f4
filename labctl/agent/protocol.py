"""What is said on the agent's socket: one JSON object a line, a request and its reply.

    {"version": 1, "op": "effects.add", "id": "cut-1", "lease_s": 60, "effects": [...], "owner": null}
    {"version": 1, "ok": true, ...}
    {"version": 1, "ok": false, "error": {"code": "effect-not-taken", "message": "...", "hint": "..."}}

Requests of one connection are done one after the other. One with a `tag` is only *begun* in its turn: its reply carries
the tag and comes when it is done, before or after those of others.

Versions must be equal: client and agent come from one installation, and a client that finds an agent of another
version restarts it. The socket lies in the lab's directory, whose path may be longer than the 108 bytes of a socket
address; both sides therefore name it through a descriptor of its directory.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from labctl.errors import CODES, LabctlError

VERSION = 1
SOCKET = "sock"
#: A request or reply longer than this is refused: 1 MiB holds the effects of thousands of cables.
LIMIT = 1 << 20


def encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps({"version": VERSION, **message}, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The object on a line, of our version; `bad-request` otherwise."""
    try:
        message = json.loads(line)
    except ValueError as error:
        raise LabctlError("bad-request", f"not a line of JSON: {error}") from error
    if not isinstance(message, dict):
        raise LabctlError("bad-request", "not a JSON object")
    if message.get("version") != VERSION:
        raise LabctlError(
            "bad-request",
            f"protocol version {message.get('version')!r} is not {VERSION}",
            hint="`labctl heal` restarts the agent with the version that is installed",
        )
    return message


def failure(error: LabctlError) -> dict[str, Any]:
    """The reply that carries an error."""
    return {"ok": False, "error": {"code": error.code, "message": error.message, "hint": error.hint}}


def raised(reply: Mapping[str, Any]) -> LabctlError:
    """The error that a reply carries."""
    said = reply.get("error") or {}
    code = said.get("code")
    if code not in CODES:
        return LabctlError("bug", f"the agent replied {reply!r}")
    return LabctlError(code, str(said.get("message")), hint=said.get("hint"))


@contextlib.contextmanager
def address(directory: str) -> Iterator[str]:
    """A socket address of `sock` in `directory`, short however long the directory's path is."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)
