"""snmprec files: one cell a line, `OID|TAG|VALUE`, as snmpsim records them.

The tag is the ASN.1 number of the type, with `x` when the value is written in hex, and `:module` when snmpsim would
vary it (the recorded value is then an option of the module, or absent).
"""

from __future__ import annotations

import re
from pathlib import Path

from labctl.ingest.mib_tables import Oid, Read, Varbind, oid, ragged_end
from labctl.model.observation import Rejected
from labctl.schema import infile

_OID = re.compile(rb"\.?\d+(?:\.\d+)+")
_INTEGERS = frozenset({2, 65, 66, 67, 70, 71})
_OCTETS = frozenset({3, 4, 64, 68})
_OID_TAG, _NULL = 6, 5
#: Tags whose values stand as they are: most of any walk.
_PLAIN = {str(kind).encode(): kind for kind in (*_INTEGERS, *_OCTETS, _OID_TAG)}
#: noSuchObject, noSuchInstance, endOfMibView: what an agent says instead of a value.
_NOTHING = frozenset({128, 129, 130})


def sniff(head: bytes) -> bool:
    """Is this the beginning of a snmprec file?"""
    lines = [line for line in head.splitlines()[:5] if line.strip() and not line.startswith(b"#")]
    return bool(lines) and all(line.count(b"|") >= 2 and _OID.match(line) for line in lines[:1])


def read(path: Path, *, named: str | None = None) -> Read:
    """All cells of the file. `named`: how places in it are printed."""
    shown = named or str(path)
    data = infile.read(path)
    result = Read()
    lines = data.split(b"\n")
    cut = lines[-1] != b""
    for n, raw in enumerate(lines, 1):
        line = raw.rstrip(b"\r")
        if not line.strip() or line.startswith(b"#"):
            continue
        where = f"{shown}:{n}"
        last = cut and n == len(lines)
        try:
            cell = _cell(line, where)
        except ValueError as error:
            if last:
                result.truncated, result.truncated_at = "the file ends in the middle of a line", where
            else:
                result.rejected.append(Rejected(where=where, reason=str(error)))
            continue
        if cell is not None:
            result.cells.append(cell)
    if not result.truncated:
        why = ragged_end(result.cells)
        if why:
            result.truncated, result.truncated_at = why, result.cells[-1].where
    return result


def _cell(line: bytes, where: str) -> Varbind | None:
    parts = line.split(b"|", 2)
    if len(parts) != 3:
        raise ValueError(f"not `OID|TAG|VALUE`: {_shown(line)}")
    name, tag, value = parts
    if not _OID.fullmatch(name):
        raise ValueError(f"not an OID: {_shown(name)}")
    kind = _PLAIN.get(tag)
    if kind is not None:
        return Varbind(oid(name.decode()), _value(kind, value, hexed=False), where)
    number = tag.split(b":")[0].rstrip(b"xe")
    if not number.isdigit():
        raise ValueError(f"unknown type tag {_shown(tag)}")
    kind = int(number)
    if kind in _NOTHING or kind == _NULL:
        return None
    if b":" in tag:
        value = _varied(value)
    elif tag.endswith(b"x"):
        value = _unhex(value)
    elif tag.endswith(b"e"):
        value = re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda m: bytes.fromhex(m[1].decode()), value)
    return Varbind(oid(name.decode()), _value(kind, value, hexed=tag.endswith(b"x")), where)


def _value(kind: int, value: bytes, *, hexed: bool) -> int | bytes | Oid:
    if kind in _INTEGERS:
        if value.isdigit():
            return int(value)
        if not re.fullmatch(rb"\s*-?\d+\s*", value):
            raise ValueError(f"not a number: {_shown(value)}")
        return int(value)
    if kind == _OID_TAG:
        if value and not _OID.fullmatch(value.strip()) and not value.strip().isdigit():
            raise ValueError(f"not an OID value: {_shown(value)}")
        return oid(value.decode()) if value.strip() else ()
    if kind in _OCTETS:
        if kind == 64 and not hexed and re.fullmatch(rb"\d+(\.\d+){3}", value):
            return bytes(int(part) & 255 for part in value.split(b"."))
        return value
    raise ValueError(f"unknown type tag {kind}")


def _unhex(value: bytes) -> bytes:
    squeezed = b"".join(value.split())
    if len(squeezed) % 2 or not re.fullmatch(rb"[0-9A-Fa-f]*", squeezed):
        raise ValueError(f"not hexadecimal: {_shown(value)}")
    return bytes.fromhex(squeezed.decode())


def _varied(value: bytes) -> bytes:
    """The recorded value inside a variation module's options (`initial=…` or `value=…`)."""
    for option in value.split(b","):
        key, _, setting = option.partition(b"=")
        if key in (b"initial", b"value"):
            return setting
    raise ValueError("a varying value without an initial one")


def _shown(octets: bytes, limit: int = 40) -> str:
    said = octets.decode("utf-8", "replace")
    return repr(said if len(said) <= limit else said[:limit] + "…")
