"""How a report becomes bytes. A writer is a function of the report; its name is the suffix of the file it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from labctl.model.verdict import Report
from labctl.plugins import Registry

Writer: TypeAlias = Callable[[Report], bytes]

WRITERS: Registry[Writer] = Registry(
    "writer",
    group="labctl.writers",
    builtin={
        "html": "labctl.report.page:write",
        "json": "labctl.report.record:write",
        "txt": "labctl.report.text:write",
    },
)
