"""Human units at the edge, SI numbers inside.

Files and flags say `250ms`, `10Mbit`, `64MiB`, `3%`; the core only ever sees seconds, bit/s, bytes and fractions, and
its field names say which (`delay_s`, `rate_bps`, `size_bytes`, `loss`). A bare number is refused: "delay: 20" has
cost people a night. Each parser has a formatter, and `parse(format(x)) == x` is property-tested.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal

from labctl.errors import LabctlError, Span

DURATIONS: Mapping[str, float] = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
RATES: Mapping[str, float] = {
    "bit": 1.0,
    "kbit": 1e3,
    "Mbit": 1e6,
    "Gbit": 1e9,
    "bps": 1.0,
    "kbps": 1e3,
    "Mbps": 1e6,
    "Gbps": 1e9,
}
SIZES: Mapping[str, float] = {
    "B": 1,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    # what Docker and containerlab accept as well
    "b": 1,
    "k": 2**10,
    "m": 2**20,
    "g": 2**30,
    "kb": 2**10,
    "mb": 2**20,
    "gb": 2**30,
    "Mb": 2**20,
    "Gb": 2**30,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
}
#: The units that sizes are printed in; of two that fit as well the first.
_WRITTEN = ("B", "KiB", "kB", "MiB", "MB", "GiB", "GB")
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)\s*([A-Za-z%/]*)\s*")


def _split(
    text: str, what: str, example: str, units: Mapping[str, float], where: Span | None
) -> tuple[float, float]:
    match = _NUMBER.fullmatch(text)
    if not match:
        raise LabctlError(
            "bad-unit", f"{text!r} is not a {what}", where=where, hint=f"write it like `{example}`"
        )
    number, unit = float(match[1]), match[2]
    if unit not in units:
        said = f"unknown unit {unit!r}" if unit else "no unit"
        raise LabctlError(
            "bad-unit", f"{what} {text!r} has {said}", where=where, hint="units: " + ", ".join(units)
        )
    if not math.isfinite(number * units[unit]):
        raise LabctlError(
            "bad-unit", f"{what} {text!r} is too large", where=where, hint=f"write it like `{example}`"
        )
    return number, units[unit]


#: A longer duration is a slip of the pen, and what counts in nanoseconds somewhere would have no room for it.
LONGEST_D = 1000


def duration(text: str, *, where: Span | None = None) -> float:
    """`"250ms"` -> 0.25 seconds. More than 1000 days are refused."""
    number, unit = _split(text, "duration", "250ms", DURATIONS, where)
    if number * unit > LONGEST_D * DURATIONS["d"]:
        raise LabctlError(
            "bad-unit", f"duration {text!r} is too long", where=where, hint=f"at most {LONGEST_D}d"
        )
    return number * unit


def rate(text: str, *, where: Span | None = None) -> float:
    """`"10Mbit"` -> 1e7 bit/s."""
    number, unit = _split(text, "rate", "10Mbit", RATES, where)
    return number * unit


def size(text: str, *, where: Span | None = None) -> int:
    """`"64MiB"` -> 67108864 bytes."""
    number, unit = _split(text, "size", "64MiB", SIZES, where)
    return round(number * unit)


def percent(text: str, *, where: Span | None = None) -> float:
    """`"3%"` -> 0.03. More than 100% is refused."""
    number, _ = _split(text, "percentage", "3%", {"%": 1.0}, where)
    if number > 100:
        raise LabctlError(
            "bad-unit", f"percentage {text!r} is above 100%", where=where, hint="write it like `3%`"
        )
    return float(Decimal(text.strip().rstrip("% \t")) / 100)  # in decimal: 16.7 / 100 is not 0.167 in binary


_MOST_LISTED = 8192


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of a list as the kernel writes it; ValueError for what is none.

    >>> numbers("0-2,6")
    (0, 1, 2, 6)
    """
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,5})(?:-([0-9]{1,5}))?\s*", part)
        if match is None:
            raise ValueError(f"{part!r} is no number and no range")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < _MOST_LISTED:
            raise ValueError(f"{part!r} is no range below {_MOST_LISTED}")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def format_duration(seconds: float) -> str:
    """0.25 -> `"250ms"`; the shortest exact form."""
    for unit in ("s", "ms", "us"):
        scaled = seconds / DURATIONS[unit]
        if seconds == 0 or (scaled >= 1 and float(f"{scaled:.12g}") * DURATIONS[unit] == seconds):
            return f"{scaled:.12g}{unit}" if seconds else "0s"
    return f"{seconds!r}s"


def format_rate(bps: float) -> str:
    """1e7 -> `"10Mbit"`."""
    for unit in ("Gbit", "Mbit", "kbit"):
        if bps >= RATES[unit]:
            text = f"{bps / RATES[unit]:.12g}{unit}"
            if rate(text) == bps:
                return text
    return f"{bps!r}bit"


def format_size(count: int) -> str:
    """67108864 -> `"64MiB"`; exact, in the unit that takes the smallest number."""
    fitting = [(count // int(SIZES[unit]), unit) for unit in _WRITTEN if count % int(SIZES[unit]) == 0]
    number, unit = min(fitting, key=lambda each: each[0])
    return f"{number}{unit}"


def format_percent(fraction: float) -> str:
    """0.03 -> `"3%"`; exact."""
    return f"{(Decimal(repr(fraction)) * 100).normalize():f}%"
