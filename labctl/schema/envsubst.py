"""Environment variables in a lab file, expanded in the raw text before YAML is read, by containerlab's rules.

    $V ${V}                      the value; left as it stands if V is unset or empty
    ${V-d} ${V=d}                d if V is unset
    ${V:-d} ${V:=d}              d if V is unset or empty
    ${V+o} ${V:+o}               o if V is set, else nothing
    $$                           a literal $, and what follows it is text

`$(…)`, `$1`, `$?` and other shell words stay. A `${V…` without its `}` is an error. Defaults are expanded themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from labctl.errors import LabctlError, Span

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":[-=+]|[-=+]")
#: Levels of defaults within defaults; more is no lab file, and each is a level of this program's stack.
MOST_DEPTH = 64


def expand(text: str, env: Mapping[str, str], *, file: str) -> str:
    """The text with its variables replaced."""
    if "$" not in text:
        return text
    done, end = _Expander(text, env, file).until(0, closing=False)
    assert end == len(text)
    return done


class _Expander:
    def __init__(self, text: str, env: Mapping[str, str], file: str) -> None:
        self._text = text
        self._env = env
        self._file = file
        self._depth = 0

    def until(self, at: int, *, closing: bool) -> tuple[str, int]:
        """Expand from `at` to the end of the text, or to the `}` that closes a default."""
        parts: list[str] = []
        text = self._text
        while at < len(text):
            if closing and text[at] == "}":
                return "".join(parts), at
            if text[at] != "$":
                parts.append(text[at])
                at += 1
            elif text.startswith("$$", at):
                parts.append("$")
                at += 2
                at = self._literal_after_escape(at, parts)
            else:
                part, at = self._variable(at)
                parts.append(part)
        return "".join(parts), at

    def _literal_after_escape(self, at: int, parts: list[str]) -> int:
        """`$${V}` is the text `${V}`: its brace does not close a default."""
        if self._text.startswith("{", at):
            end = self._text.find("}", at)
            if end > 0:
                parts.append(self._text[at : end + 1])
                return end + 1
        return at

    def _variable(self, at: int) -> tuple[str, int]:
        braced = self._text.startswith("${", at)
        name = _NAME.match(self._text, at + (2 if braced else 1))
        if name is None or name[0] == "_":
            return "$", at + 1
        value = self._env.get(name[0])
        if not braced:
            return value or f"${name[0]}", name.end()
        operator = _OPERATOR.match(self._text, name.end())
        if operator is None:
            if not self._text.startswith("}", name.end()):
                raise self._unclosed(at)
            return value or f"${{{name[0]}}}", name.end() + 1
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise self._wrong(at, f"defaults are nested more than {MOST_DEPTH} levels deep")
        other, end = self.until(operator.end(), closing=True)
        self._depth -= 1
        if end == len(self._text):
            raise self._unclosed(at)
        return _choose(operator[0], value, other), end + 1

    def _unclosed(self, at: int) -> LabctlError:
        return self._wrong(
            at,
            "`${` starts a variable that has no closing `}`",
            "write `$$` for a literal dollar sign",
        )

    def _wrong(self, at: int, said: str, hint: str | None = None) -> LabctlError:
        line = self._text.count("\n", 0, at) + 1
        column = at - (self._text.rfind("\n", 0, at) + 1) + 1
        return LabctlError("bad-value", said, where=Span(self._file, line, column), hint=hint)


def _choose(operator: str, value: str | None, other: str) -> str:
    if operator.endswith("+"):
        return other if value is not None else ""
    if operator.startswith(":"):
        return value or other
    return other if value is None else value
