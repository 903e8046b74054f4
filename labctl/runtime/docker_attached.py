"""Labs that containerlab deployed on an engine of this machine, found by its labels. labctl looks, listens and runs commands.

Nothing of such a lab is labctl's: no record, no panel, no agent; nothing is started, changed or removed. Containers that a
labctl made have containerlab's labels too, and are never taken for one of these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.errors import LabctlError, did_you_mean
from labctl.linux import cgroup, enter, proc
from labctl.runtime import bundle, docker_engine
from labctl.runtime.docker_container import INSTANCE_LABEL, LAB_LABEL, NODE_LABEL
from labctl.runtime.docker_engine import Engine

_NOBODY_LISTENS = (FileNotFoundError, ConnectionRefusedError, PermissionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A container of such a lab. `state` and `status` in the engine's words; addresses with prefix length, or empty.

    `guest`: it is in another container's network.
    """

    name: str
    container: str
    container_id: str
    image: str
    kind: str
    group: str
    state: str
    status: str
    ipv4: str
    ipv6: str
    guest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A lab of containerlab's; nodes are sorted by name."""

    name: str
    url: str
    source: str
    owner: str
    nodes: tuple[Node, ...] = field(default=())


def labs() -> dict[str, Attached]:
    """Every lab that containerlab runs here, by name; none where no engine listens. `engine-unreachable` if one hangs."""
    url = docker_engine.address()
    try:
        docker_engine.answers(url)
    except LabctlError as error:
        if error.code == "engine-unfit" or isinstance(error.__cause__, _NOBODY_LISTENS):
            return {}
        raise
    found: dict[str, list[Mapping[str, Any]]] = {}
    with Engine(url) as engine:
        for each in engine.containers([LAB_LABEL]):
            if INSTANCE_LABEL not in each["Labels"]:
                found.setdefault(each["Labels"][LAB_LABEL], []).append(each)
    return {name: _lab(name, url, each) for name, each in sorted(found.items())}


def attach(lab: Attached, wanted: str, argv: Sequence[str]) -> int:
    """Run a command in a node, named as in the lab file or as its container, on the caller's terminal; its exit status."""
    node = find_node(lab, wanted)
    try:
        return enter.attach(_room(lab, node), argv)
    except OSError as error:
        raise LabctlError(
            "command-not-run", f"node {node.name!r}: {argv[0]}: {error.strerror or error}"
        ) from error
    except enter.Gone:
        raise _not_running(node, "exited") from None


def find_node(lab: Attached, wanted: str) -> Node:
    """The node of that name, or of that container name."""
    for node in lab.nodes:
        if wanted in (node.name, node.container):
            return node
    raise LabctlError(
        "unknown-node",
        f"lab {lab.name!r} has no node {wanted!r} to run commands in",
        hint=did_you_mean(wanted, [each.name for each in lab.nodes]),
    )


def output(
    lab: Attached, wanted: str, *, since_s: float | None, tail: int | None, follow: bool
) -> Iterator[bytes]:
    """What a node printed since then, of that the last `tail` lines; with follow until it ends."""
    node = find_node(lab, wanted)
    with Engine(lab.url, timeout_s=None if follow else docker_engine.PATIENCE_S) as engine:
        yield from engine.output(node.container_id, since_s=since_s, tail=tail, follow=follow)


def process(lab: Attached, node: Node) -> proc.Identity:
    """The node's first process, as this kernel knows it; `node-not-running`, `engine-unfit` if it does not."""
    with Engine(lab.url) as engine:
        return _process(engine.inspect(node.container_id), node)


def _process(said: Mapping[str, Any] | None, node: Node) -> proc.Identity:
    if said is None or said["State"]["Status"] != "running":
        raise _not_running(node, said["State"]["Status"] if said else "absent")
    who = proc.identity(said["State"]["Pid"])
    if who is None or not _is_of(who.pid, said["Id"]):
        raise LabctlError(
            "engine-unfit",
            f"container {node.container!r} does not run on the kernel that labctl runs on",
            hint=f"`docker exec {node.container}` asks the engine to run the command",
        )
    return who


def _room(lab: Attached, node: Node) -> enter.Room:
    with Engine(lab.url) as engine:
        said = engine.inspect(node.container_id)
    who = _process(said, node)
    assert said is not None
    pid, config = who.pid, said["Config"]
    user = bundle.user(config.get("User") or "", f"/proc/{pid}/root")
    env = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    env.setdefault("HOME", "/" if user.uid else "/root")
    return enter.Room(
        process=who,
        cgroup=cgroup.home_of(pid),
        env=env,
        cwd=config.get("WorkingDir") or "/",
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        drop_capabilities=tuple(
            bit for bit in range(bundle.LAST_CAPABILITY + 1) if not proc.bounding_set(pid) >> bit & 1
        ),
    )


def _is_of(pid: int, container: str) -> bool:
    """Whether the process of that number here is the container's, and not one of another kernel."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return any(container in group for group in cgroup.of_process(pid))
    return False


def _lab(name: str, url: str, containers: Sequence[Mapping[str, Any]]) -> Attached:
    labels = containers[0]["Labels"]
    return Attached(
        name=name,
        url=url,
        source=labels.get("clab-topo-file", ""),
        owner=labels.get("clab-owner", ""),
        nodes=tuple(sorted(map(_node, containers), key=lambda node: node.name)),
    )


def _node(said: Mapping[str, Any]) -> Node:
    labels = said["Labels"]
    container = said["Names"][0].lstrip("/")
    networks = list((said.get("NetworkSettings") or {}).get("Networks", {}).values())
    return Node(
        name=labels.get(NODE_LABEL, container),
        container=container,
        container_id=said["Id"][:12],
        image=said["Image"],
        kind=labels.get("clab-node-kind", ""),
        group=labels.get("clab-node-group", ""),
        state=said["State"],
        status=said["Status"],
        ipv4=_address(networks, "IPAddress", "IPPrefixLen"),
        ipv6=_address(networks, "GlobalIPv6Address", "GlobalIPv6PrefixLen"),
        guest=str((said.get("HostConfig") or {}).get("NetworkMode", "")).startswith("container:"),
    )


def _address(networks: Sequence[Mapping[str, Any]], address: str, length: str) -> str:
    return next((f"{each[address]}/{each[length]}" for each in networks if each.get(address)), "")


def _not_running(node: Node, state: str) -> LabctlError:
    return LabctlError(
        "node-not-running", f"node {node.name!r} is {state}", hint="containerlab deployed it, and starts it"
    )
