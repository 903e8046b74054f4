"""Sources: where facts about production come from, and how to tell them apart.

A source claims files by their content and reads each into observations, configurations and problems. What a user
points at is walked once; every file goes to the first source that claims it. Reading never stops at a bad row: rows
that are no rows are problems with their place, and the caller decides whether to go on without them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from labctl.errors import LabctlError, Span
from labctl.ingest.redact import Redactor
from labctl.model.account import ConfigAccount
from labctl.model.config import DeviceConfig
from labctl.model.observation import CableRow, Observation
from labctl.plugins import Registry
from labctl.schema import infile

HEAD: Final = 4096  # bytes of a file that are enough to tell what it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A device that could not be read this time: its facts of before are kept. `what`: "snmp" or "ssh"."""

    name: str
    address: str
    what: str
    error: LabctlError


@dataclass(slots=True)
class Reading:
    """What one source read. broken: rows and walks that cannot be trusted; strictly, they stop the run."""

    observations: list[Observation] = field(default_factory=list)
    configs: list[tuple[str, DeviceConfig]] = field(default_factory=list)
    accounts: list[ConfigAccount] = field(default_factory=list)
    cables: list[CableRow] = field(default_factory=list)
    broken: list[LabctlError] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def add(self, other: Reading) -> None:
        self.observations += other.observations
        self.configs += other.configs
        self.accounts += other.accounts
        self.cables += other.cables
        self.broken += other.broken
        self.unread += other.unread


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What sources share in one run. inside: the path of the network namespace that live sources ask from."""

    redactor: Redactor
    inside: str | None = None
    said: Callable[[str, int, int], None] = lambda _text, _done, _total: None


class Source(Protocol):
    """One kind of input."""

    def claims(self, path: str, head: bytes) -> bool:
        """Is this file mine? `head` is its beginning."""
        ...

    def read(self, path: str, context: Context) -> Reading: ...


SOURCES: Registry[Source] = Registry(
    "source",
    group="labctl.sources",
    builtin={
        "clab": "labctl.ingest.clab_file:CLAB",
        "cumulus": "labctl.ingest.files:CUMULUS",
        "csv": "labctl.ingest.tables:CSV",
        "eos": "labctl.ingest.files:EOS",
        "frr": "labctl.ingest.files:FRR",
        "inventory": "labctl.ingest.live:INVENTORY",
        "ios": "labctl.ingest.files:IOS",
        "json": "labctl.ingest.tables:JSON",
        "layer1": "labctl.ingest.layer1:LAYER1",
        "linux": "labctl.ingest.files:LINUX",
        "lldpcli": "labctl.ingest.lldpcli:LLDPCLI",
        "netbox": "labctl.ingest.netbox_rest:NETBOX_REST",
        "netbox-csv": "labctl.ingest.netbox_csv:NETBOX_CSV",
        "snmprec": "labctl.ingest.files:SNMPREC",
        "snmpwalk": "labctl.ingest.files:SNMPWALK",
        "suzieq": "labctl.ingest.suzieq:SUZIEQ",
    },
)

#: Asked first and in this order; sources from elsewhere after them.
_ORDER: Final = (
    *("linux", "suzieq", "snmprec", "snmpwalk", "inventory", "clab"),
    *("netbox", "netbox-csv", "layer1", "lldpcli", "csv", "json", "cumulus", "frr", "eos", "ios"),
)
#: What lies beside the `configs` of a snapshot and is not input: recorded answers, and what made them.
_BESIDE_CONFIGS: Final = frozenset({"show", "source", "validation"})


_TABLE_HINT: Final = "a table is known by its header: neighbours, for example, by device, port and neighbour or chassis (docs/discovery.md)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file and the source that claims it."""

    path: str
    source: str


def recognise(paths: Sequence[str]) -> tuple[list[Input], list[str]]:
    """Every file below the paths: those that a source claims, and those that none does.

    A path that a user named and nobody claims is an error; a file that merely lies in a directory is passed over, and so
    is a pipe, a socket, a device or a link that leads nowhere.
    """
    inputs: list[Input] = []
    passed_over: list[str] = []
    for path in paths:
        before = len(inputs)
        for file in _files(path):
            source = _source(file) if file == path or os.path.isfile(file) else None
            if source is None:
                passed_over.append(file)
            else:
                inputs.append(Input(path=file, source=source))
        if len(inputs) == before:
            raise LabctlError(
                "unknown-source",
                "nothing here that discovery can read",
                where=Span(path),
                hint=_TABLE_HINT
                if path.endswith((".csv", ".tsv"))
                else "known sources: " + ", ".join(SOURCES),
            )
    return inputs, passed_over


def _source(path: str) -> str | None:
    head = infile.head(path, HEAD)
    names = [*_ORDER, *(name for name in SOURCES if name not in _ORDER)]
    return next((name for name in names if SOURCES[name].claims(path, head)), None)


def _files(path: str) -> Iterator[str]:
    if not os.path.exists(path):
        raise LabctlError("file-not-found", "there is no such file or directory", where=Span(path))
    if not os.path.isdir(path):
        yield path
        return
    for directory, below, files in os.walk(path):
        if "configs" in below:
            below[:] = [name for name in below if name not in _BESIDE_CONFIGS]
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield os.path.join(directory, name)
