"""The gate's view of a frame: the fields of `frames.Parsed` on the stack, and where a corruption may hit."""

from __future__ import annotations

from labctl.linux.bpf import Program, Reg
from labctl.runtime.impair import frames
from labctl.runtime.impair import gate_layout as at
from labctl.runtime.impair.gate_layout import R0, R1, R2, R3, R4, R6, R10


def parse(code: Program) -> None:
    """Fill the stack with what `frames.Parsed` has."""
    code.mov(R1, at.ABSENT)
    for place in (at.PROTO, at.DSCP, at.SPORT, at.DPORT, at.HEAD):
        code.store(8, R10, place, R1)
    code.mov(R1, 0)
    for place in (at.START, at.END, at.FRAGMENT, at.ADDRESSES):
        code.store(8, R10, place, R1)
    code.load(4, R1, R6, at.PROTOCOL)
    code.to_host(R1, 16)
    code.store(8, R10, at.TYPE, R1)
    code.jump_if(R1, "==", frames.IPV4, "four")
    code.jump_if(R1, "==", frames.IPV6, "six")
    code.jump_if(R1, "!=", frames.LLC, "parsed")
    _load(code, frames.ETH, 4, "parsed")
    code.load(4, R1, R10, at.BUFFER)
    code.to_host(R1, 32)
    code.alu(">>", R1, 8)
    code.store(8, R10, at.HEAD, R1)
    code.jump("parsed")
    _parse_four(code)
    _parse_six(code)
    code.label("carried")
    code.load(8, R2, R10, at.START)
    _load_at(code, R2, 4, "parsed")
    for place, offset in ((at.SPORT, 0), (at.DPORT, 2)):
        code.load(2, R1, R10, at.BUFFER + offset)
        code.to_host(R1, 16)
        code.store(8, R10, place, R1)
    code.label("parsed")


def _parse_four(code: Program) -> None:
    code.label("four")
    _load(code, frames.ETH, 20, "parsed")
    code.load(1, R1, R10, at.BUFFER)
    code.alu("&", R1, 15)
    code.alu("*", R1, 4)
    code.alu("+", R1, frames.ETH)
    code.store(8, R10, at.START, R1)
    code.load(1, R1, R10, at.BUFFER + 1)
    code.alu(">>", R1, 2)
    code.store(8, R10, at.DSCP, R1)
    code.load(2, R1, R10, at.BUFFER + 2)
    code.to_host(R1, 16)
    code.alu("+", R1, frames.ETH)
    _end(code)
    code.load(1, R1, R10, at.BUFFER + 9)
    code.store(8, R10, at.PROTO, R1)
    code.load(4, R1, R10, at.BUFFER + 12)
    code.load(4, R2, R10, at.BUFFER + 16)
    code.alu("^", R1, R2)
    code.to_host(R1, 32)
    code.store(8, R10, at.ADDRESSES, R1)
    code.load(2, R1, R10, at.BUFFER + 6)
    code.to_host(R1, 16)
    code.mov(R2, R1)
    code.alu("&", R2, 0x3FFF)
    code.store(8, R10, at.FRAGMENT, R2)
    code.alu("&", R1, 0x1FFF)
    code.jump_if(R1, "!=", 0, "parsed")
    code.jump("carried")


def _parse_six(code: Program) -> None:
    code.label("six")
    _load(code, frames.ETH, 40, "parsed")
    code.mov(R1, frames.ETH + 40)
    code.store(8, R10, at.START, R1)
    code.load(2, R1, R10, at.BUFFER)
    code.to_host(R1, 16)
    code.alu(">>", R1, 4)
    code.alu("&", R1, 0xFF)
    code.alu(">>", R1, 2)
    code.store(8, R10, at.DSCP, R1)
    code.load(2, R1, R10, at.BUFFER + 4)
    code.to_host(R1, 16)
    code.alu("+", R1, frames.ETH + 40)
    _end(code)
    code.load(1, R1, R10, at.BUFFER + 6)
    code.store(8, R10, at.PROTO, R1)
    code.mov(R1, 0)
    for offset in range(8, 40, 4):
        code.load(4, R2, R10, at.BUFFER + offset)
        code.alu("^", R1, R2)
    code.to_host(R1, 32)
    code.store(8, R10, at.ADDRESSES, R1)


def _end(code: Program) -> None:
    """Keep R1, but not more than the frame has."""
    fits = code.fresh("fits")
    code.load(4, R2, R6, at.LEN)
    code.jump_if(R1, "<=", R2, fits)
    code.mov(R1, R2)
    code.label(fits)
    code.store(8, R10, at.END, R1)


def _load(code: Program, offset: int, length: int, otherwise: str) -> None:
    code.mov(R2, offset)
    _load_at(code, R2, length, otherwise)


def _load_at(code: Program, offset: Reg, length: int, otherwise: str) -> None:
    """Copy bytes of the frame to the buffer on the stack."""
    code.mov(R2, offset)
    code.mov(R1, R6)
    code.mov(R3, R10)
    code.alu("+", R3, at.BUFFER)
    code.mov(R4, length)
    code.call(at.LOAD_BYTES)
    code.jump_if(R0, "!=", 0, otherwise)


def span(code: Program) -> None:
    """R2, R3 = where a checksum of the receiver covers the frame (`frames.corruptible`); R2 >= R3 if nowhere."""
    head, six, body, udp, ospf, done, short = (
        code.fresh(n) for n in ("head", "six", "body", "udp", "ospf", "done", "short")
    )
    code.load(8, R2, R10, at.START)
    code.load(8, R3, R10, at.END)
    code.load(8, R4, R10, at.PROTO)
    code.jump_if(R4, "==", at.ABSENT, head)
    code.load(8, R1, R10, at.FRAGMENT)
    code.jump_if(R1, "!=", 0, head)
    code.jump_if(R4, "==", frames.UDP, udp)
    code.jump_if(R4, "==", frames.OSPF, ospf)
    for protocol in (frames.TCP, frames.ICMP, frames.ICMP6):
        code.jump_if(R4, "==", protocol, body)
    code.jump(head)
    code.label(body)
    code.jump_if(R3, ">", R2, done)
    code.jump(head)
    code.label(ospf)
    code.mov(R1, R2)
    code.alu("+", R1, 16)
    code.jump_if(R3, "<", R1, head)
    code.mov(R3, R1)
    code.jump(done)
    code.label(udp)
    _udp_span(code, head, short, done)
    code.label(short)
    code.mov(R3, R2)
    code.alu("+", R3, 4)
    code.jump(done)
    code.label(head)
    code.load(8, R1, R10, at.TYPE)
    code.jump_if(R1, "!=", frames.IPV4, six)
    code.load(8, R3, R10, at.START)
    code.mov(R2, frames.ETH)
    code.jump(done)
    code.label(six)
    code.mov(R2, 1)
    code.mov(R3, 0)
    code.label(done)


def _udp_span(code: Program, head: str, short: str, done: str) -> None:
    """R2 and R3 hold start and end. Jumps."""
    checked = code.fresh("checked")
    code.load(8, R1, R10, at.SPORT)
    code.jump_if(R1, "==", at.ABSENT, head)
    code.mov(R1, R2)
    code.alu("+", R1, 8)
    code.jump_if(R3, "<", R1, head)
    code.load(8, R1, R10, at.TYPE)
    code.jump_if(R1, "!=", frames.IPV4, checked)
    code.mov(R1, R6)
    code.alu("+", R2, 6)
    code.mov(R3, R10)
    code.alu("+", R3, at.BUFFER)
    code.mov(R4, 2)
    code.call(at.LOAD_BYTES)
    code.jump_if(R0, "!=", 0, head)
    code.load(2, R1, R10, at.BUFFER)
    code.jump_if(R1, "==", 0, head)
    code.load(8, R2, R10, at.START)
    code.load(8, R3, R10, at.END)
    code.label(checked)
    code.mov(R1, R2)
    code.alu("+", R1, 8)
    code.jump_if(R3, "==", R1, short)
    code.mov(R2, R1)
    code.jump(done)
