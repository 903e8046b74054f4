"""What happens to a lab file before YAML is read: its template is rendered, then variables are expanded, as containerlab
does it, for every file and in this order.

A template's variables come from the files of `--vars`, else from those beside the lab file that carry its name: for
`dc.clab.yml` they are `dc.clab_vars.yml` (or `.yaml`, `.json`) and `dc.clab_vars.*.yml`, in alphabetical order. Maps
are merged, later files win. Values have the types that containerlab's YAML gives them, so `yes` is true and `010` eight.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from labctl.errors import LabctlError, Span
from labctl.schema import infile, yaml
from labctl.schema.envsubst import expand
from labctl.schema.fields import kind_of

if TYPE_CHECKING:
    from labctl.schema.gotemplate import Rendered

Variables: TypeAlias = Mapping[str, Any]
_LIMIT = 16 << 20
_BOOLS: Mapping[str, bool] = {
    form: value
    for words, value in ((("y", "yes", "true", "on"), True), (("n", "no", "false", "off"), False))
    for word in words
    for form in (word, word.capitalize(), word.upper())
}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")
_INT = re.compile(r"[-+]?(?:0x[0-9a-fA-F]+|0b[01]+|0[0-7]*|[1-9][0-9]*)")
_MOST_DIGITS = 18


def read(path: str | os.PathLike[str]) -> str:
    """The text of a lab file."""
    name = os.fspath(path)
    raw = infile.read(name, limit=_LIMIT)
    if b"\0" in raw[:4096]:
        raise LabctlError("bad-yaml", "this is a binary file and no text", where=Span(name, 1))
    return yaml.decode(raw, name)


def variables(path: str | os.PathLike[str], given: Sequence[str] = ()) -> Variables | None:
    """What a template may name; None if there is no file of variables."""
    found = list(given) or beside(os.fspath(path))
    merged: Variables | None = None
    for each in found:
        value = typed(yaml.parse(yaml.decode(infile.read(each, limit=_LIMIT), each), file=each))
        if value is None:
            value = {}
        if not isinstance(value, dict):
            root = yaml.parse(yaml.decode(infile.read(each, limit=_LIMIT), each), file=each)
            raise LabctlError(
                "bad-value",
                f"a file of variables is a map, not {kind_of(root)}",
                where=root.span,
                hint="write it like `leaves: 4`",
            )
        merged = value if merged is None else _merged(merged, value)
    return merged


def beside(path: str) -> list[str]:
    """The files of variables that belong to a lab file by their names."""
    stem = glob.escape(os.path.splitext(path)[0]) + "_vars"
    found = {
        each
        for ending in ("yaml", "yml", "json")
        for pattern in (f"{stem}.{ending}", f"{stem}.*.{ending}")
        for each in glob.glob(pattern)
    }
    return sorted(found)


def prepared(text: str, data: Variables | None, env: Mapping[str, str], file: str) -> tuple[str, yaml.Place]:
    """The text that is YAML, and what finds a place of it in the file."""
    place: yaml.Place = _unmoved
    plain = text
    if "{{" in text:
        # Most files have no template, and this is the largest module of them all.
        from labctl.schema import gotemplate

        rendered = gotemplate.render(text, data, file=file)
        plain, place = rendered.text, _place(text, rendered)
    try:
        return expand(plain, env, file=file), place
    except LabctlError as error:
        where = error.where
        if where is not None:
            line, column = place(where.line, where.column)
            where = Span(file, line, column)
        raise LabctlError(error.code, error.message, where=where, hint=error.hint) from None


def _unmoved(line: int, column: int) -> tuple[int, int]:
    return line, column


def _place(source: str, rendered: Rendered) -> Callable[[int, int], tuple[int, int]]:
    if not rendered.lines:
        return _unmoved
    before, after = source.split("\n"), rendered.text.split("\n")

    def place(line: int, column: int) -> tuple[int, int]:
        """The column counts only where the template left the line as it is."""
        at = rendered.lines[min(line, len(rendered.lines)) - 1]
        same = line <= len(after) and after[line - 1] == before[at - 1]
        return at, column if same else 0

    return place


def _merged(old: Variables, new: Variables) -> dict[str, Any]:
    found = dict(old)
    for key, value in new.items():
        there = found.get(key)
        both = isinstance(there, dict) and isinstance(value, dict)
        found[key] = _merged(there, value) if both and there is not None else value
    return found


def typed(value: yaml.Value) -> Any:
    """Maps, lists, and scalars with the types that containerlab's YAML gives them."""
    match value:
        case yaml.Map():
            return {entry.key: typed(entry.value) for entry in value}
        case yaml.Seq():
            return [typed(item) for item in value.items]
        case yaml.Scalar():
            return _scalar(value)


def _scalar(value: yaml.Scalar) -> Any:
    if not value.plain:
        return value.text
    if value.is_null:
        return None
    if value.text in _BOOLS:
        return _BOOLS[value.text]
    plain = value.text.replace("_", "")
    if _INT.fullmatch(plain) and len(plain) <= _MOST_DIGITS:
        digits = plain.lstrip("+-")
        octal = len(digits) > 1 and digits.startswith("0") and digits[1].isdigit()
        number = int(digits, 8 if octal else 0)
        return -number if plain.startswith("-") else number
    if _FLOAT.fullmatch(plain) and len(plain) <= 2 * _MOST_DIGITS:
        return float(plain)
    return value.text
