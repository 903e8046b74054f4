"""Impairments as JSON objects, the same in the ledger, on sockets and in the kernel's maps; absent means neutral.

Decoding trusts nothing: whatever is not what `encode` writes is a `ValueError` that says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from labctl.model.impairment import (
    NEUTRAL,
    Burst,
    Distribution,
    Impairment,
    Jitter,
    Match,
    Member,
    Nth,
    Protocol,
    Rate,
    Reorder,
)

_PARTS: Mapping[str, type[Any]] = {"jitter": Jitter, "reorder": Reorder, "rate": Rate}
_LISTS: Mapping[str, type[Any]] = {"nth": Nth, "bursts": Burst, "drops": Match, "members": Member}


def encode(impairment: Impairment) -> dict[str, Any]:
    """Only what is not neutral."""
    found: dict[str, Any] = {}
    for field in fields(Impairment):
        value = getattr(impairment, field.name)
        if value == getattr(NEUTRAL, field.name):
            continue
        if field.name in _PARTS:
            value = _part(value)
        elif field.name in _LISTS:
            value = [_part(each) for each in value]
        found[field.name] = value
    return found


def decode(value: Any) -> Impairment:
    if not isinstance(value, dict):
        raise ValueError("an impairment is not an object")  # noqa: TRY004  (one error type for all bad input)
    found: dict[str, Any] = {}
    for key, given in value.items():
        if key in _PARTS:
            found[key] = _make(_PARTS[key], key, given)
        elif key in _LISTS:
            if not isinstance(given, list):
                raise ValueError(f"{key} is not a list")
            found[key] = tuple(_make(_LISTS[key], key, each) for each in given)
        elif key in _PLAIN:
            found[key] = _PLAIN[key](key, given)
        else:
            raise ValueError(f"an impairment has no {key!r}")
    return Impairment(**found)


def _part(value: Any) -> dict[str, Any]:
    pairs = ((f.name, getattr(value, f.name)) for f in fields(value))
    return {name: each for name, each in pairs if each is not None}


def _make(kind: type[Any], where: str, value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not an object")  # noqa: TRY004
    known = {f.name for f in fields(kind)}
    for key in value:
        if key not in known:
            raise ValueError(f"{where} has no {key!r}")
    try:
        return kind(**{key: _PLAIN[key](f"{where}.{key}", each) for key, each in value.items()})
    except TypeError as error:  # a part that must be there is not
        raise ValueError(f"{where} is not complete: {error}") from error


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is not a number")  # noqa: TRY004
    return float(value)


def _whole(name: str, value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{name} is not a whole number")
    return value


def _flag(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{name} is not true or false")
    return value


_PLAIN: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(
        ("delay_s", "loss", "duplicate", "corrupt", "spread_s", "p", "r", "loss_good", "loss_bad"), _real
    ),
    **dict.fromkeys(("fraction", "bps", "queue_s"), _real),
    **dict.fromkeys(
        ("mtu", "seed", "every", "offset", "gap", "queue_bytes", "value", "bucket", "of"), _whole
    ),
    **dict.fromkeys(("blackhole", "keep_order"), _flag),
    "distribution": lambda _, value: Distribution(value),
    "protocol": lambda _, value: Protocol(value),
}
