"""Capture filters in pcap's language (`icmp and host 10.0.0.1`), by libpcap itself.

A filter judges frames in user space, whole and with their VLAN tags, as `tcpdump -r FILE FILTER` does. Given to
the kernel it would see frames without their outer tag, and `ip` would mean tagged packets as well.
"""

from __future__ import annotations

import ctypes
import functools

from labctl.errors import LabctlError, Span
from labctl.linux.closing import Closing

_LIBRARY = "libpcap.so.0.8"
_ETHERNET, _LONGEST, _NO_NETMASK = 1, 262_144, 0xFFFFFFFF


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class _Header(ctypes.Structure):
    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("kept", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


class Filter(Closing):
    """A compiled expression. `bad-option` if it is none, `tool-missing` without libpcap. Close it."""

    def __init__(self, expression: str) -> None:
        self._pcap = _library()
        handle = self._pcap.pcap_open_dead(_ETHERNET, _LONGEST)
        self._program = _Program()
        try:
            if self._pcap.pcap_compile(
                handle, ctypes.byref(self._program), expression.encode(), 1, _NO_NETMASK
            ):
                raise LabctlError(
                    "bad-option",
                    f"{expression!r} is no filter: {self._pcap.pcap_geterr(handle).decode(errors='replace')}",
                    where=Span("--filter"),
                    hint="write it as for tcpdump, like `icmp or tcp port 179`; `man pcap-filter` has all of it",
                )
        finally:
            self._pcap.pcap_close(handle)
        self._header = _Header()

    def __call__(self, frame: bytes) -> bool:
        """Whether the filter lets this whole frame through."""
        self._header.kept = self._header.length = len(frame)
        return bool(
            self._pcap.pcap_offline_filter(ctypes.byref(self._program), ctypes.byref(self._header), frame)
        )

    def close(self) -> None:
        self._pcap.pcap_freecode(ctypes.byref(self._program))


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        pcap = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise LabctlError(
            "tool-missing",
            "libpcap is not installed; no filter can be compiled without it",
            hint="apt-get install libpcap0.8",
        ) from None
    pcap.pcap_open_dead.restype = ctypes.c_void_p
    pcap.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    pcap.pcap_close.argtypes = (ctypes.c_void_p,)
    pcap.pcap_compile.argtypes = (
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32,
    )  # fmt: skip
    pcap.pcap_geterr.restype = ctypes.c_char_p
    pcap.pcap_geterr.argtypes = (ctypes.c_void_p,)
    pcap.pcap_offline_filter.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    pcap.pcap_freecode.argtypes = (ctypes.c_void_p,)
    return pcap
