"""A table of commands, and the walk that feeds it lines, as vtysh would.

A context (`router bgp`, an interface, the top) is a `Commands`: patterns with what to do. A line is tried in the current
context, then in those around it, which closes the inner ones: that is how FRR reads files that lack `exit` or whose
indentation is gone. What no context takes is unknown, and stays in the account.

A pattern is a regular expression for the whole line, blanks squeezed. The group `secret` is taken out of the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from labctl.errors import LabctlError, Span
from labctl.ingest.redact import plain, scrub
from labctl.model.account import AccountedLine, LineClass

if TYPE_CHECKING:
    from labctl.ingest.draft import Draft

#: Acts on the draft; returns the context that the line opens, if it does.
Act: TypeAlias = "Callable[[Draft, re.Match[str]], Commands | None]"

_LEAVE = {"exit", "quit", "exit-address-family", "exit-vrf", "exit-vnc", "exit-link-params"}


class Verdict(Exception):  # noqa: N818  (not an error: what an act finds out about its line)
    """Raised by an act that has read its line and finds that the pattern's class does not fit; `rule` says why."""

    def __init__(self, rule: str, cls: LineClass) -> None:
        super().__init__(rule)
        self.rule = rule
        self.cls = cls


class Unsupported(Verdict):
    """A form that the model does not hold."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule, LineClass.UNSUPPORTED)


class Approximated(Verdict):
    """What was taken into the model is not quite what the line says."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule, LineClass.APPROXIMATED)


def _nothing(_draft: Draft, _match: re.Match[str]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Rule:
    pattern: re.Pattern[str]
    act: Act
    cls: LineClass
    name: str


@dataclass(slots=True)
class Commands:
    """One context. `swallow`: lines indented below its opening line are of this class when nothing here takes them.

    base: the commands of another vendor's context of the same kind, tried after those here.
    """

    name: str
    swallow: LineClass | None = None
    base: Commands | None = None
    _rules: list[Rule] = field(default_factory=list)

    def on(self, pattern: str) -> Callable[[Act], Act]:
        """The decorated function takes lines of this pattern into the model."""

        def add(act: Act) -> Act:
            self._rules.append(Rule(re.compile(pattern), act, LineClass.MODELLED, ""))
            return act

        return add

    def irrelevant(self, rule: str, *patterns: str, act: Act = _nothing) -> None:
        self._add(LineClass.IRRELEVANT, rule, patterns, act)

    def unsupported(self, rule: str, *patterns: str, act: Act = _nothing) -> None:
        self._add(LineClass.UNSUPPORTED, rule, patterns, act)

    def defaulted(self, rule: str, *patterns: str, act: Act = _nothing) -> None:
        self._add(LineClass.DEFAULTED, rule, patterns, act)

    def approximated(self, rule: str, *patterns: str, act: Act = _nothing) -> None:
        self._add(LineClass.APPROXIMATED, rule, patterns, act)

    def _add(self, cls: LineClass, name: str, patterns: Iterable[str], act: Act) -> None:
        self._rules.extend(Rule(re.compile(p), act, cls, name) for p in patterns)

    def find(self, line: str) -> tuple[Rule, re.Match[str]] | None:
        """The first rule that takes the line; on top of another context, what is unsupported comes last."""
        if self.base is None:
            return self._first(line, self._rules)
        catch = LineClass.UNSUPPORTED
        return (
            self._first(line, (rule for rule in self._rules if rule.cls is not catch))
            or self.base.find(line)
            or self._first(line, (rule for rule in self._rules if rule.cls is catch))
        )

    def _first(self, line: str, rules: Iterable[Rule]) -> tuple[Rule, re.Match[str]] | None:
        for rule in rules:
            if (match := rule.pattern.fullmatch(line)) and _possible(match):
                return rule, match
        return None


#: Group of a pattern -> the numbers that there are. A device would have refused the line, so nobody understands it.
_NUMBERS: Final = {
    "asn": range(1, 2**32),
    "seq": range(1, 2**32),
    "place": range(1, 2**16),  # of an entry in a route-map
}


def _possible(match: re.Match[str]) -> bool:
    said = match.groupdict()
    return all(
        int(word) in _NUMBERS[name]
        for name in _NUMBERS.keys() & said.keys()
        if (word := said[name] or "").isdecimal()
    )


def walk(text: str, top: Commands, draft: Draft) -> tuple[AccountedLine, ...]:
    """Feed every line to the contexts; the account partitions the lines that are not blank and not comments."""
    stack = [top]
    account: list[AccountedLine] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = " ".join(raw.split())
        if not line or line[0] in "!#":
            continue
        draft.where = Span(draft.file, number)
        indented = raw[0] in " \t"
        account.append(_take(line, indented, stack, draft))
    return tuple(account)


def _take(line: str, indented: bool, stack: list[Commands], draft: Draft) -> AccountedLine:
    if line in _LEAVE:
        if len(stack) > 1:
            stack.pop()
        return AccountedLine(where=draft.where, text=line, cls=LineClass.IRRELEVANT, rule="structure")
    if line == "end":
        del stack[1:]
        draft.ended = True
        return AccountedLine(where=draft.where, text=line, cls=LineClass.IRRELEVANT, rule="structure")
    for depth in range(len(stack) - 1, -1, -1):
        found = stack[depth].find(line)
        if found is None:
            if indented and (swallowed := stack[depth].swallow):
                return AccountedLine(
                    where=draft.where,
                    text=plain(line),
                    cls=swallowed,
                    rule=stack[depth].name,
                    depth=depth,
                )
            continue
        del stack[depth + 1 :]
        opened, accounted = take(line, *found, draft)
        if opened:
            stack.append(opened)
        return replace(accounted, depth=depth)
    return AccountedLine(where=draft.where, text=plain(line), cls=LineClass.UNKNOWN)


def take(line: str, rule: Rule, match: re.Match[str], draft: Draft) -> tuple[Commands | None, AccountedLine]:
    """Do what the rule says: the context that the line opens, and the line's class."""
    try:
        opened = _act(rule, match, draft)
    except Verdict as verdict:
        return None, AccountedLine(where=draft.where, text=scrub(line), cls=verdict.cls, rule=verdict.rule)
    told = _told(line, match, rule.cls)
    return opened, AccountedLine(where=draft.where, text=told, cls=rule.cls, rule=rule.name)


def _act(rule: Rule, match: re.Match[str], draft: Draft) -> Commands | None:
    try:
        return rule.act(draft, match)
    except LabctlError as error:
        draft.problems.extend(error)
        return None


def _told(line: str, match: re.Match[str], cls: LineClass) -> str:
    if match.groupdict().get("secret") is not None:
        start, end = match.span("secret")
        return f"{line[:start]}<removed>{line[end:]}"
    return line if cls is LineClass.MODELLED else scrub(line)
