"""JSON Schemas of what labctl reads and prints, for editors and for programs that parse its output, by name.

Files of the model come from their dataclasses, lab files from the table in `clab_keys`, outputs are written down
(`output_schemas`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from labctl.errors import LabctlError, did_you_mean
from labctl.schema import lab_schema, output_schemas
from labctl.schema.json_parts import Schema

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def names() -> dict[str, str]:
    """name -> what it describes, for `labctl schema` without a name."""
    return {name: about for name, (about, _) in sorted(_ALL.items())}


def schema(name: str) -> Schema:
    """The schema of that name, self-contained."""
    if name not in _ALL:
        raise LabctlError("unknown-schema", f"there is no schema {name!r}", hint=did_you_mean(name, _ALL))
    about, make = _ALL[name]
    return {"$schema": _DRAFT, "$id": f"labctl:{name}", "title": about} | make()


# ---- files


def _snapshot() -> Schema:
    from labctl.model.snapshot import Snapshot
    from labctl.schema import files

    return files.json_schema(Snapshot)


def _allocation_table() -> Schema:
    from labctl.render.allocation import AllocationTable
    from labctl.schema import files

    return files.json_schema(AllocationTable)


def _route_tables() -> Schema:
    from labctl.model.routes import RouteTables
    from labctl.schema import files

    return files.json_schema(RouteTables)


def _scenario() -> Schema:
    from labctl.schema import scenario_schema

    return scenario_schema.scenario()


def _campaign() -> Schema:
    from labctl.schema import campaign_schema

    return campaign_schema.campaign()


_ALL: Mapping[str, tuple[str, Callable[[], Schema]]] = {
    "allocation-table": (
        "an allocation table (<lab>.alloc.yml, written by `labctl render`)",
        _allocation_table,
    ),
    "apply": ("what `labctl apply --format json` prints, also with --dry-run", output_schemas.apply),
    "campaign": (
        "a campaign (scenarios/campaigns/*.yml): what is drawn, and what a draw may never do",
        _campaign,
    ),
    "campaign-report": (
        "campaign.json, and what `labctl campaign --format json` prints",
        output_schemas.campaign_report,
    ),
    "campaign-trials": (
        "what `labctl campaign --dry-run --format json` prints",
        output_schemas.campaign_trials,
    ),
    "compare": ("what `labctl compare --format json` prints", output_schemas.compare),
    "discover": ("what `labctl discover --format json` prints", output_schemas.discover),
    "doctor": ("what `labctl doctor --format json` prints", output_schemas.doctor),
    "event": (
        "a line of `labctl events --format json` (containerlab's shape, and a version)",
        output_schemas.event,
    ),
    "fault-add": ("what `labctl fault add --format json` prints", output_schemas.fault_add),
    "fault-clear": ("what `labctl fault clear --format json` prints", output_schemas.fault_clear),
    "fault-kinds": ("what `labctl fault kinds --format json` prints", output_schemas.fault_kinds),
    "fault-list": ("what `labctl fault list --format json` prints", output_schemas.fault_list),
    "graph": ("what `labctl graph --format json` prints", output_schemas.graph),
    "heal": ("what `labctl heal --format json` prints", output_schemas.heal),
    "inspect": ("what `labctl inspect --format json` prints (containerlab's shape)", output_schemas.inspect),
    "lab": ("a lab file (*.clab.yml), as far as labctl reads it", lab_schema.lab),
    "plan": ("what `labctl deploy --dry-run --format json` prints", output_schemas.plan),
    "render": ("what `labctl render --format json` prints", output_schemas.render),
    "report": ("report.json, the record of a run", output_schemas.report),
    "route-tables": ("what a lab routed by (`labctl compare --save`)", _route_tables),
    "run": ("what `labctl run` and `labctl report` print with --format json", output_schemas.run),
    "scenario": ("a scenario (scenarios/*.yml): what is broken when, and what must hold", _scenario),
    "snapshot": ("a snapshot of production (topologies/<name>.yml)", _snapshot),
    "validate": ("what `labctl validate --format json` prints", output_schemas.validate),
}
