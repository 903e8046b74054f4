"""IS-IS as a device runs it, in no vendor's words, with no value left to a default."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from labctl.errors import Span
from labctl.model.policy import NOWHERE


class IsisLevel(StrEnum):
    """Its values are also FRR's and IOS's words."""

    ONE = "level-1"
    TWO = "level-2-only"
    BOTH = "level-1-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class IsisInterface:
    """An interface that takes part. passive: its prefixes are announced, nobody is greeted."""

    ipv4: bool
    ipv6: bool
    level: IsisLevel
    metric_1: int
    metric_2: int
    point_to_point: bool
    passive: bool
    hello_s: int
    hello_multiplier: int
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IsisConfig:
    """An IS-IS process. `net`: the network entity titles, without one it does not run; wide: metrics of 24 bits."""

    tag: str
    net: tuple[str, ...]
    level: IsisLevel
    wide: bool
    overload: bool
    where: Span = field(default=NOWHERE, compare=False)
