"""Chance that can be said again: every draw is a function of (seed, number of the frame, what it is drawn for).

A generator with a state gives each frame whatever the frames before it left over; here frame 17 is lost or not because
of the seed and of 17, in every backend alike. So a loss pattern is reproducible to the bit, a test compares a backend
with this function and not with a tolerance, and the kernel needs no lock. The mixing is splitmix64's (Steele, Lea and
Flood 2014): a Weyl sequence through two multiplications.

The shapes of jitter are tables of quantiles computed here, with mean 0 and unit spread: uniform within ±1, the others
with standard deviation 1 (cut at four of them, which is where the kernel's 16-bit tables end).
"""

from __future__ import annotations

import math
from enum import IntEnum
from functools import cache
from statistics import NormalDist

from labctl.model.impairment import Distribution

MASK = 0xFFFF_FFFF_FFFF_FFFF
GOLDEN = 0x9E37_79B9_7F4A_7C15
MIX1, MIX2 = 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB
USES = 64  # draws that one frame may need
TABLE = 4096
_CUT = 4.0
_PARETO_SHAPE = 3.0


class Use(IntEnum):
    """What a draw is for; bursts and drops take a row of their own from their first."""

    LOSS = 0
    CORRUPT = 1
    PLACE = 2
    DUPLICATE = 3
    JITTER = 4
    REORDER = 5
    BURST = 16  # two for each burst: lost?, turns?
    DROP = 32  # one for each drop


def mix(value: int) -> int:
    """64 well-mixed bits of a 64-bit number."""
    value &= MASK
    value = (value ^ (value >> 30)) * MIX1 & MASK
    value = (value ^ (value >> 27)) * MIX2 & MASK
    return value ^ (value >> 31)


def draw(seed: int, number: int, use: int) -> int:
    """32 random bits for one use of one frame."""
    return mix(seed + (number * USES + use) * GOLDEN) >> 32


def threshold(fraction: float) -> int:
    """A draw below it happens with this chance; 1 is 2**32, which every draw is below."""
    return round(fraction * 2**32)


def fraction(threshold: int) -> float:
    """The chance that a threshold stands for, to the nine places that 32 bits hold."""
    return round(threshold / 2**32, 9) or threshold / 2**32


@cache
def quantiles(shape: Distribution) -> tuple[float, ...]:
    """`TABLE` equally likely values of unit spread about 0, in ascending order."""
    middle = [(i + 0.5) / TABLE for i in range(TABLE)]
    match shape:
        case Distribution.UNIFORM:
            return tuple(2 * u - 1 for u in middle)
        case Distribution.NORMAL:
            return _cut([NormalDist().inv_cdf(u) for u in middle])
        case Distribution.PARETO:
            return _cut([_pareto(u) for u in middle])
        case Distribution.PARETONORMAL:
            # a quarter of a normal and three quarters of a Pareto delay, over a grid of both
            grid = [(i + 0.5) / 64 for i in range(64)]
            sums = sorted(0.25 * NormalDist().inv_cdf(u) + 0.75 * _pareto(v) for u in grid for v in grid)
            return _cut(sums)


def _pareto(u: float) -> float:
    """Quantile of a Pareto distribution of shape 3, shifted to mean 0 and scaled to standard deviation 1."""
    mean = _PARETO_SHAPE / (_PARETO_SHAPE - 1)
    deviation = math.sqrt(_PARETO_SHAPE / ((_PARETO_SHAPE - 1) ** 2 * (_PARETO_SHAPE - 2)))
    return float(((1 - u) ** (-1 / _PARETO_SHAPE) - mean) / deviation)


def _cut(values: list[float]) -> tuple[float, ...]:
    """To mean 0 and deviation 1 once more: the tail beyond the cut is missing."""
    for _ in range(8):
        mean = math.fsum(values) / len(values)
        deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
        values = [min(max((v - mean) / deviation, -_CUT), _CUT) for v in values]
    return tuple(values)
