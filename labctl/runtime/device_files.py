"""The machine's device files in nodes: which of them a node may have, and what they are on this machine.

A node gets those that give whoever opens them something of their own: a tunnel, a virtual machine, a file system of its own
process. A disk, a terminal or the log of the kernel is the machine's, and no shadow needs it. What a file is called says
nothing, so it is the kernel's number that counts (Documentation/admin-guide/devices.txt).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.errors import LabctlError
from labctl.model.lab import DeviceFile, NodeKind, NodeSpec

#: (major, minor) of character devices -> what they are called below /dev.
OF_NODES = {
    (1, 3): "null",
    (1, 5): "zero",
    (1, 7): "full",
    (1, 8): "random",
    (1, 9): "urandom",
    (10, 200): "net/tun",
    (10, 229): "fuse",
    (10, 232): "kvm",
    (10, 238): "vhost-net",
    (10, 241): "vhost-vsock",
    (108, 0): "ppp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device file as a node gets it. source: where it is on the machine, with no link in its path; access: as `rwm`."""

    source: str
    target: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int
    access: str

    @property
    def rule(self) -> str:
        """As a v1 control group writes what may be used."""
        return f"c {self.major}:{self.minor} {self.access}"


def find(node: NodeSpec, asked: DeviceFile) -> Found:
    """The file on this machine; an error if it is none, or none for a node."""
    source = os.path.realpath(asked.source)
    try:
        state = os.stat(source)
    except OSError as error:
        raise LabctlError(
            "file-not-found",
            f"node {node.name!r}: there is no device {asked.source}: {os.strerror(error.errno or 0).lower()}",
            where=asked.where,
            hint="the kernel may need the module that makes it",
        ) from None
    number = os.major(state.st_rdev), os.minor(state.st_rdev)
    if not stat.S_ISCHR(state.st_mode) or number not in OF_NODES:
        raise LabctlError(
            "unsupported",
            f"node {node.name!r}: {asked.source} is not for nodes: it leads to the machine",
            where=asked.where,
            hint="nodes get " + ", ".join(f"/dev/{name}" for name in OF_NODES.values()),
        )
    return Found(
        source=source,
        target=asked.target,
        major=number[0],
        minor=number[1],
        mode=stat.S_IMODE(state.st_mode),
        uid=state.st_uid,
        gid=state.st_gid,
        access=asked.access,
    )


def of(node: NodeSpec) -> tuple[Found, ...]:
    """All device files of a node."""
    return tuple(find(node, asked) for asked in node.devices) if node.kind is NodeKind.LINUX else ()


def rules(nodes: Iterable[NodeSpec]) -> tuple[str, ...]:
    """What these nodes may use beside what every node may."""
    return tuple(found.rule for node in nodes for found in of(node))
