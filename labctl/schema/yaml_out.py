"""YAML out, readable and read the same by every reader.

Maps keep their order, text is plain only where neither YAML 1.1 nor 1.2 could take it for something else (`on`, `1e3`,
`22:22`, a date), and anything else stands in double quotes. `Flow([...])` asks for one line. A small emitter of our
own, because PyYAML's decides the quotes by 1.1's rules alone and folds long lines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_WORD = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./+@%=(),-]| (?=[^ #]))*")
_FLOW_UNSAFE = re.compile(r"[,(){}\[\]]")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?")
_EXACT = 1e15  # whole floats below are written without a dot
_WORDS_WITH_MEANING = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_UNPRINTABLE = re.compile('["\\\\\x00-\x1f\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]')


class Flow(list[Any]):
    """A list to be written on one line: `[a, b]`."""


def dump(value: Mapping[str, Any]) -> str:
    """The document. Values: maps, lists, text, numbers, booleans, None."""
    return "".join(f"{line}\n" for line in _block(value, 0))


def _block(value: Any, indent: int) -> Iterator[str]:
    pad = "  " * indent
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _item(f"{pad}{text(str(key))}:", item, indent + 1)
    else:
        for item in value:
            yield from _dash(pad, item, indent)


def _item(head: str, item: Any, indent: int) -> Iterator[str]:
    if _fits_a_line(item):
        yield f"{head} {_inline(item)}"
    else:
        yield head
        yield from _block(item, indent)


def _dash(pad: str, item: Any, indent: int) -> Iterator[str]:
    if _fits_a_line(item):
        yield f"{pad}- {_inline(item)}"
        return
    first = True
    for line in _block(item, indent + 1):
        yield f"{pad}- {line[len(pad) + 2 :]}" if first else line
        first = False


def _fits_a_line(item: Any) -> bool:
    return isinstance(item, Flow) or not (
        isinstance(item, Mapping | Sequence) and not isinstance(item, str) and item
    )


def _inline(item: Any) -> str:  # noqa: PLR0911  (one line for each kind of leaf)
    match item:
        case None:
            return "null"
        case bool():
            return "true" if item else "false"
        case str():
            return text(item)
        case int():
            return str(item)
        case float():
            return number(item)
        case Mapping():
            return "{}"
        case Sequence():
            return "[" + ", ".join(_in_flow(i) for i in item) + "]"
        case _:
            raise TypeError(f"{type(item).__name__} has no YAML form")


def _in_flow(item: Any) -> str:
    if isinstance(item, str) and _FLOW_UNSAFE.search(item):
        return quoted(item)
    return _inline(item)


def number(value: float) -> str:
    """A float that both versions read as one: YAML 1.1 wants a dot before the exponent."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    shown = repr(value)
    return shown.replace("e", ".0e") if "e" in shown and "." not in shown else shown


def text(value: str) -> str:
    """Plain if no reader can mistake it, else quoted."""
    if _IPV4.fullmatch(value):
        return value
    if _WORD.fullmatch(value) and value.lower() not in _WORDS_WITH_MEANING:
        return value
    return quoted(value)


def quoted(value: str) -> str:
    """In double quotes. `$` and `{{` are escaped too: lab files are expanded as raw text before YAML is read."""
    escaped = _UNPRINTABLE.sub(_escape, value)
    return '"' + escaped.replace("$", "\\x24").replace("{{", "{\\x7b") + '"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _ESCAPES.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}")
