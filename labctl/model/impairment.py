"""What one direction of a cable does to the frames that cross it; and `compose`, which puts two treatments in a row.

An `Impairment` is a value, neutral by default, so an absent field means "untouched". Where several faults touch one
half-cable the frames meet all of them, and that is again one impairment: delays add, losses compose 1-(1-p)(1-q), rates
and MTUs take the minimum, drops unite. So backends know nothing of faults, and faults nothing of each other.

`compose_all` folds a collection in an order of its own, so the result is the same to the last bit whatever order the
faults came in. Two laws are definitions rather than physics and are said here: *jitters* of one distribution compose to
the root of the sum of their squares (the spread of a sum of independent delays; the shape is kept), and a frame that two
faults would duplicate is duplicated once. What has no meaning in a row (two different shapes of jitter, two different
reorder gaps) is refused as `faults-do-not-compose`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from labctl.errors import LabctlError
from labctl.units import format_duration, format_percent, format_rate

#: What a bottleneck may let through, and what may wait before it: the kernel has 32 bits for the bytes.
MOST_BPS = 400e9
MOST_QUEUED = 4_000_000_000


def _fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} of {value:g} is not a fraction of 0 to 1")


def _not_negative(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} of {value:g} s is not a time")


class Distribution(StrEnum):
    """Shape of a jitter. Uniform spreads ± its value about the delay; of the others the value is the standard deviation."""

    UNIFORM = "uniform"
    NORMAL = "normal"
    PARETO = "pareto"
    PARETONORMAL = "paretonormal"


class Protocol(StrEnum):
    """What a selective drop can tell apart. Those with a value: port, ethertype, dscp."""

    ARP = "arp"
    LLDP = "lldp"
    ISIS = "isis"
    OSPF = "ospf"  # both versions
    OSPF_HELLO = "ospf-hello"
    BGP = "bgp"
    BFD = "bfd"  # control, echo and multihop
    ICMP = "icmp"  # both versions, without neighbour discovery
    ICMPV6_ND = "icmpv6-nd"
    TCP_PORT = "tcp-port"  # source or destination
    UDP_PORT = "udp-port"
    ETHERTYPE = "ethertype"  # behind one VLAN tag
    DSCP = "dscp"


#: Largest value of the protocols that take one.
VALUED = {
    Protocol.TCP_PORT: 0xFFFF,
    Protocol.UDP_PORT: 0xFFFF,
    Protocol.ETHERTYPE: 0xFFFF,
    Protocol.DSCP: 63,
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Jitter:
    """How much the delay varies from frame to frame, and whether a late frame holds back those behind it."""

    spread_s: float
    distribution: Distribution = Distribution.UNIFORM
    keep_order: bool = True

    def __post_init__(self) -> None:
        _not_negative("jitter", self.spread_s)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Nth:
    """Every `every`-th frame is lost, counted from 1: those whose number leaves `offset` when divided by `every`."""

    every: int
    offset: int = 0

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 <= self.offset < self.every:
            raise ValueError(f"every {_ordinal(self.every)} frame with offset {self.offset} is no pattern")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Burst:
    """Gilbert-Elliott: the line is good or bad, turns bad with `p` and good with `r` at each frame."""

    p: float
    r: float
    loss_good: float = 0.0
    loss_bad: float = 1.0

    def __post_init__(self) -> None:
        for name in ("p", "r", "loss_good", "loss_bad"):
            _fraction(f"burst {name}", getattr(self, name))
        if self.p + self.r == 0:
            raise ValueError("a burst that never begins and never ends is no burst")

    @property
    def loss(self) -> float:
        """Fraction of frames lost in the long run."""
        bad = self.p / (self.p + self.r)
        return (1 - bad) * self.loss_good + bad * self.loss_bad


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reorder:
    """A fraction of frames skips the delay and so overtakes what is under way; after one, `gap` - 1 frames do not."""

    fraction: float
    gap: int = 1

    def __post_init__(self) -> None:
        _fraction("reorder", self.fraction)
        if self.gap < 1:
            raise ValueError(f"a reorder gap of {self.gap} frames is none")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Rate:
    """A bottleneck and the queue before it, in bytes or in seconds of the rate; by default 50 ms and at least 20 frames."""

    bps: float
    queue_bytes: int | None = None
    queue_s: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bps) and self.bps >= 8000):
            raise ValueError(f"a rate of {self.bps:g} bit/s is below 8 kbit/s")
        if self.queue_bytes is not None and self.queue_s is not None:
            raise ValueError("a queue has a size in bytes or in seconds, not both")
        if self.queue_bytes is not None and self.queue_bytes < 1:
            raise ValueError("a queue holds at least a byte")
        if self.queue_s is not None:
            _not_negative("queue", self.queue_s)
        if self.bps > MOST_BPS:
            raise ValueError(f"a rate of {self.bps:g} bit/s is above 400 Gbit/s: nothing here is as fast")
        if self.limit_bytes > MOST_QUEUED:
            raise ValueError(f"a queue of {self.limit_bytes} bytes is above 4 GB")

    @property
    def limit_bytes(self) -> int:
        """What the queue holds."""
        if self.queue_bytes is not None:
            return self.queue_bytes
        if self.queue_s is not None:
            return max(1, round(self.queue_s * self.bps / 8))
        return max(round(0.05 * self.bps / 8), 20 * 1514)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Match:
    """Frames of one protocol, and the fraction of them that is dropped."""

    protocol: Protocol
    value: int | None = None
    fraction: float = 1.0

    def __post_init__(self) -> None:
        _fraction(f"drop of {self.protocol}", self.fraction)
        top = VALUED.get(self.protocol)
        if top is None and self.value is not None:
            raise ValueError(f"{self.protocol} takes no value")
        if top is not None and not (self.value is not None and 0 <= self.value <= top):
            raise ValueError(f"{self.protocol} needs a value of 0 to {top}")

    def __str__(self) -> str:
        what = self.protocol.value if self.value is None else f"{self.protocol} {_value(self)}"
        return what if self.fraction == 1 else f"{format_percent(self.fraction)} of {what}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Member:
    """One bad member of an ECMP group or bundle: the flows whose hash falls into bucket `bucket` of `of` are lost."""

    bucket: int
    of: int

    def __post_init__(self) -> None:
        if self.of < 1 or not 0 <= self.bucket < self.of:
            raise ValueError(f"bucket {self.bucket} of {self.of} does not exist")


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """The treatment of one half-cable. Fractions are of frames, one by one, never of larger lumps.

    A corrupted frame has one bit flipped where a checksum of the receiver covers it; a frame that has no such place is
    dropped, as the check sequence of a real link would. `seed` fixes every draw; without one it is drawn.
    """

    delay_s: float = 0.0
    jitter: Jitter | None = None
    loss: float = 0.0
    nth: tuple[Nth, ...] = ()
    bursts: tuple[Burst, ...] = ()
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: Reorder | None = None
    rate: Rate | None = None
    mtu: int | None = None  # of IP packets; larger ones vanish without a word
    blackhole: bool = False
    drops: tuple[Match, ...] = ()
    members: tuple[Member, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        _not_negative("delay", self.delay_s)
        for name in ("loss", "duplicate", "corrupt"):
            _fraction(name, getattr(self, name))
        if self.mtu is not None and self.mtu < 1:
            raise ValueError(f"an MTU of {self.mtu} carries nothing")
        if self.seed is not None and not 0 <= self.seed < 2**64:
            raise ValueError("a seed has 64 bits")

    def __str__(self) -> str:
        return describe(self)

    @property
    def neutral(self) -> bool:
        """Nothing happens to any frame (a seed alone does nothing)."""
        return replace(self, seed=None) == NEUTRAL

    @property
    def per_frame(self) -> bool:
        """Whether frames must arrive one by one: everything but a plain delay and a black hole counts or weighs frames."""
        return not replace(self, seed=None, delay_s=0.0, blackhole=False).neutral


NEUTRAL = Impairment()


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def compose(one: Impairment, other: Impairment) -> Impairment:
    """Both treatments in a row. Commutative and associative (up to rounding), `NEUTRAL` is its neutral element."""
    return Impairment(
        delay_s=one.delay_s + other.delay_s,
        jitter=_jitter(one.jitter, other.jitter),
        loss=_either(one.loss, other.loss),
        nth=tuple(sorted({*one.nth, *other.nth})),
        bursts=tuple(sorted((*one.bursts, *other.bursts))),
        duplicate=_either(one.duplicate, other.duplicate),
        corrupt=_either(one.corrupt, other.corrupt),
        reorder=_reorder(one.reorder, other.reorder),
        rate=_rate(one.rate, other.rate),
        mtu=min((m for m in (one.mtu, other.mtu) if m is not None), default=None),
        blackhole=one.blackhole or other.blackhole,
        drops=_matches(one.drops, other.drops),
        members=tuple(sorted({*one.members, *other.members})),
        seed=_seed(one.seed, other.seed),
    )


def compose_all(impairments: Iterable[Impairment]) -> Impairment:
    """All of them in a row; the same to the last bit whatever their order."""
    result = NEUTRAL
    for each in sorted(impairments, key=repr):
        result = compose(result, each)
    return result


def describe(impairment: Impairment) -> str:
    """`10ms ±2ms (normal), 3% loss, 10Mbit (queue 62500B)`; `none` when nothing happens."""
    found: list[str] = []
    if impairment.delay_s or impairment.jitter:
        found.append(_delay_words(impairment))
    if impairment.loss:
        found.append(f"{format_percent(impairment.loss)} loss")
    found += [
        f"every {_ordinal(n.every)} lost" + (f" from {n.offset}" if n.offset else "") for n in impairment.nth
    ]
    found += [
        f"bursts (p {format_percent(b.p)}, r {format_percent(b.r)}, "
        f"loss {format_percent(b.loss_good)}/{format_percent(b.loss_bad)})"
        for b in impairment.bursts
    ]
    if impairment.duplicate:
        found.append(f"{format_percent(impairment.duplicate)} duplicated")
    if impairment.corrupt:
        found.append(f"{format_percent(impairment.corrupt)} corrupted")
    if impairment.reorder:
        gap = f", gap {impairment.reorder.gap}" if impairment.reorder.gap > 1 else ""
        found.append(f"{format_percent(impairment.reorder.fraction)} overtake{gap}")
    if impairment.rate:
        found.append(f"{format_rate(impairment.rate.bps)} (queue {impairment.rate.limit_bytes}B)")
    if impairment.mtu is not None:
        found.append(f"nothing above {impairment.mtu}B")
    if impairment.blackhole:
        found.append("nothing passes")
    found += [f"no {match}" if match.fraction == 1 else f"{match} lost" for match in impairment.drops]
    found += [f"flows of bucket {m.bucket}/{m.of} lost" for m in impairment.members]
    return ", ".join(found) or "none"


def _delay_words(impairment: Impairment) -> str:
    words = format_duration(impairment.delay_s)
    if impairment.jitter:
        jitter = impairment.jitter
        order = "" if jitter.keep_order else ", may reorder"
        words += f" ±{format_duration(jitter.spread_s)} ({jitter.distribution}{order})"
    return words


def _value(match: Match) -> str:
    return f"0x{match.value:04x}" if match.protocol is Protocol.ETHERTYPE else str(match.value)


def _either(p: float, q: float) -> float:
    """Chance that at least one of two independent things happens; exactly the other when one never does."""
    if not p or not q:
        return p or q
    return 1 - (1 - p) * (1 - q)


def _jitter(one: Jitter | None, other: Jitter | None) -> Jitter | None:
    if one is None or other is None:
        return one or other
    if one.distribution is not other.distribution:
        raise _refuse(f"a {one.distribution} jitter and a {other.distribution} one")
    return Jitter(
        spread_s=math.hypot(one.spread_s, other.spread_s),
        distribution=one.distribution,
        keep_order=one.keep_order and other.keep_order,
    )


def _reorder(one: Reorder | None, other: Reorder | None) -> Reorder | None:
    if one is None or other is None:
        return one or other
    if one.gap != other.gap:
        raise _refuse(f"reordering with gap {one.gap} and with gap {other.gap}")
    return Reorder(fraction=_either(one.fraction, other.fraction), gap=one.gap)


def _rate(one: Rate | None, other: Rate | None) -> Rate | None:
    """The narrower bottleneck with its queue: behind it the wider one never fills."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda rate: (rate.bps, rate.limit_bytes, repr(rate)))


def _matches(one: tuple[Match, ...], other: tuple[Match, ...]) -> tuple[Match, ...]:
    found: dict[tuple[Protocol, int | None], Match] = {}
    for match in (*one, *other):
        key = (match.protocol, match.value)
        before = found.get(key)
        found[key] = (
            match if before is None else replace(match, fraction=_either(before.fraction, match.fraction))
        )
    return tuple(found[key] for key in sorted(found, key=lambda k: (k[0], -1 if k[1] is None else k[1])))


def _seed(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return (one + other) & 0xFFFF_FFFF_FFFF_FFFF


def _refuse(what: str) -> LabctlError:
    return LabctlError(
        "faults-do-not-compose",
        f"{what} on one direction of a cable have no meaning together",
        hint="let one of the faults end first, or give both the same shape",
    )
