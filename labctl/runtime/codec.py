"""Frozen dataclasses to plain JSON values and back, by their type hints.

What labctl writes for itself to read later (a lab's record) goes through here. It is strict on the way in: an unknown
key, a missing one or a wrong type is a `ValueError` that names the place, because a record that is half understood
must not decide what gets removed.

What is done with a value is found out once a type, not once a value: every command reads the record, and that of a
large lab has ten thousand values.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T")

#: From a JSON value, and the place where it stands, to what it means.
_Reader = Callable[[Any, str], Any]
_PLAIN = frozenset({str, int, float, bool, types.NoneType})


def encode(value: Any) -> Any:
    """Any dataclass, enum, tuple, mapping or scalar as JSON values."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return [encode(inner) for inner in value]
    if names := _names(kind):
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(inner) for key, inner in value.items()}
    return value


def decode(kind: type[T], value: Any, at: str = "") -> T:
    """The inverse: `decode(type(x), encode(x)) == x`."""
    shape: Any = kind
    return cast("T", _reader(shape)(value, at))


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass; none for anything else."""
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


@functools.cache
def _reader(kind: Any) -> _Reader:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (each for each in typing.get_args(kind) if each is not types.NoneType)
        return _optional(_reader(inner))
    if origin is tuple:
        return _sequence(_reader(typing.get_args(kind)[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(_reader(typing.get_args(kind)[1]))
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return lambda value, _: kind(value)
    return _scalar(kind)


def _optional(inner: _Reader) -> _Reader:
    return lambda value, at: None if value is None else inner(value, at)


def _sequence(inner: _Reader) -> _Reader:
    return lambda value, at: tuple(inner(each, f"{at}[{i}]") for i, each in enumerate(_is(list, value, at)))


def _mapping(inner: _Reader) -> _Reader:
    return lambda value, at: {key: inner(each, f"{at}.{key}") for key, each in _is(dict, value, at).items()}


def _dataclass(kind: Any) -> _Reader:
    # The fields' readers are found at the first value: until then a type may be named that is not there yet.
    fields: dict[str, _Reader] = {}

    def read(value: Any, at: str) -> Any:
        if not fields:
            fields.update((name, _reader(hint)) for name, hint in typing.get_type_hints(kind).items())
        _is(dict, value, at)
        try:
            return kind(**{key: fields[key](inner, f"{at}.{key}") for key, inner in value.items()})
        except KeyError:
            if unknown := value.keys() - fields.keys():
                raise ValueError(f"{at or kind.__name__}: unknown key {min(unknown)!r}") from None
            raise
        except TypeError as error:
            raise ValueError(f"{at or kind.__name__}: {error}") from error

    return read


def _scalar(kind: Any) -> _Reader:
    def read(value: Any, at: str) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        return _is(kind, value, at)

    return read


def _is(kind: Any, value: Any, at: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{at or 'value'}: {value!r} is not {kind.__name__}")
    return value
