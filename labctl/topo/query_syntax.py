"""The grammar of target queries: text to a tree, with the column of everything that does not fit.

    query   = both { "or" both }
    both    = one { "and" one }
    one     = "not" one | "(" query ")" | function "(" [ argument { "," argument } ] ")" | glob
    argument = word "=" word | query

A glob is a name with `*`, `?` and `[…]`; a name that holds spaces or brackets stands in quotes. What a function takes
and means is `labctl.topo.query`'s; here only its shape counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from labctl.errors import LabctlError, Span

_TOKEN = re.compile(r"""\s*(?:(?P<sign>[(),=])|(?P<text>"[^"]*"|'[^']*')|(?P<word>[^\s(),="']+))""")
_WORDS = frozenset({"and", "or", "not"})
_MOST_DEPTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """A name, perhaps with wildcards. `at`: its column, from 0."""

    pattern: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """`key=value`, as an argument."""

    key: str
    value: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    name: str
    arguments: tuple[Expr | Pair, ...]
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    of: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    one: Expr
    other: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    one: Expr
    other: Expr


Expr: TypeAlias = Glob | Call | Not | Both | Either


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    text: str
    at: int
    sign: bool = False  # a bracket, comma or equals sign
    quoted: bool = False


def parse(text: str, where: Span | None = None) -> Expr:
    """The tree of a query; `bad-query` at the column where it stops making sense. `where`: the text's first character."""
    parser = _Parser(text, where)
    found = parser.query(0)
    parser.end()
    return found


def error(said: str, at: int, where: Span | None, hint: str | None = None) -> LabctlError:
    """`bad-query` at a column of the expression (from 0)."""
    place = Span(where.file, where.line, where.column + at) if where and where.column else where
    message = said if place and place.column else f"{said} (at column {at + 1})"
    return LabctlError("bad-query", message, where=place, hint=hint)


def tokens(text: str, where: Span | None = None) -> tuple[Token, ...]:
    found, position = [], 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            at = position + len(text[position:]) - len(text[position:].lstrip())
            raise error("a quote is opened and never closed", at, where)
        kind = str(match.lastgroup)
        said = match[kind]
        quoted = kind == "text"
        found.append(
            Token(
                text=said[1:-1] if quoted else said, at=match.start(kind), sign=kind == "sign", quoted=quoted
            )
        )
        position = match.end()
    return tuple(found)


class _Parser:
    """One query; a cursor over its tokens."""

    def __init__(self, text: str, where: Span | None) -> None:
        self._tokens = tokens(text, where)
        self._next = 0
        self._end = len(text.rstrip())
        self._where = where

    def query(self, depth: int) -> Expr:
        if depth > _MOST_DEPTH:
            raise self._error(f"nested more than {_MOST_DEPTH} levels deep")
        found = self._both(depth)
        while self._word("or"):
            found = Either(one=found, other=self._both(depth))
        return found

    def end(self) -> None:
        if self._peek() is not None:
            raise self._error(f"{self._said()} is too much here", "join two selections with `and` or `or`")

    def _both(self, depth: int) -> Expr:
        found = self._one(depth)
        while self._word("and"):
            found = Both(one=found, other=self._one(depth))
        return found

    def _one(self, depth: int) -> Expr:
        negations = 0
        while self._word("not"):
            negations += 1
        found = self._atom(depth)
        return Not(of=found) if negations % 2 else found

    def _atom(self, depth: int) -> Expr:
        if self._sign("("):
            found = self.query(depth + 1)
            self._expect(")")
            return found
        token = self._peek()
        if token is None or token.sign or self._is_word(token):
            raise self._error(
                "a name or a function is missing" + (f" before {self._said()}" if token else "")
            )
        self._next += 1
        if not token.quoted and self._sign("("):
            return Call(name=token.text, arguments=self._arguments(depth), at=token.at)
        return Glob(pattern=token.text, at=token.at)

    def _arguments(self, depth: int) -> tuple[Expr | Pair, ...]:
        if self._sign(")"):
            return ()
        found = [self._argument(depth)]
        while self._sign(","):
            found.append(self._argument(depth))
        self._expect(")")
        return tuple(found)

    def _argument(self, depth: int) -> Expr | Pair:
        token, after, value = self._peek(), self._peek(1), self._peek(2)
        if token and not token.sign and after and after.sign and after.text == "=":
            self._next += 2
            if value is None or value.sign:
                raise self._error(f"a value is missing after `{token.text}=`")
            self._next += 1
            return Pair(key=token.text, value=value.text, at=token.at)
        return self.query(depth + 1)

    def _peek(self, ahead: int = 0) -> Token | None:
        index = self._next + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    def _is_word(self, token: Token) -> bool:
        return not token.quoted and token.text in _WORDS

    def _word(self, word: str) -> bool:
        token = self._peek()
        found = token is not None and token.text == word and not token.sign and not token.quoted
        self._next += found
        return found

    def _sign(self, sign: str) -> bool:
        token = self._peek()
        found = token is not None and token.sign and token.text == sign
        self._next += found
        return found

    def _expect(self, sign: str) -> None:
        if not self._sign(sign):
            raise self._error(f"`{sign}` is missing" + (f" before {self._said()}" if self._peek() else ""))

    def _said(self) -> str:
        token = self._peek()
        return f"`{token.text}`" if token else "the end"

    def _error(self, said: str, hint: str | None = None) -> LabctlError:
        token = self._peek()
        return error(said, token.at if token else self._end, self._where, hint)
