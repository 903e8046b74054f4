"""What the backends agree on: which half-cable, what was asked for, what is there, and why it is done that way.

An impairment is split into *parts* by `choose`, each part goes to one backend, and a backend knows nothing of the
others. Where the frames of a half-cable go is the same for all of them:

    panel side of the sender
      └ 40  gate           loses, corrupts, duplicates; then falls through
      └ 50  detour         only while there is something to wait in: → cord(s) → panel side of the receiver
      └ 100 stitch         always there: → panel side of the receiver

A *cord* is a veth pair of the half-cable's own inside the panel: what waits (tbf, netem, the wire) is built up around
it before the first frame is sent that way and taken down after the last has left. So a cable that carries traffic
never has a qdisc added or removed, and putting the detour in or out is one filter: no frame is lost, none passes twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Protocol

from labctl.model.impairment import NEUTRAL, Impairment

GATE_PREFERENCE = 40
DETOUR_PREFERENCES = (50, 51)


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """One half-cable as the panel sees it. `sender` is (namespace, interface) of what sends into it, a node's port or a
    bridge's, whose offloads count. above: panel side and sender of each interface that sends through that port too.
    """

    panel: str | None  # path of the panel's namespace; None: the caller's own
    device_in: str
    device_out: str
    sender: tuple[str | None, str] | None = None
    frame_bytes: int = 9514  # the longest that its cable carries
    above: tuple[tuple[str, tuple[str | None, str]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which backend does a parameter, and why not one before it."""

    parameter: str
    backend: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What a half-cable does now, read from the kernel (and the wire) by following the way of its frames."""

    found: Impairment = NEUTRAL
    requested: Impairment = NEUTRAL
    choices: tuple[Choice, ...] = ()
    known_errors: tuple[str, ...] = ()
    changed: bool = True  # it was not so before
    draining: bool = False  # a detour is closed and frames are still under way in it
    note: str = ""

    @property
    def taken(self) -> bool:
        """What was asked for is what is there."""
        return not self.note


class Stage(Protocol):
    """A backend that frames wait in: something at or behind a cord."""

    name: str
    known_error: str

    def supports(self, part: Impairment) -> str | None:
        """Why it cannot do this, or None."""
        ...

    def ensure(self, half: Half, cord: str, part: Impairment) -> None:
        """Build or change what is around the cord. Frames may be crossing it."""
        ...

    def read(self, cord: str) -> Impairment | None:
        """What it does, or None if it is not there."""
        ...

    def waiting(self, cord: str) -> int:
        """Frames that are still in it."""
        ...

    def remove(self, cord: str) -> None: ...


def disagreement(requested: Impairment, found: Impairment) -> str:
    """What is not as asked, in words; empty if all is, up to what the kernel rounds."""
    wrong = []
    for field in fields(Impairment):
        asked, there = getattr(requested, field.name), getattr(found, field.name)
        if field.name == "rate" and asked and there:
            same = _near(asked.bps, there.bps) and _near(asked.limit_bytes, there.limit_bytes)
        elif field.name == "seed":
            same = asked is None or asked == there
        else:
            same = _near(asked, there)
        if not same:
            wrong.append(f"{field.name} is {there!r}, not {asked!r}")
    return "; ".join(wrong)


def fields_in_use(impairment: Impairment) -> tuple[str, ...]:
    """The parameters that are not neutral; a seed is none."""
    return tuple(
        f.name
        for f in fields(Impairment)
        if f.name != "seed" and getattr(impairment, f.name) != getattr(NEUTRAL, f.name)
    )


def only(impairment: Impairment, names: set[str]) -> Impairment:
    """The impairment with all other parameters neutral; the seed stays."""
    rest = {
        f.name: getattr(NEUTRAL, f.name)
        for f in fields(Impairment)
        if f.name not in names and f.name != "seed"
    }
    return replace(impairment, **rest)


def merge(parts: list[Impairment]) -> Impairment:
    """Parts that do not overlap, back in one."""
    found: dict[str, object] = {}
    for part in parts:
        found.update({name: getattr(part, name) for name in fields_in_use(part)})
        if part.seed is not None:
            found["seed"] = part.seed
    return replace(NEUTRAL, **found)  # type: ignore[arg-type]


def _near(asked: object, there: object) -> bool:
    if isinstance(asked, float) and isinstance(there, int | float):
        return math.isclose(asked, there, rel_tol=2e-6, abs_tol=1e-9)
    if isinstance(asked, tuple) and isinstance(there, tuple):
        return len(asked) == len(there) and all(_near(a, b) for a, b in zip(asked, there, strict=True))
    if type(asked) is type(there) and hasattr(asked, "__dataclass_fields__"):
        return all(_near(getattr(asked, f), getattr(there, f)) for f in asked.__dataclass_fields__)
    return asked == there
