"""The gate's program, put together from the parts that an impairment needs.

R6 holds the frame, R7 the numbers, R8 the counts, R9 the number of the frame; the rest is free between parts.
"""

from __future__ import annotations

from dataclasses import dataclass

from labctl.linux.bpf import Program
from labctl.model import chance
from labctl.model.chance import Use
from labctl.model.impairment import Impairment, Match, Protocol
from labctl.runtime.impair import frames, gate_parse
from labctl.runtime.impair import gate_layout as at
from labctl.runtime.impair.gate_layout import R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10


def assemble(impairment: Impairment, conf_fd: int, state_fd: int) -> bytes:
    code = Program()
    code.mov(R6, R1)
    code.map_value(R7, conf_fd)
    code.map_value(R8, state_fd)
    _until_deadline(code)
    code.mov(R9, 1)
    code.fetch_add(R8, at.AT["frames"], R9)
    code.alu("+", R9, 1)  # number of this frame, from 1
    _superframe(code)
    _frame(code, impairment)
    code.label("pass")
    code.exit(at.PASS)
    for name in ("blackhole", "mtu", "drop", "member", "nth", "burst", "loss", "corrupt_dropped"):
        if not code.wanted(f"lose:{name}"):
            continue
        code.label(f"lose:{name}")
        code.count(R8, at.AT[name])
        code.exit(at.DROP)
    return code.assemble()


def _frame(code: Program, impairment: Impairment) -> None:
    """What can happen to a frame, in order; only what this impairment has."""
    if impairment.drops or impairment.members or impairment.corrupt:
        gate_parse.parse(code)
    if impairment.blackhole:
        _blackhole(code)
    if impairment.mtu is not None:
        _mtu(code)
    for i, match in enumerate(impairment.drops):
        _drop(code, match, i)
    several = ((_member, impairment.members), (_nth, impairment.nth), (_burst, impairment.bursts))
    for emit, each in several:
        for i in range(len(each)):
            emit(code, i)
    single = ((_loss, impairment.loss), (_corrupt, impairment.corrupt), (_duplicate, impairment.duplicate))
    for emit_one, fraction in single:
        if fraction:
            emit_one(code)


def _until_deadline(code: Program) -> None:
    code.load(8, R1, R7, at.DEADLINE)
    code.jump_if(R1, "==", 0, "in time")
    code.call(at.BOOT_NS)
    code.load(8, R1, R7, at.DEADLINE)
    code.jump_if(R0, ">", R1, "pass")
    code.label("in time")


def _superframe(code: Program) -> None:
    code.load(4, R1, R6, at.GSO_SIZE)
    code.jump_if(R1, "==", 0, "one frame")
    code.count(R8, at.AT["superframes"])
    code.label("one frame")


def _blackhole(code: Program) -> None:
    code.load(8, R1, R7, at.BLACKHOLE)
    code.jump_if(R1, "!=", 0, "lose:blackhole")


def _mtu(code: Program) -> None:
    code.load(4, R1, R6, at.LEN)
    code.load(8, R2, R7, at.MTU)
    code.jump_if(R1, ">", R2, "lose:mtu")


def _draw(code: Program, use: int) -> None:
    """R0 = chance.draw(seed, number, use). Uses R1."""
    code.mov(R0, R9)
    code.alu("*", R0, chance.USES)
    code.alu("+", R0, use)
    code.mov(R1, _signed(chance.GOLDEN))
    code.alu("*", R0, R1)
    code.load(8, R1, R7, at.SEED)
    code.alu("+", R0, R1)
    _mix(code)
    code.alu(">>", R0, 32)


def _mix(code: Program) -> None:
    for shift, factor in ((30, chance.MIX1), (27, chance.MIX2)):
        code.mov(R1, R0)
        code.alu(">>", R1, shift)
        code.alu("^", R0, R1)
        code.mov(R1, _signed(factor))
        code.alu("*", R0, R1)
    code.mov(R1, R0)
    code.alu(">>", R1, 31)
    code.alu("^", R0, R1)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _happens(code: Program, use: int, offset: int, label: str) -> None:
    """Jump with the chance that `labctl_conf` has at `offset`."""
    _draw(code, use)
    code.load(8, R1, R7, offset)
    code.jump_if(R0, "<", R1, label)


def _drop(code: Program, match: Match, i: int) -> None:
    other, chosen = code.fresh("other"), code.fresh("chosen")
    _unless(code, match, chosen, other)
    code.label(chosen)
    _happens(code, Use.DROP + i, at.DROPS + 8 * i, "lose:drop")
    code.label(other)


@dataclass(frozen=True, slots=True)
class _Test:
    """Fields that must have a value, and then one of several that must have one of several values."""

    must: tuple[tuple[int, int], ...] = ()
    places: tuple[int, ...] = ()
    values: tuple[int, ...] = ()


def _test(match: Match) -> _Test:
    value = match.value or 0
    ports = (at.SPORT, at.DPORT)
    tests = {
        Protocol.ARP: _Test(((at.TYPE, frames.ARP),)),
        Protocol.LLDP: _Test(((at.TYPE, frames.LLDP),)),
        Protocol.ISIS: _Test(
            ((at.TYPE, frames.LLC), (at.HEAD, int.from_bytes(frames.ISIS_LLC, "big"))),
        ),
        Protocol.OSPF: _Test(((at.PROTO, frames.OSPF),)),
        Protocol.OSPF_HELLO: _Test(((at.PROTO, frames.OSPF),)),
        Protocol.BGP: _Test(((at.PROTO, frames.TCP),), ports, (frames.BGP_PORT,)),
        Protocol.BFD: _Test(((at.PROTO, frames.UDP),), (at.DPORT,), frames.BFD_PORTS),
        Protocol.ICMP: _Test(),
        Protocol.ICMPV6_ND: _Test(((at.TYPE, frames.IPV6), (at.PROTO, frames.ICMP6))),
        Protocol.TCP_PORT: _Test(((at.PROTO, frames.TCP),), ports, (value,)),
        Protocol.UDP_PORT: _Test(((at.PROTO, frames.UDP),), ports, (value,)),
        Protocol.ETHERTYPE: _Test(((at.TYPE, value),)),
        Protocol.DSCP: _Test(((at.DSCP, value),)),
    }
    return tests[match.protocol]


def _unless(code: Program, match: Match, chosen: str, other: str) -> None:
    """Jump to `other` unless the frame is of that protocol; fall through or jump to `chosen` if it is."""
    test = _test(match)
    for place, value in test.must:
        code.load(8, R1, R10, place)
        code.jump_if(R1, "!=", value, other)
    for place in test.places:
        code.load(8, R1, R10, place)
        for value in test.values:
            code.jump_if(R1, "==", value, chosen)
    if test.places:
        code.jump(other)
    if match.protocol is Protocol.OSPF_HELLO:
        code.load(8, R1, R10, at.SPORT)
        code.jump_if(R1, "==", at.ABSENT, other)
        code.alu("&", R1, 0xFF)
        code.jump_if(R1, "!=", 1, other)
    elif match.protocol is Protocol.ICMP:
        _icmp(code, chosen, other)
    elif match.protocol is Protocol.ICMPV6_ND:
        _discovery(code, chosen, other)


def _icmp(code: Program, chosen: str, other: str) -> None:
    six = code.fresh("six")
    code.load(8, R1, R10, at.TYPE)
    code.load(8, R2, R10, at.PROTO)
    code.jump_if(R1, "==", frames.IPV6, six)
    code.jump_if(R2, "==", frames.ICMP, chosen)
    code.jump(other)
    code.label(six)
    code.jump_if(R2, "!=", frames.ICMP6, other)
    _discovery(code, other, chosen)


def _discovery(code: Program, yes: str, no: str) -> None:
    code.load(8, R1, R10, at.SPORT)
    code.jump_if(R1, "==", at.ABSENT, no)
    code.alu(">>", R1, 8)
    code.jump_if(R1, "<", frames.ND_TYPES[0], no)
    code.jump_if(R1, ">", frames.ND_TYPES[1], no)
    code.jump(yes)


def _member(code: Program, i: int) -> None:
    other, no_ports, portless = code.fresh("flowless"), code.fresh("ports"), code.fresh("portless")
    code.load(8, R2, R10, at.PROTO)
    code.jump_if(R2, "==", at.ABSENT, other)
    code.mov(R0, 0)
    code.jump_if(R2, "==", frames.TCP, no_ports)
    code.jump_if(R2, "!=", frames.UDP, portless)
    code.label(no_ports)
    code.load(8, R0, R10, at.SPORT)
    code.load(8, R1, R10, at.DPORT)
    code.alu("^", R0, R1)
    code.label(portless)
    code.alu("<<", R2, 16)
    code.alu("|", R0, R2)
    code.load(8, R2, R10, at.ADDRESSES)
    code.alu("<<", R2, 32)
    code.alu("|", R0, R2)
    _mix(code)
    code.alu(">>", R0, 32)
    code.load(8, R1, R7, at.MEMBERS + 16 * i + 8)
    code.alu("%", R0, R1)
    code.load(8, R1, R7, at.MEMBERS + 16 * i)
    code.jump_if(R0, "==", R1, "lose:member")
    code.label(other)


def _nth(code: Program, i: int) -> None:
    code.mov(R0, R9)
    code.load(8, R1, R7, at.NTH + 16 * i)
    code.alu("%", R0, R1)
    code.load(8, R1, R7, at.NTH + 16 * i + 8)
    code.jump_if(R0, "==", R1, "lose:nth")


def _burst(code: Program, i: int) -> None:
    """Lost by the state the line is in, then the state may turn. R2 lost?, R3 state."""
    burst, state = at.BURSTS + 32 * i, at.BURST_STATE + 8 * i
    good, turn, kept, stay, turned = (code.fresh(n) for n in ("good", "turn", "kept", "stay", "turned"))
    code.load(8, R3, R8, state)
    _draw(code, Use.BURST + 2 * i)
    code.mov(R2, 1)
    code.load(8, R1, R7, burst + 16)
    code.jump_if(R3, "==", 0, good)
    code.load(8, R1, R7, burst + 24)
    code.label(good)
    code.jump_if(R0, "<", R1, turn)
    code.mov(R2, 0)
    code.label(turn)
    _draw(code, Use.BURST + 2 * i + 1)
    code.load(8, R1, R7, burst)
    code.jump_if(R3, "==", 0, stay)
    code.load(8, R1, R7, burst + 8)
    code.label(stay)
    code.jump_if(R0, ">=", R1, kept)
    code.alu("^", R3, 1)
    code.store(8, R8, state, R3)
    code.label(kept)
    code.jump_if(R2, "==", 0, turned)
    code.jump("lose:burst")
    code.label(turned)


def _loss(code: Program) -> None:
    _happens(code, Use.LOSS, at.LOSS, "lose:loss")


def _corrupt(code: Program) -> None:
    """R9 is needed later, so the place is kept on the stack."""
    intact, hit = code.fresh("intact"), code.fresh("hit")
    _happens(code, Use.CORRUPT, at.CORRUPT, hit)
    code.jump(intact)
    code.label(hit)
    gate_parse.span(code)  # R2 from, R3 to
    code.jump_if(R2, ">=", R3, "lose:corrupt_dropped")
    _draw(code, Use.PLACE)
    code.alu("-", R3, R2)
    code.mov(R4, R0)
    code.alu(">>", R4, 3)
    code.alu("%", R4, R3)
    code.alu("+", R2, R4)
    code.store(8, R10, at.BUFFER, R2)
    code.alu("&", R0, 7)
    code.store(8, R10, at.BUFFER + 8, R0)
    _byte(code, at.LOAD_BYTES)
    code.jump_if(R0, "!=", 0, "lose:corrupt_dropped")
    code.load(8, R1, R10, at.BUFFER + 8)
    code.mov(R2, 1)
    shift, done = code.fresh("shift"), code.fresh("shifted")
    for _ in range(7):  # a shift by a register is one instruction more than we have
        code.jump_if(R1, "==", 0, done)
        code.alu("<<", R2, 1)
        code.alu("-", R1, 1)
    code.label(shift)
    code.label(done)
    code.load(1, R1, R10, at.BYTE)
    code.alu("^", R1, R2)
    code.store(1, R10, at.BYTE, R1)
    _byte(code, at.STORE_BYTES)
    code.jump_if(R0, "!=", 0, "lose:corrupt_dropped")
    code.count(R8, at.AT["corrupted"])
    code.label(intact)


def _byte(code: Program, helper: int) -> None:
    """Read or write the byte at the place that the stack holds."""
    code.mov(R1, R6)
    code.load(8, R2, R10, at.BUFFER)
    code.mov(R3, R10)
    code.alu("+", R3, at.BYTE)
    code.mov(R4, 1)
    code.mov(R5, 0)
    code.call(helper)


def _duplicate(code: Program) -> None:
    single, twice = code.fresh("single"), code.fresh("twice")
    _happens(code, Use.DUPLICATE, at.DUPLICATE, twice)
    code.jump(single)
    code.label(twice)
    code.mov(R1, R6)
    code.load(8, R2, R7, at.OUT)
    code.mov(R3, 0)
    code.call(at.CLONE)
    code.jump_if(R0, "!=", 0, single)
    code.count(R8, at.AT["duplicated"])
    code.label(single)
