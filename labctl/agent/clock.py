"""One instant on three clocks, read together.

Journal entries need all three: *monotonic* orders events and measures durations, *boot* also runs while the machine
sleeps and is what leases are counted on (a laptop that was closed for an hour wakes with its leases over), *wall* is
for people and for matching logs of other hosts. Boot time needs no boot id beside it: a lab's directory is named by
the boot it belongs to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

#: Where a stamp was taken. Monotonic clocks of two hosts do not compare.
HOST = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Seconds on each clock."""

    monotonic: float
    boot: float
    wall: float

    def to_json(self) -> dict[str, object]:
        return {"host": HOST, "monotonic": self.monotonic, "boot": self.boot, "wall": self.wall}


def sleep_until(monotonic: float) -> None:
    """Wait until then by the monotonic clock; not at all if that is over."""
    time.sleep(max(0.0, monotonic - time.monotonic()))


def now() -> Stamp:
    return Stamp(monotonic=time.monotonic(), boot=time.clock_gettime(time.CLOCK_BOOTTIME), wall=time.time())
