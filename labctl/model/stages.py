"""When a node of a lab may start, and how it is known to be well: containerlab's stages and Docker's health checks.

A node goes through five stages in order. It enters one when those of other nodes that it waits for are done. `create` is
done when the node's process runs, `create-links` when its cables have light, `configure` when its `exec` commands have
run, `healthy` when its health check succeeds, `exit` when its process has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from labctl.errors import Span


class Stage(StrEnum):
    """In order."""

    CREATE = "create"
    CREATE_LINKS = "create-links"
    CONFIGURE = "configure"
    HEALTHY = "healthy"
    EXIT = "exit"


ORDER = tuple(Stage)


class Phase(StrEnum):
    ON_ENTER = "on-enter"
    ON_EXIT = "on-exit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """`stage` is not entered before `until` of `node` is done."""

    stage: Stage
    node: str
    until: Stage
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCommand:
    """A command inside the node when it enters a stage, or when it has done it."""

    stage: Stage
    phase: Phase
    command: str


class Health(StrEnum):
    """What a node's health check says."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """A command that says by its exit status whether the node is well. Times in seconds; defaults are Docker's.

    A failure within `start_period_s` of the node's start does not count; after `retries` failures in a row the node is
    unhealthy, and one success makes it healthy at any time.
    """

    test: tuple[str, ...]
    start_period_s: float = 0.0
    interval_s: float = 30.0
    timeout_s: float = 30.0
    retries: int = 3


def judge(check: Healthcheck, now: Health, failing: int, *, ok: bool, age_s: float) -> tuple[Health, int]:
    """The health, and the failures in a row, after one more check of a node that has run for `age_s`."""
    if ok:
        return Health.HEALTHY, 0
    if now is Health.STARTING and age_s < check.start_period_s:
        return now, 0
    failing += 1
    return (Health.UNHEALTHY if failing >= check.retries else now), failing


Point: TypeAlias = tuple[str, Stage]


def circle(waits: Mapping[str, Sequence[Wait]]) -> tuple[Wait, ...]:
    """Waits that wait for each other, so that none of their nodes would ever go on; empty if there are none."""
    done: set[Point] = set()
    for start in [(node, wait.stage) for node, own in waits.items() for wait in own]:
        found = _search(waits, start, [], [], done)
        if found:
            return found
    return ()


def _search(
    waits: Mapping[str, Sequence[Wait]],
    at: Point,
    path: list[Point],
    taken: list[Wait],
    done: set[Point],
) -> tuple[Wait, ...]:
    """A depth-first search through what must be done before `at` is."""
    if at in path:
        return tuple(taken[path.index(at) :])
    if at in done:
        return ()
    node, stage = at
    for wait in before(waits.get(node, ()), stage):
        found = _search(waits, (wait.node, wait.until), [*path, at], [*taken, wait], done)
        if found:
            return found
    done.add(at)
    return ()


def before(own: Iterable[Wait], stage: Stage) -> list[Wait]:
    """Of a node's waits those that hold it up until this stage is done: the stage's own and the earlier ones'."""
    last = ORDER.index(stage)
    return [wait for wait in own if ORDER.index(wait.stage) <= last]


def awaited(waits: Iterable[Wait]) -> dict[str, Stage]:
    """The last stage of each node that somebody waits for."""
    found: dict[str, Stage] = {}
    for wait in waits:
        found[wait.node] = max(wait.until, found.get(wait.node, wait.until), key=ORDER.index)
    return found
