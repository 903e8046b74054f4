"""The helper that creates containers: `python -m labctl.runtime.docker_create SOCKET`, a request a line, an answer a line.

A request that an engine has begun is finished, whatever becomes of the one who asked. If labctl itself asked, a `kill -9`
in that moment would leave a container that appears after whoever cleans up has looked. So a helper asks, which has the
lab's lock by inheritance and holds it until the engine has answered: nobody looks before. Only creating needs it: what is
asked of a container that was removed is refused.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from labctl.linux import proc
from labctl.runtime import docker_engine


def main(path: str) -> int:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its starter's Ctrl-C is no reason to leave things half-way
    for line in sys.stdin:
        asked = json.loads(line)
        target = f"/v{docker_engine.API}/containers/create?name={quote(asked['name'], safe='')}"
        try:
            status, body = docker_engine.call(path, "POST", target, asked["body"])
            answer = {"status": status, **json.loads(body)}
        except (OSError, HTTPException, ValueError) as error:
            answer = {"status": 0, "message": str(error)}
        try:
            print(json.dumps(answer), flush=True)
        except BrokenPipeError:
            return 1
    return 0


class Creator:
    """One such helper, and the one thread that may use it. `keep`: descriptors that it inherits."""

    def __init__(self, url: str, keep: Sequence[int]) -> None:
        self._url = url
        argv = [sys.executable, "-m", __name__, docker_engine.socket_path(url)]
        self._process = proc.start_talking(argv, keep=keep)

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container; its id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"name": name, "body": body}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line or '{"status": 0, "message": "the helper was killed"}')
        if answer["status"] == 0:
            raise docker_engine.unreachable(self._url, OSError(answer["message"]))
        if answer["status"] != 201:
            raise docker_engine.refused("create the container", answer["message"])
        return str(answer["Id"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(docker_engine.PATIENCE_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        finally:
            self._process.stdout.close()


class Creators:
    """As many helpers as threads ask for one; a context manager."""

    def __init__(self, url: str, keep: Sequence[int]) -> None:
        self._url = url
        self._keep = tuple(keep)
        self._mine = threading.local()
        self._all: list[Creator] = []

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container; its id. The engine's refusal is `engine-refused`."""
        creator: Creator | None = getattr(self._mine, "creator", None)
        if creator is None:
            creator = self._mine.creator = Creator(self._url, self._keep)
            self._all.append(creator)
        return creator.create(name, body)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for creator in self._all:
            creator.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
