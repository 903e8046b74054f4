"""What `labctl discover` found, and the same for programs: topology, counts that can be walked back, findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from labctl.errors import LabctlError
from labctl.ingest.sources import Unread
from labctl.model.account import ConfigAccount
from labctl.model.observation import Rejected
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Conflict, Link, Topology
from labctl.topo.explain import Candidate, Explanation
from labctl.topo.links import SPOKEN

JSON_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCount:
    """What one input held: rows of walks and tables, lines of configurations."""

    path: str
    source: str
    devices: int
    rows: int
    neighbours: int
    cables: int
    lines: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What discovery found. `unread`: devices whose facts are missing or kept from before; exit 4 if there are any.

    warnings: what a lenient run left out. gone: devices of the earlier snapshot that no source mentions any more.
    """

    snapshot: Snapshot
    path: str | None
    unread: tuple[Unread, ...] = ()
    warnings: tuple[LabctlError, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    passed_over: tuple[str, ...] = ()
    accounts: tuple[ConfigAccount, ...] = ()
    gone: tuple[str, ...] = ()
    rows: int = 0
    inputs: dict[str, int] = field(default_factory=dict)
    files: tuple[FileCount, ...] = ()
    lint: tuple[Conflict, ...] | None = None  # None: not asked for
    explanation: Explanation | None = None
    hidden_hosts: int = 0  # hosts that only forwarding and ARP tables know, not drawn


def printed(result: Discovered) -> dict[str, Any]:
    """What `--format json` prints: the topology, a summary, and what else was asked for."""
    said = as_json(result.snapshot.topology) | {"summary": summary(result)}
    if result.lint is not None:
        said["lint"] = [asdict(finding) for finding in result.lint]
    if result.explanation is not None:
        said["explanation"] = _explained(result.explanation)
    return said


def how(link: Link) -> str:
    """How a link is known: "confirmed" by both ends, "one-sided", or "inferred" from what no port says of itself."""
    if link.two_sided:
        return "confirmed"
    return "one-sided" if any(e.source in SPOKEN for e in link.evidence) else "inferred"


def summary(result: Discovered) -> dict[str, Any]:
    """Counts, and for each input what it held; every count can be walked back through `where` of the rows."""
    topology = result.snapshot.topology
    links = [how(link) for link in topology.links]
    return {
        "files": [asdict(each) for each in result.files],
        "passed_over": list(result.passed_over),
        "rows": {
            "read": sum(each.rows for each in result.files),
            "neighbours": result.rows,
            "rejected": [asdict(row) for row in result.rejected],
            "left_out": [
                {"where": str(each.where or ""), "reason": each.message} for each in result.warnings
            ],
        },
        "devices": {
            "polled": sum(device.polled for device in topology.devices),
            "known_from_others": sum(not device.polled for device in topology.devices),
            "stale": [device.name for device in topology.devices if device.stale_since],
            "gone": list(result.gone),
            "hosts_not_drawn": result.hidden_hosts,
        },
        "links": {
            word.replace("-", "_"): links.count(word) for word in ("confirmed", "one-sided", "inferred")
        },
        "segments": len(topology.segments),
        "conflicts": {
            kind: sum(c.kind == kind for c in topology.conflicts)
            for kind in dict.fromkeys(c.kind for c in topology.conflicts)
        },
    }


def _explained(explanation: Explanation) -> dict[str, Any]:
    def candidate(each: Candidate) -> dict[str, Any]:
        return {
            "link": str(each.cable),
            "chosen": each.chosen,
            "two_sided": each.two_sided,
            "confidence": each.confidence,
            "weights": dict(each.weights),
            "evidence": [asdict(e) for e in each.evidence],
        }

    return {
        "a": str(explanation.a),
        "b": str(explanation.b),
        "verdict": explanation.verdict,
        "asked": candidate(explanation.asked) if explanation.asked else None,
        "competing": [candidate(each) for each in explanation.competing],
        "notes": list(explanation.notes),
        "conflicts": [asdict(each) for each in explanation.conflicts],
    }


def as_json(topology: Topology) -> dict[str, Any]:
    """The topology in production's own names: the contract of docs/cli.md."""
    return {
        "version": JSON_VERSION,
        "devices": [asdict(device) for device in topology.devices],
        "links": [
            {
                "a": {"device": link.a.node, "port": link.a.interface},
                "b": {"device": link.b.node, "port": link.b.interface},
                "role": str(link.role),
                "two_sided": link.two_sided,
                "confidence": link.confidence,
                "evidence": [asdict(each) for each in link.evidence],
            }
            for link in topology.links
        ],
        "segments": [
            {
                "name": segment.name,
                "role": str(segment.role),
                "ports": [{"device": port.node, "port": port.interface} for port in segment.ports],
                "evidence": [asdict(each) for each in segment.evidence],
            }
            for segment in topology.segments
        ],
        "conflicts": [asdict(conflict) for conflict in topology.conflicts],
    }
