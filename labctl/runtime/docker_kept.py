"""What labctl writes down of the containers of a lab, so that it need not ask their engine.

Each file is replaced in one step, because several threads start nodes, and several processes look at them. In a lab's
directory:

    engine.json                   which engine it was begun on
    nodes/<node>/container.json   the container's id, its control group, and what commands in it start with
    nodes/<node>/init.json        its first process (`runtime.ended`)
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labctl.linux import proc
from labctl.runtime.store import LabDir


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """container.json."""

    id: str
    cgroup: str
    process: Mapping[str, Any] = field(default_factory=dict)  # env, cwd, uid, gid, groups


def engine_of(place: LabDir) -> str | None:
    """Where the engine of a lab is; None if nothing was ever asked of one."""
    try:
        with open(place.engine_file, encoding="utf-8") as file:
            return str(json.load(file)["url"])
    except FileNotFoundError:
        return None


def keep_engine(place: LabDir, url: str) -> None:
    """From now on it is the lab's."""
    _put(place.engine_file, {"url": url}, sync=True)


def read(place: LabDir, node: str) -> Kept | None:
    """What is known of a node's container; None if it has none yet."""
    try:
        with open(place.container_file(node), encoding="utf-8") as file:
            return Kept(**json.load(file))
    except FileNotFoundError:
        return None


def write(place: LabDir, node: str, kept: Kept) -> None:
    """Replace what is known of a node's container."""
    value = {"id": kept.id, "cgroup": kept.cgroup, "process": kept.process}
    _put(place.container_file(node), value)


def group(place: LabDir, node: str) -> str:
    """The control group of a node."""
    kept = read(place, node)
    return kept.cgroup if kept else place.node_cgroup(node)


def keep_group(place: LabDir, node: str, kept: Kept, group: str) -> None:
    """The engine decides where it puts a container."""
    if group != kept.cgroup and kept.id in group:
        write(place, node, replace(kept, cgroup=group))


def note_first(place: LabDir, node: str, who: proc.Identity) -> None:
    _put(os.path.join(place.node_dir(node), "init.json"), {"pid": who.pid, "start_ticks": who.start_ticks})


def nodes(place: LabDir) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(os.path.join(place.path, "nodes")))
    return []


def _put(path: str, value: Mapping[str, Any], *, sync: bool = False) -> None:
    """Replace a file in one step. Nodes are started by several threads, and looked at by several processes."""
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(value, file)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.rename(temporary, path)
