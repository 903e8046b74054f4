"""What production's devices printed, as a state that a lab can be compared with.

The configurations beside the answers are discovered as always: they say what the devices are called, which ports are
management, which addresses are whose, and what no lab will have. Nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from labctl.analyze import routes, why
from labctl.app.discover import discover
from labctl.app.fidelity import by_device
from labctl.ingest import recorded
from labctl.model.account import ConfigAccount
from labctl.model.recorded import Recorded
from labctl.model.routes import Route, RouteComparison, RouteTables
from labctl.model.snapshot import Snapshot
from labctl.render.account import with_losses
from labctl.render.lab import RenderOptions, allocation, render_lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """`asked`: the (device, kind) pairs whose sessions were recorded. devices: by the name they have in a topology."""

    tables: RouteTables
    snapshot: Snapshot
    accounts: Mapping[str, ConfigAccount]
    devices: Mapping[str, Recorded]

    @property
    def asked(self) -> frozenset[tuple[str, str]]:
        return frozenset((name, kind) for name, said in self.devices.items() for kind in said.sessions)


def read(path: str) -> Production:
    """The answers below `show`, under the names that the configurations give the devices."""
    found = discover([path], write=False, lenient=True, alone=True)
    names = _names(path, found.snapshot)
    devices = {names.get(key, key): said for key, said in recorded.read(path).items()}
    configs = found.snapshot.configs
    return Production(
        tables=RouteTables(
            routes={name: said.routes for name, said in devices.items()},
            adjacencies=tuple(
                sorted(
                    replace(each, node=name)
                    for name, said in devices.items()
                    for sessions in said.sessions.values()
                    for each in sessions
                )
            ),
            management_interfaces=frozenset(),
            management_ports=frozenset(
                f"{name}:{i.name}" for name, config in configs.items() for i in config.interfaces if i.mgmt
            ),
            own={name: own for name, said in devices.items() if (own := _own(said))},
            families=(4,),
        ),
        snapshot=found.snapshot,
        accounts=_accounts(found.snapshot, found.accounts),
        devices=devices,
    )


def compare(production: Production, shadow: RouteTables) -> RouteComparison:
    """Routes, own addresses and sessions, with a reason at every difference."""
    told = routes.compare(production.tables, shadow)
    own, own_differences = routes.compare_own(production.tables, shadow)
    here = {pair for pair in production.asked if pair[0] in shadow.routes}
    sessions, session_differences, alike = routes.compare_sessions(production.tables, shadow, here)
    told = replace(
        told,
        differences=(*told.differences, *own_differences),
        own_compared=own,
        own_equal=own - len(own_differences),
        sessions_compared=sessions,
        sessions_equal=sessions - len(session_differences),
        session_differences=session_differences,
        stuck_alike=alike,
    )
    known = why.Known(
        production=production.tables,
        shadow=shadow,
        configs={n: c for n, c in production.snapshot.configs.items() if n in shadow.routes},
        accounts=production.accounts,
        paths={name: said.paths for name, said in production.devices.items()},
        absent=told.only_production,
    )
    return why.explained(told, known)


def _names(path: str, snapshot: Snapshot) -> dict[str, str]:
    """Directory below `show` -> device. A configuration is `configs/<device>/…` or `configs/<device>.cfg`."""
    top = os.path.abspath(os.path.join(path, "configs"))
    found = {}
    for name, config in snapshot.configs.items():
        inside = os.path.relpath(os.path.abspath(config.where.file), top).split(os.sep)
        found[inside[0] if len(inside) > 1 else os.path.splitext(inside[0])[0]] = name
    return found


def _accounts(snapshot: Snapshot, accounts: Iterable[ConfigAccount]) -> dict[str, ConfigAccount]:
    """By device, with what a lab of it could not take along."""
    options = RenderOptions(name="compare", directory="/", lenient=True)
    notes = render_lab(snapshot, allocation(snapshot, options, None), options).notes
    return with_losses(by_device(snapshot, accounts), notes)


def _own(said: Recorded) -> tuple[Route, ...]:
    return tuple(route for route in said.routes or () if route.protocol == "local")
