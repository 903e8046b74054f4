"""The gate: one eBPF program that loses, corrupts and duplicates frames of one half-cable, where they enter the panel.

A traffic filter before the redirect of the stitch: what the gate lets through goes on as if it were not there. All
numbers of an impairment are in a map (`labctl_conf`) that the program reads at each frame, so reading the map back is
reading what happens; counts and the state of bursts are in another (`labctl_state`), which a changed gate takes over
from the one before it, so frames are numbered on and nothing is lost at a change: the kernel swaps the programs
between two frames.

Draws are those of `labctl.model.chance`, meanings those of `frames`: the wire does the same to the same frame. When its
deadline has passed, the gate lets everything pass, whoever still lives to remove it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace

from labctl.linux import bpf
from labctl.model import chance, impairment_codec
from labctl.model.impairment import Burst, Impairment, Member, Nth
from labctl.runtime.impair import frames, gate_program
from labctl.runtime.impair import gate_layout as at
from labctl.runtime.impair.gate_layout import CONF, STATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Ground truth: what the gate did so far, frame by frame."""

    frames: int = 0
    blackhole: int = 0
    mtu: int = 0
    drop: int = 0
    member: int = 0
    nth: int = 0
    burst: int = 0
    loss: int = 0
    corrupted: int = 0
    corrupt_dropped: int = 0
    duplicated: int = 0
    superframes: int = 0  # counted as one frame though a real link would have seen several

    @property
    def lost(self) -> int:
        return (
            self.blackhole
            + self.mtu
            + self.drop
            + self.member
            + self.nth
            + self.burst
            + self.loss
            + self.corrupt_dropped
        )


def part(impairment: Impairment) -> Impairment:
    """What of an impairment a gate does; the rest is the detour's."""
    return replace(impairment, delay_s=0.0, jitter=None, reorder=None, rate=None)


def refuses(impairment: Impairment) -> str | None:
    """Why a gate cannot do its part, or None."""
    limits = (
        ("nth", at.MOST_NTH, "patterns of every nth frame"),
        ("bursts", at.MOST_BURSTS, "burst models"),
        ("drops", at.MOST_DROPS, "selective drops"),
        ("members", at.MOST_MEMBERS, "bad members"),
    )
    for name, most, words in limits:
        if len(getattr(impairment, name)) > most:
            return f"more than {most} {words} at once"
    return None


def pack(impairment: Impairment, seed: int, *, out: int, deadline_ns: int = 0) -> bytes:
    """The value of `labctl_conf`. `out` is the ifindex that duplicates leave by; a deadline of 0 never passes."""
    text = json.dumps(impairment_codec.encode(replace(impairment, seed=seed)), separators=(",", ":")).encode()
    if len(text) > at.CONF_BYTES - at.TEXT_AT:
        raise ValueError("the impairment is too long to note")
    value = bytearray(at.CONF_BYTES)
    mtu = 0 if impairment.mtu is None else impairment.mtu + frames.ETH
    struct.pack_into(
        "=8Q",
        value,
        0,
        deadline_ns,
        seed,
        *(chance.threshold(f) for f in (impairment.loss, impairment.corrupt, impairment.duplicate)),
        mtu,
        impairment.blackhole,
        out,
    )
    for i, nth in enumerate(impairment.nth):
        struct.pack_into("=2Q", value, at.NTH + 16 * i, nth.every, nth.offset)
    for i, burst in enumerate(impairment.bursts):
        four = (burst.p, burst.r, burst.loss_good, burst.loss_bad)
        struct.pack_into("=4Q", value, at.BURSTS + 32 * i, *(chance.threshold(f) for f in four))
    for i, match in enumerate(impairment.drops):
        struct.pack_into("=Q", value, at.DROPS + 8 * i, chance.threshold(match.fraction))
    for i, member in enumerate(impairment.members):
        struct.pack_into("=2Q", value, at.MEMBERS + 16 * i, member.bucket, member.of)
    struct.pack_into("=Q", value, at.TEXT_AT - 8, len(text))
    value[at.TEXT_AT : at.TEXT_AT + len(text)] = text
    return bytes(value)


def unpack(value: bytes) -> tuple[Impairment, int, int]:
    """Impairment, out and deadline of a `labctl_conf`: the numbers as the program reads them, the protocols as noted."""
    deadline, seed, loss, corrupt, duplicate, mtu, blackhole, out = struct.unpack_from("=8Q", value)
    length = struct.unpack_from("=Q", value, at.TEXT_AT - 8)[0]
    noted = impairment_codec.decode(json.loads(value[at.TEXT_AT : at.TEXT_AT + length]))

    def numbers(place: int, count: int, width: int) -> list[tuple[int, ...]]:
        return [struct.unpack_from(f"={width}Q", value, place + 8 * width * i) for i in range(count)]

    found = replace(
        noted,
        seed=seed,
        loss=chance.fraction(loss),
        corrupt=chance.fraction(corrupt),
        duplicate=chance.fraction(duplicate),
        mtu=mtu - frames.ETH if mtu else None,
        blackhole=bool(blackhole),
        nth=tuple(Nth(every=e, offset=o) for e, o in numbers(at.NTH, len(noted.nth), 2)),
        bursts=tuple(
            Burst(p=p, r=r, loss_good=g, loss_bad=b)
            for p, r, g, b in (
                map(chance.fraction, each) for each in numbers(at.BURSTS, len(noted.bursts), 4)
            )
        ),
        drops=tuple(
            replace(match, fraction=chance.fraction(each[0]))
            for match, each in zip(noted.drops, numbers(at.DROPS, len(noted.drops), 1), strict=True)
        ),
        members=tuple(Member(bucket=k, of=n) for k, n in numbers(at.MEMBERS, len(noted.members), 2)),
    )
    return found, out, deadline


def counts(state: bytes) -> Counts:
    return Counts(**dict(zip(at.COUNTERS, struct.unpack_from(f"={len(at.COUNTERS)}Q", state), strict=True)))


def create_state() -> int:
    return bpf.create_map(at.STATE_BYTES, STATE)


def create_conf(value: bytes) -> int:
    fd = bpf.create_map(at.CONF_BYTES, CONF)
    bpf.write(fd, value)
    return fd


def read_counts(state_fd: int) -> Counts:
    return counts(bpf.read(state_fd, at.STATE_BYTES))


def read_conf(conf_fd: int) -> tuple[Impairment, int, int]:
    return unpack(bpf.read(conf_fd, at.CONF_BYTES))


def load(impairment: Impairment, conf_fd: int, state_fd: int) -> int:
    """The program for this impairment (only the parts that it needs are in it); its descriptor."""
    return bpf.load(gate_program.assemble(impairment, conf_fd, state_fd), "labctl_gate")
