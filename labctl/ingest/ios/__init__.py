"""Cisco IOS and IOS-XE (`show running-config`, or the file) into the model.

`walk` feeds the lines to tables of patterns, one per context, by their indentation. Most commands below `router` and
in policies are FRR's too, so the contexts here stand on FRR's (`base`) and hold what IOS says or means differently.
`build` adds IOS's defaults and does what IOS does with the whole file: which interface is in which area, what an
access list means as a filter of routes.
"""

from __future__ import annotations

import re
from typing import Final

from labctl.errors import Span
from labctl.ingest.draft import Draft
from labctl.ingest.ios.build import build
from labctl.ingest.ios.top import TOP
from labctl.ingest.ios.walk import walk
from labctl.ingest.parsers import Parsed, complete, parsed
from labctl.ingest.redact import Redactor
from labctl.model.policy import Afi

__all__ = ["is_ios", "parse"]

_OTHERS: Final = re.compile(rb"(?m)^(!.*\(.*EOS-|frr (version|defaults) |!Command: show|feature \S+\r?$|## )")
_IOS: Final = re.compile(
    rb"(?m)^(version \d+\.\d+\w*[ \t]*\r?$|Current configuration : \d+ bytes|boot-start-marker)"
)


def is_ios(head: bytes) -> bool:
    """Whether a file that begins like this is an IOS configuration: EOS and NX-OS look much alike and say who they are."""
    return b"\0" not in head and _OTHERS.search(head) is None and _IOS.search(head) is not None


def parse(text: str, *, file: str, device: str, redactor: Redactor) -> Parsed:
    """The model and the account of every line; all errors of the file at once."""
    draft = Draft(file=file, device=device, redactor=redactor, where=Span(file), open_peers=True)
    draft.forwarding[Afi.IPV6] = False
    draft.version = (15, 0)
    lines = walk(text, TOP, draft)
    complete(text, draft)
    return parsed(draft, lines, build)
