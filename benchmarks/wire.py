"""What the user-space wire carries, how exact it is, and what it costs; beside a plain stitched cable in the same run.

The wire is one process, so "one core" is what it is. Frames a second are raw ones of 60 bytes at growing rates until
more than one in a thousand is missing at the far interface's own counter; TCP is one flow between two processes.

    python benchmarks/wire.py [--seconds 3] [--rounds 3]
"""

import argparse
import contextlib
import os
import socket
import statistics
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "system", "impair"))

from impair_field import ADDRESSES, KINDS, MARK, cable, checksum

from labctl.linux import netns
from labctl.model.impairment import Impairment, Jitter, Rate
from labctl.runtime.impair.choose import Backend

WIRE = frozenset({Backend.WIRE})
CASES = {
    "delay": Impairment(delay_s=0.001),
    "delay, jitter": Impairment(delay_s=0.002, jitter=Jitter(spread_s=0.001)),
    "loss 1%": Impairment(loss=0.01, seed=1),
    "rate 10G": Impairment(rate=Rate(bps=1e10)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"wire: {os.cpu_count()} cores, medians of {options.rounds} rounds")
    for mtu in (1500, 9500):
        with field(mtu) as (made, impairer):
            tcp(made, impairer, options, mtu)
    with field(1500) as (made, impairer):
        frames(made, impairer, options)
        rtt(made, impairer, options)
        idle(made, impairer)


@contextlib.contextmanager
def field(mtu):
    with (
        tempfile.TemporaryDirectory(prefix="labctl-bench-") as root,
        cable(root, mtu, addresses=True) as made,
    ):
        time.sleep(1)  # neighbour discovery
        yield made, made.impairer(WIRE)


def tcp(made, impairer, options, mtu):
    plain = statistics.median(goodput(made, options.seconds) for _ in range(options.rounds))
    print(f"TCP, MTU {mtu}: stitched {plain / 1e9:.2f} Gbit/s")
    for name in ("delay", "loss 1%"):
        for side in "az":
            impairer.ensure(
                made.half(side), CASES[name] if side == "a" or name == "delay" else Impairment(delay_s=0.001)
            )
        found = statistics.median(goodput(made, options.seconds) for _ in range(options.rounds))
        print(f"TCP, MTU {mtu}: wire, {name}: {found / 1e9:.2f} Gbit/s, ratio {found / plain:.3f}")
    for side in "az":
        impairer.clear(made.half(side))


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


def frames(made, impairer, options):
    plain = clean_rate(made, options.seconds)
    print(f"60-byte frames: stitched {plain / 1e3:.0f} kpps")
    for name, impairment in CASES.items():
        impairer.ensure(made.half(), impairment)
        lost = impairment.loss
        best = statistics.median(clean_rate(made, options.seconds / 2, lost) for _ in range(options.rounds))
        print(f"60-byte frames: wire, {name}: {best / 1e3:.0f} kpps, ratio {best / plain:.2f}")
    impairer.clear(made.half())


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


def rtt(made, impairer, options):
    plain = pings(made, 500)
    for side in "az":
        impairer.ensure(made.half(side), Impairment(delay_s=0.01))
    found = pings(made, int(300 * options.seconds))
    p50, p99 = (found[int(len(found) * q)] * 1e3 for q in (0.5, 0.99))
    base = plain[len(plain) // 2] * 1e3
    print(f"RTT: stitched p50 {base:.3f} ms, p99 {plain[int(len(plain) * 0.99)] * 1e3:.3f} ms")
    print(f"RTT: wire, 10 ms each way: p50 {p50:.3f} ms (error {p50 - 20:.3f}), p99 {p99:.3f} ms")
    for side in "az":
        impairer.clear(made.half(side))


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


def idle(made, impairer):
    for side in "az":
        impairer.ensure(made.half(side), Impairment(delay_s=0.01))
    time.sleep(0.5)
    who = impairer.wire.identity()
    before, seconds = cpu(who.pid), 5
    time.sleep(seconds)
    with open(f"/proc/{who.pid}/smaps_rollup", encoding="ascii") as file:
        sizes = {line.split()[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}
    used = (cpu(who.pid) - before) / seconds
    print(f"idle, two lines: {used * 100:.2f}% of a core, RSS {sizes['Rss:'] / 1024:.1f} MiB")


def cpu(pid):
    """Seconds of processor time, to the nanosecond."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


if __name__ == "__main__":
    main()
