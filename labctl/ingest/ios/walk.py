"""Lines to contexts, for vendors whose `show running-config` says by indentation what belongs to what.

A line closes every context that was opened at its own depth or deeper, and so does a comment: what stands indented
below something that nobody took is unknown as well, whatever it looks like. A file without any indentation is read as
the device would read it when it is pasted in: each line goes to the innermost context that takes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from labctl.errors import Span
from labctl.ingest.commands import Commands, take
from labctl.ingest.draft import Draft
from labctl.ingest.redact import plain, scrub
from labctl.model.account import AccountedLine, LineClass

MAX_LINE: Final = 8192  # longer lines are no configuration
_LEAVE: Final = {"exit", "quit", "exit-address-family", "exit-peer-session", "exit-peer-policy", "exit-vrf"}
_BANNER: Final = re.compile(r"banner (exec|incoming|login|motd|prompt-timeout|slip-ppp)( (?P<rest>\S.*))?")
#: Nothing but a tab may stand among the printable characters of a command.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(slots=True)
class _Level:
    """An open context; None: what is below a line that was not understood."""

    commands: Commands | None
    indent: int


def walk(text: str, top: Commands, draft: Draft) -> tuple[AccountedLine, ...]:
    """Feed every line to the contexts; the account partitions the lines that are not blank and not comments."""
    return tuple(_Walk(text, top, draft).run())


class _Walk:
    def __init__(self, text: str, top: Commands, draft: Draft) -> None:
        self._lines = [line.rstrip("\r") for line in text.split("\n")]
        self._flat = not any(line[:1] in " \t" and line.strip() for line in self._lines if line)
        self._stack = [_Level(top, -1)]
        self._opened = False  # by the last line of a file without indentation
        self._draft = draft

    def run(self) -> Iterator[AccountedLine]:
        number = 0
        while number < len(self._lines):
            raw = self._lines[number]
            number += 1
            line = " ".join(raw.split())
            if not line:
                continue
            indent = _indent(raw)
            if line[0] == "!":
                self._close(indent)
                continue
            self._draft.where = Span(self._draft.file, number)
            if banner := _BANNER.fullmatch(line):
                self._close(indent)
                end = _banner_end(self._lines, number - 1, banner["rest"] or "")
                if end is not None:
                    yield from self._banner(number - 1, end)
                    number = end + 1
                    continue
            yield replace(self._line(line, indent), depth=self._depth(indent))

    def _depth(self, indent: int) -> int:
        """Its indentation; in a file without any, the contexts that are open above the line."""
        return len(self._stack) - 1 - self._opened if self._flat else indent

    def _banner(self, first: int, last: int) -> Iterator[AccountedLine]:
        for number in range(first, last + 1):
            line = " ".join(self._lines[number].split())
            if line and line[0] != "!":
                where = Span(self._draft.file, number + 1)
                yield AccountedLine(where=where, text=scrub(line), cls=LineClass.IRRELEVANT, rule="banner")

    def _close(self, indent: int) -> None:
        while not self._flat and len(self._stack) > 1 and self._stack[-1].indent >= indent:
            self._stack.pop()

    def _line(self, line: str, indent: int) -> AccountedLine:
        if len(line) > MAX_LINE or _CONTROL.search(line):
            return self._unknown(line, indent)
        if line in _LEAVE:
            self._leave(indent)
            return self._told(line, LineClass.IRRELEVANT, "structure")
        self._close(indent)
        if line == "end" and indent == 0:
            del self._stack[1:]
            self._draft.ended = True
            return self._told(line, LineClass.IRRELEVANT, "structure")
        return self._flat_line(line) if self._flat else self._nested_line(line, indent)

    def _leave(self, indent: int) -> None:
        if self._flat:
            del self._stack[max(1, len(self._stack) - 1) :]
        else:
            self._close(indent)

    def _nested_line(self, line: str, indent: int) -> AccountedLine:
        level = self._stack[-1]
        if indent and len(self._stack) == 1:
            return self._unknown(line, indent)  # belongs to something that is not there
        found = level.commands.find(whole_numbers(line)) if level.commands else None
        if found is None:
            if level.commands and level.commands.swallow:
                return self._told(plain(line), level.commands.swallow, level.commands.name)
            return self._unknown(line, indent)
        opened, accounted = take(line, *found, self._draft)
        self._stack.append(_Level(opened or _AFTER.get(accounted.cls), indent))
        return accounted

    def _flat_line(self, line: str) -> AccountedLine:
        self._opened = False
        for depth in range(len(self._stack) - 1, -1, -1):
            commands = self._stack[depth].commands
            found = commands.find(whole_numbers(line)) if commands else None
            if found:
                del self._stack[depth + 1 :]
                opened, accounted = take(line, *found, self._draft)
                if opened:
                    self._opened = True
                    self._stack.append(_Level(opened, 0))
                return accounted
        return self._told(plain(line), LineClass.UNKNOWN, "")

    def _unknown(self, line: str, indent: int) -> AccountedLine:
        self._close(indent)
        self._stack.append(_Level(None, indent))
        return self._told(plain(line[:MAX_LINE]), LineClass.UNKNOWN, "")

    def _told(self, line: str, cls: LineClass, rule: str) -> AccountedLine:
        return AccountedLine(where=self._draft.where, text=line, cls=cls, rule=rule)


#: What is below a line that opens nothing: what is not emulated takes along all of it.
_AFTER: Final = {LineClass.UNSUPPORTED: Commands("section", swallow=LineClass.UNSUPPORTED)}


_AS_NUMBERS: Final = re.compile(
    r"(?<=\b)(router bgp|remote-as|local-as|confederation identifier|confederation peers|prepend)(?: \d+(?:\.\d+)?)+(?= |$)"
)


def whole_numbers(line: str) -> str:
    """AS numbers of four bytes in one number: `remote-as 1.10` (asdot) is `remote-as 65546`."""
    if "." not in line:
        return line
    return _AS_NUMBERS.sub(lambda m: re.sub(r"(?<= )(\d+)\.(\d+)(?= |$)", _whole, m[0]), line)


def _whole(match: re.Match[str]) -> str:
    high, low = int(match[1]), int(match[2])
    return str(high << 16 | low) if max(high, low) < 1 << 16 else match[0]


def _indent(raw: str) -> int:
    expanded = raw.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def _banner_end(lines: list[str], at: int, rest: str) -> int | None:
    """The line that closes the banner of line `at`; None if none does: then nothing is swallowed.

    The text stands between two delimiters (`^C`, as IOS shows the control character, or any other), or, without one
    (EOS), before a line `EOF`.
    """
    if not rest:
        return next((n for n in range(at + 1, len(lines)) if lines[n].strip() == "EOF"), None)
    delimiter = "^C" if rest.startswith("^C") else rest[0]
    if delimiter in rest[len(delimiter) :]:
        return at
    return next((n for n in range(at + 1, len(lines)) if delimiter in lines[n]), None)
