r"""Files of environment variables (`env-files`): a variable a line.

    # a comment
    NAME=value            up to ` #`; NAME: value is the same
    export NAME="a\nb"    escapes, and $NAME or ${NAME} of a line above
    NAME='as it stands'

A text in quotes that goes on over several lines is refused.
"""

from __future__ import annotations

import re

from labctl.errors import LabctlError, Span
from labctl.schema import infile, yaml

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*(?:=|:\s)\s*(.*?)\s*", re.DOTALL)
_VARIABLE = re.compile(r"\\\$|\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_LIMIT = 1 << 20


def load(path: str) -> dict[str, str]:
    """The variables of a file, in its order."""
    found: dict[str, str] = {}
    for number, line in enumerate(yaml.decode(infile.read(path, limit=_LIMIT), path).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\0" in line:
            raise LabctlError(
                "bad-value",
                "this line sets no variable",
                where=Span(path, number),
                hint="write it like `NAME=value`",
            )
        found[match[1]] = _value(match[2], found, Span(path, number))
    return found


def _value(text: str, known: dict[str, str], where: Span) -> str:
    quote = text[:1]
    if quote not in ("'", '"'):
        return _filled(re.split(r"\s#", text, maxsplit=1)[0].rstrip(), known)
    closed = re.fullmatch(r"""'([^']*)'\s*(?:#.*)?|"((?:[^"\\]|\\.)*)"\s*(?:#.*)?""", text)
    if closed is None:
        raise LabctlError(
            "bad-value",
            "the quotes are not closed on this line",
            where=where,
            hint="close them, or use `\\n`",
        )
    if quote == "'":
        return closed[1]
    return re.sub(
        r"\\(.)",
        lambda found: _ESCAPES.get(found[1], found[1]),
        _filled(closed[2], known),
    )


def _filled(text: str, known: dict[str, str]) -> str:
    return _VARIABLE.sub(
        lambda found: found[0] if found[0].startswith("\\") else known.get(found[1] or found[2], ""), text
    )
