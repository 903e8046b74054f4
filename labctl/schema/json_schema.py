"""JSON Schemas of what labctl reads and prints, for editors and for programs that parse its output.

Files of the model come from their dataclasses, lab files from the table in `clab_keys`, outputs are written down here:
they are the contract of `--format json`, and a test holds each against what the verb really prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from labctl.errors import LabctlError, did_you_mean
from labctl.model.lab import MacvlanMode
from labctl.render.change import Do
from labctl.schema import clab_keys
from labctl.schema.clab_keys import Key, Shape, Support

Schema: TypeAlias = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_BOOL: Schema = {"type": "boolean"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
#: YAML files leave the quotes to the reader: `22`, `on` and `1.10` are text where text is wanted.
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_SHAPES: Mapping[Shape, Schema] = {
    Shape.TEXT: _SCALAR,
    Shape.TEXTS: {"type": "array", "items": _SCALAR},
    Shape.TEXT_MAP: {"type": "object", "additionalProperties": _SCALAR},
    Shape.NUMBER: {"type": "number", "minimum": 0},
    Shape.COUNT: _COUNT,
    Shape.MAP: {"type": ["object", "null"]},
    Shape.LIST: {"type": ["array", "null"]},
    Shape.BOOL: {"type": ["boolean", "null"]},
    Shape.ANY: {},
}


def names() -> dict[str, str]:
    """name -> what it describes, for `labctl schema` without a name."""
    return {name: about for name, (about, _) in sorted(_ALL.items())}


def schema(name: str) -> Schema:
    """The schema of that name, self-contained."""
    if name not in _ALL:
        raise LabctlError("unknown-schema", f"there is no schema {name!r}", hint=did_you_mean(name, _ALL))
    about, make = _ALL[name]
    return {"$schema": _DRAFT, "$id": f"labctl:{name}", "title": about} | make()


def _object(
    properties: Mapping[str, Schema], *, optional: tuple[str, ...] = (), extra: bool = False
) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": extra,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _versioned(properties: Mapping[str, Schema], *, extra: bool = False) -> Schema:
    return _object({"version": {"const": 1}, **properties}, extra=extra)


# ---- lab files


def _lab() -> Schema:
    node = {"anyOf": [_keys(clab_keys.NODE), {"type": "null"}]}
    nodes: Schema = {"type": ["object", "null"], "additionalProperties": node}
    links = [
        _keys(clab_keys.BRIEF, {"endpoints": _pair(_TEXT)}) | {"required": ["endpoints"]},
        _link(["veth", "veth-stitch"], clab_keys.VETH, {"endpoints": _pair(_end())}),
        _link(["dummy"], clab_keys.DUMMY, {"endpoint": _end()}),
        _link(["host", "mgmt-net"], clab_keys.HOST, {"endpoint": _end(), "host-interface": _TEXT}),
        _link(
            ["macvlan"],
            clab_keys.MACVLAN,
            {"endpoint": _end(), "host-interface": _TEXT},
            {"mode": {"enum": [*(mode.value for mode in MacvlanMode), "", None]}},
        ),
        _link(
            ["vxlan", "vxlan-stitch"],
            clab_keys.VXLAN,
            {"endpoint": _end(), "remote": _TEXT, "vni": _SHAPES[Shape.COUNT]},
        ),
    ]
    topology = _keys(
        clab_keys.TOPOLOGY,
        {
            "nodes": nodes,
            "kinds": nodes,
            "groups": nodes,
            "defaults": node,
            "links": {"type": ["array", "null"], "items": {"anyOf": links}},
        },
    )
    mgmt = _keys(clab_keys.MGMT)
    return _keys(clab_keys.TOP, {"topology": topology, "mgmt": mgmt}) | {"required": ["name", "topology"]}


def _keys(table: Mapping[str, Key], own: Mapping[str, Schema] | None = None) -> Schema:
    """The keys that are accepted without `--lenient`."""
    found = {}
    for name, key in table.items():
        if key.support in (Support.YES, Support.NO_EFFECT):
            said = key.note if key.support is Support.YES else f"no effect: {key.note}"
            found[name] = dict((own or {}).get(name, _SHAPES[key.shape]))
            if said:
                found[name]["description"] = said
    return {"type": "object", "properties": found, "additionalProperties": False}


def _link(
    types: list[str],
    table: Mapping[str, Key],
    own: Mapping[str, Schema],
    optional: Mapping[str, Schema] | None = None,
) -> Schema:
    link = _keys(table, {**own, **(optional or {}), "type": {"enum": types}})
    return link | {"required": ["type", *own]}


def _pair(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 2, "maxItems": 2}


def _end() -> Schema:
    return _keys(clab_keys.END) | {"required": ["node", "interface"]}


# ---- the model's files


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


# ---- outputs


def _coverage_of() -> Schema:
    return _object({"now": _list(_TEXT), "before": _list(_TEXT), "never": _list(_TEXT)})


def _campaign_report() -> Schema:
    verdict: Schema = {"enum": ["PASS", "FAIL", "UNKNOWN"]}
    answer: Schema = {"enum": ["fails", "passes", "unresolved"]}
    rerun = _object(
        {"name": _TEXT, "faults": _list(_TEXT), "answer": answer, "why": _TEXT, "directory": _TEXT}
    )
    shrunk = _object(
        {
            "faults": _list(_TEXT),
            "said": _list(_TEXT),
            "proven": _BOOL,
            "note": _TEXT,
            "plan": _TEXT,
            "reruns": _list(rerun),
        }
    )
    trial = _object(
        {
            "name": _TEXT,
            "verdict": verdict,
            "headline": _TEXT,
            "faults": _list(_TEXT),
            "elements": _list(_TEXT),
            "directory": _TEXT,
            "took_s": {"type": "number"},
            "failed": _list(_TEXT),
            "unknown": _list(_TEXT),
            "shrunk": {"anyOf": [shrunk, {"type": "null"}]},
        }
    )
    return _versioned(
        {
            "kind": {"const": "campaign-report"},
            "campaign": _TEXT,
            "lab": _TEXT,
            "runtime": _TEXT,
            "seed": {"type": "integer"},
            "started": _TEXT,
            "duration_s": {"type": "number"},
            "verdict": verdict,
            "headline": _TEXT,
            "trials": _list(trial),
            "coverage": _coverage_of(),
            "stopped": _TEXT,
            "ended": _BOOL,
            "command": _TEXT,
        },
        extra=True,  # printed, it has `directory` and `left` besides
    )


def _campaign_trials() -> Schema:
    refused = _object({"drawn": _TEXT, "rule": _TEXT, "why": _TEXT})
    trial = _object(
        {
            "name": _TEXT,
            "start_s": {"type": "number"},
            "faults": _list(_TEXT),
            "predicted": _list(_TEXT),
            "elements": _list(_TEXT),
            "refused": _list(refused),
            "plan": {"type": "object"},
        }
    )
    return _versioned(
        {
            "campaign": _TEXT,
            "lab": _TEXT,
            "seed": {"type": "integer"},
            "trials": _list(trial),
            "coverage": _coverage_of(),
        }
    )


def _compare() -> Schema:
    hop = _object({"via": _TEXT, "interface": _TEXT})
    number: Schema = {"type": ["integer", "null"]}
    route = _object({"protocol": _TEXT, "distance": number, "metric": number, "next_hops": _list(hop)})
    either = {"anyOf": [route, {"type": "null"}]}
    difference = _object(
        {
            "node": _TEXT,
            "prefix": _TEXT,
            "kind": {"enum": ["missing", "extra", "protocol", "next-hops", "own-address"]},
            "reference": either,
            "lab": either,
            "reason": _TEXT,
            "rule": _TEXT,
        }
    )
    state: Schema = {"type": ["string", "null"]}
    texts = ("node", "kind", "peer", "interface", "reason", "rule")
    session = _object({**dict.fromkeys(texts, _TEXT), "reference": state, "lab": state})
    sessions = _object(
        {"compared": _COUNT, "equal": _COUNT, "differences": _list(session), "stuck_alike": _list(_TEXT)}
    )
    return _versioned(
        {
            "verdict": {"enum": ["PASS", "FAIL", "UNKNOWN"]},
            "compared": _COUNT,
            "equal": _COUNT,
            "nodes": _COUNT,
            "differences": _list(difference),
            "own_addresses": _object({"compared": _COUNT, "equal": _COUNT}),
            "sessions": sessions,
            "ignored": {"type": "object", "additionalProperties": _COUNT},
            "unsupported": _list(_object({"node": _TEXT, "vrf": _TEXT, "routes": _COUNT, "reason": _TEXT})),
            "unread": _list(_TEXT),
            "only_reference": _list(_TEXT),
            "only_lab": _list(_TEXT),
        }
    )


def _discover() -> Schema:
    port = _object({"device": _TEXT, "port": _TEXT})
    evidence = _object({"source": _TEXT, "where": _TEXT, "said": _TEXT}, extra=True)
    link = _object(
        {
            "a": port,
            "b": port,
            "role": {"enum": ["data", "mgmt"]},
            "two_sided": _BOOL,
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "evidence": _list(evidence),
        },
        extra=True,
    )
    return _versioned(
        {
            "devices": _list(_object({"id": _TEXT, "name": _TEXT, "polled": _BOOL}, extra=True)),
            "links": _list(link),
            "segments": _list(_object({"name": _TEXT, "ports": _list(port)}, extra=True)),
            "conflicts": _list(_object({"kind": _TEXT, "subject": _TEXT}, extra=True)),
            "summary": {"type": "object"},
        },
        extra=True,
    )


def _report() -> Schema:
    """The frame that programs hold on to; the parts grow with labctl and are described in docs/architecture.md."""
    verdict: Schema = {"enum": ["PASS", "FAIL", "UNKNOWN"]}
    seconds: Schema = {"type": ["number", "null"]}
    numbers: Schema = {"type": "array", "items": {"type": ["number", "null"]}}
    finding = _object(
        {"verdict": verdict, "subject": _TEXT, "summary": _TEXT, "seen": _list(_TEXT)}, extra=True
    )
    stamps = _object({"requested": {"type": "number"}, "applied": seconds, "read_back": seconds})
    ended = {"anyOf": [stamps, {"type": "null"}]}
    act = _object({"id": _TEXT, "what": _TEXT, "on": _TEXT, "start": stamps, "end": ended}, extra=True)
    samples = _object({"seq": numbers, "sent": numbers, "value": numbers, "error": {"type": "object"}})
    track = _object(
        {"series": {"type": "object"}, "interval_s": {"type": "number"}, "samples": samples}, extra=True
    )
    window = _object(
        {"first_lost": {"type": "number"}, "last_lost": {"type": "number"}, "lost": _COUNT}, extra=True
    )
    flow = _object(
        {"track": track, "windows": _list(window), "sent": _COUNT, "lost": _COUNT, "late": _COUNT}, extra=True
    )
    return _versioned(
        {
            "kind": {"const": "report"},
            "verdict": verdict,
            "headline": _TEXT,
            "run": {"type": "object"},
            "findings": _list(finding),
            "acts": _list(act),
            "flows": _list(flow),
            "convergence": _list({"type": "object"}),
            "comparison": {"type": ["object", "null"]},
        },
        extra=True,
    )


def _run() -> Schema:
    verdict: Schema = {"enum": ["PASS", "FAIL", "UNKNOWN"]}
    finding = _object({"verdict": verdict, "subject": _TEXT, "summary": _TEXT, "seen": _list(_TEXT)})
    return _versioned(
        {
            "scenario": _TEXT,
            "lab": _TEXT,
            "seed": {"type": ["integer", "null"]},
            "verdict": verdict,
            "headline": _TEXT,
            "findings": _list(finding),
            "directory": _TEXT,
            "left": _list(_TEXT),
        }
    )


def _graph() -> Schema:
    port = _object({"device": _TEXT, "port": _TEXT})
    cut: Mapping[str, Schema] = {
        "single_point_of_failure": _BOOL,
        "cuts_off": _list(_TEXT),
        "cuts_off_count": _COUNT,
    }
    device = _object({"name": _TEXT, "platform": _TEXT, "polled": _BOOL, **cut})
    link = _object({"id": _TEXT, "a": port, "b": port, "two_sided": _BOOL, **cut})
    return _versioned(
        {
            "name": _TEXT,
            "devices": _list(device),
            "links": _list(link),
            "segments": _list(_object({"name": _TEXT, "ports": _list(port)})),
            "parts": _list(_list(_TEXT)),
        }
    )


def _inspect() -> Schema:
    node = _object(
        {
            "lab_name": _TEXT,
            "labPath": _TEXT,
            "absLabPath": _TEXT,
            "name": _TEXT,
            "container_id": _TEXT,
            "image": _TEXT,
            "kind": _TEXT,
            "group": _TEXT,
            "state": _TEXT,
            "status": _TEXT,
            "ipv4_address": _TEXT,
            "ipv6_address": _TEXT,
            "owner": _TEXT,
            "oom_kills": {"type": "integer", "minimum": 1},
            "exit_code": {"type": ["integer", "null"]},
            "finished_at": {"type": ["string", "null"]},
            "last_log_line": _TEXT,
        },
        optional=("group", "oom_kills", "exit_code", "finished_at", "last_log_line"),
        extra=True,
    )
    return {"type": "object", "additionalProperties": _list(node)}


def _event() -> Schema:
    return _versioned(
        {
            "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"},
            "type": {
                "enum": ["agent", "config", "container", "fault", "interface", "lab", "link", "process"]
            },
            "action": _TEXT,
            "actor_id": _TEXT,
            "actor_name": _TEXT,
            "attributes": {
                "type": "object",
                "required": ["lab"],
                "additionalProperties": _TEXT,
            },
        }
    )


def _plan() -> Schema:
    node = _object(
        {
            "name": _TEXT,
            "kind": _TEXT,
            "image": _TEXT_OR_NULL,
            "ipv4_address": _TEXT_OR_NULL,
            "ipv6_address": _TEXT_OR_NULL,
        }
    )
    return _versioned(
        {
            "lab": _TEXT,
            "runtime": _TEXT,
            "nodes": _list(node),
            "cables": _list(_object({"name": _TEXT, "mtu": _COUNT})),
        }
    )


def _apply() -> Schema:
    reason = _object({"field": _TEXT, "old": _TEXT, "new": _TEXT, "why": _TEXT})
    step = _object({"do": {"enum": [do.value for do in Do]}, "subject": _TEXT, "reasons": _list(reason)})
    return _versioned(
        {
            "lab": _TEXT,
            "runtime": _TEXT,
            "dry_run": _BOOL,
            "interrupted_before": _BOOL,
            "steps": _list(step),
            "ended_faults": _list(_TEXT),
        }
    )


def _heal() -> Schema:
    lab = _object({"lab": _TEXT, "put_back": _list(_TEXT), "left": _list(_TEXT), "busy": {"type": "boolean"}})
    return _versioned({"labs": _list(lab), "gone": _list(_TEXT)})


def _touched() -> Schema:
    return _list(
        _object({"on": _TEXT, "applied_ms": {"type": "number"}, "read_ms": {"type": "number"}, "note": _TEXT})
    )


def _fault_add() -> Schema:
    return _versioned(
        {
            "id": _TEXT,
            "kind": _TEXT,
            "about": _TEXT,
            "seed": {"type": "integer"},
            "for_s": {"type": "number", "exclusiveMinimum": 0},
            "touched": _touched(),
        }
    )


def _fault_clear() -> Schema:
    return _versioned({"cleared": _list(_TEXT), "put_back": _touched()})


def _fault_kinds() -> Schema:
    setting = _object({"key": _TEXT, "unit": _TEXT, "required": _BOOL, "default": _TEXT, "help": _TEXT})
    kind = _object({"kind": _TEXT, "on": {"enum": ["link", "node", "port"]}, "settings": _list(setting)})
    return _versioned({"kinds": _list(kind)})


def _fault_list() -> Schema:
    effect = _object({"on": _TEXT, "change": _TEXT, "now": _BOOL})
    fault = _object(
        {
            "id": _TEXT,
            "about": _TEXT,
            "remaining_s": {"type": "number", "minimum": 0},
            "until": _TEXT,
            "effects": _list(effect),
        }
    )
    return _versioned({"lab": _TEXT, "faults": _list(fault)})


def _fidelity() -> Schema:
    classes = ("modelled", "defaulted", "approximated", "irrelevant", "unsupported", "unknown")
    share: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    numbers = _object(dict.fromkeys(classes, _COUNT))
    lost = _object(
        {
            **dict.fromkeys(("device", "where", "text", "rule"), _TEXT),
            "class": {"enum": list(classes)},
            "blast_radius": _COUNT,
            "reaches": _list(_TEXT),
        }
    )
    device = _object({"device": _TEXT, "score": share, "counts": numbers})
    return _object(
        {
            "score": share,
            "counts": numbers,
            "devices": _list(device),
            "lost": _list(lost),
            "unaccounted": _list(_TEXT),
        }
    )


def _render() -> Schema:
    return _versioned(
        {
            "lab": _TEXT,
            "file": _TEXT,
            "checked_by": _TEXT,
            "written": _list(_TEXT),
            "removed": _list(_TEXT),
            "nodes": _list(_object({"name": _TEXT, "kind": _TEXT, "image": _TEXT_OR_NULL})),
            "cables": _list(_TEXT),
            "notes": _list(_object({"kind": _TEXT, "device": _TEXT, "text": _TEXT, "where": _TEXT})),
            "fidelity": _fidelity(),
            "verdict": {"enum": ["PASS", "FAIL", "UNKNOWN"]},
            "scope": {"anyOf": [_scope(), {"type": "null"}]},
        }
    )


def _scope() -> Schema:
    safety: Schema = {"enum": ["safe", "unsafe", "unknown"]}
    names = _list(_TEXT)
    part = {"devices": names, "attached": names, "safety": safety, "reason": _TEXT, "witness": names}
    boundary = _object({"safety": safety, "add": names, "parts": _list(_object(part))})
    return _object({"inside": names, "speakers": names, "left_out": names, "boundary": boundary})


def _validate() -> Schema:
    where = {"anyOf": [_object({"file": _TEXT, "line": _COUNT, "column": _COUNT}), {"type": "null"}]}
    error = _object({"code": _TEXT, "where": where, "message": _TEXT, "hint": _TEXT_OR_NULL})
    file = _object(
        {
            "file": _TEXT,
            "kind": {
                "enum": [
                    "",
                    "allocation-table",
                    "campaign",
                    "inventory",
                    "lab",
                    "plan",
                    "route-tables",
                    "scenario",
                    "snapshot",
                ]
            },
            "summary": _TEXT,
            "errors": _list(error),
            "warnings": _list(_object({"where": where, "message": _TEXT})),
        }
    )
    return _versioned({"ok": _BOOL, "files": _list(file)})


def _doctor() -> Schema:
    check = _object(
        {
            "name": _TEXT,
            "why": _TEXT,
            "needed": _BOOL,
            "ok": {"type": ["boolean", "null"]},
            "said": _TEXT,
            "fix": _TEXT_OR_NULL,
        }
    )
    way = _object(
        {
            "fault": _TEXT,
            "setting": _TEXT,
            "backend": _TEXT,
            "ok": {"type": ["boolean", "null"]},
            "known_error": _TEXT,
            "why": _TEXT,
        }
    )
    return _versioned(
        {"runtime": _TEXT, "ok": _BOOL, "checks": _list(check), "faults": _list(way), "figures": _TEXT}
    )


_ALL: Mapping[str, tuple[str, Callable[[], Schema]]] = {
    "allocation-table": (
        "an allocation table (<lab>.alloc.yml, written by `labctl render`)",
        _allocation_table,
    ),
    "apply": ("what `labctl apply --format json` prints, also with --dry-run", _apply),
    "campaign": (
        "a campaign (scenarios/campaigns/*.yml): what is drawn, and what a draw may never do",
        _campaign,
    ),
    "campaign-report": (
        "campaign.json, and what `labctl campaign --format json` prints",
        _campaign_report,
    ),
    "campaign-trials": ("what `labctl campaign --dry-run --format json` prints", _campaign_trials),
    "compare": ("what `labctl compare --format json` prints", _compare),
    "discover": ("what `labctl discover --format json` prints", _discover),
    "doctor": ("what `labctl doctor --format json` prints", _doctor),
    "event": ("a line of `labctl events --format json` (containerlab's shape, and a version)", _event),
    "fault-add": ("what `labctl fault add --format json` prints", _fault_add),
    "fault-clear": ("what `labctl fault clear --format json` prints", _fault_clear),
    "fault-kinds": ("what `labctl fault kinds --format json` prints", _fault_kinds),
    "fault-list": ("what `labctl fault list --format json` prints", _fault_list),
    "graph": ("what `labctl graph --format json` prints", _graph),
    "heal": ("what `labctl heal --format json` prints", _heal),
    "inspect": ("what `labctl inspect --format json` prints (containerlab's shape)", _inspect),
    "lab": ("a lab file (*.clab.yml), as far as labctl reads it", _lab),
    "plan": ("what `labctl deploy --dry-run --format json` prints", _plan),
    "render": ("what `labctl render --format json` prints", _render),
    "report": ("report.json, the record of a run", _report),
    "route-tables": ("what a lab routed by (`labctl compare --save`)", _route_tables),
    "run": ("what `labctl run` and `labctl report` print with --format json", _run),
    "scenario": ("a scenario (scenarios/*.yml): what is broken when, and what must hold", _scenario),
    "snapshot": ("a snapshot of production (topologies/<name>.yml)", _snapshot),
    "validate": ("what `labctl validate --format json` prints", _validate),
}
