"""The half-cables of a lab: light and impairments brought to their settings together, then read back.

In this order, over all that are touched at once: what impairs them is built; the light of all of them changes by one touch,
and the impairments are put in their way in one breath; and only then the kernel is asked what it made of it. Reading takes longer than doing, and who waits for it must not
be another fault.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from labctl.agent import clock
from labctl.agent.clock import Stamp
from labctl.agent.impairs import Impairs, Struck
from labctl.agent.light import Light
from labctl.agent.reading import Reading
from labctl.model.effects import HalfCable, Resource, Setting
from labctl.model.impairment import NEUTRAL, Impairment
from labctl.runtime.impair import Installed
from labctl.runtime.store import LabDir, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What was done to a half-cable."""

    asked: Stamp
    applied: Stamp
    changed: bool
    impaired: Installed | None


class Cables:
    """All cables of one lab."""

    def __init__(self, place: LabDir) -> None:
        self.light = Light(place)
        self.impairs = Impairs(place)

    def close(self) -> None:
        self.light.close()
        self.impairs.close()

    def load(self, record: Record) -> None:
        self._record = record
        self.light.load(record)

    def look_again(self, nodes: Collection[str] | None = None) -> None:
        """Namespaces or devices may be others now; nodes: where."""
        self.light.dump(nodes)
        self.impairs.forget()

    def settle(
        self,
        halves: Collection[HalfCable],
        settings: Mapping[Resource, Setting],
        until: Callable[[HalfCable], float | None],
        at: float = 0.0,
    ) -> list[Reading]:
        """Bring them to their settings. until: when the last lease that impairs one is over. at: not before this time of
        the monotonic clock; what no frame meets is built meanwhile.
        """
        impairments = {half: self._placeable(half, settings[half]) for half in halves}
        ready = self.impairs.stage(self._record, impairments, until)
        clock.sleep_until(at)
        began = clock.now()
        sides = self.light.of(halves)
        with contextlib.suppress(OSError):  # said by the one it happens to, in its turn
            self.light.level(sides, settings)
        failed: dict[HalfCable, Reading] = {}
        for half in halves:
            try:
                self.light.level(self.light.of([half]), settings)
            except OSError as error:
                failed[half] = Reading.failed(half, began, error)
        lit = clock.now()
        struck = self.impairs.strike(ready)
        for half, done in struck.done.items():
            if isinstance(done, Exception) and half not in failed:
                failed[half] = Reading.failed(half, struck.began or began, done)
        made = {half: self._made(half, struck, began, lit) for half in halves if half not in failed}
        try:
            self.light.read_back(sides)
        except OSError as error:
            failed |= {half: Reading.failed(half, each.asked, error) for half, each in made.items()}
        return [failed.get(half) or self._reading(half, made[half], settings) for half in halves]

    def look(
        self, half: HalfCable, settings: Mapping[Resource, Setting]
    ) -> tuple[str, Installed | None, dict[str, int]]:
        """What of it is not at its setting, what impairs it, and what that did to frames, by cause. Changes nothing."""
        sides = self.light.of([half])
        self.light.read_back(sides)
        wrong = [said for side in sides if (said := self.light.disagrees(side, settings))]
        wanted = settings[half].impairment
        if wanted.neutral:
            return "; ".join(wrong), None, {}
        installed, counts = self.impairs.look(self._record, half, wanted)
        return "; ".join([*wrong, *([installed.note] if installed.note else [])]), installed, counts

    def _placeable(self, half: HalfCable, wanted: Setting) -> Impairment:
        """What is to be in its way now. A dark cable that has lost a side has room for nothing, and needs nothing: it is dark
        because its node is made anew, and who gives it its light back settles it once more.
        """
        devices = (self._record.devices.get(str(port)) for port in self._record.lab.cable(half.cable).ports)
        panel = self.light.panel
        if wanted.down and (panel is None or any(device not in panel.links for device in devices)):
            return NEUTRAL
        return wanted.impairment

    def _made(self, half: HalfCable, struck: Struck, began: Stamp, lit: Stamp) -> _Made:
        """What moved since it began moved because of this. lit: when all light was as it is to be."""
        moved = [at for side in self.light.of([half]) if (at := self.light.moved.get(side.port))]
        moved = [at for at in moved if at.began.boot >= began.boot]
        impaired = struck.done[half]
        assert not isinstance(impaired, Exception)
        asked, applied = began, lit
        if impaired is not None and struck.began is not None and struck.ended is not None:
            asked, applied = struck.began, struck.ended
        changed = impaired is not None and impaired.changed
        if moved:
            asked = min((at.began for at in moved), key=lambda at: at.boot)
        if moved and not changed:
            applied = max((at.ended for at in moved), key=lambda at: at.boot)
        return _Made(asked=asked, applied=applied, changed=bool(moved) or changed, impaired=impaired)

    def _reading(self, half: HalfCable, made: _Made, settings: Mapping[Resource, Setting]) -> Reading:
        sides = self.light.of([half])
        wrong = [said for side in sides if (said := self.light.disagrees(side, settings))]
        if made.impaired is not None and made.impaired.note:
            wrong.append(made.impaired.note)
        return Reading(
            on=half,
            asked=made.asked,
            applied=made.applied,
            read=clock.now(),
            changed=made.changed,
            taken=not wrong,
            note="; ".join(wrong) or ("" if sides else "nobody receives at this end"),
        )
