"""Scenario files: what somebody wrote, checked to the last key, as a `labctl.model.scenario.Scenario`.

Keys are plain (`timeline:` makes a file a scenario), units are mandatory, an unknown word is an error with the nearest
known one. Everything that can be wrong without a lab is found here and said at once; what depends on the lab (does the
target exist, do the faults compose, how far does it reach) is `labctl.faults.plan`'s. docs/scenarios.md is the manual.
"""

from __future__ import annotations

import os

from labctl.model.measures import Place
from labctl.model.scenario import BlastRadius, Scenario, Sequence
from labctl.names import LAB
from labctl.schema import fields, yaml
from labctl.schema.scenario_expect import read_expectations, read_probes, read_stop_rules
from labctl.schema.scenario_read import Reading, document, read_query
from labctl.schema.scenario_steps import read_timeline
from labctl.schema.yaml import Map, Value

KEYS = (
    "name",
    "description",
    "seed",
    "targets",
    "probes",
    "steady",
    "timeline",
    "expect",
    "stop_when",
    "blast_radius",
)
EXPECT_KEYS = ("during", "after")
BLAST_KEYS = ("max_links", "max_nodes", "max_unreachable_pairs", "forbid")
MOST_SEED = 2**63 - 1


def load(path: str | os.PathLike[str]) -> Scenario:
    """The scenario of a file, or everything that is wrong with it."""
    return parse(yaml.read_text(path), file=os.fspath(path))


def parse(text: str, *, file: str) -> Scenario:
    """The scenario of a text; `file` is the name that errors carry."""
    return document(text, file, "scenario", KEYS, lambda given, reading: _scenario(given, file, reading))


def _scenario(given: Map, file: str, reading: Reading) -> Scenario:
    name = _name(given, reading)
    _targets(given.get("targets"), reading)
    probes = read_probes(given.get("probes"), reading)
    expect = reading.mapping(given.get("expect"), "expect", EXPECT_KEYS)
    timeline = read_timeline(reading.required(given, "timeline", "the scenario"), reading)
    return Scenario(
        name=name,
        description=(reading.text(given.get("description"), "description") or "").strip(),
        seed=reading.count(given.get("seed"), "seed", high=MOST_SEED),
        timeline=timeline or Sequence(steps=()),
        targets=dict(reading.targets),
        probes=probes,
        steady=read_expectations(given.get("steady"), "steady", Place.STEADY, reading),
        during=read_expectations(expect.get("during") if expect else None, "during", Place.DURING, reading),
        after=read_expectations(expect.get("after") if expect else None, "after", Place.AFTER, reading),
        stop_when=read_stop_rules(given.get("stop_when"), reading),
        blast_radius=_blast_radius(given.get("blast_radius"), reading),
        source=file,
    )


def _name(given: Map, reading: Reading) -> str:
    at = reading.required(given, "name", "the scenario")
    name = reading.text(at, "name") or ""
    if at is not None and name and not LAB.fullmatch(name):
        hint = "letters, digits, `.`, `_` and `-`, beginning with a letter or digit"
        reading.add("bad-name", f"{name!r} cannot be a scenario's name", at.span, hint)
    return name


def _targets(value: Value | None, reading: Reading) -> None:
    found = fields.mapping(value, "targets", reading.problems)
    reading.target_names = frozenset(found.entries) if found else frozenset()
    for entry in found or ():
        query = read_query(entry.value, f"target {entry.key}", reading)
        if query is not None:
            reading.targets[entry.key] = query


def _blast_radius(value: Value | None, reading: Reading) -> BlastRadius:
    found = reading.mapping(value, "blast_radius", BLAST_KEYS)
    if found is None:
        return BlastRadius()
    forbid = [
        read_query(item, "a forbidden target", reading)
        for item in reading.items(found.get("forbid"), "forbid")
    ]
    for query in forbid:
        if query is not None and query.pick is not None:
            said = "forbid is about all that a query selects and takes no `pick`"
            reading.add("bad-value", said, query.where or found.span)
    return BlastRadius(
        max_links=reading.count(found.get("max_links"), "max_links"),
        max_nodes=reading.count(found.get("max_nodes"), "max_nodes"),
        max_unreachable_pairs=reading.count(found.get("max_unreachable_pairs"), "max_unreachable_pairs"),
        forbid=tuple(query for query in forbid if query is not None),
        where=found.span,
    )
