"""What the readers of a lab file share: its place, its settings, its problems; and the check of keys and shapes.

A lab file is read in two stages. The first checks every map against its table in `clab_keys` (also kinds and groups
that no node uses), so that the second can combine values without asking again what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from labctl.errors import Problems, Span, did_you_mean
from labctl.schema import fields
from labctl.schema.clab_keys import NO_KEYS, NODE, Key, Shape, Support
from labctl.schema.yaml import Entry, Scalar, Value


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know that is not wrong: a key without effect, an old name."""

    where: Span
    text: str

    def __str__(self) -> str:
        return f"{self.where}  {self.text}"


Notify: TypeAlias = Callable[[Notice], None]
#: A checked map by today's key names.
Checked: TypeAlias = Mapping[str, Entry]


@dataclass(slots=True, kw_only=True)
class Reading:
    """One file being read. `directory` is what relative paths start from; `env` the variables that it may name.

    `deferred` hears of what containerlab refuses only when it deploys; without it that is a problem as any other.
    """

    file: str
    directory: str
    lenient: bool
    env: Mapping[str, str]
    notify: Notify
    deferred: Notify | None = None
    problems: Problems = field(default_factory=Problems)

    def notice(self, where: Span, text: str) -> None:
        self.notify(Notice(where, text))

    def at_deploy(self, code: str, message: str, *, where: Span, hint: str | None = None) -> None:
        """A problem that only a deploy must not meet."""
        if self.deferred is None:
            self.problems.add(code, message, where=where, hint=hint)
        else:
            self.deferred(Notice(where, f"{message}; `labctl deploy` refuses it"))

    def keys(self, value: Value | None, table: Mapping[str, Key], what: str) -> Checked:
        """The entries of a map that have an effect, each of the right shape; the rest is reported."""
        found: dict[str, Entry] = {}
        for entry in fields.mapping(value, what, self.problems) or ():
            key = table.get(entry.key)
            if key is None:
                known = [name for name, key in table.items() if key.support is not Support.LEGACY]
                hint = NO_KEYS.get(entry.key) if table is NODE else None
                fields.add_unknown_key(entry.key, entry.span, known, what, self.problems, hint=hint)
            elif self._counts(entry, key, table, what):
                name = entry.key if key.support is Support.YES else entry.key.replace("_", "-")
                self._shape(entry.value, f"{what}: {entry.key}", key.shape)
                found[name] = entry
        return found

    def _counts(self, entry: Entry, key: Key, table: Mapping[str, Key], what: str) -> bool:
        match key.support:
            case Support.YES:
                return True
            case Support.NO_EFFECT:
                self._look_inside(entry, key, f"{what}: {entry.key}")
                self.notice(entry.span, f"{what}: `{entry.key}` has no effect: {key.note}")
                return False
            case Support.REFUSED:
                self.problems.add(
                    "unsupported",
                    f"{what}: labctl does not emulate `{entry.key}` yet",
                    where=entry.span,
                    hint=key.note or None,
                )
                return False
            case Support.LEGACY:
                return self._legacy(entry, key, table, what)

    def _look_inside(self, entry: Entry, key: Key, what: str) -> None:
        """A key without effect has to be right all the same: containerlab would refuse the file."""
        self._shape(entry.value, what, key.shape)
        if key.shape is Shape.MAP:
            fields.mapping(entry.value, what, self.problems)
        said = entry.value.text if isinstance(entry.value, Scalar) and not entry.value.is_null else ""
        if key.words and said and said.lower() not in {word.lower() for word in key.words}:
            self.problems.add(
                "bad-value",
                f"{what} cannot be {fields.shorten(said)!r}",
                where=entry.value.span,
                hint=did_you_mean(said, key.words),
            )
        for inner in (fields.mapping(entry.value, what, Problems()) or ()) if key.keys else ():
            assert key.keys is not None
            known = key.keys.get(inner.key)
            if known is None:
                fields.add_unknown_key(inner.key, inner.span, key.keys, what, self.problems)
            else:
                self._look_inside(inner, known, f"{what}.{inner.key}")

    def _legacy(self, entry: Entry, key: Key, table: Mapping[str, Key], what: str) -> bool:
        tolerated = "with a warning" in key.note
        if not (tolerated or self.lenient):
            self.problems.add(
                "unknown-key",
                f"{what} has no key {entry.key!r} any more",
                where=entry.span,
                hint=f"{key.note}; `--lenient` accepts the old key",
            )
            return False
        self.notice(entry.span, f"{what}: `{entry.key}` is an old key: {key.note}")
        return entry.key.replace("_", "-") in table and "_" in entry.key

    def _shape(self, value: Value, what: str, shape: Shape) -> None:
        problems = self.problems
        match shape:
            case Shape.TEXT:
                fields.text(value, what, problems)
            case Shape.TEXTS:
                list(fields.texts(value, what, problems))
            case Shape.TEXT_MAP:
                fields.text_map(value, what, problems)
            case Shape.NUMBER:
                fields.decimal(value, what, problems)
            case Shape.COUNT:
                fields.integer(value, what, problems, low=0, high=2**31 - 1)
            case Shape.BOOL:
                fields.boolean(value, what, problems)
            case Shape.MAP | Shape.LIST | Shape.ANY:
                pass  # whoever reads it looks inside, and says what is wrong there


def said(found: Checked, key: str) -> str | None:
    """The text of a checked key; None if it is absent, null or empty (containerlab does not tell these apart)."""
    entry = found.get(key)
    return (fields.text(entry.value, key, Problems()) or None) if entry else None


def place(found: Checked, key: str, default: Span) -> Span:
    """Where the value of a key stands."""
    entry = found.get(key)
    return entry.value.span if entry else default
