"""Frames with a virtio header: tags and checksums."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from labctl.model.impairment import Impairment
from labctl.runtime.impair import port
from labctl.runtime.impair.relay import Line, _meet

MACS = bytes(range(12))
PLAIN = bytes(port.VNET)


@given(st.integers(0, 0xFFFF), st.sampled_from([0x8100, 0x88A8]), st.binary(min_size=2, max_size=60))
def test_a_tag_that_is_put_back_can_be_looked_through(tag, kind, rest):
    frame = port.with_tag(PLAIN + MACS + rest, tag, kind)
    assert frame[port.VNET :] == MACS + struct.pack("!HH", kind, tag) + rest
    assert port.untagged(frame) == MACS + rest


def test_the_place_of_a_checksum_moves_with_the_tag():
    header = struct.pack("=BBHHHH", 1, 1, 54, 1448, 34, 16)
    frame = port.with_tag(header + MACS + b"\x08\x00" + bytes(60), 7, 0x8100)
    assert struct.unpack_from("=BBHHHH", frame) == (1, 1, 58, 1448, 38, 16)


@given(st.binary(min_size=8, max_size=101))
def test_a_checksum_left_to_hardware_is_filled_in(payload):
    """A UDP datagram whose pseudo header is summed already, as the kernel hands it on; it must sum to all ones."""
    pseudo = 0x1234
    body = struct.pack("!HHHH", 1000, 2000, 8 + len(payload), pseudo) + payload
    frame = struct.pack("=BBHHHH", 1, 0, 0, 0, 34, 6) + MACS + b"\x08\x00" + bytes(20) + body
    done = port.finished(frame)
    assert done[: port.VNET] == PLAIN
    after = done[port.VNET + 34 :]
    assert after[:6] + after[8:] == body[:6] + body[8:]
    words = after[:6] + after[8:] + bytes(len(after) % 2)
    total = pseudo + struct.unpack("!H", after[6:8])[0] + sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


def test_a_frame_that_is_finished_stays_as_it_is():
    frame = PLAIN + MACS + b"\x08\x00" + bytes(50)
    assert port.finished(frame) is frame
    assert not port.is_super(frame)
    assert port.is_super(struct.pack("=BBHHHH", 0, 1, 54, 1448, 0, 0) + frame[port.VNET :])


def test_the_fate_of_a_tagged_frame_keeps_its_tag():
    line = Line(receiver=None, sender=None)
    line.change(Impairment(corrupt=1.0, duplicate=1.0), 5, None)
    udp = struct.pack("!HHHH", 1, 2, 28, 0x7777) + bytes(20)
    ip = bytes.fromhex("4500003000010000401100000a0000010a000002")
    bare = MACS + b"\x08\x00" + ip + udp
    frame = port.with_tag(PLAIN + bare, 7, 0x8100)
    one, two = _meet(line, frame)
    assert one == two
    assert one[: port.VNET + 16] == frame[: port.VNET + 16]
    flipped = [(a ^ b).bit_count() for a, b in zip(one, frame, strict=True)]
    assert sum(flipped) == 1
