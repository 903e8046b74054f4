"""Which backend does which parameter: found out by trying, once a boot, and remembered in memory only.

Each parameter has an order of preference with its reason; the first backend that this kernel has *and* that can do what
is asked gets it. What no backend can do is an error with every reason, never a fault that silently does less.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from labctl.errors import LabctlError
from labctl.linux import qdisc, tc, trial
from labctl.linux.netlink import Netlink, VethEnd
from labctl.linux.qdisc import Netem, Tbf
from labctl.linux.trial import Tried
from labctl.model.impairment import Impairment, Nth
from labctl.runtime.impair import gate, kernel
from labctl.runtime.impair.base import Choice, fields_in_use, only
from labctl.runtime.impair.netem import NetemStage

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Backend(StrEnum):
    GATE = "kernel/gate"
    TBF = "kernel/tbf"
    NETEM = "netem"
    WIRE = "wire"


#: Best first. Netem before the gate only where the two are equally good.
PREFERENCES: Mapping[str, tuple[Backend, ...]] = {
    "delay_s": (Backend.NETEM, Backend.WIRE),
    "jitter": (Backend.NETEM, Backend.WIRE),
    "reorder": (Backend.NETEM, Backend.WIRE),
    "loss": (Backend.NETEM, Backend.GATE, Backend.WIRE),
    "bursts": (Backend.NETEM, Backend.GATE, Backend.WIRE),
    "duplicate": (Backend.NETEM, Backend.GATE, Backend.WIRE),
    "corrupt": (Backend.GATE, Backend.WIRE, Backend.NETEM),
    "rate": (Backend.TBF, Backend.WIRE),
    **dict.fromkeys(("nth", "mtu", "blackhole", "drops", "members"), (Backend.GATE, Backend.WIRE)),
}
_WAITING = {"delay_s", "jitter", "reorder"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who does what. Empty parts are neutral."""

    parts: Mapping[Backend, Impairment]
    choices: tuple[Choice, ...] = ()


_tried: dict[str, dict[Backend, Tried]] = {}


def capabilities() -> Mapping[Backend, Tried]:
    """What this kernel can do, by doing it in a namespace of its own; once for each boot and process."""
    with open(BOOT_ID, encoding="ascii") as file:
        boot = file.read().strip()
    if boot not in _tried:
        works: Mapping[Backend, Callable[[], str]] = {
            Backend.GATE: _gate,
            Backend.TBF: _tbf,
            Backend.NETEM: _netem,
            Backend.WIRE: _wire,
        }
        _tried[boot] = {backend: trial.attempt(work) for backend, work in works.items()}
    return _tried[boot]


def plan(
    impairment: Impairment, can: Mapping[Backend, Tried], among: frozenset[Backend] | None = None
) -> Plan:
    """Give every parameter in use to a backend; `kernel-missing` with the reasons if one cannot be given.

    `among` restricts the choice (the conformance suite tries each backend alone).
    """
    given: dict[Backend, set[str]] = {}
    choices = []
    for name in fields_in_use(impairment):
        backend, why = _first(name, impairment, can, among)
        given.setdefault(backend, set()).add(name)
        choices.append(Choice(parameter=name, backend=backend, why=why))
    return Plan(
        parts={backend: only(impairment, names) for backend, names in given.items()}, choices=tuple(choices)
    )


def _first(
    name: str, impairment: Impairment, can: Mapping[Backend, Tried], among: frozenset[Backend] | None
) -> tuple[Backend, str]:
    why: list[str] = []
    for backend in PREFERENCES[name]:
        if among is not None and backend not in among:
            continue
        tried = can[backend]
        reason = tried.said if not tried.ok else _refuses(backend, name, impairment)
        if reason is None:
            return backend, "; ".join(why)
        why.append(f"{backend}: {reason}")
    raise LabctlError(
        "kernel-missing",
        f"nothing on this machine can do {name.removesuffix('_s')}: {'; '.join(why) or 'no backend has it'}",
        hint="`labctl doctor` says what is missing",
    )


def _refuses(backend: Backend, name: str, impairment: Impairment) -> str | None:
    """Why a backend that works here should not do this parameter of this impairment."""
    if name == "reorder" and not impairment.delay_s:
        return "nothing can be overtaken where nothing is delayed"
    if backend is Backend.GATE:
        return gate.refuses(only(impairment, {name}))
    if backend is Backend.NETEM:
        if impairment.seed is not None and name not in _WAITING:
            return "netem cannot repeat a pattern"
        if impairment.bursts and impairment.loss and name in ("loss", "bursts"):
            return "netem loses at random or in bursts, not both"
        return NetemStage.supports(only(impairment, {name, "delay_s"}))
    return None


# -- the attempts ----------------------------------------------------------------------------------------------


def _gate() -> str:
    part = Impairment(nth=(Nth(every=2),), loss=0.5, corrupt=0.5, duplicate=0.5)
    with Netlink() as here:
        index = _pair(here)
        kernel.ensure_gate(here, index, part, 1, out=index + 1, deadline_ns=0)
        kernel.ensure_gate(here, index, part, 2, out=index + 1, deadline_ns=0)
        found = kernel.read_gate(tc.filters(here, index))
    if found is None or found.impairment.seed != 2:
        raise OSError("a program was attached and is not there")
    return "an eBPF filter was attached, swapped and read back"


def _tbf() -> str:
    with Netlink() as here:
        index = _pair(here)
        for bps in (1e6, 1e10):
            qdisc.set_root(here, index, Tbf(bps=bps, burst_bytes=20_000, limit_bytes=100_000))
        found = qdisc.root(here, index)
    if found is None or not isinstance(found.options, Tbf) or found.options.bps != 1e10:
        raise OSError(f"a tbf was changed and reads back as {found}")
    return "a tbf queue was made, changed and read back"


def _netem() -> str:
    with Netlink() as here:
        index = _pair(here)
        for delay in (0.001, 0.002):
            qdisc.set_root(here, index, Netem(delay_s=delay, jitter_s=0.001, table=(-1, 1)))
        found = qdisc.root(here, index)
    if found is None or not isinstance(found.options, Netem) or found.options.delay_s != 0.002:
        raise OSError(f"a netem was changed and reads back as {found}")
    return "a netem queue was made, changed and read back"


def _wire() -> str:
    from labctl.runtime.impair import port

    with Netlink() as here:
        _pair(here)
        sockets = [port.receiver("q0"), port.sender("q1")]
    for each in sockets:
        each.close()
    return f"packet sockets of process {os.getpid()} carry checksum and VLAN notes"


def _pair(here: Netlink) -> int:
    here.create_veth(VethEnd(name="q0"), VethEnd(name="q1"), up=True)
    here.set_link("q1", up=True)
    return here.index("q0")


__all__ = ["PREFERENCES", "Backend", "Plan", "capabilities", "plan"]
