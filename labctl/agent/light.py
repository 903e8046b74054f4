"""Who has carrier: the panel sides of the lab, watched, brought to the level rule and read back.

What decides is `agent.mirror`, a pure function; here are the namespaces that it is asked about and the one touch that
follows. All sides that have to change do so at one instant: the kernel is told in as few messages as it takes, and is
asked what it did only after the last.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from labctl.agent import clock, mirror
from labctl.agent.clock import Stamp
from labctl.agent.mirror import Side
from labctl.agent.watch import Watch
from labctl.linux import netns
from labctl.linux.netlink import Netlink
from labctl.model.effects import HalfCable, Resource, Setting
from labctl.model.lab import Stands
from labctl.names import PortId
from labctl.runtime.panel import bridge_port
from labctl.runtime.store import LabDir, Record

#: More than one cable has are made a group first, which takes a message for each, so that they change by one.
_GROUP_ABOVE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Carrier was given or taken: not before the kernel was asked, not after it had answered."""

    began: Stamp
    ended: Stamp


class Light:
    """All panel sides of one lab."""

    def __init__(self, place: LabDir) -> None:
        self.place = place
        self.watches: dict[str, Watch] = {}  # by node
        self.panel: Watch | None = None
        self.generation = 0  # counts changes of the set of watches
        self.corrections = 0  # panel sides changed
        self.moved: dict[PortId, Moved] = {}  # the last time
        self.sides: tuple[Side, ...] = ()
        self.changed: set[str] = set()  # nodes in which something happened since somebody emptied it
        # Groups are told apart by number, also from those that an agent left behind when it was killed.
        self._group = int.from_bytes(os.urandom(3), "big") << 7

    def close(self) -> None:
        for watch in self._all():
            watch.close()
        self.watches.clear()
        self.panel = None

    def load(self, record: Record) -> None:
        """The lab as its record says it is now."""
        self.sides = mirror.sides(record.lab)
        by_port = {side.port: side for side in self.sides}
        self._by_asked: dict[str, list[Side]] = {}
        self._by_half: dict[Resource, list[Side]] = {}
        for side in self.sides:
            for node in {port.node for port in side.asks}:
                self._by_asked.setdefault(node, []).append(side)
            for half in side.halves:
                self._by_half.setdefault(half, []).append(side)
        stands = record.lab.stands()
        self._segments = {name for name, where in stands.items() if where is Stands.SEGMENT}
        self._device = {port: record.devices.get(str(port), "") for port in by_port}
        self._by_device = {device: by_port[port] for port, device in self._device.items() if device}
        self._open_namespaces()

    def dump(self, nodes: Collection[str] | None = None) -> None:
        """Read everything again: of the panel, and of these nodes (None: all)."""
        for watch in self._all() if nodes is None else [self.panel, *map(self.watches.get, nodes)]:
            if watch is not None:
                watch.dump()
        self.changed.update(self.watches if nodes is None else nodes)

    def of(self, halves: Iterable[HalfCable]) -> list[Side]:
        """The sides that show these half-cables, each once."""
        return list(dict.fromkeys(side for half in halves for side in self._by_half.get(half, ())))

    def refresh(self, nodes: Iterable[str], *, panel: bool) -> tuple[list[Side], list[str]]:
        """Events are waiting in these namespaces: which sides to level, and in which nodes something changed."""
        among: dict[PortId, Side] = {}
        changed = [node for node in nodes if self.watches[node].refresh()]
        self.changed.update(changed)
        for node in changed:
            among.update((side.port, side) for side in self._by_asked.get(node, ()))
        if panel and self.panel is not None:
            found = (self._by_device.get(device) for device in self.panel.refresh())
            among.update((side.port, side) for side in found if side is not None)
        return list(among.values()), changed

    def level(self, among: Collection[Side], settings: Mapping[Resource, Setting]) -> list[PortId]:
        """Bring these panel sides to the level rule; the ports whose carrier was given or taken."""
        if self.panel is None or not among:
            return []
        asked = {port.node for side in among for port in side.asks}
        admin = {node: self.watches[node].admin() for node in asked if node in self.watches}
        wrong: dict[PortId, tuple[int, bool]] = {}
        for port, up in mirror.wanted(among, admin, settings).items():
            link = self.panel.links.get(self._device[port])
            if link is not None and link.up != up:
                wrong[port] = link.index, up
            # A port that was deleted inside its node has no panel side until it is plugged again.
        if not wrong:
            return []
        moved = self._touch(self.panel.netlink, dict(wrong.values()))
        self.moved |= dict.fromkeys(wrong, moved)
        self.corrections += len(wrong)
        for port, (_, up) in wrong.items():
            self.panel.assume(self._device[port], up=up)
        return list(wrong)

    def read_back(self, sides: Collection[Side]) -> None:
        """Ask the kernel what these sides, and the ports that they give carrier to, are now."""
        if self.panel is None:
            return
        bridged = [side for side in sides if side.port.node in self._segments]
        devices = [self._device[side.port] for side in sides]
        self.panel.reread_all([*devices, *(bridge_port(self._device[side.port]) for side in bridged)])
        inside: dict[str, list[str]] = {}
        for side in sides:
            inside.setdefault(side.port.node, []).append(side.port.interface)
        for node, interfaces in inside.items():
            if node in self.watches:
                self.watches[node].reread_all(interfaces)

    def disagrees(self, side: Side, settings: Mapping[Resource, Setting]) -> str:
        """What of this side, as read back, is not as it should be; empty if all is."""
        if self.panel is None:
            return "the lab's panel is gone"
        link = self.panel.links.get(self._device[side.port])
        if link is None:
            return ""  # no panel side: no carrier and no traffic until it is plugged again
        asked = {port.node for port in side.asks}
        admin = {node: watch.admin() for node, watch in self.watches.items() if node in asked}
        if link.up != mirror.up(side, admin, settings):
            return f"panel side {link.name} is {'up' if link.up else 'down'}"
        if side.port.node in self._segments:
            inside = self.panel.links.get(bridge_port(link.name))
        else:
            watch = self.watches.get(side.port.node)
            inside = watch.links.get(side.port.interface) if watch is not None else None
        if not link.up and inside is not None and inside.carrier:
            return f"{side.port} still has carrier"
        return ""

    def _touch(self, kernel: Netlink, wanted: Mapping[int, bool]) -> Moved:
        """Raise and lower panel sides, all at one instant."""
        groups: dict[int, tuple[list[int], bool]] = {}
        if len(wanted) > _GROUP_ABOVE:
            for up in (False, True):
                indexes = [index for index, level in wanted.items() if level is up]
                if indexes:
                    self._group += 1
                    groups[self._group] = indexes, up
                    kernel.gather(indexes, self._group)
        began = clock.now()
        for group, (_, up) in groups.items():
            kernel.set_group(group, up=up)
        if not groups:
            for error in kernel.set_links(wanted).values():
                if error.errno != errno.ENODEV:
                    raise error
        moved = Moved(began=began, ended=clock.now())
        for indexes, _ in groups.values():
            kernel.gather(indexes, 0)
        return moved

    # -- namespaces --------------------------------------------------------------------------------------------

    def _all(self) -> list[Watch]:
        return [*self.watches.values(), *([self.panel] if self.panel else [])]

    def _open_namespaces(self) -> None:
        """Watch the namespaces that are there now: new ones, replaced ones, and none that has gone."""
        self.panel = self._rewatch(self.panel, self.place.panel_ns)
        wanted = {port.node for side in self.sides for port in (side.port, *side.asks)}
        for node in wanted | self.watches.keys():
            path = self.place.node_ns(node) if node in wanted else ""
            watch = self._rewatch(self.watches.pop(node, None), path)
            if watch is not None:
                self.watches[node] = watch

    def _rewatch(self, watch: Watch | None, path: str) -> Watch | None:
        there = bool(path) and netns.exists(path)
        if watch is not None and (not there or watch.inode != netns.inode(path)):
            watch.close()
            watch = None
            self.generation += 1
        if watch is None and there:
            watch = Watch(path)
            self.generation += 1
            self.changed.update(self.watches)
        return watch
