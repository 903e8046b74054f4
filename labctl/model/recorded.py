"""What production's devices printed about their routing at some moment, kept to compare a shadow with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.model.routes import Adjacency, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpPath:
    """One path of the BGP table: what the decision looks at, as far as the table prints it."""

    prefix: str
    via: str
    best: bool = False
    internal: bool = False
    metric: int | None = None
    local_preference: int | None = None
    weight: int = 0
    as_path: tuple[str, ...] = ()
    origin: str = ""  # "i", "e", "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One device's answers. None: it was not asked, or its answer is in no form that is known here."""

    routes: tuple[Route, ...] | None = None
    sessions: Mapping[str, tuple[Adjacency, ...]] = field(
        default_factory=dict
    )  # "ospf", "bgp" -> those it has
    paths: tuple[BgpPath, ...] = ()
    files: tuple[str, ...] = ()
