"""From an impairment to what stands in the panel, and back.

A change has three parts. `stage` builds what no frame meets yet, from the far end to the near one, so that frames only ever
enter a way that is whole; `strike` puts in, takes out or swaps the filters of as many half-cables as there are, in one
breath; `finish` takes down what frames no longer enter, from the near end to the far one, and reads back. What takes time
lies before and after: so faults of one instant lie as near to each other as the kernel takes messages. A cord is only
removed when nothing waits in it (`reap`, later, if something still does). `read` follows the frames: gate, detour, cord by cord, until the receiver's
panel side; an impairment that is not on that way does not count, however well it is set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from labctl.errors import LabctlError
from labctl.linux import classifier, offload, tc
from labctl.linux.closing import Closing
from labctl.linux.netlink import Netlink, VethEnd
from labctl.linux.offload import Offload
from labctl.linux.rtnl import Request
from labctl.linux.trial import Tried
from labctl.model.impairment import NEUTRAL, Impairment
from labctl.runtime.impair import choose, kernel
from labctl.runtime.impair.base import (
    DETOUR_PREFERENCES,
    GATE_PREFERENCE,
    Half,
    Installed,
    Stage,
    disagreement,
    fields_in_use,
    merge,
)
from labctl.runtime.impair.choose import Backend, Plan
from labctl.runtime.impair.kernel import TbfStage, far, near
from labctl.runtime.impair.netem import NetemStage
from labctl.runtime.impair.wire import WireStage

_MTU = 65535
#: Stages in the order in which frames meet them, and the letter of their cords.
_STAGES = ((Backend.TBF, "t"), (Backend.NETEM, "n"), (Backend.WIRE, "w"))
#: What must be off at the sender so that frames come one by one and with their checksums.
_OFFLOADS = (Offload.TX_CHECKSUM, Offload.TSO, Offload.GSO)
_NOTE = "labctl-offloads:"
#: Nothing is left to chance by these alone, and a queue of the kernel has no place for a seed.
_NEVER_DRAWN = {"delay_s", "rate"}
#: A frame that was on its way when a detour was closed has arrived in it by then.
_SETTLED_S = 0.01


@dataclass(slots=True, kw_only=True)
class Staged:
    """A change of one half-cable that is ready. changes: of what frames cross already. programs: descriptors that are
    needed until the strike. changed: it is not so yet.
    """

    half: Half
    wanted: Impairment
    plan: Plan = field(default_factory=lambda: Plan(parts={}))
    requests: list[Request] = field(default_factory=list)
    changes: list[Callable[[], None]] = field(default_factory=list)
    programs: list[int] = field(default_factory=list)
    changed: bool = False
    error: OSError | LabctlError | None = None

    def close(self) -> None:
        """Give the descriptors back."""
        while self.programs:
            os.close(self.programs.pop())


class Impairer(Closing):
    """All half-cables of one panel. `directory` is where the wire's process has its socket and log."""

    def __init__(
        self,
        panel: str | None,
        directory: str,
        *,
        among: frozenset[Backend] | None = None,
        can: Mapping[Backend, Tried] | None = None,
    ) -> None:
        self._netlink = Netlink(panel)
        self._among = among
        self._can = can
        self.wire = WireStage(panel, directory)
        self._stages: dict[Backend, Stage] = {
            Backend.TBF: TbfStage(self._netlink),
            Backend.NETEM: NetemStage(self._netlink),
            Backend.WIRE: self.wire,
        }
        self._draining: dict[str, tuple[Half, float]] = {}  # by device_in; since when

    def close(self) -> None:
        self._netlink.close()
        self.wire.close()

    # -- what is asked of it -----------------------------------------------------------------------------------

    def check(self, impairment: Impairment) -> Plan:
        """Who would do it; `kernel-missing` if nobody can. Touches no cable."""
        if self._can is None:
            self._can = choose.capabilities()
        return choose.plan(tidy(impairment), self._can, self._among)

    def prepare(self, impairments: Iterable[Impairment]) -> None:
        """Do now what takes time and touches no cable: try the kernel, start the wire if one of these needs it."""
        plans = [self.check(each) for each in impairments]
        if any(Backend.WIRE in plan.parts for plan in plans):
            self.wire.start()

    def ensure(self, half: Half, impairment: Impairment, *, until_boot: float | None = None) -> Installed:
        """Make the half-cable do this, from whatever it does now. `until_boot`: what can end by itself then does."""
        staged = self.stage(half, impairment, until_boot=until_boot)
        self.strike([staged])
        return self.finish(staged)

    def clear(self, half: Half) -> Installed:
        """The half-cable as it was deployed. What still waits in a detour leaves when it was to."""
        return self.ensure(half, NEUTRAL)

    def stage(self, half: Half, impairment: Impairment, *, until_boot: float | None = None) -> Staged:
        """Build what it takes. Frames meet nothing of it before `strike`, which has to follow."""
        wanted = tidy(impairment)
        link = self._netlink.link(half.device_in)
        if link is None and wanted.neutral:
            return Staged(half=half, wanted=wanted)
        index = link.index if link else self._netlink.index(half.device_in)
        if wanted.neutral:
            there = {each.preference for each in tc.filters(self._netlink, index)}
            gone = [each for each in (GATE_PREFERENCE, *reversed(DETOUR_PREFERENCES)) if each in there]
            removals = [tc.removal(index, preference=each) for each in gone]
            return Staged(half=half, wanted=wanted, requests=removals, changed=bool(removals))
        plan = self.check(wanted)
        before = self.read(half)
        seed = wanted.seed if wanted.seed is not None else before.seed
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "big")
        staged = Staged(half=half, wanted=wanted, plan=plan, changed=bool(disagreement(wanted, before)))
        self._set_offloads(half, on=not wanted.per_frame)
        tc.add_clsact(self._netlink, index)
        first = self._build(staged, seed, until_boot)
        there = {each.preference for each in tc.filters(self._netlink, index)}
        if first is None:
            leading = [tc.removal(index, preference=p) for p in reversed(DETOUR_PREFERENCES) if p in there]
        else:
            leading = self._pointing(index, self._netlink.index(first))
        if Backend.GATE in plan.parts:
            self._gate(staged, index, seed, first, until_boot)
        elif GATE_PREFERENCE in there:
            staged.requests.append(tc.removal(index, preference=GATE_PREFERENCE))
        staged.requests += leading
        return staged

    def strike(self, staged: Sequence[Staged]) -> None:
        """Have frames meet what was staged: of all at once. What is refused is raised by `finish`, of whom it concerns."""
        for each in staged:
            try:
                for change in each.changes:
                    change()
            except (OSError, LabctlError) as error:
                each.error = error
        requests = [(each, request) for each in staged if each.error is None for request in each.requests]
        try:
            refused = self._netlink.batch([request for _, request in requests]) if requests else {}
            for place, refusal in refused.items():
                each, request = requests[place]
                if not (request.kind == tc.RTM_DELTFILTER and tc.is_gone(refusal)):
                    each.error = each.error or refusal
        finally:
            for each in staged:
                each.close()

    def finish(self, staged: Staged) -> Installed:
        """Take down what is no longer used, and look at what there is now."""
        half = staged.half
        if staged.error is not None:
            raise staged.error
        if staged.wanted.neutral:
            self._set_offloads(half, on=True)
        self._netlink.delete_links(self._retire(half))
        if staged.wanted.neutral and not (staged.changed or half.device_in in self._draining):
            return Installed(changed=False)
        return self._installed(half, staged.wanted, staged.plan, changed=staged.changed)

    def look(self, half: Half, impairment: Impairment) -> Installed:
        """What is there against what should be; changes nothing."""
        return self._installed(half, tidy(impairment), Plan(parts={}), changed=False)

    def read(self, half: Half) -> Impairment:
        """What frames of the half-cable meet."""
        parts, _, _ = self._walk(half)
        return merge(parts)

    def counts(self, half: Half) -> dict[str, int]:
        """What was done to frames so far, by its cause."""
        found: dict[str, int] = {}
        link = self._netlink.link(half.device_in)
        gated = kernel.read_gate(self._netlink, link.index) if link else None
        if gated is not None:
            found = {name: getattr(gated[3], name) for name in gated[3].__slots__}
        for name, count in self.wire.counts(_cord(half, "w")).items():
            found[f"wire_{name}" if gated is not None else name] = count
        return found

    def reap(self) -> bool:
        """Remove detours that nobody uses any more; whether some still hold frames."""
        retired = [each for half, _ in list(self._draining.values()) for each in self._retire(half)]
        self._netlink.delete_links(retired)
        return bool(self._draining)

    # -- building ----------------------------------------------------------------------------------------------

    def _build(self, staged: Staged, seed: int, until_boot: float | None) -> str | None:
        """The cords, from the last to the first; the device that the detour leads to, None without one. One that frames
        cross is changed when the others strike.
        """
        half, used = staged.half, {cord for cord, _, _ in self._way(staged.half)[0]}
        target, first = half.device_out, None
        for backend, letter in reversed(_STAGES):
            part = staged.plan.parts.get(backend)
            if part is None:
                continue
            cord = _cord(half, letter)
            self._make_cord(cord)
            seeded = part if backend is not Backend.NETEM else replace(part, seed=None)
            change = partial(self._change, backend, half, cord, seeded, seed=seed, until_boot=until_boot)
            if cord in used:
                staged.changes.append(change)
            else:
                change()
            if backend is not Backend.WIRE:
                end = self._netlink.index(far(cord))
                tc.add_clsact(self._netlink, end)
                for request in self._pointing(end, self._netlink.index(target)):
                    self._netlink.send(request)
            first = target = near(cord)
        return first

    def _change(
        self,
        backend: Backend,
        half: Half,
        cord: str,
        part: Impairment,
        *,
        seed: int,
        until_boot: float | None,
    ) -> None:
        self.wire.seed, self.wire.until = seed, until_boot
        self._stages[backend].ensure(half, cord, part)

    def _gate(
        self, staged: Staged, index: int, seed: int, first: str | None, until_boot: float | None
    ) -> None:
        part = staged.plan.parts[Backend.GATE]
        out = self._netlink.index(first or staged.half.device_out)
        deadline_ns = 0 if until_boot is None else max(1, round(until_boot * 1e9))
        program = kernel.load_gate(self._netlink, index, part, seed, out=out, deadline_ns=deadline_ns)
        staged.programs.append(program)
        staged.requests.append(kernel.gate_of(index, program))

    def _make_cord(self, cord: str) -> None:
        """The far end goes up first: a device that comes up with carrier can send at once, one that gets carrier later
        only when the kernel's link watcher has got round to it, and until then it swallows what it is given.
        """
        if self._netlink.link(near(cord)) is None:
            ends = (VethEnd(name=each, mtu=_MTU, noarp=True) for each in (near(cord), far(cord)))
            self._netlink.create_veth(*ends)
        for each in (far(cord), near(cord)):
            self._netlink.set_link(each, up=True)

    def _pointing(self, index: int, target: int) -> list[Request]:
        """Have frames that arrive at a device leave by another, between two frames."""
        high, low = DETOUR_PREFERENCES
        there = {
            each.preference: each.redirect
            for each in tc.filters(self._netlink, index)
            if each.preference in DETOUR_PREFERENCES
        }
        now = min(there, default=None)
        if now is not None and there[now] == target:
            return [tc.removal(index, preference=other) for other in set(there) - {now}]
        if now == high:
            return [
                *([tc.removal(index, preference=low)] if low in there else []),
                classifier.diversion(index, target, preference=low),
                tc.removal(index, preference=high),
            ]
        return [
            classifier.diversion(index, target, preference=high),
            *([tc.removal(index, preference=low)] if low in there else []),
        ]

    def _retire(self, half: Half) -> list[int]:
        """The cords (by ifindex) that frames no longer enter, a moment after the last one could and once they are empty:
        nobody serves them any more, and they are to be deleted.

        What waits in one may still have the next before it, so the next one stays as well.
        """
        cords = [
            (backend, cord, link.index)
            for backend, letter in _STAGES
            if (link := self._netlink.link(near(cord := _cord(half, letter)))) is not None
        ]
        if not cords:
            self._draining.pop(half.device_in, None)
            return []
        retired = []
        used = {cord for cord, _, _ in self._way(half)[0]}
        _, since = self._draining.pop(half.device_in, (half, time.monotonic()))
        for backend, cord, index in cords:
            if cord in used:
                continue
            stage = self._stages[backend]
            if time.monotonic() - since < _SETTLED_S or stage.waiting(cord):
                self._draining[half.device_in] = (half, since)
                break
            stage.remove(cord)
            retired.append(index)
        return retired

    # -- reading back ------------------------------------------------------------------------------------------

    def _way(self, half: Half) -> tuple[list[tuple[str, Backend, Impairment]], str]:
        """The cords that frames go through, with what each does to them; and what is wrong with the way."""
        here = self._netlink.link(half.device_in)
        there = self._netlink.link(half.device_out)
        if here is None or there is None:
            return [], "a panel side is missing"
        found: list[tuple[str, Backend, Impairment]] = []
        target = self._target(here.index)
        while target != there.index:
            link = self._netlink.link(target) if target is not None else None
            cord = link.name[:-1] if link else ""
            backend = next((b for b, letter in _STAGES if cord == _cord(half, letter)), None)
            end = self._netlink.link(far(cord)) if backend else None
            if backend is None or end is None:
                return found, f"frames go to {link.name}" if link else "frames go nowhere"
            part = self._stages[backend].read(cord)
            if part is None or (backend is Backend.WIRE and self.wire.out(cord) != half.device_out):
                return found, f"nobody is at the end of the detour ({backend})"
            found.append((cord, backend, part))
            if backend is Backend.WIRE:
                break
            target = self._target(end.index)
        return found, ""

    def _walk(self, half: Half) -> tuple[list[Impairment], str, list[str]]:
        """Parts on the way, what is wrong with it, and the known errors of what is on it."""
        cords, broken = self._way(half)
        parts = [part for _, _, part in cords]
        errors = [self._stages[backend].known_error for _, backend, _ in cords]
        link = self._netlink.link(half.device_in)
        gated = kernel.read_gate(self._netlink, link.index) if link else None
        if gated is not None and link is not None:
            parts.append(gated[0])
            errors.append(kernel.GATE_ERROR)
            if gated[0].duplicate and gated[1] != self._target(link.index):
                broken = broken or "duplicates leave by another way"
        return parts, broken, errors

    def _target(self, index: int) -> int | None:
        """Where frames that arrive at a device leave: the redirect of the lowest preference."""
        found = [f for f in tc.filters(self._netlink, index) if f.redirect is not None]
        return min(found, key=lambda f: f.preference).redirect if found else None

    def _installed(self, half: Half, requested: Impairment, plan: Plan, *, changed: bool = True) -> Installed:
        parts, broken, errors = self._walk(half)
        found = merge(parts)
        return Installed(
            found=found,
            requested=requested,
            choices=plan.choices,
            known_errors=tuple(errors),
            changed=changed,
            draining=half.device_in in self._draining,
            note=broken or disagreement(requested, found),
        )

    # -- the sender's offloads ---------------------------------------------------------------------------------

    def _set_offloads(self, half: Half, *, on: bool) -> None:
        """Off while frames count one by one; back to what the node had, which the panel side notes meanwhile."""
        link = self._netlink.link(half.device_in)
        if half.sender is None or link is None:
            return
        path, interface = half.sender
        noted = link.alias.removeprefix(_NOTE) if link.alias.startswith(_NOTE) else None
        if on:
            if noted is None:
                return
            for each in _OFFLOADS:
                if each.name in noted.split(","):
                    _set_offload(path, interface, each, on=True)
            self._netlink.set_link(link.index, alias="")
            return
        if noted is None:
            had = [each.name for each in _OFFLOADS if offload.get_offload(path, interface, each)]
            self._netlink.set_link(link.index, alias=_NOTE + ",".join(had))
        for each in _OFFLOADS:
            _set_offload(path, interface, each, on=False)


def tidy(impairment: Impairment) -> Impairment:
    """Without what is said and does nothing."""
    jitter, reorder = impairment.jitter, impairment.reorder
    said = replace(
        impairment,
        jitter=jitter if jitter and jitter.spread_s else None,
        reorder=reorder if reorder and reorder.fraction else None,
        drops=tuple(match for match in impairment.drops if match.fraction),
        bursts=tuple(burst for burst in impairment.bursts if burst.loss),
    )
    return replace(said, seed=None) if _NEVER_DRAWN.issuperset(fields_in_use(said)) else said


def _set_offload(path: str | None, interface: str, which: Offload, *, on: bool) -> None:
    try:
        offload.set_offload(path, interface, which, on)
    except OSError as error:
        raise LabctlError(
            "effect-not-taken", f"offload {which.name} of {interface} cannot be set: {error.strerror}"
        ) from error


def _cord(half: Half, letter: str) -> str:
    """Its ends are called this with a 0 and a 1; a panel side's name leaves room for that."""
    return f"{half.device_in}{letter}"
