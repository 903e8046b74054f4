"""Small words that the FRR renderers share."""

from __future__ import annotations

from labctl.model.routing import KeyToken


def maybe_no(flag: bool, words: str) -> str:
    return words if flag else f"no {words}"


def key(token: KeyToken) -> str:
    """What stands in a lab for a production secret: equal tokens, equal keys. At most 8 bytes, for OSPF's sake."""
    return f"key{token}"


def one_line(text: str) -> str:
    """Free text as it may stand in a configuration: no line break gets out of its line."""
    return " ".join(text.split())


def virtual_device(group: int, interface: str) -> str:
    """The macvlan interface that holds a shared gateway address; 15 bytes is what Linux allows."""
    return f"vr{group}-{interface}"[:15]
