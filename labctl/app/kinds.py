"""What a file or directory is, by its content, and which verb is for it: the one place that knows.

`topology:` makes a lab file, `timeline:` a scenario, `pool:` a campaign, `devices:` an inventory, `kind:` one of labctl's own files; walks
and device configurations are told by the sources of discovery, the directory of a run by its journal. `need` is what a
verb says of its argument: given another kind of file, the answer names the verb that takes it. Of a file that is of no
kind nothing is said here: the reader of the verb knows better what is wrong with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from labctl.errors import LabctlError, Span
from labctl.schema import infile, yaml


class Kind(StrEnum):
    """The values of labctl's own kinds are what stands behind `kind:` in the file."""

    ACCOUNT = "fidelity-account"
    ALLOCATION = "allocation-table"
    CAMPAIGN = "campaign"
    CAMPAIGN_REPORT = "campaign-report"
    CAMPAIGN_RUN = "campaign-run"
    CONFIG = "configuration"
    COVERAGE = "coverage"
    DIRECTORY = "directory"
    INVENTORY = "inventory"
    LAB = "lab"
    MANIFEST = "manifest"
    PLAN = "plan"
    REPORT = "report"
    ROUTES = "route-tables"
    RUN = "run"
    RUN_FILE = "run-file"
    SCENARIO = "scenario"
    SNAPSHOT = "snapshot"
    TABLE = "table"
    TOPOLOGY = "topology"
    WALK = "walk"


#: What it is called, and what to do with it.
_SAID: Mapping[Kind, tuple[str, str]] = {
    Kind.ACCOUNT: (
        "the account of a snapshot's configuration lines",
        "`labctl render` of the snapshot beside it prints it",
    ),
    Kind.ALLOCATION: ("the table of names of a rendered lab", "the lab file beside it is what is deployed"),
    Kind.CAMPAIGN: ("a campaign", "`labctl campaign {file}` plays it on a lab"),
    Kind.CAMPAIGN_REPORT: (
        "the record of a campaign",
        "`labctl report {directory}` writes its report again",
    ),
    Kind.CAMPAIGN_RUN: ("the directory of a campaign", "`labctl report {file}` writes its report again"),
    Kind.COVERAGE: (
        "what a campaign has failed so far",
        "`labctl campaign --coverage {file}` goes on with it",
    ),
    Kind.CONFIG: ("a device configuration", "`labctl discover {file}` makes a snapshot of it"),
    Kind.DIRECTORY: ("a directory", "name a file in it"),
    Kind.INVENTORY: ("an inventory", "`labctl discover {file}` asks its devices and makes a snapshot"),
    Kind.LAB: ("a lab file", "`labctl deploy {file}` builds it"),
    Kind.MANIFEST: ("the list of what `labctl render` wrote", "name the lab file that it belongs to"),
    Kind.PLAN: ("the plan of a run", "`labctl run --plan {file}` plays it again"),
    Kind.REPORT: ("the record of a report", "`labctl report {directory}` judges its run again"),
    Kind.ROUTES: ("a file of saved routes", "`labctl compare --with {file}` compares a lab with it"),
    Kind.RUN: ("the directory of a run", "`labctl report {file}` judges it again"),
    Kind.RUN_FILE: ("a file of a run", "`labctl report {directory}` judges that run again"),
    Kind.SCENARIO: ("a scenario", "`labctl run {file}` plays it on a lab"),
    Kind.SNAPSHOT: (
        "a snapshot of production",
        "`labctl render {file}` makes a lab file of it, and `labctl deploy` builds that",
    ),
    Kind.TOPOLOGY: ("the topology of a run", "`labctl graph {file}` draws it"),
    Kind.TABLE: ("a table of production", "`labctl discover {file}` makes a snapshot of it"),
    Kind.WALK: ("an SNMP walk", "`labctl discover {file}` makes a snapshot of it"),
}
_MANY: Mapping[Kind, str] = {
    Kind.CAMPAIGN: "campaigns",
    Kind.CAMPAIGN_RUN: "directories of campaigns",
    Kind.CONFIG: "device configurations",
    Kind.INVENTORY: "inventories",
    Kind.LAB: "lab files",
    Kind.PLAN: "plans of runs",
    Kind.ROUTES: "saved routes",
    Kind.RUN: "directories of runs",
    Kind.SCENARIO: "scenarios",
    Kind.SNAPSHOT: "snapshots",
    Kind.TABLE: "tables",
    Kind.TOPOLOGY: "topologies of runs",
    Kind.WALK: "SNMP walks",
}
_HEADED = frozenset(
    {
        Kind.ALLOCATION,
        Kind.CAMPAIGN_REPORT,
        Kind.COVERAGE,
        Kind.MANIFEST,
        Kind.PLAN,
        Kind.REPORT,
        Kind.ROUTES,
        Kind.SNAPSHOT,
        Kind.TOPOLOGY,
    }
)
#: Sources of discovery that are told by a file's beginning.
_SOURCES: Mapping[str, Kind] = {
    "linux": Kind.CONFIG,
    "suzieq": Kind.TABLE,
    "snmprec": Kind.WALK,
    "snmpwalk": Kind.WALK,
    "layer1": Kind.TABLE,
    "lldpcli": Kind.TABLE,
    "csv": Kind.TABLE,
    "json": Kind.TABLE,
    "frr": Kind.CONFIG,
}
_KEY = re.compile(r"^([A-Za-z_-]+)[ \t]*:(?:[ \t]+['\"]?([a-z-]+))?", re.MULTILINE)
_JSON = re.compile(r'\s*\{(?:\s*"version"\s*:\s*\d+\s*,)?\s*"kind"\s*:\s*"([a-z-]+)"')
_TELLING = frozenset({"kind", "topology", "devices", "timeline", "pool"})
_JOURNAL = "journal.jsonl"
_RECORD = "campaign.json"
_OF_A_RUN = frozenset({_JOURNAL, "samples.jsonl", "report.html", "report.txt", "report.json", "junit.xml"})
_SMALL = 1 << 20  # larger files are told by their lines and not parsed


def need(path: str, verb: str, *wanted: Kind) -> None:
    """`wrong-file` if this is a file that another verb is for. verb: as it is typed, `deploy`, `run --plan`."""
    found = what(path)
    if found is None or found in wanted:
        return
    name, way = _SAID[found]
    place = os.path.dirname(path) or "."
    raise LabctlError(
        "wrong-file",
        f"this is {name}, and `labctl {verb}` takes {_listed(_MANY[each] for each in wanted)}",
        where=Span(path),
        hint=way.format(file=path, directory=place),
    )


def _listed(words: Iterable[str]) -> str:
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last


def what(path: str) -> Kind | None:
    """The kind of what is there; None if it is none, or not there, or cannot be read."""
    try:
        return _what(path)
    except LabctlError:
        return None


def _what(path: str) -> Kind | None:
    if os.path.isdir(path):
        if os.path.exists(os.path.join(path, _JOURNAL)):
            return Kind.RUN
        return Kind.CAMPAIGN_RUN if os.path.exists(os.path.join(path, _RECORD)) else Kind.DIRECTORY
    if os.path.basename(path) in _OF_A_RUN and os.path.exists(os.path.join(os.path.dirname(path), _JOURNAL)):
        return Kind.RUN_FILE
    data = infile.read(path)
    return of_text(data.decode("utf-8", "replace"), path) or _of_source(path, data)


def of_text(text: str, path: str) -> Kind | None:
    """The kind of YAML or JSON, by the first top-level keys that tell."""
    if found := _JSON.match(text):
        return Kind(found[1]) if found[1] in _HEADED else None
    keys = {match[1]: match[2] for match in _KEY.finditer(text)}
    if (
        not keys.keys() & _TELLING
        and len(text) < _SMALL
        and text.lstrip()[:1] in ("{", '"', "'", "?", "#", "%", "-")
    ):
        keys = _parsed(text, path)
    if (keys.get("kind") or "") in _HEADED:
        return Kind(str(keys["kind"]))
    if "topology" in keys or path.endswith((".clab.yml", ".clab.yaml")):
        return Kind.LAB
    if "timeline" in keys:
        return Kind.SCENARIO
    if "pool" in keys:
        return Kind.CAMPAIGN
    return Kind.INVENTORY if "devices" in keys else None


def _parsed(text: str, path: str) -> dict[str, str | None]:
    """The top-level keys of a file in flow style, or with quoted keys."""
    try:
        root = yaml.parse(text, file=path)
    except LabctlError:
        return {}
    if not isinstance(root, yaml.Map):
        return {}
    return {e.key: e.value.text if isinstance(e.value, yaml.Scalar) else None for e in root}


def _of_source(path: str, data: bytes) -> Kind | None:
    from labctl.ingest.sources import HEAD, SOURCES  # their modules are slow to import

    head = data[:HEAD]
    return next((kind for name, kind in _SOURCES.items() if SOURCES[name].claims(path, head)), None)
