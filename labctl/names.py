"""Names as small types, printed one way and parsed back.

A port prints `r1:eth1`, a cable `r1:eth1--r2:eth1` with its ends sorted, so the same cable has one name whoever
says it. Linux interface names hold 15 bytes and no `/`; production's names do not fit and are mapped by the
allocation table (`render.allocation`), never here.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from itertools import count

from labctl.errors import LabctlError, Span

NODE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._|-]*")
LAB = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
MOST = (
    128  # characters of a lab's or node's name: it names directories and control groups, with something added
)
IFNAMSIZ = 15  # bytes of a Linux interface name, without the final NUL


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address, without a length."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, order=True)
class PortId:
    """One interface of one node (or device). `str` and `parse` are inverse to each other."""

    node: str
    interface: str

    def __str__(self) -> str:
        return f"{self.node}:{self.interface}"

    @staticmethod
    def parse(text: str, *, where: Span | None = None) -> PortId:
        node, colon, interface = text.partition(":")
        if not colon or not node or not interface:
            raise LabctlError(
                "bad-name", f"{text!r} is not a port", where=where, hint="write it like `r1:eth1`"
            )
        return PortId(node, interface)


@dataclass(frozen=True, slots=True, order=True)
class CableId:
    """A cable between two ports; `a` is the lesser one. Make it with `CableId.of`."""

    a: PortId
    z: PortId

    def __str__(self) -> str:
        return f"{self.a}--{self.z}"

    @staticmethod
    def of(one: PortId, other: PortId) -> CableId:
        a, z = sorted((one, other))
        return CableId(a, z)

    @staticmethod
    def parse(text: str, *, where: Span | None = None) -> CableId:
        """Split at the `--` that leaves a port on both sides: names may contain dashes themselves."""
        for match in re.finditer("--", text):
            left, right = text[: match.start()], text[match.end() :]
            if re.fullmatch(r"[^:]+:.+", left) and re.fullmatch(r"[^:]+:.+", right) and NODE.match(right):
                return CableId.of(PortId.parse(left), PortId.parse(right))
        raise LabctlError(
            "bad-name", f"{text!r} is not a cable", where=where, hint="write it like `r1:eth1--r2:eth1`"
        )


def check_lab(name: str, *, where: Span | None = None) -> None:
    """`bad-name` unless a lab can be called so; nothing else may become a part of a path."""
    _check(name, "lab", LAB, where)


def check_node(name: str, *, where: Span | None = None) -> None:
    """`bad-name` unless a node can be called so."""
    _check(name, "node", NODE, where)


def check_fault(name: str, *, where: Span | None = None) -> None:
    """`bad-name` unless a fault can be called so that is added by hand."""
    _check(name, "fault", NODE, where)


def _check(name: str, what: str, form: re.Pattern[str], where: Span | None) -> None:
    if not form.fullmatch(name):
        raise LabctlError(
            "bad-name",
            f"{name!r} is not a {what} name",
            where=where,
            hint="letters, digits, `.`, `_` and `-`; a letter or digit first",
        )
    if len(name) > MOST:
        raise LabctlError(
            "bad-name",
            f"the {what} name {name[:20]!r}… has {len(name)} characters",
            where=where,
            hint=f"at most {MOST}",
        )


_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@[a-z0-9]+:[0-9a-f]{{32,}})?"
)


def check_image(ref: str) -> None:
    """`bad-name` unless this can be the reference of an image."""
    if not IMAGE.fullmatch(ref):
        raise LabctlError(
            "bad-name",
            f"{ref!r} is not an image reference",
            hint="`name`, `group/name:tag` or `registry:port/group/name:tag`; names in lower case",
        )


def container_name(prefix: str, lab: str, node: str) -> str:
    """containerlab's rule: `clab-<lab>-<node>`; prefix `""` -> `<node>`; `__lab-name` -> `<lab>-<node>`."""
    if prefix == "":
        return node
    if prefix == "__lab-name":
        return f"{lab}-{node}"
    return f"{prefix}-{lab}-{node}"


def derived_macs(lab: str, ports: Iterable[PortId]) -> dict[PortId, str]:
    """A MAC `aa:c1:ab:…` for each port, the same at every deploy: hashed from the names, and when two ports of the
    lab hash to one, the later one is hashed again. So a port that is added last changes no other.
    """
    found: dict[PortId, str] = {}
    taken: set[str] = set()
    for port in dict.fromkeys(ports):
        found[port] = derived_mac(lab, port, taken)
        taken.add(found[port])
    return found


def derived_mac(lab: str, port: PortId, taken: Container[str] = ()) -> str:
    """The MAC that `derived_macs` gives to a port when these are taken already."""
    for attempt in count():
        digest = sha256("\0".join((lab, port.node, port.interface, str(attempt))).encode()).hexdigest()
        mac = f"aa:c1:ab:{digest[0:2]}:{digest[2:4]}:{digest[4:6]}"
        if mac not in taken:
            return mac
    raise AssertionError
