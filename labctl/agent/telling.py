"""What the agent tells of the lab: the differences between what it told last and what is now.

By level, like everything here: at the end of each round what is active, what is broken and how the ports are is compared
with what was last said of it. So nothing in the agent has to remember to tell, and an agent that starts anew tells what
became different while nobody looked, at the moment when it sees it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from labctl.agent.core import Agent
from labctl.linux.netlink import Link
from labctl.model import impairment_codec
from labctl.model.effects import (
    BASE,
    ConfigRef,
    Direction,
    HalfCable,
    NodeRef,
    ProcessRef,
    Resource,
    Setting,
)
from labctl.names import PortId
from labctl.runtime import eventlog
from labctl.runtime.eventlog import Happened


class Teller:
    """Tells of one lab; `look` costs next to nothing when nothing changed."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        again = any(each["type"] == "agent" for each in eventlog.history(agent.place))
        # What an agent before this one began was told by it.
        self._faults = {each.id: each.about for each in agent.ledger.active.values()} if again else {}
        self._broken = self._now_broken() if again else {}
        self._ports = self._now(agent.cables.light.watches)
        self._settings: Mapping[Resource, Setting] | None = None
        pid = str(os.getpid())
        self._note(
            [Happened(type="agent", action="restart" if again else "start", actor_id=pid, actor_name="agent")]
        )

    def look(self) -> None:
        """Tell what is different now."""
        self._note([*self._over(), *self._begun(), *self._changed(), *self._moved()])

    def _note(self, happened: list[Happened]) -> None:
        if happened:
            eventlog.note(self._agent.place, happened)
            eventlog.bound(self._agent.place)

    # -- faults ------------------------------------------------------------------------------------------------

    def _over(self) -> Iterator[Happened]:
        for lease, action, because in self._agent.ledger.drain():
            if lease.id not in self._faults and action == "end":
                yield self._fault("add", lease.id, lease.about)  # it began and ended within one round
            self._faults.pop(lease.id, None)
            yield self._fault(action, lease.id, lease.about, because=because)

    def _begun(self) -> Iterator[Happened]:
        active = self._agent.ledger.active
        if active.keys() == self._faults.keys():
            return
        for lease in active.values():
            if lease.id not in self._faults:
                self._faults[lease.id] = lease.about
                yield self._fault("add", lease.id, lease.about, on=", ".join(_touched(lease.effects)))

    def _fault(self, action: str, lease_id: str, about: str, **more: str) -> Happened:
        said = {"about": about} if about else {}
        return Happened(
            type="fault", action=action, actor_id=lease_id, actor_name=lease_id, attributes=said | more
        )

    # -- what they do ------------------------------------------------------------------------------------------

    def _changed(self) -> Iterator[Happened]:
        """Resources that are at another setting than was last told. One that could not be brought there waits."""
        if self._agent.settings is self._settings and not self._agent.off_base:
            return
        self._settings = self._agent.settings
        broken = self._now_broken()
        for on in sorted(broken.keys() | self._broken.keys(), key=str):
            base = self._agent.base.get(on, BASE)
            before, now = self._broken.get(on, base), broken.get(on, base)
            if before == now or on in self._agent.off_base:
                continue
            if now == base:
                self._broken.pop(on, None)
            else:
                self._broken[on] = now
            yield from self._told(on, before, now)

    def _now_broken(self) -> dict[Resource, Setting]:
        touched = {effect.on for effect in self._agent.ledger.effects}
        base = self._agent.base
        found = {on: self._agent.settings.get(on, base.get(on, BASE)) for on in touched}
        return {on: setting for on, setting in found.items() if setting != base.get(on, BASE)}

    def _told(self, on: Resource, before: Setting, now: Setting) -> Iterator[Happened]:
        if isinstance(on, HalfCable):
            yield from _half(on, before, now)
        elif isinstance(on, NodeRef):
            if before.frozen != now.frozen:
                yield self._container("pause" if now.frozen else "unpause", on.node)
            if before.cpu != now.cpu:
                cores = "as the lab says" if now.cpu is None else f"{now.cpu:g}"
                yield self._container("update", on.node, cpu=cores)
        elif isinstance(on, ProcessRef):
            yield from _process(on, before, now)
        elif isinstance(on, ConfigRef):
            for lines in set(now.config) - set(before.config):
                yield _plain("config", "push", on, node=on.node, lines="\n".join(lines))
            for lines in set(before.config) - set(now.config):
                yield _plain("config", "rollback", on, node=on.node, lines="\n".join(lines))

    def _container(self, action: str, node: str, **more: str) -> Happened:
        lab = self._agent.record.lab
        return Happened(
            type="container",
            action=action,
            actor_id=self._agent.place.container_id(node),
            actor_name=lab.container(node),
            attributes={"node": node, **more},
        )

    # -- ports -------------------------------------------------------------------------------------------------

    def _moved(self) -> Iterator[Happened]:
        """Ports that came, went, or were shut, lit or changed inside their nodes."""
        light = self._agent.cables.light
        nodes = light.changed & light.watches.keys()
        light.changed.clear()
        if not nodes:
            return
        now = self._now({node: light.watches[node] for node in nodes})
        before = {port: said for port, said in self._ports.items() if port.node in nodes}
        for port in sorted(now.keys() | before.keys()):
            if now.get(port) != before.get(port):
                yield self._interface(port, before.get(port), now.get(port))
        self._ports = {port: said for port, said in self._ports.items() if port.node not in nodes} | now

    def _now(self, watches: Mapping[str, Any]) -> dict[PortId, Mapping[str, str]]:
        mine = {side.port for side in self._agent.cables.light.sides}
        return {
            PortId(node, name): _link(link)
            for node, watch in watches.items()
            for name, link in watch.links.items()
            if PortId(node, name) in mine
        }

    def _interface(
        self, port: PortId, before: Mapping[str, str] | None, now: Mapping[str, str] | None
    ) -> Happened:
        action = "create" if before is None else "delete" if now is None else "update"
        return Happened(
            type="interface",
            action=action,
            actor_id=self._agent.place.container_id(port.node),
            actor_name=self._agent.record.lab.container(port.node),
            attributes={"node": port.node, "ifname": port.interface, **(now or before or {})},
        )


def _link(link: Link) -> Mapping[str, str]:
    """state: the kernel's words; a port that is up and has no light is `lowerlayerdown`."""
    state = "down" if not link.up else "up" if link.carrier else "lowerlayerdown"
    return {
        "state": state,
        "index": str(link.index),
        "mac": link.mac,
        "mtu": str(link.mtu),
        "origin": "netlink",
    }


def _process(on: ProcessRef, before: Setting, now: Setting) -> Iterator[Happened]:
    if before.killed != now.killed:
        yield _plain("process", "kill" if now.killed else "allow", on, node=on.node)
    if before.stopped != now.stopped:
        yield _plain("process", "stop" if now.stopped else "continue", on, node=on.node)


def _half(on: HalfCable, before: Setting, now: Setting) -> Iterator[Happened]:
    a, z = on.cable.a, on.cable.z
    ends = (a, z) if on.direction is Direction.A_TO_Z else (z, a)
    way = {"direction": on.direction.value, "from": str(ends[0]), "to": str(ends[1])}
    if before.down != now.down:
        yield _of_cable(on, "cut" if now.down else "restore", way)
    if before.impairment != now.impairment:
        said = impairment_codec.encode(now.impairment)
        words = {} if now.impairment.neutral else {"impairment": json.dumps(said, separators=(",", ":"))}
        yield _of_cable(on, "repair" if now.impairment.neutral else "impair", way | words)


def _of_cable(on: HalfCable, action: str, attributes: Mapping[str, str]) -> Happened:
    name = str(on.cable)
    return Happened(type="link", action=action, actor_id=name, actor_name=name, attributes=attributes)


def _plain(kind: str, action: str, on: Resource, **attributes: str) -> Happened:
    return Happened(type=kind, action=action, actor_id=str(on), actor_name=str(on), attributes=attributes)


def _touched(effects: Any) -> list[str]:
    return list(dict.fromkeys(str(e.on.cable) if isinstance(e.on, HalfCable) else str(e.on) for e in effects))
