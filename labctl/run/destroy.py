"""Removing a lab, from its directory alone and from whatever state a crash left it in.

Everything that can run belongs to the lab's control group; everything that can hold on belongs below its directory. So:
kill the group (the agent is in it), take the lab's interfaces off the machine if it has any there, unmount what the kernel says is mounted below the directory (namespaces and their
cables end with that), remove the groups and the lab's table in the machine's packet filter, remove the files, the
record last. Each step finds what is there and is content with nothing, so it can be killed anywhere and run again.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace

from labctl.agent import guarded
from labctl.errors import LabctlError
from labctl.linux import cgroup, mounts
from labctl.model.event import Emit, Event, ignore
from labctl.run import outputs
from labctl.runtime import eventlog, panel
from labctl.runtime.base import RUNTIMES
from labctl.runtime.store import LabDir, Phase

DEFAULT_RUNTIME = "runc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was there and is no more."""

    lab: str
    nodes: int
    processes: int
    mounts: int


def destroy(place: LabDir, emit: Emit = ignore) -> Removed:
    """Remove a lab. Waits for whoever is changing it; `no-lab` if there is none."""
    with place.lock():
        removed = remove(place)
    emit(Event(kind="destroyed", text=f"lab {place.name} is removed", subject=place.name))
    return removed


def remove(place: LabDir) -> Removed:
    """The work of `destroy`; the caller holds the lock."""
    runtime = "docker" if os.path.exists(place.engine_file) else DEFAULT_RUNTIME
    nodes = _count_directories(os.path.join(place.path, "nodes"))
    # A record that cannot be read, or a full disk that takes no new one, must not keep the lab alive.
    with contextlib.suppress(LabctlError, OSError):
        record = place.read()
        if record is not None:
            runtime = record.runtime
            if record.phase is not Phase.DESTROYING:
                place.write(replace(record, phase=Phase.DESTROYING))
    processes = cgroup.destroy(place.cgroup)
    RUNTIMES[runtime](place.instance).remove(place.name)
    panel.withdraw(place)
    unmounted = mounts.unmount_below(place.path)
    cgroup.destroy(place.cgroup)
    guarded.remove(place)
    outputs.remove(place)
    eventlog.note(place, [eventlog.about_lab(place, "destroy")])
    cgroup.delete_if_empty(place.instance.cgroup)  # before the record goes: nothing else names it
    place.remove()
    return Removed(lab=place.name, nodes=nodes, processes=processes, mounts=unmounted)


def _count_directories(path: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return sum(entry.is_dir(follow_symlinks=False) for entry in os.scandir(path))
    return 0
