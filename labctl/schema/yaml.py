"""YAML in, with nothing lost: every scalar keeps its source text, every key and value knows its line.

PyYAML reads YAML 1.1, where `22:22` is 1342, `on` is true and `010` is eight. So only its scanner is used: events become
a tree of `Scalar`, `Seq` and `Map` whose leaves are text, and whoever reads a field says what type it should have. A
field that wants a string gets the text as it stands in the file; one that wants a number reads it by YAML 1.2's rules.

Refused with a place: duplicate keys, aliases to what does not exist, recursive aliases, several documents, nesting
beyond reason (the C parser's own composer overflows its stack there). Anchors and `<<` merge keys work as usual.
`labctl.schema.fields` reads typed fields from the tree; `labctl.schema.yaml_out` writes YAML.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import yaml
from yaml import events as ev

from labctl.errors import LabctlError, Span
from labctl.schema import infile

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset(
    {"!", *(f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "null", "map", "seq"))}
)
_STR = "tag:yaml.org,2002:str"
MAX_DEPTH = 64
MAX_NODES = 2_000_000  # after aliases are followed: a few lines of nested aliases must not fill the memory


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf. `text` is the source text (unquoted); `plain` tells `yes` from `"yes"`."""

    text: str
    plain: bool
    span: Span

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Seq:
    items: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its place, and its value."""

    key: str
    span: Span
    value: Value


@dataclass(frozen=True, slots=True)
class Map:
    """Entries in file order; merged ones (`<<`) after the map's own."""

    entries: Mapping[str, Entry]
    span: Span

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def get(self, key: str) -> Value | None:
        entry = self.entries.get(key)
        return entry.value if entry else None


Value: TypeAlias = Scalar | Seq | Map
#: Line and column of the text that is parsed -> those of the file that it was made from.
Place: TypeAlias = Callable[[int, int], tuple[int, int]]


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file, or the error of `infile.read`, or `bad-yaml` with the place of the first byte that is not UTF-8."""
    return decode(infile.read(path), os.fspath(path))


def decode(raw: bytes, name: str) -> str:
    """UTF-8, or `bad-yaml` with the place of the first byte that is not; name: the file's, for the error."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise LabctlError("bad-yaml", "this is not UTF-8 text", where=Span(name, line)) from None


def load(path: str | os.PathLike[str]) -> Value:
    """The tree of a file."""
    return parse(read_text(path), file=os.fspath(path))


def parse(text: str, *, file: str, nul: bool = True, place: Place | None = None) -> Value:
    """The tree of a text; `file` is the name that errors carry. place: for a text that was made from the file.

    nul False: no value holds a NUL character, because the values go where the kernel takes C strings. What devices
    say of themselves may hold one.
    """
    place = place or _as_it_is
    builder = _Builder(file, nul=nul, place=place)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _scan_error(error, file, place) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        char = error.character if isinstance(error.character, int) else ord(error.character)
        raise LabctlError(
            "bad-yaml",
            f"the character U+{char:04X} is not allowed in YAML",
            where=Span(file, place(line, 0)[0]),
        ) from None
    return builder.root or Scalar("", plain=True, span=Span(file, 1, 1))


def plain(value: Value) -> Any:
    """The tree without its places: dicts, lists, and text (None for null)."""
    match value:
        case Scalar():
            return None if value.is_null else value.text
        case Seq():
            return [plain(item) for item in value.items]
        case Map():
            return {entry.key: plain(entry.value) for entry in value}


def at(value: Value, path: tuple[str | int, ...]) -> tuple[Span, Span]:
    """Places of the key and of the value at this path; of the last step that exists, if it ends early."""
    key, here = value.span, value
    for step in path:
        if isinstance(here, Map) and str(step) in here.entries:
            entry = here.entries[str(step)]
            key, here = entry.span, entry.value
        elif isinstance(here, Seq) and isinstance(step, int) and step < len(here.items):
            here = here.items[step]
            key = here.span
        else:
            break
    return key, here.span


def _as_it_is(line: int, column: int) -> tuple[int, int]:
    return line, column


def _scan_error(error: yaml.MarkedYAMLError, file: str, place: Place) -> LabctlError:
    mark = error.problem_mark or error.context_mark
    where = Span(file, *place(mark.line + 1, mark.column + 1)) if mark else Span(file)
    said = error.problem or "this is not YAML"
    if error.context and error.context_mark and error.context_mark.line != (mark.line if mark else -1):
        said = f"{said}, {error.context} that starts at line {place(error.context_mark.line + 1, 0)[0]}"
    hint = None
    if "cannot start any token" in said:
        hint = "indent with spaces, not tabs; quote a value that starts with @, `, % or a tab"
    elif "mapping values are not allowed" in said:
        hint = 'check the indentation; quote a value that contains ": "'
    return LabctlError("bad-yaml", said, where=where, hint=hint)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet."""

    span: Span
    anchor: str | None
    mapping: bool
    items: list[Value] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merged: list[tuple[Span, Value]] = field(default_factory=list)
    key: Scalar | None = None
    weight: int = 1  # nodes below it, aliases followed


class _Builder:
    """Events to tree, without recursion."""

    def __init__(self, file: str, *, nul: bool, place: Place) -> None:
        self.root: Value | None = None
        self._file = file
        self._where = place
        self._nul = nul
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Value, int] | None] = {}  # value and weight; None: still open
        self._documents = 0

    def take(self, event: ev.Event) -> None:
        match event:
            case ev.ScalarEvent():
                self._tag(event)
                if "\0" in event.value and not self._nul:
                    raise self._error("a value cannot hold a NUL character", event)
                unquoted = event.style in (None, "") and event.tag != _STR
                self._place(Scalar(event.value, plain=unquoted, span=self._span(event)), 1, event.anchor)
            case ev.SequenceStartEvent() | ev.MappingStartEvent():
                self._open(event)
            case ev.SequenceEndEvent() | ev.MappingEndEvent():
                done = self._stack.pop()
                self._place(_close(done), done.weight, done.anchor)
            case ev.AliasEvent():
                self._place(*self._alias(event), None)
            case ev.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._error("there is a second document in the file", event)
            case _:
                pass

    def _span(self, event: ev.Event) -> Span:
        mark = cast("yaml.Mark", event.start_mark)
        return Span(self._file, *self._where(mark.line + 1, mark.column + 1))

    def _error(self, said: str, event: ev.Event, hint: str | None = None) -> LabctlError:
        return LabctlError("bad-yaml", said, where=self._span(event), hint=hint)

    def _tag(self, event: ev.NodeEvent) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _TAGS:
            raise self._error(f"the tag {tag} is not supported", event, "write the value without a tag")

    def _open(self, event: ev.CollectionStartEvent) -> None:
        self._tag(event)
        top = self._stack[-1] if self._stack else None
        if top and top.mapping and top.key is None:
            raise self._error("a key must be a single word or text", event)
        if len(self._stack) >= MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} levels deep", event)
        mapping = isinstance(event, ev.MappingStartEvent)
        self._stack.append(_Open(self._span(event), event.anchor, mapping))
        if event.anchor:
            self._anchors[event.anchor] = None

    def _alias(self, event: ev.AliasEvent) -> tuple[Value, int]:
        name = cast("str", event.anchor)
        if name not in self._anchors:
            raise self._error(f"*{name} has no &{name} above it", event)
        anchored = self._anchors[name]
        if anchored is None:
            raise self._error(f"*{name} stands inside its own &{name}", event)
        return anchored

    def _place(self, value: Value, weight: int, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = (value, weight)
        if not self._stack:
            self.root = value
            return
        top = self._stack[-1]
        if not top.mapping:
            top.items.append(value)
        elif top.key is None:
            top.key = self._key(value)
        else:
            self._put(top, top.key, value)
            top.key = None
        top.weight += weight
        if top.weight > MAX_NODES:
            raise LabctlError("bad-yaml", "aliases repeat each other too often", where=top.span)

    def _key(self, value: Value) -> Scalar:
        if not isinstance(value, Scalar):
            raise LabctlError("bad-yaml", "a key must be a single word or text", where=value.span)
        return value

    def _put(self, top: _Open, key: Scalar, value: Value) -> None:
        if key.plain and key.text == "<<":
            top.merged.append((key.span, value))
            return
        first = top.entries.get(key.text)
        if first is not None:
            raise LabctlError(
                "duplicate-key",
                f"the key {key.text!r} is given twice",
                where=key.span,
                hint=f"the first one is at line {first.span.line}",
            )
        top.entries[key.text] = Entry(key.text, key.span, value)


def _close(done: _Open) -> Value:
    if not done.mapping:
        return Seq(tuple(done.items), done.span)
    entries = dict(done.entries)
    for span, value in done.merged:
        for source in value.items if isinstance(value, Seq) else (value,):
            if not isinstance(source, Map):
                raise LabctlError("bad-yaml", "<< takes a map, or a list of maps", where=span)
            for entry in source:
                entries.setdefault(entry.key, entry)
    return Map(entries, done.span)
