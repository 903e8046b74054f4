"""The functions of a lab file's Go template, and Go's idea of truth, order and printed form.

`seq`, `add`, `sub`, `mul`, `rem` are those that containerlab adds; the rest is Go's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

MOST_ITEMS = 100_000
MOST_TEXT = 1 << 20
_Number = TypeVar("_Number", int, float)
_MOST = 2**63
_VERB = re.compile(r"%([-+0 ]*)([0-9]{1,4})?(?:\.([0-9]{1,3}))?(.)", re.DOTALL)
_LONGEST = 4096


class CallError(Exception):
    """What is wrong with the arguments."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A variable that nothing sets. It is false, and can be nothing else."""

    name: str = ""


MISSING = Missing()


@cache
def calls() -> Mapping[str, Callable[..., Any]]:
    """name -> function."""
    return {
        "add": _add,
        "and": _and,
        "default": lambda other, value: value if true(value) else other,
        "eq": _eq,
        "ge": lambda a, b: _ordered(a, b) >= 0,
        "gt": lambda a, b: _ordered(a, b) > 0,
        "index": _index,
        "le": lambda a, b: _ordered(a, b) <= 0,
        "len": _len,
        "lt": lambda a, b: _ordered(a, b) < 0,
        "mul": _mul,
        "ne": lambda a, b: not _same(a, b),
        "not": lambda value: not true(value),
        "or": _or,
        "print": lambda *values: _bounded("".join(shown(value) for value in values)),
        "printf": _printf,
        "rem": _rem,
        "seq": _seq,
        "sub": lambda a, b: _whole(_number(a) - _number(b)),
    }


def true(value: Any) -> bool:
    """Empty, zero and absent are false."""
    return not isinstance(value, Missing) and bool(value)


def shown(value: Any) -> str:
    """As Go prints it."""
    match value:
        case None | Missing():
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}" if abs(value) < 1e21 else repr(value)
        case list() | range():
            return "[" + " ".join(shown(item) for item in value) + "]"
        case Mapping():
            return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
    return str(value)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value)
        if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,18}", text):
            return int(text)
        raise CallError(f"{shown(value)!r:.60} is not a number")
    return value


def _whole(value: _Number) -> _Number:
    if abs(value) >= _MOST:
        raise CallError("the number is too large")
    return value


def _add(*values: Any) -> int | float:
    return _whole(sum(_number(value) for value in values))


def _mul(*values: Any) -> int | float:
    product: int | float = 1
    for value in values:
        product = _whole(product * _number(value))
    return product


def _rem(a: Any, b: Any) -> int:
    one, other = _number(a), _number(b)
    if not isinstance(one, int) or not isinstance(other, int) or other == 0:
        raise CallError(f"{shown(a)} has no remainder by {shown(b)}")
    return abs(one) % abs(other) * (-1 if one < 0 else 1)


def _seq(*values: Any) -> range:
    """`seq last`, `seq first last`, `seq first last step`; both ends belong to it, downwards as well."""
    numbers = [_number(value) for value in values]
    if not 1 <= len(numbers) <= 3 or not all(isinstance(number, int) for number in numbers):
        raise CallError("it takes one to three whole numbers")
    first, last = (1, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
    step = abs(numbers[2]) if len(numbers) == 3 else 1
    if step == 0:
        raise CallError("the step is 0")
    step = step if last >= first else -step
    found = range(int(first), int(last) + (1 if step > 0 else -1), int(step))
    if abs(last - first) // abs(step) >= MOST_ITEMS:
        raise CallError(f"it would have more than {MOST_ITEMS} numbers")
    return found


def _and(*values: Any) -> Any:
    return next((value for value in values if not true(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if true(value)), values[-1])


def _eq(value: Any, *others: Any) -> bool:
    if not others:
        raise CallError("it compares two values or more")
    return any(_same(value, other) for other in others)


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        raise CallError(f"{shown(a)!r:.60} and {shown(b)!r:.60} are of different kinds")
    if isinstance(a, Mapping | list | range):
        raise CallError("maps and lists cannot be compared")
    return bool(a == b)


def _ordered(a: Any, b: Any) -> int:
    if type(a) is not type(b) or not isinstance(a, int | float | str) or isinstance(a, bool):
        raise CallError(f"{shown(a)!r:.60} and {shown(b)!r:.60} have no order")
    return int(a > b) - int(a < b)


def _len(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | list | range):
        return len(value)
    raise CallError(f"{shown(value)!r:.60} has no length")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key, Missing(shown(key)))
        elif isinstance(value, list | range) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        else:
            raise CallError(f"there is no item {shown(key)!r:.60}")
    return value


def _printf(form: Any, *values: Any) -> str:
    if not isinstance(form, str):
        raise CallError("its first argument is a text")
    rest = list(values)

    def one(found: re.Match[str]) -> str:
        if found[4] == "%":
            return "%"
        if not rest:
            raise CallError(f"{found[0]!r} has no value")
        if int(found[2] or 0) > _LONGEST:
            raise CallError(f"{found[0]!r} is too wide")
        return _formatted(found, rest.pop(0))

    text = _VERB.sub(one, form)
    if rest:
        raise CallError(f"{form!r:.60} leaves {len(rest)} values over")
    return _bounded(text)


def _bounded(text: str) -> str:
    if len(text) > MOST_TEXT:
        raise CallError(f"a text of more than {MOST_TEXT >> 10} KiB")
    return text


def _formatted(found: re.Match[str], value: Any) -> str:
    flags, width, precision, verb = found[1], found[2] or "", found[3], found[4]
    whole = isinstance(value, int) and not isinstance(value, bool)
    if verb in "dxX" and whole and precision is None:
        kept = "".join(flag for flag in flags if flag in "+ ")
        zero = "0" if "0" in flags and "-" not in flags else ""
        return format(value, f"{'<' if '-' in flags else '>' if not zero else ''}{kept}{zero}{width}{verb}")
    if verb in "sv" and precision is None and (verb == "v" or isinstance(value, str)):
        return shown(value).ljust(int(width or 0)) if "-" in flags else shown(value).rjust(int(width or 0))
    if verb == "f" and isinstance(value, float):
        return format(value, f"{width}.{precision or 6}f")
    if verb == "q" and isinstance(value, str) and not flags and not width:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    raise CallError(f"{found[0]!r} does not fit {shown(value)!r:.60}")
