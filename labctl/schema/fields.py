"""Typed fields out of a YAML tree: each reader says what it wants and adds a problem with its place if it is not there.

Readers never raise for a wrong value; they add to `Problems` and return None (or nothing), so one run reports every
mistake of a file. YAML 1.2's words count: `true` and `false` are the booleans, numbers are decimal.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Iterator

from labctl.errors import Problems, Span, did_you_mean
from labctl.schema.yaml import Map, Scalar, Seq, Value

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_MOST_DIGITS, _MOST_SHOWN = 40, 80
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")


def kind_of(value: Value) -> str:
    """What a person would call it: "a list", "a map", "nothing", "text"."""
    match value:
        case Seq():
            return "a list"
        case Map():
            return "a map"
        case Scalar():
            return "nothing" if value.is_null else repr(shorten(value.text))


def shorten(said: str) -> str:
    """At most a line of it."""
    return said if len(said) <= _MOST_SHOWN else said[:_MOST_SHOWN] + "…"


def wrong(problems: Problems, value: Value, key: str, wanted: str, hint: str | None = None) -> None:
    problems.add("bad-value", f"{key} must be {wanted}, not {kind_of(value)}", where=value.span, hint=hint)


def text(value: Value | None, key: str, problems: Problems) -> str | None:
    """The source text; None if it is absent or null."""
    if value is None:
        return None
    if not isinstance(value, Scalar):
        wrong(problems, value, key, "text")
        return None
    return None if value.is_null else value.text


def texts(value: Value | None, key: str, problems: Problems) -> Iterator[Scalar]:
    """The items of a list of text."""
    if value is None or (isinstance(value, Scalar) and value.is_null):
        return
    if not isinstance(value, Seq):
        wrong(problems, value, key, "a list")
        return
    for item in value.items:
        if isinstance(item, Scalar) and not item.is_null:
            yield item
        else:
            wrong(problems, item, f"each item of {key}", "text")


def text_map(value: Value | None, key: str, problems: Problems) -> dict[str, str]:
    """A map of text to text; null counts as the empty text."""
    found: dict[str, str] = {}
    for entry in mapping(value, key, problems) or ():
        if isinstance(entry.value, Scalar):
            found[entry.key] = "" if entry.value.is_null else entry.value.text
        else:
            wrong(problems, entry.value, f"{key}.{entry.key}", "text")
    return found


def mapping(value: Value | None, key: str, problems: Problems) -> Map | None:
    """A map; None if absent, null or something else."""
    if isinstance(value, Map):
        return value
    if value is not None and not (isinstance(value, Scalar) and value.is_null):
        wrong(problems, value, key, "a map")
    return None


def integer(value: Value | None, key: str, problems: Problems, *, low: int, high: int) -> int | None:
    said = text(value, key, problems)
    if value is None or said is None:
        return None
    if not _INT.fullmatch(said):
        wrong(problems, value, key, "a whole number")
        return None
    if len(said) > _MOST_DIGITS or not low <= int(said) <= high:
        problems.add(
            "bad-value", f"{key} must be from {low} to {high}, not {shorten(said)}", where=value.span
        )
        return None
    return int(said)


def decimal(value: Value | None, key: str, problems: Problems) -> float | None:
    """A number that is not negative."""
    said = text(value, key, problems)
    if value is None or said is None:
        return None
    if not _FLOAT.fullmatch(said) or not 0 <= float(said) < math.inf:
        wrong(problems, value, key, "a number that is not negative")
        return None
    return float(said)


def boolean(value: Value | None, key: str, problems: Problems) -> bool | None:
    said = text(value, key, problems)
    if value is None or said is None:
        return None
    if said.lower() not in ("true", "false"):
        wrong(problems, value, key, "true or false")
        return None
    return said.lower() == "true"


def unknown_keys(found: Map, known: Iterable[str], what: str, problems: Problems) -> None:
    """A problem for each key that is not known, with the nearest known one as the hint."""
    names = frozenset(known)
    for entry in found:
        if entry.key not in names:
            add_unknown_key(entry.key, entry.span, names, what, problems)


def add_unknown_key(
    key: str, where: Span, known: Iterable[str], what: str, problems: Problems, *, hint: str | None = None
) -> None:
    hint = hint or did_you_mean(key, known)
    problems.add("unknown-key", f"{what} has no key {key!r}", where=where, hint=hint)


def address(
    said: str, where: Span, problems: Problems, *, version: int, prefix: bool, key: str
) -> str | None:
    """An IPv4 or IPv6 address in its usual form, with (`prefix`) or without a prefix length."""
    example = {4: "10.0.0.1", 6: "2001:db8::1"}[version] + (
        ("/30" if version == 4 else "/64") if prefix else ""
    )
    try:
        found = ipaddress.ip_interface(said)
    except ValueError:
        found = None
    if found is None or found.version != version or prefix != ("/" in said):
        kind = f"an IPv{version} address with{'' if prefix else 'out'} a prefix length"
        problems.add(
            "bad-address", f"{key} {said!r} is not {kind}", where=where, hint=f"write it like `{example}`"
        )
        return None
    if found.ip.is_multicast or found.ip.is_unspecified:
        problems.add("bad-address", f"{key} {said!r} is not the address of one interface", where=where)
        return None
    return str(found) if prefix else str(found.ip)


def network(said: str, where: Span, problems: Problems, *, version: int, key: str) -> str | None:
    """A prefix whose host bits are zero."""
    try:
        found = ipaddress.ip_network(said, strict=False)
    except ValueError:
        found = None
    if found is None or found.version != version or "/" not in said:
        example = "172.20.20.0/24" if version == 4 else "3fff:172:20:20::/64"
        problems.add(
            "bad-address",
            f"{key} {said!r} is not an IPv{version} prefix",
            where=where,
            hint=f"write it like `{example}`",
        )
        return None
    if ipaddress.ip_interface(said).ip != found.network_address:
        problems.add(
            "bad-address", f"{key} {said!r} has host bits set", where=where, hint=f"did you mean `{found}`?"
        )
        return None
    return str(found)


def mac(said: str, where: Span, problems: Problems) -> str | None:
    """A unicast MAC address, in lower case."""
    found = said.lower()
    if not _MAC.fullmatch(found) or int(found[:2], 16) & 1 or found == "00:00:00:00:00:00":
        problems.add(
            "bad-address",
            f"{said!r} is not the MAC address of one interface",
            where=where,
            hint="write it like `aa:c1:ab:00:00:01`; the first byte must be even",
        )
        return None
    return found
