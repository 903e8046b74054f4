"""A packet socket in the machine's own namespace: what a test says did not leave was looked for here."""

import select
import socket
import struct
import threading

ETH_P_ALL = 0x0003


class Recorder:
    """Every frame of every interface of the machine's own namespace, sent and received."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.frames = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        _, dropped = struct.unpack("II", self._socket.getsockopt(263, 6, 8))  # SOL_PACKET, PACKET_STATISTICS
        self._socket.close()
        assert dropped == 0, "the recorder missed frames"

    def _work(self):
        while not self._stop.is_set() or select.select([self._socket], [], [], 0)[0]:
            if select.select([self._socket], [], [], 0.05)[0]:
                data, address = self._socket.recvfrom(1 << 16)
                self.frames.append((address[0], data))

    def of(self, *patterns):
        """Frames that hold any of these byte strings anywhere: no header is parsed, so none is misread."""
        return [(where, data[:64].hex()) for where, data in self.frames if any(p in data for p in patterns)]
