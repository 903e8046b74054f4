"""The lines that lead from one FRR configuration to another, block by block. Pure text.

A running configuration is a tree: lines at the margin, blocks that an indented line or an `exit` follows, and address
families inside blocks. `missing` are the lines to type, each inside its block; `superfluous` the lines to negate. They are
two steps and not one because typing often replaces (`ip ospf cost 9` by `ip ospf cost 7`), and then there is nothing
left to negate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Block:
    """A line and what stands under it; a plain line has `children` None."""

    line: str
    children: dict[str, Block] | None = None
    end: str = "exit"


@dataclass(slots=True)
class _Reader:
    lines: list[str] = field(default_factory=list)
    at: int = 0


def missing(wanted: str, now: str) -> list[str]:
    """What to type so that everything of `wanted` is there."""
    return list(_missing(parse(wanted), parse(now)))


def superfluous(wanted: str, now: str, attempt: int = 0) -> list[str]:
    """What to type so that nothing is there that `wanted` does not have; each `attempt` negates in fewer words."""
    return list(_superfluous(parse(wanted), parse(now), attempt))


def parse(text: str) -> dict[str, Block]:
    """The tree, by line, in the order of the text."""
    lines = [line.rstrip() for line in text.splitlines()]
    return _read(_Reader([line for line in lines if line.strip() not in ("", "!", "end")]), 0)


def _read(reader: _Reader, depth: int) -> dict[str, Block]:
    found: dict[str, Block] = {}
    while reader.at < len(reader.lines):
        raw = reader.lines[reader.at]
        line, indent = raw.strip(), len(raw) - len(raw.lstrip())
        if indent < depth or line.startswith("exit"):
            break
        reader.at += 1
        block = Block(line)
        following = reader.lines[reader.at] if reader.at < len(reader.lines) else ""
        deeper = len(following) - len(following.lstrip()) > indent
        ends = following.strip().startswith("exit") and len(following) - len(following.lstrip()) == indent
        if deeper or ends:
            block.children = _read(reader, indent + 1)
            if reader.at < len(reader.lines) and reader.lines[reader.at].strip().startswith("exit"):
                block.end = reader.lines[reader.at].strip()
                reader.at += 1
        found[line] = block
    return found


def _missing(wanted: dict[str, Block], now: dict[str, Block]) -> Iterator[str]:
    for line, block in wanted.items():
        there = now.get(line)
        if block.children is None:
            if there is None:
                yield line
            continue
        inner = list(_missing(block.children, (there.children if there else None) or {}))
        if inner or there is None:
            yield line
            yield from (f" {each}" for each in inner)
            yield block.end


def _superfluous(wanted: dict[str, Block], now: dict[str, Block], attempt: int) -> Iterator[str]:
    for line, block in reversed(now.items()):
        kept = wanted.get(line)
        if kept is None and not line.startswith("address-family"):
            yield _negated(line, attempt)
        elif block.children is not None:
            inner = list(_superfluous((kept.children if kept else None) or {}, block.children, attempt))
            if inner:
                yield line
                yield from (f" {each}" for each in inner)
                yield block.end


def _negated(line: str, attempt: int) -> str:
    """Some commands are negated without their value (`no description`), and none says which."""
    words = line.split()
    if words[0] == "no":
        return " ".join(words[1:])
    if "description" in words[1:3] or words[0] == "description":
        words = words[: words.index("description") + 1]
    return " ".join(["no", *words[: max(2, len(words) - attempt)]])
