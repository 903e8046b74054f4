"""pcapng, as far as a capture needs it: one section, its interfaces, frames with their direction, and what was missed.

Blocks are (type, length, body padded to 32 bits, length), options (code, length, value padded). Everything is written in
the machine's byte order, which the section header tells. Times are whole nanoseconds since 1970. A file that is cut
off after any block is whole for every reader.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum

MAGIC = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _STATISTICS, _FRAME = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER, _ETHERNET, _NANOSECONDS = 0x1A2B3C4D, 1, 9
#: Codes of options. 1 (a comment) means the same in every block, the others are those of one kind of block.
_COMMENT, _USER_APPLICATION = 1, 4
_NAME, _RESOLUTION, _FILTER = 2, 9, 11
_FLAGS = 2
_STARTED, _ENDED, _RECEIVED, _DROPPED = 2, 3, 4, 5


class Direction(IntEnum):
    """As the interface's node sees it; the values are those of the flags of a frame."""

    IN = 1
    OUT = 2


def section(application: str) -> bytes:
    """How a file begins. `application`: who wrote it."""
    fixed = struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1)
    return _block(_SECTION, fixed + _options([(_USER_APPLICATION, application.encode())]))


def interface(name: str, *, snaplen: int, comment: str = "", filtered: str = "") -> bytes:
    """An Ethernet interface; they are numbered in the order in which they come. `snaplen` 0: frames are whole."""
    options = [(_NAME, name.encode()), (_RESOLUTION, bytes([_NANOSECONDS]))]
    options += [(_COMMENT, comment.encode())] if comment else []
    options += [(_FILTER, b"\x00" + filtered.encode())] if filtered else []
    return _block(_INTERFACE, struct.pack("=HxxI", _ETHERNET, snaplen) + _options(options))


def frame(
    number: int, time_ns: int, data: bytes, *, length: int, direction: Direction, comment: str = ""
) -> bytes:
    """A frame of interface `number`: what was kept of it, and how many bytes it had."""
    fixed = struct.pack("=IIIII", number, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), length)
    options = [(_FLAGS, struct.pack("=I", direction))]
    options += [(_COMMENT, comment.encode())] if comment else []
    return _block(_FRAME, fixed + data + bytes(-len(data) % 4) + _options(options))


def statistics(number: int, *, began_ns: int, ended_ns: int, received: int, dropped: int) -> bytes:
    """What became of the frames of interface `number`: how many came, and how many of them nobody could keep."""
    fixed = struct.pack("=III", number, ended_ns >> 32, ended_ns & 0xFFFFFFFF)
    options = [
        (_STARTED, _time(began_ns)),
        (_ENDED, _time(ended_ns)),
        (_RECEIVED, struct.pack("=Q", received)),
        (_DROPPED, struct.pack("=Q", dropped)),
    ]
    return _block(_STATISTICS, fixed + _options(options))


def _time(time_ns: int) -> bytes:
    return struct.pack("=II", time_ns >> 32, time_ns & 0xFFFFFFFF)


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("=II", kind, length) + body + struct.pack("=I", length)


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    each = (struct.pack("=HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options)
    return b"".join(each) + bytes(4)
