"""What production's devices printed about their routing at some moment, kept to compare a shadow with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

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
    """One device's answers. None: it was not asked, or its answer is in no form that is known here.

    routes: of the table that is nobody's VRF; families: which of IPv4 (4) and IPv6 (6) are among them. vrfs: the tables
    of the others by name. own: the addresses of the device itself, where another answer than `routes` lists them.
    """

    routes: tuple[Route, ...] | None = None
    families: frozenset[int] = frozenset()
    vrfs: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    own: tuple[Route, ...] = ()
    sessions: Mapping[str, tuple[Adjacency, ...]] = field(
        default_factory=dict
    )  # "ospf", "bgp" -> those it has
    paths: tuple[BgpPath, ...] = ()
    files: tuple[str, ...] = ()

    def with_routes(
        self, family: int, routes: Iterable[Route], vrfs: Mapping[str, tuple[Route, ...]] | None = None
    ) -> Recorded:
        """These routes beside those of the other family."""
        tables = {name: (*self.vrfs.get(name, ()), *more) for name, more in (vrfs or {}).items()}
        return replace(
            self,
            routes=(*(self.routes or ()), *routes),
            families=self.families | {family},
            vrfs={**self.vrfs, **tables},
        )
