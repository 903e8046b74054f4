"""What a node's health check said last, in `nodes/<node>/health.json`: written by the agent, read by whoever asks.

It counts only for the process that it names, so a node that was started again is `starting` until it was checked.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass

from labctl.linux import proc
from labctl.model.stages import Health
from labctl.runtime import ended
from labctl.runtime.store import LabDir

_MOST_CHARACTERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """health, failures in a row, and what the last check printed."""

    health: Health = Health.STARTING
    failing: int = 0
    said: str = ""


def _file(place: LabDir, node: str) -> str:
    return os.path.join(place.node_dir(node), "health.json")


def read(place: LabDir, node: str) -> Checked:
    """Of the process that the node has now."""
    who = ended.first_process(place, node)
    with (
        contextlib.suppress(OSError, ValueError, KeyError),
        open(_file(place, node), encoding="utf-8") as file,
    ):
        value = json.load(file)
        if who is not None and [value["pid"], value["start_ticks"]] == [who.pid, who.start_ticks]:
            return Checked(health=Health(value["health"]), failing=value["failing"], said=value["said"])
    return Checked()


def write(place: LabDir, node: str, who: proc.Identity, checked: Checked) -> None:
    """Nothing if the lab is being removed or the disk is full: then the earlier answer, or none, stays."""
    value = {
        "pid": who.pid,
        "start_ticks": who.start_ticks,
        "health": checked.health.value,
        "failing": checked.failing,
        "said": checked.said[-_MOST_CHARACTERS:],
    }
    path = _file(place, node)
    with contextlib.suppress(OSError):
        temporary = f"{path}.{os.getpid()}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.rename(temporary, path)
