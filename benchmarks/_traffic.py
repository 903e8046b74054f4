"""What goes over a cable between two namespaces: TCP, small frames, round trips.

`made` is a field as `tests/system/impair/impair_field.py` makes it: `path("a")` and `path("z")` are the namespaces, each
with its end of the cable as eth1.
"""

import contextlib
import os
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "system"))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "system", "impair"))

from impair_field import ADDRESSES, KINDS, MARK, checksum

from labctl.linux import netns


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def goodput(made, seconds):
    """Bits a second of one flow, counted where they arrive."""
    listener = netns.socket_in(made.path("z"), socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((ADDRESSES["z"][0], 0))
    listener.listen(1)
    sender = netns.socket_in(made.path("a"), socket.AF_INET, socket.SOCK_STREAM)
    with listener, sender:
        sender.connect(listener.getsockname())
        accepted, _ = listener.accept()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what is to be put away is its parent's
            with contextlib.suppress(OSError):
                data = bytes(1 << 18)
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    sender.sendall(data)
                sender.shutdown(socket.SHUT_RDWR)
            os._exit(0)
        sender.close()
        with accepted:
            buffer, total, began = bytearray(1 << 20), 0, time.monotonic()
            while (count := accepted.recv_into(buffer)) > 0:
                total += count
            took = time.monotonic() - began
        os.waitpid(child, 0)
    return total * 8 / took


def clean_rate(made, seconds, lost=0.0):
    """The highest rate at which at most one frame in a thousand is missing (beyond what is to be lost)."""
    best = 0.0
    for pps in (50_000, 100_000, 150_000, 200_000, 250_000, 300_000):
        sent, took, got = blast(made, pps, seconds)
        missing = 1 - got / sent - lost
        if missing > 0.001 + 5 * (lost * (1 - lost) / sent) ** 0.5:
            break
        best = max(best, sent / took)
        if sent / took < 0.9 * pps:
            break  # the sender can do no more
    return best


def blast(made, pps, seconds):
    """Send in small bursts every millisecond; how many, how long, and what the far interface counted."""
    frame = KINDS["raw"](MARK + bytes(4))
    before = received(made)
    with netns.socket_in(made.path("a"), socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind(("eth1", 0))
        began, sent, send = time.monotonic(), 0, sock.send
        while True:
            now = time.monotonic() - began
            if now >= seconds:
                break
            due = int(now * pps) - sent
            for _ in range(due):
                send(frame)
            sent += due
            if due < pps / 2000:
                time.sleep(0.0005)
        took = time.monotonic() - began
    last, quiet = -1, 0
    while quiet < 5:
        now_received = received(made)
        quiet = quiet + 1 if now_received == last else 0
        last = now_received
        time.sleep(0.05)
    return sent, took, last - before


def received(made):
    """The frame counter of z's interface."""
    with netns.inside(made.path("z")), open("/proc/thread-self/net/dev", encoding="ascii") as file:
        return next(int(line.split()[2]) for line in file if line.strip().startswith("eth1:"))


def pings(made, count):
    """Round trips through the far kernel's own echo, sorted."""
    found = []
    with netns.socket_in(made.path("a"), socket.AF_INET, socket.SOCK_RAW, 1) as sock:
        sock.settimeout(2)
        sock.connect((ADDRESSES["z"][0], 0))
        for number in range(count):
            body = struct.pack("!BBHHH", 8, 0, 0, 77, number & 0xFFFF) + bytes(48)
            body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
            began = time.monotonic()
            sock.send(body)
            while True:
                data = sock.recv(200)
                if data[20] == 0 and data[26:28] == struct.pack("!H", number & 0xFFFF):
                    break
            found.append(time.monotonic() - began)
    return sorted(found)
