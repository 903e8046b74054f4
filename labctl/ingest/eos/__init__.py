"""Arista EOS (`show running-config`) into the model.

EOS speaks IOS with prefix lengths, so its contexts stand on those of `labctl.ingest.ios` (which stand on FRR's) and
hold what differs: ports are switched unless told, lists may have contexts of their own, and an undefined policy permits.
"""

from __future__ import annotations

import re
from typing import Final

from labctl.errors import Span
from labctl.ingest.draft import Draft
from labctl.ingest.eos.build import build
from labctl.ingest.eos.top import TOP
from labctl.ingest.ios.walk import walk
from labctl.ingest.parsers import Parsed, parsed
from labctl.ingest.redact import Redactor
from labctl.model.policy import Afi

__all__ = ["is_eos", "parse"]

_EOS: Final = re.compile(
    rb"(?m)^!.*\(.*EOS-|^transceiver qsfp default-mode |^service routing protocols model "
)


def is_eos(head: bytes) -> bool:
    """EOS says who it is in a comment at the top."""
    return b"\0" not in head and _EOS.search(head) is not None


def parse(text: str, *, file: str, device: str, redactor: Redactor) -> Parsed:
    """The model and the account of every line; all errors of the file at once."""
    draft = Draft(file=file, device=device, redactor=redactor, where=Span(file), open_peers=True)
    draft.forwarding = dict.fromkeys(Afi, False)
    return parsed(draft, walk(text, TOP, draft), build)
