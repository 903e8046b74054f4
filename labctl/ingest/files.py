"""Sources that are files: SNMP walks and device configurations that somebody saved."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labctl.errors import LabctlError, Span
from labctl.ingest import eos, ios, linux_host, mibs, snmprec, snmpwalk
from labctl.ingest.frr import cumulus
from labctl.ingest.mib_tables import Read
from labctl.ingest.parsers import PARSERS
from labctl.ingest.sources import Context, Reading
from labctl.model.observation import Walk
from labctl.schema import infile

MAX_ROWS_SAID: Final = 20  # bad rows of one file that are listed one by one
#: Other vendors' configurations look much alike; FRR's name themselves.
_FRR: Final = re.compile(rb"^(frr (version|defaults) |service integrated-vtysh-config)", re.MULTILINE)
#: Files that lie beside a Linux box's `ip-addr.json` and belong to it.
_ANCHOR: Final = "ip-addr.json"


@dataclass(frozen=True, slots=True)
class WalkFile:
    """A recorded SNMP walk; the device is called by its sysName, else by the file's stem."""

    kind: str
    sniff: Callable[[bytes], bool]
    parse: Callable[[Path], Read]

    def claims(self, path: str, head: bytes) -> bool:  # noqa: ARG002  (the protocol's)
        return self.sniff(head)

    def read(self, path: str, context: Context) -> Reading:  # noqa: ARG002  (the protocol's)
        read = self.parse(Path(path))
        broken = [
            LabctlError(
                "bad-snmp-row",
                row.reason,
                where=_span(row.where),
                hint="walk the device again, or leave the row out with --lenient",
            )
            for row in read.rejected[:MAX_ROWS_SAID]
        ]
        if len(read.rejected) > MAX_ROWS_SAID:
            more = len(read.rejected) - MAX_ROWS_SAID
            broken.append(LabctlError("bad-snmp-row", f"{more} more such rows", where=Span(path)))
        if read.truncated:
            broken.append(
                LabctlError(
                    "walk-truncated",
                    f"the walk breaks off: {read.truncated}",
                    where=_span(read.truncated_at),
                    hint="walk the device again, or take what there is with --lenient",
                )
            )
        walk = Walk(
            table="all",
            rows=len(read.cells),
            complete=not read.truncated and not read.rejected,
            reason=read.truncated or (read.rejected[0].reason if read.rejected else ""),
            where=path,
        )
        seen = mibs.decode(
            read.cells,
            key=Path(path).stem,
            source=self.kind,
            where=path,
            walks=[walk],
            rejected=read.rejected,
        )
        return Reading(observations=[seen], broken=broken)


def _span(where: str) -> Span:
    path, _, line = where.rpartition(":")
    return Span(path, int(line)) if line.isdecimal() and path else Span(where)


@dataclass(frozen=True, slots=True)
class FrrFile:
    """`frr.conf`, or the output of `show running-config`. The device is the directory of a file called frr.conf."""

    def claims(self, path: str, head: bytes) -> bool:
        if os.path.exists(os.path.join(os.path.dirname(path), _ANCHOR)):
            return False
        named = os.path.basename(path) == "frr.conf"
        return b"\0" not in head and (named or _FRR.search(head) is not None)

    def read(self, path: str, context: Context) -> Reading:
        return _configuration("frr", path, context)


#: Names of files that say nothing about the device: it is called by its directory.
_GENERIC: Final = re.compile(r"(show_)?(running|startup)([-_]config)?(\.\w+)?|frr\.(conf|cfg)|config\.txt")


def _configuration(parser: str, path: str, context: Context) -> Reading:
    text = infile.text(path)
    generic = _GENERIC.fullmatch(os.path.basename(path))
    key = os.path.basename(os.path.dirname(os.path.abspath(path))) if generic else Path(path).stem
    parsed = PARSERS[parser](text, file=path, device=key, redactor=context.redactor)
    return Reading(configs=[(key, parsed.config)], accounts=[parsed.account])


@dataclass(frozen=True, slots=True)
class VendorFile:
    """A router's configuration that its vendor can be told from."""

    parser: str
    sniff: Callable[[bytes], bool]

    def claims(self, path: str, head: bytes) -> bool:  # noqa: ARG002  (the protocol's)
        return self.sniff(head)

    def read(self, path: str, context: Context) -> Reading:
        return _configuration(self.parser, path, context)


@dataclass(frozen=True, slots=True)
class LinuxDirectory:
    """A directory with what `ip -j addr` printed, and perhaps an frr.conf: one Linux box."""

    def claims(self, path: str, head: bytes) -> bool:  # noqa: ARG002  (the protocol's)
        return os.path.basename(path) == _ANCHOR

    def read(self, path: str, context: Context) -> Reading:
        directory = os.path.dirname(path) or "."
        parsed = linux_host.read_directory(directory, redactor=context.redactor)
        key = os.path.basename(os.path.abspath(directory))
        return Reading(configs=[(key, parsed.config)], accounts=[parsed.account])


SNMPREC = WalkFile("snmprec", snmprec.sniff, snmprec.read)
SNMPWALK = WalkFile("snmpwalk", snmpwalk.sniff, snmpwalk.read)
FRR = FrrFile()
CUMULUS = VendorFile("cumulus", cumulus.is_cumulus)
EOS = VendorFile("eos", eos.is_eos)
IOS = VendorFile("ios", ios.is_ios)
LINUX = LinuxDirectory()
