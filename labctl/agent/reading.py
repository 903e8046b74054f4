"""What an agent says of a resource that it brought to its setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from labctl.agent import clock, codec
from labctl.agent.clock import Stamp
from labctl.model.effects import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One resource brought to its setting: between when and when it was done, when it was read back, whether it took."""

    on: Resource
    asked: Stamp
    applied: Stamp
    read: Stamp
    changed: bool
    taken: bool
    note: str = ""

    @classmethod
    def failed(cls, on: Resource, asked: Stamp, error: Exception) -> Self:
        """It could not even be tried to the end."""
        now = clock.now()
        return cls(on=on, asked=asked, applied=now, read=now, changed=False, taken=False, note=str(error))

    def to_json(self) -> dict[str, Any]:
        return codec.resource(self.on) | {
            "asked": self.asked.to_json(),
            "applied": self.applied.to_json(),
            "read": self.read.to_json(),
            "changed": self.changed,
            "taken": self.taken,
            "note": self.note,
        }
