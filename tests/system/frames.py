"""Raw Ethernet frames into and out of namespaces, tags included (the kernel strips an outer tag into auxiliary data)."""

import contextlib
import select
import socket
import struct
import time

from labctl.linux import netns

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING = 263, 8, 4
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 0x10, 0x40


def frame(destination, source, rest):
    return bytes.fromhex(destination.replace(":", "")) + bytes.fromhex(source.replace(":", "")) + rest


class Port:
    """An interface (None: all of the namespace) of which frames can be sent and, unless they are its own, seen."""

    def __init__(self, path, interface=None, *, outgoing=False):
        every = 0 if interface else socket.htons(ETH_P_ALL)
        self._socket = netns.socket_in(path, socket.AF_PACKET, socket.SOCK_RAW, every)
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)  # SO_RCVBUFFORCE
        if interface:
            self._socket.bind((interface, ETH_P_ALL))
        self._outgoing = outgoing

    def send(self, data):
        self._socket.send(data)

    def frames(self, within_s):
        """Every frame that arrives within this time."""
        found, deadline = [], time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                found += self._read()
        return found

    def wait_for(self, wanted, timeout_s=5.0):
        """Whether this very frame arrives."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0] and wanted in self._read():
                return True
        return False

    def close(self):
        self._socket.close()

    def _read(self):
        data, auxiliary, _, address = self._socket.recvmsg(1 << 17, 256)
        if address[2] == PACKET_OUTGOING and not self._outgoing:
            return []
        for level, kind, value in auxiliary:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", value)
                if status & TP_STATUS_VLAN_VALID:
                    tag = struct.pack("!HH", tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100, tci)
                    data = data[:12] + tag + data[12:]
        return [data]


@contextlib.contextmanager
def port(path, interface=None, *, outgoing=False):
    opened = Port(path, interface, outgoing=outgoing)
    try:
        yield opened
    finally:
        opened.close()
