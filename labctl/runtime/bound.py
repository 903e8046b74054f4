"""What stood in the files that are bound into a node when it was started, so that a change of them can be seen.

A node reads its configuration once. When the file on the machine becomes another (rendered again, edited), the node runs
on with the old one, and a file that was replaced is not even the one that it still has mounted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Mapping

from labctl.model.lab import LabSpec, NodeSpec

#: Larger files are told apart by size and time.
_READ_BYTES = 1 << 22


def read(node: NodeSpec) -> dict[str, str]:
    """source -> what tells its content apart; of files only, not of directories, sockets and what is not there."""
    found = {}
    for bind in node.binds:
        with contextlib.suppress(OSError):
            about = os.stat(bind.source)
            if not stat.S_ISREG(about.st_mode):
                continue
            if about.st_size > _READ_BYTES:
                found[bind.source] = f"{about.st_size} {about.st_mtime_ns}"
                continue
            with open(bind.source, "rb") as file:
                found[bind.source] = hashlib.sha256(file.read()).hexdigest()
    return found


def of(lab: LabSpec) -> dict[str, Mapping[str, str]]:
    """The same of every node that binds files."""
    return {node.name: found for node in lab.nodes if (found := read(node))}


def altered(before: Mapping[str, Mapping[str, str]], lab: LabSpec) -> dict[str, tuple[str, ...]]:
    """node -> the files that it was started with and that have another content now."""
    found = {}
    for node in lab.nodes:
        old, now = before.get(node.name, {}), read(node) if node.name in before else {}
        changed = tuple(sorted(source for source in old.keys() & now.keys() if old[source] != now[source]))
        if changed:
            found[node.name] = changed
    return found
