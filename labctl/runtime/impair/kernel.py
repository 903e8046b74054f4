"""The kernel backend: the gate as a filter where frames enter the panel, tbf in a cord for a rate.

Nearly every kernel has both. The gate's program and its two maps live and die with the filter; whoever asks finds them
by the filter, so nothing of an impairment is kept outside the kernel.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labctl.linux import bpf, classifier, qdisc, tc
from labctl.linux.netlink import Netlink
from labctl.linux.qdisc import Tbf
from labctl.linux.rtnl import Request
from labctl.linux.tc import Filter
from labctl.model.impairment import Impairment, Rate
from labctl.runtime.impair import gate, gate_layout
from labctl.runtime.impair.base import GATE_PREFERENCE, Half, fields_in_use
from labctl.runtime.impair.gate import Counts

GATE_ERROR = "one draw a frame: a frame that is still a super-frame of its sender counts as one (superframes says how many)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A gate as it stands. out: the ifindex that its duplicates leave by. deadline_ns: after it everything passes; 0: never."""

    impairment: Impairment
    out: int
    deadline_ns: int
    counts: Counts


def program_of(filters: Sequence[Filter]) -> int | None:
    """Id of the gate's program among the filters of a device (the kernel also lists its chain, which has none)."""
    gates = (each.program for each in filters if each.preference == GATE_PREFERENCE)
    return next((program for program in gates if program is not None), None)


def load_gate(part: Impairment, seed: int, *, before: int | None, out: int, deadline_ns: int) -> int:
    """A gate with these numbers, ready to be attached; the program's descriptor. before: the program (by id) that stands
    there: the new one counts on where it ends.
    """
    with _state(before) as state:
        conf = gate.create_conf(gate.pack(part, seed, out=out, deadline_ns=deadline_ns))
        try:
            return gate.load(part, conf, state)
        finally:
            os.close(conf)


def gate_of(index: int, program: int) -> Request:
    """Put the gate there, or swap it for the one that is."""
    return classifier.attachment(index, program, preference=GATE_PREFERENCE, name="labctl_gate")


def ensure_gate(
    netlink: Netlink, index: int, part: Impairment, seed: int, *, out: int, deadline_ns: int
) -> None:
    """Have a gate with these numbers at the device, whatever was there."""
    tc.add_clsact(netlink, index)
    before = program_of(tc.filters(netlink, index))
    program = load_gate(part, seed, before=before, out=out, deadline_ns=deadline_ns)
    try:
        netlink.send(gate_of(index, program))
    finally:
        os.close(program)


def read_gate(filters: Sequence[Filter]) -> Gate | None:
    """The gate among the filters of a device; None without one."""
    program = program_of(filters)
    if program is None:
        return None
    with bpf.maps_of(program) as maps:
        if gate_layout.CONF not in maps or gate_layout.STATE not in maps:
            return None
        found, out, deadline = gate.read_conf(maps[gate_layout.CONF][0])
        counts = gate.read_counts(maps[gate_layout.STATE][0])
        return Gate(impairment=found, out=out, deadline_ns=deadline, counts=counts)


class TbfStage:
    """A rate and its queue, in a token bucket at the cord's near end."""

    name = "kernel"
    known_error = (
        "after a pause a token bucket lets one burst (the longest frame, or 1 ms of the rate) pass at once"
    )

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink

    def supports(self, part: Impairment) -> str | None:
        return None if fields_in_use(part) in ((), ("rate",)) else "tbf only limits a rate"

    def ensure(self, half: Half, cord: str, part: Impairment) -> None:
        if part.rate is None:
            raise AssertionError("a tbf stage without a rate")
        burst = max(half.frame_bytes, round(part.rate.bps / 8 * 0.001))
        options = Tbf(bps=part.rate.bps, burst_bytes=burst, limit_bytes=part.rate.limit_bytes)
        qdisc.set_root(self._netlink, self._netlink.index(near(cord)), options)

    def read(self, cord: str) -> Impairment | None:
        link = self._netlink.link(near(cord))
        found = qdisc.root(self._netlink, link.index) if link else None
        if found is None or not isinstance(found.options, Tbf):
            return None
        return Impairment(rate=Rate(bps=found.options.bps, queue_bytes=found.options.limit_bytes))

    def waiting(self, cord: str) -> int:
        link = self._netlink.link(near(cord))
        found = qdisc.root(self._netlink, link.index) if link else None
        return found.waiting if found else 0

    def remove(self, cord: str) -> None:
        """The queue goes with the cord."""


def near(cord: str) -> str:
    return f"{cord}0"


def far(cord: str) -> str:
    return f"{cord}1"


@contextlib.contextmanager
def _state(program: int | None) -> Iterator[int]:
    """The state map of the gate that is there, or a new one."""
    if program is not None:
        with bpf.maps_of(program) as maps:
            if gate_layout.STATE in maps:
                yield maps[gate_layout.STATE][0]
                return
    fd = gate.create_state()
    try:
        yield fd
    finally:
        os.close(fd)
