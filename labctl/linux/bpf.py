"""eBPF without a compiler: an assembler of the few instructions that we use, and the bpf() system call.

Programs and maps are kernel objects that live as long as something refers to them: a descriptor here, or a traffic
filter there. Nothing is pinned in a file system, so nothing is left behind. `values_of` finds the maps of a program that
a filter has, by its id, which is how a process reads back what another one installed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD = 0, 1, 2, 5
_TEST_RUN, _PROG_BY_ID, _MAP_BY_ID, _INFO = 10, 13, 14, 15
_ARRAY, _SCHED_CLS = 2, 3

_libc = ctypes.CDLL(None, use_errno=True)


class Reg(IntEnum):
    """R0 result, R1-R5 arguments (lost at calls), R6-R9 kept, R10 frame."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    R10 = 10


_ALU = {"+": 0x00, "-": 0x10, "*": 0x20, "|": 0x40, "&": 0x50, "<<": 0x60, ">>": 0x70, "%": 0x90, "^": 0xA0}
_JUMP = {"==": 0x10, ">": 0x20, ">=": 0x30, "!=": 0x50, "<": 0xA0, "<=": 0xB0}
_SIZE = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_CLASS_LDX, _CLASS_STX, _CLASS_JMP, _CLASS_ALU64 = 0x01, 0x03, 0x05, 0x07
_X = 0x08  # the second operand is a register
_FETCH_ADD = 0x01


@dataclass(slots=True)
class Program:
    """Instructions in order; jumps name labels that may come later."""

    _code: list[tuple[int, int, int, int, str]] = field(default_factory=list)
    _labels: dict[str, int] = field(default_factory=dict)
    _made: int = 0

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def wanted(self, label: str) -> bool:
        """Whether a jump leads there; the kernel refuses instructions that nothing reaches."""
        return any(each[4] == label for each in self._code)

    def fresh(self, name: str) -> str:
        """A label that no other has."""
        self._made += 1
        return f"{name}.{self._made}"

    def mov(self, to: Reg, value: Reg | int) -> None:
        if isinstance(value, Reg):
            self._add(_CLASS_ALU64 | 0xB0 | _X, to, value)
        elif -(2**31) <= value < 2**31:
            self._add(_CLASS_ALU64 | 0xB0, to, imm=value)
        else:
            self._wide(to, 0, value & 0xFFFF_FFFF, value >> 32 & 0xFFFF_FFFF)

    def alu(self, operator: str, to: Reg, value: Reg | int) -> None:
        """`to = to operator value`, on 64 bits."""
        if isinstance(value, Reg):
            self._add(_CLASS_ALU64 | _ALU[operator] | _X, to, value)
        else:
            self._add(_CLASS_ALU64 | _ALU[operator], to, imm=value)

    def to_host(self, which: Reg, bits: int) -> None:
        """From network order."""
        self._add(0xDC, which, imm=bits)

    def load(self, size: int, to: Reg, base: Reg, offset: int) -> None:
        self._add(_CLASS_LDX | 0x60 | _SIZE[size], to, base, offset)

    def store(self, size: int, base: Reg, offset: int, value: Reg) -> None:
        self._add(_CLASS_STX | 0x60 | _SIZE[size], base, value, offset)

    def fetch_add(self, base: Reg, offset: int, value: Reg) -> None:
        """Atomically add 64 bits; `value` becomes what was there."""
        self._add(_CLASS_STX | 0xC0 | 0x18, base, value, offset, imm=_FETCH_ADD)

    def count(self, base: Reg, offset: int) -> None:
        """Add one to a 64-bit counter, atomically. Uses R1."""
        self.mov(Reg.R1, 1)
        self._add(_CLASS_STX | 0xC0 | 0x18, base, Reg.R1, offset)

    def jump(self, label: str) -> None:
        self._add(_CLASS_JMP, 0, label=label)

    def jump_if(self, left: Reg, comparison: str, right: Reg | int, label: str) -> None:
        """Unsigned comparison of 64 bits."""
        if isinstance(right, Reg):
            self._add(_CLASS_JMP | _JUMP[comparison] | _X, left, right, label=label)
        else:
            self._add(_CLASS_JMP | _JUMP[comparison], left, imm=right, label=label)

    def call(self, helper: int) -> None:
        self._add(_CLASS_JMP | 0x80, 0, imm=helper)

    def map_value(self, to: Reg, map_fd: int) -> None:
        """Address of the one value of an array map."""
        self._wide(to, 2, map_fd, 0)

    def exit(self, value: int | None = None) -> None:
        """End with this value, or with what R0 holds."""
        if value is not None:
            self.mov(Reg.R0, value)
        self._add(_CLASS_JMP | 0x90, 0)

    def assemble(self) -> bytes:
        found = []
        for place, (opcode, registers, offset, imm, label) in enumerate(self._code):
            reach = self._labels[label] - place - 1 if label else offset
            found.append(struct.pack("<BBhI", opcode, registers, reach, imm & 0xFFFF_FFFF))
        return b"".join(found)

    def _add(
        self, opcode: int, to: int, value: int = 0, offset: int = 0, *, imm: int = 0, label: str = ""
    ) -> None:
        self._code.append((opcode, to | value << 4, offset, imm, label))

    def _wide(self, to: int, source: int, low: int, high: int) -> None:
        """The one instruction that takes two places: a 64-bit constant or address."""
        self._add(0x18, to, source, imm=low)
        self._add(0, 0, imm=high)


def create_map(value_bytes: int, name: str) -> int:
    """An array map with one value; its descriptor."""
    return _bpf(
        _MAP_CREATE,
        struct.pack("=IIIIIII16s", _ARRAY, 4, value_bytes, 1, 0, 0, 0, name.encode()[:15]),
        "create map",
    )


def write(map_fd: int, value: bytes) -> None:
    buffer = ctypes.create_string_buffer(value, len(value))
    _element(_MAP_UPDATE, map_fd, buffer, "write map")


def read(map_fd: int, value_bytes: int) -> bytes:
    buffer = ctypes.create_string_buffer(value_bytes)
    _element(_MAP_LOOKUP, map_fd, buffer, "read map")
    return buffer.raw


def load(code: bytes, name: str) -> int:
    """Load a traffic classifier; its descriptor. OSError with the verifier's last words."""
    instructions = ctypes.create_string_buffer(code, len(code))
    license_text = ctypes.create_string_buffer(b"GPL")

    def attempt(log: ctypes.Array[ctypes.c_char] | None) -> int:
        attributes = struct.pack(
            "=IIQQIIQII16sII",
            _SCHED_CLS,
            len(code) // 8,
            ctypes.addressof(instructions),
            ctypes.addressof(license_text),
            0 if log is None else 1,
            0 if log is None else len(log),
            0 if log is None else ctypes.addressof(log),
            0,
            0,
            name.encode()[:15],
            0,
            0,
        )
        return _bpf(_PROG_LOAD, attributes, "load program")

    try:
        return attempt(None)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EACCES):
            raise
        log = ctypes.create_string_buffer(1 << 20)
        try:
            return attempt(log)
        except OSError as again:
            said = [line for line in log.value.decode(errors="replace").splitlines() if line]
            words = "; ".join(said[-4:-1] or said) or again.strerror
            raise OSError(again.errno, f"load program: {words}") from error


def test_run(program_fd: int, frame: bytes) -> tuple[int, bytes]:
    """Run a program on a frame without a network: what it returned (signed) and the frame after it."""
    given = ctypes.create_string_buffer(frame, len(frame))
    back = ctypes.create_string_buffer(len(frame) + 256)
    attributes = struct.pack(
        "=IIIIQQIIIIQQ",
        program_fd,
        0,
        len(frame),
        len(back),
        ctypes.addressof(given),
        ctypes.addressof(back),
        1,
        *(0,) * 5,
    )
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    _bpf_buffer(_TEST_RUN, buffer, "test run")
    result, _, length = struct.unpack_from("=iII", buffer.raw, 4)
    return result, back.raw[:length]


def program_id(program_fd: int) -> int:
    return int(struct.unpack_from("=I", _info(program_fd, 64), 4)[0])


@contextlib.contextmanager
def maps_of(program: int) -> Iterator[dict[str, tuple[int, int]]]:
    """name -> (descriptor, bytes of its value) of the maps of the program with this id."""
    found: dict[str, tuple[int, int]] = {}
    fd = _bpf(_PROG_BY_ID, struct.pack("=III", program, 0, 0), f"find program {program}")
    try:
        ids = ctypes.create_string_buffer(4 * 16)
        request = bytearray(128)
        struct.pack_into("=I", request, 52, 16)
        struct.pack_into("=Q", request, 56, ctypes.addressof(ids))
        count = struct.unpack_from("=I", _info(fd, len(request), bytes(request)), 52)[0]
        for each in struct.unpack_from(f"={min(count, 16)}I", ids.raw):
            map_fd = _bpf(_MAP_BY_ID, struct.pack("=III", each, 0, 0), f"find map {each}")
            details = _info(map_fd, 40)
            name = details[24:40].rstrip(b"\0").decode(errors="replace")
            found[name] = (map_fd, struct.unpack_from("=I", details, 12)[0])
        yield found
    finally:
        os.close(fd)
        for map_fd, _ in found.values():
            os.close(map_fd)


def _element(command: int, map_fd: int, value: ctypes.Array[ctypes.c_char], what: str) -> None:
    key = ctypes.create_string_buffer(4)
    _bpf(command, struct.pack("=IIQQQ", map_fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0), what)


def _info(fd: int, length: int, given: bytes | None = None) -> bytes:
    buffer = ctypes.create_string_buffer(given or bytes(length), length)
    _bpf(_INFO, struct.pack("=IIQ", fd, length, ctypes.addressof(buffer)), "describe")
    return buffer.raw


def _bpf(command: int, attributes: bytes, what: str) -> int:
    return _bpf_buffer(command, ctypes.create_string_buffer(attributes, len(attributes)), what)


def _bpf_buffer(command: int, buffer: ctypes.Array[ctypes.c_char], what: str) -> int:
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"bpf: {what}: unknown machine {platform.machine()}")
    result = int(_libc.syscall(number, command, buffer, len(buffer)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"bpf: {what}: {os.strerror(code)}")
    return result
