"""Frozen dataclasses to plain JSON values and back, by their type hints.

What labctl writes for itself to read later (a lab's record) goes through here. It is strict on the way in: an unknown
key, a missing one or a wrong type is a `ValueError` that names the place, because a record that is half understood
must not decide what gets removed.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Any dataclass, enum, tuple, mapping or scalar as JSON values."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [encode(inner) for inner in value]
    return value


def decode(kind: type[T], value: Any, at: str = "") -> T:
    """The inverse: `decode(type(x), encode(x)) == x`."""
    return cast("T", _decode(kind, value, at))


def _decode(kind: Any, value: Any, at: str) -> Any:  # noqa: PLR0911  (one return per shape)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (each for each in typing.get_args(kind) if each is not types.NoneType)
        return _decode(kind, value, at)
    if origin is tuple:
        inner = typing.get_args(kind)[0]
        return tuple(_decode(inner, each, f"{at}[{i}]") for i, each in enumerate(_is(list, value, at)))
    if origin is not None and issubclass(origin, Mapping):
        inner = typing.get_args(kind)[1]
        return {key: _decode(inner, each, f"{at}.{key}") for key, each in _is(dict, value, at).items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, _is(dict, value, at), at)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _is(kind, value, at)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode_dataclass(kind: Any, value: Mapping[str, Any], at: str) -> Any:
    hints = _hints(kind)
    unknown = value.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{at or kind.__name__}: unknown key {min(unknown)!r}")
    try:
        return kind(**{key: _decode(hints[key], inner, f"{at}.{key}") for key, inner in value.items()})
    except TypeError as error:
        raise ValueError(f"{at or kind.__name__}: {error}") from error


def _is(kind: Any, value: Any, at: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{at or 'value'}: {value!r} is not {kind.__name__}")
    return value
