"""FRR's own configuration (frr.conf or `show running-config`, FRR 4 to 10) into the model.

`commands` walks the lines through tables of patterns, one table per context (`top`, `interface`, `ospf`, `bgp`,
`policy`); these write what is stated into a `Draft`; `build` adds FRR's defaults and makes the model of it.
"""

from __future__ import annotations

from labctl.errors import LabctlError, Span
from labctl.ingest.commands import walk
from labctl.ingest.draft import Draft
from labctl.ingest.frr.build import build
from labctl.ingest.frr.top import TOP
from labctl.ingest.parsers import Parsed
from labctl.ingest.redact import Redactor
from labctl.model.account import ConfigAccount

__all__ = ["parse"]


def parse(text: str, *, file: str, device: str, redactor: Redactor) -> Parsed:
    """The model and the account of every line; all errors of the file at once."""
    draft = Draft(file=file, device=device, redactor=redactor, where=Span(file))
    lines = walk(text, TOP, draft)
    if draft.shown and not draft.ended:
        raise LabctlError(
            "config-truncated",
            "the output of `show running-config` breaks off: its last line should be `end`",
            where=Span(file, text.count("\n") + (not text.endswith("\n"))),
            hint="collect it again",
        )
    config = build(draft)
    draft.problems.stop()
    return Parsed(config=config, account=ConfigAccount(device=device, lines=lines))
