"""What a running verb tells its caller while it works: one value, many surfaces.

Every function of `labctl.app` takes an `Emit`. The command line turns events into progress on stderr, an API will
stream them, tests collect them in a list. Raising from an `Emit` cancels the verb, which then cleans up after itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """kind: kebab-case, stable ("node-started"); done/total: progress of this kind, when it is countable.

    passing: true of this moment only and soon followed by another of its kind; a log keeps few of them.
    """

    kind: str
    text: str
    subject: str = ""
    done: int | None = None
    total: int | None = None
    passing: bool = False


Emit: TypeAlias = Callable[[Event], None]


def ignore(_: Event) -> None:
    """The `Emit` of callers that do not watch."""
