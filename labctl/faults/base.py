"""The registry of faults. What a fault is, `labctl.model.scenario.Fault` says; how to add one, CONTRIBUTING.md."""

from __future__ import annotations

from labctl.model.scenario import Fault
from labctl.plugins import Registry

FAULTS: Registry[type[Fault]] = Registry("fault", group="labctl.faults", builtin={})
