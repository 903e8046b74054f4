"""labctl's own files: any dataclass of the model as YAML that people read, and back with file:line for every mistake.

`dump(value)` writes a header (`kind`, `version`) and every field that differs from its default, in the order of the
dataclass; the same value gives the same bytes. `load(kind, path)` is the inverse. pydantic validates, over the model's
own dataclasses: what it needs to know about them (no unknown keys, a port is written `r1:eth1`) is attached here, so
the core does not import it.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from labctl.errors import LabctlError, Problems, Span
from labctl.names import CableId, PortId
from labctl.schema import fields, yaml, yaml_out
from labctl.schema.yaml import Map, Scalar, Seq, Value

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from labctl.model.snapshot import Snapshot

T = TypeVar("T")

#: Version of each kind of file; a kind that is not listed is at 1. Raise it when old files can no longer be read.
VERSIONS: Mapping[str, int] = {}
_SPAN = re.compile(r"(?P<file>.*?)(?::(?P<line>[0-9]+))?(?::(?P<column>[0-9]+))?", re.DOTALL)
_LINE_LENGTH = 96
_ADDRESSES = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)


def load_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """A snapshot of production (`topologies/<name>.yml`)."""
    from labctl.model.snapshot import Snapshot

    return load(Snapshot, path)


def dump_snapshot(snapshot: Snapshot) -> str:
    return dump(snapshot)


def load(kind: type[T], path: str | os.PathLike[str]) -> T:
    """The value of a file of this kind."""
    return parse(kind, yaml.read_text(path), file=os.fspath(path))


def parse(kind: type[T], text: str, *, file: str) -> T:
    root = yaml.parse(text, file=file)
    problems = Problems()
    body = _without_header(root, kind, problems)
    problems.stop()
    found = _validate(kind, body, problems)
    problems.stop()
    return cast("T", found)


def dump(value: Any) -> str:
    """The text of the file; the same value gives the same text."""
    name = kind_name(type(value))
    return yaml_out.dump({"kind": name, "version": version(name)} | _plain(value))


def kind_name(kind: type[Any]) -> str:
    """`AllocationTable` -> `allocation-table`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind.__name__).lower()


def version(name: str) -> int:
    return VERSIONS.get(name, 1)


def json_schema(kind: type[Any]) -> dict[str, Any]:
    """JSON Schema of the file, header included."""
    schema = _adapter(kind).json_schema()
    name = kind_name(kind)
    header = {"kind": {"const": name}, "version": {"const": version(name)}}
    target = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    target["properties"] = header | target["properties"]
    target["required"] = ["kind", "version", *target.get("required", ())]
    return schema


# ---- values to plain YAML values


def _plain(value: Any) -> Any:
    if isinstance(value, (PortId, CableId, Span, *_ADDRESSES)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(inner) for name, inner in _stated(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in sorted(value)}
    if isinstance(value, tuple | list | frozenset):
        items = [_plain(inner) for inner in (sorted(value) if isinstance(value, frozenset) else value)]
        return yaml_out.Flow(items) if _is_short(items) else items
    return value


def _stated(value: Any) -> Iterator[tuple[str, Any]]:
    """The fields that differ from their defaults, and those that say which member of a union this is."""
    hints = _hints(type(value))
    for each in dataclasses.fields(value):
        inner = getattr(value, each.name)
        is_tag = typing.get_origin(hints[each.name]) is typing.Literal and each.name == "kind"
        if is_tag or not _is_default(each, inner):
            yield each.name, inner


def _is_default(each: dataclasses.Field[Any], value: Any) -> bool:
    if each.default is not dataclasses.MISSING:
        default = each.default
    elif each.default_factory is not dataclasses.MISSING:
        default = each.default_factory()
    else:
        return False
    alike = isinstance(value, Mapping) or type(value) is type(default)  # 1 == 1.0 == True
    return alike and bool(value == default)


def _is_short(items: list[Any]) -> bool:
    simple = all(isinstance(i, str | int | float) for i in items)
    return simple and sum(len(str(i)) + 4 for i in items) <= _LINE_LENGTH


#: A class's annotations, resolved.
_hints: Callable[[Any], dict[str, Any]] = cache(typing.get_type_hints)


# ---- YAML to values


def _without_header(root: Value, kind: type[Any], problems: Problems) -> Value:
    name = kind_name(kind)
    if not isinstance(root, Map):
        fields.wrong(problems, root, f"a {name} file", "a map")
        return root
    for key, wanted in (("kind", name), ("version", str(version(name)))):
        value = root.get(key)
        said = fields.text(value, key, problems)
        if value is None:
            problems.add(
                "missing-key", f"the file has no `{key}`", where=root.span, hint=f"add `{key}: {wanted}`"
            )
        elif said is not None and said != wanted:
            problems.add(
                "bad-value",
                f"this labctl reads {key} {wanted}, not {said}",
                where=value.span,
                hint="it was written by another version" if key == "version" else None,
            )
    body = {key: entry for key, entry in root.entries.items() if key not in ("kind", "version")}
    return Map(body, root.span)


def _validate(kind: type[Any], body: Value, problems: Problems) -> Any:
    from pydantic import ValidationError

    try:
        found = _adapter(kind).validate_python(yaml.plain(body))
    except ValidationError as error:
        seen: set[Span] = set()
        for each in _of_the_right_member(error.errors(include_url=False)):
            _add_problem(kind, body, each, problems, seen)
        return None
    _check_booleans(found, body, problems)
    return found


def _of_the_right_member(errors: Iterable[Any]) -> list[dict[str, Any]]:
    """Without what the other members of a union say: those whose `kind` is not the one in the file."""
    found = [cast("dict[str, Any]", each) for each in errors]
    others = [e["loc"][:-1] for e in found if e["type"] == "literal_error" and e["loc"][-1] == "kind"]
    right = [e for e in found if not any(e["loc"][: len(other)] == other for other in others)]
    return right or found


def _add_problem(
    kind: type[Any], body: Value, error: dict[str, Any], problems: Problems, seen: set[Span]
) -> None:
    path, last = _path(body, error["loc"]), error["loc"][-1]
    key_at, value_at = yaml.at(body, path)
    name = ".".join(str(step) for step in path)
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            what = name.rpartition(".")[0] or "the file"
            fields.add_unknown_key(str(last), key_at, _known(kind, path[:-1]), what, problems)
        case "missing" | "missing_argument":
            problems.add("missing-key", f"{name or 'the file'} has no `{last}`", where=value_at)
        case "labctl":
            context = error["ctx"]
            problems.add(context["code"], context["message"], where=value_at, hint=context["hint"])
        case _ if value_at not in seen:
            seen.add(value_at)
            said = error["msg"][:1].lower() + error["msg"][1:]
            problems.add("bad-value", f"{name}: {said}", where=value_at)


def _path(body: Value, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The steps that are in the file; pydantic puts names of union members between them."""
    here, path = body, []
    for step in loc:
        inner: Value | None = None
        if isinstance(here, Map):
            inner = here.get(str(step))
        elif isinstance(here, Seq) and isinstance(step, int) and step < len(here.items):
            inner = here.items[step]
        if inner is not None:
            here = inner
            path.append(step)
    return tuple(path)


def _known(kind: Any, path: tuple[str | int, ...]) -> list[str]:
    """The fields of the dataclasses that can stand at this place."""
    here = _members(kind)
    for step in path:
        here = [inner for each in here for inner in _inside(each, step)]
    return [f.name for each in here if dataclasses.is_dataclass(each) for f in dataclasses.fields(each)]


def _inside(kind: Any, step: str | int) -> list[Any]:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _members(_hints(kind).get(str(step), ()))
    arguments = [a for a in typing.get_args(kind) if a is not ...]
    return _members(arguments[-1]) if arguments else []


def _members(kind: Any) -> list[Any]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [inner for each in typing.get_args(kind) for inner in _members(each)]
    return [kind]


def _check_booleans(value: Any, node: Value, problems: Problems) -> None:
    """YAML 1.2: `on` and `yes` are text. pydantic would take them for true."""
    match node:
        case Scalar():
            if isinstance(value, bool) and node.text not in ("true", "false"):
                fields.wrong(problems, node, "this", "true or false")
        case Seq():
            for inner, item in zip(value, node.items, strict=True):
                _check_booleans(inner, item, problems)
        case Map():
            for entry in node:
                inner = value[entry.key] if isinstance(value, Mapping) else getattr(value, entry.key)
                _check_booleans(inner, entry.value, problems)


# ---- what pydantic is told about the model


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return _adapters(kind)


def _make_adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    _write_as_text(PortId, PortId.parse)
    _write_as_text(CableId, CableId.parse)
    _write_as_text(Span, _span)
    _forbid_unknown_keys(kind, set())
    return TypeAdapter(kind)


_adapters: Callable[[Any], TypeAdapter[Any]] = cache(_make_adapter)


def _forbid_unknown_keys(kind: Any, seen: set[Any]) -> None:
    for each in _members(kind):
        if dataclasses.is_dataclass(each) and each not in seen and each not in (PortId, CableId, Span):
            seen.add(each)
            cast("Any", each).__pydantic_config__ = {"extra": "forbid"}
            for hint in _hints(each).values():
                _forbid_unknown_keys(hint, seen)
        elif each is not kind or typing.get_args(each):
            for argument in typing.get_args(each):
                _forbid_unknown_keys(argument, seen)


def _write_as_text(kind: type[Any], read: Callable[[str], Any]) -> None:
    from pydantic_core import PydanticCustomError, core_schema

    def checked(text: str) -> Any:
        try:
            return read(text)
        except LabctlError as error:
            context = {"code": error.code, "message": error.message, "hint": error.hint}
            raise PydanticCustomError("labctl", "{message}", context) from None

    schema = core_schema.no_info_after_validator_function(checked, core_schema.str_schema())
    cast("Any", kind).__get_pydantic_core_schema__ = classmethod(lambda *_: schema)


def _span(text: str) -> Span:
    match = _SPAN.fullmatch(text)
    assert match
    return Span(match["file"], int(match["line"] or 0), int(match["column"] or 0))
