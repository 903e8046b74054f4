"""`labctl destroy`: remove one lab or all, by what is on the machine and not by what a file says today."""

from __future__ import annotations

import os
import time

from labctl.app import attached, kinds
from labctl.app.kinds import Kind
from labctl.errors import LabctlError
from labctl.model.event import Emit, ignore
from labctl.run import destroy as removing
from labctl.run import heal
from labctl.run.destroy import Removed
from labctl.runtime.store import Instance, LabDir
from labctl.schema import clab


def targets(instance: Instance, name_or_file: str | None, *, everything: bool) -> list[LabDir]:
    """The labs that are meant. A file stands for the lab that was deployed from it, however it has changed since."""
    if everything:
        return instance.labs()
    if name_or_file is not None and not instance.lab_exists(name_or_file):
        gone = [each for each in instance.elsewhere() if each.name == name_or_file]
        if gone:
            return gone
    if name_or_file is not None and not instance.lab_exists(name_or_file):
        if os.path.exists(name_or_file):
            return [_of_file(instance, name_or_file)]
        if "/" in name_or_file or name_or_file.endswith((".yml", ".yaml")):
            raise LabctlError("file-not-found", f"{name_or_file} does not exist")
        attached.refuse(instance, name_or_file)
    return [instance.find(name_or_file)]


def destroy(places: list[LabDir], emit: Emit = ignore) -> list[Removed]:
    """Remove these labs. The first that cannot be removed does not keep the others alive."""
    removed: list[Removed] = []
    errors: list[LabctlError] = []
    for place in places:
        try:
            _need_gone(place)
            removed.append(removing.destroy(place, emit))
        except LabctlError as error:
            if error.code != "no-lab":  # somebody else has just removed it
                errors.append(error)
    if places:
        heal.implicit(
            Instance.here(places[0].instance.root), emit
        )  # the other labs; these needed no healing to be removed
    if errors:
        raise errors[0]
    return removed


def played(places: list[LabDir]) -> list[str]:
    """What else ends with these labs, a line each: the scenarios that are being played on them."""
    return [
        f"lab {each.name}: a scenario is being played on it, which ends as UNKNOWN when the lab is removed"
        for each in places
        if each.plays()
    ]


def gone(instance: Instance) -> list[str]:
    """What is left of labs of other boots, a line each."""
    return [
        f"lab {each.name}: {_GONE} `labctl destroy {each.name} --yes` removes them"
        for each in instance.elsewhere()
    ]


_GONE = "ran on another boot or kernel; nothing of it is here but its files:"


def _need_gone(place: LabDir) -> None:
    """Files of another boot are removed only if its kernel cannot be running: nothing was written since this one began."""
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    if place.instance.boot != Instance.here(place.instance.root).boot and place.newest() > began:
        raise LabctlError(
            "lab-busy",
            f"lab {place.name!r} is of another kernel, which has written to it since this one was started: it may run there",
            hint=f"destroy it there; if that kernel is gone, remove {place.path} by hand",
        )


def _of_file(instance: Instance, file: str) -> LabDir:
    kinds.need(file, "destroy", Kind.LAB)
    source = os.path.abspath(file)
    for place in instance.labs():
        try:
            record = place.read()
        except LabctlError:
            continue
        if record is not None and record.lab.source == source:
            return place
    return instance.find(clab.load(file, lenient=True).name)
