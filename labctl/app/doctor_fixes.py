"""The command that mends what `doctor` found, made for this very machine so that it can be pasted as it is."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import sys
from collections.abc import Iterator

from labctl.agent import client
from labctl.linux import exits, inotify
from labctl.linux.pcap import Filter
from labctl.run import heal
from labctl.runtime.store import Instance, Phase

KERNEL = "apt-get install linux-image-amd64 && reboot"
#: File systems that an overlay can write to.
_FIT = ("ext4", "xfs", "btrfs", "tmpfs")


def module(*names: str) -> str:
    """Load these; a kernel that came without any needs another one."""
    if not os.path.isdir(f"/lib/modules/{os.uname().release}"):
        return KERNEL
    load = f"modprobe {'-a ' if len(names) > 1 else ''}{' '.join(names)}"
    return load if shutil.which("modprobe") else f"apt-get install kmod && {load}"


def larger(root: str, needed_bytes: int) -> str:
    """Another place for labs: with this much room, and fit for overlays."""
    found = max(_places(), default=(0, ""))
    if found[0] >= needed_bytes and not root.startswith(found[1].rstrip("/") + "/labctl"):
        return f"LABCTL_STATE={shlex.quote(os.path.join(found[1], 'labctl'))} labctl doctor"
    return f"mkdir -p {shlex.quote(root)} && mount -t tmpfs -o size={max(1, needed_bytes >> 30) + 1}G tmpfs {shlex.quote(root)}"


def engine() -> str:
    """A Docker engine that listens: the one that is installed, or a new one."""
    return "service docker start" if shutil.which("dockerd") else "apt-get install docker.io"


def images() -> str:
    """Build all of labctl's: in a source tree by make, else by what needs them all."""
    tree = _tree()
    return (
        f"make -C {shlex.quote(tree)} images"
        if os.path.isfile(os.path.join(tree, "Makefile"))
        else "labctl demo"
    )


def in_root() -> str:
    """A shell whose / is the root of its mount namespace."""
    tool = os.path.join(_tree(), "tools", "in_root.py")
    python = os.path.join(_tree(), ".venv", "bin", "python")
    return f"{shlex.quote(python)} {shlex.quote(tool)} bash"


def exit_statuses() -> str:
    """Whether the kernel tells how processes end."""
    with exits.Exits() as listener:  # a kernel without them lets one listen all the same
        pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", ""], {})
        os.waitpid(pid, 0)
        if not select.select([listener], [], [], 2.0)[0]:
            raise OSError("this kernel tells nothing of processes (CONFIG_PROC_EVENTS)")
        return "the kernel tells how processes end"


def writes() -> str:
    """Whether there is an inotify instance left for another agent."""
    inotify.Writes().close()
    return "the kernel tells of writes"


def captures() -> str:
    """Whether pcap's filters can be compiled."""
    with Filter("icmp"):
        return "libpcap compiles filters"


def labs(instance: Instance) -> str:
    """Whether labctl's own labs here are as they should be."""
    places = instance.labs()
    wrong = []
    for place in places:
        if heal.busy(place):
            continue
        record = place.read()
        if record is None or record.phase is not Phase.RUNNING:
            wrong.append(f"{place.name} is half-made")
        elif not client.alive(place):
            wrong.append(f"the agent of {place.name} is dead")
    if wrong:
        raise OSError("; ".join(wrong))
    return f"{len(places)} running" if places else "none is running"


def _places() -> Iterator[tuple[int, str]]:
    """Room and mount point of what can be written to, but for what is in memory."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, point, kind, options = line.split(" ")[:4]
            point = point.encode().decode("unicode_escape")
            if kind in _FIT and kind != "tmpfs" and "ro" not in options.split(",") and os.path.isdir(point):
                yield shutil.disk_usage(point).free, point


def _tree() -> str:
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
