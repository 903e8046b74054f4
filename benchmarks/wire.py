"""What the user-space wire carries, how exact it is, and what it costs; beside a plain stitched cable in the same run.

The wire is one process, so "one core" is what it is. Frames a second are raw ones of 60 bytes at growing rates until
more than one in a thousand is missing at the far interface's own counter; TCP is one flow between two processes.

    python benchmarks/wire.py [--seconds 3] [--rounds 3]
"""

import argparse
import contextlib
import statistics
import tempfile
import time

from _common import begin, judged
from _traffic import clean_rate, goodput, pings, quantile
from impair_field import cable

from labctl.model.impairment import Impairment, Jitter, Rate
from labctl.runtime.impair.choose import Backend

WANTED_GBPS, WANTED_KPPS, WANTED_ERROR_MS = 1.0, 100.0, 0.5
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
    begin(f"wire: medians of {options.rounds} rounds")
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
        print(
            f"TCP, MTU {mtu}: wire, {name}: {found / 1e9:.2f} Gbit/s, ratio {found / plain:.3f}, "
            f"{judged(found / 1e9, WANTED_GBPS, 'Gbit/s', least=True)}"
        )
    for side in "az":
        impairer.clear(made.half(side))


def frames(made, impairer, options):
    plain = clean_rate(made, options.seconds)
    print(f"60-byte frames: stitched {plain / 1e3:.0f} kpps")
    for name, impairment in CASES.items():
        impairer.ensure(made.half(), impairment)
        lost = impairment.loss
        best = statistics.median(clean_rate(made, options.seconds / 2, lost) for _ in range(options.rounds))
        print(
            f"60-byte frames: wire, {name}: {best / 1e3:.0f} kpps, ratio {best / plain:.2f}, "
            f"{judged(best / 1e3, WANTED_KPPS, 'kpps', least=True)}"
        )
    impairer.clear(made.half())


def rtt(made, impairer, options):
    plain = pings(made, 500)
    for side in "az":
        impairer.ensure(made.half(side), Impairment(delay_s=0.01))
    found = pings(made, int(300 * options.seconds))
    p50, p99 = (quantile(found, q) * 1e3 for q in (0.5, 0.99))
    base, base99 = (quantile(plain, q) * 1e3 for q in (0.5, 0.99))
    print(f"RTT: stitched p50 {base:.3f} ms, p99 {base99:.3f} ms")
    print(
        f"RTT: wire, 10 ms each way: p50 {p50:.3f} ms (error {p50 - 20:.3f}, "
        f"{judged(abs(p50 - 20), WANTED_ERROR_MS, 'ms')}), p99 {p99:.3f} ms"
    )
    for side in "az":
        impairer.clear(made.half(side))


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
