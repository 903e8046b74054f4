"""What stands in the panel for one half-cable, found by following its frames: gate, detour, cord by cord, until the
receiver's panel side. An impairment that is not on that way does not count, however well it is set.

Everything is asked of the kernel once; who builds, strikes or judges asks the view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl.linux import tc
from labctl.linux.netlink import Link, Netlink
from labctl.linux.tc import Filter
from labctl.model.impairment import Impairment
from labctl.runtime.impair import kernel
from labctl.runtime.impair.base import Half, Stage, merge
from labctl.runtime.impair.choose import Backend
from labctl.runtime.impair.kernel import Gate, far, near
from labctl.runtime.impair.wire import WireStage

#: Stages in the order in which frames meet them, and the letter of their cords.
STAGES = ((Backend.TBF, "t"), (Backend.NETEM, "n"), (Backend.WIRE, "w"))


@dataclass(frozen=True, slots=True)
class Crossed:
    """A cord that frames go through, who is around it, and what it does to them."""

    cord: str
    backend: Backend
    part: Impairment


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """here, there: the panel sides that frames come in and go out by. filters: of `here`. broken: what is wrong with the
    way; empty if it leads from the one to the other.
    """

    here: Link | None
    there: Link | None
    filters: tuple[Filter, ...] = ()
    gate: Gate | None = None
    crossed: tuple[Crossed, ...] = ()
    broken: str = ""

    @property
    def preferences(self) -> frozenset[int]:
        return frozenset(each.preference for each in self.filters)

    @property
    def cords(self) -> frozenset[str]:
        """The names of those that frames go through."""
        return frozenset(each.cord for each in self.crossed)

    @property
    def impairment(self) -> Impairment:
        """What frames meet, all in all."""
        gated = [self.gate.impairment] if self.gate is not None else []
        return merge([*(each.part for each in self.crossed), *gated])

    def errors(self, stages: Mapping[Backend, Stage]) -> tuple[str, ...]:
        """The known errors of what is on the way."""
        gated = (kernel.GATE_ERROR,) if self.gate is not None else ()
        return (*(stages[each.backend].known_error for each in self.crossed), *gated)


def cord_of(half: Half, letter: str) -> str:
    """Its ends are called this with a 0 and a 1; a panel side's name leaves room for that."""
    return f"{half.device_in}{letter}"


def see(netlink: Netlink, half: Half, stages: Mapping[Backend, Stage], wire: WireStage) -> View:
    """Look at everything, from where frames come in to where they go out."""
    links = netlink.those([half.device_in, half.device_out])
    here, there = links.get(half.device_in), links.get(half.device_out)
    filters = tuple(tc.filters(netlink, here.index)) if here is not None else ()
    gate = kernel.read_gate(filters)
    if here is None or there is None:
        return View(here=here, there=there, filters=filters, gate=gate, broken="a panel side is missing")
    crossed, broken = _follow(netlink, half, (filters, there.index), stages, wire)
    if gate is not None and gate.impairment.duplicate and gate.out != target(filters):
        broken = broken or "duplicates leave by another way"
    return View(here=here, there=there, filters=filters, gate=gate, crossed=crossed, broken=broken)


def _follow(
    netlink: Netlink,
    half: Half,
    way: tuple[Sequence[Filter], int],
    stages: Mapping[Backend, Stage],
    wire: WireStage,
) -> tuple[tuple[Crossed, ...], str]:
    """The cords from the filters of the sender's panel side to the receiver's (`way`), and what is wrong with it."""
    filters, end = way
    found: list[Crossed] = []
    to = target(filters)
    while to != end:
        link = netlink.link(to) if to else None  # 0: the device that they were sent to is gone
        cord = link.name[:-1] if link else ""
        backend = next((b for b, letter in STAGES if cord == cord_of(half, letter)), None)
        other = netlink.link(far(cord)) if backend else None
        if backend is None or other is None:
            return tuple(found), f"frames go to {link.name}" if link else "frames go nowhere"
        part = stages[backend].read(cord)
        if part is None or (backend is Backend.WIRE and wire.out(cord) != half.device_out):
            return tuple(found), f"nobody is at the end of the detour ({backend})"
        found.append(Crossed(cord, backend, part))
        if backend is Backend.WIRE:
            break
        to = target(tc.filters(netlink, other.index))
    return tuple(found), ""


def target(filters: Sequence[Filter]) -> int | None:
    """Where frames that meet these leave: the redirect of the lowest preference."""
    found = [each for each in filters if each.redirect is not None]
    return min(found, key=lambda each: each.preference).redirect if found else None


def standing(netlink: Netlink, half: Half) -> list[tuple[Backend, str, int]]:
    """The cords that exist (backend, name, ifindex of the near end), whether frames go through them or not."""
    cords = [(backend, cord_of(half, letter)) for backend, letter in STAGES]
    links = netlink.those([near(cord) for _, cord in cords])
    return [(backend, cord, links[near(cord)].index) for backend, cord in cords if near(cord) in links]


__all__ = ["STAGES", "Crossed", "View", "cord_of", "see", "standing", "target"]
