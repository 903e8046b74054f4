"""`ports` of a lab file, as `docker -p` writes them: `[address:]outside:inside[/protocol]`, one port or as many as the other."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from labctl.errors import Problems
from labctl.model.lab import Published
from labctl.schema import fields
from labctl.schema.yaml import Scalar

LOOPBACK = "127.0.0.1"
_FORM = re.compile(
    r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[0-9.]+):)?(?P<outside>[0-9]+(?:-[0-9]+)?):(?P<inside>[0-9]+(?:-[0-9]+)?)"
    r"(?:/(?P<protocol>\w+))?"
)


def read(item: Scalar, problems: Problems) -> Iterator[Published]:
    """The ports that an entry names; what is wrong with it goes to `problems`."""
    match = _FORM.fullmatch(item.text)
    if match is None:
        bare = re.fullmatch(r"[0-9]+(/\w+)?", item.text)
        problems.add(
            "bad-value",
            f"port {fields.shorten(item.text)!r} is not `outside:inside`",
            where=item.span,
            hint=f"say which port of the machine: `8080:{item.text}`"
            if bare
            else "write it like `8080:80/tcp`",
        )
        return
    outside, inside = _range(match["outside"]), _range(match["inside"])
    protocol = (match["protocol"] or "tcp").lower()
    host = (match["host"] or LOOPBACK).strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        problems.add("bad-address", f"{fields.shorten(host)!r} is not an IP address", where=item.span)
        return
    if protocol not in ("tcp", "udp"):
        problems.add(
            "unsupported", f"no port of {protocol} is published", where=item.span, hint="`tcp` and `udp` are"
        )
    elif not outside or not inside or len(outside) != len(inside):
        problems.add(
            "bad-value",
            f"port {fields.shorten(item.text)!r} names no ports, or more on one side than on the other",
            where=item.span,
            hint="ports are 1 to 65535: `8000-8003:80-83`",
        )
    else:
        for one, other in zip(outside, inside, strict=True):
            yield Published(host=host, outside=one, inside=other, protocol=protocol, where=item.span)


def check_once(nodes: Iterable[tuple[str, Iterable[Published]]], problems: Problems) -> None:
    """No port of the machine leads to two places."""
    seen: dict[tuple[str, int, str], str] = {}
    for node, ports in nodes:
        for port in ports:
            key = port.host, port.outside, port.protocol
            if key in seen:
                problems.add(
                    "bad-value",
                    f"port {port.outside}/{port.protocol} of {port.host} is published twice, for {seen[key]!r} and {node!r}",
                    where=port.where,
                    hint="each needs a port of its own",
                )
            seen[key] = node


def _range(text: str) -> range:
    """The ports of `80` or `80-83`; empty if there are none."""
    first, _, last = text.partition("-")
    one, other = int(first), int(last or first)
    return range(one, other + 1) if 1 <= one <= other <= 65535 else range(0)
