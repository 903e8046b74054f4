"""A second look at faults that are active: is each resource still as its effects make it, and what happened to frames?

Reading back right after a change says that it was made. This says that it stayed: somebody may have deleted a filter,
restarted a daemon or ended a lease behind the run's back. Nothing is changed and nothing is put right: who measures must
not mend.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from labctl.agent import clock, codec
from labctl.errors import LabctlError
from labctl.model import impairment_codec
from labctl.model.effects import BASE, HalfCable, Resource, Setting

if TYPE_CHECKING:
    from labctl.agent.core import Agent


def look(agent: Agent, ids: Iterable[str]) -> list[dict[str, Any]]:
    """One entry for each resource that these leases touch now; of a lease that is gone, one that says so."""
    found = []
    for lease_id in ids:
        lease = agent.ledger.active.get(lease_id)
        if lease is None:
            found.append({"lease": lease_id, "at": clock.now().to_json(), "note": "its lease has ended"})
            continue
        touched = dict.fromkeys(effect.on for effect in lease.effects)
        found += [{"lease": lease_id, **codec.resource(on), **_resource(agent, on)} for on in touched]
    return found


def _resource(agent: Agent, on: Resource) -> dict[str, Any]:
    if not agent.has(on):
        return {"at": clock.now().to_json(), "note": "the lab does not have it any more"}
    wanted = agent.settings.get(on, BASE)
    try:
        said = (
            _half(agent, on, wanted)
            if isinstance(on, HalfCable)
            else {"note": agent.nodes.disagrees(on, wanted)}
        )
    except (OSError, LabctlError) as error:
        said = {"note": f"it cannot be read: {error}"}
    return {"at": clock.now().to_json(), **said}


def _half(agent: Agent, half: HalfCable, wanted: Setting) -> dict[str, Any]:
    wrong, impaired, counts = agent.cables.look(half, agent.settings)
    found = ["dark"] * wanted.down + ([str(impaired.found)] if impaired else [])
    return {
        "wanted": impairment_codec.encode(wanted.impairment),
        "found": ", ".join(found),
        "note": wrong,
        "counts": counts,
    }
