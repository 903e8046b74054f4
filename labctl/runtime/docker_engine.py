"""A Docker engine of this machine, and what can go wrong with one as labctl's own errors.

Nothing else knows the SDK. Whatever happens on the way is one of two things: nobody answers (`engine-unreachable`; it may
be dead, hung, or have died in the middle), or the engine answers that it does not do it (`engine-refused`, with its own
words). An engine elsewhere is of no use: labctl wires namespaces of this kernel, so only unix sockets are taken.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from labctl.errors import LabctlError

if TYPE_CHECKING:
    from docker import APIClient

DEFAULT = "unix:///var/run/docker.sock"
#: What 20.10 speaks, and every engine since: the first with cgroup namespaces.
API = "1.41"
#: An engine that has been given this long and has not answered is hung; a busy one starts a container in two seconds.
PATIENCE_S = 120.0
PING_S = 3.0
REMOVED_S = 60.0
#: So much is asked of it at one time. It is slow and not at its limit with one: 4 containers/s with one, 7/s with eight on two cores.
WORKERS = 8


def address() -> str:
    """Where the engine is: `DOCKER_HOST`, else the usual socket."""
    return os.environ.get("DOCKER_HOST") or DEFAULT


def socket_path(url: str) -> str:
    """The path of the engine's socket; `engine-unfit` for one that is reached over a network."""
    scheme, _, path = url.partition("://")
    if scheme != "unix":
        raise LabctlError(
            "engine-unfit",
            f"the Docker engine at {url} may be on another machine; labs need one of this machine",
            hint="DOCKER_HOST=unix:///var/run/docker.sock names its socket",
        )
    return path


def answers(url: str) -> str:
    """Its version if an engine answers there; `engine-unreachable` with the reason if none does.

    Needs no SDK, so that a machine without an engine pays nothing for the question.
    """
    path = socket_path(url)
    try:
        status, body = call(path, "GET", "/version", timeout_s=PING_S)
        said: Mapping[str, Any] = json.loads(body)
        if status != 200:
            raise OSError(said.get("message", f"status {status}"))  # noqa: TRY301
    except (OSError, HTTPException, ValueError) as error:
        raise unreachable(url, error) from error
    newest = tuple(int(part) for part in str(said["ApiVersion"]).split("."))
    if newest < tuple(int(part) for part in API.split(".")):
        raise LabctlError(
            "engine-unfit",
            f"the Docker engine at {url} is {said['Version']}, which is too old for labs",
            hint="install Docker 20.10 or later",
        )
    return str(said["Version"])


def call(
    path: str, method: str, target: str, body: Any = None, *, timeout_s: float = PATIENCE_S
) -> tuple[int, bytes]:
    """One request to the engine at this socket: status and answer."""
    connection = _Connection(path, timeout_s)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class _Connection(HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def unreachable(url: str, error: BaseException) -> LabctlError:
    """Nobody answers there."""
    return LabctlError(
        "engine-unreachable",
        f"no Docker engine answers at {url}: {_reason(error)}",
        hint="`systemctl start docker` starts it; DOCKER_HOST names another socket; `--runtime runc` needs none",
    )


#: How many events an engine remembers.
REMEMBERED = 256


class Engine:
    """A connection to one engine; a context manager. Safe to use from several threads."""

    def __init__(self, url: str, *, timeout_s: float | None = PATIENCE_S) -> None:
        import docker

        socket_path(url)
        self.url = url
        with self._told("connect"):
            self._client: APIClient = docker.APIClient(base_url=url, version=API, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    # -- containers --------------------------------------------------------------------------------------------

    def containers(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Every container with all of these labels (`key` or `key=value`), in whatever state, as the engine lists them."""
        with self._told("list its containers"):
            found: list[dict[str, Any]] = self._client.containers(
                all=True, filters={"label": list(labels)} if labels else None
            )
        return found

    def inspect(self, container: str) -> dict[str, Any] | None:
        """What the engine knows of a container, by name or id; None if it has none of that name."""
        found: dict[str, Any] | None = None
        with self._told(f"look at container {container}"), _absent():
            found = self._client.inspect_container(container)
        return found  # noqa: RET504  (the block may end early)

    def start(self, container: str) -> None:
        """Start it; nothing to do if it runs. The engine's refusal is `engine-refused`."""
        with self._told("start the container"):
            self._client.start(container)

    def wait(self, container: str, *, timeout_s: float = PATIENCE_S) -> None:
        """Until the engine has noticed that it runs no more; one that is gone runs no more."""
        with self._told(f"see container {container} end"), _absent():
            self._client.wait(container, timeout=timeout_s, condition="not-running")

    def kill(self, container: str) -> None:
        """End its processes; one that does not run, or is gone, has none."""
        with self._told(f"end container {container}"), _absent(), _conflict():
            self._client.kill(container)

    def limit(self, container: str, limits: Mapping[str, int]) -> None:
        """Have it limited so, now and whenever it is started."""
        target = f"/v{API}/containers/{container}/update"
        with self._told("limit the container"):
            status, answer = call(socket_path(self.url), "POST", target, dict(limits))
        if status != 200:
            raise refused("limit the container", said(answer))

    def remove(self, container: str) -> None:
        """Remove it with its anonymous volumes, running or not; also if somebody else is removing it right now."""
        with self._told(f"remove container {container}"), _absent(), _conflict():
            self._client.remove_container(container, v=True, force=True)

    def remove_all(self, labels: Sequence[str]) -> None:
        """Remove every container with all of these labels, in whatever state, also one that appears meanwhile."""
        deadline = time.monotonic() + REMOVED_S
        while found := self.containers(labels):
            with ThreadPoolExecutor(WORKERS, thread_name_prefix="remove") as pool:
                list(pool.map(lambda each: self.remove(each["Id"]), found))
            if time.monotonic() > deadline:
                names = ", ".join(sorted(each["Names"][0].strip("/") for each in found))
                raise LabctlError("engine-refused", f"Docker does not remove {names}")

    def free_name(self, container: str) -> None:
        """Have it forget the place in its network `none` of a container of this name that is gone; nothing to do if it has.

        An engine whose disk is full removes a container and keeps that, and then starts no other of the name.
        """
        with self._told(f"forget container {container}"), _absent(), _conflict():
            self._client.disconnect_container_from_network(container, "none", force=True)

    def last_line(self, container: str) -> str:
        """The last line that the container printed."""
        raw = b""
        with self._told(f"read the log of container {container}"), _absent():
            raw = self._client.logs(container, tail=5)
        lines = [line.strip() for line in raw.decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")

    def output(
        self, container: str, *, since_s: float | None, tail: int | None, follow: bool
    ) -> Iterator[bytes]:
        """What the container printed since then, of that the last lines; with follow until it ends or is removed."""
        with self._told(f"read the log of container {container}"), _absent():
            yield from self._client.logs(
                container,
                stream=True,
                follow=follow,
                since=since_s,
                tail="all" if tail is None else tail,
            )

    def files(self, container: str, path: str) -> bytes | None:
        """A path of a container, also of one that never ran, as a tar archive; None if it has none."""
        found: bytes | None = None
        with self._told(f"read {path} of container {container}"), _absent():
            stream, _ = self._client.get_archive(container, path)
            found = b"".join(stream)
        return found  # noqa: RET504  (the block may end early)

    def has(self, container: str, path: str) -> bool:
        """Whether a container, also one that never ran, has this path."""
        target = f"/v{API}/containers/{container}/archive?path={quote(path)}"
        with self._told(f"look at {path} of container {container}"):
            status, _ = call(socket_path(self.url), "HEAD", target)
        return status == 200

    def events(self, *, since: str, container: str = "", kinds: Sequence[str] = ()) -> list[dict[str, Any]]:
        """What it remembers of what happened since then (seconds since 1970), of one container and of these kinds if they are
        named. It remembers the last `REMEMBERED` events, and none from before it was started.
        """
        filters = {"type": ["container"], "container": [container], "event": list(kinds)} if container else {}
        query = f"since={since}&until={time.time():.6f}&filters={quote(json.dumps(filters))}"
        with self._told("tell what happened"):
            status, answer = call(socket_path(self.url), "GET", f"/v{API}/events?{query}")
        if status != 200:
            raise refused("tell what happened", said(answer))
        return [json.loads(line) for line in answer.splitlines() if line.strip()]

    # -- images ------------------------------------------------------------------------------------------------

    def image(self, ref: str) -> dict[str, Any] | None:
        """What the engine knows of an image; None if it does not have it."""
        found: dict[str, Any] | None = None
        with self._told(f"look at image {ref}"), _absent():
            found = self._client.inspect_image(ref)
        return found  # noqa: RET504  (the block may end early)

    def load(self, ref: str, tree: Any, changes: Sequence[str]) -> None:
        """Make an image `ref` of a tar stream with the instructions of a Dockerfile that describe it."""
        name, _, tag = ref.rpartition(":")
        with self._told(f"take in image {ref}"):
            answer = self._client.import_image(
                src=tree, repository=name, tag=tag, changes=list(changes), stream_src=True
            )
        for line in str(answer).splitlines():
            said = json.loads(line) if line.strip() else {}
            if "error" in said:
                raise LabctlError("engine-refused", f"Docker does not take in image {ref}: {said['error']}")

    def pull(self, ref: str) -> None:
        """Fetch an image from the registry that `ref` names."""
        what = f"pull image {ref}"
        with self._told(what):
            for line in self._client.pull(ref, stream=True, decode=True):
                if "error" in line:
                    raise refused(what, line["error"])

    def drop_image(self, ref: str) -> None:
        """Remove an image of this name, if there is one that nothing uses."""
        with self._told(f"remove image {ref}"), _absent(), _conflict():
            self._client.remove_image(ref)

    # -- the engine --------------------------------------------------------------------------------------------

    def information(self) -> dict[str, Any]:
        """What the engine says of itself."""
        with self._told("say what it is"):
            found: dict[str, Any] = self._client.info()
        return found

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container; its id."""
        with self._told("create the container"):
            return str(self._client.create_container_from_config(dict(body), name)["Id"])

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except _Gone:
            return
        except APIError as error:
            raise refused(what, error.explanation or str(error)) from error
        except (DockerException, RequestException, HTTPError, HTTPException, OSError) as error:
            raise unreachable(self.url, error) from error


def refused(what: str, said: str) -> LabctlError:
    """The engine's own words, without the names of the programs that handed them up."""
    return LabctlError("engine-refused", f"Docker does not {what}: {plain(said)}")


def said(answer: bytes) -> str:
    """What an engine's answer says of why it is no other."""
    return str(json.loads(answer)["message"])


def plain(said: str) -> str:
    """What a chain of programs says in the end.

    >>> plain("OCI runtime create failed: runc create failed: unable to start container process: exec: no: unknown")
    'exec: no'
    """
    text = " ".join(str(said).split()).removesuffix(": unknown")
    for mark in ("unable to start container process: ", "OCI runtime create failed: "):
        before, found, after = text.rpartition(mark)
        if found:
            return after
        text = before or text
    return text


class _Gone(Exception):  # noqa: N818  (a condition to handle)
    """There is no such thing; the caller's block is over."""


@contextlib.contextmanager
def _absent() -> Iterator[None]:
    from docker.errors import NotFound

    try:
        yield
    except NotFound as error:
        raise _Gone from error


@contextlib.contextmanager
def _conflict() -> Iterator[None]:
    """Somebody is at it, or it is in that state already: what was asked for is so, or will be."""
    from docker.errors import APIError

    try:
        yield
    except APIError as error:
        if error.status_code != 409:
            raise
        raise _Gone from error


def _reason(error: BaseException) -> str:
    """The innermost cause, as the system says it."""
    seen: BaseException | None = error
    found = error
    while seen is not None:
        found = seen
        if isinstance(seen, TimeoutError):
            return "it does not answer in time"
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror.lower()
        nested = next((each for each in seen.args if isinstance(each, BaseException)), None)
        seen = nested or seen.__cause__ or seen.__context__
    text = str(found)
    return "it does not answer in time" if "timed out" in text.lower() else text[:200] or type(found).__name__
