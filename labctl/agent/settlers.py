"""Which module settles which kind of resource inside a node, and in which order.

A node's power comes first: what is inside it depends on whether it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import cast

from labctl.agent import settle_config, settle_node, settle_port, settle_process
from labctl.agent.inside import Inside
from labctl.agent.settle_process import HOLD_S
from labctl.model.effects import (
    ConfigRef,
    HalfCable,
    NodeRef,
    PortRef,
    ProcessRef,
    Resource,
    Setting,
)

__all__ = ["HOLD_S", "disagrees", "ensure", "held", "inner", "node_of", "rank", "shut", "within"]

_MODULES: Mapping[type[Resource], ModuleType] = {
    NodeRef: settle_node,
    ProcessRef: settle_process,
    PortRef: settle_port,
    ConfigRef: settle_config,
}
_ORDER = (HalfCable, NodeRef, ProcessRef, PortRef, ConfigRef)


def ensure(inside: Inside, on: Resource, wanted: Setting) -> bool:
    """Bring it to its setting; whether anything had to change."""
    return cast("bool", _MODULES[type(on)].ensure(inside, on, wanted))


def disagrees(inside: Inside, on: Resource, wanted: Setting) -> str:
    """What of it, looked at now, is not as it should be; empty if all is."""
    return cast("str", _MODULES[type(on)].disagrees(inside, on, wanted))


def rank(on: Resource) -> int:
    return _ORDER.index(type(on))


def inner(on: Resource) -> bool:
    """Whether it is a part of a node."""
    return isinstance(on, ProcessRef | PortRef | ConfigRef)


def node_of(on: Resource) -> str | None:
    """The node it is, or is in."""
    match on:
        case HalfCable():
            return None
        case PortRef():
            return on.port.node
        case _:
            return on.node


def within(node: NodeRef, settings: Mapping[Resource, Setting], base: Setting) -> Iterator[Resource]:
    """What is broken inside a node."""
    return (
        on for on, wanted in settings.items() if inner(on) and node_of(on) == node.node and wanted != base
    )


def held(settings: Mapping[Resource, Setting]) -> list[ProcessRef]:
    """Processes that something may start again although they are to be dead."""
    return [on for on, wanted in settings.items() if wanted.killed and isinstance(on, ProcessRef)]


def shut(settings: Mapping[Resource, Setting]) -> list[PortRef]:
    """Ports that are to be down."""
    return [on for on, wanted in settings.items() if wanted.admin_down and isinstance(on, PortRef)]
