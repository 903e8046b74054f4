"""Queues of a device through raw netlink: tbf for a rate, netem for delay and loss, and reading both back.

A root qdisc is only ever given to a device that no frame crosses yet, and only changed while frames do: adding or
removing one drops what is in flight, changing one does not. A change sends every option, because netem keeps those that
it is not told.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.linux import tc
from labctl.linux.netlink import Netlink
from labctl.linux.rtnl import NLM_F_CREATE, NLM_F_EXCL, NetlinkError, attr, attrs, nest, u32

HANDLE = 0x01AB_0000  # ours: whatever else is found at a root is somebody else's
_ROOT = 0xFFFFFFFF
_STATS2, _STATS_QUEUE = 7, 3
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_NETEM_CORR, _NETEM_DIST, _NETEM_REORDER, _NETEM_CORRUPT, _NETEM_LOSS = 1, 2, 3, 4, 5
_NETEM_RATE, _NETEM_RATE64, _NETEM_LATENCY64, _NETEM_JITTER64, _NETEM_SEED = 6, 8, 10, 11, 14
_LOSS_GE = 2
_FULL = 2**32 - 1
_DIST_SCALE = 8192
#: "Every frame comes after the one before it": netem keeps the order of frames when it has a rate. This one adds 0.1 ns.
ORDERLY_BPS = 100_000_000_000_000
_ETHERNET = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tbf:
    """A token bucket: bytes that may go at once, bytes that may wait."""

    bps: float
    burst_bytes: int
    limit_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Netem:
    """Fractions as such; `ge` is (p, r, loss in good, loss in bad). `table` has mean 0 and unit spread."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    keep_order: bool = True
    table: Sequence[float] = ()
    loss: float = 0.0
    ge: tuple[float, float, float, float] | None = None
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0
    gap: int = 0
    limit: int = 1000
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The root qdisc of a device, and what it has done. `options` is None for a kind that is not ours."""

    kind: str
    handle: int
    options: Tbf | Netem | None
    waiting: int = 0  # frames
    dropped: int = 0


def set_root(netlink: Netlink, index: int, options: Tbf | Netem) -> None:
    """Give a device its root qdisc, or change the options of the one it has."""
    try:
        kind, data = ("tbf", _tbf(options)) if isinstance(options, Tbf) else ("netem", _netem(options))
    except struct.error as error:
        raise OSError(errno.ERANGE, f"{options}: {error}") from error
    body = struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, HANDLE, _ROOT, 0)
    body += attr(tc.TCA_KIND, kind.encode() + b"\0") + attr(tc.TCA_OPTIONS, data)
    try:
        netlink.request(
            tc.RTM_NEWQDISC, body, NLM_F_CREATE | NLM_F_EXCL, what=f"give device {index} a {kind}"
        )
    except NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise
        netlink.request(tc.RTM_NEWQDISC, body, what=f"change the {kind} of device {index}")


def root(netlink: Netlink, index: int) -> Queue | None:
    """The root qdisc of a device; None for the default, which is none at all on a veth."""
    body = struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, 0, 0, 0)
    for kind, data in netlink.dump(tc.RTM_GETQDISC, body, what=f"list queues of {index}"):
        if kind != tc.RTM_NEWQDISC:
            continue
        _, owner, handle, parent, _ = struct.unpack_from("=BxxxiIII", data)
        if owner != index or parent != _ROOT or not handle:
            continue
        values = dict(attrs(data[20:]))
        name = values.get(tc.TCA_KIND, b"").rstrip(b"\0").decode()
        options = values.get(tc.TCA_OPTIONS, b"")
        queue = dict(attrs(values.get(_STATS2, b""))).get(_STATS_QUEUE, bytes(20))
        waiting, _, dropped = struct.unpack_from("=3I", queue)
        read: Tbf | Netem | None = None
        if name == "tbf":
            read = _read_tbf(options)
        elif name == "netem":
            read = _read_netem(options)
        return Queue(kind=name, handle=handle, options=read, waiting=waiting, dropped=dropped)
    return None


def _tbf(options: Tbf) -> bytes:
    per_second = round(options.bps / 8)
    spec = struct.pack("=BBHhHI", 0, _ETHERNET, 0, 0, 0, min(per_second, _FULL))
    parms = spec + bytes(12) + struct.pack("=III", options.limit_bytes, 0, 0)
    data = attr(_TBF_PARMS, parms) + attr(_TBF_BURST, u32(options.burst_bytes))
    if per_second > _FULL:
        data += attr(_TBF_RATE64, struct.pack("=Q", per_second))
    return data


def _read_tbf(data: bytes) -> Tbf:
    values = dict(attrs(data))
    parms = values[_TBF_PARMS]
    rate: int = struct.unpack_from("=I", parms, 8)[0]
    limit, buffer = struct.unpack_from("=II", parms, 24)
    if _TBF_RATE64 in values:
        rate = struct.unpack("=Q", values[_TBF_RATE64])[0]
    return Tbf(bps=rate * 8, burst_bytes=round(buffer * _TICK_S * rate), limit_bytes=limit)


def _netem(options: Netem) -> bytes:
    delay, jitter = (round(s * 1e9) for s in (options.delay_s, options.jitter_s))
    fixed = struct.pack(
        "=IIIIII",
        min(_FULL, round(options.delay_s / _TICK_S)),
        options.limit,
        _part(options.loss) if options.ge is None else 0,
        options.gap,
        _part(options.duplicate),
        min(_FULL, round(options.jitter_s / _TICK_S)),
    )
    ordered = options.keep_order and jitter
    data = attr(_NETEM_CORR, bytes(12))
    data += attr(_NETEM_REORDER, struct.pack("=II", _part(options.reorder), 0))
    data += attr(_NETEM_CORRUPT, struct.pack("=II", _part(options.corrupt), 0))
    if options.ge is not None:
        p, r, good, bad = options.ge
        four = struct.pack("=IIII", _part(p), _part(r), _FULL - _part(bad), _part(good))
        data += nest(_NETEM_LOSS, attr(_LOSS_GE, four))
    per_second = ORDERLY_BPS // 8 if ordered else 0
    data += attr(_NETEM_RATE, struct.pack("=IiIi", min(per_second, _FULL), 0, 0, 0))
    if per_second > _FULL:
        data += attr(_NETEM_RATE64, struct.pack("=Q", per_second))
    data += attr(_NETEM_LATENCY64, struct.pack("=q", delay))
    data += attr(_NETEM_JITTER64, struct.pack("=q", jitter))
    if options.table:
        short = [max(-32768, min(32767, round(v * _DIST_SCALE))) for v in options.table]
        data += attr(_NETEM_DIST, struct.pack(f"={len(short)}h", *short))
    if options.seed is not None:
        data += attr(_NETEM_SEED, struct.pack("=Q", options.seed))
    return fixed + data


def _read_netem(data: bytes) -> Netem:
    latency, limit, loss, gap, duplicate, jitter = struct.unpack_from("=IIIIII", data)
    values = dict(attrs(data[24:]))

    def whole(kind: int, form: str, otherwise: float) -> float:
        return float(struct.unpack(form, values[kind])[0]) / 1e9 if kind in values else otherwise

    ge = dict(attrs(values.get(_NETEM_LOSS, b""))).get(_LOSS_GE)
    four = None
    if ge is not None:
        p, r, h, good = struct.unpack("=IIII", ge)
        four = (_share(p), _share(r), _share(good), _share(_FULL - h))
    rate = struct.unpack_from("=I", values.get(_NETEM_RATE, bytes(16)))[0]
    return Netem(
        delay_s=whole(_NETEM_LATENCY64, "=q", latency * _TICK_S),
        jitter_s=whole(_NETEM_JITTER64, "=q", jitter * _TICK_S),
        keep_order=bool(rate) or not jitter,
        loss=_share(loss),
        ge=four,
        duplicate=_share(duplicate),
        corrupt=_share(struct.unpack_from("=I", values.get(_NETEM_CORRUPT, bytes(8)))[0]),
        reorder=_share(struct.unpack_from("=I", values.get(_NETEM_REORDER, bytes(8)))[0]),
        gap=gap,
        limit=limit,
        seed=struct.unpack("=Q", values[_NETEM_SEED])[0] if _NETEM_SEED in values else None,
    )


def _share(part: int) -> float:
    """To the nine places that 32 bits hold."""
    return round(part / _FULL, 9) or part / _FULL


def _part(fraction: float) -> int:
    return min(_FULL, round(fraction * _FULL))


#: The kernel's scheduler tick (PSCHED_SHIFT 6): 64 ns.
_TICK_S = 64e-9
