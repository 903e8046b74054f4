"""What `ip -j route` prints of a kernel's tables: what a host forwards by, and the addresses that are its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, Final

from labctl.model.recorded import Recorded
from labctl.model.routes import NextHop, Route

_DISCARDS: Final = ("blackhole", "unreachable", "prohibit", "throw")
_DOWN: Final = frozenset({"dead", "linkdown"})
_EVERYTHING: Final = {4: "0.0.0.0/0", 6: "::/0"}


def read_routes(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001  (the readers' signature)
    return _read_routes(4, text, known)


def read_routes6(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001
    return _read_routes(6, text, known)


def read_own(device: str, text: str, known: Recorded) -> Recorded:  # noqa: ARG001
    """The local table: addresses and their interfaces, without loopback's and those that follow from a MAC."""
    return replace(known, own=(*known.own, *_own(_rows(text) or ())))


read_own6 = read_own


def _read_routes(family: int, text: str, known: Recorded) -> Recorded:
    rows = _rows(text)
    if rows is None:
        return known
    return known.with_routes(family, (_route(family, row) for row in rows if _forwards(row)))


def _own(rows: list[Mapping[str, Any]] | tuple[()]) -> Iterator[Route]:
    for row in rows:
        if row.get("type") != "local":
            continue
        prefix = ip_network(str(row["dst"]))
        if not prefix.is_loopback and not prefix.is_link_local:
            yield Route(
                prefix=str(prefix), protocol="local", next_hops=frozenset({NextHop("", str(row["dev"]))})
            )


def _forwards(row: Mapping[str, Any]) -> bool:
    return row.get("type", "unicast") in ("unicast", *_DISCARDS)


def _route(family: int, row: Mapping[str, Any]) -> Route:
    """In the words that the kernel's own tables are read in (`linux.routes`)."""
    dst, kind = str(row["dst"]), str(row.get("type", "unicast"))
    protocol = str(row.get("protocol", "boot"))
    if protocol == "kernel" and "gateway" not in row and (family == 6 or row.get("scope") == "link"):
        protocol = "connected"
    hops = row.get("nexthops", [row] if "dev" in row else [])
    return Route(
        prefix=_EVERYTHING[family] if dst == "default" else str(ip_network(dst)),
        protocol=protocol,
        next_hops=frozenset(_hop(hop) for hop in hops if not _DOWN & set(hop.get("flags", ()))),
        metric=row.get("metric", 0),
        kind=kind if kind in _DISCARDS else "",
    )


def _hop(hop: Mapping[str, Any]) -> NextHop:
    via = hop.get("gateway") or hop.get("via", {}).get("host", "")
    return NextHop(str(via), str(hop.get("dev", "")))


def _rows(text: str) -> list[Mapping[str, Any]] | None:
    """None: this is no answer. A table without routes is an empty list, which `ip` prints as nothing or `[]`."""
    if not text.strip():
        return []
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return [row for row in said if isinstance(row, dict)] if isinstance(said, list) else None
