"""The smallest set that still fails: delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
Failure-Inducing Input", IEEE TSE 28(2), 2002), their algorithm *ddmin*.

The set is cut into n parts. If one part alone fails, go on with it; else if the set without one part fails, go on with
that; else cut finer, until the parts are single items. It asks questions and knows no runs: `ddmin` yields the sets that it
wants tried and is sent the answers, so the pure part is here and the minutes that a run takes are somebody else's.

A test has three answers. One that could not be judged leads nowhere, as in the paper: the set is not taken. What differs
from a proof is said at the end: items whose removal was never answered may still be superfluous.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from labctl.model.campaign import Answer

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Generic[T]):
    """Try this set. smallest: the smallest set so far that is known to fail."""

    items: tuple[T, ...]
    smallest: tuple[T, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimal(Generic[T]):
    """It fails. Without any one item it passes; except for those in `doubtful`, where that could not be judged."""

    items: tuple[T, ...]
    doubtful: tuple[T, ...]


Asking: TypeAlias = Generator[Ask[T], Answer, Minimal[T]]


def ddmin(failing: Sequence[T]) -> Asking[T]:
    """`failing` is known to fail, and the empty set to pass. No set is asked for twice."""
    current = tuple(failing)
    known: dict[frozenset[T], Answer] = {frozenset(current): Answer.FAILS, frozenset(): Answer.PASSES}
    parts = 2
    while len(current) > 1:
        chunks = _chunks(current, parts)
        tries = [(chunk, 2) for chunk in chunks]
        if parts > 2:  # of two parts, each is what is left without the other
            tries += [(_without(current, chunk), max(parts - 1, 2)) for chunk in chunks]
        for items, then in tries:
            if frozenset(items) not in known:
                known[frozenset(items)] = yield Ask(items=items, smallest=current)
            if known[frozenset(items)] is Answer.FAILS:
                current, parts = items, then
                break
        else:
            if parts >= len(current):
                break
            parts = min(2 * parts, len(current))
    doubtful = (each for each in current if known[frozenset(current) - {each}] is not Answer.PASSES)
    return Minimal(items=current, doubtful=tuple(doubtful))


def _chunks(items: tuple[T, ...], count: int) -> list[tuple[T, ...]]:
    """`count` parts of nearly equal length, in order."""
    count = min(count, len(items))
    edges = [number * len(items) // count for number in range(count + 1)]
    return [items[low:high] for low, high in itertools.pairwise(edges)]


def _without(items: tuple[T, ...], gone: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(each for each in items if each not in gone)
