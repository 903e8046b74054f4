"""FRR's own configuration (frr.conf or `show running-config`, FRR 4 to 10) into the model.

`commands` walks the lines through tables of patterns, one table per context (`top`, `interface`, `ospf`, `bgp`,
`policy`); these write what is stated into a `Draft`; `build` adds FRR's defaults and makes the model of it.
"""

from __future__ import annotations

from labctl.errors import Span
from labctl.ingest.commands import walk
from labctl.ingest.draft import Draft
from labctl.ingest.frr.build import build
from labctl.ingest.frr.top import TOP
from labctl.ingest.parsers import Parsed, complete, parsed
from labctl.ingest.redact import Redactor

__all__ = ["parse"]


def parse(text: str, *, file: str, device: str, redactor: Redactor) -> Parsed:
    """The model and the account of every line; all errors of the file at once."""
    draft = Draft(file=file, device=device, redactor=redactor, where=Span(file))
    lines = walk(text, TOP, draft)
    complete(text, draft)
    return parsed(draft, lines, build)
