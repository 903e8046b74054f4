"""The registry of faults, and the few words that faults share.

What a fault is, `labctl.model.scenario.Fault` says: settings in, effects over time out. A fault touches nothing; it says
which resources are how for how long, and the settle fold makes one state of all faults that are active. So a fault is
short, and reading one teaches how to write the next (CONTRIBUTING.md).

Settings are the fields of the dataclass, in SI units; their names say which: `delay_s` is written `delay: 40ms`,
`rate_bps` is `rate: 10Mbit`, `queue_bytes` is `queue: 64KiB`. What else there is to know about one (that it is a
percentage, what it does) stands in the field's metadata, see `setting`; `labctl.schema.faults` reads values by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from labctl.errors import LabctlError
from labctl.model.effects import Change, Direction, Down, Effect, HalfCable, Resource
from labctl.model.lab import LabSpec, NodeKind
from labctl.model.scenario import Fault, TimedEffect
from labctl.names import CableId
from labctl.plugins import Registry
from labctl.units import format_duration

FAULTS: Registry[type[Fault]] = Registry(
    "fault",
    group="labctl.faults",
    builtin={
        "link.admin-down": "labctl.faults.link_admin_down:AdminDownPort",
        "link.blackhole": "labctl.faults.link_blackhole:Blackhole",
        "link.degrade": "labctl.faults.link_degrade:Degrade",
        "link.down": "labctl.faults.link_down:CarrierLoss",
        "link.ecmp-member": "labctl.faults.link_ecmp_member:EcmpMember",
        "link.flap": "labctl.faults.link_flap:Flap",
        "link.group": "labctl.faults.link_group:Group",
        "link.microburst": "labctl.faults.link_microburst:Microburst",
        "link.mtu": "labctl.faults.link_mtu:MtuBlackhole",
        "link.oneway": "labctl.faults.link_oneway:OneWay",
        "link.partition": "labctl.faults.link_partition:Partition",
        "link.selective": "labctl.faults.link_selective:Selective",
        "node.config": "labctl.faults.node_config:Config",
        "node.crash-loop": "labctl.faults.node_crash_loop:CrashLoop",
        "node.daemon-hang": "labctl.faults.node_daemon_hang:DaemonHang",
        "node.daemon-kill": "labctl.faults.node_daemon_kill:DaemonKill",
        "node.degrade": "labctl.faults.node_degrade:NodeDegrade",
        "node.hang": "labctl.faults.node_hang:Hang",
        "node.linecard": "labctl.faults.node_linecard:Linecard",
        "node.power": "labctl.faults.node_power:PowerLoss",
        "node.reboot": "labctl.faults.node_reboot:Reboot",
        "node.slow": "labctl.faults.node_slow:Slow",
    },
)


class Way(StrEnum):
    """Which traffic of a cable is meant: by default both directions, seldom one."""

    BOTH = "both"
    A_TO_Z = "a->z"
    Z_TO_A = "z->a"

    @property
    def directions(self) -> tuple[Direction, ...]:
        return tuple(Direction) if self is Way.BOTH else (Direction(self.value),)

    @property
    def words(self) -> str:
        """`""` for both directions, else ` (a->z)`."""
        return "" if self is Way.BOTH else f" ({self.value})"


def setting(
    help_: str, default: Any = MISSING, *, unit: str = "", least: int = 0, most: float = math.inf
) -> Any:
    """A field of a fault. unit: "percent" where the number is a fraction; the others follow from the field's name. least:
    of a count that is given; its default may be less, and then means that there is none. most: of a time, in seconds.
    """
    metadata = {"help": help_, "unit": unit, "least": least, "most": most}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def way() -> Any:
    return setting("the traffic that is hit: both, a->z or z->a (a is the end that sorts first)", Way.BOTH)


#: How long one fault may hold a frame back. Those of several add up.
LONGEST_DELAY_S = 3600.0


def whole(
    fault_id: str, changes: Iterable[tuple[Resource, Change]], end_s: float, start_s: float = 0.0
) -> tuple[TimedEffect, ...]:
    """Effects that all last from `start_s` to `end_s`."""
    return tuple(
        TimedEffect(start_s=start_s, end_s=end_s, effect=Effect(id=fault_id, on=on, change=change))
        for on, change in changes
    )


def halves(cables: Iterable[CableId], which: Way = Way.BOTH) -> Iterator[HalfCable]:
    for cable in cables:
        for direction in which.directions:
            yield HalfCable(cable, direction)


def dark(cables: Iterable[CableId], which: Way = Way.BOTH) -> Iterator[tuple[Resource, Change]]:
    """No light on these cables."""
    return ((half, Down()) for half in halves(cables, which))


def cables_of(lab: LabSpec, nodes: Iterable[str]) -> tuple[CableId, ...]:
    """Every cable with an end at one of the nodes, in the order of the lab."""
    among = set(nodes)
    return tuple(c.id for c in lab.cables if any(end.port.node in among for end in c.ends))


def running(lab: LabSpec, nodes: Sequence[str]) -> tuple[str, ...]:
    """Those that have processes: a bridge has none."""
    return tuple(name for name in nodes if lab.node(name).kind is NodeKind.LINUX)


def matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


#: An outage that rounding left over at the end of a fault is none.
SHORTEST_S = 0.001
#: One fault that goes down more often is a slip of the pen, and its effects would fill the memory.
MOST_OUTAGES = 10_000


def cycles(
    down_s: float, up_s: float, for_s: float, stretch: Iterator[float]
) -> Iterator[tuple[float, float]]:
    """(start, end) of each outage: down, up, down, … each time multiplied by the next of `stretch`."""
    if for_s / (down_s + up_s) > MOST_OUTAGES:
        raise LabctlError(
            "bad-value",
            f"in {format_duration(for_s)} it would go down and up more than {MOST_OUTAGES} times",
            hint="a shorter time, or longer ones between the outages",
        )
    at = 0.0
    while for_s - at > SHORTEST_S:
        end = min(at + down_s * next(stretch), for_s)
        yield at, end
        at = end + up_s * next(stretch)
