"""The gate: how a container of an engine comes to stand in a network namespace that labctl has made.

An engine starts a container in a new namespace of its own (`--network none`), and takes none that is there already. So the
first thing in a node's container is a static busybox, bound into it beside the node's pinned namespace: it steps into that
namespace and becomes the node's command, without a process in between. Whoever starts the container, labctl, the engine or
a person, starts it in its own network, which is whole before the command runs.
"""

from __future__ import annotations

import os
import shutil
import struct

from labctl.errors import LabctlError

#: In a directory that the container has on a tmpfs, so that nothing of it stays in the node's files.
INSIDE = "/dev/labctl"
PROGRAM, NAMESPACE = f"{INSIDE}/busybox", f"{INSIDE}/net"
#: How the gate begins what it says when it cannot run the command.
SAYS = "nsenter: "
_PT_INTERP = 3


def entrypoint(uid: int) -> tuple[str, ...]:
    """What stands before a node's own command. Stepping over needs root; the gate becomes another user behind it."""
    become = ("-S", str(uid)) if uid else ()
    return (PROGRAM, "nsenter", f"--net={NAMESPACE}", *become, "--")


def program() -> str:
    """The busybox of this machine that runs in every container; `tool-missing` if there is none."""
    path = shutil.which("busybox", path=os.environ.get("PATH", "") + ":/bin:/usr/bin")
    if path is None or not _static(path):
        raise LabctlError(
            "tool-missing",
            "labs on the Docker runtime need a static busybox, which starts their nodes",
            hint="apt-get install busybox-static",
        )
    return os.path.realpath(path)


def _static(path: str) -> bool:
    """Whether an ELF file needs no interpreter, and so no library of whatever container it is in."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        (offset,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
    return all(struct.unpack_from("<I", table, i * size)[0] != _PT_INTERP for i in range(count))
