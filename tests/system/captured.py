"""Reads pcapng back, by its specification and without a line of labctl's writer."""

import struct
from dataclasses import dataclass, field


@dataclass
class Seen:
    interface: str
    time_ns: int
    data: bytes
    length: int
    direction: str
    comment: str = ""


@dataclass
class File:
    frames: list = field(default_factory=list)
    interfaces: list = field(default_factory=list)
    snaplens: list = field(default_factory=list)
    statistics: dict = field(default_factory=dict)

    def of(self, interface, direction=None):
        return [
            each.data
            for each in self.frames
            if each.interface == interface and direction in (None, each.direction)
        ]


def options(data):
    found = {}
    while data:
        code, length = struct.unpack_from("=HH", data)
        if not code:
            assert len(data) == 4
            break
        found[code] = data[4 : 4 + length]
        data = data[4 + (length + 3) // 4 * 4 :]
    return found


def read(data):
    """Every block must be whole and of a known kind; the times of frames never go back."""
    file = File()
    while data:
        kind, length = struct.unpack_from("=II", data)
        assert length % 4 == 0
        assert len(data) >= length
        assert data[length - 4 : length] == data[4:8]
        body, data = data[8 : length - 4], data[length:]
        if kind == 0x0A0D0D0A:
            assert body[:4] == struct.pack("=I", 0x1A2B3C4D)
        elif kind == 1:
            said = options(body[8:])
            assert struct.unpack_from("=H", body) == (1,)
            assert said[9] == b"\x09"
            file.interfaces.append(said[2].decode())
            file.snaplens.append(struct.unpack_from("=I", body, 4)[0])
        elif kind == 6:
            number, high, low, kept, whole = struct.unpack_from("=IIIII", body)
            said = options(body[20 + (kept + 3) // 4 * 4 :])
            flags = struct.unpack("=I", said[2])[0]
            file.frames.append(
                Seen(
                    interface=file.interfaces[number],
                    time_ns=high << 32 | low,
                    data=body[20 : 20 + kept],
                    length=whole,
                    direction={1: "in", 2: "out"}[flags & 3],
                    comment=said.get(1, b"").decode(),
                )
            )
        elif kind == 5:
            number = struct.unpack_from("=I", body)[0]
            said = options(body[12:])
            file.statistics[file.interfaces[number]] = tuple(struct.unpack("=Q", said[i])[0] for i in (4, 5))
        else:
            raise AssertionError(f"block of type {kind}")
    times = [each.time_ns for each in file.frames]
    assert times == sorted(times)
    return file
