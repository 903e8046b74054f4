"""One look at production: what is connected to what, and what each device was told to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.model.config import DeviceConfig
from labctl.model.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`configs` is keyed by device name, as in the topology; a device without a known configuration is not in it."""

    topology: Topology
    configs: Mapping[str, DeviceConfig] = field(default_factory=dict)
