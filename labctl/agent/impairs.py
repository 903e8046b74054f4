"""Impairments of a lab's half-cables, on behalf of the agent: names to panel devices, levels to `runtime.impair`.

The agent asks for a level and gets a word on whether it is there. What is skipped is only what is known to be so: a
half-cable that was found neutral by this process and that nobody asks to be otherwise. After a restart nothing is known.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from labctl.agent import clock
from labctl.agent.clock import Stamp
from labctl.errors import LabctlError
from labctl.model.effects import Direction, HalfCable
from labctl.model.impairment import NEUTRAL, Impairment
from labctl.model.lab import Stands
from labctl.runtime.impair import Half, Impairer, Installed, Staged
from labctl.runtime.panel import bridge_port
from labctl.runtime.store import LabDir, Record

#: How soon a closed detour is looked at again.
REAP_S = 0.02


Done: TypeAlias = dict[HalfCable, Installed | OSError | LabctlError | None]


@dataclass(slots=True)
class Ready:
    """What is built and waits for its time. done: where there is nothing more to do, and where it failed."""

    staged: dict[HalfCable, tuple[Impairment, Staged]] = field(default_factory=dict)
    done: Done = field(default_factory=dict)


@dataclass(slots=True)
class Struck:
    """What became of each half-cable: what is there now, None where there was nothing to do, or why it failed. began,
    ended: before the first and after the last was changed.
    """

    done: Done
    began: Stamp | None = None
    ended: Stamp | None = None


class Impairs:
    """All half-cables of one lab. Opens nothing before the first impairment."""

    def __init__(self, place: LabDir) -> None:
        self._place = place
        self._impairer: Impairer | None = None
        self._known: dict[HalfCable, Impairment] = {}
        self._draining = False
        self._worker: tuple[int, int] | None = None

    def close(self) -> None:
        if self._impairer is not None:
            self._impairer.close()
            self._impairer = None
        self._forget_worker()

    def forget(self) -> None:
        """Namespaces or devices may be others now: look at everything again."""
        self._known.clear()
        if self._impairer is not None:
            self._impairer.close()
            self._impairer = None

    def check(self, record: Record, half: HalfCable, impairment: Impairment) -> None:
        """Raise what would make it fail, before anything is touched: no backend, or no cable that can have it."""
        if impairment.neutral:
            return
        self._half(record, half)
        self._open().check(impairment)

    def prepare(self, impairments: Collection[Impairment]) -> None:
        """What of these takes time and touches no cable: so that a fault is there when its time has come."""
        if any(not each.neutral for each in impairments):
            self._open().prepare(impairments)

    def stage(
        self,
        record: Record,
        wanted: Mapping[HalfCable, Impairment],
        until: Callable[[HalfCable], float | None],
    ) -> Ready:
        """Build what brings half-cables to these impairments. No frame meets any of it before `strike`, which has to
        follow before anything else is done here.
        """
        ready = Ready()
        for half, impairment in wanted.items():
            if impairment.neutral and self._known.get(half) == NEUTRAL:
                ready.done[half] = None
                continue
            try:
                place = self._half(record, half)
            except LabctlError as error:
                if impairment.neutral:  # a stub: nothing can be there
                    self._known[half] = NEUTRAL
                ready.done[half] = None if impairment.neutral else error
                continue
            try:
                staged = self._open().stage(place, impairment, until_boot=until(half))
            except (OSError, LabctlError) as error:
                ready.done[half] = error
                self._known.pop(half, None)
            else:
                ready.staged[half] = impairment, staged
        return ready

    def strike(self, ready: Ready) -> Struck:
        """Have frames meet all of it at once; then look at each."""
        struck = Struck(done=ready.done)
        if not ready.staged:
            return struck
        struck.began = clock.now()
        self._open().strike([staged for _, staged in ready.staged.values()])
        struck.ended = clock.now()
        for half, (impairment, staged) in ready.staged.items():
            struck.done[half] = self._finish(half, impairment, staged)
        self._watch_worker()
        return struck

    def _finish(
        self, half: HalfCable, impairment: Impairment, staged: Staged
    ) -> Installed | OSError | LabctlError:
        self._known.pop(half, None)
        try:
            installed = self._open().finish(staged)
        except (OSError, LabctlError) as error:
            return error
        if installed.taken:
            self._known[half] = impairment
        self._draining = self._draining or installed.draining
        return installed

    def look(
        self, record: Record, half: HalfCable, impairment: Impairment
    ) -> tuple[Installed, dict[str, int]]:
        """What is there now against what should be, and what was done to frames, by cause. Changes nothing."""
        place = self._half(record, half)
        return self._open().look(place, impairment), self._open().counts(place)

    def reap(self) -> None:
        """Take away detours that have run empty."""
        if self._draining and self._impairer is not None:
            self._draining = self._impairer.reap()

    @property
    def next_wake_s(self) -> float | None:
        return REAP_S if self._draining else None

    @property
    def worker(self) -> tuple[int, int] | None:
        """Pid of the wire's process and a descriptor that becomes readable when it ends; None when nothing needs it."""
        return self._worker

    def worker_died(self) -> list[HalfCable]:
        """Its lines are dead; these half-cables have to be brought to their impairments again."""
        self._forget_worker()
        impaired = [half for half, impairment in self._known.items() if not impairment.neutral]
        for half in impaired:
            del self._known[half]
        return impaired

    def _watch_worker(self) -> None:
        if self._impairer is None:
            return
        who = self._impairer.wire.identity() if any(not i.neutral for i in self._known.values()) else None
        if (who and who.pid) == (self._worker and self._worker[0]):
            return
        self._forget_worker()
        if who is not None:
            with contextlib.suppress(ProcessLookupError):
                self._worker = (who.pid, os.pidfd_open(who.pid))

    def _forget_worker(self) -> None:
        if self._worker is not None:
            pid, fd = self._worker
            os.close(fd)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            self._worker = None

    def _open(self) -> Impairer:
        if self._impairer is None:
            self._impairer = Impairer(self._place.panel_ns, self._place.agent_dir)
        return self._impairer

    def _half(self, record: Record, half: HalfCable) -> Half:
        """The panel devices of a half-cable: where its frames come in, and where they go out."""
        cable = record.lab.cable(half.cable)
        if cable.below:
            raise LabctlError(
                "effect-not-taken",
                f"{half.cable} has no cable of its own: its frames cross that of {cable.below}",
            )
        if cable.z is None and cable.outside is None:
            raise LabctlError("effect-not-taken", f"{half.cable} is a stub: nobody receives at its end")
        one, other = half.cable.a, half.cable.z
        sender, receiver = (one, other) if half.direction is Direction.A_TO_Z else (other, one)
        device = record.devices[str(sender)]
        if sender == cable.outside:
            sends = (self._place.panel_ns, device)
        elif record.lab.stands()[sender.node] is Stands.SEGMENT:
            sends = (self._place.panel_ns, bridge_port(device))
        else:
            sends = (self._place.node_ns(sender.node), sender.interface)
        return Half(
            panel=self._place.panel_ns,
            device_in=device,
            device_out=record.devices[str(receiver)],
            sender=sends,
            frame_bytes=cable.mtu + 18,
            above=tuple(
                (record.devices[str(port)], (self._place.node_ns(port.node), port.interface))
                for port in (each.a.port for each in record.lab.above(sender))
            ),
        )
