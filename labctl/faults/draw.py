"""Randomness that can be said again: a value is a hash of the seed and of the path that asks for it.

No generator, no order: what one step draws depends on no other step, so adding a step shifts nobody's draws, and a
plan made again from the same seed is the same plan on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from labctl.errors import Span

_SPAN = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The source at one path. `seed` and `path` are hashed with their lengths, so that no two paths are confused."""

    seed: int
    path: tuple[str, ...] = ()

    def at(self, name: str) -> Draw:
        return Draw(seed=self.seed, path=(*self.path, name))

    def uniform(self, name: str, low: float, high: float) -> float:
        """low <= result < high (where rounding allows)."""
        return low + (high - low) * ((self._bits(name) >> 11) / 2**53)

    def integer(self, name: str, count: int) -> int:
        """0 <= result < count. The bias of the multiplication is below count / 2**64."""
        if count < 1:
            raise ValueError(f"nothing can be drawn from {count} values")
        return self._bits(name) * count // _SPAN

    def _bits(self, name: str) -> int:
        digest = blake2b(digest_size=8)
        for part in (str(self.seed), *self.path, name):
            raw = part.encode("utf-8", "surrogatepass")
            digest.update(len(raw).to_bytes(8, "big") + raw)
        return int.from_bytes(digest.digest(), "big")


def fingerprint(value: Any) -> str:
    """What draws hang on where nothing has a name: a hash of what a value says, wherever it stands in its file."""
    return blake2b(repr(_content(value)).encode(), digest_size=8).hexdigest()


def _content(value: Any) -> Any:
    """A value as nested tuples, without its places in the file."""
    if isinstance(value, Span):
        return None
    if isinstance(value, Mapping):
        return tuple((key, _content(value[key])) for key in sorted(value))
    if isinstance(value, tuple):
        return tuple(_content(each) for each in value)
    if hasattr(value, "__dataclass_fields__"):
        inner = tuple((name, _content(getattr(value, name))) for name in value.__dataclass_fields__)
        return (type(value).__name__, *inner)
    return value
