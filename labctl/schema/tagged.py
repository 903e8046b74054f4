"""Values of the model as JSON and back, exactly, by the annotations of their dataclasses.

For files that labctl writes and reads itself (a plan, beside its run). Where an annotation leaves a choice between
dataclasses, `is` says which one it was; ports are `r1:eth1`, cables lists of two ports and places lists of file, line and
column, so that no name is ever split at the wrong dash. Fields at their defaults are left out. Reading trusts nothing:
what `encode` would not write is a ValueError that says where in the value it stands.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from labctl.errors import LabctlError, Span
from labctl.names import CableId, PortId

T = TypeVar("T")
_PLAIN = (str, int, float, bool, type(None))


def encode(value: Any, kind: Any) -> Any:
    """A value that is annotated as `kind`, as what `json` writes."""
    members = _members(kind)
    if isinstance(value, PortId | CableId | Span):
        return _written_name(value)
    if dataclasses.is_dataclass(value):
        return _written_object(value, members)
    if isinstance(value, Mapping):
        inner = _mapping_of(members)
        return {str(key): encode(value[key], inner) for key in sorted(value)}
    if isinstance(value, tuple):
        return [encode(each, inner) for each, inner in zip(value, _items(members, len(value)), strict=True)]
    if not isinstance(value, _PLAIN):
        raise TypeError(f"{type(value).__name__} has no form in a file")
    return value.value if isinstance(value, enum.Enum) else value


def _written_name(value: PortId | CableId | Span) -> Any:
    match value:
        case PortId():
            return str(value)
        case CableId():
            return [str(value.a), str(value.z)]
        case Span():
            return [value.file, value.line, value.column]


def _written_object(value: Any, members: tuple[Any, ...]) -> dict[str, Any]:
    hints = _hints(type(value))
    stated = [each for each in dataclasses.fields(value) if not _is_default(each, getattr(value, each.name))]
    tag = {"is": type(value).__name__} if len(_classes(members)) > 1 else {}
    return tag | {each.name: encode(getattr(value, each.name), hints[each.name]) for each in stated}


def decode(data: Any, kind: type[T]) -> T:
    """The inverse of `encode`."""
    return cast("T", _decode(data, kind, "the file"))


def _decode(data: Any, kind: Any, at: str) -> Any:
    members = _members(kind)
    if object in members:  # the settings of a probe are its own
        return data if isinstance(data, _PLAIN) else _wrong(at, "is no plain value")
    if data is None:
        return None if type(None) in members else _wrong(at, "is missing")
    named = [member for member in (PortId, CableId, Span) if member in members]
    if named:
        return _name(data, named[0], at)
    if isinstance(data, dict):
        classes = _classes(members)
        return _object(data, classes, at) if classes else _map(data, members, at)
    if isinstance(data, list):
        inner = enumerate(zip(data, _items(members, len(data)), strict=True))
        return tuple(_decode(each, of, f"{at}[{number}]") for number, (each, of) in inner)
    return _scalar(data, members, at)


def _map(data: dict[str, Any], members: tuple[Any, ...], at: str) -> dict[str, Any]:
    of = _mapping_of(members)
    return {key: _decode(each, of, f"{at}.{key}") for key, each in data.items()}


def _scalar(data: Any, members: tuple[Any, ...], at: str) -> Any:
    for member in members:
        if isinstance(member, type) and issubclass(member, enum.Enum):
            try:
                return member(data)
            except ValueError:
                return _wrong(at, f"cannot be {data!r}")
    if type(data) in members and not (isinstance(data, float) and not math.isfinite(data)):
        return data
    if float in members and type(data) is int:
        return float(data)
    return _wrong(at, f"cannot be {data!r}")


def _object(data: dict[str, Any], classes: tuple[Any, ...], at: str) -> Any:
    name = data.get("is")
    named = {each.__name__: each for each in classes}
    kind = classes[0] if len(classes) == 1 else named.get(name) if isinstance(name, str) else None
    if kind is None:
        return _wrong(at, f"is no {' or '.join(named)}")
    known = {each.name: each for each in dataclasses.fields(kind)}
    for key in data:
        if key not in known and not (key == "is" and len(classes) > 1):
            return _wrong(at, f"has no {key!r}")
    hints = _hints(kind)
    values = {
        key: _decode(each, hints[key], f"{at}.{key}")
        for key, each in data.items()
        if key in known and key != "is"
    }
    missing = [n for n, each in known.items() if n not in values and _required(each)]
    if missing:
        return _wrong(at, f"has no {missing[0]!r}")
    return kind(**values)


def _name(data: Any, member: Any, at: str) -> Any:
    try:
        if member is PortId and isinstance(data, str):
            return PortId.parse(data)
        if member is CableId and isinstance(data, list) and len(data) == 2:
            a, z = (_name(each, PortId, at) for each in data)
            if a <= z:
                return CableId(a, z)
        if member is Span and isinstance(data, list) and [type(d) for d in data] == [str, int, int]:
            return Span(*data)
    except LabctlError:
        pass
    return _wrong(at, f"is no {member.__name__}")


def _wrong(at: str, said: str) -> Any:
    raise ValueError(f"{at} {said}")


def _required(each: dataclasses.Field[Any]) -> bool:
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING


def _is_default(each: dataclasses.Field[Any], value: Any) -> bool:
    if _required(each):
        return False
    factory = cast("Callable[[], Any]", each.default_factory)
    default = each.default if each.default is not dataclasses.MISSING else factory()
    if isinstance(value, Span):
        return False
    return type(value) is type(default) and bool(value == default)


@cache
def _members(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a union; the annotation itself if it is none."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return tuple(inner for each in typing.get_args(kind) for inner in _members(each))
    return (kind,)


def _classes(members: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(m for m in members if isinstance(m, type) and dataclasses.is_dataclass(m))


def _items(members: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """What each item of a tuple is annotated as."""
    for member in members:
        if typing.get_origin(member) is tuple:
            arguments = typing.get_args(member)
            if len(arguments) == 2 and arguments[1] is ...:
                return (arguments[0],) * count
            if len(arguments) == count:
                return arguments
    raise ValueError(f"a list of {count} is not allowed here")


def _mapping_of(members: tuple[Any, ...]) -> Any:
    for member in members:
        origin = typing.get_origin(member)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return typing.get_args(member)[1]
    raise ValueError("a map is not allowed here")


#: A class's annotations, resolved.
_hints: Callable[[Any], dict[str, Any]] = cache(typing.get_type_hints)
