"""Parsers: from the text of one device's configuration to the vendor-neutral model and an account of every line.

A parser is a function. It never reads files itself, gives each statement its place, fills in its vendor's defaults, and
hands secrets to the redactor. What it cannot read is in the account; what is wrong is raised, all of it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from labctl.ingest.redact import Redactor
from labctl.model.account import ConfigAccount
from labctl.model.config import DeviceConfig
from labctl.plugins import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    config: DeviceConfig
    account: ConfigAccount


class Parser(Protocol):
    def __call__(self, text: str, *, file: str, device: str, redactor: Redactor) -> Parsed:
        """`file` is what spans say; `device` is production's name of the device."""
        ...


PARSERS: Registry[Parser] = Registry(
    "parser",
    group="labctl.parsers",
    builtin={
        "cumulus": "labctl.ingest.frr.cumulus:parse",
        "eos": "labctl.ingest.eos:parse",
        "frr": "labctl.ingest.frr:parse",
        "ios": "labctl.ingest.ios:parse",
    },
)
