"""Which primitive each fault would use on this kernel, and how far from what was asked that is known to be.

Impairments are given to backends by trying the kernel, exactly as a run does it (`runtime.impair.choose`); everything else has
one primitive, and a check of `doctor` that says whether it works here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labctl.errors import LabctlError
from labctl.faults.base import FAULTS
from labctl.faults.link_microburst import LINE
from labctl.linux.trial import Tried
from labctl.model.impairment import (
    Burst,
    Impairment,
    Jitter,
    Match,
    Member,
    Nth,
    Protocol,
    Rate,
    Reorder,
)
from labctl.runtime.impair import choose, figures
from labctl.runtime.impair.choose import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one setting of a fault would be done here. ok None: not tried. why: what is missing, or was no good."""

    fault: str
    setting: str
    backend: str
    ok: bool | None
    known_error: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """What no backend is chosen for. check: the item of `doctor` that tries it."""

    name: str
    check: str
    known_error: str


CARRIER = Primitive(name="carrier: panel side down", check="stitching", known_error=figures.CARRIER)
PORT = Primitive(name="port down in its node", check="network namespaces", known_error=figures.CARRIER)
POWER = Primitive(
    name="kill and start the container", check="runc", known_error="starting takes the node's own time"
)
FREEZER = Primitive(
    name="control group freezer", check="control groups", known_error="none: no instruction runs"
)
QUOTA = Primitive(
    name="control group CPU quota", check="control groups", known_error="in slices of 100 ms, not evenly"
)
SIGNAL = Primitive(
    name="SIGSTOP", check="kernel", known_error="a process that starts anew goes on for 0.25 s"
)
KILL = Primitive(
    name="SIGKILL, watchfrr kept out", check="kernel", known_error="one that starts anew lives for 0.25 s"
)
CONFIG = Primitive(name="vtysh", check="FRR", known_error="the way back is typed, and read back to be equal")

#: fault -> (setting, what does it). An impairment is one that the fault would ask for.
WAYS: Mapping[str, Sequence[tuple[str, Impairment | Primitive]]] = {
    "link.admin-down": [("", PORT)],
    "link.blackhole": [("", Impairment(blackhole=True))],
    "link.degrade": [
        ("delay", Impairment(delay_s=0.01, seed=1)),
        ("jitter", Impairment(delay_s=0.01, jitter=Jitter(spread_s=0.002, keep_order=False), seed=1)),
        ("loss", Impairment(loss=0.01, seed=1)),
        ("loss_nth", Impairment(nth=(Nth(every=7),), seed=1)),
        ("burst_p, burst_r", Impairment(bursts=(Burst(p=0.01, r=0.25),), seed=1)),
        ("duplicate", Impairment(duplicate=0.01, seed=1)),
        ("corrupt", Impairment(corrupt=0.01, seed=1)),
        ("reorder", Impairment(delay_s=0.01, reorder=Reorder(fraction=0.25), seed=1)),
        ("rate", Impairment(rate=Rate(bps=1e7), seed=1)),
    ],
    "link.down": [("", CARRIER)],
    "link.ecmp-member": [("", Impairment(members=(Member(bucket=0, of=2),)))],
    "link.flap": [("", CARRIER)],
    "link.group": [("", CARRIER)],
    "link.microburst": [
        ("delay", Impairment(delay_s=0.005)),
        ("order", LINE),
        ("loss", Impairment(loss=0.1, seed=1)),
    ],
    "link.mtu": [("", Impairment(mtu=1400))],
    "link.oneway": [("", Impairment(blackhole=True)), ("light: false", CARRIER)],
    "link.partition": [("", Impairment(blackhole=True)), ("light: false", CARRIER)],
    "link.selective": [("", Impairment(drops=(Match(protocol=Protocol.BFD),)))],
    "node.config": [("", CONFIG)],
    "node.crash-loop": [("", KILL)],
    "node.daemon-hang": [("", SIGNAL)],
    "node.daemon-kill": [("", KILL)],
    "node.degrade": [("ports", CARRIER), ("rate", Impairment(rate=Rate(bps=1e7))), ("cpu", QUOTA)],
    "node.hang": [("", FREEZER)],
    "node.linecard": [("", CARRIER)],
    "node.power": [("", POWER)],
    "node.reboot": [("", POWER)],
    "node.slow": [("cpu", QUOTA)],
}


def ways(checks: Mapping[str, bool | None]) -> tuple[Way, ...]:
    """Every fault, with each setting that is done in its own way. checks: what `doctor` found, by name."""
    can = choose.capabilities() if os.geteuid() == 0 else None
    return tuple(way for fault in FAULTS for way in _of(fault, checks, can))


def _of(fault: str, checks: Mapping[str, bool | None], can: Mapping[Backend, Tried] | None) -> Iterator[Way]:
    for setting, how in WAYS.get(fault, ()):
        if isinstance(how, Primitive):
            ok = checks.get(how.check)
            why = "" if ok else f"see {how.check}"
            yield Way(
                fault=fault,
                setting=setting,
                backend=how.name,
                ok=ok,
                known_error=how.known_error,
                why=why,
            )
        elif can is None:
            yield Way(
                fault=fault,
                setting=setting,
                backend="",
                ok=None,
                known_error="",
                why="not tried: only root may",
            )
        else:
            yield _chosen(fault, setting, how, can)


def _chosen(fault: str, setting: str, asked: Impairment, can: Mapping[Backend, Tried]) -> Way:
    try:
        plan = choose.plan(asked, can)
    except LabctlError as error:
        return Way(fault=fault, setting=setting, backend="none", ok=False, known_error="", why=error.message)
    choice = plan.choices[-1]  # of "delay and jitter" the jitter is what is asked about
    backend = Backend(choice.backend)
    return Way(
        fault=fault,
        setting=setting,
        backend=backend,
        ok=True,
        known_error=figures.known_error(backend, choice.parameter),
        why=choice.why,
    )
