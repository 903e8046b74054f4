"""What the readers of a scenario file share: its problems, the names it defines, and small typed readers.

Every reader notes what is wrong and goes on, returning None (or leaving the entry out), so that a file with five
mistakes gets five messages; `labctl.schema.scenario.load` stops at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from labctl import units
from labctl.errors import Problems, Span, did_you_mean
from labctl.model.scenario import Kind, Query
from labctl.schema import fields, yaml
from labctl.schema.yaml import Map, Scalar, Seq, Value
from labctl.topo import query

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Reading:
    """One scenario file being read."""

    problems: Problems = field(default_factory=Problems)
    targets: dict[str, Query] = field(default_factory=dict)
    target_names: frozenset[str] = frozenset()  # those that failed to parse, too
    probes: dict[str, Span] = field(default_factory=dict)
    paces: dict[str, float] = field(
        default_factory=dict
    )  # of those that could be read: seconds between sends
    steps: dict[str, Span] = field(default_factory=dict)  # ids that were given

    def add(self, code: str, said: str, where: Span, hint: str | None = None) -> None:
        self.problems.add(code, said, where=where, hint=hint)

    def try_(self, read: Callable[[], T]) -> T | None:
        """What `read` returns; None if it raised, which is noted."""
        return self.problems.attempt(read)

    def mapping(self, value: Value | None, what: str, known: Iterable[str]) -> Map | None:
        """A map whose keys are all known."""
        found = fields.mapping(value, what, self.problems)
        if found is not None:
            fields.unknown_keys(found, known, what, self.problems)
        return found

    def items(self, value: Value | None, what: str) -> tuple[Value, ...]:
        """The items of a list; a null is an empty list."""
        if value is None or (isinstance(value, Scalar) and value.is_null):
            return ()
        if isinstance(value, Seq):
            return value.items
        fields.wrong(self.problems, value, what, "a list")
        return ()

    def required(self, found: Map, key: str, what: str, hint: str | None = None) -> Value | None:
        value = found.get(key)
        if value is None or (isinstance(value, Scalar) and value.is_null):
            self.add("missing-key", f"{what} has no `{key}`", found.span, hint)
            return None
        return value

    def text(self, value: Value | None, key: str) -> str | None:
        return fields.text(value, key, self.problems)

    def duration(self, value: Value | None, key: str, *, zero: bool = False) -> float | None:
        """Seconds; more than nothing unless `zero`."""
        said = self.text(value, key)
        if value is None or said is None:
            return None
        found = self.try_(lambda: units.duration(said, where=value.span))
        if found == 0 and not zero:
            self.add("bad-value", f"{key} must be longer than nothing", value.span)
            return None
        return found

    def count(self, value: Value | None, key: str, *, low: int = 0, high: int = 2**31 - 1) -> int | None:
        return fields.integer(value, key, self.problems, low=low, high=high)

    def word(self, value: Value, key: str, words: Iterable[str]) -> str | None:
        said, known = self.text(value, key), tuple(words)
        if said is not None and said not in known:
            self.add(
                "bad-value",
                f"{key} must be {' or '.join(known)}, not {said!r}",
                value.span,
                did_you_mean(said, known),
            )
            return None
        return said


_QUERY_KEYS = (*Kind, "pick", "allow_empty")


def read_query(value: Value, what: str, reading: Reading) -> Query | None:
    """`{link: "core()", pick: 1}`."""
    found = reading.mapping(value, what, _QUERY_KEYS)
    if found is None:
        if isinstance(value, Scalar) and value.is_null:
            reading.add("missing-key", f"{what} selects nothing", value.span, _EXAMPLE)
        return None
    kinds = [kind for kind in Kind if kind.value in found]
    if len(kinds) != 1:
        said = "selects nothing" if not kinds else "selects " + " and ".join(f"{k}s" for k in kinds)
        reading.add("missing-key" if not kinds else "bad-value", f"{what} {said}", found.span, _EXAMPLE)
        return None
    given = found.get(kinds[0].value)
    expression = reading.text(given, f"{what}: {kinds[0]}")
    pick = reading.count(found.get("pick"), f"{what}: pick", low=1)
    allow = fields.boolean(found.get("allow_empty"), f"{what}: allow_empty", reading.problems)
    if given is None or not expression:
        if given is not None and isinstance(given, Scalar):
            reading.add("missing-key", f"{what} selects nothing", given.span, _EXAMPLE)
        return None
    made = Query(
        kind=kinds[0], expression=expression, pick=pick, allow_empty=bool(allow), where=_start(given)
    )
    return made if reading.try_(lambda: query.check(made)) is not None else None


def read_expression(value: Value | None, kind: Kind, what: str, reading: Reading) -> Query | None:
    """A query whose kind is known from where it stands: `from: "client*"`."""
    expression = reading.text(value, what)
    if value is None or not expression:
        return None
    made = Query(kind=kind, expression=expression, where=_start(value))
    return made if reading.try_(lambda: query.check(made)) is not None else None


_EXAMPLE = 'write it like `{link: "r1:*--r2:*"}`, `{node: "core()", pick: 1}` or `{port: "r1:eth1"}`'


def _start(value: Value) -> Span:
    """The first character of a scalar's text: behind its quote, if it has one."""
    span = value.span
    quoted = isinstance(value, Scalar) and not value.plain
    return Span(span.file, span.line, span.column + quoted)


def document(text: str, file: str, what: str, keys: Iterable[str], build: Callable[[Map, Reading], T]) -> T:
    """What `build` makes of the map in the text, or everything that is wrong with it.

    file: the name that errors carry. what: the word for such a file. keys: all that the map may hold.
    """
    reading = Reading()
    root = yaml.parse(text, file=file, nul=False)
    given = reading.mapping(root, f"the {what}", keys)
    if given is None:
        if not len(reading.problems):
            fields.wrong(reading.problems, root, f"a {what}", "a map")
        reading.problems.stop()
    assert given is not None
    made = build(given, reading)
    reading.problems.stop()
    return made
