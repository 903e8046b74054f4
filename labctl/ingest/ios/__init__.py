"""Cisco IOS and IOS-XE (`show running-config`, or the file) into the model.

`walk` feeds the lines to tables of patterns, one per context, by their indentation. Most commands below `router` and
in policies are FRR's too, so the contexts here stand on FRR's (`base`) and hold what IOS says or means differently.
`build` adds IOS's defaults and does what IOS does with the whole file: which interface is in which area, what an
access list means as a filter of routes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from labctl.errors import LabctlError, Span
from labctl.ingest.draft import Draft
from labctl.ingest.ios.build import build
from labctl.ingest.ios.top import TOP
from labctl.ingest.ios.walk import walk
from labctl.ingest.parsers import Parsed
from labctl.ingest.redact import Redactor
from labctl.model.account import AccountedLine, ConfigAccount
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
    if draft.shown and not draft.ended:
        raise LabctlError(
            "config-truncated",
            "the output of `show running-config` breaks off: its last line should be `end`",
            where=Span(file, text.count("\n") + (not text.endswith("\n"))),
            hint="collect it again",
        )
    config = build(draft)
    draft.problems.stop()
    return Parsed(config=config, account=ConfigAccount(device=device, lines=judged(lines, draft)))


def judged(lines: tuple[AccountedLine, ...], draft: Draft) -> tuple[AccountedLine, ...]:
    """The account with what came out about single lines when the file was read to its end."""

    def final(line: AccountedLine) -> AccountedLine:
        if line.where not in draft.verdicts:
            return line
        cls, rule = draft.verdicts[line.where]
        return replace(line, cls=cls, rule=rule)

    return tuple(final(line) for line in lines)
