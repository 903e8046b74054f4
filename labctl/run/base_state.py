"""What a lab's file says that its cables are like: whether they are, before anybody is told that the lab runs."""

from __future__ import annotations

from labctl.agent import client
from labctl.errors import LabctlError, LabctlErrors
from labctl.model.effects import HalfCable, bases
from labctl.model.lab import LabSpec
from labctl.runtime.store import LabDir

#: While every node of a large lab starts.
_ANSWERS_S = 120.0


def need(place: LabDir, lab: LabSpec) -> None:
    """`effect-not-taken` for cables that could not be made what the file says. The agent has settled them already."""
    impaired = {str(half): half for half in bases(lab) if isinstance(half, HalfCable)}
    if not impaired:
        return
    off = client.ask(place, "status", timeout_s=_ANSWERS_S)["off_base"]
    wrong = [
        LabctlError(
            "effect-not-taken",
            f"cable {half} is not what its labels say: {off[name]}",
            where=lab.cable(half.cable).where,
        )
        for name, half in sorted(impaired.items())
        if name in off
    ]
    if wrong:
        raise LabctlErrors(wrong)
