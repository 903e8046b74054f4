"""Go templates as lab files use them: `{{ if }}`, `{{ with }}`, `{{ range }}`, variables, and a dozen functions.

    {{ .a.b }}  {{ $x := seq 1 3 }}  {{ range $i, $v := .list }}…{{ else }}…{{ end }}  {{ if eq .n 3 }}…{{ end }}

The rest of the language (`template`, `define`, other functions) is refused with its place. What containerlab would write
as `<no value>` is an error here: a lab file with that word in it is not what anybody meant. A template cannot run away:
its steps, its output, its nesting and its numbers are bounded.

`render` also says from which line of the template each line of the text came, so that every later error still points
into the file that a person edits. `template_calls` is what can be called.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from labctl.errors import LabctlError, Span, did_you_mean
from labctl.schema.template_calls import MISSING, MOST_ITEMS, CallError, Missing, calls, shown, true

MOST_STEPS = 1_000_000
MOST_TEXT = 16 << 20
MOST_DEPTH = 64
_ACTION = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\\n]|\\.)*") | (?P<raw>`[^`]*`) | (?P<number>[-+]?\d[\w.]*)
    | (?P<field>(?:\.[A-Za-z_]\w*)+) | (?P<dot>\.) | (?P<variable>\$\w*) | (?P<word>[A-Za-z_]\w*)
    | (?P<mark>:=|[=|(),])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "r": "\r"}
_REFUSED_WORDS = frozenset({"template", "define", "block", "break", "continue"})


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text, and for each of its lines the line of the template that it began in; `()` if nothing was rendered."""

    text: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class _Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class _Access:
    """A value and the fields that are followed from it. base: `.`, a variable (`$` is the whole), or a pipeline."""

    base: str | _Pipe
    fields: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    operands: tuple[_Operand, ...]
    at: int


@dataclass(frozen=True, slots=True)
class _Pipe:
    """Commands, each fed with what the one before it gave; `names` are the variables that are set."""

    commands: tuple[_Operand, ...]
    names: tuple[str, ...]
    declares: bool
    at: int


_Operand: TypeAlias = _Literal | _Access | _Call | _Pipe


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class _Print:
    pipe: _Pipe


@dataclass(slots=True)
class _Block:
    """`if`, `with` or `range`; `other` is what stands behind `else`."""

    word: str
    pipe: _Pipe
    at: int
    body: list[_Part] = field(default_factory=list)
    other: list[_Part] = field(default_factory=list)


_Part: TypeAlias = _Text | _Print | _Block


def render(text: str, data: Any, *, file: str) -> Rendered:
    """The text of a template with `data` as its dot. Errors: `bad-template`, `missing-variable`, `unsupported`."""
    if "{{" not in text:
        return Rendered(text)
    parts = _Parser(text, file).parts()
    run = _Run(text, file, data)
    run.all(parts, data)
    return Rendered("".join(run.out), tuple(run.lines))


class _Source:
    """A text whose places can be named."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file

    def line(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def fail(self, code: str, said: str, at: int, hint: str | None = None) -> NoReturn:
        column = at - (self._text.rfind("\n", 0, at) + 1) + 1
        raise LabctlError(code, said, where=Span(self._file, self.line(at), column), hint=hint)


class _Parser(_Source):
    """Text to parts. Blocks are kept on a stack, so nesting costs no recursion."""

    def parts(self) -> list[_Part]:
        top: list[_Part] = []
        open_: list[tuple[_Block, list[_Part], bool]] = []  # block, where parts go, closes its parent as well
        at, trimmed, text = 0, False, self._text
        while True:
            begin = text.find("{{", at)
            into = open_[-1][1] if open_ else top
            piece = text[at : begin if begin >= 0 else len(text)]
            start = at
            if trimmed:
                start += len(piece) - len(piece.lstrip(" \t\r\n"))
                piece = piece.lstrip(" \t\r\n")
            if begin >= 0 and re.match(r"-[ \t\r\n]", text[begin + 2 : begin + 4]):
                piece = piece.rstrip(" \t\r\n")
            if piece:
                into.append(_Text(piece, start))
            if begin < 0:
                break
            tokens, at, trimmed = self._action(begin)
            self._take(tokens, begin, top, open_)
        if open_:
            block = open_[-1][0]
            self.fail("bad-template", f"`{block.word}` has no `end`", block.at, "close it with `{{ end }}`")
        return top

    def _take(
        self, tokens: list[_Token], at: int, top: list[_Part], open_: list[tuple[_Block, list[_Part], bool]]
    ) -> None:
        into = open_[-1][1] if open_ else top
        word = tokens[0].text if tokens and tokens[0].kind == "word" else ""
        if not tokens:
            return  # a comment
        if word in _REFUSED_WORDS:
            self.fail("unsupported", f"labctl does not render `{{{{ {word} }}}}`", tokens[0].at, _KNOWN)
        if word in ("if", "with", "range"):
            if len(open_) >= MOST_DEPTH:
                self.fail("bad-template", f"nested more than {MOST_DEPTH} levels deep", at)
            block = _Block(word, self._pipe(tokens[1:], at, ranging=word == "range"), at)
            into.append(block)
            open_.append((block, block.body, False))
        elif word == "else":
            self._else(tokens, at, open_)
        elif word == "end":
            if not open_:
                self.fail("bad-template", "`end` closes nothing", at)
            while open_.pop()[2]:
                pass
        else:
            into.append(_Print(self._pipe(tokens, at)))

    def _else(self, tokens: list[_Token], at: int, open_: list[tuple[_Block, list[_Part], bool]]) -> None:
        if not open_ or open_[-1][1] is open_[-1][0].other:
            self.fail("bad-template", "`else` belongs to nothing", at)
        block, _, chained = open_.pop()
        open_.append((block, block.other, chained))
        if len(tokens) == 1:
            return
        word = tokens[1].text
        if word not in ("if", "with") or word != block.word:
            self.fail("bad-template", f"`else` is followed by {word!r}", tokens[1].at)
        if len(open_) >= MOST_DEPTH:
            self.fail("bad-template", f"nested more than {MOST_DEPTH} levels deep", at)
        inner = _Block(word, self._pipe(tokens[2:], at), at)
        block.other.append(inner)
        open_.append((inner, inner.body, True))

    def _action(self, begin: int) -> tuple[list[_Token], int, bool]:
        """The tokens of the action at `begin`, where it ends, and whether it trims what follows."""
        text = self._text
        at = begin + 2
        if re.match(r"-[ \t\r\n]", text[at : at + 2]):
            at += 1
        if comment := re.compile(r"\s*/\*.*?\*/\s*?(\s-)?\}\}", re.DOTALL).match(text, at):
            return [], comment.end(), bool(comment[1])
        tokens: list[_Token] = []
        while True:
            if end := re.compile(r"(\s*)(\s-)?\}\}").match(text, at):
                if not tokens:
                    self.fail("bad-template", "`{{ }}` holds nothing", begin)
                return tokens, end.end(), bool(end[2])
            found = _ACTION.match(text, at)
            if found is None:
                stop = re.compile(r"\s*").match(text, at)
                where = stop.end() if stop else at
                if where >= len(text):
                    self.fail("bad-template", "`{{` has no `}}`", begin)
                self.fail("bad-template", f"{text[where : where + 12]!r} means nothing here", where)
            kind = str(found.lastgroup)
            tokens.append(_Token(kind, found[kind], found.start(kind)))
            at = found.end()

    def _pipe(self, tokens: Sequence[_Token], at: int, *, ranging: bool = False) -> _Pipe:
        names: list[str] = []
        declares = False
        marks = [i for i, t in enumerate(tokens) if t.kind == "mark" and t.text in (":=", "=")]
        if marks and all(t.kind == "variable" or t.text == "," for t in tokens[: marks[0]]):
            names = [t.text for t in tokens[: marks[0]] if t.kind == "variable"]
            declares = tokens[marks[0]].text == ":="
            if len(names) > (2 if ranging else 1) or "$" in names or not names:
                self.fail("bad-template", "these variables cannot be set so", tokens[0].at)
            tokens = tokens[marks[0] + 1 :]
        pipe, rest = self._commands(tokens, at, 0)
        if rest:
            self.fail("bad-template", f"{rest[0].text!r} means nothing here", rest[0].at)
        return _Pipe(pipe.commands, tuple(names), declares, pipe.at)

    def _commands(self, tokens: Sequence[_Token], at: int, depth: int) -> tuple[_Pipe, Sequence[_Token]]:
        if depth > MOST_DEPTH:
            self.fail("bad-template", f"nested more than {MOST_DEPTH} levels deep", at)
        commands: list[_Operand] = []
        while True:
            operands: list[_Operand] = []
            first = tokens[0] if tokens else None
            while tokens and not (tokens[0].kind == "mark" and tokens[0].text in "|),:="):
                operand, tokens = self._operand(tokens, depth)
                operands.append(operand)
            if not operands:
                self.fail("bad-template", "a value is missing", first.at if first else at)
            commands.append(self._command(operands, first.at if first else at, piped=bool(commands)))
            if not (tokens and tokens[0].text == "|" and tokens[0].kind == "mark"):
                return _Pipe(tuple(commands), (), False, at), tokens
            tokens = tokens[1:]

    def _command(self, operands: list[_Operand], at: int, *, piped: bool) -> _Operand:
        head = operands[0]
        if isinstance(head, _Call):
            return _Call(head.name, tuple(operands[1:]), head.at)
        if len(operands) > 1 or piped:
            self.fail("bad-template", "only a function takes arguments", at)
        return head

    def _operand(self, tokens: Sequence[_Token], depth: int) -> tuple[_Operand, Sequence[_Token]]:
        token, rest = tokens[0], tokens[1:]
        match token.kind:
            case "string":
                return _Literal(self._unquoted(token)), rest
            case "raw":
                return _Literal(token.text[1:-1]), rest
            case "number":
                return _Literal(self._number(token)), rest
            case "word":
                return self._word(token), rest
            case "field":
                return _Access(".", tuple(token.text[1:].split(".")), token.at), rest
        base: str | _Pipe
        if token.kind in ("dot", "variable"):
            base = token.text
        elif token.text == "(":
            base, rest = self._commands(rest, token.at, depth + 1)
            if not rest or rest[0].text != ")":
                self.fail("bad-template", "`(` has no `)`", token.at)
            rest = rest[1:]
        else:
            self.fail("bad-template", f"{token.text!r} means nothing here", token.at)
        fields: tuple[str, ...] = ()
        if rest and rest[0].kind == "field" and self._touches(token, rest[0], base):
            fields = tuple(rest[0].text[1:].split("."))
            rest = rest[1:]
        return _Access(base, fields, token.at), rest

    def _touches(self, token: _Token, then: _Token, base: str | _Pipe) -> bool:
        """`$x.a` is one value, `$x .a` are two."""
        if isinstance(base, str):
            return token.kind == "variable" and then.at == token.at + len(token.text)
        return self._text[then.at - 1] == ")"

    def _unquoted(self, token: _Token) -> str:
        def meant(found: re.Match[str]) -> str:
            if found[1] not in _ESCAPES:
                self.fail("bad-template", f"the text has an escape {found[0]!r}", token.at)
            return _ESCAPES[found[1]]

        return re.sub(r"\\(.)", meant, token.text[1:-1])

    def _number(self, token: _Token) -> int | float:
        if re.fullmatch(r"[-+]?[0-9]{1,18}", token.text):
            return int(token.text)
        if not re.fullmatch(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}", token.text):
            self.fail(
                "bad-template", f"{token.text!r} is no number that labctl reads in a template", token.at
            )
        return float(token.text)

    def _word(self, token: _Token) -> _Operand:
        constants = {"true": True, "false": False, "nil": None}
        if token.text in constants:
            return _Literal(constants[token.text])
        known = calls()
        if token.text not in known:
            self.fail(
                "unsupported",
                f"labctl's templates have no function {token.text!r}",
                token.at,
                did_you_mean(token.text, known) or _KNOWN,
            )
        return _Call(token.text, (), token.at)


def _at(operand: _Operand, otherwise: int) -> int:
    return otherwise if isinstance(operand, _Literal) else operand.at


_KNOWN = "render it first: `containerlab deploy --export-rendered FILE`"


class _Run(_Source):
    """Parts to text."""

    def __init__(self, text: str, file: str, data: Any) -> None:
        super().__init__(text, file)
        self.out: list[str] = []
        self.lines: list[int] = [1]
        self._starts = [m.start() + 1 for m in re.finditer("\n", text)]
        self._scopes: list[dict[str, Any]] = [{"$": data}]
        self._steps = 0
        self._size = 0
        self._calls = calls()

    def all(self, parts: Sequence[_Part], dot: Any) -> None:
        for part in parts:
            match part:
                case _Text():
                    self._step(part.at)
                    self._write(part.text, part.at, verbatim=True)
                case _Print():
                    self._print(part.pipe, dot)
                case _Block():
                    self._scopes.append({})
                    (self._range if part.word == "range" else self._if)(part, dot)
                    self._scopes.pop()

    def _write(self, text: str, at: int, *, verbatim: bool = False) -> None:
        self._size += len(text)
        if self._size > MOST_TEXT:
            self.fail("bad-template", f"the template makes more than {MOST_TEXT >> 20} MiB of text", at)
        self.out.append(text)
        line = self._line(at)
        breaks = text.count("\n")
        self.lines += range(line + 1, line + 1 + breaks) if verbatim else [line] * breaks

    def _line(self, at: int) -> int:
        return bisect_right(self._starts, at) + 1

    def _step(self, at: int) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            self.fail("bad-template", f"the template takes more than {MOST_STEPS} steps", at)

    def _if(self, block: _Block, dot: Any) -> None:
        value = self._pipe(block.pipe, dot)
        if true(value):
            self.all(block.body, value if block.word == "with" else dot)
        else:
            self.all(block.other, dot)

    def _range(self, block: _Block, dot: Any) -> None:
        value = self._value(block.pipe, dot)
        if isinstance(value, Missing) or value is None:
            items: list[tuple[Any, Any]] = []
        elif isinstance(value, Mapping):
            items = sorted(value.items())
        elif isinstance(value, list | range):
            items = list(enumerate(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            if value > MOST_ITEMS:
                self.fail("bad-template", f"`range` would go over more than {MOST_ITEMS} numbers", block.at)
            items = list(enumerate(range(value)))
        else:
            self.fail("bad-template", f"`range` cannot go over {shown(value)!r:.60}", block.at)
        for key, item in items:
            self._step(block.at)
            names = block.pipe.names
            self._scopes.append(dict(zip(names, (key, item) if len(names) == 2 else (item,), strict=False)))
            self.all(block.body, item)
            self._scopes.pop()
        if not items:
            self.all(block.other, dot)

    def _print(self, pipe: _Pipe, dot: Any) -> None:
        value = self._pipe(pipe, dot)
        if pipe.names:
            return
        if isinstance(value, Missing):
            self._missing(value, _at(pipe.commands[-1], pipe.at))
        self._write(self._shown(value, pipe.at), pipe.at)

    def _shown(self, value: Any, at: int) -> str:
        try:
            return shown(value)
        except CallError as error:
            self.fail("bad-template", str(error), at)

    def _pipe(self, pipe: _Pipe, dot: Any) -> Any:
        value = self._value(pipe, dot)
        for name in pipe.names:
            self._set(name, value, pipe)
        return value

    def _set(self, name: str, value: Any, pipe: _Pipe) -> None:
        if pipe.declares:
            self._scopes[-1][name] = value
            return
        for scope in reversed(self._scopes):
            if name in scope:
                scope[name] = value
                return
        self.fail("bad-template", f"there is no variable {name}", pipe.at, f"`{name} := …` declares it")

    def _value(self, pipe: _Pipe, dot: Any) -> Any:
        self._step(pipe.at)
        value: Any = None
        for index, command in enumerate(pipe.commands):
            last = (value,) if index else ()
            value = self._operand(command, dot, last)
        return value

    def _operand(self, operand: _Operand, dot: Any, last: tuple[Any, ...] = ()) -> Any:
        match operand:
            case _Literal():
                return operand.value
            case _Access():
                return self._access(operand, dot)
            case _Pipe():
                return self._value(operand, dot)
            case _Call():
                return self._call(operand, dot, last)

    def _call(self, call: _Call, dot: Any, last: tuple[Any, ...]) -> Any:
        self._step(call.at)
        if call.name in ("and", "or") and not last:
            return self._lazily(call, dot)
        given = [*(self._operand(each, dot) for each in call.operands), *last]
        places = [*(_at(each, call.at) for each in call.operands), call.at]
        for value, at in zip(given, places, strict=False):
            if isinstance(value, Missing) and call.name not in ("not", "default"):
                self._missing(value, at)
        function: Callable[..., Any] = self._calls[call.name]
        try:
            return function(*given)
        except CallError as error:
            self.fail("bad-template", f"`{call.name}`: {error}", call.at)
        except TypeError:
            self.fail("bad-template", f"`{call.name}` does not take {len(given)} arguments", call.at)

    def _lazily(self, call: _Call, dot: Any) -> Any:
        """`and` and `or` look at no more of their arguments than they need."""
        value: Any = MISSING
        if not call.operands:
            self.fail("bad-template", f"`{call.name}` does not take 0 arguments", call.at)
        for each in call.operands:
            value = self._operand(each, dot)
            if true(value) == (call.name == "or"):
                break
        return value

    def _access(self, access: _Access, dot: Any) -> Any:
        if isinstance(access.base, _Pipe):
            value = self._value(access.base, dot)
        elif access.base == ".":
            value = dot
        else:
            value = self._variable(access.base, access.at)
        absent = Missing(".".join(access.fields))
        for name in access.fields:
            if isinstance(value, Missing):
                return value
            if isinstance(value, Mapping):
                value = value.get(name, absent)
            elif value is None:
                value = absent
            else:
                self.fail("bad-template", f"{shown(value)!r:.60} has no field {name!r}", access.at)
        return value

    def _variable(self, name: str, at: int) -> Any:
        scope = next((scope for scope in reversed(self._scopes) if name in scope), None)
        if scope is None:
            self.fail("bad-template", f"there is no variable {name}", at, f"`{name} := …` declares it")
        return scope[name]

    def _missing(self, value: Missing, at: int) -> NoReturn:
        self.fail(
            "missing-variable",
            f"the template needs the variable `{value.name}`, which nothing sets"
            if value.name
            else "the template needs a value that nothing sets",
            at,
            "`--vars FILE` gives a template its variables",
        )
