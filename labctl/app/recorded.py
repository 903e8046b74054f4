"""What production's devices print, as a state that a lab can be compared with: recorded earlier, or asked now.

The configurations beside the answers, or on the devices, are discovered as always: they say what the devices are called,
which ports are management, which addresses are whose, and what no lab will have. Nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network

from labctl.analyze import routes, why
from labctl.app.discover import discover
from labctl.app.discovered import Discovered
from labctl.app.fidelity import by_device
from labctl.ingest import inventory, recorded
from labctl.ingest.recorded import live
from labctl.model.account import ConfigAccount
from labctl.model.config import DeviceConfig
from labctl.model.event import Emit, Event, ignore
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
    return _production(devices, found)


def ask(path: str, *, inside: str | None = None, emit: Emit = ignore) -> Production:
    """The answers of the devices of an inventory, asked now. `inside`: the network namespace to ask from.

    A device that does not answer has no routes, and a warning says why.
    """
    targets = inventory.load(path)
    found = discover([path], write=False, lenient=True, alone=True, inside=inside, emit=emit)
    configs = found.snapshot.configs
    names = {_target(config): name for name, config in configs.items()}
    dialects = {target: configs[name].dialect for target, name in names.items()}
    answers, silent = live.collect(targets, dialects, inside=inside)
    for unread in (*(u for u in found.unread if u.what == "ssh"), *silent):
        emit(Event(kind="warning", text=f"warning: {unread.error.message}", subject=unread.name))
    devices = {names.get(t.name, t.name): answers.get(t.name, Recorded()) for t in targets if t.ssh}
    return _production(devices, found)


def _target(config: DeviceConfig) -> str:
    """Whose configuration it is, by the inventory's name: its place is `ssh:NAME` or `ssh:NAME/FILE`."""
    return config.where.file.removeprefix("ssh:").partition("/")[0]


def _production(devices: Mapping[str, Recorded], found: Discovered) -> Production:
    configs = found.snapshot.configs
    own = {name: said.own or _own(said) for name, said in devices.items()}
    managed = {
        name: frozenset(i.name for i in config.interfaces if i.mgmt) for name, config in configs.items()
    }
    return Production(
        tables=RouteTables(
            routes={
                name: _with_hosts(said)
                if name in configs and configs[name].dialect == "linux"
                else said.routes
                for name, said in devices.items()
            },
            adjacencies=tuple(
                sorted(
                    replace(each, node=name)
                    for name, said in devices.items()
                    for sessions in said.sessions.values()
                    for each in sessions
                )
            ),
            management_interfaces=frozenset(),
            management_ports=frozenset(f"{name}:{port}" for name, ports in managed.items() for port in ports),
            own={name: addresses for name, addresses in own.items() if addresses},
            node_families={name: tuple(sorted(said.families)) for name, said in devices.items()},
            vrfs=_vrfs(devices, managed),
        ),
        snapshot=found.snapshot,
        accounts=_accounts(found.snapshot, found.accounts),
        devices=devices,
    )


def _with_hosts(said: Recorded) -> tuple[Route, ...] | None:
    """Of a host the routes are the kernel's, which has none to an address that is its own subnet."""
    return None if said.routes is None else said.routes + routes.alone(said.own, said.routes)


def _vrfs(
    devices: Mapping[str, Recorded], managed: Mapping[str, frozenset[str]]
) -> dict[str, dict[str, int]]:
    """Device -> VRF -> how many routes lead elsewhere than through a management port."""

    def count(name: str, table: tuple[Route, ...]) -> int:
        ports = managed.get(name, frozenset())
        return sum(not r.next_hops or not {h.interface for h in r.next_hops} <= ports for r in table)

    found = {
        name: {vrf: there for vrf, table in said.vrfs.items() if (there := count(name, table))}
        for name, said in devices.items()
    }
    return {name: vrfs for name, vrfs in found.items() if vrfs}


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
    """What a router's own table calls local: its addresses, and for IPv6 the groups that it listens to."""
    local = (route for route in said.routes or () if route.protocol == "local")
    return tuple(r for r in local if not ip_network(r.prefix).is_multicast)
