"""From an impairment to what stands in the panel, and back.

A change has three parts. `stage` builds what no frame meets yet, from the far end to the near one, so that frames only ever
enter a way that is whole; `strike` puts in, takes out or swaps the filters of as many half-cables as there are, in one
breath; `finish` takes down what frames no longer enter, from the near end to the far one, and reads back. What takes time
lies before and after: so faults of one instant lie as near to each other as the kernel takes messages. A cord is only
removed when nothing waits in it (`reap`, later, if something still does). What stands there, `view` says.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from labctl.errors import LabctlError
from labctl.linux import classifier, tc
from labctl.linux.closing import Closing
from labctl.linux.netlink import Link, Netlink, VethEnd
from labctl.linux.offload import Offload, Offloads
from labctl.linux.rtnl import NetlinkError, Request
from labctl.linux.tc import Filter
from labctl.linux.trial import Tried
from labctl.model.impairment import NEUTRAL, Impairment
from labctl.runtime.impair import choose, kernel, view
from labctl.runtime.impair.base import (
    DETOUR_PREFERENCES,
    GATE_PREFERENCE,
    Half,
    Installed,
    Stage,
    disagreement,
    fields_in_use,
)
from labctl.runtime.impair.choose import Backend, Plan
from labctl.runtime.impair.kernel import TbfStage, far, near
from labctl.runtime.impair.netem import NetemStage
from labctl.runtime.impair.view import STAGES, View, cord_of
from labctl.runtime.impair.wire import WireStage

_MTU = 65535
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
        seen = self._see(half)
        if wanted.neutral:
            gone = [
                each for each in (GATE_PREFERENCE, *reversed(DETOUR_PREFERENCES)) if each in seen.preferences
            ]
            index = seen.here.index if seen.here else 0
            removals = [tc.removal(index, preference=each) for each in gone]
            return Staged(half=half, wanted=wanted, requests=removals, changed=bool(removals))
        if seen.here is None or seen.there is None:
            missing = half.device_in if seen.here is None else half.device_out
            raise NetlinkError(errno.ENODEV, f"no device {missing}")
        plan = self.check(wanted)
        before = seen.impairment
        seed = wanted.seed if wanted.seed is not None else before.seed
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "big")
        staged = Staged(half=half, wanted=wanted, plan=plan, changed=bool(disagreement(wanted, before)))
        index, out = seen.here.index, seen.there.index
        self._set_offloads(half, seen.here, on=not wanted.per_frame)
        if not seen.filters:
            tc.add_clsact(self._netlink, index)
        first = self._build(staged, seen, seed, out, until_boot)
        if first is None:
            leading = [
                tc.removal(index, preference=p) for p in reversed(DETOUR_PREFERENCES) if p in seen.preferences
            ]
        else:
            leading = _pointing(index, first, seen.filters)
        if Backend.GATE in plan.parts:
            self._gate(staged, seen, seed, out=out if first is None else first, until_boot=until_boot)
        elif GATE_PREFERENCE in seen.preferences:
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
            self._set_offloads(half, self._netlink.link(half.device_in), on=True)
        self._netlink.delete_links(self._retire(half))
        if staged.wanted.neutral and not (staged.changed or half.device_in in self._draining):
            return Installed(changed=False)
        return self._installed(half, staged.wanted, staged.plan, changed=staged.changed)

    def look(self, half: Half, impairment: Impairment) -> Installed:
        """What is there against what should be; changes nothing."""
        return self._installed(half, tidy(impairment), Plan(parts={}), changed=False)

    def read(self, half: Half) -> Impairment:
        """What frames of the half-cable meet."""
        return self._see(half).impairment

    def counts(self, half: Half) -> dict[str, int]:
        """What was done to frames so far, by its cause."""
        found: dict[str, int] = {}
        link = self._netlink.link(half.device_in)
        gate = kernel.read_gate(tc.filters(self._netlink, link.index)) if link else None
        if gate is not None:
            found = {name: getattr(gate.counts, name) for name in gate.counts.__slots__}
        for name, count in self.wire.counts(cord_of(half, "w")).items():
            found[f"wire_{name}" if gate is not None else name] = count
        return found

    def reap(self) -> bool:
        """Remove detours that nobody uses any more; whether some still hold frames."""
        retired = [each for half, _ in list(self._draining.values()) for each in self._retire(half)]
        self._netlink.delete_links(retired)
        return bool(self._draining)

    # -- building ----------------------------------------------------------------------------------------------

    def _build(self, staged: Staged, seen: View, seed: int, out: int, until_boot: float | None) -> int | None:
        """The cords, from the last to the first; the device (ifindex) that the detour leads to, None without one. out:
        what the last leads to. One that frames cross is changed when the others strike.
        """
        half = staged.half
        target, first = out, None
        for backend, letter in reversed(STAGES):
            part = staged.plan.parts.get(backend)
            if part is None:
                continue
            cord = cord_of(half, letter)
            near_end, far_end = self._make_cord(cord)
            seeded = part if backend is not Backend.NETEM else replace(part, seed=None)
            change = partial(self._change, backend, half, cord, seeded, seed=seed, until_boot=until_boot)
            if cord in seen.cords:
                staged.changes.append(change)
            else:
                change()
            if backend is not Backend.WIRE:
                tc.add_clsact(self._netlink, far_end)
                for request in _pointing(far_end, target, tc.filters(self._netlink, far_end)):
                    self._netlink.send(request)
            first = target = near_end
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

    def _gate(self, staged: Staged, seen: View, seed: int, *, out: int, until_boot: float | None) -> None:
        assert seen.here is not None
        part = staged.plan.parts[Backend.GATE]
        deadline_ns = 0 if until_boot is None else max(1, round(until_boot * 1e9))
        before = kernel.program_of(seen.filters)
        program = kernel.load_gate(part, seed, before=before, out=out, deadline_ns=deadline_ns)
        staged.programs.append(program)
        staged.requests.append(kernel.gate_of(seen.here.index, program))

    def _make_cord(self, cord: str) -> tuple[int, int]:
        """The cord, made if it is not there: ifindexes of its near and its far end.

        The far end goes up first: a device that comes up with carrier can send at once, one that gets carrier later
        only when the kernel's link watcher has got round to it, and until then it swallows what it is given.
        """
        names = [near(cord), far(cord)]
        ends = self._netlink.those(names)
        if near(cord) not in ends:
            one, other = (VethEnd(name=each, mtu=_MTU, noarp=True) for each in names)
            self._netlink.create_veth(other, one, up=True)
            ends = self._netlink.those(names)
        for each in (ends[far(cord)], ends[near(cord)]):
            if not each.up:
                self._netlink.set_link(each.index, up=True)
        return ends[near(cord)].index, ends[far(cord)].index

    def _retire(self, half: Half) -> list[int]:
        """The cords (by ifindex) that frames no longer enter, a moment after the last one could and once they are empty:
        nobody serves them any more, and they are to be deleted.

        What waits in one may still have the next before it, so the next one stays as well.
        """
        cords = view.standing(self._netlink, half)
        if not cords:
            self._draining.pop(half.device_in, None)
            return []
        retired = []
        used = self._see(half).cords
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

    def _see(self, half: Half) -> View:
        return view.see(self._netlink, half, self._stages, self.wire)

    def _installed(self, half: Half, requested: Impairment, plan: Plan, *, changed: bool = True) -> Installed:
        seen = self._see(half)
        found = seen.impairment
        # Without a panel side nothing crosses until it is plugged again, and that nothing is in its way is all there is to say.
        broken = "" if requested.neutral and (seen.here is None or seen.there is None) else seen.broken
        return Installed(
            found=found,
            requested=requested,
            choices=plan.choices,
            known_errors=seen.errors(self._stages),
            changed=changed,
            draining=half.device_in in self._draining,
            note=broken or disagreement(requested, found),
        )

    # -- the sender's offloads ---------------------------------------------------------------------------------

    def _set_offloads(self, half: Half, link: Link | None, *, on: bool) -> None:
        """Off while frames count one by one; back to what the node had, which the panel side (`link`) notes meanwhile."""
        above = [(self._netlink.link(device), sender) for device, sender in half.above]
        for here, sender in ((link, half.sender), *above):
            if here is not None and sender is not None:
                self._set_offloads_of(here, *sender, on=on)

    def _set_offloads_of(self, link: Link, path: str | None, interface: str, *, on: bool) -> None:
        noted = link.alias.removeprefix(_NOTE) if link.alias.startswith(_NOTE) else None
        if on and noted is None:
            return
        with Offloads(path) as offloads:
            if on:
                for each in _OFFLOADS:
                    if noted is not None and each.name in noted.split(","):
                        _set_offload(offloads, interface, each, on=True)
                self._netlink.set_link(link.index, alias="")
                return
            if noted is None:
                had = [each.name for each in _OFFLOADS if offloads.get(interface, each)]
                self._netlink.set_link(link.index, alias=_NOTE + ",".join(had))
            for each in _OFFLOADS:
                _set_offload(offloads, interface, each, on=False)


def _pointing(index: int, target: int, filters: Sequence[Filter]) -> list[Request]:
    """Have frames that arrive at a device (with these filters) leave by another, between two frames."""
    high, low = DETOUR_PREFERENCES
    there = {each.preference: each.redirect for each in filters if each.preference in DETOUR_PREFERENCES}
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


def _set_offload(offloads: Offloads, interface: str, which: Offload, *, on: bool) -> None:
    try:
        offloads.set(interface, which, on=on)
    except OSError as error:
        raise LabctlError(
            "effect-not-taken", f"offload {which.name} of {interface} cannot be set: {error.strerror}"
        ) from error
