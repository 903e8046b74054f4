"""Putting labs back to their base state after anything: crashed commands, killed agents, faults nobody ends.

A lab is in one of these conditions. Its record says that it was being made or removed (or there is no record any
more) and nobody holds its lock: whoever did that was killed, and the rest is removed. It is running and its agent
answers: the agent ends what is over and puts right what differs. It is running and the agent is dead: the agent is
started again and does the same. A lab that was being changed is like a running one, and `heal` finishes the change. Only what lies in the lab's own directory and control group is looked at, so nothing
that labctl does not own can be touched.

`implicit` does this at the start of every command that touches labs, but ends only what is over. `heal` ends all
effects: after it the lab is at its base state, or the result says what is not, or that somebody else is at work on it.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass

from labctl.agent import client
from labctl.errors import LabctlError
from labctl.model.event import Emit, Event, ignore
from labctl.run import apply, destroy
from labctl.runtime.store import Instance, LabDir, Phase

#: A helper that a killed labctl had started (runc, mostly) finishes what it was doing; it holds the lock meanwhile.
STRAYS_S = 60.0
#: The record is written with one space of indent: no other key of that name stands so far left.
_PHASE = re.compile(r'^ "phase": "(deploying|running|applying|destroying)"', re.MULTILINE)
#: A lab in one of these is never removed to tidy up: a half-changed one is brought on to what it was to be.
_WHOLE = (Phase.RUNNING, Phase.APPLYING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """What was put back, and what could not be. `busy`: another labctl is changing the lab, so it was left alone."""

    lab: str
    put_back: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    busy: bool = False


def heal(place: LabDir, emit: Emit = ignore) -> Healed:
    """Bring one lab to its base state, or remove what is left of one that was never finished."""
    return _tell(_heal(place, everything=True), emit)


def implicit(instance: Instance, emit: Emit = ignore) -> list[Healed]:
    """End what is over in every lab. With no labs, or healthy ones, it costs next to nothing."""
    return [_tell(_heal(place, everything=False), emit) for place in instance.labs()]


def _heal(place: LabDir, *, everything: bool) -> Healed:
    if not everything and _healthy(place):
        return Healed(lab=place.name)
    if busy(place):
        return Healed(lab=place.name, busy=everything)
    try:
        with place.lock(wait_s=STRAYS_S) as held:
            if _phase(place) in _WHOLE:
                return _heal_running(place, held, everything=everything)
            destroy.remove(place)
            return Healed(lab=place.name, put_back=("removed what was left of an unfinished command",))
    except LabctlError as error:
        # no-lab: somebody else has just removed it.
        left = () if error.code in ("no-lab", "lab-busy") else (error.message,)
        return Healed(lab=place.name, left=left, busy=error.code == "lab-busy")


def _heal_running(place: LabDir, held: int, *, everything: bool) -> Healed:
    done: list[str] = []
    if everything and (aside := _set_aside_damaged_ledger(place)):
        done.append(f"damaged ledger kept as {aside}")
    if not client.alive(place):
        client.stop(place)  # an agent that lives and does not answer is no agent
        client.start(place)
        done.append("agent started again")
    reply = client.ask(place, "heal", all=everything)
    done += [f"fault {lease} ended" for lease in reply["cleared"]]
    done += reply["put_back"]
    left = tuple(f"{on}: {why}" for on, why in reply["off_base"].items())
    if everything and _phase(place) is Phase.APPLYING:
        try:
            steps = apply.resume(place, held)
        except LabctlError as error:
            left += tuple(each.message for each in error.each)
        else:
            done.append(f"an interrupted `labctl apply` is finished: {steps} steps")
    return Healed(lab=place.name, put_back=tuple(done), left=left)


def _healthy(place: LabDir) -> bool:
    """Running, with an agent that answers: that ends what is over by itself."""
    with contextlib.suppress(LabctlError):
        return _phase(place) in _WHOLE and client.alive(place)
    return False


def _phase(place: LabDir) -> Phase | None:
    """The phase alone: decoding all of a large lab's record takes longer than everything else here."""
    try:
        with open(place.record_file, encoding="utf-8") as file:
            found = _PHASE.search(file.read())
    except FileNotFoundError:
        return None
    return Phase(found[1]) if found else place.need().phase


def busy(place: LabDir) -> bool:
    """Whether the process that took the lab's lock lives. If only its children do, they are waited for instead."""
    try:
        inode = os.stat(place.lock_file).st_ino
    except FileNotFoundError:
        return False
    with open("/proc/locks", encoding="ascii") as file:
        rows = [line.split() for line in file]
    # The device is not compared: on overlayfs and btrfs the kernel prints another one than stat says.
    holders = [int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].endswith(f":{inode}")]
    return any(pid > 0 and os.path.exists(f"/proc/{pid}") for pid in holders)


def _set_aside_damaged_ledger(place: LabDir) -> str:
    from labctl.agent import ledger  # with all effects, which a healthy lab needs not

    try:
        ledger.read(place.ledger_file)
    except LabctlError:
        client.stop(place)  # nobody writes to it while it moves
        number = 1
        while os.path.exists(aside := f"{place.ledger_file}.damaged-{number}"):
            number += 1
        os.rename(place.ledger_file, aside)
        return os.path.basename(aside)
    return ""


def _tell(healed: Healed, emit: Emit) -> Healed:
    for kind, lines in (("healed", healed.put_back), ("left-dirty", healed.left)):
        for line in lines:
            emit(Event(kind=kind, text=f"lab {healed.lab}: {line}", subject=healed.lab))
    return healed
