"""Rows of CSV and JSON files, each with the place it stands at; what cannot be read is an error with line and column."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from json import decoder, scanner
from typing import Any, Final

from labctl.errors import LabctlError, Span
from labctl.schema import infile

#: An index of our own for interfaces that a table calls by name only; no device's ifIndex is this large.
NO_INDEX: Final = 1 << 40
DELIMITERS: Final = ",;\t"


def index_of(port: str) -> int:
    """The same name has the same index in every table of a device."""
    return NO_INDEX + int.from_bytes(hashlib.sha256(port.encode("utf-8", "replace")).digest()[:5])


def fields_of(columns: Iterable[str], spellings: Mapping[str, str]) -> dict[str, str]:
    """field -> the column that holds it, the first of several spellings.

    spellings: spelling -> field; in lower case, without anything but letters and digits.
    """
    found: dict[str, str] = {}
    for column in columns:
        name = spellings.get(re.sub("[^a-z0-9]", "", column.lower()))
        if name is not None:
            found.setdefault(name, column)
    return found


# -- JSON -------------------------------------------------------------------------------------------------------


class Record(dict[str, Any]):
    """A JSON object that knows where it begins."""

    __slots__ = ("offset",)
    offset: int


class Document:
    """A JSON text. `root` is what it holds, its objects are `Record`s; `line(record)` is where one begins."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self.root = _parse(text, file)

    def line(self, record: Record) -> int:
        from bisect import bisect_left

        return bisect_left(self._ends, record.offset) + 1

    def where(self, record: Record) -> str:
        return f"{self.file}:{self.line(record)}"

    def span(self, record: Record) -> Span:
        return Span(self.file, self.line(record))


def _parse(text: str, file: str) -> Any:
    def located(s_and_end: tuple[str, int], *rest: Any) -> tuple[Record, int]:
        value, end = decoder.JSONObject(s_and_end, *rest)  # type: ignore[attr-defined]
        record = Record(value)
        record.offset = s_and_end[1] - 1
        return record, end

    reader = json.JSONDecoder()
    reader.parse_object = located  # type: ignore[attr-defined]
    reader.scan_once = scanner.py_make_scanner(reader)  # type: ignore[attr-defined]
    try:
        return reader.decode(text)
    except json.JSONDecodeError as error:
        raise LabctlError(
            "bad-json",
            f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}",
            where=Span(file, error.lineno, error.colno),
        ) from None
    except (RecursionError, ValueError):
        raise LabctlError(
            "bad-json", "this is nested too deeply, or holds a number with too many digits", where=Span(file)
        ) from None


# -- CSV --------------------------------------------------------------------------------------------------------


def header(line: str) -> tuple[list[str], str]:
    """The columns of a table's first line, and the delimiter that stands in it most often."""
    delimiter = max(DELIMITERS, key=line.count)
    try:
        fields = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        fields = []
    return [field.strip() for field in fields], delimiter


def read_csv(path: str, broken: list[LabctlError]) -> Iterator[tuple[dict[str, str], int]]:
    """Rows by column, with their lines. A row that does not fit the header goes to `broken`."""
    text = infile.text(path)
    columns, delimiter = header(text.partition("\n")[0].rstrip("\r"))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    try:
        next(reader, None)
        line = reader.line_num + 1
        for fields in reader:
            if any(field.strip() for field in fields):
                if len(fields) == len(columns):
                    yield {c: f.strip() for c, f in zip(columns, fields, strict=True)}, line
                else:
                    broken.append(
                        bad_row(f"this row has {len(fields)} fields, the header {len(columns)}", path, line)
                    )
            line = reader.line_num + 1  # a quoted field may hold line ends
    except csv.Error as error:
        broken.append(bad_row(f"this is not CSV: {error}", path, line))


def bad_row(message: str, path: str, line: int) -> LabctlError:
    return LabctlError(
        "bad-row",
        message,
        where=Span(path, line),
        hint="correct the row, or leave it out with --lenient",
    )


def stem(path: str) -> str:
    """What a file is called without its directory and endings."""
    return os.path.basename(path).split(".")[0]
