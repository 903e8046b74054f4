"""Filters of impairments: an eBPF program at a device (put there, swapped; `tc.filters` finds it again), and a detour.

A detour sends a *copy* of each frame out of another device and drops the original. What is dropped is off its sender's
account: a frame that waits in a queue of the detour no longer counts as waiting in its sender's own, as it would not
behind a real network card, and TCP does not hold back its next one (TCP small queues).
"""

from __future__ import annotations

import socket
import struct

from labctl.linux import tc
from labctl.linux.rtnl import NLM_F_CREATE, NLM_F_EXCL, Request, attr, nest, text, u32

_FD, _NAME, _FLAGS = 6, 7, 8
_DIRECT_ACTION = 1
_ONE = 1
_SHOT, _EGRESS_MIRROR = 2, 2


def attachment(
    index: int, program_fd: int, *, preference: int, name: str, parent: int = tc.INGRESS
) -> Request:
    """Have frames that arrive at the device (`parent` EGRESS: that leave by it) meet the program. One that is there is
    swapped between two.
    """
    options = attr(_FD, u32(program_fd)) + attr(_NAME, text(name)) + attr(_FLAGS, u32(_DIRECT_ACTION))
    body = _message(index, preference, parent) + attr(tc.TCA_KIND, b"bpf\0") + attr(tc.TCA_OPTIONS, options)
    return Request(tc.RTM_NEWTFILTER, body, NLM_F_CREATE, f"attach a program to {index}")


def diversion(index: int, to: int, *, preference: int) -> Request:
    """Have every frame that arrives at `index` go on from `to`. `tc.filters` shows it like a redirect."""
    selector = struct.pack("=BBBxHHhhI", 1, 0, 0, 0, 0, 0, 0, 0)
    mirred = struct.pack("=IIiiiiI", 0, 0, _SHOT, 0, 0, _EGRESS_MIRROR, to)
    action = nest(
        1, attr(tc.TCA_ACT_KIND, b"mirred\0"), nest(tc.TCA_ACT_OPTIONS, attr(tc.TCA_MIRRED_PARMS, mirred))
    )
    options = nest(tc.TCA_OPTIONS, attr(tc.TCA_U32_SEL, selector), nest(tc.TCA_U32_ACT, action))
    info = preference << 16 | socket.htons(tc.ETH_P_ALL)
    body = struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, 0, tc.INGRESS, info)
    body += attr(tc.TCA_KIND, b"u32\0") + options
    return Request(tc.RTM_NEWTFILTER, body, NLM_F_CREATE | NLM_F_EXCL, f"divert {index} to {to}")


def _message(index: int, preference: int, parent: int) -> bytes:
    info = preference << 16 | socket.htons(tc.ETH_P_ALL)
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, index, _ONE, parent, info)
