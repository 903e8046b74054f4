"""JSON Schemas of what `--format json` prints, each of a verb: its contract. A test holds each against what the verb really
prints.
"""

from __future__ import annotations

from collections.abc import Mapping

from labctl.render.change import Do
from labctl.schema.json_parts import BOOL, COUNT, TEXT, TEXT_OR_NULL, Schema, list_, object_, versioned


def _coverage_of() -> Schema:
    return object_({"now": list_(TEXT), "before": list_(TEXT), "never": list_(TEXT)})


def campaign_report() -> Schema:
    verdict: Schema = {"enum": ["PASS", "FAIL", "UNKNOWN"]}
    answer: Schema = {"enum": ["fails", "passes", "unresolved"]}
    rerun = object_({"name": TEXT, "faults": list_(TEXT), "answer": answer, "why": TEXT, "directory": TEXT})
    shrunk = object_(
        {
            "faults": list_(TEXT),
            "said": list_(TEXT),
            "proven": BOOL,
            "note": TEXT,
            "plan": TEXT,
            "reruns": list_(rerun),
        }
    )
    trial = object_(
        {
            "name": TEXT,
            "verdict": verdict,
            "headline": TEXT,
            "faults": list_(TEXT),
            "elements": list_(TEXT),
            "directory": TEXT,
            "took_s": {"type": "number"},
            "failed": list_(TEXT),
            "unknown": list_(TEXT),
            "shrunk": {"anyOf": [shrunk, {"type": "null"}]},
        }
    )
    return versioned(
        {
            "kind": {"const": "campaign-report"},
            "campaign": TEXT,
            "lab": TEXT,
            "runtime": TEXT,
            "seed": {"type": "integer"},
            "started": TEXT,
            "duration_s": {"type": "number"},
            "verdict": verdict,
            "headline": TEXT,
            "trials": list_(trial),
            "coverage": _coverage_of(),
            "stopped": TEXT,
            "ended": BOOL,
            "command": TEXT,
        },
        extra=True,  # printed, it has `directory` and `left` besides
    )


def campaign_trials() -> Schema:
    refused = object_({"drawn": TEXT, "rule": TEXT, "why": TEXT})
    trial = object_(
        {
            "name": TEXT,
            "start_s": {"type": "number"},
            "faults": list_(TEXT),
            "predicted": list_(TEXT),
            "elements": list_(TEXT),
            "refused": list_(refused),
            "plan": {"type": "object"},
        }
    )
    return versioned(
        {
            "campaign": TEXT,
            "lab": TEXT,
            "seed": {"type": "integer"},
            "trials": list_(trial),
            "coverage": _coverage_of(),
        }
    )


def compare() -> Schema:
    hop = object_({"via": TEXT, "interface": TEXT})
    number: Schema = {"type": ["integer", "null"]}
    route = object_({"protocol": TEXT, "distance": number, "metric": number, "next_hops": list_(hop)})
    either = {"anyOf": [route, {"type": "null"}]}
    difference = object_(
        {
            "node": TEXT,
            "prefix": TEXT,
            "kind": {"enum": ["missing", "extra", "protocol", "next-hops", "own-address"]},
            "reference": either,
            "lab": either,
            "reason": TEXT,
            "rule": TEXT,
        }
    )
    state: Schema = {"type": ["string", "null"]}
    texts = ("node", "kind", "peer", "interface", "reason", "rule")
    session = object_({**dict.fromkeys(texts, TEXT), "reference": state, "lab": state})
    sessions = object_(
        {"compared": COUNT, "equal": COUNT, "differences": list_(session), "stuck_alike": list_(TEXT)}
    )
    return versioned(
        {
            "verdict": {"enum": ["PASS", "FAIL", "UNKNOWN"]},
            "compared": COUNT,
            "equal": COUNT,
            "nodes": COUNT,
            "differences": list_(difference),
            "own_addresses": object_({"compared": COUNT, "equal": COUNT}),
            "sessions": sessions,
            "ignored": {"type": "object", "additionalProperties": COUNT},
            "unsupported": list_(object_({"node": TEXT, "vrf": TEXT, "routes": COUNT, "reason": TEXT})),
            "unread": list_(TEXT),
            "only_reference": list_(TEXT),
            "only_lab": list_(TEXT),
        }
    )


def discover() -> Schema:
    port = object_({"device": TEXT, "port": TEXT})
    evidence = object_({"source": TEXT, "where": TEXT, "said": TEXT}, extra=True)
    link = object_(
        {
            "a": port,
            "b": port,
            "role": {"enum": ["data", "mgmt"]},
            "two_sided": BOOL,
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "evidence": list_(evidence),
        },
        extra=True,
    )
    return versioned(
        {
            "devices": list_(object_({"id": TEXT, "name": TEXT, "polled": BOOL}, extra=True)),
            "links": list_(link),
            "segments": list_(object_({"name": TEXT, "ports": list_(port)}, extra=True)),
            "conflicts": list_(object_({"kind": TEXT, "subject": TEXT}, extra=True)),
            "summary": {"type": "object"},
        },
        extra=True,
    )


def report() -> Schema:
    """The frame that programs hold on to; the parts grow with labctl and are described in docs/architecture.md."""
    verdict: Schema = {"enum": ["PASS", "FAIL", "UNKNOWN"]}
    seconds: Schema = {"type": ["number", "null"]}
    numbers: Schema = {"type": "array", "items": {"type": ["number", "null"]}}
    finding = object_({"verdict": verdict, "subject": TEXT, "summary": TEXT, "seen": list_(TEXT)}, extra=True)
    stamps = object_({"requested": {"type": "number"}, "applied": seconds, "read_back": seconds})
    ended = {"anyOf": [stamps, {"type": "null"}]}
    act = object_({"id": TEXT, "what": TEXT, "on": TEXT, "start": stamps, "end": ended}, extra=True)
    samples = object_({"seq": numbers, "sent": numbers, "value": numbers, "error": {"type": "object"}})
    track = object_(
        {"series": {"type": "object"}, "interval_s": {"type": "number"}, "samples": samples}, extra=True
    )
    window = object_(
        {"first_lost": {"type": "number"}, "last_lost": {"type": "number"}, "lost": COUNT}, extra=True
    )
    flow = object_(
        {"track": track, "windows": list_(window), "sent": COUNT, "lost": COUNT, "late": COUNT}, extra=True
    )
    return versioned(
        {
            "kind": {"const": "report"},
            "verdict": verdict,
            "headline": TEXT,
            "run": {"type": "object"},
            "findings": list_(finding),
            "acts": list_(act),
            "flows": list_(flow),
            "convergence": list_({"type": "object"}),
            "comparison": {"type": ["object", "null"]},
        },
        extra=True,
    )


def run() -> Schema:
    verdict: Schema = {"enum": ["PASS", "FAIL", "UNKNOWN"]}
    finding = object_({"verdict": verdict, "subject": TEXT, "summary": TEXT, "seen": list_(TEXT)})
    return versioned(
        {
            "scenario": TEXT,
            "lab": TEXT,
            "seed": {"type": ["integer", "null"]},
            "verdict": verdict,
            "headline": TEXT,
            "findings": list_(finding),
            "directory": TEXT,
            "left": list_(TEXT),
        }
    )


def graph() -> Schema:
    port = object_({"device": TEXT, "port": TEXT})
    cut: Mapping[str, Schema] = {
        "single_point_of_failure": BOOL,
        "cuts_off": list_(TEXT),
        "cuts_off_count": COUNT,
    }
    device = object_({"name": TEXT, "platform": TEXT, "polled": BOOL, **cut})
    link = object_({"id": TEXT, "a": port, "b": port, "two_sided": BOOL, **cut})
    return versioned(
        {
            "name": TEXT,
            "devices": list_(device),
            "links": list_(link),
            "segments": list_(object_({"name": TEXT, "ports": list_(port)})),
            "parts": list_(list_(TEXT)),
        }
    )


def inspect() -> Schema:
    node = object_(
        {
            "lab_name": TEXT,
            "labPath": TEXT,
            "absLabPath": TEXT,
            "name": TEXT,
            "container_id": TEXT,
            "image": TEXT,
            "kind": TEXT,
            "group": TEXT,
            "state": TEXT,
            "status": TEXT,
            "ipv4_address": TEXT,
            "ipv6_address": TEXT,
            "owner": TEXT,
            "oom_kills": {"type": "integer", "minimum": 1},
            "exit_code": {"type": ["integer", "null"]},
            "finished_at": {"type": ["string", "null"]},
            "last_log_line": TEXT,
        },
        optional=("group", "oom_kills", "exit_code", "finished_at", "last_log_line"),
        extra=True,
    )
    return {"type": "object", "additionalProperties": list_(node)}


def event() -> Schema:
    return versioned(
        {
            "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"},
            "type": {
                "enum": ["agent", "config", "container", "fault", "interface", "lab", "link", "process"]
            },
            "action": TEXT,
            "actor_id": TEXT,
            "actor_name": TEXT,
            "attributes": {
                "type": "object",
                "required": ["lab"],
                "additionalProperties": TEXT,
            },
        }
    )


def plan() -> Schema:
    node = object_(
        {
            "name": TEXT,
            "kind": TEXT,
            "image": TEXT_OR_NULL,
            "ipv4_address": TEXT_OR_NULL,
            "ipv6_address": TEXT_OR_NULL,
        }
    )
    return versioned(
        {
            "lab": TEXT,
            "runtime": TEXT,
            "nodes": list_(node),
            "cables": list_(object_({"name": TEXT, "mtu": COUNT})),
        }
    )


def apply() -> Schema:
    reason = object_({"field": TEXT, "old": TEXT, "new": TEXT, "why": TEXT})
    step = object_({"do": {"enum": [do.value for do in Do]}, "subject": TEXT, "reasons": list_(reason)})
    return versioned(
        {
            "lab": TEXT,
            "runtime": TEXT,
            "dry_run": BOOL,
            "interrupted_before": BOOL,
            "steps": list_(step),
            "ended_faults": list_(TEXT),
        }
    )


def heal() -> Schema:
    lab = object_({"lab": TEXT, "put_back": list_(TEXT), "left": list_(TEXT), "busy": {"type": "boolean"}})
    return versioned({"labs": list_(lab), "gone": list_(TEXT)})


def _touched() -> Schema:
    return list_(
        object_({"on": TEXT, "applied_ms": {"type": "number"}, "read_ms": {"type": "number"}, "note": TEXT})
    )


def fault_add() -> Schema:
    return versioned(
        {
            "id": TEXT,
            "kind": TEXT,
            "about": TEXT,
            "seed": {"type": "integer"},
            "for_s": {"type": "number", "exclusiveMinimum": 0},
            "touched": _touched(),
        }
    )


def fault_clear() -> Schema:
    return versioned({"cleared": list_(TEXT), "put_back": _touched()})


def fault_kinds() -> Schema:
    setting = object_({"key": TEXT, "unit": TEXT, "required": BOOL, "default": TEXT, "help": TEXT})
    kind = object_({"kind": TEXT, "on": {"enum": ["link", "node", "port"]}, "settings": list_(setting)})
    return versioned({"kinds": list_(kind)})


def fault_list() -> Schema:
    effect = object_({"on": TEXT, "change": TEXT, "now": BOOL})
    fault = object_(
        {
            "id": TEXT,
            "about": TEXT,
            "remaining_s": {"type": "number", "minimum": 0},
            "until": TEXT,
            "effects": list_(effect),
        }
    )
    return versioned({"lab": TEXT, "faults": list_(fault)})


def _fidelity() -> Schema:
    classes = ("modelled", "defaulted", "approximated", "irrelevant", "unsupported", "unknown")
    share: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    numbers = object_(dict.fromkeys(classes, COUNT))
    lost = object_(
        {
            **dict.fromkeys(("device", "where", "text", "rule"), TEXT),
            "class": {"enum": list(classes)},
            "blast_radius": COUNT,
            "reaches": list_(TEXT),
        }
    )
    device = object_({"device": TEXT, "score": share, "counts": numbers})
    return object_(
        {
            "score": share,
            "counts": numbers,
            "devices": list_(device),
            "lost": list_(lost),
            "unaccounted": list_(TEXT),
        }
    )


def render() -> Schema:
    return versioned(
        {
            "lab": TEXT,
            "file": TEXT,
            "checked_by": TEXT,
            "written": list_(TEXT),
            "removed": list_(TEXT),
            "nodes": list_(object_({"name": TEXT, "kind": TEXT, "image": TEXT_OR_NULL})),
            "cables": list_(TEXT),
            "notes": list_(object_({"kind": TEXT, "device": TEXT, "text": TEXT, "where": TEXT})),
            "fidelity": _fidelity(),
            "verdict": {"enum": ["PASS", "FAIL", "UNKNOWN"]},
            "scope": {"anyOf": [_scope(), {"type": "null"}]},
        }
    )


def _scope() -> Schema:
    safety: Schema = {"enum": ["safe", "unsafe", "unknown"]}
    names = list_(TEXT)
    part = {"devices": names, "attached": names, "safety": safety, "reason": TEXT, "witness": names}
    boundary = object_({"safety": safety, "add": names, "parts": list_(object_(part))})
    return object_({"inside": names, "speakers": names, "left_out": names, "boundary": boundary})


def validate() -> Schema:
    where = {"anyOf": [object_({"file": TEXT, "line": COUNT, "column": COUNT}), {"type": "null"}]}
    error = object_({"code": TEXT, "where": where, "message": TEXT, "hint": TEXT_OR_NULL})
    file = object_(
        {
            "file": TEXT,
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
            "summary": TEXT,
            "errors": list_(error),
            "warnings": list_(object_({"where": where, "message": TEXT})),
        }
    )
    return versioned({"ok": BOOL, "files": list_(file)})


def doctor() -> Schema:
    check = object_(
        {
            "name": TEXT,
            "why": TEXT,
            "needed": BOOL,
            "ok": {"type": ["boolean", "null"]},
            "said": TEXT,
            "fix": TEXT_OR_NULL,
        }
    )
    way = object_(
        {
            "fault": TEXT,
            "setting": TEXT,
            "backend": TEXT,
            "ok": {"type": ["boolean", "null"]},
            "known_error": TEXT,
            "why": TEXT,
        }
    )
    return versioned(
        {"runtime": TEXT, "ok": BOOL, "checks": list_(check), "faults": list_(way), "figures": TEXT}
    )
