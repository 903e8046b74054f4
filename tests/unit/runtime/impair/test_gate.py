"""The kernel's program against its twin in Python: the same frames, the same fate, bit by bit."""

import os
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.linux import bpf
from labctl.model.impairment import (
    VALUED,
    Burst,
    Impairment,
    Match,
    Member,
    Nth,
    Protocol,
)
from labctl.runtime.impair import gate
from labctl.runtime.impair import gate_layout as at
from labctl.runtime.impair.fate import Fate

pytestmark = pytest.mark.root

MACS = bytes.fromhex("02000000000b02000000000a")


def ip4(protocol, body, *, dscp=0, fragment=0, options=b"", source=b"\x0a\0\0\1", target=b"\x0a\0\0\2"):
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | (5 + len(options) // 4),
        dscp << 2,
        20 + len(options) + len(body),
        7,
        fragment,
        64,
        protocol,
        0,
        source,
        target,
    )
    return MACS + b"\x08\x00" + head + options + body


def ip6(protocol, body, *, dscp=0):
    addresses = bytes.fromhex("20010db8000000000000000000000001fe800000000000000000000012345678")
    head = struct.pack("!IHBB", 6 << 28 | dscp << 22, len(body), protocol, 64) + addresses
    return MACS + b"\x86\xdd" + head + body


def udp(source, target, body=b"x" * 20, checksum=0x1234):
    return struct.pack("!HHHH", source, target, 8 + len(body), checksum) + body


def tcp(source, target, body=b"y" * 9):
    return struct.pack("!HHIIHHHH", source, target, 1, 2, 0x5010, 100, 0x4321, 0) + body


OSPF_HELLO, OSPF_UPDATE = b"\x02\x01" + bytes(42), b"\x02\x04" + bytes(42)
KINDS = {
    "arp": MACS + b"\x08\x06" + bytes(46),
    "lldp": MACS + b"\x88\xcc" + bytes(60),
    "isis": MACS + b"\x00\x40\xfe\xfe\x03\x83" + bytes(60),
    "stp": MACS + b"\x00\x26\x42\x42\x03" + bytes(35),
    "mpls": MACS + b"\x88\x47" + bytes(60),
    "bgp": ip4(6, tcp(40000, 179)),
    "bgp6": ip6(6, tcp(179, 40000)),
    "bfd": ip4(17, udp(50000, 3784)),
    "bfd-echo6": ip6(17, udp(50000, 3785)),
    "ospf-hello": ip4(89, OSPF_HELLO, dscp=48),
    "ospf-update": ip4(89, OSPF_UPDATE),
    "ospf6-hello": ip6(89, b"\x03\x01" + bytes(40)),
    "icmp": ip4(1, b"\x08\x00" + bytes(30)),
    "icmp6": ip6(58, b"\x80\x00" + bytes(30)),
    "nd": ip6(58, b"\x87\x00" + bytes(22)),
    "udp": ip4(17, udp(1, 2)),
    "udp-plain": ip4(17, udp(1, 2, checksum=0)),
    "udp-empty": ip4(17, udp(5, 6, b"")),
    "udp-options": ip4(17, udp(1, 9), options=b"\x94\x04\0\0"),
    "udp-short": ip4(17, b"\0\1"),
    "tcp6": ip6(6, tcp(1, 2), dscp=1),
    "first-fragment": ip4(17, udp(1, 2), fragment=0x2000),
    "fragment": ip4(17, udp(1, 2), fragment=0x0010),
    "gre": ip4(47, bytes(30)),
    "gre6": ip6(47, bytes(30)),
    "padded": ip4(17, udp(1, 2, b"")) + bytes(18),
    "big": ip4(17, udp(7, 8, b"z" * 1472)),
}


class Gate:
    """A loaded program with its maps."""

    def __init__(self, impairment, seed):
        self.conf = gate.create_conf(gate.pack(impairment, seed, out=0))
        self.state = gate.create_state()
        self.program = gate.load(impairment, self.conf, self.state)

    def meet(self, frame):
        result, after = bpf.test_run(self.program, frame)
        assert result in (at.PASS, at.DROP)
        return () if result == at.DROP else (after,)

    def close(self):
        for fd in (self.conf, self.state, self.program):
            os.close(fd)


def agree(impairment, seed, kinds):
    """Run both; every frame has the same fate and the counts are the same at the end."""
    kernel, python = Gate(impairment, seed), Fate(impairment, seed)
    try:
        for kind in kinds:
            assert kernel.meet(KINDS[kind]) == python.meet(KINDS[kind]), kind
        counted = gate.read_counts(kernel.state)
        assert counted.frames == python.number == len(kinds)
        for cause in (
            "blackhole",
            "mtu",
            "drop",
            "member",
            "nth",
            "burst",
            "loss",
            "corrupted",
            "corrupt_dropped",
        ):
            assert getattr(counted, cause) == python.counts.get(cause, 0), cause
        found, _, _ = gate.read_conf(kernel.conf)
        return found
    finally:
        kernel.close()


fractions = st.sampled_from([0.0, 0.001, 0.1, 0.5, 1.0])
matches = st.sampled_from(Protocol).flatmap(
    lambda p: st.builds(
        Match,
        protocol=st.just(p),
        value=st.sampled_from([1, 2, 48])
        if p is Protocol.DSCP
        else st.sampled_from([0x0806, 0x8847, 0x0004, 1, 2, 9])
        if p in VALUED
        else st.none(),
        fraction=fractions,
    )
)
impairments = st.builds(
    Impairment,
    loss=fractions,
    corrupt=fractions,
    mtu=st.none() | st.sampled_from([40, 60, 1499, 1500]),
    blackhole=st.just(False) | st.booleans(),
    nth=st.lists(st.builds(Nth, every=st.integers(2, 9), offset=st.integers(0, 1)), max_size=2).map(tuple),
    bursts=st.lists(
        st.builds(Burst, p=st.sampled_from([0.1, 0.5]), r=st.sampled_from([0.2, 1.0]), loss_good=fractions),
        max_size=2,
    ).map(tuple),
    drops=st.lists(matches, max_size=4).map(tuple),
    members=st.lists(st.builds(Member, bucket=st.integers(0, 1), of=st.integers(2, 5)), max_size=2).map(
        tuple
    ),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    impairments, st.integers(0, 2**64 - 1), st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=60)
)
def test_kernel_and_python_agree_on_every_frame(impairment, seed, kinds):
    found = agree(impairment, seed, kinds)
    assert found.loss == pytest.approx(impairment.loss, abs=2**-32)
    assert found.nth == impairment.nth
    assert (found.mtu, found.blackhole, found.members) == (
        impairment.mtu,
        impairment.blackhole,
        impairment.members,
    )


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_selective_drop_takes_its_protocol_and_nothing_else(protocol):
    value = {"tcp-port": 179, "udp-port": 3784, "ethertype": 0x8847, "dscp": 48}.get(protocol)
    expected = {
        "arp": {"arp"},
        "lldp": {"lldp"},
        "isis": {"isis"},
        "ospf": {"ospf-hello", "ospf-update", "ospf6-hello"},
        "ospf-hello": {"ospf-hello", "ospf6-hello"},
        "bgp": {"bgp", "bgp6"},
        "bfd": {"bfd", "bfd-echo6"},
        "icmp": {"icmp", "icmp6"},
        "icmpv6-nd": {"nd"},
        "tcp-port": {"bgp", "bgp6"},
        "udp-port": {"bfd"},
        "ethertype": {"mpls"},
        "dscp": {"ospf-hello"},
    }[protocol]
    impairment = Impairment(drops=(Match(protocol=protocol, value=value),))
    kernel, python = Gate(impairment, 1), Fate(impairment, 1)
    for each in (kernel, python):
        assert {kind for kind, frame in KINDS.items() if not each.meet(frame)} == expected
    kernel.close()


def test_every_third_frame_from_the_second_is_exactly_that():
    kernel = Gate(Impairment(nth=(Nth(every=3, offset=2),)), 1)
    fate = [bool(kernel.meet(KINDS["udp"])) for _ in range(9)]
    assert fate == [True, False, True, True, False, True, True, False, True]
    kernel.close()


def test_a_changed_gate_counts_on_from_the_one_before():
    first = Gate(Impairment(nth=(Nth(every=4),)), 1)
    for _ in range(3):
        assert first.meet(KINDS["udp"])
    second = gate.load(Impairment(nth=(Nth(every=4),)), first.conf, first.state)
    assert bpf.test_run(second, KINDS["udp"])[0] == at.DROP
    os.close(second)
    first.close()


def test_after_its_deadline_a_gate_lets_everything_pass():
    impairment = Impairment(blackhole=True)
    for deadline, result in ((1, at.PASS), (2**63, at.DROP), (0, at.DROP)):
        conf = gate.create_conf(gate.pack(impairment, 1, out=0, deadline_ns=deadline))
        state = gate.create_state()
        program = gate.load(impairment, conf, state)
        assert bpf.test_run(program, KINDS["udp"])[0] == result
        for fd in (conf, state, program):
            os.close(fd)


def test_what_a_gate_cannot_hold_is_refused_with_a_reason():
    assert gate.refuses(Impairment(nth=tuple(Nth(every=5, offset=i) for i in range(5)))) == (
        "more than 4 patterns of every nth frame at once"
    )
    assert gate.refuses(Impairment(loss=1)) is None


def test_a_program_is_found_again_by_its_id():
    made = Gate(Impairment(loss=0.25, corrupt=0.5), 77)
    with bpf.maps_of(bpf.program_id(made.program)) as maps:
        found, out, deadline = gate.read_conf(maps[at.CONF][0])
        assert (found, out, deadline) == (Impairment(loss=0.25, corrupt=0.5, seed=77), 0, 0)
    made.close()
