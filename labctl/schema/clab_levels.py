"""What a node inherits: the same keys at several levels, from the least to the most specific one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.errors import Problems, Span
from labctl.schema import fields
from labctl.schema.clab_read import Checked, said
from labctl.schema.yaml import Scalar


@dataclass(frozen=True, slots=True)
class Levels:
    levels: tuple[Checked, ...]

    def first(self, key: str) -> Scalar | None:
        """The most specific value that is not empty."""
        for level in reversed(self.levels):
            if said(level, key) is not None:
                value = level[key].value
                return value if isinstance(value, Scalar) else None
        return None

    def text(self, key: str) -> str | None:
        found = self.first(key)
        return found.text if found else None

    def number(self, key: str) -> tuple[float, Span] | None:
        """The most specific number that is not zero (zero and absent are one to containerlab), and where it stands."""
        for level in reversed(self.levels):
            value = float(said(level, key) or 0)
            if value:
                return value, level[key].value.span
        return None

    def items(self, key: str) -> Iterator[Scalar]:
        for level in self.levels:
            if key in level:
                yield from fields.texts(level[key].value, key, Problems())

    def by_key(self, key: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for level in self.levels:
            if key in level:
                found |= fields.text_map(level[key].value, key, Problems())
        return found

    def places(self, key: str) -> dict[str, Span]:
        """Where each entry of a map stands that `by_key` takes."""
        return {
            entry.key: entry.span
            for level in self.levels
            if key in level
            for entry in getattr(level[key].value, "entries", {}).values()
        }
